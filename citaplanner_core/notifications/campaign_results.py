"""What became of a campaign, over each channel."""

from dataclasses import dataclass, field

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from citaplanner_core.notifications.campaign_models import RUNNING, Campaign
from citaplanner_core.notifications.models import (
    CANCELLED,
    DELIVERED,
    FAILED,
    READ,
    SENT,
    SKIPPED,
    Delivery,
    Notification,
)
from citaplanner_core.notifications.opt_outs import OptOut
from citaplanner_core.notifications.policy_models import MARKETING, Consent

WAITING = ("PENDING", "SENDING")
LEFT = (SENT, DELIVERED, READ)
FINISHED = "FINISHED"


@dataclass(slots=True)
class ChannelResult:
    """Messages over one channel. `sent` counts all that left, `delivered` those known to have arrived, read or not."""

    waiting: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    cancelled: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """All channels; those not decided yet stand under an empty name. `opted_out`: clients who stopped it afterwards."""

    channels: dict[str, ChannelResult]
    opted_out: int


def results_of(session: Session, campaign: Campaign) -> Results:
    """Return what became of a campaign's messages so far."""
    ours = Notification.campaign_id == campaign.id
    found: dict[str, ChannelResult] = {}
    rows = session.execute(
        select(Notification.channel, Notification.status, Notification.reason, func.count())
        .where(ours)
        .group_by(Notification.channel, Notification.status, Notification.reason)
    )
    for channel, status, reason, count in rows:
        _add(found.setdefault(channel or "", ChannelResult()), status, reason or "unknown", count)
    stopped = or_(
        select(OptOut.id)
        .join(Delivery, and_(Delivery.channel == OptOut.channel, Delivery.notification_id == Notification.id))
        .where(
            or_(OptOut.address == Delivery.address_key, OptOut.client_id == Notification.recipient_id),
            OptOut.at >= Notification.sent_at,
        )
        .exists(),
        select(Consent.id)
        .where(
            Consent.client_id == Notification.recipient_id,
            Consent.purpose == MARKETING,
            Consent.given.is_(False),
            Consent.at >= Notification.sent_at,
        )
        .exists(),
    )
    counted = select(func.count(Notification.recipient_id.distinct())).where(and_(ours, stopped))
    return Results(found, session.scalar(counted) or 0)


def _add(result: ChannelResult, status: str, reason: str, count: int) -> None:
    if status in WAITING:
        result.waiting += count
    elif status == CANCELLED:
        result.cancelled += count
    elif status == FAILED:
        result.failed[reason] = result.failed.get(reason, 0) + count
    elif status == SKIPPED:
        result.skipped[reason] = result.skipped.get(reason, 0) + count
    result.sent += count if status in LEFT else 0
    result.delivered += count if status in (DELIVERED, READ) else 0
    result.read += count if status == READ else 0


def state_of(session: Session, campaign: Campaign) -> str:
    """Return a campaign's state: its status, or FINISHED once nothing of it waits any more."""
    if campaign.status != RUNNING or not campaign.planned:
        return campaign.status
    waits = select(Notification.id).where(Notification.campaign_id == campaign.id, Notification.status.in_(WAITING))
    return RUNNING if session.scalar(waits.limit(1)) else FINISHED
