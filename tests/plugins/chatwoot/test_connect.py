"""Setting a tenant up with a real Chatwoot: each step checked, nothing made twice, everything undone again."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select, update

from citaplanner_core.booking.models import Branch, Tenant
from citaplanner_core.database import system_work, work
from citaplanner_core.testing.factories import make_branch
from plugins.chatwoot import connect as connecting
from plugins.chatwoot import full_sync
from plugins.chatwoot.accounts import effective
from plugins.chatwoot.attributes import NAMES
from plugins.chatwoot.commands import chatwoot as command
from plugins.chatwoot.connect import Step, Wish, connect, disconnect
from plugins.chatwoot.demo import DemoFailed, connect_to_sandbox
from plugins.chatwoot.models import ChatwootConfig, ChatwootContact
from tests.plugins.chatwoot.sandbox.conftest import ADMIN, AGENT, API, WHATSAPP, Chatwoot
from tests.plugins.chatwoot.support import Desk

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
HOOK = "https://citas.example/api/webhooks/chatwoot"


def wish(chatwoot: Chatwoot, tenant: int, **values: Any) -> Wish:
    given: dict[str, Any] = {
        "tenant_id": tenant,
        "base_url": f"{chatwoot.url}/",
        "account_id": 1,
        "inbox_id": WHATSAPP,
        "access_token": f" {ADMIN}\n",
    }
    return Wish(**{**given, **values})


def config_of(tenant: int, branch: int | None = None) -> ChatwootConfig:
    with work(tenant, write=False) as session:
        row = session.scalars(select(ChatwootConfig).where(ChatwootConfig.branch_id.is_not_distinct_from(branch))).one()
        session.expunge_all()
        return row


def webhooks(chatwoot: Chatwoot) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chatwoot.ok("GET", "/webhooks")["payload"]["webhooks"]
    return found


def names_of(steps: list[Step]) -> list[tuple[str, bool]]:
    return [(step.name, step.ok) for step in steps]


def test_connecting_checks_stores_and_sets_up(chatwoot: Chatwoot, tenant: int) -> None:
    steps = list(connect(wish(chatwoot, tenant)))

    assert names_of(steps) == [
        *[("address", True), ("account", True), ("inbox", True), ("webhook", True), ("attributes", True)]
    ]
    assert "24 hours" in steps[2].detail
    row = config_of(tenant)
    assert (row.base_url, row.account_id, row.inbox_id, row.api_access_token) == (chatwoot.url, 1, WHATSAPP, ADMIN)
    (webhook,) = webhooks(chatwoot)
    assert webhook["url"] == f"{HOOK}/{row.webhook_key}"
    assert (row.webhook_id, row.webhook_secret) == (webhook["id"], webhook["secret"])
    assert set(webhook["subscriptions"]) == set(connecting.SUBSCRIPTIONS)
    shown = chatwoot.ok("GET", "/custom_attribute_definitions?attribute_model=1")
    assert {one["attribute_key"] for one in shown} == set(NAMES)
    assert {one["attribute_display_name"] for one in shown} >= {"Próxima cita", "Última cita"}
    assert not any(ADMIN in step.detail or str(row.webhook_key) in step.detail for step in steps)
    with work(tenant, write=False) as session:
        assert effective(session).ref == f"{chatwoot.url}#1"


@on_sqlite
def test_again_changes_nothing(chatwoot: Chatwoot, tenant: int) -> None:
    list(connect(wish(chatwoot, tenant)))
    before, row = webhooks(chatwoot), config_of(tenant)
    definitions = chatwoot.ok("GET", "/custom_attribute_definitions?attribute_model=1")

    assert all(step.ok for step in connect(wish(chatwoot, tenant, inbox_id=API)))
    assert webhooks(chatwoot) == before
    assert chatwoot.ok("GET", "/custom_attribute_definitions?attribute_model=1") == definitions
    again = config_of(tenant)
    assert (again.webhook_key, again.webhook_secret, again.inbox_id) == (row.webhook_key, row.webhook_secret, API)
    assert again.previous_webhook_secret is None


@on_sqlite
def test_a_webhook_that_was_changed_or_lost_is_repaired(chatwoot: Chatwoot, tenant: int) -> None:
    list(connect(wish(chatwoot, tenant)))
    first = config_of(tenant)
    fields = {"webhook": {"url": f"https://old.example/api/webhooks/chatwoot/{first.webhook_key}"}}
    chatwoot.ok("PATCH", f"/webhooks/{first.webhook_id}", fields)
    list(connect(wish(chatwoot, tenant)))
    assert [one["url"] for one in webhooks(chatwoot)] == [f"{HOOK}/{first.webhook_key}"]

    chatwoot.ok("DELETE", f"/webhooks/{first.webhook_id}")
    list(connect(wish(chatwoot, tenant)))
    (webhook,) = webhooks(chatwoot)
    second = config_of(tenant)
    assert (second.webhook_id, second.webhook_secret) == (webhook["id"], webhook["secret"])
    assert second.previous_webhook_secret == first.webhook_secret


@on_sqlite
def test_doubles_are_removed(chatwoot: Chatwoot, tenant: int) -> None:
    list(connect(wish(chatwoot, tenant)))
    row = config_of(tenant)
    spare = {"webhook": {"url": f"https://other.example/api/webhooks/chatwoot/{row.webhook_key}"}}
    chatwoot.ok("POST", "/webhooks", spare)
    others = {"webhook": {"url": "https://somebody.example/else"}}
    chatwoot.ok("POST", "/webhooks", others)
    list(connect(wish(chatwoot, tenant)))

    assert sorted(one["url"] for one in webhooks(chatwoot)) == [
        f"{HOOK}/{row.webhook_key}",
        "https://somebody.example/else",
    ]


@on_sqlite
@pytest.mark.parametrize(
    ("values", "step", "words"),
    [
        ({"base_url": "http://127.0.0.1:9"}, "address", "no Chatwoot answers"),
        ({"base_url": "chatwoot"}, "address", "https://"),
        ({"access_token": "wrong"}, "token", "copy it again"),
        ({"access_token": ""}, "token", "empty"),
        ({"account_id": 2}, "account", "it belongs to: 1 Estética Demo"),
        ({"account_id": 7}, "account", "does not belong"),
        ({"inbox_id": 99}, "inbox", "2 API"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_stored(
    chatwoot: Chatwoot, tenant: int, values: dict[str, Any], step: str, words: str
) -> None:
    (failed,) = connect(wish(chatwoot, tenant, **values))

    assert (failed.name, failed.ok) == (step, False)
    assert words in failed.detail
    with work(tenant, write=False) as session:
        assert session.scalars(select(ChatwootConfig)).all() == []
    assert webhooks(chatwoot) == []


@on_sqlite
def test_an_agents_token_can_send_but_not_set_up(chatwoot: Chatwoot, tenant: int) -> None:
    steps = list(connect(wish(chatwoot, tenant, access_token=AGENT, inbox_id=API)))

    assert [step.name for step in steps if not step.ok] == ["webhook", "attributes"]
    assert f"{HOOK}/{config_of(tenant).webhook_key}" in steps[3].detail
    assert webhooks(chatwoot) == []


@on_sqlite
def test_an_old_server_that_does_not_sign_is_told(chatwoot: Chatwoot, tenant: int, monkeypatch: Any) -> None:
    really = connecting._make_webhook

    def unsigned(*given: Any) -> Any:
        return {key: value for key, value in really(*given).items() if key != "secret"}

    monkeypatch.setattr(connecting, "_make_webhook", unsigned)
    failed = [step for step in connect(wish(chatwoot, tenant)) if not step.ok]

    assert [step.name for step in failed] == ["webhook"]
    assert "4.11.2" in failed[0].detail


@on_sqlite
def test_trouble_in_a_later_step_leaves_the_connection(chatwoot: Chatwoot, tenant: int) -> None:
    chatwoot.control("POST", "faults", {"path": "/webhooks", "status": 422, "times": 1})
    chatwoot.control("POST", "faults", {"path": "/custom_attribute_definitions", "status": 500, "times": 1})
    steps = list(connect(wish(chatwoot, tenant)))

    assert [step.name for step in steps if not step.ok] == ["webhook", "attributes"]
    assert "CITAPLANNER_PUBLIC_URL" in steps[3].detail
    assert config_of(tenant).is_active
    assert all(step.ok for step in connect(wish(chatwoot, tenant)))
    assert len(webhooks(chatwoot)) == 1


@on_sqlite
def test_an_api_inbox_asks_about_its_trust(chatwoot: Chatwoot, tenant: int) -> None:
    steps = list(connect(wish(chatwoot, tenant, inbox_id=API)))
    assert "--trust proven" in steps[2].detail
    assert config_of(tenant).inbox_webhook_secret

    steps = list(connect(wish(chatwoot, tenant, inbox_id=API, trust="proven")))
    assert "claims" not in steps[2].detail
    list(connect(wish(chatwoot, tenant, inbox_id=API)))
    assert config_of(tenant).inbox_trust == {str(API): "proven"}


@on_sqlite
def test_a_branch_in_the_same_account_shares_the_webhook(chatwoot: Chatwoot, tenant: int) -> None:
    with work(tenant) as session:
        branch = make_branch(session).id
    list(connect(wish(chatwoot, tenant)))
    steps = list(connect(wish(chatwoot, tenant, inbox_id=API, branch_id=branch)))

    assert all(step.ok for step in steps)
    assert len(webhooks(chatwoot)) == 1
    assert config_of(tenant, branch).webhook_id is None
    assert config_of(tenant, branch).webhook_key != config_of(tenant).webhook_key


def test_disconnecting_takes_the_webhook_and_the_secrets(chatwoot: Chatwoot, tenant: int) -> None:
    list(connect(wish(chatwoot, tenant, inbox_id=API)))
    assert names_of(list(disconnect(tenant))) == [("webhook", True), ("account", True)]

    assert webhooks(chatwoot) == []
    row = config_of(tenant)
    assert not row.is_active
    assert [row.api_access_token, row.webhook_secret, row.inbox_webhook_secret, row.webhook_id] == [None] * 4
    assert names_of(list(disconnect(tenant))) == [("account", False)]
    list(connect(wish(chatwoot, tenant)))
    assert (config_of(tenant).is_active, len(webhooks(chatwoot))) == (True, 1)


@on_sqlite
def test_disconnecting_works_when_chatwoot_does_not(chatwoot: Chatwoot, tenant: int) -> None:
    list(connect(wish(chatwoot, tenant)))
    chatwoot.control("POST", "faults", {"path": "/webhooks", "status": 401, "times": 1})

    assert names_of(list(disconnect(tenant))) == [("webhook", False), ("account", True)]
    assert config_of(tenant).api_access_token is None


# The commands


@pytest.fixture
def run(tenant: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `citaplanner chatwoot …` for the tenant `clinic`."""

    def invoke(*arguments: str, token: str | None = ADMIN, typed: str | None = None) -> Result:
        if token is not None:
            monkeypatch.setenv("CHATWOOT_API_ACCESS_TOKEN", token)
        else:
            monkeypatch.delenv("CHATWOOT_API_ACCESS_TOKEN", raising=False)
        tenant_option = [] if "--tenant" in arguments else ["--tenant", "clinic"]
        return CliRunner().invoke(command, [*arguments, *tenant_option], input=typed, standalone_mode=False)

    return invoke


