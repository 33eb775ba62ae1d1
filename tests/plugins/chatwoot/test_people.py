"""One person's data over the core and the plugin: shown whole, and gone from every table of the database."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import String, cast, delete, select
from sqlalchemy.orm import Session

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.clients import add_phone, remove_phone, update_client
from citaplanner_core.booking.errors import NotAllowed
from citaplanner_core.booking.models import Appointment, Client
from citaplanner_core.database import Base, system_connection, utcnow, work
from citaplanner_core.hooks.types import InboundMessage, JobContext
from citaplanner_core.jobs.models import Job
from citaplanner_core.notifications.consents import record_consent
from citaplanner_core.notifications.opt_outs import opt_out
from citaplanner_core.notifications.staff import alert_staff, watch
from citaplanner_core.notifications.staff_models import StaffContact
from citaplanner_core.replies.inbound import receive
from citaplanner_core.testing.factories import make_client
from citaplanner_core.web.logins import create_token
from citaplanner_core.web.personal_data import erase_client, export_client
from plugins.chatwoot import people
from plugins.chatwoot.models import ChatwootContact
from tests.plugins.chatwoot.conftest import Begin
from tests.plugins.chatwoot.loop import Loop
from tests.plugins.chatwoot.sandbox.conftest import WHATSAPP

FIRST, LAST, MAIL = "Zulemá", "Quintanilla", "zulema.q@example.com"
PHONE, OTHERS = "55 7654 3210", "55 1234 0000"
NEEDLES = ("zulem", "quintanilla", "zulema.q@example.com", "5576543210", "55 7654 3210", "15576543210")


on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def mentions(*needles: str) -> dict[str, list[str]]:
    """Return by table the values that hold one of these, whatever the tenant, as text or as JSON escapes it."""
    found: dict[str, list[str]] = {}
    with system_connection("a test looks everywhere") as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(select(*[cast(column, String()) for column in table.columns])):
                for value in row:
                    plain = str(value).encode().decode("unicode_escape", "ignore") + str(value)
                    if any(needle in plain.lower() for needle in needles):
                        found.setdefault(table.name, []).append(str(value))
    return found


@pytest.fixture
def told(app: Flask, begin: Begin) -> tuple[Loop, int]:
    """Somebody booked, was told, wrote back over two channels, cancelled, and the staff heard of it; their id."""
    loop = begin(WHATSAPP)
    with work(loop.tenant) as session:
        token = create_token(session, "test")
        kinds = dict.fromkeys(("appointment_booked", "client_cancelled", "needs_person", "contact_unknown"), "now")
        session.add(StaffContact(name="Jefa", email="jefa@example.com", channel="log", alerts=kinds))
    made = app.test_client().post(
        "/api/v1/clients",
        json={"first_name": FIRST, "last_name": LAST, "email": MAIL, "phones": [{"phone": PHONE}], "notes": FIRST},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "one"},
    )
    assert made.json is not None
    client = made.json["id"]
    appointment = loop.book(client)
    loop.settle()
    for text in ("3", f"soy {FIRST} {LAST}"):
        loop.write(text, phone="525576543210", name=f"{FIRST} {LAST}")
    with work(loop.tenant) as session:
        record_consent(session, client, given=True, source=f"llamada de {FIRST}")
        opt_out(session, channel="sms", words=f"BAJA {LAST}", at=utcnow(), address="+525576543210")
        kept: Appointment = session.get_one(Appointment, appointment)
        if kept.status != "CANCELLED":
            verbs.cancel(session, appointment, by="client", reason=f"soy {FIRST}")
        kept.notes = f"{FIRST} llega tarde"
    said = InboundMessage(loop.tenant, "log", "+525576543210", "proven", "m1", f"soy {FIRST} {LAST}", utcnow())
    with work(loop.tenant) as session:
        receive(session, said)
    loop.settle()
    return loop, client


def test_a_person_is_shown_all_and_then_gone(told: tuple[Loop, int]) -> None:
    loop, client = told
    before = mentions(*NEEDLES)
    many = {
        *("client", "client_phone", "client_word", "appointment", "notification", "delivery", "received_message"),
        *("consent", "opt_out", "job", "idempotency_key"),
        *("chatwoot_contact", "chatwoot_conversation", "chatwoot_event", "chatwoot_interaction"),
    }
    assert many - before.keys() <= {"job", "notification"}, "the test must have something to look for"
    with work(loop.tenant, write=False) as session:
        document = json.dumps(export_client(session, client), ensure_ascii=False)
    for said in (f"soy {FIRST} {LAST}", MAIL, PHONE, f"BAJA {LAST}", f"{FIRST} llega tarde", "chatwoot"):
        assert said in document, said
    with work(loop.tenant) as session:
        row = session.scalars(select(ChatwootContact).where(ChatwootContact.client_id == client)).one()
        contact, written = row.contact_id, set(row.pushed)
        figures = session.scalars(select(Appointment.status)).all()
        assert {"client_id", "email"} <= written
        erase_client(session, client)
    loop.settle()
    loop.settle(within=people.ECHO.total_seconds() + 1)
    with work(loop.tenant) as session:
        session.execute(delete(Job).where(Job.status == "DONE"))  # what the worker did since
        assert session.scalars(select(Appointment.status)).all() == figures
        nameless = session.get_one(Client, client)
        assert (nameless.name, nameless.active, nameless.do_not_message) == ("Cliente borrado", False, True)
    assert mentions(*NEEDLES) == {}
    attributes = loop.chatwoot.ok("GET", f"/contacts/{contact}")["payload"]["custom_attributes"]
    assert not [key for key in written if attributes.get(key) is not None]


@on_sqlite
def test_earlier_names_and_numbers_go_too(told: tuple[Loop, int]) -> None:
    loop, client = told
    with work(loop.tenant) as session:
        kinds = {"appointment_booked": "digest", "contact_ambiguous": "digest"}
        session.add(StaffContact(name="Jefe", email="jefe@example.com", digest_at="00:00", alerts=kinds))
        session.flush()
        appointment = session.scalars(select(Appointment.id)).one()
        alert_staff(session, "appointment_booked", appointment_id=appointment)
    watch(JobContext(loop.tenant, 1, 1, {}))
    loop.settle()
    with work(loop.tenant) as session:
        update_client(session, client, first_name="Otra", last_name="Persona", email="otra@example.com")
        row = session.get_one(Client, client)
        remove_phone(session, client, row.phones[0].id)
        add_phone(session, row, OTHERS)
    loop.settle()
    assert {"delivery", "notification", "idempotency_key"} <= mentions(*NEEDLES).keys()
    with work(loop.tenant) as session:
        erase_client(session, client)
    loop.settle()
    loop.settle(within=people.ECHO.total_seconds() + 1)
    with work(loop.tenant) as session:
        session.execute(delete(Job).where(Job.status == "DONE"))
    assert mentions(*NEEDLES) == {}


def test_a_number_of_two_stays_the_others(app: Flask, tenant: int) -> None:
    with work(tenant) as session:
        gone = make_client(session, first_name="Beatriz", phone=OTHERS)
        stays = make_client(session, first_name="Carmen", phone=OTHERS, responsible_id=gone.id)
        ids = gone.id, stays.id
        opt_out(session, channel="sms", words="BAJA", at=utcnow(), address="+525512340000")
    with work(tenant) as session:
        erase_client(session, ids[0])
        erase_client(session, ids[0])  # once more does no harm
    assert set(mentions("5512340000", "carmen")) == {"client", "client_phone", "client_word", "opt_out"}
    assert "beatriz" not in str(mentions("beatriz", "carmen")).lower()


@on_sqlite
def test_an_erasure_is_whole_or_not_at_all(told: tuple[Loop, int], monkeypatch: pytest.MonkeyPatch) -> None:
    loop, client = told
    with pytest.raises(NotAllowed, match="appointments to come"), work(loop.tenant) as session:
        original = session.scalars(select(Appointment)).one()
        verbs.book(
            session,
            client_id=client,
            service_id=original.service_id,
            professional_id=original.professional_id,
            branch_id=original.branch_id,
            start=original.start,
        )
        erase_client(session, client)

    def fail(session: Session, *_: Any) -> None:
        session.execute(delete(ChatwootContact))
        raise RuntimeError("no")

    before = mentions(*NEEDLES)
    monkeypatch.setattr(people, "erase", fail)
    with pytest.raises(NotAllowed, match="chatwoot"), work(loop.tenant) as session:
        erase_client(session, client)
    assert mentions(*NEEDLES) == before
