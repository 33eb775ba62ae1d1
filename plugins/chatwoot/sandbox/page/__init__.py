"""The page at ``/``: a customer's phone and an agent's desk, side by side."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request

from ..api.access import find_conversation, reply, whole
from ..payloads.common import epoch
from ..payloads.rest import contact_json, conversation_json, message_json
from ..store.channels import SMS, TWILIO, WHATSAPP
from ..store.records import ACTIVITY, MESSAGE_TYPES, OUTGOING, Conversation, Json, Message
from ..store.state import State
from ..traffic import known_link
from ..webhooks import Dispatcher
from .texts import TEXTS

LISTED = 50
SHOWN = 200
POLICY = "default-src 'self'; img-src 'self' data:; frame-src http: https:; frame-ancestors 'none'"


def blueprint(state: State, hooks: Dispatcher) -> Blueprint:
    """The page, its style and script, and the JSON it asks for each second."""
    pages = Blueprint(
        "page",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/sandbox/static",
    )

    @pages.get("/")
    def index() -> Response:
        language = "en" if request.args.get("lang") == "en" else "es"
        text = render_template("sandbox.html", t=TEXTS[language], language=language)
        return Response(text, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})

    @pages.get("/sandbox/view")
    def view() -> Response:
        """Everything on the page: ``inbox_id``, ``phone``, ``source_id`` of the phone, ``conversation`` at the desk."""
        with state.lock:
            return reply(
                {
                    "inboxes": [
                        {"id": i.id, "name": i.name, "channel": i.channel_type}
                        for i in state.inboxes.values()
                        if i.account_id == 1
                    ],
                    "phones": sorted({c.phone_number for c in state.contacts.values() if c.phone_number}),
                    "phone": _phone(state),
                    "conversations": _list(state),
                    "desk": _desk(state),
                    "apps": [{"id": r.id, **r.values} for r in state.rows("dashboard_apps", 1)],
                    "webhooks": len(state.webhooks),
                    "delivery": hooks.deliveries[-1].as_json() if hooks.deliveries else None,
                }
            )

    return pages


def _phone(state: State) -> list[Json]:
    """What the customer sees: what arrived, neither notes nor failed messages."""
    query = request.args
    inbox = state.inboxes.get(whole(query.get("inbox_id")) or 0)
    address = query.get("source_id") or None
    if inbox is None or not (query.get("phone") or address):
        return []
    link = known_link(state, inbox, phone=query.get("phone"), source_id=address)
    if link is None:
        return []
    waits = inbox.channel_type in (WHATSAPP, TWILIO, SMS)
    seen = ("delivered", "read") if waits else ("sent", "delivered", "read")
    found = [
        m
        for c in state.conversations.values()
        if c.contact_inbox_id == link.id
        for m in state.messages_of(c.id)
        if m.public and (m.message_type != OUTGOING or m.status in seen)
    ]
    return [_message(state, m) for m in sorted(found, key=lambda m: m.id)[-SHOWN:]]


def _message(state: State, message: Message) -> Json:
    body = message_json(state, message)
    body["kind"] = MESSAGE_TYPES[message.message_type]
    return body


def _list(state: State) -> list[Json]:
    found = [c for c in state.conversations.values() if c.account_id == 1]
    found.sort(key=lambda c: (c.last_activity_at, c.id), reverse=True)
    return [_summary(state, c) for c in found[:LISTED]]


def _summary(state: State, conversation: Conversation) -> Json:
    contact = state.contacts[conversation.contact_id]
    last = next((m for m in reversed(state.messages_of(conversation.id)) if m.message_type != ACTIVITY), None)
    return {
        "id": conversation.display_id,
        "name": contact.name or contact.phone_number,
        "inbox": state.inboxes[conversation.inbox_id].name,
        "status": conversation.status,
        "last": None if last is None else last.content,
        "at": epoch(conversation.last_activity_at),
        "unread": conversation_json(state, conversation)["unread_count"],
    }


def _desk(state: State) -> Json | None:
    conversation = find_conversation(state, 1, whole(request.args.get("conversation")))
    if conversation is None:
        return None
    contact = state.contacts[conversation.contact_id]
    return {
        "conversation": conversation_json(state, conversation),
        "contact": contact_json(state, contact, with_inboxes=True),
        "messages": [_message(state, m) for m in state.messages_of(conversation.id)[-SHOWN:]],
    }
