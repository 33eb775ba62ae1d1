"""What agents see of a client beside a conversation: the contact's custom attributes, and how Chatwoot names them."""

from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import CANCELLED, LIVE_STATES, NO_SHOW, Appointment, Client
from citaplanner_core.config import Config
from citaplanner_core.database import utcnow
from plugins.chatwoot.account_api import DisplayType

NAMES: dict[str, tuple[DisplayType, str, str]] = {
    "client_id": ("number", "Cliente", "Client"),
    "tenant_id": ("number", "Negocio", "Business"),
    "total_appointments": ("number", "Citas en total", "Appointments in total"),
    "is_registered": ("checkbox", "Registrado", "Registered"),
    "birthday": ("date", "Cumpleaños", "Birthday"),
    "last_appointment": ("text", "Última cita", "Last appointment"),
    "last_service": ("text", "Último servicio", "Last service"),
    "next_appointment": ("text", "Próxima cita", "Next appointment"),
    "next_appointment_status": ("text", "Estado de la próxima cita", "State of the next appointment"),
    "next_service": ("text", "Próximo servicio", "Next service"),
    "no_shows": ("number", "Ausencias", "No-shows"),
    "citaplanner_url": ("link", "Ver en CitaPlanner", "See in CitaPlanner"),
}
"""Key -> how Chatwoot shows it, its Spanish and its English name. `email` is written too, but Chatwoot keeps that key
for its own field, so it cannot be shown under a name."""


def attributes_of(session: Session, client: Client) -> dict[str, Any]:
    """Return all attributes of a client; None where there is nothing to say.

    `total_appointments` counts every appointment that was not cancelled, missed and future ones too. The last
    appointment is the latest that has begun, cancelled and missed ones left out; the next one is live and still to
    begin. Times are ISO 8601 in the branch's zone; the birthday is `YYYY-MM-DD`; the state is ours (`PENDING`, …).
    Names of CitaPlanner 1.11 keep their meaning but for the last appointment, which there was the one booked last.
    """
    own = select(Appointment).where(Appointment.client_id == client.id)
    now = utcnow()
    last = session.scalar(
        own.where(Appointment.start <= now, Appointment.status.not_in((CANCELLED, NO_SHOW)))
        .order_by(Appointment.start.desc(), Appointment.id.desc())
        .limit(1)
    )
    coming = session.scalar(
        own.where(Appointment.start > now, Appointment.status.in_(LIVE_STATES))
        .order_by(Appointment.start, Appointment.id)
        .limit(1)
    )
    by_status = (
        select(Appointment.status, func.count(Appointment.id).label("number"))
        .where(Appointment.client_id == client.id)
        .group_by(Appointment.status)
    )
    counts = {row.status: int(row.number) for row in session.execute(by_status)}
    config: Config = current_app.config["CITAPLANNER"]
    return {
        "client_id": client.id,
        "tenant_id": client.tenant_id,
        "total_appointments": sum(counts.values()) - counts.get(CANCELLED, 0),
        "is_registered": True,
        "email": client.email,
        "birthday": client.birthday.isoformat() if client.birthday else None,
        "last_appointment": _time(last),
        "last_service": last.service.name if last else None,
        "next_appointment": _time(coming),
        "next_appointment_status": coming.status if coming else None,
        "next_service": coming.service.name if coming else None,
        "no_shows": counts.get(NO_SHOW, 0),
        "citaplanner_url": f"{config.base_url}/admin/clients/{client.id}",
    }


def _time(appointment: Appointment | None) -> str | None:
    if appointment is None:
        return None
    return appointment.start.astimezone(ZoneInfo(appointment.branch.zone)).isoformat(timespec="minutes")
