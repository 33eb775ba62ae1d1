"""Who may call what, Chatwoot's error forms, and how a request's fields are read.

Source: Chatwoot v4.15.1, ``AccessTokenAuthHelper``, ``EnsureCurrentAccountHelper``,
``RequestExceptionHandler``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import Flask, Response, g, request

from ..payloads.common import encode
from ..store.channels import InvalidSourceId, MissingAddress, SourceIdTaken, UnsupportedChannel
from ..store.contact_rules import RecordInvalid
from ..store.records import Account, Bot, Contact, Conversation, Inbox, Json, User
from ..store.state import State

SERVER_ERROR = "<!DOCTYPE html><html><head><title>We're sorry, but something went wrong (500)</title></head></html>"
EMPTY = object()
NOT_AUTHORIZED = "You are not authorized to do this action"
BOT_ENDPOINTS = {
    "conversations.show",
    "conversations.create",
    "conversations.update",
    "handling.toggle_status",
    "handling.toggle_typing_status",
    "handling.toggle_priority",
    "handling.custom_attributes",
    "handling.assign",
    "handling.labels",
    "handling.set_labels",
    "messages.create",
}
ADMINISTRATOR_ENDPOINTS = {
    "contacts.destroy",
    "inboxes.create",
    "inboxes.update",
    "inboxes.reset_secret",
    "inboxes.set_agent_bot",
    "bots.create",
    "bots.update",
    "bots.destroy",
    "bots.reset_secret",
    "webhooks.index",
    "webhooks.create",
    "webhooks.update",
    "webhooks.destroy",
    "reports.summary",
}


class ApiError(Exception):
    """An answer that is not the wanted one: status and body (JSON value, or HTML text)."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def fail(status: int, text: str) -> NoReturn:
    """Answer ``{"error": text}``."""
    raise ApiError(status, {"error": text})


def not_found() -> NoReturn:
    fail(404, "Resource could not be found")


def missing(name: str) -> NoReturn:
    fail(422, f"param is missing or the value is empty: {name}")


def invalid(attribute: str, text: str) -> NoReturn:
    """Answer as for a record that cannot be saved."""
    raise ApiError(422, {"message": text, "attributes": [attribute]})


def server_error() -> NoReturn:
    """What Rails answers when an exception escapes."""
    raise ApiError(500, SERVER_ERROR)


def reply(value: Any = EMPTY, status: int = 200) -> Response:
    """A JSON answer, or one with an empty body."""
    body = b"" if value is EMPTY else encode(value)
    return Response(body, status, content_type="application/json; charset=utf-8")


@dataclass(frozen=True)
class Caller:
    """Who holds the token of this request."""

    who: User | Bot
    account: Account

    @property
    def administrator(self) -> bool:
        return isinstance(self.who, User) and self.who.role == "administrator"


def caller() -> Caller:
    """The caller of the present request."""
    found: Caller = g.caller
    return found


def find_token(state: State, token: str) -> User | Bot | None:
    holders: list[User | Bot] = [*state.users.values(), *state.bots.values()]
    return next((holder for holder in holders if holder.token == token), None)


def authenticate(state: State) -> User | Bot:
    """The holder of the token, in either spelling of the header; 401 in Chatwoot's words otherwise."""
    token = request.headers.get("Api-Access-Token")
    if not token:
        raise ApiError(401, {"errors": ["You need to sign in or sign up before continuing."]})
    holder = find_token(state, token)
    if holder is None:
        fail(401, "Invalid Access Token")
    if isinstance(holder, Bot) and request.endpoint not in BOT_ENDPOINTS:
        fail(401, "Access to this endpoint is not authorized for bots")
    return holder


def admit(state: State, account_id: int) -> None:
    """Let the caller into an account, or say why not."""
    holder = authenticate(state)
    account = state.accounts.get(account_id)
    if account is None:
        not_found()
    if holder.account_id != account_id:
        bot = isinstance(holder, Bot)
        fail(401, f"{'Bot is' if bot else 'You are'} not authorized to access this account")
    if account.status != "active":
        fail(401, "Account is suspended")
    g.caller = Caller(holder, account)
    if request.endpoint in ADMINISTRATOR_ENDPOINTS:
        administrators_only()


