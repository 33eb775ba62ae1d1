"""Answers of the application API.

Source: Chatwoot v4.15.1, ``app/views/api/v1/**/*.jbuilder``. The published OpenAPI document differs in
places (chatwoot#6110, chatwoot#10747); the server's own views prevail here.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..store.channels import API, EMAIL, TWILIO, WHATSAPP, can_reply, links_of
from ..store.records import ACTIVITY, Bot, Contact, Conversation, Inbox, Json, Message, Record, User, Webhook
from ..store.state import State
from .common import bot_push, contact_push, epoch, iso, message_push, sender_push, unread_count


def inbox_ref(inbox: Inbox) -> Json:
    """The short inbox beside a source id."""
    return {
        "id": inbox.id,
        "avatar_url": "",
        "channel_id": inbox.id,
        "name": inbox.name,
        "channel_type": inbox.channel_type,
        "provider": inbox.provider,
    }


def inbox_record(inbox: Inbox) -> Json:
    """The raw row, as only ``POST /contacts`` shows it."""
    return {
        "id": inbox.id,
        "channel_id": inbox.id,
        "account_id": inbox.account_id,
        "name": inbox.name,
        "created_at": iso(inbox.created_at),
        "updated_at": iso(inbox.created_at),
        "channel_type": inbox.channel_type,
        "enable_auto_assignment": inbox.enable_auto_assignment,
        "greeting_enabled": inbox.greeting_enabled,
        "greeting_message": inbox.greeting_message,
        "email_address": inbox.email,
        "working_hours_enabled": inbox.working_hours_enabled,
        "out_of_office_message": inbox.out_of_office_message,
        "timezone": inbox.timezone,
        "lock_to_single_conversation": inbox.lock_to_single_conversation,
        "allow_messages_after_resolved": inbox.allow_messages_after_resolved,
    }


def inbox_json(inbox: Inbox, *, administrator: bool) -> Json:
    """An inbox as the inbox endpoints show it; secrets only for administrators."""
    body: Json = {
        **inbox_ref(inbox),
        "greeting_enabled": inbox.greeting_enabled,
        "greeting_message": inbox.greeting_message,
        "working_hours_enabled": inbox.working_hours_enabled,
        "enable_email_collect": True,
        "csat_survey_enabled": False,
        "csat_config": {},
        "enable_auto_assignment": inbox.enable_auto_assignment,
        "auto_assignment_config": {},
        "out_of_office_message": inbox.out_of_office_message,
        "working_hours": inbox.working_hours,
        "timezone": inbox.timezone,
        "callback_webhook_url": None,
        "allow_messages_after_resolved": inbox.allow_messages_after_resolved,
        "lock_to_single_conversation": inbox.lock_to_single_conversation,
        "sender_name_type": "friendly",
        "business_name": None,
        "widget_color": None,
        "website_url": None,
        "hmac_mandatory": None,
        "welcome_title": None,
        "welcome_tagline": None,
        "web_widget_script": None,
        "website_token": inbox.website_token,
        "selected_feature_flags": None,
        "reply_time": None,
        "messaging_service_sid": None,
        "phone_number": inbox.phone_number,
    }
    if inbox.channel_type == TWILIO:
        body |= {"medium": inbox.medium, "content_templates": inbox.content_templates}
    if inbox.channel_type == EMAIL:
        body |= {"email": inbox.email}
    if inbox.channel_type == WHATSAPP:
        body |= {"message_templates": inbox.message_templates, "reauthorization_required": False}
        body |= {"provider_config": {}} if administrator else {}
    if inbox.channel_type == API:
        body |= {
            "webhook_url": inbox.webhook_url,
            "inbox_identifier": inbox.inbox_identifier,
            "additional_attributes": inbox.additional_attributes,
        }
        body |= {"hmac_token": inbox.hmac_token, "secret": inbox.secret} if administrator else {}
    return body


def contact_json(state: State, contact: Contact, *, with_inboxes: bool = False) -> Json:
    """A contact; ``last_activity_at`` is left out when there never was any."""
    body: Json = {
        "additional_attributes": contact.additional_attributes,
        "availability_status": "offline",
        "email": contact.email,
        "id": contact.id,
        "name": contact.name,
        "phone_number": contact.phone_number,
        "blocked": contact.blocked,
        "identifier": contact.identifier,
        "thumbnail": "",
        "custom_attributes": contact.custom_attributes,
    }
    if contact.last_activity_at is not None:
        body["last_activity_at"] = epoch(contact.last_activity_at)
    body["created_at"] = epoch(contact.created_at)
    if with_inboxes:
        body["contact_inboxes"] = [
            {"source_id": x.source_id, "inbox": inbox_ref(state.inboxes[x.inbox_id])} for x in links_of(state, contact)
        ]
    return body


def agent_json(user: User) -> Json:
    return {
        "id": user.id,
        "account_id": user.account_id,
        "availability_status": "online",
        "auto_offline": True,
        "confirmed": True,
        "email": user.email,
        "provider": "email",
        "available_name": user.available_name,
        "name": user.name,
        "role": user.role,
        "thumbnail": "",
    }


def bot_json(bot: Bot, *, administrator: bool) -> Json:
    body: Json = {
        "id": bot.id,
        "name": bot.name,
        "description": bot.description,
        "thumbnail": "",
        "outgoing_url": bot.outgoing_url,
        "bot_type": "webhook",
        "bot_config": {},
        "account_id": bot.account_id,
        "access_token": bot.token,
        "system_bot": False,
    }
    return body | ({"secret": bot.secret} if administrator else {})


def team_json(team: Record) -> Json:
    return {"id": team.id, **team.values, "account_id": team.account_id, "is_member": False}


def webhook_json(state: State, webhook: Webhook) -> Json:
    body: Json = {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "account_id": webhook.account_id,
        "subscriptions": webhook.subscriptions,
        "secret": webhook.secret,
    }
    if webhook.inbox_id is not None:
        inbox = state.inboxes[webhook.inbox_id]
        body["inbox"] = {"id": inbox.id, "name": inbox.name}
    return body


def conversation_json(state: State, conversation: Conversation) -> Json:
    """The API's conversation; unlike the webhook's it has no ``contact_inbox`` and no ``source_id``."""
    contact = state.contacts[conversation.contact_id]
    inbox = state.inboxes[conversation.inbox_id]
    meta: Json = {"sender": contact_json(state, contact), "channel": inbox.channel_type}
    if conversation.assignee_id is not None:
        meta["assignee"] = agent_json(state.users[conversation.assignee_id])
        meta["assignee_type"] = "User"
    elif conversation.assignee_agent_bot_id is not None:
        meta["assignee"] = bot_push(state.bots[conversation.assignee_agent_bot_id])
        meta["assignee_type"] = "AgentBot"
    if conversation.team_id is not None and conversation.team_id in state.records:
        meta["team"] = team_json(state.records[conversation.team_id])
    meta["hmac_verified"] = state.contact_inboxes[conversation.contact_inbox_id].hmac_verified
    last = state.last_message(conversation.id)
    spoken = next((m for m in reversed(state.messages_of(conversation.id)) if m.message_type != ACTIVITY), None)
    return {
        "meta": meta,
        "id": conversation.display_id,
        "messages": [] if last is None else [message_push(state, last)],
        "account_id": conversation.account_id,
        "uuid": conversation.uuid,
        "additional_attributes": conversation.additional_attributes,
        "agent_last_seen_at": epoch(conversation.agent_last_seen_at),
        "assignee_last_seen_at": epoch(conversation.assignee_last_seen_at),
        "can_reply": can_reply(state, conversation),
        "contact_last_seen_at": epoch(conversation.contact_last_seen_at),
        "custom_attributes": conversation.custom_attributes,
        "inbox_id": conversation.inbox_id,
        "labels": conversation.label_list,
        "muted": contact.blocked,
        "snoozed_until": iso(conversation.snoozed_until),
        "status": conversation.status,
        "created_at": epoch(conversation.created_at),
        "updated_at": float(conversation.updated_at),
        "timestamp": epoch(conversation.last_activity_at),
        "first_reply_created_at": epoch(conversation.first_reply_created_at),
        "unread_count": unread_count(state, conversation),
        "last_non_activity_message": None if spoken is None else message_push(state, spoken),
        "last_activity_at": epoch(conversation.last_activity_at),
        "priority": conversation.priority,
        "waiting_since": epoch(conversation.waiting_since),
        "sla_policy_id": None,
    }


def message_json(state: State, message: Message) -> Json:
    """A message of the message endpoints: integer type and time, no ``additional_attributes``."""
    body: Json = {
        "id": message.id,
        "content": message.content,
        "inbox_id": message.inbox_id,
        "conversation_id": state.conversations[message.conversation_id].display_id,
        "message_type": message.message_type,
        "content_type": message.content_type,
        "status": message.status,
        "content_attributes": message.content_attributes,
        "created_at": epoch(message.created_at),
        "private": message.private,
        "source_id": message.source_id,
    }
    sender = sender_push(state, message)
    if sender is not None:
        body["sender"] = sender
    if message.attachments:
        body["attachments"] = message.attachments
    return body


def message_list(state: State, conversation: Conversation, messages: Iterable[Message]) -> Json:
    """Messages in their envelope."""
    meta: Json = {
        "labels": conversation.label_list,
        "additional_attributes": conversation.additional_attributes,
        "contact": contact_push(state.contacts[conversation.contact_id]),
    }
    if conversation.assignee_id is not None:
        meta["assignee"] = agent_json(state.users[conversation.assignee_id])
    meta["agent_last_seen_at"] = iso(conversation.agent_last_seen_at)
    meta["assignee_last_seen_at"] = iso(conversation.assignee_last_seen_at)
    return {"meta": meta, "payload": [message_json(state, m) for m in messages]}
