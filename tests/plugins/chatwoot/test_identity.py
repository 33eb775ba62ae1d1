"""Links between clients and contacts, and the attribute that shows them on a client."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import aliased

from citaplanner_core.booking.clients import delete_client
from citaplanner_core.booking.models import Client
from citaplanner_core.database import system_work, work
from citaplanner_core.testing.factories import make_client, make_tenant
from plugins.chatwoot import identity
from plugins.chatwoot.accounts import IncompleteAccount
from plugins.chatwoot.identity import client_identifier, contact_id_of, contact_row, link, parse_identifier, unlink
from plugins.chatwoot.models import ChatwootContact
from tests.plugins.chatwoot.support import config

SERVER = "https://chat.example"
REF = f"{SERVER}#1"
Linked: Any = Client
"""A client as it is while the plugin is loaded: type checkers do not know the attribute."""


@pytest.fixture
def client(tenant: int) -> int:
    """A client of a tenant that is connected to account 1."""
    with work(tenant) as session:
        session.add(config(SERVER, inbox_id=5))
        return make_client(session).id


@given(st.integers(1, 2**53), st.integers(1, 2**53))
def test_an_identifier_says_tenant_and_client(tenant_id: int, client_id: int) -> None:
    assert parse_identifier(client_identifier(tenant_id, client_id)) == (tenant_id, client_id)


@given(st.none() | st.integers() | st.text() | st.from_regex(r"citaplanner:\d*:\d*\s?"))
def test_anything_else_is_no_identifier(text: object) -> None:
    found = parse_identifier(text)
    assert found is None or text == client_identifier(*found)


def test_link_and_unlink(tenant: int, client: int) -> None:
    with work(tenant) as session:
        row = link(session, account_ref=REF, contact_id=7, client_id=client, rule="phone", trust="proven")
        assert (row.client_id, row.rule, row.trust) == (client, "phone", "proven")
        assert row.linked_at is not None
    with work(tenant) as session:
        assert contact_id_of(session, client) == contact_id_of(session, client, account_ref=REF) == 7
        assert contact_id_of(session, client, account_ref="elsewhere#1") is None
        assert unlink(session, account_ref=REF, contact_id=7)
        assert not unlink(session, account_ref=REF, contact_id=7)
        assert contact_id_of(session, client) is None


def test_a_contact_is_linked_to_one_client_and_keeps_what_was_written_on_it(tenant: int, client: int) -> None:
    with work(tenant) as session:
        link(session, account_ref=REF, contact_id=7, client_id=client).pushed = {"birthday": "1990-01-01"}
        other = make_client(session).id
        row = link(session, account_ref=REF, contact_id=7, client_id=other)
        assert (row.client_id, row.pushed) == (other, {"birthday": "1990-01-01"})
        assert contact_id_of(session, client) is None


def test_two_who_meet_a_new_contact_at_once_get_the_same_row(app: Flask, tenant: int) -> None:
    together = threading.Barrier(4)

    def meet(_: int) -> int:
        with app.app_context():
            together.wait()
            with work(tenant) as session:
                return contact_row(session, account_ref=REF, contact_id=7).id

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(meet, range(4)))) == 1


def test_the_attribute_reads_and_filters(tenant: int, client: int) -> None:
    with work(tenant) as session:
        nobody = make_client(session).id
        link(session, account_ref=REF, contact_id=7, client_id=client)
    with work(tenant, write=False) as session:
        assert session.get_one(Linked, client).chatwoot_contact_id == 7
        assert session.get_one(Linked, nobody).chatwoot_contact_id is None
        wanted = select(Client.id).where(Linked.chatwoot_contact_id == 7)
        assert session.scalars(wanted).all() == [client]
        assert session.scalars(select(Client.id).where(Linked.chatwoot_contact_id.is_(None))).all() == [nobody]
        other_name = aliased(Linked)
        assert session.scalars(select(other_name.id).where(other_name.chatwoot_contact_id == 7)).all() == [client]
        rows = session.execute(select(Client.id, Linked.chatwoot_contact_id).order_by(Client.id)).all()
        assert [tuple(row) for row in rows] == [(client, 7), (nobody, None)]


def test_the_attribute_is_a_persons_link(tenant: int, client: int) -> None:
    with work(tenant) as session:
        session.get_one(Linked, client).chatwoot_contact_id = 7
    with work(tenant) as session:
        row = session.scalars(select(ChatwootContact)).one()
        assert (row.account_ref, row.client_id, row.rule) == (REF, client, identity.AGENT)
        found = session.get_one(Linked, client)
        found.chatwoot_contact_id = 8
        assert found.chatwoot_contact_id == 8
        linked = select(ChatwootContact.contact_id).where(ChatwootContact.client_id.is_not(None))
        assert session.scalars(linked).all() == [8]
        found.chatwoot_contact_id = None
        assert found.chatwoot_contact_id is None
        found.chatwoot_contact_id = 7
        del found.chatwoot_contact_id
        assert found.chatwoot_contact_id is None


def test_the_attribute_of_a_client_just_made(tenant: int, client: int) -> None:
    new = Linked(first_name="Eva")
    assert new.chatwoot_contact_id is None
    with pytest.raises(ValueError, match="session"):
        new.chatwoot_contact_id = 9
    with work(tenant) as session:
        session.add(new)
        new.chatwoot_contact_id = 9
        assert new.chatwoot_contact_id == 9


def test_without_an_account_nothing_can_be_linked(tenant: int) -> None:
    with work(tenant) as session:
        found: Any = make_client(session)
        with pytest.raises(IncompleteAccount, match="account_id"):
            found.chatwoot_contact_id = 7


def test_the_same_contact_number_of_two_tenants(tenant: int, client: int) -> None:
    other = make_tenant("other")
    with work(other) as session:
        session.add(config(SERVER, inbox_id=5))
        theirs: Any = make_client(session)
        theirs.chatwoot_contact_id = 7
        their_id = theirs.id
    with work(tenant) as session:
        assert session.scalars(select(Client.id).where(Linked.chatwoot_contact_id == 7)).all() == []
        session.get_one(Linked, client).chatwoot_contact_id = 7
    with system_work("test") as session:
        found = session.scalars(select(Client.id).where(Linked.chatwoot_contact_id == 7).order_by(Client.id)).all()
        assert sorted(found) == sorted([client, their_id])


def test_an_erased_client_leaves_no_link(tenant: int, client: int) -> None:
    with work(tenant) as session:
        link(session, account_ref=REF, contact_id=7, client_id=client)
    with work(tenant) as session:
        delete_client(session, client)
    with work(tenant, write=False) as session:
        assert session.scalars(select(ChatwootContact)).all() == []
