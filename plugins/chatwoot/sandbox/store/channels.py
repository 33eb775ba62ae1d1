"""What each kind of inbox asks of a source id, and how long one may answer in it.

Source: Chatwoot v4.15.1, ``ContactInboxBuilder``, the regular expressions of its contact inboxes,
and ``Conversations::MessageWindowService``.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime

from .records import INCOMING, Contact, ContactInbox, Conversation, Inbox, Json
from .state import State

WHATSAPP, TWILIO, SMS = "Channel::Whatsapp", "Channel::TwilioSms", "Channel::Sms"
EMAIL, API, WIDGET, TELEGRAM = "Channel::Email", "Channel::Api", "Channel::WebWidget", "Channel::Telegram"

_BSUID = r"[A-Z]{2}\.[0-9A-Za-z]+"
_FORMS = {
    "whatsapp": re.compile(rf"\d{{1,15}}|{_BSUID}"),
    "twilio_sms": re.compile(r"\+\d{1,15}"),
    "twilio_whatsapp": re.compile(rf"whatsapp:(\+\d{{1,15}}|{_BSUID})"),
}
_NAMES = {"whatsapp": "whatsapp", "twilio_sms": "twilio sms", "twilio_whatsapp": "twilio whatsapp"}
SCRAMBLES = (WHATSAPP, TWILIO, SMS, EMAIL)


class InvalidSourceId(ValueError):
    """The given source id has not the form this inbox wants; the text is Chatwoot's."""


class MissingAddress(ValueError):
    """The contact has nothing to make a source id of; the text names what is missing."""


class UnsupportedChannel(ValueError):
    """This kind of inbox cannot be written to first."""


class SourceIdTaken(ValueError):
    """Another contact holds this source id in this inbox."""


def is_twilio_whatsapp(inbox: Inbox) -> bool:
    return inbox.channel_type == TWILIO and inbox.medium == "whatsapp"


def _form(inbox: Inbox) -> str | None:
    if inbox.channel_type == WHATSAPP:
        return "whatsapp"
    if inbox.channel_type == TWILIO:
        return "twilio_whatsapp" if is_twilio_whatsapp(inbox) else "twilio_sms"
    return None


def check_source_id(inbox: Inbox, source_id: str) -> None:
    """Raises InvalidSourceId when the inbox does not accept this form."""
    form = _form(inbox)
    if form is not None and not _FORMS[form].fullmatch(source_id):
        raise InvalidSourceId(f"Source invalid source id for {_NAMES[form]} inbox. valid Regex {_FORMS[form].pattern}")


def derive_source_id(inbox: Inbox, contact: Contact) -> str:
    """The source id Chatwoot makes when the caller gives none.

    Raises MissingAddress when the contact lacks the phone or e-mail it is made of, and
    UnsupportedChannel for channels where only the customer can begin.
    """
    kind = inbox.channel_type
    if kind in (API, WIDGET):
        return str(uuid.uuid4())
    if kind == EMAIL:
        if not contact.email:
            raise MissingAddress("contact email")
        return contact.email
    if kind not in (WHATSAPP, TWILIO, SMS):
        raise UnsupportedChannel("Unsupported operation for this channel")
    if not contact.phone_number:
        raise MissingAddress("contact phone number")
    if kind == WHATSAPP:
        return contact.phone_number.replace("+", "")
    return f"whatsapp:{contact.phone_number}" if is_twilio_whatsapp(inbox) else contact.phone_number


def links_of(state: State, contact: Contact, inbox: Inbox | None = None) -> list[ContactInbox]:
    """The contact's contact-inboxes, oldest first."""
    return [
        x
        for x in state.contact_inboxes.values()
        if x.contact_id == contact.id and (inbox is None or x.inbox_id == inbox.id)
    ]


def contactable_source_id(state: State, inbox: Inbox, contact: Contact) -> str | None:
    """What ``contactable_inboxes`` shows for this inbox, ``None`` when the inbox is left out."""
    links = links_of(state, contact, inbox)
    if inbox.channel_type == API:
        return links[-1].source_id if links else str(uuid.uuid4())
    if inbox.channel_type == WIDGET:
        used = {c.contact_inbox_id for c in state.conversations.values()}
        free = [x for x in links if x.id not in used]
        return free[-1].source_id if free else None
    try:
        return derive_source_id(inbox, contact)
    except (MissingAddress, UnsupportedChannel):
        return None


def window_hours(inbox: Inbox) -> float | None:
    """How long after the customer's last message one may write freely; ``None`` = always."""
    if inbox.channel_type == WHATSAPP or is_twilio_whatsapp(inbox):
        return 24.0
    hours = inbox.additional_attributes.get("agent_reply_time_window")
    if inbox.channel_type == API and hours:
        return float(hours)
    return None


def can_reply(state: State, conversation: Conversation) -> bool:
    """True when the customer wrote within the inbox's window, or the inbox has none."""
    hours = window_hours(state.inboxes[conversation.inbox_id])
    if hours is None:
        return True
    for message in reversed(state.messages_of(conversation.id)):
        if message.message_type == INCOMING:
            return state.now() - message.created_at < hours * 3600
    return False


def find_template(inbox: Inbox, wanted: Json) -> Json | None:
    """The approved WhatsApp template with this name and language (case ignored for the language)."""
    language = str(wanted.get("language") or "").lower()
    for template in inbox.message_templates:
        if (
            template["name"] == wanted.get("name")
            and str(template["language"]).lower() == language
            and str(template["status"]).lower() == "approved"
        ):
            return template
    return None


def parameters_match(template: Json, wanted: Json) -> bool:
    """True when ``processed_params`` (enhanced or flat form) fills every place of the body."""
    body = next((c["text"] for c in template["components"] if c["type"] == "BODY"), "")
    places = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", body))
    given = wanted.get("processed_params") or {}
    if isinstance(given, list):
        given = {str(n): value for n, value in enumerate(given, 1)}
    if isinstance(given.get("body"), dict):
        given = given["body"]
    return places == set(given)


def channel_variants(wa_id: str) -> list[str]:
    """The forms in which a contact-inbox is looked for, the normalised one first.

    Brazil gets the ninth digit after the area code, Argentina loses the 9; Mexico is left alone
    in v4.15.1.
    """
    if wa_id.startswith("55") and len(wa_id) != 13:
        return [f"{wa_id[:4]}9{wa_id[4:]}", wa_id]
    if wa_id.startswith("549"):
        return [f"54{wa_id[3:]}", wa_id]
    return [wa_id]


def is_open(inbox: Inbox, local: datetime) -> bool:
    """Whether the inbox's working hours hold at this local time."""
    day = next(d for d in inbox.working_hours if d["day_of_week"] == (local.weekday() + 1) % 7)
    if day["closed_all_day"] or day["open_all_day"]:
        return bool(day["open_all_day"])
    minute = local.hour * 60 + local.minute
    opens = day["open_hour"] * 60 + day["open_minutes"]
    return bool(opens <= minute < day["close_hour"] * 60 + day["close_minutes"])
