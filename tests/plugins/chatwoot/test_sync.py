"""What agents see beside a conversation: true, only of whom it surely is, and written only when it changed."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from citaplanner_core.booking import appointments
from citaplanner_core.booking.clients import add_phone
from citaplanner_core.booking.models import CANCELLED, COMPLETED, NO_SHOW, PENDING, Appointment, Client
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks.types import JobContext, Retry
from citaplanner_core.jobs.models import Job
from citaplanner_core.testing.factories import make_appointment, make_client, make_service
from citaplanner_core.testing.worker import run_due
from plugins.chatwoot import full_sync, identity, sync
from plugins.chatwoot.api import Unauthorized
from plugins.chatwoot.attributes import NAMES, attributes_of
from plugins.chatwoot.full_sync import Totals, sync_all
from plugins.chatwoot.models import ChatwootConfig, ChatwootContact, ChatwootCursor
from tests.plugins.chatwoot.conftest import Connect
from tests.plugins.chatwoot.sandbox.conftest import API, WHATSAPP
from tests.plugins.chatwoot.support import Desk

PHONE = "55 1234 5678"
WA_ID = "5215512345678"
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
KEYS = {
    *("client_id", "tenant_id", "total_appointments", "is_registered", "email", "birthday"),
    *("last_appointment", "last_service", "next_appointment", "next_appointment_status", "next_service"),
    *("no_shows", "citaplanner_url"),
}


@pytest.fixture
def linked(connect: Connect) -> Desk:
    """The tenant, connected to WhatsApp, where the first client wrote and was recognised."""
    return connect(WHATSAPP)


def link(desk: Desk, client_id: int, contact_id: int | None = None, **values: Any) -> int:
    """Have a person write and link the contact to the client; return the contact's id."""
    if contact_id is None:
        contact_id = int(desk.chatwoot.incoming(inbox_id=WHATSAPP, phone=WA_ID, text="Hola")["contact_id"])
    given: dict[str, Any] = {"rule": "phone", "trust": "proven", **values}
    with work(desk.tenant) as session:
        identity.link(session, account_ref=desk.ref, contact_id=contact_id, client_id=client_id, **given)
    return contact_id


def write(desk: Desk, **payload: Any) -> None:
    """Run the job as the worker does."""
    sync.sync_contact(JobContext(desk.tenant, 1, 1, payload))


def settle(app: Flask) -> None:
    """Run what is due now and in the next seconds, and what comes of it."""
    while run_due(app, within=timedelta(seconds=5)):
        pass


def shown(desk: Desk, contact_id: int) -> dict[str, Any]:
    """Return the attributes that stand on a contact in Chatwoot, without those taken away."""
    (found,) = [one["custom_attributes"] for one in desk.contacts() if one["id"] == contact_id]
    return {key: value for key, value in found.items() if value is not None}


# What is said of a client


@on_sqlite
def test_a_client_without_appointments(tenant: int) -> None:
    with work(tenant) as session:
        client = make_client(session, email="ana@example.com", birthday=date(1990, 2, 28))
        found, client_id = attributes_of(session, client), client.id

    assert found.keys() == KEYS
    assert {key: value for key, value in found.items() if value is not None} == {
        "client_id": client_id,
        "tenant_id": tenant,
        "total_appointments": 0,
        "is_registered": True,
        "email": "ana@example.com",
        "birthday": "1990-02-28",
        "no_shows": 0,
        "citaplanner_url": f"https://citas.example/admin/clients/{client_id}",
    }


def test_appointments_before_and_after_now(tenant: int) -> None:
    now = utcnow().replace(microsecond=0)
    with work(tenant) as session:
        client = make_client(session)
        spans = [
            (timedelta(days=-9), COMPLETED, "Corte"),
            (timedelta(days=-2), COMPLETED, "Masaje"),
            (timedelta(days=-1), NO_SHOW, "Facial"),
            (timedelta(hours=-1), CANCELLED, "Tinte"),
            (timedelta(days=1), CANCELLED, "Peinado"),
            (timedelta(days=2), PENDING, "Manicura"),
            (timedelta(days=3), PENDING, "Pedicura"),
        ]
        for span, status, name in spans:
            make_appointment(
                session, client=client, start=now + span, status=status, service=make_service(session, name=name)
            )
        make_appointment(session)
        found = attributes_of(session, client)

    assert (found["last_service"], found["next_service"], found["next_appointment_status"]) == (
        "Masaje",
        "Manicura",
        "PENDING",
    )
    assert (found["total_appointments"], found["no_shows"]) == (5, 1)
    assert abs(datetime.fromisoformat(found["last_appointment"]) - (now - timedelta(days=2))) < timedelta(minutes=1)


