"""A professional's time: who has it, and taking it.

No two live appointments of a professional overlap, buffers included. Whoever wants time locks the professional first
and looks then, so that writers queue instead of meeting in the exclusion constraint, where each of many would wait
for the server's deadlock timer. The constraint stays behind as the proof; on SQLite a writing unit is alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import LARGEST_ID, NotFound, SlotTaken, ValidationFailed, Wanted, find
from citaplanner_core.booking.models import LIVE_STATES, Appointment, Branch, Client, Professional, Service, Tenant
from citaplanner_core.database import current_tenant

EXCLUSION_VIOLATION = "23P01"
Bookable = TypeVar("Bookable", Branch, Client, Professional, Service)


def take_time(
    session: Session,
    start: datetime,
    *,
    professional_id: int,
    service_id: int,
    branch_id: int,
    moving: Appointment | None = None,
) -> dict[str, Any]:
    """Lock the professional, see that the time is free, and return the columns an appointment gets.

    `start` is UTC; it lasts as long as the service takes now, its buffers around it. `moving` is the appointment
    that leaves its old time for this one; its old professional is locked too, in id order, so that moves in opposite
    directions cannot block each other. Raises `SlotTaken`, `NotFound`, and `ValidationFailed` for what is inactive.
    """
    service = find_active(session, Service, service_id, "service_id")
    find_active(session, Branch, branch_id, "branch_id")
    for concerned in sorted({professional_id, moving.professional_id if moving else professional_id}):
        find(session, Professional, concerned, "professional_id", lock=True)
    find_active(session, Professional, professional_id, "professional_id")
    try:
        end = start + timedelta(minutes=service.duration_minutes)
        blocked_from = start - timedelta(minutes=service.buffer_before_minutes)
        blocked_until = end + timedelta(minutes=service.buffer_after_minutes)
    except OverflowError:
        raise ValidationFailed("start", "give a date between the years 1 and 9999") from None
    taken = select(Appointment.id).where(
        Appointment.professional_id == professional_id,
        Appointment.status.in_(LIVE_STATES),
        Appointment.blocked_until > blocked_from,
        Appointment.blocked_from < blocked_until,
    )
    if moving is not None:
        taken = taken.where(Appointment.id != moving.id)
    if session.scalar(taken.limit(1)) is not None:
        raise SlotTaken(Wanted(service_id, branch_id, professional_id, start))
    return {
        "start": start,
        "end": end,
        "blocked_from": blocked_from,
        "blocked_until": blocked_until,
        "professional_id": professional_id,
        "service_id": service_id,
        "branch_id": branch_id,
    }


def read_together(session: Session, client_id: int, service_id: int, professional_id: int, branch_id: int) -> object:
    """Read what a booking names and the tenant, in one statement instead of nine; the client and who gets their
    messages are held, so that neither goes while this unit is open. Raises `NotFound` for the client.

    What was read is at hand in the session for as long as the caller keeps what this returns: it knows its rows only
    weakly. It is nothing if something else than the client is not there.
    """
    ids = (client_id, service_id, professional_id, branch_id)
    row = None
    if all(0 < row_id <= LARGEST_ID for row_id in ids):
        named = select(Tenant, Client, Service, Professional, Branch).select_from(Tenant)
        for model, row_id in zip((Client, Service, Professional, Branch), ids, strict=True):
            named = named.join(model, model.id == row_id)
        named = named.where(Tenant.id == current_tenant()).with_for_update(key_share=True, read=True, of=Client)
        row = session.execute(named, execution_options={"populate_existing": True}).one_or_none()
    client = row.Client if row else find(session, Client, client_id, "client_id", lock="stays")
    while client.responsible_id is not None:
        try:
            find(session, Client, client.responsible_id, "responsible_id", lock="stays")
            break
        except NotFound:
            session.refresh(client)  # they were merged meanwhile: somebody else is responsible now
    return row


def find_active(session: Session, model: type[Bookable], row_id: int, field: str) -> Bookable:
    """Return the tenant's active row; raise `NotFound`, or `ValidationFailed` when it is inactive."""
    row = find(session, model, row_id, field)
    if not row.active:
        raise ValidationFailed(field, f"{row_id} is no longer active; choose another, or make it active again")
    return row


@contextmanager
def taken_if_excluded(wanted: Wanted) -> Iterator[None]:
    """Turn the exclusion constraint's refusal into `SlotTaken`: somebody wrote without locking the professional."""
    try:
        yield
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) == EXCLUSION_VIOLATION:
            raise SlotTaken(wanted) from None
        raise
