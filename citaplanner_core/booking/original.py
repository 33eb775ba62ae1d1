"""Bringing in what the original CitaPlanner (1.11) holds: clients, services, appointments, and who gives them where.

Its tables come as JSON, a list a table, each row with the columns it has there. Nothing here tells anybody anything:
appointments are written as they are, without events. The same file again makes no doubles: `ImportedRow` knows what
became of each row, and what was changed here since stays as it is.
"""

import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking import directory
from citaplanner_core.booking.errors import ValidationFailed, find, plain_text
from citaplanner_core.booking.importing import BATCH, Outcome, decode, person_of, write_people
from citaplanner_core.booking.models import (
    APPOINTMENT_STATES,
    LIVE_STATES,
    PENDING,
    Appointment,
    AppointmentChange,
    Branch,
    Client,
    ClientMerge,
    ImportedRow,
    Professional,
    Service,
    Tenant,
)
from citaplanner_core.database import Base, current_tenant, utcnow

SOURCE = "citaplanner-1.11"
TABLES = ("branches", "users", "services", "clients", "appointments")
CLIENT_FIELDS = {
    "first_name": "firstName",
    "last_name": "lastName",
    "phone": "phone",
    "email": "email",
    "birthday": "birthday",
    "notes": "notes",
}
"""What we call a column of theirs."""

