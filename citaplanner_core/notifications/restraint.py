"""Whether now is the moment: pauses, the daily limit, quiet hours. Asked when a message is about to leave."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Tenant
from citaplanner_core.notifications.models import (
    APPOINTMENT_CANCELLATION,
    APPOINTMENT_CONFIRMATION,
    APPOINTMENT_RESCHEDULE,
    DELIVERED,
    MARKETING_TYPES,
    PLANNED_KEY,
    READ,
    SENDING,
    SENT,
    SKIPPED,
    STAFF_ALERT,
    Notification,
)
from citaplanner_core.notifications.rules import BEFORE, Rule
from citaplanner_core.notifications.timing import LEAST_NOTICE, quiet_hours, wall

AT_ONCE = timedelta(minutes=15)
"""An answer to what the client just did is one for this long."""
SPREAD_SECONDS = 600
"""What waited for the end of quiet hours leaves over this time, so that not everything leaves in one second."""
CHANGES = (APPOINTMENT_CONFIRMATION, APPOINTMENT_RESCHEDULE, APPOINTMENT_CANCELLATION)


@dataclass(frozen=True, slots=True)
class Verdict(Exception):
    """Why this notification is not sent now: its final status, and its reason of the closed list where there is one."""

    status: str
    reason: str | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Defer(Exception):
    """This notification waits until a moment (aware UTC): `why` in words, `reason` of the closed list or None."""

    until: datetime
    why: str
    reason: str | None = None


def require_moment(
    session: Session, notification: Notification, rule: Rule | None, tenant: Tenant, now: datetime
) -> None:
    """Raise a `Defer` or a `Verdict` when an automatic message should not leave now.

    Automatic is what a rule planned, and marketing. What answers the client's own action, within a quarter of an hour,
    always leaves. Order: pause, daily limit, quiet hours.
    """
    marketing = notification.type in MARKETING_TYPES
    automatic = marketing or notification.dedupe_key.startswith(PLANNED_KEY)
    prompted = notification.prompted and now - notification.created_at < AT_ONCE
    if not automatic or prompted or notification.type == STAFF_ALERT:
        return
    appointment = notification.appointment
    zone = ZoneInfo(appointment.branch.zone if appointment else tenant.zone)
    quiet = quiet_hours(tenant.quiet_from, tenant.quiet_until, zone)
    latest = _latest(notification, rule)
    paused_until = notification.recipient.paused_until
    if paused_until is not None and paused_until > now:
        if latest is not None and paused_until > latest:
            raise Verdict(SKIPPED, "paused_by_agent", notification.recipient.paused_why)
        raise Defer(paused_until, f"paused: {notification.recipient.paused_why}", "paused_by_agent")
    if tenant.daily_limit is not None and notification.type not in CHANGES:
        midnight = wall(now.astimezone(zone).date(), time(), zone)
        if _told_since(session, notification, midnight) >= tenant.daily_limit:
            tomorrow = wall(now.astimezone(zone).date() + timedelta(days=1), time(), zone)
            if marketing or (latest is not None and tomorrow > latest):
                raise Verdict(SKIPPED, "daily_limit", f"{tenant.daily_limit} automatic messages today already")
            raise Defer(tomorrow, f"{tenant.daily_limit} automatic messages today already", "daily_limit")
    window = quiet.window(now) if quiet else None
    if window is None:
        return
    until = window[1] + timedelta(seconds=notification.id % SPREAD_SECONDS)
    if latest is None or until <= latest:
        raise Defer(until, "quiet hours")
    if window[1] <= latest:
        raise Defer(window[1], "quiet hours")
    if notification.type not in CHANGES:  # a change untold is worse than a message at night
        raise Verdict(SKIPPED, "too_late", "after quiet hours it would be too close to the appointment")


def _latest(notification: Notification, rule: Rule | None) -> datetime | None:
    """Return the latest moment at which the message is still of use."""
    appointment = notification.appointment
    if appointment is not None and (rule is None or rule.trigger in BEFORE or notification.type in CHANGES):
        return appointment.start - LEAST_NOTICE
    return notification.expires_at


def _told_since(session: Session, notification: Notification, since: datetime) -> int:
    """Count the automatic messages that left for this person since then, or are leaving ahead of this one."""
    left = and_(Notification.status.in_((SENT, DELIVERED, READ)), Notification.sent_at >= since)
    leaving = and_(Notification.status == SENDING, Notification.id < notification.id)
    count = select(func.count(Notification.id)).where(
        Notification.recipient_id == notification.recipient_id,
        or_(left, leaving),
        or_(Notification.dedupe_key.startswith(PLANNED_KEY), Notification.type.in_(MARKETING_TYPES)),
        Notification.prompted.is_(False),
    )
    return session.scalar(count) or 0
