"""Webhook bodies with the key sets and types that Chatwoot sends, about people who do not exist.

`since` picks the generation: (2, 0) to (4, 15). Source: `app/presenters/conversations/event_data_presenter.rb`,
`app/models/{message,contact}.rb`, `app/listeners/webhook_listener.rb` of the versions named.
"""

import hashlib
import hmac
import json
import time
import uuid
from typing import Any

JSON = dict[str, Any]
Version = tuple[int, int]

NEWEST: Version = (4, 15)
GENERATIONS: tuple[Version, ...] = ((2, 0), (3, 0), (4, 7), (4, 13), NEWEST)
ACCOUNT, INBOX, CONTACT, CONVERSATION, MESSAGE = 31, 789, 5001, 77, 900001
PHONE = "+525512345678"
SENT_AT, SENT_AT_ISO = 1781712000, "2026-06-17T16:00:00.000Z"
SECRET = "whsec_for_tests_01234567"


def contact(*, since: Version = NEWEST, **values: Any) -> JSON:
    """A contact as `meta.sender` shows it."""
    shown: JSON = {
        "additional_attributes": {},
        "custom_attributes": {},
        "email": None,
        "id": CONTACT,
        "identifier": None,
        "name": "Ana Prueba",
        "phone_number": PHONE,
        "thumbnail": "",
        "type": "contact",
    }
    if since >= (4, 0):
        shown["blocked"] = False
    return shown | values


def conversation(
    *,
    since: Version = NEWEST,
    who: JSON | None = None,
    channel: str = "Channel::Whatsapp",
    source_id: str | None = "5215512345678",
    hmac_verified: bool = False,
    messages: list[JSON] | None = None,
    **values: Any,
) -> JSON:
    """A conversation as webhooks show it: under `conversation` in messages, flat in events about conversations."""
    who = contact(since=since) if who is None else who
    shown: JSON = {
        "additional_attributes": {},
        "can_reply": True,
        "channel": channel,
        "contact_inbox": {
            "id": 601,
            "contact_id": who.get("id"),
            "inbox_id": INBOX,
            "source_id": source_id,
            "created_at": SENT_AT_ISO,
            "updated_at": SENT_AT_ISO,
            "hmac_verified": hmac_verified,
            "pubsub_token": "made-up",
        },
        "id": CONVERSATION,
        "inbox_id": INBOX,
        "messages": [last_message(who)] if messages is None else messages,
        "labels": [],
        "meta": {"sender": who, "assignee": None, "team": None, "hmac_verified": hmac_verified},
        "status": "open",
        "custom_attributes": {},
        "snoozed_until": None,
        "unread_count": 1,
        "first_reply_created_at": None,
        "priority": None,
        "waiting_since": SENT_AT,
        "agent_last_seen_at": 0,
        "contact_last_seen_at": 0,
        "timestamp": SENT_AT,
        "created_at": SENT_AT,
    }
    if since >= (4, 0):
        shown |= {"last_activity_at": SENT_AT, "updated_at": SENT_AT + 0.25}
    if since >= (4, 8):
        shown["meta"]["assignee_type"] = None
    if since >= (4, 14):
        shown["account"] = {"id": ACCOUNT, "name": "Clínica Prueba"}
    return shown | values


def last_message(who: JSON) -> JSON:
    """The item of `conversation.messages`: other types than the message of an event has."""
    return {
        "id": MESSAGE,
        "content": "Sí, confirmo",
        "account_id": ACCOUNT,
        "inbox_id": INBOX,
        "conversation_id": CONVERSATION,
        "message_type": 0,
        "created_at": SENT_AT,
        "updated_at": SENT_AT_ISO,
        "private": False,
        "status": "sent",
        "source_id": None,
        "content_type": "text",
        "content_attributes": {},
        "sender_type": "Contact",
        "sender_id": who.get("id"),
        "sender": who,
    }


def message(
    event: str = "message_created", *, since: Version = NEWEST, within: JSON | None = None, **values: Any
) -> JSON:
    """`message_created` or `message_updated`; an incoming one unless `message_type` says otherwise."""
    within = conversation(since=since) if within is None else within
    sender = {key: value for key, value in within["meta"]["sender"].items() if key != "type"}
    return {
        "account": {"id": ACCOUNT, "name": "Clínica Prueba"},
        "additional_attributes": {},
        "content_attributes": {},
        "content_type": "text",
        "content": "Sí, confirmo",
        "conversation": within,
        "created_at": SENT_AT_ISO,
        "id": MESSAGE,
        "inbox": {"id": INBOX, "name": "WhatsApp"},
        "message_type": "incoming",
        "private": False,
        "sender": sender | {"account": {"id": ACCOUNT, "name": "Clínica Prueba"}, "avatar": ""},
        "source_id": "wamid.MADEUP",
        "event": event,
    } | values


def agent(kind: str = "user") -> JSON:
    """Who wrote an outgoing message: `user` or `agent_bot`."""
    return {"id": 7, "name": "Luz", "type": kind} | ({"email": "luz@example.com"} if kind == "user" else {})


def outgoing(**values: Any) -> JSON:
    """A message an agent wrote to the client."""
    return message(**{"message_type": "outgoing", "sender": agent(), "source_id": None} | values)


def about_conversation(event: str = "conversation_created", *, since: Version = NEWEST, **values: Any) -> JSON:
    """An event about a conversation, which is the body itself."""
    return conversation(since=since) | {"event": event, "changed_attributes": None} | values


def about_contact(event: str = "contact_created", **values: Any) -> JSON:
    """An event about a contact, which is the body itself."""
    shown = {key: value for key, value in contact().items() if key != "type"}
    return shown | {"account": {"id": ACCOUNT, "name": "Clínica Prueba"}, "avatar": "", "event": event} | values


def changed(**values: Any) -> list[JSON]:
    """`changed_attributes` of a `*_updated` event."""
    return [{name: {"previous_value": None, "current_value": value}} for name, value in values.items()]


def typing(**values: Any) -> JSON:
    """An agent or contact types."""
    return {
        "event": "conversation_typing_on",
        "user": agent(),
        "conversation": conversation(),
        "is_private": False,
    } | values


def by_hand(**values: Any) -> JSON:
    """The short body that people post by hand, as the guide of the original system shows it."""
    return {
        "event": "message_created",
        "message_type": "incoming",
        "content": "Hola",
        "conversation": {
            "id": CONVERSATION,
            "contact": {"id": CONTACT, "name": "Ana Prueba", "phone_number": PHONE},
        },
        "inbox": {"id": INBOX},
    } | values


def sign(body: bytes, secret: str = SECRET, *, at: float | None = None) -> dict[str, str]:
    """The headers Chatwoot sends with a body."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Chatwoot-Delivery": str(uuid.uuid4()),
        "X-Chatwoot-Timestamp": timestamp,
        "X-Chatwoot-Signature": f"sha256={digest}",
    }


def encode(payload: object) -> bytes:
    """JSON as Rails writes it: UTF-8, with `<`, `>` and `&` escaped."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()
