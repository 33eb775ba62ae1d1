"""Whatever verbs come in whatever order: a model in plain Python says what must be so afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import (
    cancel,
    complete,
    confirm,
    mark_no_show,
    record_answer,
    reschedule,
)
from citaplanner_core.booking.errors import BookingError, NotAllowed, SlotTaken
from citaplanner_core.booking.models import LIVE_STATES, Appointment, AppointmentChange
from citaplanner_core.database import work
from citaplanner_core.hooks.types import AppointmentEvent
from citaplanner_core.testing.factories import make_professional, make_service, make_tenant
from tests.core.booking.support import TEN, open_desk
from tests.examples import FEW

QUARTER = timedelta(minutes=15)
SERVICES = ((30, 0, 0), (45, 5, 10), (15, 0, 15))  # minutes: length, buffer before, buffer after
VERBS: dict[str, tuple[Callable[..., Appointment], str, tuple[str, ...]]] = {
    "confirmed": (confirm, "CONFIRMED", ("PENDING",)),
    "cancelled": (cancel, "CANCELLED", LIVE_STATES),
    "completed": (complete, "COMPLETED", LIVE_STATES),
    "no_show": (mark_no_show, "NO_SHOW", LIVE_STATES),
}
numbers = count(1)
quarters = st.integers(0, 12)
two = st.integers(0, 1)
three = st.integers(0, 2)
actors = st.sampled_from(["client", "staff"])


@dataclass(frozen=True)
class Expected:
    """An appointment of the model; `quarter` counts from ten o'clock."""

    quarter: int
    professional: int
    service: int
    status: str
    answer: str = "none"
    version: int = 1
    schedule_version: int = 1

    def blocked(self) -> range:
        """The minutes that are taken."""
        length, before, after = SERVICES[self.service]
        return range(self.quarter * 15 - before, self.quarter * 15 + length + after)

    def meets(self, other: "Expected") -> bool:
        """Whether both cannot be."""
        mine, theirs = self.blocked(), other.blocked()
        return (
            self.professional == other.professional
            and other.status in LIVE_STATES
            and mine.start < theirs.stop
            and theirs.start < mine.stop
        )


