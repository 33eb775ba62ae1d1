"""Webhook bodies, key by key as Chatwoot v4.15.1 sends them, and the older forms.

Source: Chatwoot v4.15.1, ``app/listeners/webhook_listener.rb`` and
``app/presenters/conversations/event_data_presenter.rb``.
"""

from __future__ import annotations

from ..store.channels import can_reply
from ..store.records import MESSAGE_TYPES, Contact, Conversation, Json, Message
from ..store.state import Event, State
from .common import (
    account_ref,
    bot_push,
    contact_push,
    epoch,
    iso,
    message_push,
    unread_count,
    user_push,
)

Generation = tuple[int, ...]
NEWEST: Generation = (4, 15, 1)


def contact_hook(state: State, contact: Contact) -> Json:
    """A contact as the sender of a message or as the subject of its own event; it has no ``type``."""
    return {
        "account": account_ref(state, contact.account_id),
        "additional_attributes": contact.additional_attributes,
        "avatar": "",
        "custom_attributes": contact.custom_attributes,
        "email": contact.email,
        "id": contact.id,
        "identifier": contact.identifier,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "thumbnail": "",
        "blocked": contact.blocked,
    }


def _sender(state: State, message: Message) -> Json | None:
    if message.sender_id is None:
        return None
    if message.sender_type == "Contact":
        return contact_hook(state, state.contacts[message.sender_id])
    if message.sender_type == "AgentBot":
        return {"id": message.sender_id, "name": state.bots[message.sender_id].name, "type": "agent_bot"}
    return _user(state, message.sender_id)


def _user(state: State, user_id: int) -> Json:
    user = state.users[user_id]
    return {"id": user.id, "name": user.name, "email": user.email, "type": "user"}


def _meta(state: State, conversation: Conversation, generation: Generation) -> Json:
    assignee, assignee_type = None, None
    if conversation.assignee_id is not None:
        assignee, assignee_type = user_push(state.users[conversation.assignee_id]), "User"
    elif conversation.assignee_agent_bot_id is not None:
        assignee, assignee_type = bot_push(state.bots[conversation.assignee_agent_bot_id]), "AgentBot"
    team = state.records.get(conversation.team_id) if conversation.team_id is not None else None
    meta: Json = {
        "sender": contact_push(state.contacts[conversation.contact_id]),
        "assignee": assignee,
    }
    if generation >= (4, 8):
        meta["assignee_type"] = assignee_type
    meta["team"] = None if team is None else {"id": team.id, "name": team.values["name"]}
    meta["hmac_verified"] = state.contact_inboxes[conversation.contact_inbox_id].hmac_verified
    return meta


def conversation_hook(state: State, conversation: Conversation, generation: Generation = NEWEST) -> Json:
    """The conversation inside message events, and flat in its own events; ``id`` is the display id."""
    link = state.contact_inboxes[conversation.contact_inbox_id]
    last = state.last_message(conversation.id, public=True)
    body: Json = {
        "additional_attributes": conversation.additional_attributes,
        "can_reply": can_reply(state, conversation),
        "channel": state.inboxes[conversation.inbox_id].channel_type,
        "contact_inbox": {
            "id": link.id,
            "contact_id": link.contact_id,
            "inbox_id": link.inbox_id,
            "source_id": link.source_id,
            "created_at": iso(link.created_at),
            "updated_at": iso(link.updated_at),
            "hmac_verified": link.hmac_verified,
            "pubsub_token": link.pubsub_token,
        },
        "id": conversation.display_id,
        "inbox_id": conversation.inbox_id,
        "messages": [] if last is None else [message_push(state, last)],
        "labels": conversation.label_list,
        "meta": _meta(state, conversation, generation),
        "status": conversation.status,
        "custom_attributes": conversation.custom_attributes,
        "snoozed_until": iso(conversation.snoozed_until),
        "unread_count": unread_count(state, conversation),
        "first_reply_created_at": iso(conversation.first_reply_created_at),
        "priority": conversation.priority,
        "waiting_since": epoch(conversation.waiting_since),
        "agent_last_seen_at": epoch(conversation.agent_last_seen_at),
        "contact_last_seen_at": epoch(conversation.contact_last_seen_at),
        "last_activity_at": epoch(conversation.last_activity_at),
        "timestamp": epoch(conversation.last_activity_at),
        "created_at": epoch(conversation.created_at),
        "updated_at": float(conversation.updated_at),
    }
    if generation >= (4, 14, 2):
        body["account"] = account_ref(state, conversation.account_id)
    return body


def message_hook(state: State, message: Message, generation: Generation = NEWEST) -> Json:
    """The body of ``message_created`` and ``message_updated`` without ``event``."""
    inbox = state.inboxes[message.inbox_id]
    content = message.content
    body: Json = {
        "account": account_ref(state, message.account_id),
        "additional_attributes": message.additional_attributes,
        "content_attributes": message.content_attributes,
        "content_type": message.content_type,
        "content": None if content is None else content.replace("\\\n", "\n").rstrip("\n"),
        "conversation": conversation_hook(state, state.conversations[message.conversation_id], generation),
        "created_at": iso(message.created_at),
        "id": message.id,
        "inbox": {"id": inbox.id, "name": inbox.name},
        "message_type": MESSAGE_TYPES[message.message_type],
        "private": message.private,
        "sender": _sender(state, message),
        "source_id": message.source_id,
    }
    if message.attachments:
        body["attachments"] = message.attachments
    return body


def event_body(state: State, event: Event, generation: Generation = NEWEST) -> Json | None:
    """The webhook body of an event as of now; ``None`` when what it was about is gone."""
    if event.kind == "message":
        message = state.messages.get(event.id)
        return None if message is None else {**message_hook(state, message, generation), "event": event.name}
    if event.kind == "contact":
        contact = state.contacts.get(event.id)
        if contact is None:
            return None
        body = {**contact_hook(state, contact), "event": event.name}
        if event.name == "contact_updated":
            body["changed_attributes"] = event.changed
        return body
    conversation = state.conversations.get(event.id)
    if conversation is None:
        return None
    if event.kind == "typing":
        assert event.user_id is not None
        return {
            "event": event.name,
            "user": _user(state, event.user_id),
            "conversation": conversation_hook(state, conversation, generation),
            "is_private": event.is_private,
        }
    body = {**conversation_hook(state, conversation, generation), "event": event.name}
    if event.name in ("conversation_updated", "conversation_status_changed"):
        # Chatwoot fills it for conversation_updated only.
        body["changed_attributes"] = event.changed if event.name == "conversation_updated" else None
    return body
