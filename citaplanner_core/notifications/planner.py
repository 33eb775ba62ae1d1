"""What an appointment's change means for messages: planned in the booking's own transaction."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, wake
from citaplanner_core.hooks.types import AppointmentEvent
from citaplanner_core.notifications.models import (
    APPOINTMENT_CANCELLATION,
    APPOINTMENT_CONFIRMATION,
    APPOINTMENT_REMINDER,
    APPOINTMENT_RESCHEDULE,
    CANCELLED,
    SKIPPED,
    SUPERSEDED,
    Notification,
)

PENDING = "PENDING"
REMINDER_MINUTES = (1440, 60)


def plan(session: Session, event: AppointmentEvent) -> None:
    """Write the notifications that an appointment event asks for, and take back those it makes untrue.

    Booked: a confirmation and the reminders. Rescheduled: what waits is superseded; a change message and new
    reminders. Cancelled: what waits is cancelled; a cancellation message unless the client did it. Completed,
    no-show: what waits is cancelled. One key per (appointment, schedule version, rule, recipient): planning twice
    writes once.
    """
    if event.name == "rescheduled":
        _take_back(session, event, SUPERSEDED, "superseded")
    elif event.name in ("cancelled", "completed", "no_show"):
        _take_back(
            session,
            event,
            CANCELLED,
            "appointment_cancelled" if event.name == "cancelled" else "appointment_past",
        )
    if event.name == "booked":
        _write(session, event, APPOINTMENT_CONFIRMATION, "confirmation")
        _write_reminders(session, event)
    elif event.name == "rescheduled":
        old_start = event.old_start.isoformat() if event.old_start else None
        _write(session, event, APPOINTMENT_RESCHEDULE, "reschedule", old_start=old_start)
        _write_reminders(session, event)
    elif event.name == "cancelled" and event.by != "client":
        _write(session, event, APPOINTMENT_CANCELLATION, "cancellation")


def _take_back(session: Session, event: AppointmentEvent, status: str, reason: str) -> None:
    session.execute(
        update(Notification)
        .where(
            Notification.appointment_id == event.appointment_id,
            Notification.status == PENDING,
            Notification.rule != "manual",
        )
        .values(status=status, reason=reason)
    )


def _write_reminders(session: Session, event: AppointmentEvent) -> None:
    for minutes in REMINDER_MINUTES:
        _write(session, event, APPOINTMENT_REMINDER, f"reminder:{minutes}", minutes=minutes)


def _write(
    session: Session,
    event: AppointmentEvent,
    kind: str,
    rule: str,
    *,
    minutes: int | None = None,
    old_start: str | None = None,
) -> None:
    key = f"appointment:{event.appointment_id}:v{event.schedule_version}:{rule}:{event.client_id}"
    if session.scalar(select(Notification.id).where(Notification.dedupe_key == key)):
        return
    now = database_now(session)
    due = now if minutes is None else event.start - timedelta(minutes=minutes)
    late = minutes is not None and due <= now
    session.add(
        Notification(
            type=kind,
            rule=rule,
            template=kind if minutes is None else f"{kind}:{minutes}",
            recipient_id=event.client_id,
            appointment_id=event.appointment_id,
            schedule_version=event.schedule_version,
            variables={"oldStart": old_start} if old_start else {},
            dedupe_key=key,
            due=due,
            expires_at=None if kind == APPOINTMENT_CANCELLATION else event.start,
            status=SKIPPED if late else PENDING,
            reason="too_late" if late else None,
        )
    )
    wake(session)
