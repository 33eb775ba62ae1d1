"""Inboxes, people, small tables, webhooks as rows, bots, reports."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import AGENT, API, EMAIL, SMS, WHATSAPP, WIDGET, Chatwoot

DEFINITION = {
    "attribute_display_name": "Cliente",
    "attribute_key": "client_id",
    "attribute_display_type": 0,
    "attribute_model": 1,
}


def test_what_is_there_at_the_start(chatwoot: Chatwoot) -> None:
    inboxes = {i["id"]: i for i in chatwoot.ok("GET", "/inboxes")["payload"]}

    kinds = {number: inbox["channel_type"].removeprefix("Channel::") for number, inbox in inboxes.items()}
    assert kinds == {WHATSAPP: "Whatsapp", API: "Api", WIDGET: "WebWidget", SMS: "TwilioSms", EMAIL: "Email"}
    assert inboxes[WHATSAPP]["provider"] == "whatsapp_cloud"
    states = {t["status"] for t in inboxes[WHATSAPP]["message_templates"]}
    assert states == {"APPROVED", "REJECTED", "PAUSED"}
    assert inboxes[SMS]["medium"] == "sms"
    assert inboxes[API]["inbox_identifier"]
    assert len(inboxes[API]["working_hours"]) == 7
    roles = sorted(a["role"] for a in chatwoot.ok("GET", "/agents"))
    assert roles == ["administrator", "agent", "agent"]
    assert chatwoot.ok("GET", f"/inboxes/{WHATSAPP}") == inboxes[WHATSAPP]
    members = chatwoot.ok("GET", f"/inbox_members/{WHATSAPP}")
    assert members == chatwoot.ok("GET", f"/inboxes/{WHATSAPP}/assignable_agents")


def test_api_inboxes_can_be_made_and_get_a_new_secret(chatwoot: Chatwoot) -> None:
    fields = {"name": "Puente", "channel": {"type": "api", "webhook_url": "http://127.0.0.1:9/x"}}
    made = chatwoot.ok("POST", "/inboxes", fields)

    assert (made["channel_type"], made["webhook_url"]) == ("Channel::Api", "http://127.0.0.1:9/x")
    renewed = chatwoot.ok("POST", f"/inboxes/{made['id']}/reset_secret")
    assert len(renewed["secret"]) == 24
    assert renewed["secret"] != made["secret"]
    wrong = chatwoot.call("POST", "/inboxes", {"name": "x", "channel": {"type": "pigeon"}})
    assert wrong.status_code == 500
    assert chatwoot.call("POST", "/inboxes", {"name": "x"}).json()["error"].endswith(": channel")


@pytest.mark.parametrize("wrapped", [True, False])
def test_webhooks_are_kept_with_a_secret_of_the_server(chatwoot: Chatwoot, wrapped: bool) -> None:
    fields: Any = {"url": "http://127.0.0.1:9/hook", "name": "CitaPlanner", "secret": "mine"}
    made = chatwoot.ok("POST", "/webhooks", {"webhook": fields} if wrapped else fields)["payload"]["webhook"]

    assert set(made) == {"id", "name", "url", "account_id", "subscriptions", "secret"}
    assert re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{24}", made["secret"])
    assert made["subscriptions"] == [
        "conversation_status_changed",
        "conversation_updated",
        "conversation_created",
        "contact_created",
        "contact_updated",
        "message_created",
        "message_updated",
        "webwidget_triggered",
    ]
    assert chatwoot.ok("GET", "/webhooks") == {"payload": {"webhooks": [made]}}
    changed = {"subscriptions": ["message_created"]}
    answer = chatwoot.ok("PATCH", f"/webhooks/{made['id']}", {"webhook": changed})
    assert answer["payload"]["webhook"] == {**made, **changed}
    assert chatwoot.call("GET", f"/webhooks/{made['id']}").status_code == 404
    assert chatwoot.call("DELETE", f"/webhooks/{made['id']}").content == b""
    assert chatwoot.ok("GET", "/webhooks")["payload"]["webhooks"] == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"url": "http://127.0.0.1:9/taken"}, "Url has already been taken"),
        ({"url": "ftp://127.0.0.1/x"}, "Url is invalid"),
        ({}, "Url is invalid"),
        ({"url": "http://127.0.0.1:9/y", "subscriptions": ["rain"]}, "Subscriptions Invalid events"),
        ({"url": "http://127.0.0.1:9/y", "subscriptions": []}, "Subscriptions Invalid events"),
    ],
)
def test_bad_webhooks_are_refused(chatwoot: Chatwoot, fields: Any, text: str) -> None:
    chatwoot.ok("POST", "/webhooks", {"url": "http://127.0.0.1:9/taken"})

    answer = chatwoot.call("POST", "/webhooks", {"webhook": fields})
    assert (answer.status_code, answer.json()["message"]) == (422, text)


def test_attribute_definitions(chatwoot: Chatwoot) -> None:
    made = chatwoot.ok("POST", "/custom_attribute_definitions", DEFINITION)

    assert (made["attribute_model"], made["attribute_display_type"]) == ("contact_attribute", "text")
    for model in (1, "contact_attribute"):
        assert chatwoot.ok("GET", f"/custom_attribute_definitions?attribute_model={model}") == [made]
    assert chatwoot.ok("GET", "/custom_attribute_definitions?attribute_model=0") == []
    again = chatwoot.call("POST", "/custom_attribute_definitions", DEFINITION)
    assert (again.status_code, again.json()["message"]) == (422, "Attribute key has already been taken")
    assert chatwoot.ok("POST", "/custom_attribute_definitions", {**DEFINITION, "attribute_model": 0})
    for key in ("name", "phone_number", "a b"):
        wrong = chatwoot.call("POST", "/custom_attribute_definitions", {**DEFINITION, "attribute_key": key})
        assert (wrong.status_code, wrong.json()["attributes"]) == (422, ["attribute_key"])
    path = f"/custom_attribute_definitions/{made['id']}"
    renamed = chatwoot.ok("PATCH", path, {"attribute_display_name": "Clienta"})
    assert (renamed["attribute_display_name"], renamed["attribute_key"]) == ("Clienta", "client_id")
    assert chatwoot.call("DELETE", path).status_code == 204


def test_small_tables(chatwoot: Chatwoot) -> None:
    assert chatwoot.ok("POST", "/teams", {"name": "Caja"})["name"] == "caja"
    assert [t["name"] for t in chatwoot.ok("GET", "/teams")] == ["recepción", "caja"]
    label = chatwoot.ok("POST", "/labels", {"title": "VIP", "color": "#112233"})
    assert chatwoot.ok("GET", "/labels") == {"payload": [label]}
    assert label["title"] == "vip"
    canned = {"canned_response": {"short_code": "hola", "content": "Hola {{contact.name}}"}}
    made = chatwoot.ok("POST", "/canned_responses", canned, token=AGENT)
    assert set(made) == {"id", "account_id", "short_code", "content", "created_at", "updated_at"}
    assert chatwoot.call("POST", "/canned_responses", canned).status_code == 422
    assert chatwoot.ok("GET", "/canned_responses?search=HOLA") == [made]
    assert chatwoot.ok("GET", "/canned_responses?search=zzz") == []
    assert chatwoot.call("GET", f"/teams/{made['id']}").status_code == 404, "a row of another table"


def test_dashboard_apps(chatwoot: Chatwoot) -> None:
    fields = {"title": "Citas", "content": [{"type": "frame", "url": "https://citas.example/panel"}]}
    made = chatwoot.ok("POST", "/dashboard_apps", {"dashboard_app": fields}, token=AGENT)

    assert set(made) == {"id", "title", "content", "created_at"}
    assert chatwoot.ok("GET", "/dashboard_apps") == [made]
    for content in ([], [{"type": "frame", "url": "javascript:1"}], None):
        wrong = chatwoot.call("POST", "/dashboard_apps", {"dashboard_app": {**fields, "content": content}})
        assert (wrong.status_code, wrong.json()) == (
            422,
            {"message": "Content : Invalid data", "attributes": ["content"]},
        )
    assert chatwoot.call("DELETE", f"/dashboard_apps/{made['id']}").status_code == 204


def test_bots(chatwoot: Chatwoot) -> None:
    made = chatwoot.ok("POST", "/agent_bots", {"name": "Otro", "outgoing_url": "http://127.0.0.1:9/bot"})

    assert {"access_token", "secret", "outgoing_url", "bot_type", "system_bot"} <= set(made)
    assert chatwoot.ok("POST", f"/agent_bots/{made['id']}/reset_secret")["secret"] != made["secret"]
    assert "secret" not in chatwoot.ok("GET", f"/agent_bots/{made['id']}", token=AGENT)
    chatwoot.ok("POST", f"/inboxes/{API}/set_agent_bot", {"agent_bot": made["id"]})
    assert chatwoot.ok("GET", f"/inboxes/{API}/agent_bot")["agent_bot"]["id"] == made["id"]
    assert chatwoot.ok("DELETE", f"/agent_bots/{made['id']}") is None
    assert chatwoot.ok("GET", f"/inboxes/{API}/agent_bot") == {"agent_bot": {}}
    assert [b["id"] for b in chatwoot.ok("GET", "/agent_bots")] == [1]


def test_the_summary_report_counts(chatwoot: Chatwoot) -> None:
    talk = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")["conversation_id"]
    chatwoot.say(talk)
    chatwoot.say(talk, fields={"private": True})

    answer = chatwoot.raw(
        "GET",
        "/api/v2/accounts/1/reports/summary?type=account",
        headers={"Api-Access-Token": "sandbox-admin-token"},
    ).json()
    counted = (answer["conversations_count"], answer["incoming_messages_count"], answer["outgoing_messages_count"])
    assert counted == (1, 1, 1)
    assert answer["previous"]["conversations_count"] == 0