def account(chatwoot: Chatwoot, inbox: int = WHATSAPP) -> tuple[str, ...]:
    return ("connect", "--url", chatwoot.url, "--account", "1", "--inbox", str(inbox))


@on_sqlite
def test_the_command_connects_and_shows(chatwoot: Chatwoot, run: Any) -> None:
    done = run(*account(chatwoot))
    assert done.return_value == 0
    assert [line.split()[:2] for line in done.output.splitlines()] == [
        *[["ok", name] for name in ("address", "account", "inbox", "webhook", "attributes")]
    ]

    shown = run("config", "show", token=None)
    assert shown.return_value == 0
    assert ADMIN not in shown.output
    assert f"…{ADMIN[-4:]}" in shown.output
    assert shown.output.count("tenant configuration") == 4
    found = json.loads(run("config", "show", "--json", token=None).output)
    assert found["inbox_id"] == {"value": WHATSAPP, "source": "tenant configuration"}
    assert run("check", token=None).return_value == 0
    assert [step["ok"] for step in json.loads(run("check", "--json", token=None).output)] == [True] * 3


@on_sqlite
def test_the_token_is_asked_for_when_it_is_not_given(chatwoot: Chatwoot, run: Any) -> None:
    done = run(*account(chatwoot), token=None, typed=f"{ADMIN}\n")

    assert done.return_value == 0
    assert ADMIN not in done.output
    assert "--token" not in run("connect", "--help").output


