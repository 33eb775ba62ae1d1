"""Everything that happened to an appointment, or to a client, in order: who did what, what was said, and why not.

Each kind of thing is read by its own time, so that a page costs the same however long the history is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, or_, select, true
from sqlalchemy.orm import Session, aliased

from citaplanner_core.booking.errors import LARGEST_ID, ValidationFailed
from citaplanner_core.booking.models import Appointment, AppointmentChange, Tenant
from citaplanner_core.database import current_tenant
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.types import TimelineEntry
from citaplanner_core.jobs.models import PENDING
from citaplanner_core.notifications.explaining import Explainer, explainer
from citaplanner_core.notifications.models import (
    CANCELLED,
    FAILED,
    SENDING,
    SKIPPED,
    SUPERSEDED,
    Delivery,
    Notification,
)

HOOK = "timeline_entries"
MOST = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLUGIN_RANK = 100

Kind = Literal["change", "answer", "planned", "waiting", "delivery", "delivered", "read", "outcome", "message"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a timeline: after the entry of this moment, kind (`rank`) and row."""

    at: datetime
    rank: int
    row_id: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.rank}-{self.row_id}"


def read_cursor(text: str) -> Cursor:
    """Read what a page gave as `next`; raise `ValidationFailed` for anything else."""
    try:
        microseconds, rank, row_id = (int(part) for part in text.split("-"))
        if not (0 <= rank < LARGEST_ID and 0 <= row_id <= LARGEST_ID):
            raise ValueError
        return Cursor(_EPOCH + timedelta(microseconds=microseconds), rank, row_id)
    except (ValueError, OverflowError):
        raise ValidationFailed("after", "give the `next` of the page before, or leave it out") from None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, or that waits (`at` is when it is due).

    `what`, `why` and `cure` are plain words; `reason` is the code behind `why`, `detail` what a provider or program
    said. `text` is what the client, or we, said. `status` is that of the notification or of the attempt.
    """

    at: datetime
    kind: Kind
    what: str
    why: str | None = None
    cure: str | None = None
    reason: str | None = None
    detail: str | None = None
    text: str | None = None
    by: str | None = None
    appointment_id: int | None = None
    notification_id: int | None = None
    type: str | None = None
    status: str | None = None
    channel: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows belong to the timeline."""

    appointments: ColumnElement[bool]
    changes: ColumnElement[bool]
    notifications: ColumnElement[bool]
    client_id: int | None
    appointment_id: int | None


def of_appointment(appointment_id: int) -> Scope:
    """The timeline of one appointment."""
    return Scope(
        Appointment.id == appointment_id,
        AppointmentChange.appointment_id == appointment_id,
        Notification.appointment_id == appointment_id,
        None,
        appointment_id,
    )


def of_client(client_id: int) -> Scope:
    """The timeline of one client: their appointments, and all they were told."""
    theirs = select(Appointment.id).where(Appointment.client_id == client_id)
    told = aliased(Notification)
    # Two lists of ids, not one condition with OR: that would make PostgreSQL read every notification there is.
    sent = select(told.id).where(told.recipient_id == client_id)
    about = select(told.id).where(told.appointment_id.in_(theirs))
    return Scope(
        Appointment.client_id == client_id,
        AppointmentChange.appointment_id.in_(theirs),
        Notification.id.in_(sent.union_all(about)),
        client_id,
        None,
    )


def of_notification(notification_id: int) -> Scope:
    """The timeline of one notification alone."""
    nothing = Appointment.id == 0
    return Scope(nothing, AppointmentChange.id == 0, Notification.id == notification_id, None, None)


def read(
    session: Session, scope: Scope, *, after: Cursor | None = None, limit: int = MOST, language: str | None = None
) -> tuple[list[Entry], Cursor | None]:
    """Return at most `limit` entries after a cursor, oldest first, and the cursor to go on from, None at the end.

    `language` is a code, None that of the tenant. Times within the words are those of the tenant's zone.
    """
    tenant = session.get_one(Tenant, current_tenant())
    reader = _Reader(session, scope, explainer(language or tenant.language, tenant.zone), after, limit + 1)
    found = sorted(reader.entries(), key=lambda pair: (pair[0].at, pair[0].rank, pair[0].row_id))
    page = found[:limit]
    return [entry for _, entry in page], page[-1][0] if len(found) > limit else None


def read_all(session: Session, scope: Scope, *, language: str | None = None) -> Iterator[Entry]:
    """Give every entry, page by page."""
    entries, place = read(session, scope, language=language)
    yield from entries
    while place is not None:
        entries, place = read(session, scope, after=place, language=language)
        yield from entries


