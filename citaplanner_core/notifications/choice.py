"""Whether a notification is sent at all, and over which channel: decided with what is true when it leaves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import CANCELLED as APPOINTMENT_CANCELLED
from citaplanner_core.config import Config
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.types import Channel, Recipient
from citaplanner_core.notifications.campaign_models import CALLED_OFF, HELD, PAUSED, Campaign
from citaplanner_core.notifications.campaign_models import CANCELLED as CAMPAIGN_CANCELLED
from citaplanner_core.notifications.consents import allowed_by
from citaplanner_core.notifications.facts import Facts, Intent, Standing, read_standing
from citaplanner_core.notifications.models import (
    CANCELLED,
    FAILED,
    MARKETING_TYPES,
    PLANNED_KEY,
    SKIPPED,
    SUPERSEDED,
    Delivery,
)
from citaplanner_core.notifications.restraint import Defer, Verdict, require_moment
from citaplanner_core.notifications.rules import BEFORE, STATES, Rule
from citaplanner_core.notifications.shapes import Business, Person
from citaplanner_core.notifications.staff_models import StaffContact

__all__ = [
    "Defer",
    "Verdict",
    "addressee_of",
    "choose",
    "last_delivery",
    "recipient_of",
    "require_allowed",
    "require_true",
    "standing_of",
]
ANNOUNCING = ("booked", "rescheduled", *BEFORE)
"""Triggers of messages about an appointment to come."""


def recipient_of(client: Person, tenant: Business, rule: Rule | None = None) -> Recipient:
    """Return a client as channels see them; in the language of the rule where it names one."""
    return Recipient(
        client_id=client.id,
        name=client.name,
        first_name=client.first_name,
        email=client.email,
        phones=tuple(phone.e164 for phone in client.phones),
        language=(rule.language if rule else None) or client.language or tenant.language,
    )


def addressee_of(facts: Facts, rule: Rule | None) -> Recipient:
    """Return whom a notification goes to as channels see them: a client, or somebody of the staff."""
    contact = facts.staff
    if contact is None:
        return recipient_of(facts.recipient, facts.tenant, rule)
    return Recipient(
        client_id=None,
        staff_contact_id=contact.id,
        name=contact.name,
        first_name=contact.name.partition(" ")[0],
        email=contact.email,
        phones=(contact.phone,) if contact.phone else (),
        language=contact.language or facts.tenant.language,
    )


def require_true(session: Session, facts: Facts) -> Rule | None:
    """Raise a `Verdict` when what was planned is not so any more, a `Defer` when it should leave later.

    Returns the rule that planned it, None for what was sent by hand.
    """
    intent, visit, now = facts.intent, facts.visit, facts.now
    if not facts.tenant.active:
        raise Verdict(SKIPPED, "tenant_off")
    if facts.staff is not None:
        _require_staff(facts.staff, intent, now)
        return None
    rule = None
    if visit is not None and intent.dedupe_key.startswith(PLANNED_KEY):
        if intent.schedule_version != visit.schedule_version:
            raise Verdict(SUPERSEDED, "superseded")
        rule = facts.rule
        if rule is None:
            raise Verdict(SUPERSEDED, "superseded", f"the rule {intent.rule} is gone or switched off")
        if visit.status not in STATES[rule.trigger]:
            gone = visit.status == APPOINTMENT_CANCELLED
            raise Verdict(SKIPPED, "appointment_cancelled" if gone else "appointment_past")
        announces = rule.trigger in ANNOUNCING or (rule.trigger == "cancelled" and rule.minutes == 0)
        if announces and visit.start <= now:
            raise Verdict(SKIPPED, "appointment_past")
    if intent.expires_at is not None and intent.expires_at <= now:
        raise Verdict(SKIPPED, "expired")
    if not facts.recipient.active or facts.recipient.do_not_message:
        raise Verdict(SKIPPED, "do_not_message")
    if intent.campaign_id is not None:
        _require_running(session.get_one(Campaign, intent.campaign_id))
    require_moment(session, facts, rule)
    return rule


def _require_staff(contact: StaffContact, intent: Intent, now: datetime) -> None:
    """What staff is told has happened, whatever became of the appointment since."""
    if intent.expires_at is not None and intent.expires_at <= now:
        raise Verdict(SKIPPED, "expired")
    if not contact.active:
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


def last_delivery(session: Session, notification_id: int) -> Delivery | None:
    """Return the latest attempt, None when there was none."""
    return session.scalar(
        select(Delivery).where(Delivery.notification_id == notification_id).order_by(Delivery.id.desc()).limit(1)
    )


def _given_up(session: Session, notification_id: int) -> set[str]:
    return set(
        session.scalars(
            select(Delivery.channel).where(
                Delivery.notification_id == notification_id, Delivery.status == FAILED, Delivery.reason.is_not(None)
            )
        )
    )


def standing_of(session: Session, facts: Facts, recipient: Recipient, rule: Rule | None) -> Standing:
    """Read what the channels in question are told to do and what the person said, at the addresses they give."""
    intent = facts.intent
    named = [intent.channel] if intent.channel else rule.channels if rule and facts.staff is None else ()
    places = {key: one for key, one in dispatch.channels().items() if not named or key in named}
    usable = [(plugin, channel) for plugin, channel in places.values() if plugin is None or plugin in facts.switched_on]
    plugins = [plugin for plugin, _ in usable if plugin is not None]
    addresses = [address for _, channel in usable if (address := channel.address_of(recipient)) is not None]
    return read_standing(session, facts, recipient, plugins, addresses)


def choose(
    session: Session,
    facts: Facts,
    standing: Standing,
    recipient: Recipient,
    last: Delivery | None,
    rule: Rule | None = None,
) -> tuple[str, Channel, str, Mapping[str, Any]]:
    """Return (key, channel, address, settings) of the first channel that is on, not given up, and has an address.

    The client's preferred channel comes first, then the rule's chain, or without one all that are on. Channels that
    the client refused are left out.
    """
    known = dispatch.channels()
    on = [key for key, (plugin, _) in known.items() if plugin and _is_on(standing, plugin)]
    contact = facts.staff
    if contact is not None:
        usable = [key for key in known if key in on or (key == contact.channel and known[key][0] is None)]
        wanted = sorted(usable, key=lambda key: key != contact.channel)
    elif facts.intent.channel:
        key = facts.intent.channel
        wanted = [key] if key in on or (key in known and known[key][0] is None) else []
    else:
        preferred = facts.recipient.preferred_channel
        chain = [key for key in rule.channels if key in on] if rule and rule.channels else on
        wanted = sorted(chain, key=lambda key: key != preferred)
    if not wanted:
        raise Verdict(SKIPPED, "channel_off")
    given_up = _given_up(session, facts.intent.id) if last else set()
    marketing = facts.intent.type in MARKETING_TYPES
    allowed = wanted if contact is not None else allowed_by(standing.said, wanted, marketing=marketing)
    refusals = []
    reachable = False
    for key in wanted:
        plugin, channel = known[key]
        address = channel.address_of(recipient)
        if address is None:
            continue
        refused = None if contact is not None else standing.refusal(key, address, marketing=marketing)
        if refused is not None or key not in allowed:
            refusals.append(refused or "no_consent")
            continue
        reachable = True
        if key not in given_up:
            return key, channel, address, standing.settings[plugin] if plugin else {}
    if not reachable:
        raise Verdict(SKIPPED, refusals[0] if refusals else "no_address")
    raise Verdict(FAILED, last.reason or "rejected" if last else "rejected", last.error if last else None)


def _is_on(standing: Standing, plugin: str) -> bool:
    return plugin in standing.settings and bool(standing.settings[plugin].get("enabled", True))
