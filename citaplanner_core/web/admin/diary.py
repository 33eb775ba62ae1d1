"""A day of a branch: for each professional what follows what, from opening to closing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.hours import (
    DAY_MINUTES,
    Clock,
    Closure,
    Hours,
    Span,
    WorkingHours,
    common,
    joined,
    without,
)
from citaplanner_core.booking.models import (
    CANCELLED,
    LIVE_STATES,
    Appointment,
    Branch,
    Client,
    Professional,
    Service,
)
from citaplanner_core.columns import seconds, seconds_up

USUAL = (8 * 60, 20 * 60)
"""What is shown of a branch that is always open, in minutes; appointments outside are shown, too."""
LONGEST = timedelta(minutes=DAY_MINUTES)
QUARTER = 15 * 60
Kind = Literal["appointment", "elsewhere", "free", "kept", "away", "closed"]


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment as the agenda shows it."""

    id: int
    start: datetime
    end: datetime
    status: str
    answer: str
    client: str
    service: str
    professional_id: int
    branch_id: int
    blocked: Span


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a professional's day, in seconds since 1970.

    `free` may be booked, `kept` is free but for a buffer, `away`: the branch is open and they do not work; `closed`: it
    is not. `elsewhere` is an appointment at another branch.
    """

    kind: Kind
    start: int
    end: int
    visit: Visit | None = None

    @property
    def quarters(self) -> int:
        """How many quarters of an hour it lasts, 1 to 96."""
        return max(1, min(96, round((self.end - self.start) / QUARTER)))


@dataclass(frozen=True, slots=True)
class Column:
    """A professional's day."""

    professional_id: int
    name: str
    pieces: Sequence[Piece]

    @property
    def visits(self) -> int:
        """How many appointments there are here."""
        return sum(piece.kind == "appointment" for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Diary:
    """A day: `columns` of those who work or have appointments, `off` the names of the others.

    `closed` is the name of the closed day ("" without one), None on other days; `is_open`: the branch opens that day;
    `has_hours`: anybody said when.
    """

    day: date
    columns: Sequence[Column]
    off: Sequence[str]
    cancelled: Sequence[Visit]
    closed: str | None
    is_open: bool
    has_hours: bool
    people: Sequence[tuple[int, str]] = field(default_factory=tuple)


def read_diary(session: Session, branch: Branch, day: date, only: int | None = None) -> Diary:
    """Read a day of the branch's clock, of all professionals or `only` one. The number of queries does not grow."""
    probe = Hours(session, branch, *_ends(branch, day))
    starts, ends = probe.clock.moment(day), probe.clock.moment(day, DAY_MINUTES)
    opening = common(probe.opening, [(starts, ends)])
    visits = visits_between(session, starts, ends)
    people = session.execute(
        select(Professional.id, Professional.name, Professional.active).order_by(Professional.name)
    )
    columns, off, names = [], [], []
    has_hours = has_opening_hours(session, branch)
    usual = [(probe.clock.moment(day, USUAL[0]), probe.clock.moment(day, USUAL[1]))]
    shown = opening if has_hours else common(opening, usual)
    here = [visit for visit in visits if visit.branch_id == branch.id and visit.status != CANCELLED]
    shown = joined([*shown, *((int(visit.start.timestamp()), int(visit.end.timestamp())) for visit in here)])
    for person, name, active in people:
        theirs = [one for one in visits if one.professional_id == person and one.status != CANCELLED]
        at_home = any(one.branch_id == branch.id for one in theirs)
        if active or at_home:
            names.append((person, name))
        if only not in (None, person) or not (active or at_home):
            continue
        working = common(probe.working(person), [(starts, ends)])
        if at_home or (working and active):
            pieces = list(pieces_of(shown, working, opening, theirs, branch.id))
            columns.append(Column(person, name, pieces))
        else:
            off.append(name)
    return Diary(
        day=day,
        columns=columns,
        off=off,
        cancelled=[
            one
            for one in visits
            if one.status == CANCELLED and one.branch_id == branch.id and only in (None, one.professional_id)
        ],
        closed=_closed(session, branch, day),
        is_open=bool(opening),
        has_hours=has_hours,
        people=names,
    )


def _ends(branch: Branch, day: date) -> Span:
    clock = Clock(branch.zone)
    return clock.moment(day), clock.moment(day, DAY_MINUTES) - 1


def visits_between(session: Session, starts: int, ends: int) -> list[Visit]:
    """Return all visits of the tenant that lie between two moments, or reach into there, by start."""
    first, last = datetime.fromtimestamp(starts, UTC), datetime.fromtimestamp(ends, UTC)
    rows = session.execute(
        select(  # columns: a busy day has a thousand of them
            *(Appointment.id, Appointment.start, Appointment.end, Appointment.status, Appointment.answer),
            *(Appointment.professional_id, Appointment.branch_id),
            seconds(Appointment.blocked_from).label("blocked_from"),
            seconds_up(Appointment.blocked_until).label("blocked_until"),
            *(Client.first_name, Client.last_name, Service.name),
        )
        .select_from(Appointment)
        .join(Client, Client.id == Appointment.client_id)
        .join(Service, Service.id == Appointment.service_id)
        .where(Appointment.start > first - LONGEST, Appointment.start < last, Appointment.end > first)
        .order_by(Appointment.start, Appointment.id)
    )
    return [
        Visit(
            id=row.id,
            start=row.start,
            end=row.end,
            status=row.status,
            answer=row.answer,
            client=f"{row.first_name} {row.last_name}".strip(),
            service=row.name,
            professional_id=row.professional_id,
            branch_id=row.branch_id,
            blocked=(row.blocked_from, row.blocked_until),
        )
        for row in rows
    ]


def has_opening_hours(session: Session, branch: Branch) -> bool:
    """Tell whether anybody said when the branch opens."""
    found = select(WorkingHours.id).where(WorkingHours.branch_id == branch.id, WorkingHours.professional_id.is_(None))
    return session.scalar(found.limit(1)) is not None


def _closed(session: Session, branch: Branch, day: date) -> str | None:
    found = select(Closure.name).where(
        Closure.first_day <= day,
        Closure.last_day >= day,
        or_(Closure.branch_id.is_(None), Closure.branch_id == branch.id),
    )
    return session.scalar(found.order_by(Closure.id).limit(1))


def pieces_of(
    shown: Sequence[Span], working: Sequence[Span], opening: Sequence[Span], visits: Sequence[Visit], branch_id: int
) -> Iterator[Piece]:
    """Give what follows what of a professional's day, all spans of it, from the first to the last that is `shown`."""
    if not shown:
        return
    blocked = joined(visit.blocked for visit in visits if visit.status in LIVE_STATES)
    free = without(working, blocked)
    at = shown[0][0]
    for visit in visits:
        starts, ends = int(visit.start.timestamp()), int(visit.end.timestamp())
        yield from _between(at, starts, free, working, opening)
        yield Piece("appointment" if visit.branch_id == branch_id else "elsewhere", starts, ends, visit)
        at = max(at, ends)
    yield from _between(at, shown[-1][1], free, working, opening)


def _between(
    start: int, end: int, free: Sequence[Span], working: Sequence[Span], opening: Sequence[Span]
) -> Iterator[Piece]:
    if start >= end:
        return
    gap = [(start, end)]
    kinds: tuple[tuple[Kind, list[Span]], ...] = (
        ("free", common(free, gap)),
        ("kept", common(without(working, free), gap)),
        ("away", common(without(opening, working), gap)),
        ("closed", without(gap, opening)),
    )
    found = [Piece(kind, *span) for kind, spans in kinds for span in spans]
    yield from sorted(found, key=lambda piece: piece.start)
