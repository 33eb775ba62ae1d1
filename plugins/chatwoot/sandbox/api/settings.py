"""Small tables of an account: teams, labels, canned responses, attribute definitions, dashboard apps.

Source: Chatwoot v4.15.1, the controllers of these names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from ..payloads.common import iso
from ..payloads.rest import team_json
from ..store.records import Json, Record
from ..store.state import State
from .access import (
    administrators_only,
    caller,
    invalid,
    missing,
    not_found,
    params,
    reply,
    server_error,
    whole,
)
from .filters import CONTACT_KEYS, CONVERSATION_KEYS, MODELS

DISPLAY_TYPES = ("text", "number", "currency", "percent", "link", "date", "list", "checkbox")
DEFINITION = (
    "attribute_display_name",
    "attribute_key",
    "attribute_display_type",
    "attribute_model",
    "attribute_description",
    "attribute_values",
    "regex_pattern",
    "regex_cue",
)


@dataclass(frozen=True)
class Table:
    """How one small table is read, checked and shown."""

    name: str
    wrapper: str
    read: Callable[[State, Json, Record | None], Json]
    show: Callable[[Record], Json]
    administrator_writes: bool = True
    payload_envelope: bool = False
    delete_status: int = 200


def _stamped(row: Record) -> Json:
    stamps = {"created_at": iso(row.created_at), "updated_at": iso(row.updated_at)}
    return {"id": row.id, "account_id": row.account_id, **row.values, **stamps}


def _held(row: Record | None) -> Json:
    return {} if row is None else row.values


def _unique(state: State, table: str, key: str, values: Json, row: Record | None, words: str) -> None:
    for other in state.rows(table, caller().account.id):
        same_model = other.values.get("attribute_model") == values.get("attribute_model")
        if other is not row and other.values[key] == values[key] and same_model:
            invalid(key, f"{words} has already been taken")


def _read_team(state: State, fields: Json, row: Record | None) -> Json:
    values = {"name": "", "description": None, "allow_auto_assign": True, **_held(row)}
    values |= {k: fields[k] for k in values if k in fields}
    values["name"] = str(values["name"]).strip().lower() or invalid("name", "Name must not be blank")
    _unique(state, "teams", "name", values, row, "Name")
    return values


def _read_label(state: State, fields: Json, row: Record | None) -> Json:
    values: Json = {"title": "", "description": None, "color": "#1f93ff", "show_on_sidebar": None, **_held(row)}
    values |= {k: fields[k] for k in values if k in fields}
    values["title"] = str(values["title"]).strip().lower() or invalid("title", "Title must not be blank")
    _unique(state, "labels", "title", values, row, "Title")
    return values


def _read_canned(state: State, fields: Json, row: Record | None) -> Json:
    values: Json = {**_held(row), **{k: fields[k] for k in ("short_code", "content") if k in fields}}
    for name, words in (("content", "Content"), ("short_code", "Short code")):
        if not values.get(name):
            invalid(name, f"{words} can't be blank")
    _unique(state, "canned_responses", "short_code", values, row, "Short code")
    return values


def _read_definition(state: State, fields: Json, row: Record | None) -> Json:
    values: Json = dict.fromkeys(DEFINITION)
    values |= {"attribute_values": [], "attribute_display_type": 0, "attribute_model": 0, **_held(row)}
    values |= {k: fields[k] for k in DEFINITION if k in fields}
    values["default_value"] = None
    for name, choices in (("attribute_display_type", DISPLAY_TYPES), ("attribute_model", MODELS)):
        number = whole(values[name])
        if number is not None and 0 <= number < len(choices):
            values[name] = choices[number]
        elif values[name] not in choices:
            server_error()
    key = str(values["attribute_key"] or "")
    if not values["attribute_display_name"]:
        invalid("attribute_display_name", "Attribute display name can't be blank")
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+", key):
        invalid("attribute_key", "Attribute key is invalid")
    standard = {MODELS[0]: CONVERSATION_KEYS, MODELS[1]: (*CONTACT_KEYS, "referer")}
    if key in standard.get(values["attribute_model"], ()):
        invalid(
            "attribute_key",
            "Attribute key The provided key is not allowed as it might conflict with default attributes.",
        )
    _unique(state, "custom_attribute_definitions", "attribute_key", values, row, "Attribute key")
    return values


def _is_frame(item: Any) -> bool:
    url = item.get("url") if isinstance(item, dict) and item.get("type") == "frame" else None
    return isinstance(url, str) and url.startswith(("http://", "https://"))


def _read_app(state: State, fields: Json, row: Record | None) -> Json:
    values: Json = {**_held(row), **{k: fields[k] for k in ("title", "content") if k in fields}}
    if not values.get("title"):
        invalid("title", "Title can't be blank")
    content = values.get("content")
    if not isinstance(content, list) or not content or not all(_is_frame(item) for item in content):
        invalid("content", "Content : Invalid data")
    return values


TABLES = (
    Table("teams", "team", _read_team, team_json),
    Table("labels", "label", _read_label, lambda r: {"id": r.id, **r.values}, payload_envelope=True),
    Table("canned_responses", "canned_response", _read_canned, _stamped, administrator_writes=False),
    Table(
        "custom_attribute_definitions",
        "custom_attribute_definition",
        _read_definition,
        lambda r: {k: v for k, v in _stamped(r).items() if k != "account_id"},
        delete_status=204,
    ),
    Table(
        "dashboard_apps",
        "dashboard_app",
        _read_app,
        lambda r: {"id": r.id, **r.values, "created_at": iso(r.created_at)},
        administrator_writes=False,
        delete_status=204,
    ),
)


def table_blueprint(state: State, table: Table) -> Blueprint:
    """List, create, show, change and delete the rows of one small table."""
    api = Blueprint(table.name, __name__, url_prefix=f"/{table.name}")

    def get(row_id: int) -> Record:
        row = state.records.get(row_id)
        if row is None or row.table != table.name or row.account_id != caller().account.id:
            not_found()
        return row

    def fields_to_write() -> Json:
        if table.administrator_writes:
            administrators_only()
        return params(table.wrapper) or missing(table.wrapper)

    @api.get("")
    def index() -> Response:
        rows = [table.show(row) for row in state.rows(table.name, caller().account.id) if _asked_for(row)]
        return reply({"payload": rows} if table.payload_envelope else rows)

    @api.post("")
    def create() -> Response:
        values, now = table.read(state, fields_to_write(), None), state.now()
        row = Record(state.next_id("records"), caller().account.id, table.name, now, now, values)
        return reply(table.show(state.add(row)))

    @api.get("/<int:row_id>")
    def show(row_id: int) -> Response:
        return reply(table.show(get(row_id)))

    @api.route("/<int:row_id>", methods=["PATCH", "PUT"])
    def update(row_id: int) -> Response:
        row = get(row_id)
        row.values, row.updated_at = table.read(state, fields_to_write(), row), state.now()
        return reply(table.show(row))

    @api.delete("/<int:row_id>")
    def destroy(row_id: int) -> Response:
        if table.administrator_writes:
            administrators_only()
        row = get(row_id)
        for talk in state.conversations.values():
            talk.team_id = None if talk.team_id == row.id else talk.team_id
        del state.records[row.id]
        return reply(status=table.delete_status)

    return api


def _asked_for(row: Record) -> bool:
    """The list filters of canned responses (``search``) and definitions (``attribute_model``)."""
    words, model = request.args.get("search"), request.args.get("attribute_model")
    if row.table == "canned_responses" and words:
        return words.lower() in f"{row.values['short_code']} {row.values['content']}".lower()
    if row.table == "custom_attribute_definitions" and model is not None:
        number = whole(model)
        return bool(row.values["attribute_model"] == (model if number is None else MODELS[number % 3]))
    return True
