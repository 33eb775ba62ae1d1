"""An appointment as it comes out of the database, without one; and what the texts make of it."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

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
from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications.catalogue import language, languages
from citaplanner_core.notifications.templates import render
from citaplanner_core.notifications.variables import appointment_variables

START = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
"""Friday, 10:00 in Mexico City."""

LINK = "https://citas.example/r/Abc123"
SLOTS = "1) lunes 30 de noviembre, 9:00 a.m.\n2) martes 1 de diciembre, 1:00 p.m."

FAMILIES = get_args(TextFamily)
TEXTS = [
    (code, key, family)
    for code in languages()
    for key, by_family in language(code).texts.items()
    for family in by_family
]
MAY_BE_EMPTY = (
    *(
        "recipientFirstName",
        "visitorName",
        "isDiscreet",
        "manageUrl",
        "bookingUrl",
        "panelUrl",
        "branchPhone",
        "branchAddress",
    ),
    "cancelReasonLine",
    *("feedbackUrl", "paymentUrl", "unsubscribeUrl", "dueDate", "dueDateShort", "invoiceNumber"),
    *("promotionValidUntil", "promotionValidUntilShort", "nextOpening", "replyText"),
)


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


def values(code: str = "es", **other: object) -> dict[str, object]:
    """Everything a text may ask for."""
    known = appointment_variables(
        make_appointment(cancel_reason="la doctora está enferma"),
        make_tenant(),
        language_code=code,
        now=START - timedelta(hours=1),
        old_start=START - timedelta(hours=21),
        manage_url=LINK,
    )
    urls = ("bookingUrl", "panelUrl", "feedbackUrl", "paymentUrl", "unsubscribeUrl")
    dates = ("dueDate", "dueDateShort", "promotionValidUntil", "promotionValidUntilShort", "nextOpening")
    return {
        **known,
        **dict.fromkeys(urls, "https://citas.example/x"),
        **dict.fromkeys((name for name in dates if not name.endswith("Short")), known["newDate"]),
        **dict.fromkeys((name for name in dates if name.endswith("Short")), known["newDateShort"]),
        "promotionMessage": "Limpieza con 20 % de descuento",
        "amount": "$450.00",
        "invoiceNumber": "A-12",
        "slots": SLOTS,
        "candidates": "1) Mateo, 10:00 a.m.\n2) Sofía, 11:00 a.m.",
        "replyText": "sí, confirmo",
        "channelName": "SMS",
        "problem": "El proveedor no acepta nuestras credenciales.",
        "hours": "6",
        "contactName": "Ana",
        "alertLines": "- Ana Prueba pide otro horario.",
        "alertCount": "1",
        **other,
    }


def sample(code: str = "es", **other: object) -> dict[str, object]:
    """What the core knows of an appointment today: no booking page yet, no reason."""
    return values(code, bookingUrl="", panelUrl="", cancelReasonLine="", **other)


def chat(key: str, code: str = "es", **other: object) -> str:
    return render(key, family="chat", language=code, variables=sample(code, **other)).body
