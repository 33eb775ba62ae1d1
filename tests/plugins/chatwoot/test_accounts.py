"""Which account serves whom: the most specific value wins, and no token ever goes to another server."""

from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from citaplanner_core.database import work
from citaplanner_core.hooks import settings
from citaplanner_core.hooks.settings import SettingsError
from citaplanner_core.testing.factories import make_branch, make_tenant
from plugins.chatwoot.accounts import (
    DEFAULT_URL,
    FIELDS,
    Account,
    IncompleteAccount,
    Layer,
    account_ref,
    client_for,
    effective,
    environment_layer,
    layers,
    merge,
)
from tests.plugins.chatwoot.support import config

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
ONE, TWO = "https://one.example", "https://two.example"
ENVIRONMENT = {
    "CHATWOOT_API_URL": f"{ONE}/",
    "CHATWOOT_API_ACCESS_TOKEN": "from-environment",
    "CHATWOOT_ACCOUNT_ID": "5",
    "CHATWOOT_INBOX_ID": "6",
}


def give(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in {**ENVIRONMENT, **values}.items():
        monkeypatch.setenv(name, value)


def store(tenant: int, branch: int | None = None, **values: Any) -> None:
    given: dict[str, Any] = {"base_url": None, "account_id": None, "api_access_token": None, **values}
    with work(tenant) as session:
        session.add(config(given.pop("base_url"), branch_id=branch, **given))


def choose(tenant: int, **values: Any) -> None:
    with work(tenant) as session:
        settings.write(session, "chatwoot", values)


def served(tenant: int, branch: int | None = None) -> Account:
    with work(tenant, write=False) as session:
        return effective(session, branch)


def missing(tenant: int, branch: int | None = None) -> set[str]:
    with pytest.raises(IncompleteAccount) as raised:
        served(tenant, branch)
    assert all(name in str(raised.value) for name in raised.value.fields)
    return set(raised.value.fields)


@pytest.fixture
def branch(tenant: int) -> int:
    with work(tenant) as session:
        return make_branch(session).id


@on_sqlite
def test_the_most_specific_value_wins(tenant: int, branch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch)
    environment = served(tenant)
    assert (environment.base_url, environment.account_id, environment.inbox_id) == (ONE, 5, 6)
    assert (environment.access_token, environment.ref) == ("from-environment", f"{ONE}#5")
    assert set(environment.sources.values()) == {"environment"}

    store(tenant, inbox_id=7)
    assert (served(tenant).inbox_id, served(tenant).access_token) == (7, "from-environment")
    assert served(tenant).sources["inbox_id"] == "tenant configuration"

    choose(tenant, inbox_id=8, api_token="from-settings")
    assert (served(tenant).inbox_id, served(tenant).access_token) == (8, "from-settings")
    assert served(tenant).sources == {
        "base_url": "environment",
        "account_id": "environment",
        "inbox_id": "notification settings",
        "access_token": "notification settings",
    }

    store(tenant, branch, inbox_id=9)
    assert (served(tenant, branch).inbox_id, served(tenant, branch).access_token) == (9, "from-settings")
    assert served(tenant, branch).sources["inbox_id"] == "branch configuration"
    assert served(tenant).inbox_id == 8


@on_sqlite
@pytest.mark.parametrize("field", FIELDS)
def test_each_missing_field_is_named(tenant: int, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, Any] = {"base_url": ONE, "account_id": 1, "inbox_id": 2, "api_access_token": "x"}
    column = "api_access_token" if field == "access_token" else field
    store(tenant, **{**values, column: None})
    if field == "base_url":
        assert served(tenant).base_url == DEFAULT_URL
        assert served(tenant).sources["base_url"] == "default"
    else:
        assert missing(tenant) == {field}


@on_sqlite
def test_nothing_given_names_everything(tenant: int) -> None:
    assert missing(tenant) == {"account_id", "inbox_id", "access_token"}


@on_sqlite
def test_a_branch_may_have_a_server_of_its_own(tenant: int, branch: int) -> None:
    store(tenant, base_url=ONE, account_id=1, inbox_id=2, api_access_token="whole")
    store(tenant, branch, base_url=TWO)

    assert missing(tenant, branch) == {"account_id", "inbox_id", "access_token"}
    assert served(tenant).base_url == ONE


@on_sqlite
def test_another_account_of_the_same_server_gets_no_token(tenant: int, branch: int) -> None:
    store(tenant, base_url=ONE, account_id=1, inbox_id=2, api_access_token="whole")
    store(tenant, branch, account_id=3)

    assert missing(tenant, branch) == {"inbox_id", "access_token"}


@on_sqlite
def test_the_same_account_named_twice_does(tenant: int, branch: int) -> None:
    store(tenant, base_url=f"{ONE}/", account_id=1, inbox_id=2, api_access_token="whole")
    store(tenant, branch, base_url=ONE, account_id=1, inbox_id=3)

    assert (served(tenant, branch).access_token, served(tenant, branch).inbox_id) == ("whole", 3)


@on_sqlite
def test_a_branch_without_its_own_is_the_tenants(tenant: int, branch: int) -> None:
    store(tenant, base_url=ONE, account_id=1, inbox_id=2, api_access_token="whole")

    assert served(tenant, branch) == served(tenant)


@on_sqlite
def test_the_environment_lends_to_one_tenant_only(tenant: int, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch)
    other = make_tenant("other")

    assert missing(tenant) == missing(other) == {"account_id", "inbox_id", "access_token"}
    choose(other, use_environment=True)
    assert served(other).access_token == "from-environment"
    assert missing(tenant)


@on_sqlite
def test_the_environments_token_stays_with_its_server(tenant: int, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch)
    store(tenant, base_url=TWO)

    assert missing(tenant) == {"account_id", "inbox_id", "access_token"}


@on_sqlite
def test_a_wrong_environment_says_which_variable(tenant: int, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, CHATWOOT_INBOX_ID="seven")
    with pytest.raises(SettingsError, match="CHATWOOT_INBOX_ID"):
        environment_layer()


@on_sqlite
def test_the_hosted_server_is_the_environments_default(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_layer() == Layer("environment")
    monkeypatch.setenv("CHATWOOT_ACCOUNT_ID", "3")
    assert environment_layer() == Layer("environment", base_url=DEFAULT_URL, account_id=3)


@on_sqlite
def test_switched_off_connections_count_for_nothing(tenant: int) -> None:
    store(tenant, base_url=ONE, account_id=1, inbox_id=2, api_access_token="whole", is_active=False)

    assert missing(tenant)


@on_sqlite
def test_what_goes_out_can_be_switched_off(tenant: int, branch: int) -> None:
    store(tenant, base_url=ONE, account_id=1, inbox_id=2, api_access_token="whole")
    assert served(tenant).enabled
    store(tenant, branch, enable_notifications=False)
    assert (served(tenant).enabled, served(tenant, branch).enabled) == (True, False)
    choose(tenant, enabled=False)
    assert not served(tenant).enabled


@on_sqlite
def test_trust_belongs_to_the_accounts_own_inboxes(tenant: int, branch: int) -> None:
    whole: dict[str, Any] = {"base_url": ONE, "account_id": 1, "inbox_id": 2, "api_access_token": "whole"}
    store(tenant, **whole, inbox_trust={"2": "proven", "3": "claimed"})
    store(tenant, branch, inbox_id=3, inbox_trust={"3": "proven"})
    assert served(tenant, branch).inbox_trust == {"2": "proven", "3": "proven"}

    with work(tenant) as session:
        other = make_branch(session).id
    store(tenant, other, base_url=TWO, account_id=1, inbox_id=2, api_access_token="other")
    assert served(tenant, other).inbox_trust == {}


@on_sqlite
def test_tokens_do_not_show(tenant: int, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch)
    with work(tenant, write=False) as session:
        found = layers(session)
    api = client_for(served(tenant))
    api.close()

    assert "from-environment" not in f"{found!r} {served(tenant)!r} {api!r}"


@on_sqlite
def test_two_clients_share_nothing(tenant: int) -> None:
    store(tenant, base_url=ONE, account_id=1, inbox_id=2, api_access_token="whole")
    first, second = client_for(served(tenant)), client_for(served(tenant))
    first.close()
    second.close()

    assert first is not second


places = st.builds(
    lambda url, account, inbox, token: (url, account, inbox, token),
    st.sampled_from([None, ONE, TWO]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 10, 20]),
    st.booleans(),
)


@given(found=st.lists(places, min_size=1, max_size=4))
def test_nothing_is_lent_to_another_server_or_account(found: list[tuple[Any, Any, Any, bool]]) -> None:
    stack = [
        Layer(f"layer {number}", base_url=url, account_id=account, inbox_id=inbox, access_token=f"token {number}")
        if token
        else Layer(f"layer {number}", base_url=url, account_id=account, inbox_id=inbox)
        for number, (url, account, inbox, token) in enumerate(found)
    ]
    values, sources = merge(stack)

    def speaks_of(number: int) -> tuple[str, int | None]:
        """What a layer is about: its own server, else that of the next that names one; an account only of that one."""
        below = stack[number:]
        server = next((layer.base_url for layer in below if layer.base_url), DEFAULT_URL)
        for position, layer in enumerate(below, number):
            there = next((one.base_url for one in stack[position:] if one.base_url), DEFAULT_URL)
            if there != server:
                return server, None
            if layer.account_id:
                return server, layer.account_id
        return server, None

    assert (values["base_url"], values["account_id"]) == speaks_of(0)
    if values["access_token"] is not None:
        lender = int(values["access_token"].split()[1])
        assert speaks_of(lender) == speaks_of(0)
        assert sources["access_token"] == f"layer {lender}"
    for name in ("access_token", "inbox_id"):
        able = [n for n, layer in enumerate(stack) if getattr(layer, name) and speaks_of(n) == speaks_of(0)]
        assert (values[name] is None) == (not able)
        if able:
            assert sources[name] == f"layer {able[0]}"


def test_accounts_are_named_without_a_trailing_slash() -> None:
    assert account_ref(f"{ONE}/", 3) == account_ref(ONE, 3) == f"{ONE}#3"
