"""Whether now is the moment: pauses, the daily limit, quiet hours. Asked when a message is about to leave."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.orm import Session

from citaplanner_core.database import tenant_connection
from citaplanner_core.notifications.facts import Facts
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


def require_moment(session: Session, facts: Facts, rule: Rule | None) -> None:
    """Raise a `Defer` or a `Verdict` when an automatic message should not leave now.

    Automatic is what a rule planned, and marketing. What answers the client's own action, within a quarter of an hour,
    always leaves. Order: pause, daily limit, quiet hours.
    """
    intent, tenant, now = facts.intent, facts.tenant, facts.now
    marketing = intent.type in MARKETING_TYPES
    automatic = marketing or intent.dedupe_key.startswith(PLANNED_KEY)
    prompted = intent.prompted and now - intent.created_at < AT_ONCE
    if not automatic or prompted or intent.type == STAFF_ALERT:
        return
    zone = ZoneInfo(facts.visit.branch.zone if facts.visit else tenant.zone)
    quiet = quiet_hours(tenant.quiet_from, tenant.quiet_until, zone)
    latest = _latest(facts, rule)
    paused_until, paused_why = facts.recipient.paused_until, facts.recipient.paused_why
    if paused_until is not None and paused_until > now:
        if latest is not None and paused_until > latest:
            raise Verdict(SKIPPED, "paused_by_agent", paused_why)
        raise Defer(paused_until, f"paused: {paused_why}", "paused_by_agent")
    if tenant.daily_limit is not None and intent.type not in CHANGES:
        midnight = wall(now.astimezone(zone).date(), time(), zone)
        if _told_since(session, facts, midnight) >= tenant.daily_limit:
            tomorrow = wall(now.astimezone(zone).date() + timedelta(days=1), time(), zone)
            if marketing or (latest is not None and tomorrow > latest):
                raise Verdict(SKIPPED, "daily_limit", f"{tenant.daily_limit} automatic messages today already")
            raise Defer(tomorrow, f"{tenant.daily_limit} automatic messages today already", "daily_limit")
    window = quiet.window(now) if quiet else None
    if window is None:
        return
    until = window[1] + timedelta(seconds=intent.id % SPREAD_SECONDS)
    if latest is None or until <= latest:
        raise Defer(until, "quiet hours")
    if window[1] <= latest:
        raise Defer(window[1], "quiet hours")
    if intent.type not in CHANGES:  # a change untold is worse than a message at night
        raise Verdict(SKIPPED, "too_late", "after quiet hours it would be too close to the appointment")


def _latest(facts: Facts, rule: Rule | None) -> datetime | None:
    """Return the latest moment at which the message is still of use."""
    visit = facts.visit
    if visit is not None and (rule is None or rule.trigger in BEFORE or facts.intent.type in CHANGES):
        return visit.start - LEAST_NOTICE
    return facts.intent.expires_at


_note: Any = Notification.__table__
_LEFT = and_(_note.c.status.in_((SENT, DELIVERED, READ)), _note.c.sent_at >= bindparam("since"))
_LEAVING = and_(_note.c.status == SENDING, _note.c.id < bindparam("id"))
_TOLD = select(func.count(_note.c.id)).where(
    _note.c.tenant_id == bindparam("tenant_id"),
    _note.c.recipient_id == bindparam("recipient_id"),
    or_(_LEFT, _LEAVING),
    or_(_note.c.dedupe_key.startswith(PLANNED_KEY), _note.c.type.in_(MARKETING_TYPES)),
    _note.c.prompted.is_(False),
)


def _told_since(session: Session, facts: Facts, since: datetime) -> int:
    """Count the automatic messages that left for this person since then, or are leaving ahead of this one."""
    intent = facts.intent
    given = {"tenant_id": facts.tenant.id, "recipient_id": intent.recipient_id, "since": since, "id": intent.id}
    return int(tenant_connection(session).execute(_TOLD, given).scalar_one())