def administrators_only() -> None:
    """Answer 401 (Chatwoot has no 403 here) unless the caller is an administrator."""
    if not caller().administrator:
        fail(401, NOT_AUTHORIZED)


def install_errors(app: Flask) -> None:
    """Turn what goes wrong into Chatwoot's answers."""

    @app.errorhandler(ApiError)
    def _(error: ApiError) -> Response:
        if isinstance(error.body, str):
            return Response(error.body, error.status, content_type="text/html; charset=utf-8")
        return reply(error.body, error.status)

    @app.errorhandler(RecordInvalid)
    def _(error: RecordInvalid) -> Response:
        return reply({"message": str(error), "attributes": list(error.attributes)}, 422)

    @app.errorhandler(InvalidSourceId)
    def _(error: InvalidSourceId) -> Response:
        return reply({"message": str(error), "attributes": ["source_id"]}, 422)

    @app.errorhandler(MissingAddress)
    def _(error: MissingAddress) -> Response:
        return reply({"error": f"param is missing or the value is empty: {error}"}, 422)

    @app.errorhandler(SourceIdTaken)
    @app.errorhandler(UnsupportedChannel)
    def _(error: Exception) -> Response:
        return Response(SERVER_ERROR, 500, content_type="text/html; charset=utf-8")


# --- fields -------------------------------------------------------------------------------------


def params(wrapper: str | None = None) -> Json:
    """The request's fields: JSON, or form fields with Rails' brackets.

    With ``wrapper`` the fields under that key, or all of them when the key is missing (Rails wraps
    by itself).
    """
    if request.is_json:
        found = request.get_json(silent=True) if request.get_data() else {}
        if found is None:
            raise ApiError(400, "<html><body>400 Bad Request</body></html>")
        fields: Json = found if isinstance(found, dict) else {"_json": found}
    else:
        fields = _form()
    if wrapper is not None and isinstance(fields.get(wrapper), dict):
        return dict(fields[wrapper])
    return fields


def _form() -> Json:
    fields: Json = {}
    for name, values in request.form.lists():
        keys = [key for key in re.split(r"[\[\]]+", name) if key]
        into = fields
        for key in keys[:-1]:
            into = into.setdefault(key, {})
        into[keys[-1]] = values if name.endswith("[]") else values[-1]
    return fields


def whole(value: Any) -> int | None:
    """An integer given as number or text, ``None`` for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def page_number() -> int:
    return max(1, whole(request.args.get("page")) or 1)


def page_echo() -> str | int:
    """``meta.current_page``: the text of the parameter, or the integer 1 without one."""
    return request.args.get("page") or 1


# --- rows of the caller's account -----------------------------------------------------------------


def get_contact(state: State, contact_id: Any) -> Contact:
    contact = state.contacts.get(whole(contact_id) or 0)
    if contact is None or contact.account_id != caller().account.id:
        not_found()
    return contact


def sees_inbox(inbox: Inbox) -> bool:
    """Administrators and bots see every inbox of their account, agents those they belong to."""
    who = caller().who
    return not isinstance(who, User) or who.role == "administrator" or who.id in inbox.member_ids


def get_inbox(state: State, inbox_id: Any) -> Inbox:
    inbox = state.inboxes.get(whole(inbox_id) or 0)
    if inbox is None or inbox.account_id != caller().account.id:
        not_found()
    if not sees_inbox(inbox):
        fail(401, NOT_AUTHORIZED)
    return inbox


def sees_conversation(state: State, conversation: Conversation) -> bool:
    return conversation.account_id == caller().account.id and sees_inbox(state.inboxes[conversation.inbox_id])


def find_conversation(state: State, account_id: int, display_id: int | None) -> Conversation | None:
    """The conversation an account knows by this number."""
    for conversation in state.conversations.values():
        if conversation.account_id == account_id and conversation.display_id == display_id:
            return conversation
    return None


def get_conversation(state: State, display_id: Any) -> Conversation:
    """A conversation of the account by its display id; 404 or 401 when there is none for the caller."""
    conversation = find_conversation(state, caller().account.id, whole(display_id))
    if conversation is None:
        not_found()
    if not sees_conversation(state, conversation):
        fail(401, NOT_AUTHORIZED)
    return conversation