@on_sqlite
def test_a_failed_step_fails_the_command(chatwoot: Chatwoot, run: Any) -> None:
    done = run(*account(chatwoot, 99))
    assert done.return_value == 1
    assert "FAILED  inbox" in done.output
    assert json.loads(run(*account(chatwoot, 99), "--json").output)[-1]["ok"] is False
    assert run("check", token=None).return_value == 1
    assert run("config", "show", token=None).return_value == 1


@on_sqlite
def test_unknown_tenants_and_branches_are_named(chatwoot: Chatwoot, run: Any, tenant: int) -> None:
    unknown = run("check", "--tenant", "nobody")
    assert "known: clinic" in str(unknown.exception)
    unknown = run("check", "--branch", "nowhere")
    assert "known: 1 Clinic" in str(unknown.exception)
    with work(tenant, write=False) as session:
        branch = session.scalars(select(Branch.id)).one()
    assert run(*account(chatwoot), "--branch", str(branch)).return_value == 0
    assert run(*account(chatwoot), "--branch", "Clinic").return_value == 0
    assert run("disconnect", "--branch", "Clinic").return_value == 0


@on_sqlite
def test_an_agents_token_is_no_good_check(chatwoot: Chatwoot, run: Any) -> None:
    assert run(*account(chatwoot, API), token=AGENT).return_value == 1
    assert "only one can set up the webhook" in run("check", token=None).output