class Sequences(RuleBasedStateMachine):
    """Two professionals, three services and any verbs, in one tenant per run."""

    published: list[AppointmentEvent]

    def __init__(self) -> None:
        super().__init__()
        self.published.clear()
        self.model: dict[int, Expected] = {}
        self.told: list[tuple[int, str, str]] = []
        self.tenant = make_tenant(f"run-{next(numbers)}")
        self.desk = open_desk(self.tenant)
        with work(self.tenant) as session:
            self.professionals = [make_professional(session).id for _ in range(2)]
            self.services = [
                make_service(
                    session, duration_minutes=length, buffer_before_minutes=before, buffer_after_minutes=after
                ).id
                for length, before, after in SERVICES
            ]

    def attempt(self, call: Callable[[Session], Appointment], refusal: type[BookingError] | None) -> int:
        """Run a verb in a unit of its own, which must be refused as foretold; return the appointment's id."""
        with work(self.tenant) as session:
            if refusal is None:
                return call(session).id
            with pytest.raises(refusal):
                call(session)
            return 0

    def pick(self, number: int) -> tuple[int, Expected]:
        """One of the appointments."""
        return list(self.model.items())[number % len(self.model)]

    def taken(self, wanted: Expected, but: int = 0) -> bool:
        """Whether the model has somebody there."""
        return any(wanted.meets(other) for made, other in self.model.items() if made != but)

    @rule(quarter=quarters, professional=two, service=three, by=actors)
    def book(self, quarter: int, professional: int, service: int, by: str) -> None:
        wanted = Expected(quarter, professional, service, "PENDING" if by == "client" else "CONFIRMED")
        refused = self.taken(wanted)
        made = self.attempt(
            lambda session: self.desk.book(
                session,
                TEN + quarter * QUARTER,
                professional_id=self.professionals[professional],
                service_id=self.services[service],
                booked_by=by,
            ),
            SlotTaken if refused else None,
        )
        if not refused:
            self.model[made] = wanted
            self.told.append((made, "booked", by))

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 99), event=st.sampled_from(sorted(VERBS)), by=actors)
    def step(self, number: int, event: str, by: str) -> None:
        made, old = self.pick(number)
        verb, target, sources = VERBS[event]
        repeated = old.status == target
        refused = not repeated and old.status not in sources
        self.attempt(lambda session: verb(session, made, by=by), NotAllowed if refused else None)
        if not refused and not repeated:
            self.model[made] = replace(old, status=target, version=old.version + 1)
            self.told.append((made, event, by))

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 99), quarter=quarters, professional=two, service=three, by=actors)
    def move(self, number: int, quarter: int, professional: int, service: int, by: Any) -> None:
        made, old = self.pick(number)
        wanted = replace(old, quarter=quarter, professional=professional, service=service)
        refusal: type[BookingError] | None = None
        if old.status not in LIVE_STATES:
            refusal = NotAllowed
        elif wanted != old and self.taken(wanted, but=made):
            refusal = SlotTaken
        self.attempt(
            lambda session: reschedule(
                session,
                made,
                start=TEN + quarter * QUARTER,
                professional_id=self.professionals[professional],
                service_id=self.services[service],
                by=by,
            ),
            refusal,
        )
        if refusal is None and wanted != old:
            self.model[made] = replace(
                wanted,
                status="PENDING" if by == "staff" and old.answer == "yes" else old.status,
                answer="none",
                version=old.version + 1,
                schedule_version=old.schedule_version + 1,
            )
            self.told.append((made, "rescheduled", by))

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 99), answer=st.sampled_from(["yes", "no", "move"]))
    def answer(self, number: int, answer: Any) -> None:
        made, old = self.pick(number)
        confirms = answer == "yes" and old.status == "PENDING"
        repeated = not confirms and answer == old.answer
        refused = not repeated and old.status not in LIVE_STATES
        self.attempt(
            lambda session: record_answer(session, made, answer=answer, words=answer),
            NotAllowed if refused else None,
        )
        if refused or repeated:
            return
        self.model[made] = replace(
            old, answer=answer, version=old.version + 1, status="CONFIRMED" if confirms else old.status
        )
        if confirms:
            self.told.append((made, "confirmed", "client"))

    @invariant()
    def rows_are_as_the_model(self) -> None:
        with work(self.tenant, write=False) as session:
            rows = {
                row.id: Expected(
                    (row.start - TEN) // QUARTER,
                    self.professionals.index(row.professional_id),
                    self.services.index(row.service_id),
                    row.status,
                    row.answer,
                    row.version,
                    row.schedule_version,
                )
                for row in session.scalars(select(Appointment))
            }
        assert rows == self.model

    @invariant()
    def nobody_is_booked_twice(self) -> None:
        with work(self.tenant, write=False) as session:
            live = select(Appointment).where(Appointment.status.in_(LIVE_STATES))
            last: dict[int, Appointment] = {}
            for row in session.scalars(live.order_by(Appointment.blocked_from)):
                before = last.get(row.professional_id)
                assert before is None or before.blocked_until <= row.blocked_from
                last[row.professional_id] = row

    @invariant()
    def history_and_events_tell_the_same(self) -> None:
        with work(self.tenant, write=False) as session:
            changes = [
                (row.appointment_id, row.event, row.by)
                for row in session.scalars(select(AppointmentChange).order_by(AppointmentChange.id))
            ]
        assert changes == self.told
        assert [(event.appointment_id, event.name, event.by) for event in self.published] == self.told


def test_any_sequence_of_verbs_keeps_the_promises(app: Flask, events: list[AppointmentEvent]) -> None:
    class Watched(Sequences):
        published = events

    run_state_machine_as_test(
        Watched,
        settings=settings(
            max_examples=FEW, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
