"""Whether a notification is sent at all, and over which channel: decided with what is true when it leaves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import CANCELLED as APPOINTMENT_CANCELLED
from citaplanner_core.booking.models import Client, Tenant
from citaplanner_core.config import Config
from citaplanner_core.hooks import dispatch, settings
from citaplanner_core.hooks.types import Channel, Recipient
from citaplanner_core.notifications.campaign_models import CALLED_OFF, HELD, PAUSED, Campaign
from citaplanner_core.notifications.campaign_models import CANCELLED as CAMPAIGN_CANCELLED
from citaplanner_core.notifications.consents import consented
from citaplanner_core.notifications.models import (
    CANCELLED,
    FAILED,
    MARKETING_TYPES,
    PLANNED_KEY,
    SKIPPED,
    SUPERSEDED,
    Delivery,
    Notification,
)
from citaplanner_core.notifications.opt_outs import refusal
from citaplanner_core.notifications.restraint import Defer, Verdict, require_moment
from citaplanner_core.notifications.rules import BEFORE, STATES, Rule, active_rules
from citaplanner_core.notifications.service import enabled_channels

__all__ = [
    "Defer",
    "Verdict",
    "addressee_of",
    "choose",
    "last_delivery",
    "recipient_of",
    "require_allowed",
    "require_true",
]
ANNOUNCING = ("booked", "rescheduled", *BEFORE)
"""Triggers of messages about an appointment to come."""


def recipient_of(client: Client, tenant: Tenant, rule: Rule | None = None) -> Recipient:
    """Return a client as channels see them; in the language of the rule where it names one."""
    return Recipient(
        client_id=client.id,
        name=client.name,
        first_name=client.first_name,
        email=client.email,
        phones=tuple(phone.e164 for phone in client.phones),
        language=(rule.language if rule else None) or client.language or tenant.language,
    )


def addressee_of(notification: Notification, tenant: Tenant, rule: Rule | None) -> Recipient:
    """Return whom a notification goes to as channels see them: a client, or somebody of the staff."""
    contact = notification.staff_contact
    if contact is None:
        return recipient_of(notification.recipient, tenant, rule)
    return Recipient(
        client_id=None,
        staff_contact_id=contact.id,
        name=contact.name,
        first_name=contact.name.partition(" ")[0],
        email=contact.email,
        phones=(contact.phone,) if contact.phone else (),
        language=contact.language or tenant.language,
    )


def require_true(session: Session, notification: Notification, tenant: Tenant, now: datetime) -> Rule | None:
    """Raise a `Verdict` when what was planned is not so any more, a `Defer` when it should leave later.

    Returns the rule that planned it, None for what was sent by hand.
    """
    if not tenant.active:
        raise Verdict(SKIPPED, "tenant_off")
    if notification.staff_contact is not None:
        _require_staff(notification, now)
        return None
    appointment = notification.appointment
    rule = None
    if appointment is not None and notification.dedupe_key.startswith(PLANNED_KEY):
        if notification.schedule_version != appointment.schedule_version:
            raise Verdict(SUPERSEDED, "superseded")
        rule = active_rules(session).get(notification.rule)
        if rule is None:
            raise Verdict(SUPERSEDED, "superseded", f"the rule {notification.rule} is gone or switched off")
        if appointment.status not in STATES[rule.trigger]:
            gone = appointment.status == APPOINTMENT_CANCELLED
            raise Verdict(SKIPPED, "appointment_cancelled" if gone else "appointment_past")
        announces = rule.trigger in ANNOUNCING or (rule.trigger == "cancelled" and rule.minutes == 0)
        if announces and appointment.start <= now:
            raise Verdict(SKIPPED, "appointment_past")
    if notification.expires_at is not None and notification.expires_at <= now:
        raise Verdict(SKIPPED, "expired")
    if not notification.recipient.active or notification.recipient.do_not_message:
        raise Verdict(SKIPPED, "do_not_message")
    if notification.campaign_id is not None:
        _require_running(session.get_one(Campaign, notification.campaign_id))
    require_moment(session, notification, rule, tenant, now)
    return rule


def _require_staff(notification: Notification, now: datetime) -> None:
    """What staff is told has happened, whatever became of the appointment since."""
    if notification.expires_at is not None and notification.expires_at <= now:
        raise Verdict(SKIPPED, "expired")
    if notification.staff_contact is not None and not notification.staff_contact.active:
        raise Verdict(SKIPPED, "do_not_message")


def _require_running(campaign: Campaign) -> None:
    """For what a worker held when its campaign was paused or cancelled, and comes back."""
    if campaign.status == CAMPAIGN_CANCELLED:
        raise Verdict(CANCELLED, None, CALLED_OFF)
    if campaign.status == PAUSED:
        raise Defer(HELD, "the campaign is paused")


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


def _given_up(session: Session, notification: Notification) -> set[str]:
    return set(
        session.scalars(
            select(Delivery.channel).where(
                Delivery.notification_id == notification.id, Delivery.status == FAILED, Delivery.reason.is_not(None)
            )
        )
    )


def choose(
    session: Session,
    notification: Notification,
    recipient: Recipient,
    last: Delivery | None,
    rule: Rule | None = None,
) -> tuple[str, Channel, str, Mapping[str, Any]]:
    """Return (key, channel, address, settings) of the first channel that is on, not given up, and has an address.

    The client's preferred channel comes first, then the rule's chain, or without one all that are on. Channels that
    the client refused are left out.
    """
    known = dispatch.channels()
    on = enabled_channels(session)
    contact = notification.staff_contact
    if contact is not None:
        usable = [key for key in known if key in on or (key == contact.channel and known[key][0] is None)]
        wanted = sorted(usable, key=lambda key: key != contact.channel)
    elif notification.channel:
        plugin = known[notification.channel][0] if notification.channel in known else ""
        wanted = [notification.channel] if plugin is None or notification.channel in on else []
    else:
        preferred = notification.recipient.preferred_channel
        chain = [key for key in rule.channels if key in on] if rule and rule.channels else on
        wanted = sorted(chain, key=lambda key: key != preferred)
    if not wanted:
        raise Verdict(SKIPPED, "channel_off")
    given_up = _given_up(session, notification) if last else set()
    marketing = notification.type in MARKETING_TYPES
    client_id = recipient.client_id
    allowed = wanted if client_id is None else consented(session, client_id, wanted, marketing=marketing)
    refusals = []
    reachable = False
    for key in wanted:
        plugin, channel = known[key]
        address = channel.address_of(recipient)
        if address is None:
            continue
        refused = None
        if client_id is not None:
            refused = refusal(session, client_id=client_id, channel=key, address=address, marketing=marketing)
        if refused is not None or key not in allowed:
            refusals.append(refused or "no_consent")
            continue
        reachable = True
        if key not in given_up:
            return key, channel, address, settings.read(session, plugin) if plugin else {}
    if not reachable:
        raise Verdict(SKIPPED, refusals[0] if refusals else "no_address")
    raise Verdict(FAILED, last.reason or "rejected" if last else "rejected", last.error if last else None)
