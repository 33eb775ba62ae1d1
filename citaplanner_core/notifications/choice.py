"""Whether a notification is sent at all, and over which channel: decided with what is true when it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import CANCELLED as APPOINTMENT_CANCELLED
from citaplanner_core.booking.models import LIVE_STATES, Client, Tenant
from citaplanner_core.config import Config
from citaplanner_core.hooks import dispatch, settings
from citaplanner_core.hooks.types import Channel, Recipient
from citaplanner_core.notifications.models import (
    APPOINTMENT_CANCELLATION,
    FAILED,
    MARKETING_TYPES,
    SKIPPED,
    SUPERSEDED,
    Delivery,
    Notification,
)
from citaplanner_core.notifications.opt_outs import refusal
from citaplanner_core.notifications.service import enabled_channels


@dataclass(frozen=True, slots=True)
class Verdict(Exception):
    """Why this notification is not sent now: its final status and reason."""

    status: str
    reason: str
    error: str | None = None


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


def require_true(notification: Notification, tenant: Tenant, now: datetime) -> None:
    """Raise a `Verdict` when what was planned is not so any more."""
    if not tenant.active:
        raise Verdict(SKIPPED, "tenant_off")
    appointment = notification.appointment
    if appointment is not None and notification.rule != "manual":
        if notification.schedule_version != appointment.schedule_version:
            raise Verdict(SUPERSEDED, "superseded")
        if notification.type != APPOINTMENT_CANCELLATION and appointment.status not in LIVE_STATES:
            gone = appointment.status == APPOINTMENT_CANCELLED
            raise Verdict(SKIPPED, "appointment_cancelled" if gone else "appointment_past")
        if appointment.start <= now:
            raise Verdict(SKIPPED, "appointment_past")
    if notification.expires_at is not None and notification.expires_at <= now:
        raise Verdict(SKIPPED, "expired")
    if not notification.recipient.active:
        raise Verdict(SKIPPED, "do_not_message")


def require_allowed(address: str) -> None:
    """Raise a `Verdict` when this deployment (a copy, say) may not write to that address."""
    config: Config = current_app.config["CITAPLANNER"]
    if config.delivery == "off" or (config.delivery == "allowlist" and address not in config.delivery_allowlist):
        raise Verdict(SKIPPED, "delivery_off", f"CITAPLANNER_DELIVERY is {config.delivery}")


def last_delivery(session: Session, notification: Notification) -> Delivery | None:
    """Return the latest attempt, None when there was none."""
    return session.scalar(
        select(Delivery).where(Delivery.notification_id == notification.id).order_by(Delivery.id.desc()).limit(1)
    )


def choose(
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
        raise Verdict(SKIPPED, "channel_off")
    given_up = set(
        session.scalars(
            select(Delivery.channel).where(
                Delivery.notification_id == notification.id, Delivery.status == FAILED, Delivery.reason.is_not(None)
            )
        )
    )
    refusals = []
    reachable = False
    for key in wanted:
        plugin, channel = known[key]
        address = channel.address_of(recipient)
        if address is None:
            continue
        refused = refusal(
            session,
            client_id=recipient.client_id,
            channel=key,
            address=address,
            marketing=notification.type in MARKETING_TYPES,
        )
        if refused is not None:
            refusals.append(refused)
            continue
        reachable = True
        if key not in given_up:
            return key, channel, address, settings.read(session, plugin) if plugin else {}
    if not reachable:
        raise Verdict(SKIPPED, refusals[0] if refusals else "no_address")
    raise Verdict(FAILED, last.reason or "rejected" if last else "rejected", last.error if last else None)
