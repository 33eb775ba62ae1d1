"""Tenants: making one, and the demo business."""

import re
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import create_client
from citaplanner_core.booking.errors import ValidationFailed
from citaplanner_core.booking.hours import WorkingHours
from citaplanner_core.booking.models import Branch, Professional, Service, Tenant
from citaplanner_core.database import system_work, work

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LANGUAGES = ("es", "en")


def create_tenant(
    session: Session,
    *,
    slug: str,
    name: str,
    zone: str = "America/Mexico_City",
    country: str = "MX",
    language: str = "es",
    address: str = "",
    phone: str = "",
) -> Tenant:
    """Make a tenant with its first branch, in a writing `system_work`; raise `ValidationFailed` naming the field.

    `slug` is its short name in addresses, `zone` an IANA name, `country` two letters (ISO 3166).
    """
    if not SLUG.fullmatch(slug) or len(slug) > 40:
        raise ValidationFailed("slug", "use lower-case letters, digits and single dashes, 40 characters at most")
    if zone not in available_timezones():
        raise ValidationFailed("zone", f"{zone!r} is no time zone; write it like America/Mexico_City")
    if not re.fullmatch(r"[A-Z]{2}", country):
        raise ValidationFailed("country", "write the two letters of ISO 3166, such as MX")
    if language not in LANGUAGES:
        raise ValidationFailed("language", f"must be one of {', '.join(LANGUAGES)}")
    if session.scalar(select(Tenant.id).where(Tenant.slug == slug)):
        raise ValidationFailed("slug", f"there is a tenant {slug!r} already")
    tenant = Tenant(slug=slug, name=name, zone=zone, country=country, language=language)
    session.add(tenant)
    session.flush()
    session.add(Branch(tenant_id=tenant.id, name=name, zone=zone, address=address, phone=phone))
    return tenant


def seed_demo(slug: str) -> int:
    """Make the demo business once and return its tenant id.

    The client's answer confirms its bookings; it is open Monday to Saturday from 9 to 14 and from 16 to 19.
    """
    with system_work("the demo tenant", write=True) as session:
        found = session.scalar(select(Tenant.id).where(Tenant.slug == slug))
        if found is not None:
            return found
        tenant = create_tenant(
            session,
            slug=slug,
            name="Estética Demo",
            address="Av. Ejemplo 123, Ciudad de México",
            phone="55 5555 0100",
        ).id
    with work(tenant) as session:
        demo = session.get_one(Tenant, tenant)
        demo.horizon_days = 90
        demo.quiet_from = demo.quiet_until = None  # a demo is tried at any hour
        branch = session.scalars(select(Branch)).one()
        session.add_all(
            WorkingHours(branch_id=branch.id, weekday=weekday, from_minute=opens * 60, until_minute=closes * 60)
            for weekday in range(6)
            for opens, closes in ((9, 14), (16, 19))
        )
        session.add_all([Professional(name="Laura Ríos"), Professional(name="Marco Díaz")])
        session.add_all(
            [
                Service(name="Corte de cabello", duration_minutes=45),
                Service(name="Limpieza facial", duration_minutes=60, buffer_after_minutes=10),
                Service(name="Masaje relajante", duration_minutes=90, buffer_after_minutes=15),
            ]
        )
        create_client(session, first_name="Ana", last_name="Pérez", email="ana@demo.example", phones=["55 1234 5678"])
        create_client(session, first_name="Luis", last_name="Gómez", email="luis@demo.example")
    return tenant
