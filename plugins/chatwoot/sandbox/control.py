"""Control endpoints under ``/sandbox/``: play the customer and the agent, look, break, wait, begin again.

They are not part of Chatwoot. Lists take ``?after=N`` (the number or id of the last item seen).
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from .actions import add_message, set_status
from .api.access import find_conversation, reply, whole
from .gate import Gate, parse_fault
from .payloads.common import iso
from .payloads.rest import contact_json
from .store.records import ACTIVITY, INCOMING, MESSAGE_STATUSES, MESSAGE_TYPES, OUTGOING, Json, Message, User
from .store.state import State
from .store.timers import Timers
from .traffic import receive, report
from .webhooks import Dispatcher, parse_generation


class BadControl(ValueError):
    """A control request that cannot be done; the text says what is wrong."""


def blueprint(state: State, gate: Gate, hooks: Dispatcher, timers: Timers) -> Blueprint:
    """The endpoints."""
    api = Blueprint("control", __name__, url_prefix="/sandbox")

    @api.errorhandler(ValueError)
    def _(error: ValueError) -> Response:
        return reply({"error": str(error)}, 422)

    @api.before_request
    def _() -> Response | None:
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return reply({"error": "only the sandbox's own page may do this"}, 403)
        return None

    @api.post("/incoming")
    def incoming() -> Response:
        fields = _fields("inbox_id", "phone", "source_id", "name", "text", "attachments")
        with state.lock:
            inbox = state.inboxes.get(whole(fields.get("inbox_id")) or 0)
            if inbox is None:
                raise BadControl("inbox_id names no inbox")
            message = receive(
                state,
                inbox,
                phone=_text(fields, "phone"),
                source_id=_text(fields, "source_id"),
                name=_text(fields, "name"),
                text=_text(fields, "text"),
                attachments=[str(kind) for kind in fields.get("attachments") or []],
            )
            state.touch()
            talk = state.conversations[message.conversation_id]
            return reply(
                {
                    "account_id": talk.account_id,
                    "contact_id": talk.contact_id,
                    "conversation_id": talk.display_id,
                    "message_id": message.id,
                    "source_id": state.contact_inboxes[talk.contact_inbox_id].source_id,
                }
            )

    @api.post("/agent")
    def agent() -> Response:
        """An agent at the dashboard: ``reply`` or ``note`` with ``text``, or a status."""
        fields = _fields("conversation_id", "account_id", "action", "text")
        action = fields.get("action", "reply")
        with state.lock:
            account_id = whole(fields.get("account_id")) or 1
            talk = find_conversation(state, account_id, whole(fields.get("conversation_id")))
            if talk is None:
                raise BadControl("conversation_id names no conversation")
            who = next(u for u in state.users.values() if u.account_id == account_id and _is_agent(u))
            state.touch()
            talk.agent_last_seen_at = state.now()
            if action in ("reply", "note"):
                text = _text(fields, "text") or ""
                message = add_message(state, talk, OUTGOING, who, content=text, private=action == "note")
                return reply({"message_id": message.id})
            if action not in ("open", "resolved", "pending", "snoozed"):
                raise BadControl("action is reply, note, open, resolved, pending or snoozed")
            set_status(state, talk, action, by=who.name)
            return reply({"status": talk.status})

    @api.post("/report")
    def provider_report() -> Response:
        """A delivery report of the provider for one message, in any order."""
        fields = _fields("message_id", "status", "error")
        status, number = fields.get("status"), whole(fields.get("message_id")) or 0
        with state.lock:
            if number not in state.messages or status not in MESSAGE_STATUSES:
                raise BadControl("message_id or status is unknown")
            report(state, number, str(status), _text(fields, "error"))
            return reply({"status": state.messages[number].status})

    @api.post("/template")
    def judge_template() -> Response:
        """Meta's decision on a WhatsApp template of an inbox: another state or category."""
        fields = _fields("inbox_id", "name", "status", "category")
        with state.lock:
            inbox = state.inboxes.get(whole(fields.get("inbox_id")) or 0)
            found = [one for one in inbox.message_templates if one["name"] == fields.get("name")] if inbox else []
            if not found:
                raise BadControl("inbox_id or name is unknown")
            for template in found:
                template |= {name: str(fields[name]) for name in ("status", "category") if name in fields}
            return reply(found)

    @api.get("/messages")
    def messages() -> Response:
        after = _after()
        with state.lock:
            return reply([_row(state, m) for m in state.messages.values() if m.id > after])

    @api.get("/contacts")
    def contacts() -> Response:
        with state.lock:
            rows = [
                {"account_id": c.account_id, **contact_json(state, c, with_inboxes=True)}
                for c in state.contacts.values()
                if c.id > _after()
            ]
        return reply(rows)

    @api.get("/requests")
    def requests() -> Response:
        return reply(gate.seen(_after()))

    @api.get("/deliveries")
    def deliveries() -> Response:
        after = _after()
        with state.lock:
            return reply([d.as_json() for d in hooks.deliveries if d.number > after])

    @api.post("/redeliver")
    def redeliver() -> Response:
        delivery = hooks.redeliver(str(_fields("delivery_id").get("delivery_id")))
        if delivery is None:
            raise BadControl("delivery_id names no delivery")
        return reply(delivery.as_json())

    @api.get("/faults")
    def faults() -> Response:
        return reply(gate.pending_faults())

    @api.post("/faults")
    def add_fault() -> Response:
        gate.add_fault(parse_fault(_fields()))
        return reply(gate.pending_faults())

    @api.delete("/faults")
    def clear_faults() -> Response:
        gate.clear_faults()
        return reply([])

    @api.post("/webhook_mode")
    def webhook_mode() -> Response:
        fields, mode = _fields("duplicate", "shuffle", "generation"), hooks.mode
        generation = parse_generation(fields["generation"]) if "generation" in fields else mode.generation
        mode.generation = generation
        mode.duplicate = bool(fields.get("duplicate", mode.duplicate))
        mode.shuffle = bool(fields.get("shuffle", mode.shuffle))
        text = ".".join(str(part) for part in generation)
        return reply({"duplicate": mode.duplicate, "shuffle": mode.shuffle, "generation": text})

    @api.post("/clock")
    def clock() -> Response:
        """What happened so far now happened ``hours`` earlier."""
        hours = _fields("hours").get("hours")
        if not isinstance(hours, int | float):
            raise BadControl("hours is a number")
        with state.lock:
            state.age(hours)
        return reply({"hours": hours})

    @api.get("/idle")
    def idle() -> Response:
        """Wait (``?timeout=`` seconds, 5 if not given) until no webhook and no report is on its way."""
        seconds = min(60.0, float(request.args.get("timeout", 5)))
        return reply({"idle": timers.wait(seconds) and hooks.wait(seconds)})

    @api.post("/reset")
    def reset() -> Response:
        with state.lock:
            timers.clear()
            hooks.reset()
            gate.reset()
            state.reset()
        return reply({"reset": True})

    return api


