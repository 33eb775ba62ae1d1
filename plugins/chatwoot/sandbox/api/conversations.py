"""``/conversations``: lists, filter, create, show.

Source: Chatwoot v4.15.1, ``ConversationsController``, ``ConversationFinder``, ``ConversationBuilder``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from ..actions import (
    conversations_of,
    create_conversation,
    link_contact,
    update_conversation,
)
from ..payloads.rest import conversation_json
from ..store.channels import SourceIdTaken
from ..store.contact_rules import check_attributes
from ..store.records import CONVERSATION_STATUSES, PRIORITIES, ContactInbox, Conversation, Json
from ..store.state import State
from .access import (
    NOT_AUTHORIZED,
    caller,
    fail,
    get_contact,
    get_conversation,
    get_inbox,
    not_found,
    page_number,
    params,
    reply,
    sees_conversation,
    sees_inbox,
    server_error,
    whole,
)
from .filters import CONVERSATION_KEYS, check, definitions, matches
from .messages import write_message

PAGE = 25
ADDED = ("campaign_id", "browser_language", "conversation_language", "referer", "mail_subject")


def blueprint(state: State) -> Blueprint:
    """The endpoints."""
    api = Blueprint("conversations", __name__)

    def visible() -> list[Conversation]:
        return [c for c in state.conversations.values() if sees_conversation(state, c)]

    def page_of(found: list[Conversation]) -> list[Json]:
        if "updated_within" not in request.args:
            start = (page_number() - 1) * PAGE
            found = found[start : start + PAGE]
        return [conversation_json(state, c) for c in found]

    @api.get("/conversations")
    def index() -> Response:
        found = _wanted(state, visible())
        shown = _sorted(_assigned(found, request.args.get("assignee_type", "all")))
        return reply({"data": {"meta": _counts(found), "payload": page_of(shown)}})

    @api.get("/conversations/meta")
    def meta() -> Response:
        return reply({"meta": _counts(_wanted(state, visible()))})

    @api.post("/conversations/filter")
    def filter_() -> Response:
        rows = definitions(state, caller().account.id, "conversation_attribute")
        defined = {str(row.values["attribute_key"]) for row in rows}
        conditions = check(params().get("payload"), CONVERSATION_KEYS, defined)
        found = [c for c in visible() if matches(conditions, _reader(c), state.now())]
        counts = _counts(found)
        del counts["assigned_count"]
        return reply({"meta": counts, "payload": page_of(_sorted(found))})

    @api.post("/conversations")
    def create() -> Response:
        fields = params()
        link = _link_for(state, fields)
        held = conversations_of(state, link)
        if held and state.inboxes[link.inbox_id].lock_to_single_conversation:
            conversation = held[-1]
        else:
            conversation = create_conversation(state, link, **_new_values(state, fields))
        if isinstance(fields.get("message"), dict):
            write_message(state, conversation, fields["message"])
        return reply(conversation_json(state, conversation))

    @api.get("/conversations/<display_id>")
    def show(display_id: str) -> Response:
        return reply(conversation_json(state, get_conversation(state, display_id)))

    @api.patch("/conversations/<display_id>")
    def update(display_id: str) -> Response:
        conversation, fields = get_conversation(state, display_id), params()
        if "priority" in fields:
            update_conversation(state, conversation, priority=priority(fields["priority"]))
        return reply(conversation_json(state, conversation))

    return api


def priority(value: Any) -> str | None:
    """A priority's name, ``None`` for none; an unknown one is an internal error, as in Chatwoot."""
    if value in (None, "", "nil"):
        return None
    if value not in PRIORITIES:
        server_error()
    return str(value)


def _link_for(state: State, fields: Json) -> ContactInbox:
    """The contact-inbox of a new conversation: inbox and contact, else a known source id."""
    source_id = fields.get("source_id")
    if fields.get("inbox_id") and fields.get("contact_id"):
        contact = get_contact(state, fields["contact_id"])
        inbox = get_inbox(state, fields["inbox_id"])
        try:
            return link_contact(state, contact, inbox, source_id)
        except SourceIdTaken as error:
            fail(422, str(error))
    # Chatwoot looks a bare source id up in any inbox, even of another account (PR 15521).
    link = next((x for x in state.contact_inboxes.values() if x.source_id == source_id), None)
    if link is None or state.inboxes[link.inbox_id].account_id != caller().account.id:
        not_found()
    if not sees_inbox(state.inboxes[link.inbox_id]):
        fail(401, NOT_AUTHORIZED)
    return link