@on_sqlite
def test_times_are_the_branches_own(tenant: int) -> None:
    with work(tenant) as session:
        start = datetime(2099, 7, 1, 16, 0, tzinfo=UTC)
        found = attributes_of(session, make_appointment(session, start=start).client)

    assert found["next_appointment"] == "2099-07-01T10:00-06:00"


@on_sqlite
def test_what_has_begun_is_the_last_one(tenant: int) -> None:
    with work(tenant) as session:
        found = attributes_of(session, make_appointment(session, start=utcnow() - timedelta(minutes=1)).client)

    assert found["last_appointment"] is not None
    assert found["next_appointment"] is None


# Writing it


def test_only_differences_are_written(linked: Desk) -> None:
    client = linked.client(phone=PHONE, first_name="Ana")
    contact = link(linked, client)
    linked.chatwoot.ok("PUT", f"/contacts/{contact}", {"name": "Anita", "custom_attributes": {"vip": True}})
    write(linked, client_id=client)
    assert shown(linked, contact)["client_id"] == client
    assert shown(linked, contact)["vip"] is True

    with linked.calls() as made:
        write(linked, client_id=client)
    assert made == []

    with work(linked.tenant) as session:
        make_appointment(session, client=session.get_one(Client, client), start=utcnow() + timedelta(days=1))
    before = len(linked.chatwoot.control("GET", "requests"))
    write(linked, client_id=client)
    (call,) = linked.chatwoot.control("GET", "requests")[before:]
    assert call["body"].keys() == {"custom_attributes"}
    assert call["body"]["custom_attributes"].keys() == {
        *("total_appointments", "next_appointment", "next_appointment_status", "next_service")
    }
    assert linked.contacts()[0]["name"] == "Anita"
    assert linked.contacts()[0]["email"] is None


@on_sqlite
def test_what_is_no_longer_so_is_taken_away(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client)
    with work(linked.tenant) as session:
        make_appointment(session, client=session.get_one(Client, client))
    write(linked, client_id=client)
    assert "next_appointment" in shown(linked, contact)
    with work(linked.tenant) as session:
        session.execute(update(Appointment).values(status=CANCELLED))
    write(linked, client_id=client)

    assert shown(linked, contact).keys() == KEYS - {
        *("next_appointment", "next_appointment_status", "next_service"),
        *("last_appointment", "last_service", "birthday"),
    }


@on_sqlite
@pytest.mark.parametrize("trust", ["claimed", "proven"])
def test_a_claim_is_not_believed(linked: Desk, trust: str) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client, trust=trust)
    write(linked, client_id=client)

    assert bool(shown(linked, contact)) is (trust == "proven")


@on_sqlite
def test_what_was_the_clients_goes_when_the_link_does(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client)
    write(linked, client_id=client)
    with work(linked.tenant) as session:
        identity.unlink(session, account_ref=linked.ref, contact_id=contact)
        sync.enqueue_contact_sync(session, session.scalars(select(ChatwootContact)).one())
    (row,) = linked.rows(ChatwootContact)
    write(linked, contact=row.id)

    assert shown(linked, contact) == {}
    with linked.calls() as made:
        write(linked, contact=row.id)
    assert made == []


@on_sqlite
def test_a_contact_that_changes_hands_shows_the_new_client_only(linked: Desk) -> None:
    first = linked.client(phone=PHONE, email="first@example.com", birthday=date(1990, 1, 1))
    contact = link(linked, first)
    write(linked, client_id=first)
    second = linked.client(phone=None, email=None)
    link(linked, second, contact)
    write(linked, client_id=second)

    found = shown(linked, contact)
    assert found["client_id"] == second
    assert not found.keys() & {"email", "birthday"}


