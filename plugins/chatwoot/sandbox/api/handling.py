"""What agents do with a conversation: status, priority, assignment, attributes, labels, reading.

Source: Chatwoot v4.15.1, ``ConversationsController`` and the controllers below ``conversations/``.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ..actions import (
    add_activity,
    set_status,
    update_contact,
    update_conversation,
)
from ..payloads.common import bot_push, iso
from ..payloads.rest import agent_json, conversation_json
from ..store.contact_rules import check_attributes
from ..store.records import CONVERSATION_STATUSES, INCOMING, Bot, Conversation, Json, User
from ..store.state import Event, State
from .access import caller, get_conversation, params, reply, server_error, whole
from .conversations import priority


def blueprint(state: State) -> Blueprint:
    """The endpoints."""
    api = Blueprint("handling", __name__, url_prefix="/conversations/<display_id>")

    @api.post("/toggle_status")
    def toggle_status(display_id: str) -> Response:
        conversation, fields, who = get_conversation(state, display_id), params(), caller().who
        status = fields.get("status") or ("resolved" if conversation.status == "open" else "open")
        if status not in CONVERSATION_STATUSES:
            server_error()
        hand_off = isinstance(who, Bot) and conversation.status == "pending" and status == "open"
        until = whole(fields.get("snoozed_until"))
        set_status(state, conversation, status, by=who.name, snoozed_until=until)
        if hand_off and conversation.waiting_since is None:
            update_conversation(state, conversation, waiting_since=state.now())
        if status == "open" and isinstance(who, User) and who.role == "agent":
            update_conversation(state, conversation, assignee_id=who.id, assignee_agent_bot_id=None)
        return reply(
            {
                "meta": {},
                "payload": {
                    "success": None if hand_off else True,
                    "conversation_id": conversation.display_id,
                    "current_status": conversation.status,
                    "snoozed_until": iso(conversation.snoozed_until),
                },
            }
        )

    @api.post("/toggle_priority")
    def toggle_priority(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        update_conversation(state, conversation, priority=priority(params().get("priority")))
        return reply()

    @api.post("/toggle_typing_status")
    def toggle_typing_status(display_id: str) -> Response:
        conversation, fields, who = get_conversation(state, display_id), params(), caller().who
        if fields.get("typing_status") in ("on", "off") and isinstance(who, User):
            state.publish(
                Event(
                    f"conversation_typing_{fields['typing_status']}",
                    conversation.account_id,
                    "typing",
                    conversation.id,
                    user_id=who.id,
                    is_private=fields.get("is_private") in (True, "true"),
                )
            )
        return reply()

    @api.post("/assignments")
    def assign(display_id: str) -> Response:
        conversation, fields = get_conversation(state, display_id), params()
        by_person = "assignee_id" in fields
        return reply(_assign(state, conversation, fields) if by_person else _set_team(state, conversation, fields))

    @api.post("/custom_attributes")
    def custom_attributes(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        given = params().get("custom_attributes")
        values = {"custom_attributes": given if isinstance(given, dict) else {}}
        check_attributes(values)
        update_conversation(state, conversation, **values)
        return reply({"custom_attributes": conversation.custom_attributes})

    @api.get("/labels")
    def labels(display_id: str) -> Response:
        return reply({"payload": get_conversation(state, display_id).label_list})

    @api.post("/labels")
    def set_labels(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        wanted = [str(label) for label in params().get("labels") or []]
        added = [label for label in wanted if label not in conversation.label_list]
        if update_conversation(state, conversation, label_list=wanted) and added:
            add_activity(state, conversation, f"{caller().who.name} added {', '.join(added)}")
        return reply({"payload": conversation.label_list})

    @api.post("/update_last_seen")
    def update_last_seen(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        conversation.agent_last_seen_at = state.now()
        if conversation.assignee_id == caller().who.id:
            conversation.assignee_last_seen_at = state.now()
        return reply(conversation_json(state, conversation))

    @api.post("/unread")
    def unread(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        written = [m for m in state.messages_of(conversation.id) if m.message_type == INCOMING]
        conversation.agent_last_seen_at = written[-1].created_at - 1 if written else None
        return reply(conversation_json(state, conversation))

    @api.post("/mute")
    def mute(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        set_status(state, conversation, "resolved", by=caller().who.name)
        update_contact(state, state.contacts[conversation.contact_id], blocked=True)
        return reply()

    @api.post("/unmute")
    def unmute(display_id: str) -> Response:
        conversation = get_conversation(state, display_id)
        update_contact(state, state.contacts[conversation.contact_id], blocked=False)
        return reply()

    return api


def _assign(state: State, conversation: Conversation, fields: Json) -> Any:
    """Assign a person or a bot; an unknown one unassigns, and the answer is null."""
    number, account_id = whole(fields["assignee_id"]) or 0, conversation.account_id
    if fields.get("assignee_type") == "AgentBot":
        bot = state.bots.get(number)
        if bot is not None and bot.account_id != account_id:
            bot = None
        update_conversation(
            state,
            conversation,
            assignee_id=None,
            assignee_agent_bot_id=None if bot is None else bot.id,
        )
        return None if bot is None else bot_push(bot)
    user = state.users.get(number)
    if user is not None and user.account_id != account_id:
        user = None
    user_id = None if user is None else user.id
    if update_conversation(state, conversation, assignee_id=user_id, assignee_agent_bot_id=None):
        name = caller().who.name
        done = f"Conversation unassigned by {name}" if user is None else f"Assigned to {user.name} by {name}"
        add_activity(state, conversation, done)
    return None if user is None else agent_json(user)


def _set_team(state: State, conversation: Conversation, fields: Json) -> Any:
    team = state.records.get(whole(fields.get("team_id")) or 0)
    if team is not None and (team.table != "teams" or team.account_id != conversation.account_id):
        team = None
    update_conversation(state, conversation, team_id=None if team is None else team.id)
    if team is None:
        return None
    stamps = {"created_at": iso(team.created_at), "updated_at": iso(team.updated_at)}
    return {"id": team.id, **team.values, "account_id": team.account_id, **stamps}
