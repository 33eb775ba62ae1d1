"""What is offered can be booked, what is refused was not offered, and what the rules say in between."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import event
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import reschedule
from citaplanner_core.booking.availability import Slot, find_slots, givers, nearest_slots
from citaplanner_core.booking.errors import NotFound, NotOffered, SlotTaken, ValidationFailed, Wanted
from citaplanner_core.booking.hours import Closure, ProfessionalService, TimeOff, WorkingHours
from citaplanner_core.booking.models import Branch, Professional, Service, Tenant
from citaplanner_core.database import db, work
from citaplanner_core.testing.factories import (
    make_appointment,
    make_branch,
    make_client,
    make_professional,
    make_service,
    make_tenant,
)
from tests.core.booking.support import Desk, open_desk

WALL = ZoneInfo("America/Mexico_City")
MONDAY = date(2035, 3, 5)
NOW = datetime(2035, 3, 1, 12, tzinfo=WALL)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A time of the branch in March 2035; the 5th is a Monday."""
    return datetime(2035, 3, day, hour, minute, tzinfo=WALL).astimezone(UTC)


def hours(branch_id: int, *blocks: tuple[int, int], weekdays: Any = range(6), **more: Any) -> Iterator[WorkingHours]:
    """Rows for blocks of whole hours."""
    for weekday in weekdays:
        for opens, closes in blocks:
            yield WorkingHours(
                branch_id=branch_id, weekday=weekday, from_minute=opens * 60, until_minute=closes * 60, **more
            )


def starts(slots: list[Slot]) -> list[datetime]:
    return [slot.start for slot in slots]


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def shop(desk: Desk) -> Desk:
    """Open Monday to Saturday from 9 to 14 and 16 to 19, a start every 30 minutes."""
    with work(desk.tenant) as session:
        session.get_one(Tenant, desk.tenant).slot_step_minutes = 30
        session.add_all(hours(desk.branch_id, (9, 14), (16, 19)))
    return desk


def slots(session: Session, desk: Desk, start: datetime, end: datetime, **other: Any) -> list[Slot]:
    given = {"service_id": desk.service_id, "branch_id": desk.branch_id} | other
    return find_slots(session, start=start, end=end, **given)


def test_a_day_has_the_starts_that_fit_into_its_blocks(shop: Desk) -> None:
    with work(shop.tenant) as session:
        found = slots(session, shop, at(5, 0), at(6, 0))
        assert starts(found) == [
            *(at(5, 9) + timedelta(minutes=30) * number for number in range(10)),
            *(at(5, 16) + timedelta(minutes=30) * number for number in range(6)),
        ]
        assert {slot.end - slot.start for slot in found} == {timedelta(minutes=30)}
        assert {slot.professional_id for slot in found} == {shop.professional_id}
        assert slots(session, shop, at(4, 0), at(5, 0)) == []
        long = make_service(session, duration_minutes=240).id
        assert starts(slots(session, shop, at(5, 0), at(6, 0), service_id=long)) == [at(5, 9), at(5, 9, 30), at(5, 10)]


def test_appointments_and_buffers_keep_their_distance(shop: Desk) -> None:
    with work(shop.tenant) as session:
        make_appointment(
            session,
            start=at(5, 11),
            professional=session.get_one(Professional, shop.professional_id),
            service=make_service(session, duration_minutes=60, buffer_after_minutes=5),
        )
        session.get_one(Service, shop.service_id).buffer_before_minutes = 10
        found = starts(slots(session, shop, at(5, 9), at(5, 14), professional_id=shop.professional_id))
        assert found == [at(5, 9), at(5, 9, 30), at(5, 10), at(5, 10, 30), at(5, 12, 30), at(5, 13), at(5, 13, 30)]


def test_everything_that_closes(shop: Desk) -> None:
    with work(shop.tenant) as session:
        other = make_branch(session).id
        absent, elsewhere, morning = (make_professional(session).id for _ in range(3))
        session.add_all(
            [
                TimeOff(professional_id=absent, start=at(5, 9), end=at(5, 17, 30), reason="curso"),
                *hours(other, (0, 24), professional_id=elsewhere),
                *hours(shop.branch_id, (7, 11), professional_id=morning),
                *hours(shop.branch_id, (16, 18), professional_id=morning, valid_from=date(2035, 3, 6)),
                Closure(first_day=date(2035, 3, 7), last_day=date(2035, 3, 8)),
                Closure(branch_id=other, first_day=MONDAY, last_day=MONDAY),
            ]
        )
        session.flush()

        def of(person: int, day: int = 5) -> list[datetime]:
            return starts(slots(session, shop, at(day, 0), at(day + 1, 0), professional_id=person))

        assert of(absent) == [at(5, 17, 30), at(5, 18), at(5, 18, 30)]
        assert of(elsewhere) == []
        assert of(morning) == [at(5, 9), at(5, 9, 30), at(5, 10), at(5, 10, 30)]
        assert of(morning, 6)[4:] == [at(6, 16), at(6, 16, 30), at(6, 17), at(6, 17, 30)]
        assert of(shop.professional_id, 7) == of(shop.professional_id, 8) == []


