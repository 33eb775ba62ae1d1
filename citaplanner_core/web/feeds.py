"""`/cal/<token>.ics`: a professional's appointments for a calendar program, to read only.

Whoever has the address sees it, so it is long, kept as a hash, and can be taken back. A discreet service is not named,
and nobody's number is told: calendars stand on phones and on other people's servers.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, request
from icalendar import Calendar, Event
from sqlalchemy import Index, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.errors import NotFound, find
from citaplanner_core.booking.models import (
    CANCELLED,
    PENDING,
    Appointment,
    Branch,
    Client,
    Professional,
    Service,
    Tenant,
)
from citaplanner_core.config import Config
from citaplanner_core.crypto import hash_token, new_token
from citaplanner_core.database import Base, BigId, TenantScoped, system_work, tenant_key, utcnow, work

PAST, AHEAD = timedelta(days=30), timedelta(days=180)
MOST = 5000
blueprint = Blueprint("feeds", __name__, url_prefix="/cal")


class CalendarFeed(TenantScoped, Base):
    """A professional's secret address; making another takes the one before back."""

    __tablename__ = "calendar_feed"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "professional_id"),
            Index(None, "token_hash", unique=True),
            tenant_key("professional_id", "professional", ondelete="CASCADE"),
        )

    professional_id: Mapped[int] = mapped_column(BigId)
    token_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


def make_feed(session: Session, professional_id: int) -> str:
    """Give a professional an address, in place of the one before, and return it; it is not shown again.

    Raises `NotFound`.
    """
    find(session, Professional, professional_id, "professional_id", lock=True)
    session.execute(delete(CalendarFeed).where(CalendarFeed.professional_id == professional_id))
    token, stored = new_token()
    session.add(CalendarFeed(professional_id=professional_id, token_hash=stored))
    session.flush()
    config: Config = current_app.config["CITAPLANNER"]
    return f"{config.base_url}/cal/{token}.ics"


def revoke_feed(session: Session, professional_id: int) -> None:
    """Take a professional's address back; raise `NotFound` when there is none."""
    gone = delete(CalendarFeed).where(CalendarFeed.professional_id == professional_id).returning(CalendarFeed.id)
    if session.execute(gone).first() is None:
        raise NotFound("professional_id", professional_id)


@blueprint.get("/<token>.ics")
def show_feed(token: str) -> Response:
    """Show the appointments; 304 while nothing changed, 404 for an address that is none, or not any more."""
    with system_work("a calendar names its feed") as session:
        wanted = (
            select(CalendarFeed.tenant_id, CalendarFeed.professional_id)
            .join(Tenant, Tenant.id == CalendarFeed.tenant_id)
            .where(CalendarFeed.token_hash == hash_token(token), Tenant.active)
        )
        found = session.execute(wanted).first()
    if found is None:
        return Response("", 404, mimetype="text/plain")
    with work(found.tenant_id, write=False) as session:
        tenant, person = session.get_one(Tenant, found.tenant_id), session.get_one(Professional, found.professional_id)
        rows = _rows(session, person.id)
        answer = Response(mimetype="text/calendar")
        answer.set_etag(hashlib.sha256(repr([tenant.name, person.name, *map(tuple, rows)]).encode()).hexdigest())
        answer.headers["Cache-Control"] = "private, max-age=300"
        answer.make_conditional(request)
        if answer.status_code != 304:
            answer.set_data(_calendar(tenant, person, rows))
    return answer


def _rows(session: Session, professional_id: int) -> Sequence[Any]:
    now = utcnow()
    columns = (
        Appointment.id,
        Appointment.start,
        Appointment.end,
        Appointment.status,
        Appointment.version,
        Appointment.created_at,
        Service.name.label("service"),
        Service.is_discreet,
        Client.first_name,
        Client.last_name,
        Branch.name.label("branch"),
    )
    return session.execute(
        select(*columns)
        .join(Service, Service.id == Appointment.service_id)
        .join(Client, Client.id == Appointment.client_id)
        .join(Branch, Branch.id == Appointment.branch_id)
        .where(
            Appointment.professional_id == professional_id,
            Appointment.blocked_until > now - PAST,
            Appointment.start < now + AHEAD,
            Appointment.status != CANCELLED,
        )
        .order_by(Appointment.start, Appointment.id)
        .limit(MOST)
    ).all()


def _calendar(tenant: Tenant, person: Professional, rows: Sequence[Any]) -> bytes:
    config: Config = current_app.config["CITAPLANNER"]
    calendar = Calendar()
    calendar.add("prodid", "-//CitaPlanner//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f"{person.name} · {tenant.name}")
    for row in rows:
        event = Event()
        event.add("uid", f"appointment-{tenant.id}-{row.id}@citaplanner")
        event.add("sequence", row.version)
        event.add("dtstamp", row.created_at)
        event.add("dtstart", row.start)
        event.add("dtend", row.end)
        name = f"{row.first_name} {row.last_name[:1]}{'.' if row.last_name else ''}".strip()
        event.add("summary", name if row.is_discreet else f"{row.service} · {name}")
        event.add("location", row.branch)
        event.add("url", f"{config.base_url}/admin/appointments/{row.id}")
        event.add("status", "TENTATIVE" if row.status == PENDING else "CONFIRMED")
        calendar.add_component(event)
    return bytes(calendar.to_ical())
