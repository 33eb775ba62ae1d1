"""Sending one claimed notification: decide with what is true now, record the attempt, send, settle.

Three steps, the middle one outside any transaction: a crash between them leaves a delivery in SENDING whose outcome is
unknown, and the next attempt asks the provider before it sends again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.types import (
    Ambiguous,
    Askable,
    AuthFailed,
    Channel,
    Message,
    Permanent,
    Receipt,
    Retry,
)
from citaplanner_core.jobs import loop
from citaplanner_core.notifications.choice import (
    Defer,
    Verdict,
    addressee_of,
    choose,
    last_delivery,
    require_allowed,
    require_true,
)
from citaplanner_core.notifications.models import (
    DELIVERED,
    FAILED,
    MARKETING_TYPES,
    READ,
    SENDING,
    SENT,
    Delivery,
    Notification,
)
from citaplanner_core.notifications.opt_outs import address_key
from citaplanner_core.notifications.wording import compose

log = structlog.get_logger()
MAX_ATTEMPTS = 10
LEASE_SECONDS = 120
DEADLINE_SECONDS = 90
ASK_AFTER_SECONDS = 2
RANK = {SENDING: 0, SENT: 1, DELIVERED: 2, READ: 3, FAILED: 4}


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Everything the network step needs, read in one transaction."""

    delivery_id: int
    channel: Channel
    message: Message
    settings: Mapping[str, Any]
    outcome_unknown: bool
    marketing: bool


