"""Sending one claimed notification: decide with what is true now, record the attempt, send, settle.

Three steps, the middle one outside any transaction: a crash between them leaves a delivery in SENDING whose outcome is
unknown, and the next attempt asks the provider before it sends again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import CANCELLED as APPOINTMENT_CANCELLED
from citaplanner_core.booking.models import LIVE_STATES, Client, Tenant
from citaplanner_core.config import Config
from citaplanner_core.database import database_now, work
from citaplanner_core.hooks import dispatch, settings
from citaplanner_core.hooks.types import (
    Ambiguous,
    Askable,
    AuthFailed,
    Channel,
    Message,
    Permanent,
    Receipt,
    Recipient,
    Retry,
)
from citaplanner_core.jobs import loop
from citaplanner_core.notifications import variables
from citaplanner_core.notifications.links import new_link
from citaplanner_core.notifications.models import (
    APPOINTMENT_CANCELLATION,
    DELIVERED,
    FAILED,
    MARKETING_TYPES,
    READ,
    SENDING,
    SENT,
    SKIPPED,
    SUPERSEDED,
    Delivery,
    Notification,
    OptOut,
)
from citaplanner_core.notifications.service import enabled_channels
from citaplanner_core.notifications.templates import TemplateError, render

log = structlog.get_logger()
MAX_ATTEMPTS = 10
LEASE_SECONDS = 120
DEADLINE_SECONDS = 90
ASK_AFTER_SECONDS = 2
RANK = {SENDING: 0, SENT: 1, DELIVERED: 2, READ: 3, FAILED: 4}


@dataclass(frozen=True, slots=True)
class _Verdict(Exception):
    """Why this notification is not sent now: its final status and reason."""

    status: str
    reason: str
    error: str | None = None


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
            except _Verdict as verdict:
                loop.settle(session, Notification, claim, verdict.status, reason=verdict.reason, error=verdict.error)
                return
        outcome = _send(attempt)
        with work(claim.tenant_id) as session:
            _settle(session, claim, attempt, outcome)


def recipient_of(client: Client, tenant: Tenant) -> Recipient:
    """Return a client as channels see them."""
    return Recipient(
        client_id=client.id,
        name=client.name,
        first_name=client.first_name,
        email=client.email,
        phones=tuple(phone.e164 for phone in client.phones),
        language=client.language or tenant.language,
    )


def _prepare(session: Session, claim: loop.Claim) -> _Attempt:
    notification = session.get_one(Notification, claim.id)
    tenant = session.get_one(Tenant, claim.tenant_id)
    now = database_now(session)
    _still_true(notification, tenant, now)
    recipient = recipient_of(notification.recipient, tenant)
    last = _last_delivery(session, notification)
    key, channel, address, values = _choose(session, notification, recipient, last)
    _delivery_allowed(address)
    body, subject, question = _text(session, notification, recipient, tenant, channel)
    unknown = last is not None and last.status == SENDING and last.channel == key
    if unknown and last is not None:
        delivery = last
    else:
        delivery = Delivery(
            notification_id=notification.id,
            channel=key,
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


def _still_true(notification: Notification, tenant: Tenant, now: datetime) -> None:
    if not tenant.active:
        raise _Verdict(SKIPPED, "tenant_off")
    appointment = notification.appointment
    if appointment is not None and notification.rule != "manual":
        if notification.schedule_version != appointment.schedule_version:
            raise _Verdict(SUPERSEDED, "superseded")
        if notification.type != APPOINTMENT_CANCELLATION and appointment.status not in LIVE_STATES:
            gone = appointment.status == APPOINTMENT_CANCELLED
            raise _Verdict(SKIPPED, "appointment_cancelled" if gone else "appointment_past")
        if appointment.start <= now:
            raise _Verdict(SKIPPED, "appointment_past")
    if notification.expires_at is not None and notification.expires_at <= now:
        raise _Verdict(SKIPPED, "expired")
    if not notification.recipient.active:
        raise _Verdict(SKIPPED, "do_not_message")


def _delivery_allowed(address: str) -> None:
    config: Config = current_app.config["CITAPLANNER"]
    if config.delivery == "off" or (config.delivery == "allowlist" and address not in config.delivery_allowlist):
        raise _Verdict(SKIPPED, "delivery_off", f"CITAPLANNER_DELIVERY is {config.delivery}")


def _last_delivery(session: Session, notification: Notification) -> Delivery | None:
    return session.scalar(
        select(Delivery).where(Delivery.notification_id == notification.id).order_by(Delivery.id.desc()).limit(1)
    )


def _choose(
    session: Session, notification: Notification, recipient: Recipient, last: Delivery | None
) -> tuple[str, Channel, str, Mapping[str, Any]]:
    """Return (key, channel, address, settings) of the first channel that is on, not given up, and has an address."""
    known = dispatch.channels()
    on = enabled_channels(session)
    if notification.channel:
        plugin = known[notification.channel][0] if notification.channel in known else ""
        wanted = [notification.channel] if plugin is None or notification.channel in on else []
    else:
        preferred = notification.recipient.preferred_channel
        wanted = sorted(on, key=lambda key: key != preferred)
    if not wanted:
        raise _Verdict(SKIPPED, "channel_off")
    given_up = set(
        session.scalars(
            select(Delivery.channel).where(
                Delivery.notification_id == notification.id, Delivery.status == FAILED, Delivery.reason.is_not(None)
            )
        )
    )
    refused = set(session.scalars(select(OptOut.channel).where(OptOut.client_id == recipient.client_id)))
    wanted = [key for key in wanted if key not in refused]
    if not wanted:
        raise _Verdict(SKIPPED, "opted_out")
    reachable = False
    for key in wanted:
        plugin, channel = known[key]
        address = channel.address_of(recipient)
        reachable = reachable or address is not None
        if address is None or key in given_up:
            continue
        return key, channel, address, settings.read(session, plugin) if plugin else {}
    if not reachable:
        raise _Verdict(SKIPPED, "no_address")
    raise _Verdict(FAILED, last.reason or "rejected" if last else "rejected", last.error if last else None)


def _text(
    session: Session, notification: Notification, recipient: Recipient, tenant: Tenant, channel: Channel
) -> tuple[str, str | None, str | None]:
    values: dict[str, object] = {**variables.client_variables(notification.recipient, tenant)}
    appointment = notification.appointment
    if appointment is not None:
        old = notification.variables.get("oldStart")
        values |= variables.appointment_variables(
            appointment,
            tenant,
            language_code=recipient.language,
            now=database_now(session),
            old_start=datetime.fromisoformat(old) if old else None,
            manage_url=new_link(session, appointment),
        )
    values |= {key: value for key, value in notification.variables.items() if key != "oldStart"}
    try:
        rendered = render(
            notification.template or notification.type,
            family=channel.text_family,
            language=recipient.language,
            variables=values,
            message=notification.message,
        )
    except TemplateError as error:
        raise _Verdict(FAILED, "template_error", str(error)) from error
    return rendered.body, rendered.subject, rendered.question


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
