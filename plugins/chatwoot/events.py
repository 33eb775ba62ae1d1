"""Reading webhook bodies: every shape Chatwoot has sent since v2, and nothing taken for granted.

A body is somebody else's text: each value is looked at before it is believed, so that no body makes these functions
raise. Source: Chatwoot v4.15.1, `app/listeners/webhook_listener.rb` and the `webhook_data` it calls.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plugins.chatwoot.api import marker_of

JSON = dict[str, Any]

CREATIONS = frozenset({"message_created", "conversation_created", "contact_created"})
_LARGEST_ID = 2**63 - 1
_LONGEST_NAME = 100
_UNINTERESTING = frozenset({"webwidget_triggered", "conversation_typing_on", "conversation_typing_off"})
_TOUCHED = frozenset({"last_activity_at", "updated_at"})


@dataclass(frozen=True, slots=True)
class Event:
    """What any webhook says. Numbers that a body does not give, or gives as something else, are None.

    `object_id` is the message, contact or (by the number agents see) conversation; `object_key` names a creation, so
    that the same one sent twice under two delivery ids is known, and is None for events that may repeat.
    """

    name: str
    account_id: int | None
    inbox_id: int | None
    object_id: int | None
    object_key: str | None
    conversation_id: int | None
    raw: JSON = field(repr=False)


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message that a contact wrote. Numbers are None only in bodies that are not Chatwoot's own.

    `contact` and `conversation` are Chatwoot's JSON (`conversation` may be empty); `text` is None for a message
    without words; `created_at` is aware UTC; `in_reply_to` is the id of the message it answers.
    """

    account_id: int | None
    inbox_id: int | None
    channel_type: str | None
    conversation_id: int | None
    contact: JSON = field(repr=False)
    contact_id: int
    source_id: str | None = field(repr=False)
    message_id: int | None
    text: str | None = field(repr=False)
    created_at: datetime | None
    in_reply_to: int | None
    conversation: JSON = field(repr=False)
    has_media: bool


def parse_event(payload: object) -> Event | None:
    """Return what a decoded body says; None when it names no event."""
    body = as_object(payload)
    name = as_text(body.get("event")).strip()[:_LONGEST_NAME]
    if not name:
        return None
    conversation = conversation_of(body)
    about_message = name.startswith("message_")
    object_id = _message_id(body) if about_message else as_id(body.get("id"))
    key = f"{name}:{object_id}" if name in CREATIONS and object_id is not None else None
    return Event(
        name=name,
        account_id=_account_id(body, conversation),
        inbox_id=_inbox_id(body, conversation),
        object_id=object_id,
        object_key=key,
        conversation_id=as_id(conversation.get("id")),
        raw=body,
    )


def incoming_message(payload: object) -> IncomingMessage | None:
    """Return the message that a contact wrote; None for every other body.

    Other bodies are: other events, notes, messages of agents, bots, templates and ourselves, and messages whose
    contact cannot be told.
    """
    body = as_object(payload)
    message = {**as_object(body.get("message")), **body}
    if as_text(body.get("event")).strip() != "message_created" or not _is_incoming(message):
        return None
    if message.get("private") not in (None, False) or marker_of(message) is not None:
        return None
    if as_text(as_object(body.get("sender")).get("type")) not in ("", "contact"):
        return None
    contact = contact_of(body)
    contact_id = as_id(contact.get("id"))
    if contact_id is None:
        return None
    conversation = conversation_of(body)
    text = as_text(message.get("content")).strip()
    attributes = as_object(message.get("content_attributes"))
    return IncomingMessage(
        account_id=_account_id(body, conversation),
        inbox_id=_inbox_id(body, conversation),
        channel_type=channel_of(conversation),
        conversation_id=as_id(conversation.get("id")),
        contact=contact,
        contact_id=contact_id,
        source_id=source_id_of(conversation),
        message_id=_message_id(body),
        text=text or None,
        created_at=as_time(message.get("created_at")),
        in_reply_to=as_id(attributes.get("in_reply_to")),
        conversation=conversation,
        has_media=bool(as_list(message.get("attachments"))),
    )


