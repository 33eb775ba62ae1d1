"""Clients and their phones."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select

from citaplanner_core.booking.clients import (
    add_phone,
    create_client,
    delete_client,
    find_by_match_key,
    update_client,
)
from citaplanner_core.booking.errors import NotFound, ValidationFailed
from citaplanner_core.booking.models import Appointment, AppointmentChange, Client, ClientPhone
from citaplanner_core.database import db, utcnow, work
from citaplanner_core.testing.factories import make_client, make_tenant
from tests.core.booking.support import Desk

MATCH_KEY = "+525512345678"


def test_a_client_is_kept_as_given(tenant: int) -> None:
    with work(tenant) as session:
        made = create_client(
            session,
            first_name=" Ana ",
            last_name="Pérez",
            email=" ana@example.com ",
            phones=["55 1234 5678", "+1 201-555-0123"],
            language="en",
            birthday=date(1990, 2, 28),
            notes="alergia",
        ).id
    with work(tenant, write=False) as session:
        client = session.get_one(Client, made)
        assert (client.name, client.email, client.language) == ("Ana Pérez", "ana@example.com", "en")
        assert (client.birthday, client.notes, client.active) == (date(1990, 2, 28), "alergia", True)
        assert [(phone.raw, phone.match_key) for phone in client.phones] == [
            ("55 1234 5678", MATCH_KEY),
            ("+1 201-555-0123", "+12015550123"),
        ]


def test_a_wrong_value_is_refused_by_name_and_leaves_nothing(tenant: int) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("first_name", {"first_name": "  "}),
        ("first_name", {"first_name": "A\x00"}),
        ("email", {"email": "ana"}),
        ("email", {"email": "ana @example.com"}),
        ("birthday", {"birthday": utcnow().date() + timedelta(days=2)}),
        ("phone", {"phones": ["55 1234 5678", "no tengo"]}),
    ]
    for field, values in cases:
        with pytest.raises(ValidationFailed) as refused, work(tenant) as session:
            create_client(session, **({"first_name": "Ana"} | values))
        assert refused.value.field == field
    with work(tenant, write=False) as session:
        assert session.scalar(select(func.count(Client.id))) == 0


def test_a_client_is_changed_where_asked(tenant: int) -> None:
    with work(tenant) as session:
        made = make_client(session, first_name="Ana", last_name="Pérez", email="ana@example.com").id
        update_client(session, made, last_name="Ríos", email=None)
        with pytest.raises(ValidationFailed) as refused:
            update_client(session, made, tenant_id=9)  # type: ignore[call-arg]  # what an API might pass on
        assert refused.value.field == "tenant_id"
    with work(tenant, write=False) as session:
        client = session.get_one(Client, made)
        assert (client.name, client.email) == ("Ana Ríos", None)


def test_clients_of_another_tenant_do_not_exist(tenant: int) -> None:
    other = make_tenant("other")
    with work(other) as session:
        theirs = make_client(session).id
    with work(tenant) as session:
        with pytest.raises(NotFound):
            update_client(session, theirs, first_name="Eva")
        with pytest.raises(NotFound):
            delete_client(session, theirs)


def test_one_number_in_two_spellings_is_kept_once(tenant: int) -> None:
    with work(tenant) as session:
        client = create_client(session, first_name="Ana", phones=["55 1234 5678", "+52 1 55 1234-5678"])
        again = add_phone(session, client, "5215512345678", label="casa")
        assert [phone.id for phone in client.phones] == [again.id]
        assert again.raw == "55 1234 5678"


def test_two_extensions_of_one_number_are_two_phones(tenant: int) -> None:
    with work(tenant) as session:
        client = create_client(session, first_name="Ana", phones=["55 1234 5678 ext 12", "55 1234 5678 ext 13"])
        assert [phone.extension for phone in client.phones] == ["12", "13"]


def test_the_tenants_country_reads_its_phones(app: object) -> None:
    spanish = make_tenant("madrid", country="ES")
    with work(spanish) as session:
        assert make_client(session, phone="612 345 678").phones[0].match_key == "+34612345678"


def test_a_family_shares_a_number(tenant: int) -> None:
    with work(tenant) as session:
        family = [make_client(session, phone="55 1234 5678").id for _ in range(2)]
        make_client(session)
        make_client(session, phone="55 1234 5678", active=False)
        assert [client.id for client in find_by_match_key(session, MATCH_KEY)] == family
        assert find_by_match_key(session, "+525500000000") == []


def test_another_tenants_clients_are_not_found(tenant: int) -> None:
    with work(make_tenant("other")) as session:
        make_client(session, phone="55 1234 5678")
    with work(tenant) as session:
        assert find_by_match_key(session, MATCH_KEY) == []


def test_finding_takes_one_query(tenant: int) -> None:
    statements: list[str] = []
    with work(tenant) as session:
        make_client(session, phone="55 1234 5678")
        event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        assert len(find_by_match_key(session, MATCH_KEY)) == 1
    assert len(statements) == 1


def test_an_erased_client_leaves_nothing_behind(desk: Desk) -> None:
    desk.booked()
    with work(desk.tenant) as session:
        delete_client(session, desk.client_id)
    with work(desk.tenant, write=False) as session:
        for model in (Client, ClientPhone, Appointment, AppointmentChange):
            assert session.scalar(select(func.count(model.id))) == 0
