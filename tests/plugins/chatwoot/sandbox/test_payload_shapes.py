"""The exact keys and types of webhook bodies at v4.15.1, and of older generations."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.chatwoot.sandbox.payloads.common import encode, iso

from .conftest import AGENT, API, BOT, WHATSAPP, Chatwoot, Receiver

CONTACT_PUSH = "additional_attributes custom_attributes email id identifier name phone_number thumbnail blocked type"
CONTACT_HOOK = (
    "account additional_attributes avatar custom_attributes email id identifier name phone_number thumbnail blocked"
)
USER_PUSH = "id name available_name avatar_url type availability_status thumbnail"
BOT_PUSH = "id name avatar_url type"
ITEM = (
    "id content account_id inbox_id conversation_id message_type created_at updated_at private status source_id "
    "content_type content_attributes sender_type sender_id external_source_ids additional_attributes "
    "processed_message_content sentiment conversation"
)
CONVERSATION = (
    "additional_attributes can_reply channel contact_inbox id inbox_id messages labels meta status custom_attributes "
    "snoozed_until unread_count first_reply_created_at priority waiting_since agent_last_seen_at "
    "contact_last_seen_at last_activity_at timestamp created_at updated_at account"
)
MESSAGE = (
    "account additional_attributes content_attributes content_type content conversation created_at id inbox "
    "message_type private sender source_id event"
)
LINK = "id contact_id inbox_id source_id created_at updated_at hmac_verified pubsub_token"
META = "sender assignee assignee_type team hmac_verified"


def keys(value: Any) -> str:
    return " ".join(value)


def check_conversation(body: Any, extra: str = "") -> None:
    assert keys(body) == f"{CONVERSATION}{extra}"
    assert keys(body["contact_inbox"]) == LINK
    assert keys(body["meta"]) == META
    assert keys(body["meta"]["sender"]) == CONTACT_PUSH
    assert body["meta"]["sender"]["type"] == "contact"
    assert isinstance(body["updated_at"], float)
    for name in ("created_at", "last_activity_at", "timestamp", "agent_last_seen_at", "waiting_since"):
        assert type(body[name]) is int
    for item in body["messages"]:
        assert type(item["message_type"]) is int
        assert type(item["created_at"]) is int
        assert item["updated_at"].endswith("Z")
        assert set(item["conversation"]) == {"assignee_id", "unread_count", "last_activity_at", "contact_inbox"}
        assert keys(item).startswith(ITEM)
        assert ("sender" in item) == (item["sender_id"] is not None)


def test_incoming(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    came = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", name="Eva", text="Hola")
    chatwoot.settle()

    assert receiver.events == ["contact_created", "conversation_created", "message_created", "contact_updated"]
    contact, conversation, message, noise = receiver.bodies
    assert keys(contact) == f"{CONTACT_HOOK} event"
    check_conversation(conversation, " event")
    assert keys(message) == MESSAGE
    check_conversation(message["conversation"])
    assert keys(message["sender"]) == CONTACT_HOOK
    assert (message["message_type"], message["conversation"]["messages"][0]["message_type"]) == ("incoming", 0)
    assert message["created_at"].endswith("Z")
    assert message["source_id"].startswith("wamid.")
    assert message["conversation"]["id"] == came["conversation_id"]
    assert message["conversation"]["contact_inbox"]["source_id"] == "5215512345678"
    assert message["conversation"]["meta"]["assignee"] is None
    assert message["conversation"]["can_reply"] is True
    assert keys(noise) == f"{CONTACT_HOOK} event changed_attributes"
    assert [next(iter(c)) for c in noise["changed_attributes"]] == ["updated_at", "last_activity_at"]
    assert set(noise["changed_attributes"][1]["last_activity_at"]) == {"previous_value", "current_value"}


def test_outgoing_note_bot_and_template(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    talk = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")["conversation_id"]
    chatwoot.say(talk, "De Ana", token=AGENT)
    chatwoot.say(talk, "Del bot", token=BOT)
    chatwoot.say(talk, "Nota", fields={"private": True}, token=AGENT)
    chatwoot.ok("PATCH", f"/inboxes/{API}", {"greeting_enabled": True, "greeting_message": "¡Hola!"})
    chatwoot.incoming(inbox_id=API, source_id="b-2", text=None, attachments=["audio"])
    chatwoot.settle()

    made = {m["content"]: m for m in receiver.of("message_created")}
    assert all(keys(m).replace(" attachments", "") == MESSAGE for m in made.values())
    assert keys(made["De Ana"]["sender"]) == "id name email type"
    assert made["De Ana"]["sender"]["type"] == "user"
    assert keys(made["Del bot"]["sender"]) == "id name type"
    assert made["Nota"]["private"] is True
    assert made["Nota"]["conversation"]["messages"][0]["content"] == "Del bot"
    assert (made["¡Hola!"]["message_type"], made["¡Hola!"]["sender"]) == ("template", None)
    assert made[None]["attachments"][0]["file_type"] == "audio"
    assert made[None]["attachments"][0]["message_id"] == made[None]["id"]
    assert "attachments" not in made["De Ana"]
    items = {m["content"]: m["conversation"]["messages"][0] for m in made.values()}
    assert keys(items["De Ana"]["sender"]) in (USER_PUSH, BOT_PUSH)


def test_status_assignment_and_typing(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    talk = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")["conversation_id"]
    path = f"/conversations/{talk}"
    chatwoot.settle()
    receiver.seen.clear()
    chatwoot.ok("POST", f"{path}/assignments", {"assignee_id": 2})
    chatwoot.ok("POST", f"{path}/toggle_status", {"status": "resolved"})
    chatwoot.ok("POST", f"{path}/toggle_typing_status", {"typing_status": "on"}, token=AGENT)
    chatwoot.settle()

    assert receiver.events == [
        "conversation_updated",
        "conversation_status_changed",
        "conversation_updated",
        "conversation_typing_on",
    ]
    assigned, status, updated, typing = receiver.bodies
    for body in (assigned, status, updated):
        check_conversation(body, " event changed_attributes")
    assert status["changed_attributes"] is None
    changed = {name: pair for entry in assigned["changed_attributes"] for name, pair in entry.items()}
    assert changed["assignee_id"] == {"previous_value": None, "current_value": 2}
    assert "updated_at" in changed
    assert keys(assigned["meta"]["assignee"]) == USER_PUSH
    assert assigned["meta"]["assignee_type"] == "User"
    assert {next(iter(entry)) for entry in updated["changed_attributes"]} == {"updated_at", "status"}
    assert keys(typing) == "event user conversation is_private"
    assert keys(typing["user"]) == "id name email type"
    check_conversation(typing["conversation"])


@pytest.mark.parametrize(
    ("generation", "account", "assignee_type", "delivery", "signature"),
    [
        ("4.14.1", False, True, True, True),
        ("4.11.1", False, True, False, False),
        ("4.7.0", False, False, False, False),
    ],
)
def test_older_generations(
    chatwoot: Chatwoot,
    webhook: Any,
    receiver: Receiver,
    generation: str,
    account: bool,
    assignee_type: bool,
    delivery: bool,
    signature: bool,
) -> None:
    chatwoot.control("POST", "webhook_mode", {"generation": generation})
    chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")
    chatwoot.settle()

    headers = receiver.seen[0][0]
    conversation = receiver.of("message_created")[0]["conversation"]
    assert ("account" in conversation) == account
    assert ("assignee_type" in conversation["meta"]) == assignee_type
    assert ("X-Chatwoot-Delivery" in headers) == delivery
    assert ("X-Chatwoot-Signature" in headers) == ("X-Chatwoot-Timestamp" in headers) == signature
    assert chatwoot.raw("GET", "/api").json()["version"] == generation


def test_the_body_is_written_as_rails_does(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    chatwoot.incoming(inbox_id=API, source_id="b-1", name="Ñu & Cía", text="<b>á\u2028")
    chatwoot.settle()

    raw = receiver.seen[2][1]
    assert b'"content":"\\u003cb\\u003e\xc3\xa1\\u2028"' in raw
    assert "Ñu \\u0026 Cía".encode() in raw


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)
    )
)
def test_escaping_loses_nothing(value: Any) -> None:
    try:
        written = encode(value)
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    assert json.loads(written) == value
    assert not set(b"<>&") & set(written)


def test_times_have_milliseconds() -> None:
    assert iso(1_781_956_800.0) == "2026-06-20T12:00:00.000Z"
    assert iso(1_781_956_800.0215) == "2026-06-20T12:00:00.021Z"
    assert iso(None) is None
