"""Rows for tests, with defaults that never collide. All but `make_tenant` take the session of an open `work(tenant)`.

Phones are fictional.
"""

from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import create_client
from citaplanner_core.booking.models import CONFIRMED, Appointment, Branch, Client, Professional, Service
from citaplanner_core.booking.tenants import create_tenant
from citaplanner_core.database import system_work, utcnow

Row = TypeVar("Row")
_numbers = count(1)
CLIENT_COLUMNS = ("preferred_channel", "do_not_message", "responsible_id", "paused_until", "active", "created_at")
"""What `create_client` does not ask for."""


def make_tenant(slug: str = "clinic", **values: Any) -> int:
    """Make a tenant in Mexico City with its first branch, in a unit of its own, and return its id.

    Its messages leave at any hour and in any number. `values` are further columns of `Tenant`, such as
    `confirmation="staff"` or `quiet_from="21:00", quiet_until="08:00"`.
    """
    values = {"quiet_from": None, "quiet_until": None, "daily_limit": None} | values
    with system_work("a tenant for a test", write=True) as session:
        tenant = create_tenant(session, slug=slug, name=values.pop("name", slug.title()))
        for name, value in values.items():
            setattr(tenant, name, value)
        session.flush()
        return tenant.id


def make_branch(session: Session, **values: Any) -> Branch:
    """Make a branch in Mexico City."""
    return _add(session, Branch(**{"name": f"Branch {next(_numbers)}", "zone": "America/Mexico_City"} | values))


def make_professional(session: Session, **values: Any) -> Professional:
    """Make an active professional."""
    return _add(session, Professional(**{"name": f"Professional {next(_numbers)}"} | values))


def make_service(session: Session, **values: Any) -> Service:
    """Make a service of 30 minutes without buffers."""
    return _add(session, Service(**{"name": f"Service {next(_numbers)}", "duration_minutes": 30} | values))


def make_phone() -> str:
    """Return a Mexican number, as people type it, that no earlier call returned."""
    return f"55 12{next(_numbers):06d}"


def make_client(session: Session, *, phone: str | None = "", **values: Any) -> Client:
    """Make a client with an e-mail address and a phone: the given one, none for None, else one of their own.

    `values` are further columns of `Client`.
    """
    number = next(_numbers)
    values = {"first_name": "Ana", "last_name": f"Prueba {number}", "email": f"ana{number}@example.com"} | values
    others = {name: values.pop(name) for name in CLIENT_COLUMNS if name in values}
    phones = [] if phone is None else [phone or make_phone()]
    client = create_client(session, phones=phones, **values)
    for name, value in others.items():
        setattr(client, name, value)
    session.flush()
    return client


def make_appointment(
    session: Session,
    *,
    start: datetime | None = None,
    client: Client | None = None,
    professional: Professional | None = None,
    service: Service | None = None,
    branch: Branch | None = None,
    **values: Any,
) -> Appointment:
    """Make a CONFIRMED appointment tomorrow at this hour, without telling anybody: no history, event or message.

    Client, professional and service are new ones unless given, the branch is the tenant's first. To see what a
    booking sets going, call `citaplanner_core.booking.appointments.book`.
    """
    start = start or utcnow().replace(second=0, microsecond=0) + timedelta(days=1)
    service = service or make_service(session)
    end = start + timedelta(minutes=service.duration_minutes)
    branch = branch or session.scalar(select(Branch).order_by(Branch.id).limit(1)) or make_branch(session)
    return _add(
        session,
        Appointment(
            **{
                "client_id": (client or make_client(session)).id,
                "professional_id": (professional or make_professional(session)).id,
                "service_id": service.id,
                "branch_id": branch.id,
                "start": start,
                "end": end,
                "blocked_from": start - timedelta(minutes=service.buffer_before_minutes),
                "blocked_until": end + timedelta(minutes=service.buffer_after_minutes),
                "status": CONFIRMED,
            }
            | values
        ),
    )


def _add(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row