def test_a_number_that_is_shared_by_now_is_nobodys(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client)
    write(linked, client_id=client)
    linked.client(phone=PHONE)
    with work(linked.tenant) as session:
        session.execute(update(Client).where(Client.id == client).values(email="new@example.com"))
    write(linked, client_id=client)

    assert shown(linked, contact) == {}
    assert [row.client_id for row in linked.rows(ChatwootContact)] == [None]


@on_sqlite
def test_a_persons_link_holds_though_the_number_is_shared(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    linked.client(phone=PHONE)
    contact = link(linked, client, rule=identity.AGENT)
    write(linked, client_id=client)

    assert shown(linked, contact)["client_id"] == client


@on_sqlite
def test_another_number_that_is_shared_does_no_harm(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client)
    with work(linked.tenant) as session:
        add_phone(session, session.get_one(Client, client), "55 5555 0101")
        make_client(session, phone="55 5555 0101")
    write(linked, client_id=client)

    assert shown(linked, contact)["client_id"] == client


@on_sqlite
def test_a_client_who_left_is_not_shown(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client)
    write(linked, client_id=client)
    with work(linked.tenant) as session:
        session.execute(update(Client).values(active=False))
    write(linked, client_id=client)

    assert shown(linked, contact) == {}


def test_a_contact_that_is_gone_is_forgotten(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    link(linked, client)
    linked.chatwoot.control("POST", "reset")
    write(linked, client_id=client)

    assert linked.rows(ChatwootContact) == []


@on_sqlite
@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 500}, {"accept_then_fail": True}])
def test_trouble_asks_for_another_time_and_ends_the_same(linked: Desk, fault: dict[str, Any]) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client)
    linked.fault("/contacts/", method="PUT", **fault)
    with pytest.raises(Retry):
        write(linked, client_id=client)
    write(linked, client_id=client)

    assert shown(linked, contact)["client_id"] == client


