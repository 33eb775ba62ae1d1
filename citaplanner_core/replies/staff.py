"""The one place from which staff are told of what a client wrote."""

from typing import Literal

import structlog

from citaplanner_core.booking.models import Appointment

Matter = Literal["cancelled", "move_wanted", "late", "wrong_number", "handed_over"]

log = structlog.get_logger()


def tell_staff(matter: Matter, appointment: Appointment | None) -> None:
    """Have staff informed. Until staff alerts exist it is noted for the operator; the channel shows agents the rest."""
    log.info("staff_to_be_told", matter=matter, appointment=appointment.id if appointment else None)
