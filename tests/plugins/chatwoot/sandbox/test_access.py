"""Tokens, roles, the error forms, rate limits."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.chatwoot.sandbox.gate import Limits

from .conftest import ADMIN, AGENT, API, BOT, OTHER, WHATSAPP, Chatwoot, Start


@pytest.mark.parametrize("header", ["api_access_token", "Api-Access-Token", "API-ACCESS-TOKEN"])
def test_both_spellings_of_the_token_are_accepted(chatwoot: Chatwoot, header: str) -> None:
    answer = chatwoot.raw("GET", "/api/v1/profile", headers={header: ADMIN})

    assert answer.status_code == 200
    assert answer.json()["role"] == "administrator"
    assert answer.json()["accounts"][0]["id"] == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {"errors": ["You need to sign in or sign up before continuing."]}),
        ({"Api-Access-Token": "nobody"}, {"error": "Invalid Access Token"}),
        ({"Api-Access-Token": OTHER}, {"error": "You are not authorized to access this account"}),
        ({"Api-Access-Token": BOT}, {"error": "Access to this endpoint is not authorized for bots"}),
    ],
)
def test_who_may_not_enter_is_told_why(chatwoot: Chatwoot, headers: dict[str, str], body: Any) -> None:
    answer = chatwoot.raw("GET", "/api/v1/accounts/1/contacts", headers=headers)

    assert (answer.status_code, answer.json()) == (401, body)


def test_a_bot_of_another_account_is_refused(chatwoot: Chatwoot) -> None:
    answer = chatwoot.call("GET", "/conversations/1", token=BOT, account=2)

    assert answer.status_code == 401
    assert answer.json() == {"error": "Bot is not authorized to access this account"}


def test_unknown_account_and_unknown_id_are_404(chatwoot: Chatwoot) -> None:
    for answer in (
        chatwoot.call("GET", "/contacts", account=99),
        chatwoot.call("GET", "/contacts/99999"),
        chatwoot.call("GET", "/conversations/99999"),
    ):
        assert (answer.status_code, answer.json()) == (404, {"error": "Resource could not be found"})
    assert chatwoot.call("GET", "/no/such/thing").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/webhooks"),
        ("POST", "/webhooks"),
        ("POST", "/inboxes"),
        ("POST", "/custom_attribute_definitions"),
        ("POST", "/teams"),
        ("POST", "/labels"),
    ],
)
def test_an_agent_may_not_administrate(chatwoot: Chatwoot, method: str, path: str) -> None:
    answer = chatwoot.call(method, path, {"name": "x"}, token=AGENT)

    assert (answer.status_code, answer.json()) == (401, {"error": "You are not authorized to do this action"})


def test_an_agent_sees_only_inboxes_it_belongs_to(chatwoot: Chatwoot) -> None:
    made = chatwoot.ok("POST", "/inboxes", {"name": "Nuevo", "channel": {"type": "api"}})
    contact = chatwoot.contact(name="Eva", phone_number="+525512345678")
    talk = chatwoot.conversation(inbox_id=made["id"], contact_id=contact["id"])

    assert made["id"] not in [i["id"] for i in chatwoot.ok("GET", "/inboxes", token=AGENT)["payload"]]
    assert chatwoot.call("GET", f"/conversations/{talk['id']}", token=AGENT).status_code == 401
    assert chatwoot.ok("GET", f"/contacts/{contact['id']}/conversations", token=AGENT)["payload"] == []
    assert "secret" in made
    assert "secret" not in chatwoot.ok("GET", f"/inboxes/{API}", token=AGENT)


def test_a_bot_token_opens_only_conversations(chatwoot: Chatwoot) -> None:
    talk = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")["conversation_id"]

    assert chatwoot.ok("GET", f"/conversations/{talk}", token=BOT)["id"] == talk
    assert chatwoot.say(talk, token=BOT)["sender"]["type"] == "agent_bot"
    assert chatwoot.ok("GET", f"/conversations/{talk}/labels", token=BOT) == {"payload": []}
    for method, path in (
        ("GET", f"/conversations/{talk}/messages"),
        ("GET", "/conversations"),
        ("GET", "/inboxes"),
        ("POST", "/contacts/filter"),
    ):
        assert chatwoot.call(method, path, {}, token=BOT).status_code == 401
    assert chatwoot.raw("GET", "/api/v1/profile", headers={"Api-Access-Token": BOT}).status_code == 401


def test_accounts_do_not_see_each_other(chatwoot: Chatwoot) -> None:
    mine = chatwoot.contact(name="Eva", phone_number="+525512345678")
    theirs = chatwoot.call("POST", "/contacts", {"phone_number": "+525512345678"}, token=OTHER, account=2)

    assert theirs.status_code == 200
    assert chatwoot.call("GET", f"/contacts/{mine['id']}", token=OTHER, account=2).status_code == 404


def test_three_error_forms(chatwoot: Chatwoot) -> None:
    chatwoot.contact(name="Eva", phone_number="+525512345678")

    taken = chatwoot.call("POST", "/contacts", {"phone_number": "+525512345678"})
    assert (taken.status_code, taken.json()) == (
        422,
        {"message": "Phone number has already been taken", "attributes": ["phone_number"]},
    )
    assert set(chatwoot.call("GET", "/contacts/1").json()) == {"error"}
    assert set(chatwoot.raw("GET", "/api/v1/accounts/1/contacts").json()) == {"errors"}


def test_broken_json_is_a_400(chatwoot: Chatwoot) -> None:
    headers = {"Api-Access-Token": ADMIN, "Content-Type": "application/json"}

    assert chatwoot.raw("POST", "/api/v1/accounts/1/contacts", headers=headers, data=b"{").status_code == 400


def test_probes_need_no_token(chatwoot: Chatwoot) -> None:
    assert chatwoot.raw("GET", "/health").json() == {"status": "woot"}
    version = chatwoot.raw("GET", "/api").json()
    assert (version["version"], version["queue_services"], version["data_services"]) == ("4.15.1", "ok", "ok")


def test_limits_answer_plain_429_until_the_next_minute(start: Start) -> None:
    now = [600_000.0]
    chatwoot = start(limits=Limits(general=8, search=2), clock=lambda: now[0])

    assert [chatwoot.call("GET", "/contacts/search?q=a").status_code for _ in range(3)] == [200, 200, 429]
    assert chatwoot.call("GET", "/contacts/search?q=a", token=OTHER, account=2).status_code == 200
    codes = [chatwoot.call("GET", "/agents").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 200, 429]
    limited = chatwoot.raw("GET", "/api")
    assert (limited.status_code, limited.text) == (429, "Retry later\n")
    assert limited.headers["Content-Type"].startswith("text/plain")
    assert "Retry-After" not in limited.headers
    assert chatwoot.raw("GET", "/health").status_code == 200

    now[0] += 60
    assert chatwoot.call("GET", "/contacts/search?q=a").status_code == 200