def is_noise(event: Event) -> bool:
    """Tell whether an event is one that nobody acts on: typing, widget openings, inboxes, a contact merely seen.

    Each incoming message makes a `contact_updated` that changes two times and nothing else (chatwoot#11973).
    """
    if event.name in _UNINTERESTING or event.name.startswith("inbox_"):
        return True
    if event.name != "contact_updated":
        return False
    changes = as_list(event.raw.get("changed_attributes"))
    return bool(changes) and all(isinstance(one, dict) and one.keys() <= _TOUCHED for one in changes)


def conversation_of(body: JSON) -> JSON:
    """Return the conversation: under its key in events about messages, else the body itself; empty for contacts."""
    inner = as_object(body.get("conversation"))
    if inner:
        return inner
    flat = as_text(body.get("event")).strip().startswith(("conversation_", "automation_event.", "macro."))
    return body if flat else {}


def contact_of(body: JSON) -> JSON:
    """Return the contact a body is about: who wrote, else the conversation's, else the body's own; empty if none.

    `conversation.contact` is the form of hand-written bodies; Chatwoot itself says `meta.sender`.
    """
    conversation = conversation_of(body)
    sender = as_object(body.get("sender"))
    if as_text(sender.get("type")) not in ("", "contact") or not _is_incoming(
        {**as_object(body.get("message")), **body}
    ):
        sender = {}
    about_contact = as_text(body.get("event")).strip().startswith("contact_")
    found = (
        sender,
        as_object(as_object(conversation.get("meta")).get("sender")),
        as_object(conversation.get("contact")),
        as_object(body.get("contact")),
        body if about_contact else {},
    )
    return next((one for one in found if as_id(one.get("id")) is not None), {})


def channel_of(conversation: JSON) -> str | None:
    """Return the channel's type, such as `Channel::Whatsapp`, from a webhook's conversation or the API's."""
    return as_text(conversation.get("channel") or as_object(conversation.get("meta")).get("channel")) or None


def source_id_of(conversation: JSON) -> str | None:
    """Return the address of the contact in its channel: digits for WhatsApp, otherwise often a UUID."""
    return as_text(as_object(conversation.get("contact_inbox")).get("source_id")) or None


def _is_incoming(message: JSON) -> bool:
    kind = message.get("message_type")
    return kind == "incoming" or (kind == 0 and kind is not False)


def _message_id(body: JSON) -> int | None:
    return as_id(body.get("id")) or as_id(as_object(body.get("message")).get("id"))


def _last_message(conversation: JSON) -> JSON:
    messages = as_list(conversation.get("messages"))
    return as_object(messages[0]) if messages else {}


def _account_id(body: JSON, conversation: JSON) -> int | None:
    # Before 4.14.2 events about conversations name no account but in their last message (chatwoot#11753).
    holders = (body, conversation, body.get("sender"), body.get("contact"), body.get("user"))
    found = [as_id(as_object(as_object(holder).get("account")).get("id")) for holder in holders]
    found += [as_id(holder.get("account_id")) for holder in (body, _last_message(conversation))]
    return next((one for one in found if one is not None), None)


def _inbox_id(body: JSON, conversation: JSON) -> int | None:
    found = (
        as_object(body.get("inbox")).get("id"),
        conversation.get("inbox_id"),
        as_object(conversation.get("contact_inbox")).get("inbox_id"),
        body.get("inbox_id"),
        as_object(conversation.get("inbox")).get("id"),
    )
    return next((one for one in map(as_id, found) if one is not None), None)


def as_object(value: object) -> JSON:
    """Return a JSON object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a JSON array as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return a JSON text without what databases refuse (NUL, halves of surrogate pairs); anything else as ""."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value.replace("\0", "")
    return value.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_id(value: object) -> int | None:
    """Return a positive number that fits a database's, given as a number or in digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= _LARGEST_ID else None


def as_time(value: object) -> datetime | None:
    """Return an aware UTC time from ISO 8601 (UTC unless it says otherwise) or seconds since 1970; None else."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
