"""Whether what Chatwoot tells us comes in and is acted on: figures, a health check, and staff told of silence."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.hours import opening_hours
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import system_work, utcnow, work
from citaplanner_core.hooks.types import Figure, JobContext
from citaplanner_core.notifications.staff import alert_staff
from plugins.chatwoot import catch_up
from plugins.chatwoot.models import ChatwootConfig, ChatwootEvent

STUCK_SECONDS = 300
LOOK_SECONDS = 1800
SILENT = timedelta(hours=6)
"""So much opening time without a webhook is worth a look."""
DAY = (time(8), time(21))
"""Nobody is missed at night, not even where a branch says it is always open."""
FARTHEST = timedelta(days=14)


def figures(session: Session) -> Sequence[Figure]:
    """Return how many webhooks came in all, how many wait, and for how long. In: a unit that crosses tenants."""
    received = session.scalar(select(func.max(ChatwootEvent.id))) or 0
    count, oldest = _waiting(session)
    return [
        Figure("events_received", "Webhooks ever stored: the highest number given.", received, "counter"),
        Figure("events_waiting", "Webhooks stored and not acted on yet.", count),
        Figure("events_oldest_seconds", "How long the oldest of them has waited.", oldest),
        Figure("messages_recovered", "Messages whose webhook never came.", catch_up.recovered(session), "counter"),
    ]


def stuck_webhooks() -> str | None:
    """Say when stored webhooks are not acted on; None when all is well."""
    with system_work("webhooks that wait") as session:
        count, oldest = _waiting(session)
    if oldest < STUCK_SECONDS:
        return None
    return (
        f"{count} stored webhooks wait to be acted on, the oldest for {oldest / 60:.0f} minutes: see that a worker"
        " runs, and what it logs as job_waits for kind=event"
    )


def _waiting(session: Session) -> tuple[int, float]:
    count, first = session.execute(
        select(func.count(ChatwootEvent.id), func.min(ChatwootEvent.received_at)).where(
            ChatwootEvent.processed_at.is_(None)
        )
    ).one()
    return count, max(0.0, (utcnow() - first).total_seconds()) if count else 0.0


def look_for_silence(context: JobContext) -> None:
    """Job: tell the staff when nothing has come in for hours while the business was open."""
    with work(context.tenant_id) as session:
        connected = session.scalar(select(func.min(ChatwootConfig.created_at)).where(ChatwootConfig.is_active))
        if connected is None:
            return
        last = session.scalar(select(ChatwootEvent.received_at).order_by(ChatwootEvent.id.desc()).limit(1))
        now = utcnow()
        since = max(last or connected, connected, now - FARTHEST)
        branches = session.scalars(select(Branch).where(Branch.active)).all()
        silent = max((_open_time(session, branch, since, now) for branch in branches), default=timedelta(0))
        if silent >= SILENT:
            hours = str(silent // timedelta(hours=1))
            alert_staff(session, "webhook_silent", subject="chatwoot", channelName="Chatwoot", hours=hours)


def _open_time(session: Session, branch: Branch, since: datetime, until: datetime) -> timedelta:
    spans = opening_hours(session, branch.id, since, until)
    return sum(
        (
            max(timedelta(0), min(closes, evening) - max(opens, morning))
            for opens, closes in spans
            for morning, evening in _days(opens, closes, ZoneInfo(branch.zone))
        ),
        timedelta(0),
    )


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    day = start.astimezone(zone).date()
    while day <= end.astimezone(zone).date():
        morning, evening = (datetime.combine(day, at, zone) for at in DAY)
        yield morning, evening
        day += timedelta(days=1)
