"""Whatever a business's hours, people and rules: what is offered can be booked, what is not offered cannot.

`python -m pytest tests/core/booking --hypothesis-profile=long` tries forty times as many.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, pairwise
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import Booker, book, cancel, reschedule
from citaplanner_core.booking.availability import Slot, find_slots
from citaplanner_core.booking.errors import BookingError, SlotTaken
from citaplanner_core.booking.hours import DAY_MINUTES, Closure, ProfessionalService, TimeOff, WorkingHours
from citaplanner_core.booking.models import LIVE_STATES, Appointment, Branch
from citaplanner_core.database import work
from citaplanner_core.testing.factories import make_branch, make_client, make_professional, make_service, make_tenant
from tests.examples import FEW

EDGES = {
    "America/Mexico_City": (date(2035, 4, 1), date(2035, 10, 28)),  # no longer changes its clocks
    "America/Tijuana": (date(2035, 3, 11), date(2035, 11, 4)),
    "Europe/Madrid": (date(2035, 3, 25), date(2035, 10, 28)),
    "Australia/Lord_Howe": (date(2035, 4, 1), date(2035, 10, 7)),  # by half an hour
}
PEOPLE = 3
MOST = 4
"""Slots tried of each list."""

LONG = timedelta(days=5)
EVERY_DAY = [(day, *block) for day in range(7) for block in ((540, 840), (960, 1140))]
numbers = count(1)

minutes = st.integers(0, DAY_MINUTES // 15).map(lambda quarter: quarter * 15) | st.integers(0, DAY_MINUTES)
blocks = st.lists(
    st.tuples(st.integers(0, 6), minutes, minutes).filter(lambda block: block[1] < block[2]), min_size=1, max_size=14
)
days_of = st.tuples(st.integers(-1, 5), st.integers(0, 2))
people = st.integers(0, PEOPLE - 1)
lengths = st.sampled_from([10, 15, 30, 45, 50, 90, 240])
buffers = st.sampled_from([0, 5, 15, 60])


@dataclass(frozen=True)
class Business:
    """Blocks are (weekday, from, until); days count from the one on which the clocks change, minutes from `now`."""

    zone: str
    edge: int
    now: int
    step: int
    notice: int
    horizon: int | None
    opening: list[tuple[int, int, int]]
    working: dict[int, list[tuple[int, int, int]]]
    closed: list[tuple[int, int]]
    off: list[tuple[int, int, int]]
    services: list[tuple[int, int, int]]
    givers: set[int]
    taken: list[tuple[int, int, int]]

    @property
    def day(self) -> date:
        return EDGES[self.zone][self.edge]

    @property
    def moment(self) -> datetime:
        midnight = datetime.combine(self.day, time(), ZoneInfo(self.zone)).astimezone(UTC)
        return midnight + timedelta(minutes=self.now)


businesses = st.builds(
    Business,
    zone=st.sampled_from(sorted(EDGES)),
    edge=st.integers(0, 1),
    now=st.integers(-3 * DAY_MINUTES, DAY_MINUTES),
    step=st.sampled_from([5, 15, 30, 60]),
    notice=st.sampled_from([0, 0, 1, 60, 1440]),
    horizon=st.sampled_from([None, 9, 5, 2, 0]),
    opening=st.sampled_from([[], EVERY_DAY]) | blocks,
    working=st.dictionaries(people, blocks, max_size=2),
    closed=st.lists(days_of, max_size=1),
    off=st.lists(st.tuples(people, st.integers(-600, 6000), st.integers(1, 3000)), max_size=3),
    services=st.lists(st.tuples(lengths, buffers, buffers), min_size=2, max_size=2),
    givers=st.sets(people, max_size=2),
    taken=st.lists(st.tuples(people, st.integers(0, 1), st.integers(-60, 5 * DAY_MINUTES)), min_size=3, max_size=9),
)


@dataclass(frozen=True)
class Desk:
    """The ids of a business that was set up."""

    tenant: int
    branch: int
    people: list[int]
    services: list[int]
    client: int

    def slots(self, session: Session, start: datetime, person: int | None = None) -> list[Slot]:
        return find_slots(
            session,
            service_id=self.services[0],
            branch_id=self.branch,
            professional_id=person,
            start=start,
            end=start + LONG,
        )

    def book(
        self, session: Session, start: datetime, person: int, service: int = 0, by: Booker = "client"
    ) -> Appointment:
        return book(
            session,
            client_id=self.client,
            service_id=self.services[service],
            professional_id=person,
            branch_id=self.branch,
            start=start,
            booked_by=by,
        )


def open_business(given: Business) -> Desk:
    tenant = make_tenant(
        f"any-{next(numbers)}",
        slot_step_minutes=given.step,
        minimum_notice_minutes=given.notice,
        horizon_days=given.horizon,
    )
    with work(tenant) as session:
        branch = session.scalars(select(Branch)).one()
        branch.zone = given.zone
        other = make_branch(session, zone="UTC")
        staff = [make_professional(session).id for _ in range(PEOPLE)]
        services = [
            make_service(session, duration_minutes=length, buffer_before_minutes=before, buffer_after_minutes=after).id
            for length, before, after in given.services
        ]
        for person, rows in ((None, given.opening), *given.working.items()):
            for number, (weekday, opens, closes) in enumerate(rows):
                elsewhere = person is not None and number % 4 == 3
                session.add(
                    WorkingHours(
                        branch_id=other.id if elsewhere else branch.id,
                        professional_id=None if person is None else staff[person],
                        weekday=weekday,
                        from_minute=opens,
                        until_minute=closes,
                        valid_until=given.day if number % 5 == 4 else None,
                    )
                )
        for first, more in given.closed:
            day = given.day + timedelta(days=first)
            where = branch.id if more else None
            session.add(Closure(first_day=day, last_day=day + timedelta(days=more), branch_id=where))
        for person, away, long in given.off:
            leaves = given.moment + timedelta(minutes=away)
            session.add(TimeOff(professional_id=staff[person], start=leaves, end=leaves + timedelta(minutes=long)))
        for person in given.givers:
            session.add(ProfessionalService(service_id=services[0], professional_id=staff[person]))
        desk = Desk(tenant, branch.id, staff, services, make_client(session).id)
        session.flush()
        for person, service, minute in given.taken:
            try:
                with session.begin_nested():
                    desk.book(session, given.moment + timedelta(minutes=minute), staff[person], service, by="staff")
            except SlotTaken:
                continue
        return desk


def tried(session: Session, desk: Desk, start: datetime, person: int) -> BookingError | None:
    """What a client is told who books this; the booking is taken back."""
    point = session.begin_nested()
    try:
        desk.book(session, start, person)
    except BookingError as refused:
        return refused
    finally:
        point.rollback()
    return None


def telling(slots: list[Slot], most: int) -> list[Slot]:
    """Some of the first and last of stretches of slots: where a rule begins or ends."""
    last = len(slots) - 1
    edges = [
        slot
        for number, slot in enumerate(slots)
        if number in (0, last) or slot.start - slots[number - 1].start != slots[number + 1].start - slot.start
    ]
    return edges[:: -(-len(edges) // most) or 1]


def on_the_clock(moment: datetime, given: Business) -> bool:
    """Whether the wall shows a time at which slots begin."""
    wall = moment.astimezone(ZoneInfo(given.zone))
    return (wall.hour * 60 + wall.minute) % given.step == 0


def overlaps(session: Session) -> list[tuple[int, int]]:
    """Pairs of live appointments that meet, buffers included."""
    live = select(Appointment).where(Appointment.status.in_(LIVE_STATES))
    rows = session.scalars(live.order_by(Appointment.professional_id, Appointment.blocked_from)).all()
    return [
        (one.id, other.id)
        for one, other in pairwise(rows)
        if one.professional_id == other.professional_id and other.blocked_from < one.blocked_until
    ]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the rules are plain Python; a business takes 0.1 s
def test_any_business_offers_what_can_be_booked_and_nothing_else(app: Flask) -> None:
    @settings(max_examples=FEW, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(businesses, st.integers(-120, 120))
    def look(given: Business, begin: int) -> None:
        with time_machine.travel(given.moment, tick=False):
            desk = open_business(given)
            with work(desk.tenant) as session:
                start = given.moment + timedelta(minutes=begin)
                by_person = {person: desk.slots(session, start, person) for person in desk.people}
                anybody = desk.slots(session, start)
                starts = {slot.start for slots in by_person.values() for slot in slots}
                assert [slot.start for slot in anybody] == sorted(starts)
                assert all(slot in by_person[slot.professional_id] for slot in anybody)
                for slots in (*by_person.values(), anybody):
                    for slot in telling(slots, MOST):
                        why = tried(session, desk, slot.start, slot.professional_id)
                        assert why is None, f"{slot} is offered and refused: {why}"
                for person, slots in by_person.items():
                    offered = {slot.start for slot in slots}
                    for slot in telling(slots, MOST):
                        for beside in (slot.start - timedelta(minutes=given.step), slot.end):
                            if beside in offered or not start <= beside < start + LONG:
                                continue
                            if on_the_clock(beside, given):
                                why = tried(session, desk, beside, person)
                                assert why is not None, f"{beside} with {person} can be had and is not offered"

    look()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # as above
def test_whatever_is_taken_out_of_what_is_offered_nobody_has_two_at_once(app: Flask) -> None:
    picks = st.lists(st.tuples(st.integers(0, 999), st.sampled_from(["book", "move", "cancel"])), max_size=10)

    @settings(max_examples=FEW, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(businesses, picks)
    def play(given: Business, moves: list[tuple[int, str]]) -> None:
        with time_machine.travel(given.moment, tick=False):
            desk = open_business(given)
            made: list[int] = []
            for number, move in moves:
                with work(desk.tenant) as session:
                    slots = desk.slots(session, given.moment)
                    if not slots:
                        return
                    slot = slots[number % len(slots)]
                    if move == "book" or not made:
                        made.append(desk.book(session, slot.start, slot.professional_id).id)
                    elif move == "move":
                        moved, person = made[number % len(made)], slot.professional_id
                        reschedule(session, moved, by="client", start=slot.start, professional_id=person)
                    else:
                        cancel(session, made.pop(number % len(made)), by="client")
                    assert overlaps(session) == []

    play()