class _StillUnknown(Exception):
    """The provider could not tell whether an earlier attempt arrived: it must be asked again before we send."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(_describe(cause))
        self.after = cause.after if isinstance(cause, Retry) else None


class NotificationSource:
    """Lets the job loop serve notifications."""

    model = Notification
    lease_seconds = LEASE_SECONDS
    deadline_seconds = DEADLINE_SECONDS

    def run(self, claim: loop.Claim) -> None:
        """Deliver one claimed notification and settle it. Never raises for what a channel does."""
        with work(claim.tenant_id) as session:
            try:
                attempt = _prepare(session, claim)
            except Verdict as verdict:
                loop.settle(session, Notification, claim, verdict.status, reason=verdict.reason, error=verdict.error)
                return
            except Defer as wait:
                values = {"reason": wait.reason, "error": wait.why, "attempt": claim.attempt - 1}
                loop.release(session, Notification, claim, due=wait.until, **values)
                return
        outcome = _send(attempt)
        with work(claim.tenant_id) as session:
            _settle(session, claim, attempt, outcome)


def _prepare(session: Session, claim: loop.Claim) -> _Attempt:
    notification = session.get_one(Notification, claim.id)
    tenant = session.get_one(Tenant, claim.tenant_id)
    now = database_now(session)
    rule = require_true(session, notification, tenant, now)
    recipient = addressee_of(notification, tenant, rule)
    last = last_delivery(session, notification)
    key, channel, address, values = choose(session, notification, recipient, last, rule)
    require_allowed(address)
    body, subject, question = compose(session, notification, recipient, tenant, channel)
    unknown = last is not None and last.status == SENDING and last.channel == key
    if unknown and last is not None:
        delivery = last
    else:
        delivery = Delivery(
            notification_id=notification.id,
            channel=key,
            address_key=address_key(address),
            attempt=claim.attempt,
            question=question,
            subject=subject,
            body=body,
            started_at=now,
        )
        session.add(delivery)
    session.flush()
    appointment = notification.appointment
    message = Message(
        tenant_id=claim.tenant_id,
        branch_id=appointment.branch_id if appointment else None,
        notification_id=notification.id,
        attempt=claim.attempt,
        key=f"{claim.tenant_id}-{notification.id}-{key}",
        type=notification.type,
        recipient=recipient,
        address=address,
        subject=delivery.subject,
        body=delivery.body,
        question=delivery.question,
        appointment_id=notification.appointment_id,
    )
    return _Attempt(delivery.id, channel, message, values, unknown, notification.type in MARKETING_TYPES)


def _send(attempt: _Attempt) -> Receipt | Exception:
    """Talk to the provider, outside any transaction; an outcome nobody knows is asked about before sending again."""
    channel, message = attempt.channel, attempt.message
    try:
        if attempt.outcome_unknown:
            if isinstance(channel, Askable):
                try:
                    found = channel.find_sent(message, attempt.settings)
                except Exception as error:
                    return _StillUnknown(error)
                if found is not None:
                    return found
            elif channel.on_unknown == "hold" or attempt.marketing:
                return Permanent("outcome_unknown", "the earlier attempt may have arrived, and nobody can be asked")
        return channel.send(message, attempt.settings)
    except Exception as error:
        return error


def _settle(session: Session, claim: loop.Claim, attempt: _Attempt, outcome: Receipt | Exception) -> None:
    delivery = session.get_one(Delivery, attempt.delivery_id)
    now = database_now(session)
    if isinstance(outcome, Receipt):
        if loop.settle(
            session, Notification, claim, SENT, sent_at=now, reason=None, error=None, channel=delivery.channel
        ):
            _record(delivery, SENT, now, provider_id=outcome.message_id)
        return
    detail = _describe(outcome)
    log.warning(
        "delivery_failed",
        notification=claim.id,
        channel=delivery.channel,
        attempt=claim.attempt,
        kind=type(outcome).__name__,
    )
    if isinstance(outcome, Permanent | AuthFailed):
        reason = outcome.reason if isinstance(outcome, Permanent) else "auth_failed"
        _record(delivery, FAILED, now, reason=reason, error=detail)
        if reason == "outcome_unknown":  # it may have arrived: another channel could say it twice
            loop.settle(session, Notification, claim, FAILED, reason=reason, error=detail)
        else:
            loop.release(session, Notification, claim, due=now, reason=reason, error=detail)
        return
    if not isinstance(outcome, Retry):
        delivery.error = detail
        after = outcome.after if isinstance(outcome, _StillUnknown) else None
        wait = loop.backoff(claim.attempt, base=ASK_AFTER_SECONDS, cap=300, after=after)
        _later(session, claim, attempt, now + wait, "outcome_unknown", detail)
        return
    _record(delivery, FAILED, now, error=detail)
    wait = loop.backoff(claim.attempt, base=5, cap=900, after=outcome.after)
    _later(session, claim, attempt, now + wait, "unreachable", detail)


def _later(session: Session, claim: loop.Claim, attempt: _Attempt, due: datetime, reason: str, detail: str) -> None:
    notification = session.get_one(Notification, claim.id)
    out_of_time = notification.expires_at is not None and due >= notification.expires_at
    if claim.attempt >= MAX_ATTEMPTS or out_of_time:
        loop.settle(session, Notification, claim, FAILED, reason=reason, error=detail)
        return
    loop.release(session, Notification, claim, due=due, reason=reason, error=detail)


def _record(delivery: Delivery, status: str, now: datetime, **values: Any) -> None:
    delivery.status, delivery.finished_at = status, now
    for name, value in values.items():
        setattr(delivery, name, value)


def _describe(error: Exception) -> str:
    known = isinstance(error, Retry | Ambiguous | AuthFailed | Permanent | _StillUnknown)
    return (str(error) if known else f"{type(error).__name__}: {error}")[:500]


def advance(
    session: Session, channel: str, provider_id: str, status: str, *, at: datetime, error: str | None = None
) -> Delivery | None:
    """Take a provider's later report (DELIVERED, READ or FAILED) of a message; return its delivery, None if unknown.

    Statuses only move forward; a failure reported after sending sets the notification to FAILED(`rejected`).
    """
    delivery = session.scalar(select(Delivery).where(Delivery.channel == channel, Delivery.provider_id == provider_id))
    if delivery is None or RANK[status] <= RANK.get(delivery.status, 0):
        return delivery
    if status == FAILED and delivery.status in (DELIVERED, READ):
        return delivery
    delivery.status = status
    if status in (DELIVERED, READ):
        delivery.delivered_at = delivery.delivered_at or at
        delivery.read_at = at if status == READ else delivery.read_at
    else:
        delivery.reason, delivery.error = "rejected", error
    notification = session.get_one(Notification, delivery.notification_id)
    if notification.status in (SENT, DELIVERED):
        notification.status = status
        if status == FAILED:
            notification.reason, notification.error = "rejected", error
    return delivery
