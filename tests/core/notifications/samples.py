"""An appointment as it comes out of the database, without one."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm.attributes import set_committed_value

from citaplanner_core.booking.models import (
    Appointment,
    Branch,
    Client,
    ClientPhone,
    Professional,
    Service,
    Tenant,
)

START = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
"""Friday, 10:00 in Mexico City."""

LINK = "https://citas.example/r/Abc123"


def make_tenant() -> Tenant:
    return Tenant(slug="sonrisa", name="Clínica Sonrisa", language="es", zone="America/Mexico_City")


def make_client(first_name: str = "Laura", last_name: str = "Gómez", *, phone: str | None = "+525512345678") -> Client:
    client = Client(first_name=first_name, last_name=last_name, email="laura@example.com")
    if phone:
        client.phones = [ClientPhone(raw=phone, e164=phone, match_key=phone, confidence="high")]
    return client


def make_appointment(
    *,
    zone: str = "America/Mexico_City",
    client: Client | None = None,
    minutes: int = 45,
    address: str = "Av. Juárez 10, Centro",
    phone: str = "55 5555 0100",
    **columns: Any,
) -> Appointment:
    appointment = Appointment(
        **{"start": START, "status": "PENDING", "answer": "none", "cancel_reason": None, **columns}
    )
    related = {
        "branch": Branch(name="Centro", zone=zone, address=address, phone=phone),
        "service": Service(name="Limpieza dental", duration_minutes=minutes),
        "professional": Professional(name="Dra. Ana Ruiz"),
        "client": client or make_client(),
    }
    for name, value in related.items():
        set_committed_value(appointment, name, value)
    return appointment
