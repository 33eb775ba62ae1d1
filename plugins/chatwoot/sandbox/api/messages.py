"""``/conversations/{id}/messages``.

Source: Chatwoot v4.15.1, ``MessagesController``, ``MessageFinder``, ``Messages::MessageBuilder``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Blueprint, Response, request

from ..actions import add_message, set_message_status, update_message
from ..payloads.rest import message_json, message_list
from ..store.channels import API
from ..store.records import (
    ACTIVITY,
    CONTENT_TYPES,
    INCOMING,
    MESSAGE_STATUSES,
    MESSAGE_TYPES,
    OUTGOING,
    Contact,
    Conversation,
    Json,
    Message,
)
from ..store.state import State
from .access import ApiError, caller, fail, get_conversation, not_found, params, reply, whole

PAGE, AFTER, BETWEEN = 20, 100, 1000
LONGEST = 150_000
PER_MINUTE = 200
_LIQUID = re.compile(r"\{\{\s*([\w.]+)\s*(?:\|[^}]*)?\}\}")


def blueprint(state: State) -> Blueprint:
    """The endpoints."""
    api = Blueprint("messages", __name__, url_prefix="/conversations/<display_id>/messages")

    def get_message(conversation: Conversation, message_id: int) -> Message:
        message = state.messages.get(message_id)
        if message is None or message.conversation_id != conversation.id:
            not_found()
        return message

    @api.get("")
    def index(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        found = state.messages_of(conversation.id)
        if request.args.get("filter_internal_messages"):
            found = [m for m in found if m.public]
        before, after = whole(request.args.get("before")), whole(request.args.get("after"))
        if after is not None:
            found = [m for m in found if m.id > after and (before is None or m.id < before)]
            found = found[: AFTER if before is None else BETWEEN]
        else:
            found = [m for m in found if before is None or m.id < before][-PAGE:]
        return reply(message_list(state, conversation, found))

    @api.post("")
    def create(display_id: str) -> Response:
        conversation, fields = get_conversation(state, display_id), params()
        if request.files:
            fail(422, "The sandbox keeps no attachments")
        body = message_json(state, write_message(state, conversation, fields))
        if fields.get("echo_id") is not None:
            body["echo_id"] = fields["echo_id"]
        return reply(body)

    @api.route("/<int:message_id>", methods=["PATCH", "PUT"])
    def update(display_id: str, message_id: int) -> Response:
        conversation, fields = get_conversation(state, display_id), params()
        message = get_message(conversation, message_id)
        if state.inboxes[conversation.inbox_id].channel_type != API:
            raise ApiError(403, {"error": "Message status update is only allowed for API inboxes"})
        status = fields.get("status")
        if status in MESSAGE_STATUSES and (message.status, status) != ("read", "delivered"):
            set_message_status(state, message, status, fields.get("external_error"))
        return reply(message_json(state, message))

    @api.post("/<int:message_id>/retry")
    def retry(display_id: str, message_id: int) -> Response:
        conversation = get_conversation(state, display_id)
        message = get_message(conversation, message_id)
        update_message(state, message, status="sent", content_attributes={})
        state.deliver(message)
        return reply(message_json(state, message))

    @api.delete("/<int:message_id>")
    def destroy(display_id: str, message_id: int) -> Response:
        conversation = get_conversation(state, display_id)
        update_message(
            state,
            get_message(conversation, message_id),
            content="This message was deleted",
            content_attributes={"deleted": True},
            attachments=[],
        )
        return reply()

    return api


def write_message(state: State, conversation: Conversation, fields: Json) -> Message:
    """Make the message an API caller asks for; every refusal is 422 ``{"error": …}``."""
    kind = fields.get("message_type") or "outgoing"
    if kind not in MESSAGE_TYPES:
        fail(422, f"'{kind}' is not a valid message_type")
    message_type = MESSAGE_TYPES.index(kind)
    if message_type == INCOMING and state.inboxes[conversation.inbox_id].channel_type != API:
        fail(422, "Incoming messages are only allowed in Api inboxes")
    content_type = fields.get("content_type") or "text"
    if content_type not in CONTENT_TYPES:
        fail(422, f"'{content_type}' is not a valid content_type")
    content = None if fields.get("content") is None else str(fields["content"])
    if content is not None and len(content) > LONGEST:
        fail(422, f"Validation failed: Content is too long (maximum is {LONGEST} characters)")
    latest = state.messages_of(conversation.id)[-PER_MINUTE:]
    if len(latest) == PER_MINUTE and latest[0].created_at > state.now() - 60:
        fail(422, "Validation failed: Too many messages")
    contact = state.contacts[conversation.contact_id]
    if message_type == OUTGOING and content is not None:
        content = _fill_in(state, content, conversation, contact)
    attributes, template = _object(fields, "content_attributes"), _object(fields, "template_params")
    if template is not None and not template.get("name"):
        fail(422, "Validation failed: Template params name is required")
    extra: Json = {} if template is None else {"template_params": template}
    if fields.get("campaign_id") is not None:
        extra["campaign_id"] = fields["campaign_id"]
    return add_message(
        state,
        conversation,
        message_type,
        _sender(state, fields) if message_type == OUTGOING else None if message_type == ACTIVITY else contact,
        content=content,
        private=fields.get("private") in (True, "true", 1, "1"),
        content_type=content_type,
        content_attributes=attributes or {},
        additional_attributes=extra,
        source_id=fields.get("source_id"),
    )


def _sender(state: State, fields: Json) -> Any:
    if fields.get("sender_type") == "AgentBot":
        bot = state.bots.get(whole(fields.get("sender_id")) or 0)
        if bot is not None and bot.account_id == caller().account.id:
            return bot
    return caller().who


def _object(fields: Json, name: str) -> Json | None:
    """An object field; with form data it may travel as JSON text."""
    value = fields.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def _fill_in(state: State, content: str, conversation: Conversation, contact: Contact) -> str:
    """Replace Liquid placeholders; one that Chatwoot does not know becomes nothing."""
    names = contact.name.split()
    inbox = state.inboxes[conversation.inbox_id]
    values = {
        "contact.name": contact.name,
        "contact.first_name": names[0] if names else "",
        "contact.last_name": names[-1] if len(names) > 1 else "",
        "contact.email": contact.email or "",
        "contact.phone_number": contact.phone_number or "",
        "agent.name": caller().who.name,
        "inbox.name": inbox.name,
        "account.name": caller().account.name,
        "conversation.display_id": str(conversation.display_id),
    }
    return _LIQUID.sub(lambda found: values.get(found[1], ""), content)
