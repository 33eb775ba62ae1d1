"""``/inboxes``, ``/agent_bots`` and ``/webhooks``: what an administrator sets up.

Source: Chatwoot v4.15.1, ``InboxesController``, ``AgentBotsController``, ``WebhooksController``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response

from ..payloads.rest import agent_json, bot_json, inbox_json, webhook_json
from ..store.contact_rules import RecordInvalid
from ..store.records import Bot, Json, Webhook
from ..store.seed import new_api_inbox
from ..store.state import State, token
from .access import (
    caller,
    get_inbox,
    invalid,
    missing,
    not_found,
    params,
    reply,
    sees_inbox,
    server_error,
    whole,
)

EVENTS = (
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
    "inbox_created",
    "inbox_updated",
    "conversation_typing_on",
    "conversation_typing_off",
)
DEFAULT_EVENTS = EVENTS[:8]
SETTINGS = (
    "name",
    "greeting_enabled",
    "greeting_message",
    "working_hours_enabled",
    "out_of_office_message",
    "timezone",
    "lock_to_single_conversation",
    "allow_messages_after_resolved",
    "enable_auto_assignment",
)


def inboxes(state: State) -> Blueprint:
    """``/inboxes`` and its members."""
    api = Blueprint("inboxes", __name__)

    def shown(inbox_id: int) -> Json:
        return inbox_json(get_inbox(state, inbox_id), administrator=caller().administrator)

    @api.get("/inboxes")
    def index() -> Response:
        mine = [i for i in state.inboxes.values() if i.account_id == caller().account.id and sees_inbox(i)]
        return reply({"payload": [shown(inbox.id) for inbox in mine]})

    @api.post("/inboxes")
    def create() -> Response:
        fields = params()
        channel = fields.get("channel")
        if not isinstance(channel, dict):
            missing("channel")
        if channel.get("type") != "api":
            server_error()
        name = fields.get("name")
        if not name:
            invalid("name", "Name can't be blank")
        inbox = new_api_inbox(
            state,
            caller().account.id,
            str(name),
            channel.get("webhook_url") or None,
            additional_attributes=channel.get("additional_attributes") or {},
        )
        return reply(shown(inbox.id))

    @api.get("/inboxes/<int:inbox_id>")
    def show(inbox_id: int) -> Response:
        return reply(shown(inbox_id))

    @api.route("/inboxes/<int:inbox_id>", methods=["PATCH", "PUT"])
    def update(inbox_id: int) -> Response:
        inbox, fields = get_inbox(state, inbox_id), params()
        for setting in SETTINGS:
            if setting in fields:
                setattr(inbox, setting, fields[setting])
        channel = fields.get("channel") or {}
        if "webhook_url" in channel:
            inbox.webhook_url = channel["webhook_url"] or None
        inbox.additional_attributes |= channel.get("additional_attributes") or {}
        for day in fields.get("working_hours") or []:
            held = next(d for d in inbox.working_hours if d["day_of_week"] == day["day_of_week"])
            held |= {key: day[key] for key in held if key in day}
        return reply(shown(inbox_id))

    @api.post("/inboxes/<int:inbox_id>/reset_secret")
    def reset_secret(inbox_id: int) -> Response:
        inbox = get_inbox(state, inbox_id)
        if inbox.secret is None:
            not_found()
        inbox.secret = token()
        return reply(shown(inbox_id))

    @api.post("/inboxes/<int:inbox_id>/set_agent_bot")
    def set_agent_bot(inbox_id: int) -> Response:
        inbox, wanted = get_inbox(state, inbox_id), params().get("agent_bot")
        inbox.agent_bot_id = _bot(state, wanted).id if wanted else None
        return reply()

    @api.get("/inboxes/<int:inbox_id>/agent_bot")
    def agent_bot(inbox_id: int) -> Response:
        held = get_inbox(state, inbox_id).agent_bot_id
        bot = {} if held is None else bot_json(state.bots[held], administrator=caller().administrator)
        return reply({"agent_bot": bot})

    @api.get("/inboxes/<int:inbox_id>/assignable_agents")
    @api.get("/inbox_members/<int:inbox_id>")
    def members(inbox_id: int) -> Response:
        return reply({"payload": [agent_json(state.users[u]) for u in get_inbox(state, inbox_id).member_ids]})

    return api


def _bot(state: State, bot_id: Any) -> Bot:
    bot = state.bots.get(whole(bot_id) or 0)
    if bot is None or bot.account_id != caller().account.id:
        not_found()
    return bot


def bots(state: State) -> Blueprint:
    """``/agent_bots``."""
    api = Blueprint("bots", __name__, url_prefix="/agent_bots")

    def shown(bot: Bot) -> Json:
        return bot_json(bot, administrator=caller().administrator)

    def change(bot: Bot) -> Bot:
        fields = params("agent_bot")
        for name in ("name", "description", "outgoing_url"):
            if name in fields:
                setattr(bot, name, fields[name])
        return bot

    @api.get("")
    def index() -> Response:
        return reply([shown(b) for b in state.bots.values() if b.account_id == caller().account.id])

    @api.post("")
    def create() -> Response:
        bot = Bot(state.next_id("bots"), caller().account.id, "", token(), token())
        return reply(shown(state.add(change(bot))))

    @api.get("/<int:bot_id>")
    def show(bot_id: int) -> Response:
        return reply(shown(_bot(state, bot_id)))

    @api.route("/<int:bot_id>", methods=["PATCH", "PUT"])
    def update(bot_id: int) -> Response:
        return reply(shown(change(_bot(state, bot_id))))

    @api.delete("/<int:bot_id>")
    def destroy(bot_id: int) -> Response:
        bot = _bot(state, bot_id)
        for inbox in state.inboxes.values():
            inbox.agent_bot_id = None if inbox.agent_bot_id == bot.id else inbox.agent_bot_id
        for talk in state.conversations.values():
            if talk.assignee_agent_bot_id == bot.id:
                talk.assignee_agent_bot_id = None
        for message in state.messages.values():
            if message.sender_type == "AgentBot" and message.sender_id == bot.id:
                message.sender_type = message.sender_id = None
        del state.bots[bot.id]
        return reply()

    @api.post("/<int:bot_id>/reset_secret")
    def reset_secret(bot_id: int) -> Response:
        bot = _bot(state, bot_id)
        bot.secret = token()
        return reply(shown(bot))

    return api


def webhooks(state: State) -> Blueprint:
    """``/webhooks``, for administrators; there is no GET of one."""
    api = Blueprint("webhooks", __name__, url_prefix="/webhooks")

    def get(webhook_id: int) -> Webhook:
        webhook = state.webhooks.get(webhook_id)
        if webhook is None or webhook.account_id != caller().account.id:
            not_found()
        return webhook

    def answer(webhook: Webhook) -> Response:
        return reply({"payload": {"webhook": webhook_json(state, webhook)}})

    @api.get("")
    def index() -> Response:
        mine = [w for w in state.webhooks.values() if w.account_id == caller().account.id]
        return reply({"payload": {"webhooks": [webhook_json(state, w) for w in mine]}})

    @api.post("")
    def create() -> Response:
        fields = params("webhook")
        _check_webhook(state, fields, None)
        webhook = Webhook(
            id=state.next_id("webhooks"),
            account_id=caller().account.id,
            url=fields["url"],
            secret=token(),
            subscriptions=list(fields.get("subscriptions", DEFAULT_EVENTS)),
            name=fields.get("name"),
            inbox_id=whole(fields.get("inbox_id")),
        )
        return answer(state.add(webhook))

    @api.route("/<int:webhook_id>", methods=["PATCH", "PUT"])
    def update(webhook_id: int) -> Response:
        webhook, fields = get(webhook_id), params("webhook")
        _check_webhook(state, {"url": webhook.url, **fields}, webhook)
        for name in ("url", "name", "subscriptions"):
            if name in fields:
                setattr(webhook, name, fields[name])
        return answer(webhook)

    @api.delete("/<int:webhook_id>")
    def destroy(webhook_id: int) -> Response:
        del state.webhooks[get(webhook_id).id]
        return reply()

    return api


def _check_webhook(state: State, fields: Json, itself: Webhook | None) -> None:
    problems: list[tuple[str, str]] = []
    url = fields.get("url")
    others = [w for w in state.webhooks.values() if w.account_id == caller().account.id and w is not itself]
    if any(other.url == url for other in others):
        problems.append(("url", "Url has already been taken"))
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        problems.append(("url", "Url is invalid"))
    wanted = fields.get("subscriptions", DEFAULT_EVENTS)
    if not isinstance(wanted, list | tuple) or not wanted or not set(wanted) <= set(EVENTS):
        problems.append(("subscriptions", "Subscriptions Invalid events"))
    if problems:
        raise RecordInvalid(problems)
