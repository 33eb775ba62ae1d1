"""What the tests of booking share."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import book
from citaplanner_core.booking.models import Appointment, AppointmentChange, Branch
from citaplanner_core.database import work
from citaplanner_core.testing.factories import make_client, make_professional, make_service

TEN = datetime(2035, 3, 1, 10, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


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