Row = Mapping[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class RowRefused:
    """A row that was left out: of which table, its id there, which column, and what to do."""

    table: str
    id: str
    field: str
    cure: str


@dataclass(slots=True)
class Moved:
    """What came of a file, or would. `to_plan`: the appointments to come that are new, which have no messages yet."""

    ignored: list[str] = field(default_factory=list)
    added: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    there: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    refused: list[RowRefused] = field(default_factory=list)
    to_plan: list[int] = field(default_factory=list)


def import_original(session: Session, data: bytes) -> Moved:
    """Bring a file of the original's tables into the session's tenant; the caller commits, or does not.

    A row with a mistake is left out and reported, and so are the appointments that need it. Raises `ValidationFailed`
    when the file is no such thing, or of several businesses.
    """
    tables, ignored = _read(data)
    move = _Move(session, tables)
    move.moved.ignored = ignored
    move.bring_branches()
    move.bring_professionals()
    move.bring_services()
    move.bring_clients()
    move.bring_appointments()
    return move.moved


def _read(data: bytes) -> tuple[dict[str, list[Row]], list[str]]:
    try:
        found = json.loads(decode(data))
    except (ValueError, RecursionError) as error:
        raise ValidationFailed("file", f"is not JSON: {error}") from None
    if not isinstance(found, dict) or not any(table in found for table in TABLES):
        raise ValidationFailed("file", f"give a JSON object with lists of rows: {', '.join(TABLES)}")
    tables: dict[str, list[Row]] = {}
    for table in TABLES:
        rows = [] if found.get(table) is None else found[table]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValidationFailed("file", f"{table} must be a list of rows, each an object with its columns")
        tables[table] = rows
    owners = {str(row["tenantId"]) for rows in tables.values() for row in rows if row.get("tenantId") is not None}
    if len(owners) > 1:
        raise ValidationFailed("file", f"has rows of {len(owners)} businesses (tenantId): make a file for each")
    return tables, [name for name in found if name not in TABLES]


class _Move:
    """One run. `ids` is, per table, what became of each row of the file: our id by theirs."""

    def __init__(self, session: Session, tables: Mapping[str, list[Row]]) -> None:
        self.session, self.tables = session, tables
        self.moved = Moved()
        self.ids: dict[str, dict[str, int]] = {table: {} for table in TABLES}
        self.notes: list[dict[str, Any]] = []

    def bring_branches(self) -> None:
        """A branch of the same name is the same; so is the only one, where both sides have one."""
        here = {one.name.casefold(): one.id for one in self.session.scalars(select(Branch))}
        only = next(iter(here.values())) if len(here) == len(self.tables["branches"]) == 1 else None

        def bring(row: Row) -> int:
            name = _text(row, "name")
            same = here.get(name.casefold(), only)
            if same is not None:
                return same
            branch = directory.create_branch(
                self.session,
                name=name,
                address=_text(row, "address"),
                phone=_text(row, "phone"),
                active=_is_active(row),
            )
            self.moved.added["branches"] += 1
            here[name.casefold()] = branch.id
            return branch.id

        self._each("branches", Branch, bring)

    def bring_professionals(self) -> None:
        """Of its users, those who give services: with that role, or with appointments."""
        giving = {_id(row.get("userId")) for row in self.tables["appointments"]}
        here = {one.name.casefold(): one.id for one in self.session.scalars(select(Professional))}

        def bring(row: Row) -> int:
            name = " ".join(part for part in (_text(row, "firstName"), _text(row, "lastName")) if part)
            name = name or _text(row, "name")
            if name.casefold() not in here:
                made = directory.create_professional(self.session, name=name, active=_is_active(row))
                self.moved.added["users"] += 1
                here[name.casefold()] = made.id
            return here[name.casefold()]

        concerned = [
            row for row in self.tables["users"] if row.get("role") == "PROFESSIONAL" or _id(row.get("id")) in giving
        ]
        self._each("users", Professional, bring, concerned)

    def bring_services(self) -> None:
        here = {one.name.casefold(): one.id for one in self.session.scalars(select(Service))}

        def bring(row: Row) -> int:
            name, minutes = _text(row, "name"), row.get("duration")
            if name.casefold() in here:
                return here[name.casefold()]
            if isinstance(minutes, bool) or not isinstance(minutes, int):
                raise ValidationFailed("duration", "give its length in whole minutes")
            made = directory.create_service(self.session, name=name, duration_minutes=minutes, active=_is_active(row))
            self.moved.added["services"] += 1
            here[name.casefold()] = made.id
            return made.id

        self._each("services", Service, bring)

    def bring_clients(self) -> None:
        """In batches, as from any other table: who is there, by phone and name, is filled up."""
        inactive: list[int] = []
        country = self.session.get_one(Tenant, current_tenant()).country
        for rows in _pieces(self._new("clients", Client, self.tables["clients"])):
            people = []
            for original, row in rows:
                try:
                    people.append((original, row, person_of(0, _cells(row), country)))
                except ValidationFailed as error:
                    self._refuse("clients", original, error)
            outcome = Outcome()
            write_people(self.session, [person for _, _, person in people], outcome)
            self.moved.added["clients"] += outcome.added
            self.moved.there["clients"] += outcome.completed + outcome.unchanged
            for original, row, person in people:
                assert person.client_id is not None
                self._note("clients", "client", original, person.client_id)
                if person.added and not _is_active(row):
                    inactive.append(person.client_id)
        for first in range(0, len(inactive), BATCH):
            self.session.execute(
                update(Client).where(Client.id.in_(inactive[first : first + BATCH])).values(active=False),
                execution_options={"synchronize_session": False},
            )
        self._write_notes()

    def bring_appointments(self) -> None:
        new = self._new("appointments", Appointment, self.tables["appointments"])
        services = {one.id: one for one in self.session.scalars(select(Service))}
        archived = set(self.session.scalars(select(Client.id).where(~Client.active)))
        taken = self._taken()
        now = utcnow()
        rows: list[tuple[str, dict[str, Any]]] = []
        for original, row in new:
            try:
                found = self._appointment(row, services)
                if found["status"] in LIVE_STATES:
                    if found["end"] > now and found["client_id"] in archived:
                        raise ValidationFailed("clientId", "the client is archived: make them active, or cancel it")
                    _take(taken[found["professional_id"]], found["blocked_from"], found["blocked_until"])
            except ValidationFailed as error:
                self._refuse("appointments", original, error)
            else:
                rows.append((original, found))
        for first in range(0, len(rows), BATCH):
            piece = rows[first : first + BATCH]
            made = insert(Appointment).returning(Appointment.id, sort_by_parameter_order=True)
            ids = self.session.scalars(made, [values for _, values in piece]).all()
            changes = []
            for made_id, (original, values) in zip(ids, piece, strict=True):
                self._note("appointments", "appointment", original, made_id)
                booked = {"event": "booked", "by": values["booked_by"], "new_start": values["start"]}
                changes.append(booked | {"appointment_id": made_id, "at": values["created_at"]})
                if values["status"] in LIVE_STATES and values["end"] > now:
                    self.moved.to_plan.append(made_id)
            self.session.execute(insert(AppointmentChange), changes)
        self.moved.added["appointments"] += len(rows)
        self._write_notes()

    def _taken(self) -> dict[int, list[tuple[datetime, datetime]]]:
        """Hold the professionals, and return their live appointments' times, from the first on."""
        found: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
        professionals = sorted(set(self.ids["users"].values()))
        for professional in professionals:
            find(self.session, Professional, professional, "professional_id", lock=True)
        for first in range(0, len(professionals), BATCH):
            times = select(Appointment.professional_id, Appointment.blocked_from, Appointment.blocked_until).where(
                Appointment.professional_id.in_(professionals[first : first + BATCH]),
                Appointment.status.in_(LIVE_STATES),
            )
            for professional, begin, end in self.session.execute(times.order_by(Appointment.blocked_from)):
                found[professional].append((begin, end))
        return found

    def _appointment(self, row: Row, services: Mapping[int, Service]) -> dict[str, Any]:
        ids = {
            name: self._named(row, column, table)
            for name, column, table in (
                ("branch_id", "branchId", "branches"),
                ("professional_id", "userId", "users"),
                ("service_id", "serviceId", "services"),
                ("client_id", "clientId", "clients"),
            )
        }
        service = services[ids["service_id"]]
        status = row.get("status") or PENDING
        if status not in APPOINTMENT_STATES:
            raise ValidationFailed("status", f"must be one of {', '.join(APPOINTMENT_STATES)}")
        start = _moment(row, "startTime")
        end = _moment(row, "endTime") if row.get("endTime") else start + timedelta(minutes=service.duration_minutes)
        if end <= start:
            raise ValidationFailed("endTime", "must be after startTime")
        before, after = service.buffer_before_minutes, service.buffer_after_minutes
        blocked = start - timedelta(minutes=before), end + timedelta(minutes=after)
        return ids | {
            "start": start,
            "end": end,
            "blocked_from": blocked[0],
            "blocked_until": blocked[1],
            "status": status,
            "booked_by": "client" if row.get("isOnline") else "staff",
            "notes": plain_text("notes", str(row.get("notes") or "")),
            "created_at": _moment(row, "createdAt") if row.get("createdAt") else min(start, utcnow()),
        }

    def _named(self, row: Row, column: str, table: str) -> int:
        found = self.ids[table].get(_id(row.get(column)))
        if found is None:
            raise ValidationFailed(
                column, f"{_id(row.get(column)) or 'nothing'} is not among the {table} that were brought in"
            )
        return found

    def _each(self, table: str, model: type[Base], bring: Callable[[Row], int], rows: list[Row] | None = None) -> None:
        """Bring each row that is not here yet; what `bring` did not count as added was there."""
        before = self.moved.added[table]
        done = 0
        for original, row in self._new(table, model, self.tables[table] if rows is None else rows):
            try:
                self._note(table, model.__tablename__, original, bring(row))
                done += 1
            except ValidationFailed as error:
                self._refuse(table, original, error)
        self.moved.there[table] += done - (self.moved.added[table] - before)
        self._write_notes()

    def _new(self, table: str, model: type[Base], rows: Sequence[Row]) -> list[tuple[str, Row]]:
        """Return those rows, with their ids, that no earlier run brought; put what became of the others into `ids`."""
        found: dict[str, Row] = {}
        for number, row in enumerate(rows, 1):
            original = _id(row.get("id"))
            if not original:
                self._refuse(table, f"row {number}", ValidationFailed("id", "give each row its id"))
            elif original in found:
                self._refuse(table, original, ValidationFailed("id", "two rows have this id"))
            else:
                found[original] = row
        for piece in _pieces(list(found)):
            known = select(ImportedRow.original_id, ImportedRow.row_id).where(
                ImportedRow.source == SOURCE,
                ImportedRow.kind == model.__tablename__,
                ImportedRow.original_id.in_(piece),
            )
            self.ids[table].update((original, row_id) for original, row_id in self.session.execute(known))
        done = set(self.ids[table])
        self.moved.there[table] += len(done)
        self._follow(table, model)
        return [(original, row) for original, row in found.items() if original not in done]

    def _follow(self, table: str, model: type[Base]) -> None:
        """Leave out what is gone since, but for clients who were merged: they are somebody else now."""
        by_row = {row_id: original for original, row_id in self.ids[table].items()}
        gone = set(by_row)
        for piece in _pieces(list(by_row)):
            gone -= set(self.session.scalars(select(model.id).where(model.id.in_(piece))))
        if model is Client and gone:
            merges = select(ClientMerge.merged_id, ClientMerge.into_id).where(ClientMerge.merged_id.in_(gone))
            for merged, into in self.session.execute(merges):
                self.ids[table][by_row[merged]] = into
                gone.discard(merged)
        for row_id in gone:
            del self.ids[table][by_row[row_id]]

    def _note(self, table: str, kind: str, original: str, row_id: int) -> None:
        self.ids[table][original] = row_id
        self.notes.append({"source": SOURCE, "kind": kind, "original_id": original, "row_id": row_id})

    def _write_notes(self) -> None:
        if self.notes:
            self.session.execute(insert(ImportedRow), self.notes)
            self.notes = []

    def _refuse(self, table: str, original: str, error: ValidationFailed) -> None:
        column = CLIENT_FIELDS.get(error.field or "", error.field or "") if table == "clients" else error.field or ""
        self.moved.refused.append(RowRefused(table, original, column, str(error).partition(": ")[2]))


def _pieces(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), BATCH):
        yield items[first : first + BATCH]


