"""Pieces that REST answers and webhook bodies share, and the JSON encoding of Rails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from ..store.records import INCOMING, Bot, Contact, Conversation, Json, Message, User
from ..store.state import State

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def encode(value: Any) -> bytes:
    """JSON as Rails writes it: compact, UTF-8, with ``< > &`` and the line separators escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for plain, escaped in _ESCAPES.items():
        text = text.replace(plain, escaped)
    return text.encode()


def iso(moment: float | None) -> str | None:
    """Unix seconds as ``2026-06-20T12:00:00.000Z``."""
    if moment is None:
        return None
    whole, milliseconds = divmod(int(moment * 1000), 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def epoch(moment: float | None) -> int:
    """Unix seconds as an integer, 0 for never."""
    return int(moment) if moment is not None else 0


def unread_count(state: State, conversation: Conversation) -> int:
    """Customer's messages since an agent last looked; Chatwoot never says more than 10."""
    seen = conversation.agent_last_seen_at or 0.0
    count = 0
    for message in reversed(state.messages_of(conversation.id)):
        if message.created_at <= seen or count == 10:
            break
        count += message.message_type == INCOMING
    return count


def account_ref(state: State, account_id: int) -> Json:
    return {"id": account_id, "name": state.accounts[account_id].name}


def contact_push(contact: Contact) -> Json:
    return {
        "additional_attributes": contact.additional_attributes,
        "custom_attributes": contact.custom_attributes,
        "email": contact.email,
        "id": contact.id,
        "identifier": contact.identifier,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "thumbnail": "",
        "blocked": contact.blocked,
        "type": "contact",
    }


def user_push(user: User) -> Json:
    return {
        "id": user.id,
        "name": user.name,
        "available_name": user.available_name,
        "avatar_url": "",
        "type": "user",
        "availability_status": "online",
        "thumbnail": "",
    }


def bot_push(bot: Bot) -> Json:
    return {"id": bot.id, "name": bot.name, "avatar_url": "", "type": "agent_bot"}


def sender_push(state: State, message: Message) -> Json | None:
    """Who wrote a message, in the form with ``type``; ``None`` for the system."""
    if message.sender_id is None:
        return None
    if message.sender_type == "Contact":
        return contact_push(state.contacts[message.sender_id])
    if message.sender_type == "AgentBot":
        return bot_push(state.bots[message.sender_id])
    return user_push(state.users[message.sender_id])


def message_push(state: State, message: Message) -> Json:
    """The item of a conversation's ``messages``: every column, integer type and integer time."""
    conversation = state.conversations[message.conversation_id]
    link = state.contact_inboxes[conversation.contact_inbox_id]
    item: Json = {
        "id": message.id,
        "content": message.content,
        "account_id": message.account_id,
        "inbox_id": message.inbox_id,
        "conversation_id": conversation.display_id,
        "message_type": message.message_type,
        "created_at": epoch(message.created_at),
        "updated_at": iso(message.updated_at),
        "private": message.private,
        "status": message.status,
        "source_id": message.source_id,
        "content_type": message.content_type,
        "content_attributes": message.content_attributes,
        "sender_type": message.sender_type,
        "sender_id": message.sender_id,
        "external_source_ids": {},
        "additional_attributes": message.additional_attributes,
        "processed_message_content": message.content,
        "sentiment": {},
        "conversation": {
            "assignee_id": conversation.assignee_id,
            "unread_count": unread_count(state, conversation),
            "last_activity_at": epoch(conversation.last_activity_at),
            "contact_inbox": {"source_id": link.source_id},
        },
    }
    if message.attachments:
        item["attachments"] = message.attachments
    sender = sender_push(state, message)
    if sender is not None:
        item["sender"] = sender
    return item
