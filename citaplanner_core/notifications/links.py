"""Links that clients get in messages: a random token, stored only as a hash, useful until the appointment is over."""

from datetime import datetime

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Appointment
from citaplanner_core.config import Config
from citaplanner_core.crypto import hash_token, new_token
from citaplanner_core.database import system_work
from citaplanner_core.notifications.models import ClientLink
from citaplanner_core.notifications.shapes import Visit

TOKEN_BYTES = 9
"""72 random bits: 12 characters, so that the whole link stays short enough for an SMS."""


def new_link(session: Session, appointment: Visit) -> str:
    """Return a new address at which the client can see, confirm or cancel this appointment."""
    token, token_hash = new_token(size=TOKEN_BYTES)
    session.add(ClientLink(token_hash=token_hash, appointment_id=appointment.id))
    config: Config = current_app.config["CITAPLANNER"]
    return f"{config.base_url}/r/{token}"


def find_link(token: str, *, now: datetime) -> tuple[int, int] | None:
    """Return (tenant id, appointment id) of a token, None when it is unknown or the appointment is over."""
    with system_work("a client's link names its tenant") as session:
        row = session.execute(
            select(ClientLink.tenant_id, ClientLink.appointment_id)
            .join(Appointment, Appointment.id == ClientLink.appointment_id)
            .where(ClientLink.token_hash == hash_token(token), Appointment.end > now)
        ).first()
        return (row.tenant_id, row.appointment_id) if row else None
