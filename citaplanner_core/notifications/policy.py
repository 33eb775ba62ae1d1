"""What a tenant decides for all its messages, and what is about to leave."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import ValidationFailed, plain_text
from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import current_tenant, database_now
from citaplanner_core.notifications import replanning
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.rules import clock

LEAST_OPEN_MINUTES = 120
MOST_A_DAY = 100
UPCOMING_HOURS = 48
LONGEST_URL = 500


@dataclass(frozen=True, slots=True)
class Policy:
    """The columns of `Tenant` of these names; what they mean stands there."""

    quiet_from: str | None
    quiet_until: str | None
    daily_limit: int | None
    feedback_url: str | None


def read_policy(session: Session) -> Policy:
    """Return the tenant's policy."""
    tenant = session.get_one(Tenant, current_tenant())
    return Policy(tenant.quiet_from, tenant.quiet_until, tenant.daily_limit, tenant.feedback_url)


def set_policy(session: Session, values: Mapping[str, Any]) -> Policy:
    """Change the given fields of the tenant's policy and have what waits follow; raise `ValidationFailed`."""
    policy = Policy(**asdict(read_policy(session)) | dict(values))
    _check_quiet(policy)
    if policy.daily_limit is not None and not 1 <= policy.daily_limit <= MOST_A_DAY:
        raise ValidationFailed("daily_limit", f"give a number from 1 to {MOST_A_DAY}, or null for no limit")
    if policy.feedback_url is not None:
        address = urlsplit(plain_text("feedback_url", policy.feedback_url))
        if address.scheme not in ("http", "https") or not address.hostname or len(policy.feedback_url) > LONGEST_URL:
            raise ValidationFailed("feedback_url", "give the whole address of a page, such as https://example.com/r")
    tenant = session.get_one(Tenant, current_tenant())
    for name, value in asdict(policy).items():
        setattr(tenant, name, value)
    session.flush()
    replanning.request_replan(session)
    return policy


def _check_quiet(policy: Policy) -> None:
    if (policy.quiet_from is None) != (policy.quiet_until is None):
        field = "quiet_from" if policy.quiet_from is None else "quiet_until"
        raise ValidationFailed(field, "give both ends of the quiet hours, or null for both")
    if policy.quiet_from is None or policy.quiet_until is None:
        return
    begin, end = clock("quiet_from", policy.quiet_from), clock("quiet_until", policy.quiet_until)
    if begin != end and (_minutes(begin) - _minutes(end)) % 1440 < LEAST_OPEN_MINUTES:
        raise ValidationFailed("quiet_until", "leave at least two hours of the day in which messages may leave")


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def upcoming(session: Session, hours: int = UPCOMING_HOURS) -> dict[str, int]:
    """Return how many notifications wait to leave within some hours, by type, the most first."""
    until = database_now(session) + timedelta(hours=hours)
    count = func.count(Notification.id).label("number")
    rows = session.execute(
        select(Notification.type, count)
        .where(Notification.status == "PENDING", Notification.due <= until)
        .group_by(Notification.type)
        .order_by(count.desc(), Notification.type)
    )
    return {row.type: row.number for row in rows}