@on_sqlite
def test_the_sync_command_ends_in_figures(chatwoot: Chatwoot, run: Any, tenant: int) -> None:
    run(*account(chatwoot))
    Desk(chatwoot, tenant, WHATSAPP).client()

    assert json.loads(run("sync", "--json", token=None).output) == {
        "total": 1,
        "synced": 1,
        "skipped": 0,
        "errors": 0,
    }
    assert run("sync", token=None).output.strip() == "total 1, synced 1, skipped 0, errors 0"


@on_sqlite
def test_sync_says_why_it_stopped(chatwoot: Chatwoot, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "account_id" in str(run("sync", token=None).exception)
    run(*account(chatwoot))
    chatwoot.control("POST", "faults", {"path": "/inboxes", "status": 401, "times": 1})
    assert "goes on from here" in str(run("sync", token=None).exception)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(full_sync, "sync_all", stop)
    assert "goes on from here" in str(run("sync", token=None).exception)


# The demo


@on_sqlite
def test_the_demo_tenant_is_connected_once(chatwoot: Chatwoot, tenant: int) -> None:
    for _ in range(2):
        connect_to_sandbox(tenant, sandbox=chatwoot.url, web="http://127.0.0.1:8000")

    (webhook,) = webhooks(chatwoot)
    assert webhook["url"].startswith("http://127.0.0.1:8000/api/webhooks/chatwoot/")
    assert config_of(tenant).inbox_trust == {str(API): "proven"}


def test_a_stand_in_without_memory_is_met_anew(chatwoot: Chatwoot, tenant: int) -> None:
    connect_to_sandbox(tenant, sandbox=chatwoot.url, web="http://127.0.0.1:8000")
    desk = Desk(chatwoot, tenant, API)
    client = desk.client(phone="55 1234 5678")
    desk.send(client)
    chatwoot.control("POST", "reset")
    connect_to_sandbox(tenant, sandbox=chatwoot.url, web="http://127.0.0.1:8000")

    assert desk.rows(ChatwootContact) == []
    assert len(webhooks(chatwoot)) == 1
    assert desk.send(client)["phone"] == "+525512345678"


@on_sqlite
def test_the_demo_says_what_keeps_it(chatwoot: Chatwoot, tenant: int) -> None:
    chatwoot.control("POST", "faults", {"path": "/inboxes", "status": 500, "times": 2})
    with pytest.raises(DemoFailed, match="address"):
        connect_to_sandbox(tenant, sandbox=chatwoot.url, web="http://127.0.0.1:8000")


@on_sqlite
def test_names_are_in_the_tenants_language(chatwoot: Chatwoot, app: Flask, tenant: int) -> None:
    with system_work("an English tenant", write=True) as session:
        session.execute(update(Tenant).values(language="en"))
    list(connect(wish(chatwoot, tenant)))
    shown = chatwoot.ok("GET", "/custom_attribute_definitions?attribute_model=1")

    assert "Next appointment" in {one["attribute_display_name"] for one in shown}
