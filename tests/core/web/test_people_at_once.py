"""A client goes, by a merge or an erasure, while somebody else does something about them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import complete
from citaplanner_core.booking.clients import update_client
from citaplanner_core.booking.errors import Merged, NotAllowed, ValidationFailed
from citaplanner_core.booking.models import Appointment, Client
from citaplanner_core.database import utcnow, work
from citaplanner_core.notifications.merging import merge_clients
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import make_client
from citaplanner_core.web.personal_data import erase_client
from tests.core.booking.support import HALF_HOUR, PATIENCE, TEN, Desk, at_once, open_desk, wait_for_a_waiter


@dataclass(frozen=True)
class People:
    """A desk, and three clients of it: `mother` gets the messages of `child`; `kept` is another."""

    desk: Desk
    mother: int
    child: int
    kept: int
    past: int


@pytest.fixture
def people(tenant: int) -> People:
    desk = open_desk(tenant)
    with work(tenant) as session:
        mother, kept = (make_client(session, phone="55 1234 5678").id for _ in range(2))
        child = make_client(session, responsible_id=mother).id
        start = utcnow().replace(microsecond=0) - HALF_HOUR * 4
        past = desk.book(session, start, client_id=mother, booked_by="staff").id
    return People(desk, mother, child, kept, past)


Deed = Callable[[Session, People], Any]
MERGE: Deed = lambda session, who: merge_clients(session, who.kept, merged_id=who.mother, by="test")  # noqa: E731
BACK: Deed = lambda session, who: merge_clients(session, who.mother, merged_id=who.kept, by="test")  # noqa: E731
ERASE: Deed = lambda session, who: erase_client(session, who.mother)  # noqa: E731
BOOK: Deed = lambda session, who: who.desk.book(session, client_id=who.mother)  # noqa: E731
BOOK_CHILD: Deed = lambda session, who: who.desk.book(session, client_id=who.child)  # noqa: E731
ENTRUST: Deed = lambda session, who: update_client(session, who.desk.client_id, responsible_id=who.mother)  # noqa: E731
COMPLETE: Deed = lambda session, who: complete(session, who.past, by="staff")  # noqa: E731


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        pytest.param(MERGE, BOOK, Merged, id="a booking finds the client merged"),
        pytest.param(BOOK, MERGE, None, id="a merge takes the booking along"),
        pytest.param(ERASE, BOOK, ValidationFailed, id="a booking finds the client erased"),
        pytest.param(BOOK, ERASE, NotAllowed, id="an erasure finds the booking"),
        pytest.param(MERGE, BOOK_CHILD, None, id="who gets the messages is merged"),
        pytest.param(BOOK_CHILD, MERGE, None, id="a merge takes their messages along"),
        pytest.param(MERGE, ENTRUST, Merged, id="nobody is entrusted to who is merged"),
        pytest.param(ENTRUST, MERGE, None, id="a merge takes who was entrusted along"),
        pytest.param(MERGE, MERGE, Merged, id="merged twice"),
        pytest.param(MERGE, BACK, Merged, id="merged both ways"),
        pytest.param(MERGE, ERASE, Merged, id="an erasure finds the client merged"),
        pytest.param(ERASE, MERGE, None, id="a merge takes the nameless row"),
        pytest.param(COMPLETE, ERASE, None, id="an erasure waits for a visit's end"),
        pytest.param(ERASE, COMPLETE, None, id="a visit's end waits for an erasure"),
    ],
)
def test_the_second_sees_what_the_first_did(
    app: Flask, engine: str, people: People, first: Deed, second: Deed, outcome: type[Exception] | None
) -> None:
    def act() -> None:
        with work(people.desk.tenant) as session:
            second(session, people)

    results: list[object] = []
    rival = threading.Thread(target=lambda: results.extend(at_once(app, [act])))
    with work(people.desk.tenant) as session:
        first(session, people)
        rival.start()
        if engine == "postgresql":
            wait_for_a_waiter()
    rival.join(PATIENCE)
    assert results == [outcome]
    with work(people.desk.tenant, write=False) as session:
        there = set(session.scalars(select(Client.id)))
        assert set(session.scalars(select(Appointment.client_id))) <= there
        merged = MERGE in (first, second) and outcome is not NotAllowed
        assert (people.mother in there) is not merged
        assert session.get_one(Appointment, people.past).client_id == (people.kept if merged else people.mother)
        if merged and BOOK_CHILD in (first, second):
            child = select(Appointment.id).where(Appointment.client_id == people.child)
            told = select(Notification.recipient_id).where(Notification.appointment_id == session.scalars(child).one())
            assert set(session.scalars(told)) == {people.kept}


def test_merges_and_bookings_of_many_end_without_a_deadlock(app: Flask, people: People) -> None:
    def merge() -> None:
        with work(people.desk.tenant) as session:
            MERGE(session, people)

    def back() -> None:
        with work(people.desk.tenant) as session:
            BACK(session, people)

    def book(slot: int) -> int:
        client = (people.mother, people.kept, people.child)[slot % 3]
        return people.desk.booked(TEN + slot * HALF_HOUR, client_id=client)

    bookings = [lambda slot=slot: book(slot) for slot in range(6)]  # binds `slot` now
    merges, booked = (results := at_once(app, [merge, back, *bookings]))[:2], results[2:]
    assert sorted(map(repr, merges)) == sorted([repr(None), repr(Merged)])
    assert all(isinstance(one, int) or one is Merged for one in booked)
    with work(people.desk.tenant, write=False) as session:
        made = [one for one in booked if isinstance(one, int)]
        assert set(made) <= set(session.scalars(select(Appointment.id)))