def _take(taken: list[tuple[datetime, datetime]], begin: datetime, until: datetime) -> None:
    """Put a time among those of a professional, which do not overlap and are sorted; refuse what overlaps one."""
    at = bisect_left(taken, (begin, until))
    near = taken[max(at - 1, 0) : at + 1]
    if any(one_begin < until and begin < one_until for one_begin, one_until in near):
        raise ValidationFailed("startTime", "the professional has another live appointment then: settle one of the two")
    insort(taken, (begin, until))


def _id(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if value is not None and not isinstance(value, str | int):
        raise ValidationFailed(column, "give a text")
    return str(value or "").strip()


def _is_active(row: Row) -> bool:
    return row.get("isActive") is not False


def _cells(row: Row) -> dict[str, list[str]]:
    """Return a client's row as a line of a table. We have no address of clients: it goes into the notes."""
    cells = {ours: [_text(row, theirs)] for ours, theirs in CLIENT_FIELDS.items() if row.get(theirs)}
    if row.get("address"):
        cells.setdefault("notes", []).append(_text(row, "address"))
    return cells


def _moment(row: Row, column: str) -> datetime:
    """Return a time in UTC, which is what its database means by one without a zone."""
    try:
        at = datetime.fromisoformat(_text(row, column))
        return at.replace(tzinfo=UTC) if at.utcoffset() is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValidationFailed(column, "write it like 2025-11-30T16:00:00Z") from None
