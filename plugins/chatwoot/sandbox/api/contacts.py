"""``/contacts`` and ``/actions/contact_merge``.

Source: Chatwoot v4.15.1, ``ContactsController``, ``ContactInboxesController``, ``ContactMergeAction``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from ..actions import create_contact, link_contact, update_contact
from ..payloads.rest import contact_json, conversation_json, inbox_record, inbox_ref
from ..store.channels import contactable_source_id, links_of
from ..store.records import Contact, Json, Record
from ..store.state import State
from .access import (
    caller,
    fail,
    get_contact,
    get_inbox,
    missing,
    not_found,
    page_echo,
    page_number,
    params,
    reply,
    sees_conversation,
    sees_inbox,
    whole,
)
from .filters import CONTACT_KEYS, check, definitions, matches

PAGE = 15
FIELDS = ("name", "email", "phone_number", "identifier", "blocked")
SORTS = ("name", "email", "phone_number", "last_activity_at", "created_at")
ADDED = ("company_name", "city", "country", "country_code")
FIRST_WITH_MORE = (4, 11)


def blueprint(state: State, generation: Callable[[], tuple[int, ...]]) -> Blueprint:
    """The endpoints; ``generation`` tells which Chatwoot is played."""
    api = Blueprint("contacts", __name__)

    def mine() -> list[Contact]:
        return [c for c in state.contacts.values() if c.account_id == caller().account.id]

    def resolved() -> list[Contact]:
        return [c for c in mine() if c.email or c.phone_number or c.identifier]

    def listing(found: list[Contact], meta: Json | None = None) -> Response:
        start = (page_number() - 1) * PAGE
        shown = _sorted(found)[start : start + PAGE]
        return reply(
            {
                "meta": {"count": len(found), "current_page": page_echo(), **(meta or {})},
                "payload": [contact_json(state, c, with_inboxes=_wants_inboxes()) for c in shown],
            }
        )

    @api.get("/contacts")
    def index() -> Response:
        labels = request.args.getlist("labels[]")
        return listing([c for c in resolved() if not labels or set(labels) & set(c.labels)])

    @api.get("/contacts/active")
    def active() -> Response:
        return listing([])

    @api.get("/contacts/search")
    def search() -> Response:
        wanted = request.args.get("q", "").strip()
        if not wanted:
            return reply({"meta": {"count": None, "current_page": None, "has_more": None}, "payload": []})
        pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in wanted)
        exact, loose = re.compile(pattern, re.S), re.compile(pattern, re.S | re.I)
        found = [
            c
            for c in mine()
            if any(loose.search(text) for text in (c.name, c.email, c.phone_number) if text)
            or (c.identifier and exact.search(c.identifier))
        ]
        start = (page_number() - 1) * PAGE
        meta: Json = {"count": len(found[start : start + PAGE])}
        if generation() >= FIRST_WITH_MORE:
            meta["has_more"] = len(found) > start + PAGE
        return listing(found, meta)

    @api.post("/contacts/filter")
    def filter_() -> Response:
        defined = {str(d.values["attribute_key"]) for d in definitions(state, caller().account.id, "contact_attribute")}
        conditions = check(params().get("payload"), CONTACT_KEYS, defined)
        return listing([c for c in resolved() if matches(conditions, _reader(c), state.now())])

    @api.post("/contacts")
    def create() -> Response:
        fields = params()
        inbox = get_inbox(state, fields["inbox_id"]) if fields.get("inbox_id") else None
        link = None
        contact = create_contact(state, caller().account.id, **_values(fields, None))
        if inbox is not None:
            try:
                link = link_contact(state, contact, inbox, fields.get("source_id"))
            except ValueError:
                # One transaction: a bad source id undoes the contact; its event dies with it.
                state.forget_contact(contact)
                raise
        return reply(
            {
                "payload": {
                    "contact": contact_json(state, contact, with_inboxes=True),
                    "contact_inbox": {
                        "inbox": None if inbox is None else inbox_record(inbox),
                        "source_id": None if link is None else link.source_id,
                    },
                }
            }
        )

    @api.get("/contacts/<int:contact_id>")
    def show(contact_id: int) -> Response:
        contact = get_contact(state, contact_id)
        return reply({"payload": contact_json(state, contact, with_inboxes=_wants_inboxes())})

    @api.route("/contacts/<int:contact_id>", methods=["PUT", "PATCH"])
    def update(contact_id: int) -> Response:
        contact = get_contact(state, contact_id)
        update_contact(state, contact, **_values(params(), contact))
        return reply({"payload": contact_json(state, contact, with_inboxes=True)})

    @api.delete("/contacts/<int:contact_id>")
    def destroy(contact_id: int) -> Response:
        state.forget_contact(get_contact(state, contact_id))
        return reply()

    @api.post("/contacts/<int:contact_id>/destroy_custom_attributes")
    def destroy_custom_attributes(contact_id: int) -> Response:
        contact = get_contact(state, contact_id)
        gone = set(params().get("custom_attributes") or [])
        left = {k: v for k, v in contact.custom_attributes.items() if k not in gone}
        update_contact(state, contact, custom_attributes=left)
        return reply({"payload": contact_json(state, contact, with_inboxes=True)})

    @api.get("/contacts/<int:contact_id>/conversations")
    def conversations(contact_id: int) -> Response:
        contact = get_contact(state, contact_id)
        found = [c for c in state.conversations.values() if c.contact_id == contact.id and sees_conversation(state, c)]
        found.sort(key=lambda c: (c.last_activity_at, c.id), reverse=True)
        return reply({"payload": [conversation_json(state, c) for c in found[:20]]})

    @api.post("/contacts/<int:contact_id>/contact_inboxes")
    def create_contact_inbox(contact_id: int) -> Response:
        contact, fields = get_contact(state, contact_id), params()
        inbox = get_inbox(state, fields.get("inbox_id"))
        link = link_contact(state, contact, inbox, fields.get("source_id"))
        return reply({"source_id": link.source_id, "inbox": inbox_ref(inbox)})

    @api.get("/contacts/<int:contact_id>/contactable_inboxes")
    def contactable_inboxes(contact_id: int) -> Response:
        contact, found = get_contact(state, contact_id), []
        for inbox in state.inboxes.values():
            if inbox.account_id == contact.account_id and sees_inbox(inbox):
                source_id = contactable_source_id(state, inbox, contact)
                if source_id is not None:
                    found.append({"source_id": source_id, "inbox": inbox_ref(inbox)})
        return reply({"payload": found})

    @api.get("/contacts/<int:contact_id>/labels")
    def labels(contact_id: int) -> Response:
        return reply({"payload": get_contact(state, contact_id).labels})

    @api.post("/contacts/<int:contact_id>/labels")
    def set_labels(contact_id: int) -> Response:
        contact = get_contact(state, contact_id)
        contact.labels = [str(label) for label in params().get("labels") or []]
        return reply({"payload": contact.labels})

    @api.route("/contacts/<int:contact_id>/notes", methods=["GET", "POST"])
    def notes(contact_id: int) -> Response:
        contact = get_contact(state, contact_id)
        if request.method == "GET":
            rows = state.rows("notes", contact.account_id)
            return reply([_note(state, r) for r in rows if r.values["contact_id"] == contact.id])
        content = params("note").get("content") or missing("note")
        now = state.now()
        values = {"content": content, "contact_id": contact.id, "user_id": caller().who.id}
        note = Record(state.next_id("records"), contact.account_id, "notes", now, now, values)
        return reply(_note(state, state.add(note)))

    @api.route("/contacts/<int:contact_id>/notes/<int:note_id>", methods=["GET", "PATCH", "PUT", "DELETE"])
    def note(contact_id: int, note_id: int) -> Response:
        contact, row = get_contact(state, contact_id), state.records.get(note_id)
        if row is None or row.table != "notes" or row.values["contact_id"] != contact.id:
            not_found()
        if request.method == "DELETE":
            del state.records[row.id]
            return reply()
        if request.method != "GET":
            row.values["content"] = params("note").get("content") or missing("note")
            row.updated_at = state.now()
        return reply(_note(state, row))

    @api.post("/actions/contact_merge")
    def merge() -> Response:
        fields = params()
        base = get_contact(state, fields.get("base_contact_id"))
        other = get_contact(state, fields.get("mergee_contact_id"))
        if base is not other:
            _merge(state, base, other)
        return reply(contact_json(state, base, with_inboxes=True))

    return api


def _wants_inboxes() -> bool:
    return request.args.get("include_contact_inboxes", "true") != "false"


def _values(fields: Json, contact: Contact | None) -> Json:
    """The columns of a create or update; attribute objects are merged into what is there."""
    values: Json = {name: fields[name] for name in FIELDS if name in fields}
    if "name" in values:
        values["name"] = str(values["name"] or "")
    if "blocked" in values:
        values["blocked"] = values["blocked"] in (True, "true", 1, "1")
    for name in ("custom_attributes", "additional_attributes"):
        given = fields.get(name)
        if given is not None:
            if not isinstance(given, dict):
                fail(422, f"param is missing or the value is empty: {name}")
            values[name] = {**(getattr(contact, name) if contact is not None else {}), **given}
    return values


def _reader(contact: Contact) -> Callable[[str], Any]:
    def read(key: str) -> Any:
        if key in ADDED:
            return contact.additional_attributes.get(key)
        if key in CONTACT_KEYS:
            return getattr(contact, key)
        return contact.custom_attributes.get(key)

    return read


def _sorted(found: list[Contact]) -> list[Contact]:
    wanted = request.args.get("sort", "")
    name = wanted.removeprefix("-")
    if name not in SORTS and name not in ADDED:
        return found
    read = {c.id: _reader(c)(name) if name in ADDED else getattr(c, name) for c in found}
    known = [c for c in found if read[c.id] not in (None, "")]
    known.sort(key=lambda c: read[c.id], reverse=wanted.startswith("-"))
    return known + [c for c in found if read[c.id] in (None, "")]


def _note(state: State, note: Record) -> Json:
    user = state.users.get(whole(note.values["user_id"]) or 0)
    return {
        "id": note.id,
        "content": note.values["content"],
        "account_id": note.account_id,
        "contact_id": note.values["contact_id"],
        "user": None if user is None else {"id": user.id, "name": user.name},
        "created_at": int(note.created_at),
        "updated_at": int(note.updated_at),
    }


def _merge(state: State, base: Contact, other: Contact) -> None:
    """Give the base what the other has and delete the other; the base's own values win."""
    for link in links_of(state, other):
        link.contact_id = base.id
    for talk in state.conversations.values():
        if talk.contact_id == other.id:
            talk.contact_id = base.id
    for message in state.messages.values():
        if message.sender_type == "Contact" and message.sender_id == other.id:
            message.sender_id = base.id
    state.forget_contact(other)
    filled = {
        name: getattr(base, name) or getattr(other, name) for name in ("name", "email", "phone_number", "identifier")
    }
    update_contact(
        state,
        base,
        **filled,
        custom_attributes={**other.custom_attributes, **base.custom_attributes},
        additional_attributes={**other.additional_attributes, **base.additional_attributes},
    )