def _is_agent(user: User) -> bool:
    return user.role == "agent" or user.account_id != 1


def _fields(*known: str) -> Json:
    """The JSON object of the request, an empty one without a body."""
    found = request.get_json(force=True, silent=True) if request.get_data() else {}
    if not isinstance(found, dict):
        raise BadControl("the body is a JSON object")
    if known and not set(found) <= set(known):
        raise BadControl(f"unknown fields: {', '.join(sorted(set(found) - set(known)))}")
    return found


def _text(fields: Json, name: str) -> str | None:
    value: Any = fields.get(name)
    return None if value is None else str(value)


def _after() -> int:
    return whole(request.args.get("after")) or 0


def _row(state: State, message: Message) -> Json:
    """One message as a witness would tell it."""
    talk = state.conversations[message.conversation_id]
    contact, inbox = state.contacts[talk.contact_id], state.inboxes[talk.inbox_id]
    kind = message.message_type
    direction = "incoming" if kind == INCOMING else "activity" if kind == ACTIVITY else "outgoing"
    return {
        "id": message.id,
        "account": message.account_id,
        "conversation": talk.display_id,
        "contact": contact.id,
        "contact_name": contact.name,
        "phone": contact.phone_number,
        "inbox": inbox.id,
        "inbox_name": inbox.name,
        "channel": inbox.channel_type,
        "direction": direction,
        "message_type": MESSAGE_TYPES[kind],
        "private": message.private,
        "status": message.status,
        "content": message.content,
        "content_type": message.content_type,
        "content_attributes": message.content_attributes,
        "additional_attributes": message.additional_attributes,
        "sender_type": message.sender_type,
        "sender_id": message.sender_id,
        "created_at": iso(message.created_at),
    }
