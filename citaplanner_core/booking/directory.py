"""What a business is made of: services, professionals, branches, and how far and how late clients may book.

These functions take the session of an open `work(tenant)` and never commit. Nothing is deleted: what is no longer used
becomes inactive, so that history stays readable. Appointments that exist keep the length and the price of their day.
"""

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar, Unpack
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import ValidationFailed, find, one_of, short_text
from citaplanner_core.booking.hours import DAY_MINUTES
from citaplanner_core.booking.models import CONFIRMATIONS, Branch, Professional, Service, Tenant
from citaplanner_core.database import current_tenant

LONGEST_BUFFER = 8 * 60
LONGEST_NOTICE = 90 * DAY_MINUTES
LONGEST_HORIZON = 5 * 366
Row = TypeVar("Row", Branch, Professional, Service)


class ServiceValues(TypedDict, total=False):
    """Columns of a service; minutes."""

    name: str
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    is_discreet: bool
    active: bool


class ProfessionalValues(TypedDict, total=False):
    """Columns of a professional."""

    name: str
    active: bool


class BranchValues(TypedDict, total=False):
    """Columns of a branch; `zone` is an IANA name."""

    name: str
    zone: str
    address: str
    phone: str
    active: bool


class PolicyValues(TypedDict, total=False):
    """What the tenant lets clients book, and what confirms it; see `Tenant`."""

    minimum_notice_minutes: int
    cancel_notice_minutes: int
    horizon_days: int | None
    slot_step_minutes: int
    confirmation: str


def create_service(session: Session, **values: Unpack[ServiceValues]) -> Service:
    """Add a service and return it; raise `ValidationFailed` naming the field."""
    return _added(session, Service(), values)


def update_service(session: Session, service_id: int, **values: Unpack[ServiceValues]) -> Service:
    """Change the given columns; raise `NotFound` or `ValidationFailed`."""
    return _changed(session, find(session, Service, service_id, "service_id"), values)


def create_professional(session: Session, **values: Unpack[ProfessionalValues]) -> Professional:
    """Add a professional and return it; raise `ValidationFailed` naming the field."""
    return _added(session, Professional(), values)


def update_professional(session: Session, professional_id: int, **values: Unpack[ProfessionalValues]) -> Professional:
    """Change the given columns; raise `NotFound` or `ValidationFailed`."""
    return _changed(session, find(session, Professional, professional_id, "professional_id"), values)


def create_branch(session: Session, **values: Unpack[BranchValues]) -> Branch:
    """Add a branch, in the tenant's zone unless given, and return it; raise `ValidationFailed` naming the field."""
    return _added(session, Branch(zone=session.get_one(Tenant, current_tenant()).zone), values)


def update_branch(session: Session, branch_id: int, **values: Unpack[BranchValues]) -> Branch:
    """Change the given columns; raise `NotFound` or `ValidationFailed`. Another zone moves no appointment."""
    return _changed(session, find(session, Branch, branch_id, "branch_id"), values)


def update_policy(session: Session, **values: Unpack[PolicyValues]) -> Tenant:
    """Change what clients may book and what confirms it; raise `ValidationFailed`. Appointments that exist stay."""
    tenant = session.get_one(Tenant, current_tenant())
    if "minimum_notice_minutes" in values:
        _between("minimum_notice_minutes", values["minimum_notice_minutes"], 0, LONGEST_NOTICE)
    if "cancel_notice_minutes" in values:
        _between("cancel_notice_minutes", values["cancel_notice_minutes"], 0, LONGEST_NOTICE)
    if values.get("horizon_days") is not None:
        _between("horizon_days", values["horizon_days"], 0, LONGEST_HORIZON)
    if "slot_step_minutes" in values:
        step = values["slot_step_minutes"]
        if _between("slot_step_minutes", step, 5, DAY_MINUTES) and DAY_MINUTES % step:
            raise ValidationFailed("slot_step_minutes", "give a number that divides the day, such as 10, 15, 20 or 30")
    if "confirmation" in values:
        one_of("confirmation", values["confirmation"], CONFIRMATIONS)
    for name, value in values.items():
        setattr(tenant, name, value)
    session.flush()
    return tenant


LIMITS = {
    "duration_minutes": (1, DAY_MINUTES),
    "buffer_before_minutes": (0, LONGEST_BUFFER),
    "buffer_after_minutes": (0, LONGEST_BUFFER),
}


def _added(session: Session, row: Row, values: Mapping[str, Any]) -> Row:
    if not values.get("name"):
        raise ValidationFailed("name", "give a name")
    session.add(_assign(row, values))
    session.flush()
    return row


def _changed(session: Session, row: Row, values: Mapping[str, Any]) -> Row:
    _assign(row, values)
    session.flush()
    return row


def _assign(row: Row, values: Mapping[str, Any]) -> Row:
    for name, value in values.items():
        if name in LIMITS:
            _between(name, value, *LIMITS[name])
        if isinstance(value, str):
            value = short_text(name, value)
        if name == "name" and not value:
            raise ValidationFailed("name", "give a name")
        if name == "zone" and value not in available_timezones():
            raise ValidationFailed("zone", f"{value!r} is no time zone; write it like America/Mexico_City")
        setattr(row, name, value)
    return row


def _between(field: str, value: object, least: int, most: int) -> bool:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValidationFailed(field, f"give a whole number from {least} to {most}")
    return True
