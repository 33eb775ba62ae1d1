"""Conversations: create, list, filter, show, and what agents do with them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ADMIN, AGENT, API, BOT, OTHER, OTHERS_WHATSAPP, WHATSAPP, WIDGET, Chatwoot

PHONE = "+525512345678"
REST_KEYS = {
    "meta",
    "id",
    "messages",
    "account_id",
    "uuid",
    "additional_attributes",
    "agent_last_seen_at",
    "assignee_last_seen_at",
    "can_reply",
    "contact_last_seen_at",
    "custom_attributes",
    "inbox_id",
    "labels",
    "muted",
    "snoozed_until",
    "status",
    "created_at",
    "updated_at",
    "timestamp",
    "first_reply_created_at",
    "unread_count",
    "last_non_activity_message",
    "last_activity_at",
    "priority",
    "waiting_since",
    "sla_policy_id",
}


def began(chatwoot: Chatwoot, inbox: int = WHATSAPP, **fields: Any) -> Any:
    contact = chatwoot.contact(name="Eva", phone_number=PHONE)
    return chatwoot.conversation(inbox_id=inbox, contact_id=contact["id"], **fields)


def test_the_rest_form(chatwoot: Chatwoot) -> None:
    talk = began(chatwoot, custom_attributes={"a": 1}, message={"content": "Hola", "private": True})

    assert set(talk) == REST_KEYS
    assert set(talk["meta"]) == {"sender", "channel", "hmac_verified"}
    assert (talk["id"], talk["account_id"], talk["meta"]["channel"]) == (1, 1, "Channel::Whatsapp")
    assert isinstance(talk["updated_at"], float)
    assert isinstance(talk["created_at"], int)
    assert talk["first_reply_created_at"] == 0
    assert talk["messages"][0]["content"] == talk["last_non_activity_message"]["content"] == "Hola"
    shown = chatwoot.ok("GET", f"/conversations/{talk['id']}")
    assert shown == talk


def test_display_ids_count_per_account(chatwoot: Chatwoot) -> None:
    first, second = began(chatwoot), chatwoot.incoming(inbox_id=WIDGET, source_id="b-1", text="Hola")
    theirs = chatwoot.incoming(inbox_id=OTHERS_WHATSAPP, phone="5215512345678", text="Hola")

    assert (first["id"], second["conversation_id"], theirs["conversation_id"]) == (1, 2, 1)
    assert theirs["account_id"] == 2
    assert theirs["message_id"] > second["message_id"]
    assert theirs["contact_id"] > second["contact_id"]
    assert chatwoot.ok("GET", "/conversations/1", token=OTHER, account=2)["account_id"] == 2


@pytest.mark.parametrize(
    "fields", [{}, {"inbox_id": WHATSAPP}, {"source_id": "nobody"}, {"inbox_id": 99, "contact_id": 101}]
)
def test_without_a_known_contact_inbox_it_is_404(chatwoot: Chatwoot, fields: Any) -> None:
    chatwoot.contact(name="Eva", phone_number=PHONE)

    assert chatwoot.call("POST", "/conversations", fields).status_code == 404


def test_a_bare_source_id_finds_its_inbox(chatwoot: Chatwoot) -> None:
    came = chatwoot.incoming(inbox_id=API, source_id="bridge-1", text="Hola")

    assert chatwoot.conversation(source_id="bridge-1")["meta"]["sender"]["id"] == came["contact_id"]


def test_each_call_makes_a_new_one_unless_the_inbox_is_locked(chatwoot: Chatwoot) -> None:
    first = began(chatwoot)
    fields = {"inbox_id": WHATSAPP, "contact_id": first["meta"]["sender"]["id"]}

    second = chatwoot.conversation(**fields)
    assert second["id"] != first["id"]
    chatwoot.ok("PATCH", f"/inboxes/{WHATSAPP}", {"lock_to_single_conversation": True})
    locked = chatwoot.conversation(**fields, message={"content": "Otra"})
    assert locked["id"] == second["id"]
    assert [m["content"] for m in chatwoot.messages(second["id"])] == ["Otra"]


def test_lists_have_their_envelope_counts_and_filters(chatwoot: Chatwoot) -> None:
    first = began(chatwoot)
    second = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Quiero cita")["conversation_id"]
    chatwoot.ok("POST", f"/conversations/{second}/assignments", {"assignee_id": 2})
    chatwoot.ok("POST", f"/conversations/{second}/labels", {"labels": ["cita"]})

    listed = chatwoot.ok("GET", "/conversations")["data"]
    assert listed["meta"] == {"mine_count": 0, "assigned_count": 1, "unassigned_count": 1, "all_count": 2}
    assert [c["id"] for c in listed["payload"]] == [second, first["id"]]

    def listed_ids(query: str) -> list[int]:
        return [c["id"] for c in chatwoot.ok("GET", f"/conversations?{query}")["data"]["payload"]]

    assert listed_ids(f"inbox_id={API}") == [second]
    assert listed_ids("assignee_type=unassigned") == [first["id"]]
    assert listed_ids("labels[]=cita&assignee_type=assigned") == [second]
    assert listed_ids("q=quiero") == [second]
    assert listed_ids("source_id=b-1") == [second]
    assert listed_ids("status=resolved") == []
    assert listed_ids("sort_by=created_at_asc") == [first["id"], second]
    assert listed_ids("page=2") == []
    mine = chatwoot.ok("GET", "/conversations?assignee_type=me", token=AGENT)["data"]["payload"]
    assert [c["id"] for c in mine] == [second]
    assert chatwoot.ok("GET", "/conversations/meta") == {"meta": listed["meta"]}


def test_filter_has_no_data_wrapper(chatwoot: Chatwoot) -> None:
    talk = began(chatwoot)
    conditions = [
        {"attribute_key": "status", "filter_operator": "equal_to", "values": ["open"], "query_operator": "AND"},
        {"attribute_key": "inbox_id", "filter_operator": "equal_to", "values": [WHATSAPP], "query_operator": None},
    ]

    found = chatwoot.ok("POST", "/conversations/filter", {"payload": conditions})
    assert found["meta"] == {"mine_count": 0, "unassigned_count": 1, "all_count": 1}
    assert [c["id"] for c in found["payload"]] == [talk["id"]]


def test_pages_of_25(chatwoot: Chatwoot) -> None:
    contact = chatwoot.contact(name="Eva", phone_number=PHONE)
    for _ in range(27):
        chatwoot.conversation(inbox_id=WHATSAPP, contact_id=contact["id"])

    assert len(chatwoot.ok("GET", "/conversations")["data"]["payload"]) == 25
    assert len(chatwoot.ok("GET", "/conversations?page=2")["data"]["payload"]) == 2
    assert len(chatwoot.ok("GET", "/conversations?updated_within=60")["data"]["payload"]) == 27
    assert len(chatwoot.ok("GET", f"/contacts/{contact['id']}/conversations")["payload"]) == 20


def test_toggle_status(chatwoot: Chatwoot) -> None:
    talk = began(chatwoot)["id"]
    path = f"/conversations/{talk}/toggle_status"

    assert chatwoot.ok("POST", path) == {
        "meta": {},
        "payload": {
            "success": True,
            "conversation_id": talk,
            "current_status": "resolved",
            "snoozed_until": None,
        },
    }
    assert chatwoot.ok("POST", path)["payload"]["current_status"] == "open"
    snoozed = chatwoot.ok("POST", path, {"status": "snoozed", "snoozed_until": 1_781_712_000})["payload"]
    assert snoozed["snoozed_until"] == "2026-06-17T16:00:00.000Z"
    assert chatwoot.ok("POST", path)["payload"]["current_status"] == "open"
    unknown = chatwoot.call("POST", path, {"status": "closed"})
    assert unknown.status_code == 500
    assert unknown.headers["Content-Type"].startswith("text/html")


def test_opening_assigns_an_agent_but_not_an_administrator(chatwoot: Chatwoot) -> None:
    talk = began(chatwoot)["id"]
    path = f"/conversations/{talk}"

    chatwoot.ok("POST", f"{path}/toggle_status", {"status": "open"}, token=ADMIN)
    assert "assignee" not in chatwoot.ok("GET", path)["meta"]
    chatwoot.ok("POST", f"{path}/toggle_status", {"status": "open"}, token=AGENT)
    assert chatwoot.ok("GET", path)["meta"]["assignee"]["id"] == 2


def test_a_bot_inbox_begins_pending_and_hands_off(chatwoot: Chatwoot) -> None:
    chatwoot.ok("POST", f"/inboxes/{WHATSAPP}/set_agent_bot", {"agent_bot": 1})
    talk = began(chatwoot, status="open")

    assert talk["status"] == "pending"
    handed = chatwoot.ok("POST", f"/conversations/{talk['id']}/toggle_status", {"status": "open"}, token=BOT)
    assert handed["payload"]["current_status"] == "open"
    assert handed["payload"]["success"] is None


def test_a_blocked_contact_begins_resolved(chatwoot: Chatwoot) -> None:
    contact = chatwoot.contact(name="Eva", phone_number=PHONE, blocked=True)

    talk = chatwoot.conversation(inbox_id=WHATSAPP, contact_id=contact["id"])
    assert (talk["status"], talk["muted"]) == ("resolved", True)


def test_assignments(chatwoot: Chatwoot) -> None:
    path = f"/conversations/{began(chatwoot)['id']}/assignments"

    assert chatwoot.ok("POST", path, {"assignee_id": 2, "team_id": 1})["role"] == "agent"
    assert chatwoot.call("POST", path, {"assignee_id": 999}).text == "null"
    assert chatwoot.call("POST", path, {"assignee_id": 4}).text == "null", "a person of another account"
    bot = chatwoot.ok("POST", path, {"assignee_id": 1, "assignee_type": "AgentBot"})
    assert bot == {"id": 1, "name": "Agenda Bot", "avatar_url": "", "type": "agent_bot"}
    team = chatwoot.ok("GET", "/teams")[0]
    assert chatwoot.ok("POST", path, {"team_id": team["id"]})["name"] == team["name"]
    shown = chatwoot.ok("GET", path.removesuffix("/assignments"))["meta"]
    assert (shown["team"]["id"], shown["assignee"]["type"]) == (team["id"], "agent_bot")
    assert chatwoot.call("POST", path, {"team_id": 0}).text == "null"


def test_custom_attributes_are_replaced_whole(chatwoot: Chatwoot) -> None:
    path = f"/conversations/{began(chatwoot, custom_attributes={'a': 1})['id']}"

    answer = chatwoot.ok("POST", f"{path}/custom_attributes", {"custom_attributes": {"b": 2}})
    assert answer == {"custom_attributes": {"b": 2}}
    assert chatwoot.ok("GET", path)["custom_attributes"] == {"b": 2}


def test_labels_priority_and_reading(chatwoot: Chatwoot) -> None:
    talk = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")["conversation_id"]
    path = f"/conversations/{talk}"

    assert chatwoot.ok("POST", f"{path}/labels", {"labels": ["a", "b"]}) == {"payload": ["a", "b"]}
    assert chatwoot.ok("POST", f"{path}/labels", {"labels": ["c"]}) == {"payload": ["c"]}
    assert chatwoot.call("POST", f"{path}/toggle_priority", {"priority": "high"}).content == b""
    shown = chatwoot.ok("GET", path)
    assert (shown["labels"], shown["priority"], shown["unread_count"]) == (["c"], "high", 1)
    assert chatwoot.ok("PATCH", path, {"priority": None})["priority"] is None
    assert chatwoot.call("POST", f"{path}/toggle_priority", {"priority": "soon"}).status_code == 500
    assert chatwoot.ok("POST", f"{path}/update_last_seen")["unread_count"] == 0
    assert chatwoot.ok("POST", f"{path}/unread")["unread_count"] == 1
    assert chatwoot.call("POST", f"{path}/mute").content == b""
    assert chatwoot.ok("GET", path)["muted"] is True