class _Reader:
    def __init__(self, session: Session, scope: Scope, words: Explainer, after: Cursor | None, limit: int) -> None:
        self.session, self.scope, self.words, self.after, self.limit = session, scope, words, after, limit

    def entries(self) -> Iterator[tuple[Cursor, Entry]]:
        sources: Sequence[tuple[Any, Any, Callable[..., Entry]]] = (
            (AppointmentChange.at, select(AppointmentChange).where(self.scope.changes), self._change),
            (Appointment.answered_at, select(Appointment).where(self.scope.appointments), self._answer),
            (Notification.created_at, self._notifications(), self._planned),
            (Delivery.started_at, self._deliveries(), self._attempt),
            (Delivery.delivered_at, self._deliveries(), self._delivered),
            (Delivery.read_at, self._deliveries(), self._read),
            (Notification.changed_at, self._notifications(FAILED, SKIPPED, CANCELLED, SUPERSEDED), self._outcome),
            (Notification.due, self._notifications(PENDING, SENDING), self._waiting),
        )
        for rank, (time, statement, entry) in enumerate(sources):
            owner = time.class_
            statement = statement.where(time.is_not(None), self._later(time, owner.id, rank))
            rows = self.session.execute(statement.order_by(time, owner.id).limit(self.limit))
            for row, *more in rows:
                yield Cursor(getattr(row, time.key), rank, row.id), entry(row, *more)
        yield from self._of_plugins()

    def _later(self, time: Any, row_id: Any, rank: int) -> ColumnElement[bool]:
        place = self._place(rank)
        if place is None:
            return true()
        at, after_id = place
        return or_(time > at, and_(time == at, row_id > after_id))

    def _place(self, rank: int) -> tuple[datetime, int] | None:
        """Where rows of this rank begin: after this moment, or at it with a larger id."""
        if self.after is None:
            return None
        same = self.after.row_id if rank == self.after.rank else 0 if rank > self.after.rank else LARGEST_ID
        return self.after.at, same

    def _notifications(self, *statuses: str) -> Select[Notification]:
        found = select(Notification).where(self.scope.notifications)
        return found.where(Notification.status.in_(statuses)) if statuses else found

    def _deliveries(self) -> Select[Delivery, Notification]:
        joined = select(Delivery, Notification).join(Notification, Notification.id == Delivery.notification_id)
        return joined.where(self.scope.notifications)

    def _of_plugins(self) -> Iterator[tuple[Cursor, Entry]]:
        if self.scope.client_id is None and self.scope.appointment_id is None:
            return
        allowed = dispatch.enabled_plugins(self.session)
        for rank, name in enumerate(sorted(allowed), start=_PLUGIN_RANK):
            given = {
                "client_id": self.scope.client_id,
                "appointment_id": self.scope.appointment_id,
                "after": self._place(rank),
                "limit": self.limit,
            }
            found = dispatch.collect_items_inside(self.session, HOOK, TimelineEntry, frozenset({name}), **given)
            for _, said in found:
                yield Cursor(said.at, rank, said.id), self._message(said)

    def _change(self, row: AppointmentChange) -> Entry:
        moments = {"old": self.words.moment(row.old_start), "new": self.words.moment(row.new_start)}
        what = self.words.say("changes", row.event, by=self.words.say("actors", row.by), **moments)
        return Entry(row.at, "change", what, why=row.reason, by=row.by, appointment_id=row.appointment_id)

    def _answer(self, row: Appointment) -> Entry:
        assert row.answered_at is not None
        what = self.words.say("answers", row.answer)
        return Entry(row.answered_at, "answer", what, text=row.answer_words, by="client", appointment_id=row.id)

    def _planned(self, row: Notification) -> Entry:
        return self._about(row, row.created_at, "planned", "planned" if row.retry_of is None else "again")

    def _waiting(self, row: Notification) -> Entry:
        step = "waiting" if row.status == PENDING else SENDING
        return replace(self._explained(row, row.due, "waiting", step), status=row.status)

    def _outcome(self, row: Notification) -> Entry:
        return replace(self._explained(row, row.changed_at, "outcome", row.status), status=row.status)

    def _attempt(self, row: Delivery, notification: Notification) -> Entry:
        if row.attempt == 0:
            step = "attempt_untried"
        else:
            # a failure that the provider reported later ends an attempt that did get out
            got_out = row.status not in (SENDING, FAILED) or row.provider_id is not None
            step = "attempt_SENT" if got_out else f"attempt_{row.status}"
        entry = self._about(notification, row.started_at, "delivery", step, channel=row.channel, attempt=row.attempt)
        why, cure = self.words.reason(row.reason)
        return replace(
            entry,
            why=why,
            cure=cure,
            reason=row.reason,
            detail=row.error,
            text=row.body or None,
            status=row.status,
            channel=row.channel,
            attempt=row.attempt,
        )

    def _delivered(self, row: Delivery, notification: Notification) -> Entry:
        assert row.delivered_at is not None
        entry = self._about(notification, row.delivered_at, "delivered", "delivered", channel=row.channel)
        return replace(entry, channel=row.channel, attempt=row.attempt)

    def _read(self, row: Delivery, notification: Notification) -> Entry:
        assert row.read_at is not None
        entry = self._about(notification, row.read_at, "read", "read")
        return replace(entry, channel=row.channel, attempt=row.attempt)

    def _explained(self, row: Notification, at: datetime, kind: Kind, step: str) -> Entry:
        why, cure = self.words.reason(row.reason)
        entry = self._about(row, at, kind, step)
        return replace(entry, why=why, cure=cure, reason=row.reason, detail=row.error, channel=row.channel)

    def _about(self, row: Notification, at: datetime, kind: Kind, step: str, **values: object) -> Entry:
        values |= {"name": self.words.name(row), "due": self.words.moment(row.due), "retry_of": row.retry_of}
        what = self.words.say("steps", step, **values)
        return Entry(at, kind, what, appointment_id=row.appointment_id, notification_id=row.id, type=row.type)

    def _message(self, said: TimelineEntry) -> Entry:
        what = self.words.say(
            "steps", "client_wrote" if said.by == "client" else "business_wrote", channel=said.channel
        )
        return Entry(
            said.at,
            "message",
            what,
            text=said.text,
            by=said.by,
            detail=said.detail,
            channel=said.channel,
            appointment_id=said.appointment_id,
            notification_id=said.notification_id,
        )
