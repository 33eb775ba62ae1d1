"""What the tests of booking share."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import book
from citaplanner_core.booking.errors import BookingError
from citaplanner_core.booking.models import Appointment, AppointmentChange, Branch
from citaplanner_core.database import db, work
from citaplanner_core.testing.factories import make_client, make_professional, make_service

TEN = datetime(2035, 3, 1, 10, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
PATIENCE = 30


@dataclass(frozen=True)
class Desk:
    """The ids a booking needs."""

    tenant: int
    client_id: int
    service_id: int
    professional_id: int
    branch_id: int

    def ids(self, **other: int) -> dict[str, int]:
        """The ids as `book` takes them, some replaced."""
        return {
            "client_id": self.client_id,
            "service_id": self.service_id,
            "professional_id": self.professional_id,
            "branch_id": self.branch_id,
        } | other

    def book(self, session: Session, start: datetime = TEN, **other: Any) -> Appointment:
        """Book in an open unit."""
        return book(session, **(self.ids() | {"start": start} | other))

    def booked(self, start: datetime = TEN, **other: Any) -> int:
        """Book in a unit of its own and return the id."""
        with work(self.tenant) as session:
            return self.book(session, start, **other).id


def open_desk(tenant: int, **service: int) -> Desk:
    """A client, a service of 30 minutes, a professional and the tenant's first branch."""
    with work(tenant) as session:
        branch = session.scalars(select(Branch).order_by(Branch.id)).first()
        assert branch is not None
        return Desk(
            tenant,
            make_client(session).id,
            make_service(session, **service).id,
            make_professional(session).id,
            branch.id,
        )


def read(tenant: int, appointment_id: int) -> dict[str, Any]:
    """The appointment's columns as they stand in the database."""
    with work(tenant, write=False) as session:
        row = session.get_one(Appointment, appointment_id)
        return {column.key: getattr(row, column.key) for column in Appointment.__table__.columns}


def history(tenant: int, appointment_id: int) -> list[tuple[str, str]]:
    """What happened to the appointment and by whom, oldest first."""
    with work(tenant, write=False) as session:
        rows = session.scalars(
            select(AppointmentChange)
            .where(AppointmentChange.appointment_id == appointment_id)
            .order_by(AppointmentChange.id)
        )
        return [(row.event, row.by) for row in rows]


def at_once(app: Flask, calls: Sequence[Callable[[], object]]) -> list[object]:
    """Make all calls at the same moment, each in a thread with a context of its own; return results or refusals."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        with app.app_context():
            barrier.wait(PATIENCE)
            try:
                return call()
            except BookingError as refusal:
                return type(refusal)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def wait_for_a_waiter() -> None:
    """Return when another connection to this database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + PATIENCE
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:  # else one snapshot
        while not connection.scalar(waiting):
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.01)
