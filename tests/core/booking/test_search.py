"""Finding clients by what people type."""

import pytest
from sqlalchemy import event, func, select

from citaplanner_core.booking.clients import add_phone, update_client
from citaplanner_core.booking.errors import ValidationFailed
from citaplanner_core.booking.search import ClientWord, find_clients
from citaplanner_core.database import db, work
from citaplanner_core.testing.factories import make_client, make_tenant


def test_a_client_is_found_by_the_beginnings_of_names_and_any_spelling_of_a_phone(tenant: int) -> None:
    with work(tenant) as session:
        people = {
            "peña": make_client(session, first_name="José María", last_name="Peña O'Connor", phone="55 9876 5432"),
            "ana": make_client(session, first_name="ANA", last_name="Güemes-Pérez", email="Ana.G@example.com"),
            "jos": make_client(session, first_name="Josefa", last_name="Solís", phone="+1 201-555-0123"),
            "عمر": make_client(session, first_name="عُمَر", last_name="", phone=None),
        }
        ids = {name: client.id for name, client in people.items()}
    cases = {
        "jose": ("peña", "jos"),
        "JOSÉ MARÍ": ("peña",),
        "pena jose": ("peña",),
        "  oconnor ": ("peña",),
        "o’connor maria": ("peña",),
        "perez guemes": ("ana",),
        "ana.g@ex": ("ana",),
        "solis": ("jos",),
        "عمر": ("عمر",),
        "ose": (),
        "jose solis": ("jos",),
        "maria solis": (),
        "%": (),
        "_": (),
        "--": (),
        "55 9876 5432": ("peña",),
        "+52 1 55 9876-5432": ("peña",),
        "5215598765432": ("peña",),
        "044 55 98765432": ("peña",),
        "559876": ("peña",),
        "+52 55 987": ("peña",),
        "5432": ("peña",),
        "0123": ("jos",),
        "(201) 555": (),
        "+1 (201) 555": ("jos",),
        "99": (),
    }
    with work(tenant, write=False) as session:
        for text, names in cases.items():
            found = [client.id for client in find_clients(session, text, limit=10)]
            assert found == [ids[name] for name in names], text
        with pytest.raises(ValidationFailed, match="q: "):
            find_clients(session, "a" * 201, limit=10)


def test_the_words_follow_the_client_in_few_statements(tenant: int) -> None:
    with work(tenant) as session:
        client = make_client(session, first_name="Berta Luz", last_name="", email=None, phone=None)
        update_client(session, client.id, first_name="Elena", email="elena@example.com")
        statements: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
        add_phone(session, client, "55 4321 8765")
        update_client(session, client.id, notes="Berta")
        assert not [one for one in statements if "client_word" in one]
        found = session.scalars(select(ClientWord.word).order_by(ClientWord.word)).all()
        assert found == ["elena", "elena@example.com"]
        session.delete(client)
        session.flush()
        assert session.scalar(select(func.count(ClientWord.id))) == 0


def test_another_tenants_clients_are_not_found_and_pages_go_on(tenant: int) -> None:
    other = make_tenant("spa")
    with work(other) as session:
        make_client(session, first_name="Zoila", phone="55 9876 5432")
    with work(tenant) as session:
        assert not find_clients(session, "zoila", limit=10)
        assert not find_clients(session, "55 9876 5432", limit=10)
        made = [make_client(session, first_name="Zoila").id for _ in range(3)]
        first = find_clients(session, "zoi", limit=2)
        assert [one.id for one in first] == made[:2]
        assert [one.id for one in find_clients(session, "zoi", limit=2, after=made[1])] == made[2:]
