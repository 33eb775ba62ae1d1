"""The verbs of appointments: each checks, changes the row, notes the change and publishes one event.

They take the session of an open, writing `work(tenant)` and plain values, raise `BookingError`s, and never commit.
A verb that finds its work done (cancelling what is cancelled) returns the appointment and tells nobody, whatever
version the caller expected: that is a repeated request, not a conflict (RFC 9110, 13.1.1).
Locks are taken in one order: the appointment, then professionals by id. A booking, which has no appointment yet, holds
its client first, so that they are not merged or erased meanwhile; who does that holds appointments before clients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from citaplanner_core.booking.availability import require_offered
from citaplanner_core.booking.errors import (
    NotAllowed,
    StaleVersion,
    ValidationFailed,
    Wanted,
    find,
    one_of,
    plain_text,
    utc,
)
from citaplanner_core.booking.models import (
    ACTORS,
    ANSWERS,
    CANCELLED,
    COMPLETED,
    CONFIRMED,
    LIVE_STATES,
    NO_SHOW,
    PENDING,
    Appointment,
    AppointmentChange,
    Client,
    Tenant,
)
from citaplanner_core.booking.schedule import find_active, read_together, take_time, taken_if_excluded
from citaplanner_core.database import current_tenant, utcnow
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.types import AppointmentEvent

Actor = Literal["client", "staff", "system"]
Booker = Literal["client", "staff"]
Answer = Literal["yes", "no", "move"]

BOOKERS = ("client", "staff")


@dataclass(frozen=True, slots=True)
class _Step:
    verb: str
    sources: tuple[str, ...]
    target: str


STEPS: Mapping[str, _Step] = {
    "confirmed": _Step("confirm", (PENDING,), CONFIRMED),
    "cancelled": _Step("cancel", LIVE_STATES, CANCELLED),
    "completed": _Step("complete", LIVE_STATES, COMPLETED),
    "no_show": _Step("mark as no-show", LIVE_STATES, NO_SHOW),
}
"""Event -> from which states its verb leads to which. A live appointment may also be rescheduled; the rest is final."""


def book(
    session: Session,
    *,
    client_id: int,
    service_id: int,
    professional_id: int,
    branch_id: int,
    start: datetime,
    booked_by: Booker = "client",
    notes: str = "",
) -> Appointment:
    """Book `start` (aware) for as long as the service takes now, and return the appointment.

    It starts CONFIRMED when staff books or the tenant confirms automatically, else PENDING. A client books what the
    business offers (`availability`); staff may overrule hours, notice and horizon, and note what has been. Raises
    `SlotTaken`, `NotOffered`, `NotFound` or `ValidationFailed`.
    """
    one_of("booked_by", booked_by, BOOKERS)
    notes = plain_text("notes", notes)
    start = _start(start, booked_by)
    named = read_together(session, client_id, service_id, professional_id, branch_id)
    find_active(session, Client, client_id, "client_id")
    schedule = take_time(session, start, professional_id=professional_id, service_id=service_id, branch_id=branch_id)
    if booked_by == "client":
        require_offered(session, Wanted(service_id, branch_id, professional_id, start))
    at_once = booked_by == "staff" or _confirmation(session) == "automatic"
    appointment = Appointment(
        **schedule,
        client_id=client_id,
        status=CONFIRMED if at_once else PENDING,
        booked_by=booked_by,
        notes=notes,
        version=0,
        schedule_version=1,
    )
    session.add(appointment)
    _record(session, appointment, "booked", by=booked_by)
    del named  # until here, so that nothing it holds was read again
    return appointment


def confirm(
    session: Session,
    appointment_id: int,
    *,
    by: Actor,
    reason: str | None = None,
    expected_version: int | None = None,
) -> Appointment:
    """Make a PENDING appointment CONFIRMED. What a client answered goes to `record_answer`, which knows if it may."""
    return _step(session, appointment_id, "confirmed", by=by, reason=reason, expected_version=expected_version)


def cancel(
    session: Session,
    appointment_id: int,
    *,
    by: Actor,
    reason: str | None = None,
    expected_version: int | None = None,
) -> Appointment:
    """Call a live appointment off; its time is free again. Raises `NotAllowed`, `NotFound`, `StaleVersion`."""
    return _step(session, appointment_id, "cancelled", by=by, reason=reason, expected_version=expected_version)


def is_too_late_to_cancel(tenant: Tenant, appointment: Appointment, at: datetime) -> bool:
    """Tell whether a client who cancels or moves at this moment (aware UTC) must call instead."""
    notice = timedelta(minutes=tenant.cancel_notice_minutes)
    return bool(notice) and appointment.start - at < notice


def complete(
    session: Session,
    appointment_id: int,
    *,
    by: Actor,
    reason: str | None = None,
    expected_version: int | None = None,
) -> Appointment:
    """Note that a live appointment took place. Raises `NotAllowed`, `NotFound`, `StaleVersion`."""
    return _step(session, appointment_id, "completed", by=by, reason=reason, expected_version=expected_version)


def mark_no_show(
    session: Session,
    appointment_id: int,
    *,
    by: Actor,
    reason: str | None = None,
    expected_version: int | None = None,
) -> Appointment:
    """Note that the client did not come. Raises `NotAllowed`, `NotFound`, `StaleVersion`."""
    return _step(session, appointment_id, "no_show", by=by, reason=reason, expected_version=expected_version)


def reschedule(
    session: Session,
    appointment_id: int,
    *,
    start: datetime,
    professional_id: int | None = None,
    service_id: int | None = None,
    branch_id: int | None = None,
    by: Actor,
    reason: str | None = None,
    expected_version: int | None = None,
) -> Appointment:
    """Move a live appointment to another start, professional, service or branch; None keeps what it has.

    It lasts as long as the service takes now. Clients move to what the business offers, as in `book`. The client's
    answer was about the old time and becomes `none`.
    PENDING stays PENDING. CONFIRMED stays CONFIRMED unless it stood on the word of the other side: a client's "yes"
    when the business moves it, the staff's confirmation (tenant confirms by `staff`) when the client moves it.
    Raises `SlotTaken`, `NotOffered`, `NotAllowed`, `NotFound`, `StaleVersion`, `ValidationFailed`.
    """
    one_of("by", by, ACTORS)
    start = utc("start", start)
    reason = _reason(reason)
    appointment = find(session, Appointment, appointment_id, "appointment_id", lock=True)
    _require_state(appointment, "reschedule", LIVE_STATES)
    professional_id = appointment.professional_id if professional_id is None else professional_id
    service_id = appointment.service_id if service_id is None else service_id
    branch_id = appointment.branch_id if branch_id is None else branch_id
    if (start, professional_id, service_id, branch_id) == (
        appointment.start,
        appointment.professional_id,
        appointment.service_id,
        appointment.branch_id,
    ):
        return appointment
    _require_version(appointment, expected_version)
    schedule = take_time(
        session,
        _start(start, by),
        professional_id=professional_id,
        service_id=service_id,
        branch_id=branch_id,
        moving=appointment,
    )
    if by == "client":
        require_offered(session, Wanted(service_id, branch_id, professional_id, start))
    lapses = _moved_by_the_other_side(appointment, _confirmation(session), by)
    old_start = appointment.start
    for column, value in schedule.items():
        setattr(appointment, column, value)
    appointment.schedule_version += 1
    if lapses:
        appointment.status = PENDING
    appointment.answer, appointment.answered_at, appointment.answer_words = "none", None, None
    _record(session, appointment, "rescheduled", by=by, reason=reason, old_start=old_start)
    return appointment


def record_answer(
    session: Session, appointment_id: int, *, answer: Answer, words: str, at: datetime | None = None
) -> Appointment:
    """Keep what the client answered about a live appointment, in their `words`, said at `at` (aware; now if None).

    A "yes" confirms a PENDING appointment, unless the tenant leaves that to its staff. An answer older than the one
    we have changes nothing, so messages may come in any order and more than once. An answer that confirms is a
    `confirmed` event by the client; others are no event. Raises `NotAllowed`, `NotFound`, `ValidationFailed`.
    """
    one_of("answer", answer, ANSWERS[1:])
    words = plain_text("words", words)
    at = utcnow() if at is None else utc("at", at)
    appointment = find(session, Appointment, appointment_id, "appointment_id", lock=True)
    if appointment.answered_at is not None and at < appointment.answered_at:
        return appointment
    confirms = answer == "yes" and appointment.status == PENDING and _confirmation(session) != "staff"
    if not confirms and (answer, words) == (appointment.answer, appointment.answer_words):
        return appointment
    _require_state(appointment, "answer", LIVE_STATES)
    appointment.answer, appointment.answered_at, appointment.answer_words = answer, at, words
    if confirms:
        appointment.status = CONFIRMED
        _record(session, appointment, "confirmed", by="client")
    else:
        appointment.version += 1
        session.flush()
    return appointment


def _step(
    session: Session,
    appointment_id: int,
    event: str,
    *,
    by: Actor,
    reason: str | None,
    expected_version: int | None,
) -> Appointment:
    one_of("by", by, ACTORS)
    reason = _reason(reason)
    step = STEPS[event]
    appointment = find(session, Appointment, appointment_id, "appointment_id", lock=True)
    if appointment.status == step.target:
        return appointment
    _require_version(appointment, expected_version)
    _require_state(appointment, step.verb, step.sources)
    appointment.status = step.target
    if step.target == CANCELLED:
        appointment.cancel_reason = reason
    _record(session, appointment, event, by=by, reason=reason)
    return appointment


def _record(
    session: Session,
    appointment: Appointment,
    event: str,
    *,
    by: str,
    reason: str | None = None,
    old_start: datetime | None = None,
) -> None:
    appointment.version += 1
    at = utcnow()
    wanted = Wanted(appointment.service_id, appointment.branch_id, appointment.professional_id, appointment.start)
    with taken_if_excluded(wanted):
        session.flush()
    session.add(
        AppointmentChange(
            appointment_id=appointment.id,
            event=event,
            by=by,
            reason=reason,
            old_start=old_start,
            new_start=appointment.start if event in ("booked", "rescheduled") else None,
            at=at,
        )
    )
    session.flush()
    dispatch.publish(
        session,
        AppointmentEvent(
            name=event,
            tenant_id=appointment.tenant_id,
            branch_id=appointment.branch_id,
            appointment_id=appointment.id,
            client_id=appointment.client_id,
            schedule_version=appointment.schedule_version,
            start=appointment.start,
            occurred_at=at,
            by=by,
            old_start=old_start,
            reason=reason,
        ),
    )


def _moved_by_the_other_side(appointment: Appointment, confirmation: str, by: Actor) -> bool:
    if confirmation == "staff":
        return by == "client"
    return confirmation == "client" and by != "client" and appointment.answer == "yes"


def _start(start: datetime, by: Actor) -> datetime:
    start = utc("start", start)
    if by == "client" and start < utcnow():
        raise ValidationFailed("start", "that time has passed; choose one to come")
    return start


def _reason(reason: str | None) -> str | None:
    return None if reason is None else plain_text("reason", reason)


def _confirmation(session: Session) -> str:
    return session.get_one(Tenant, current_tenant()).confirmation


def _require_state(appointment: Appointment, verb: str, allowed: tuple[str, ...]) -> None:
    if appointment.status not in allowed:
        raise NotAllowed(
            f"you cannot {verb} an appointment that is {appointment.status}, only one that is {' or '.join(allowed)}",
            field="status",
        )


def _require_version(appointment: Appointment, expected: int | None) -> None:
    if expected is not None and expected != appointment.version:
        raise StaleVersion(expected=expected, found=appointment.version)