def _new_values(state: State, fields: Json) -> Json:
    values: Json = {
        name: fields[name]
        for name in ("additional_attributes", "custom_attributes")
        if isinstance(fields.get(name), dict)
    }
    check_attributes(values)
    status = fields.get("status") or "open"
    if status not in CONVERSATION_STATUSES:
        server_error()
    values["status"] = status
    values["snoozed_until"] = whole(fields.get("snoozed_until"))
    user = state.users.get(whole(fields.get("assignee_id")) or 0)
    if user is not None and user.account_id == caller().account.id:
        values["assignee_id"] = user.id
    team = state.records.get(whole(fields.get("team_id")) or 0)
    if team is not None and team.table == "teams" and team.account_id == caller().account.id:
        values["team_id"] = team.id
    return values


def _wanted(state: State, found: list[Conversation]) -> list[Conversation]:
    """What the query's filters leave, ``assignee_type`` apart."""
    query = request.args
    status, words = query.get("status", "open"), query.get("q", "").strip().lower()
    if status != "all":
        found = [c for c in found if c.status == status]
    for name in ("inbox_id", "team_id"):
        if query.get(name):
            found = [c for c in found if getattr(c, name) == whole(query[name])]
    labels = set(query.getlist("labels[]"))
    if labels:
        found = [c for c in found if labels & set(c.label_list)]
    if query.get("source_id"):
        links = state.contact_inboxes
        found = [c for c in found if links[c.contact_inbox_id].source_id == query["source_id"]]
    if words:
        found = [c for c in found if any(words in (m.content or "").lower() for m in state.messages_of(c.id))]
    if query.get("updated_within"):
        since = state.now() - (whole(query["updated_within"]) or 0)
        found = [c for c in found if c.updated_at >= since]
    return found


def _assigned(found: list[Conversation], kind: str) -> list[Conversation]:
    if kind == "me":
        return [c for c in found if c.assignee_id == caller().who.id]
    if kind in ("assigned", "unassigned"):
        return [c for c in found if _has_assignee(c) == (kind == "assigned")]
    return found


def _has_assignee(conversation: Conversation) -> bool:
    return conversation.assignee_id is not None or conversation.assignee_agent_bot_id is not None


def _counts(found: list[Conversation]) -> Json:
    kinds = {"mine": "me", "assigned": "assigned", "unassigned": "unassigned", "all": "all"}
    return {f"{name}_count": len(_assigned(found, kind)) for name, kind in kinds.items()}


def _sorted(found: list[Conversation]) -> list[Conversation]:
    wanted = request.args.get("sort_by", "last_activity_at_desc")
    if wanted == "priority_desc_created_at_asc":
        return sorted(found, key=lambda c: (-_rank(c), c.created_at))
    name, _, direction = wanted.rpartition("_")
    keys: dict[str, Callable[[Conversation], Any]] = {
        "last_activity_at": lambda c: (c.last_activity_at, c.id),
        "created_at": lambda c: (c.created_at, c.id),
        "priority": lambda c: (_rank(c), c.id),
        "waiting_since": lambda c: (c.waiting_since or 0.0, c.id),
    }
    if name not in keys:
        name, direction = "last_activity_at", "desc"
    return sorted(found, key=keys[name], reverse=direction == "desc")


def _rank(conversation: Conversation) -> int:
    return 0 if conversation.priority is None else PRIORITIES.index(conversation.priority) + 1


def _reader(conversation: Conversation) -> Callable[[str], Any]:
    def read(key: str) -> Any:
        if key in ADDED:
            return conversation.additional_attributes.get(key)
        if key in CONVERSATION_KEYS:
            return getattr(conversation, "label_list" if key == "labels" else key)
        return conversation.custom_attributes.get(key)

    return read