def test_who_gives_what_where(shop: Desk) -> None:
    with work(shop.tenant) as session:
        other = make_branch(session).id
        everywhere, there = make_professional(session).id, make_professional(session).id
        idle = make_professional(session, active=False).id
        assert givers(session, shop.service_id, shop.branch_id) == [shop.professional_id, everywhere, there]
        for person, branch in ((everywhere, None), (there, other), (idle, None)):
            session.add(ProfessionalService(service_id=shop.service_id, professional_id=person, branch_id=branch))
        session.flush()
        assert givers(session, shop.service_id, shop.branch_id) == [everywhere]
        assert givers(session, shop.service_id, other) == [everywhere, there]
        assert slots(session, shop, at(5, 0), at(6, 0), professional_id=there) == []


def test_anybody_means_the_least_booked_of_the_day(shop: Desk) -> None:
    with work(shop.tenant) as session:
        first, second = session.get_one(Professional, shop.professional_id), make_professional(session)
        assert {slot.professional_id for slot in slots(session, shop, at(5, 9), at(5, 14))} == {first.id}
        make_appointment(session, start=at(5, 18), professional=first)
        make_appointment(session, start=at(5, 10), professional=second, status="CANCELLED")
        assert {slot.professional_id for slot in slots(session, shop, at(5, 9), at(5, 14))} == {second.id}
        assert {slot.professional_id for slot in slots(session, shop, at(6, 9), at(6, 14))} == {first.id}
        make_appointment(session, start=at(5, 9), professional=second)
        make_appointment(session, start=at(5, 13), professional=second)
        who = {slot.start: slot.professional_id for slot in slots(session, shop, at(5, 9), at(5, 19))}
        assert who[at(5, 10)] == first.id
        assert who[at(5, 18)] == second.id
        assert len(who) == 16


def test_notice_and_horizon(shop: Desk) -> None:
    with work(shop.tenant) as session:
        tenant = session.get_one(Tenant, shop.tenant)
        tenant.minimum_notice_minutes, tenant.horizon_days = 60 * 24 * 4 - 119, 6
        found = starts(slots(session, shop, at(1, 0), at(20, 0)))
        assert found[0] == at(5, 10, 30)
        assert found[-1] == at(7, 18, 30)
        tenant.minimum_notice_minutes = 0
        assert starts(slots(session, shop, at(1, 0), at(2, 0)))[0] == at(1, 12)


def refusal(session: Session, desk: Desk, start: datetime, **other: Any) -> str:
    with pytest.raises(NotOffered) as refused:
        desk.book(session, start, **other)
    assert str(refused.value).startswith(f"{refused.value.field}: ")
    assert refused.value.wanted.start == start
    return f"{refused.value.field} {refused.value.reason}"


def test_clients_are_held_to_what_is_offered_and_staff_are_not(shop: Desk) -> None:
    with work(shop.tenant) as session:
        tenant = session.get_one(Tenant, shop.tenant)
        away, other = make_professional(session).id, make_professional(session).id
        special = make_service(session).id
        session.add(TimeOff(professional_id=away, start=at(5, 0), end=at(6, 0)))
        session.add(ProfessionalService(service_id=special, professional_id=other))
        tenant.minimum_notice_minutes, tenant.horizon_days = 60, 30
        session.flush()
        assert refusal(session, shop, at(1, 12, 30)) == "start too_soon"
        assert refusal(session, shop, datetime(2035, 4, 2, 10, tzinfo=WALL).astimezone(UTC)) == "start too_far"
        assert refusal(session, shop, at(5, 13, 45)) == "start closed"
        assert refusal(session, shop, at(5, 10), professional_id=away) == "start away"
        assert refusal(session, shop, at(5, 10), service_id=special) == "professional_id not_given"
        made = shop.book(session, at(5, 9))
        with pytest.raises(NotOffered):
            reschedule(session, made.id, start=at(5, 15), by="client")
        assert made.start == at(5, 9)
        assert reschedule(session, made.id, start=at(5, 15), by="staff").start == at(5, 15)
        assert shop.book(session, at(1, 12, 30), booked_by="staff").id
        with pytest.raises(SlotTaken):
            shop.book(session, at(5, 15), booked_by="staff")