@on_sqlite
def test_an_account_that_is_not_connected_any_more_is_left_alone(linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    contact = link(linked, client)
    with work(linked.tenant) as session:
        session.execute(update(ChatwootConfig).values(is_active=False))
    write(linked, client_id=client)
    write(linked, client_id=999)
    write(linked, contact=999)

    assert shown(linked, contact) == {}


# Of its own accord


def test_a_booking_shows_on_the_contact(app: Flask, switched_on: Desk) -> None:
    client = switched_on.client(phone=PHONE)
    contact = link(switched_on, client)
    with work(switched_on.tenant) as session:
        ready = make_appointment(session, start=utcnow() + timedelta(days=5))
        booked: int = appointments.book(
            session,
            client_id=client,
            service_id=ready.service_id,
            professional_id=ready.professional_id,
            branch_id=ready.branch_id,
            start=utcnow().replace(microsecond=0) + timedelta(days=2),
        ).id
    settle(app)
    assert shown(switched_on, contact)["next_appointment_status"] == "PENDING"

    with work(switched_on.tenant) as session:
        appointments.confirm(session, booked, by="staff")
        appointments.cancel(session, booked, by="staff")
    before = len(switched_on.chatwoot.control("GET", "requests"))
    settle(app)
    assert "next_appointment" not in shown(switched_on, contact)
    calls = switched_on.chatwoot.control("GET", "requests")[before:]
    assert len([call for call in calls if call["method"] == "PUT"]) == 1


@on_sqlite
def test_when_its_time_comes_the_next_is_the_last(app: Flask, linked: Desk) -> None:
    client = linked.client(phone=PHONE)
    link(linked, client)
    start = utcnow().replace(second=0, microsecond=0) + timedelta(days=1)
    with work(linked.tenant) as session:
        make_appointment(session, client=session.get_one(Client, client), start=start)
    write(linked, client_id=client)

    (job,) = [row for row in linked.rows(Job) if row.kind == sync.SYNC]
    assert (job.due, job.payload) == (start, {"client_id": client})


@on_sqlite
def test_an_appointment_of_somebody_unknown_to_chatwoot_is_no_work(app: Flask, switched_on: Desk) -> None:
    with work(switched_on.tenant) as session:
        nobody = make_client(session, phone=None, email=None)
        appointments.cancel(session, make_appointment(session, client=nobody).id, by="staff")
    with switched_on.calls() as made:
        settle(app)

    assert sync.SYNC not in [row.kind for row in switched_on.rows(Job)]
    assert [call for call in made if "custom" in call] == []


# Everybody


def test_everybody_is_brought_up_to_date(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_sync, "PAGE", 2)
    desk = connect(WHATSAPP)
    wrote = desk.chatwoot.incoming(inbox_id=WHATSAPP, phone=WA_ID, text="Hola")["contact_id"]
    clients = [desk.client(phone=PHONE), *(desk.client() for _ in range(3))]
    shared = [desk.client(phone="55 5555 0101"), desk.client(phone="55 5555 0101")]
    mail_only = desk.client(phone=None)
    seen: list[int] = []

    totals = sync_all(desk.tenant, lambda totals: seen.append(totals.done))
    assert (totals.total, totals.synced, totals.skipped, totals.errors) == (7, 4, 3, 0)
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert shown(desk, wrote)["client_id"] == clients[0]
    on_contacts = {one["custom_attributes"].get("client_id") for one in desk.contacts()}
    assert on_contacts == set(clients)
    assert not on_contacts & {*shared, mail_only}
    assert desk.rows(ChatwootCursor) == []

    with desk.calls() as made:
        again = sync_all(desk.tenant)
    assert again.synced == 4
    assert [call for call in made if not call.endswith(("inboxes", "filter"))] == []
    assert len(desk.contacts()) == 4


@on_sqlite
def test_where_nobody_vouches_for_numbers_no_contact_is_made(desk: Desk) -> None:
    desk.client(phone=PHONE)
    desk.chatwoot.contact(phone_number="+525512345678", inbox_id=API)
    desk.client()

    totals = sync_all(desk.tenant)
    assert (totals.synced, totals.skipped) == (0, 2)
    assert [one["custom_attributes"] for one in desk.contacts()] == [{}]


@on_sqlite
def test_a_declared_bridge_counts_as_proof(connect: Connect) -> None:
    desk = connect(API, inbox_trust={str(API): "proven"})
    client = desk.client(phone=PHONE)

    assert sync_all(desk.tenant).synced == 1
    assert [one["custom_attributes"]["client_id"] for one in desk.contacts()] == [client]
    assert desk.send(client)["contact"] == desk.contacts()[0]["id"]


@on_sqlite
@pytest.mark.parametrize("stop", [KeyboardInterrupt, Unauthorized])
def test_an_interrupted_run_goes_on_where_it_stopped(linked: Desk, stop: type[BaseException]) -> None:
    for _ in range(3):
        linked.client()

    def interrupt(totals: Totals) -> None:
        if totals.done == 2:
            raise stop(401, "no") if stop is Unauthorized else stop

    with pytest.raises(stop):
        sync_all(linked.tenant, interrupt)
    assert len(linked.contacts()) == 2
    before = len(linked.chatwoot.control("GET", "requests"))
    totals = sync_all(linked.tenant)

    assert (totals.total, totals.synced, totals.resumed) == (3, 3, True)
    calls = [call["path"].rsplit("/", 1)[1] for call in linked.chatwoot.control("GET", "requests")[before:]]
    assert calls.count("contacts") == 1
    assert linked.rows(ChatwootCursor) == []


@on_sqlite
def test_one_clients_trouble_is_not_the_others(linked: Desk) -> None:
    for _ in range(3):
        linked.client()
    linked.fault("/contacts$", method="POST", status=422)
    linked.fault("/contacts$", method="POST", status=500)

    totals = sync_all(linked.tenant)
    assert (totals.synced, totals.errors) == (1, 2)


@on_sqlite
def test_enough_is_waited_for_and_nobody_left_out(linked: Desk) -> None:
    linked.client()
    linked.fault("/contacts/filter", status=429)
    waited: list[float] = []

    assert sync_all(linked.tenant, sleep=waited.append).synced == 1
    assert 0 < max(waited) < 64


def test_the_pace_stays_below_the_limit() -> None:
    waited: list[float] = []
    pace = full_sync._Pace(waited.append)
    for _ in range(300):
        pace.spend(1)

    assert sum(waited[-1:]) == pytest.approx(300 * 60 / full_sync.CALLS_PER_MINUTE, abs=2.1)


def test_every_attribute_but_the_email_has_a_name() -> None:
    assert {*NAMES, "email"} == KEYS