def test_the_nearest_are_offered_instead(shop: Desk) -> None:
    with work(shop.tenant) as session:
        other = make_professional(session).id

        def near(start: datetime, **wanted: int) -> list[Slot]:
            ids = {"service_id": shop.service_id, "branch_id": shop.branch_id, "professional_id": shop.professional_id}
            return nearest_slots(session, Wanted(**(ids | wanted), start=start))

        shop.book(session, at(5, 10))
        assert starts(near(at(5, 10))) == [at(5, 9), at(5, 9, 30), at(5, 10, 30)]
        assert {slot.professional_id for slot in near(at(5, 10))} == {shop.professional_id}
        assert starts(near(at(4, 10))) == [at(3, 17, 30), at(3, 18), at(3, 18, 30)]
        assert starts(near(datetime(2035, 2, 1, 10, tzinfo=WALL))) == [at(1, 12), at(1, 12, 30), at(1, 13)]
        session.add(TimeOff(professional_id=shop.professional_id, start=at(1, 0), end=at(1, 0) + timedelta(days=99)))
        session.flush()
        assert {slot.professional_id for slot in near(at(5, 10))} == {other}
        session.get_one(Branch, shop.branch_id).active = False
        assert near(at(5, 10)) == []


def test_foreign_and_idle_rows_and_wild_times_are_refused_by_name(shop: Desk) -> None:
    theirs = open_desk(make_tenant("other"))
    with work(shop.tenant) as session:
        for field in ("service_id", "branch_id", "professional_id"):
            with pytest.raises(NotFound) as unknown:
                slots(session, shop, at(5, 0), at(6, 0), **{field: getattr(theirs, field)})
            assert unknown.value.field == field
        idle = make_service(session, active=False).id
        wild: list[tuple[str, dict[str, Any]]] = [
            ("service_id", {"service_id": idle}),
            ("start", {"start": at(5, 0).replace(tzinfo=None)}),
            ("end", {"end": at(5, 0) + timedelta(days=63)}),
            (
                "end",
                {
                    "start": datetime.max.replace(tzinfo=UTC) - timedelta(days=1),
                    "end": datetime.max.replace(tzinfo=UTC),
                },
            ),
            ("end", {"start": datetime.min.replace(tzinfo=UTC), "end": datetime.min.replace(tzinfo=UTC)}),
        ]
        for field, given in wild:
            when: dict[str, Any] = {"start": at(5, 0), "end": at(6, 0)}
            with pytest.raises(ValidationFailed) as refused:
                slots(session, shop, **(when | given))
            assert refused.value.field == field
        assert slots(session, shop, at(6, 0), at(5, 0)) == []


def test_the_number_of_queries_does_not_depend_on_what_there_is(shop: Desk) -> None:
    counted: list[str] = []

    def count(*arguments: Any) -> None:
        counted.extend(["query"] * str(arguments[2]).startswith("SELECT"))

    def asked() -> int:
        counted.clear()
        with work(shop.tenant, write=False) as session:
            assert slots(session, shop, at(5, 0), at(12, 0))
        return len(counted)

    event.listen(db.engine, "before_cursor_execute", count)
    try:
        few = asked()
        with work(shop.tenant) as session:
            client = make_client(session)
            for _ in range(5):
                person = make_professional(session)
                session.add_all(hours(shop.branch_id, (9, 14), professional_id=person.id))
                session.add(TimeOff(professional_id=person.id, start=at(5, 0), end=at(5, 10)))
                for hour in range(9, 14):
                    make_appointment(session, start=at(6, hour), professional=person, client=client)
        assert asked() == few == 8
    finally:
        event.remove(db.engine, "before_cursor_execute", count)


def test_a_slot_can_be_booked_on_the_days_when_clocks_jump(tenant: int) -> None:
    """Tijuana: on 11 March 2035 two o'clock is three, on 4 November 2035 one o'clock comes twice."""
    wall = ZoneInfo("America/Tijuana")
    desk = open_desk(tenant)
    with work(tenant) as session:
        session.get_one(Branch, desk.branch_id).zone = wall.key
        session.get_one(Tenant, tenant).slot_step_minutes = 30
        session.add_all(hours(desk.branch_id, (1, 4), weekdays=[6]))
        session.flush()
        shown = {}
        for day in (date(2035, 3, 11), date(2035, 11, 4)):
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=wall)
            found = slots(session, desk, noon - timedelta(hours=14), noon)
            shown[day] = [f"{slot.start.astimezone(wall):%H:%M%z}" for slot in found]
            for slot in found:
                desk.book(session, slot.start)
    assert shown[date(2035, 3, 11)] == ["01:00-0800", "01:30-0800", "03:00-0700", "03:30-0700"]
    assert shown[date(2035, 11, 4)] == [
        *("01:00-0700", "01:30-0700", "01:00-0800", "01:30-0800"),
        *("02:00-0800", "02:30-0800", "03:00-0800", "03:30-0800"),
    ]
