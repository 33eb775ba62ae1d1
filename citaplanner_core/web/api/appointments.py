"""`/api/v1/appointments`."""

from collections.abc import Callable
from typing import Any

from flask import g

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import Appointment
from citaplanner_core.database import work
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.paging import page_of
from citaplanner_core.web.api.schemas import (
    AppointmentShown,
    AppointmentsPage,
    Change,
    Move,
    NewAppointment,
    Page,
)

TAG = "appointments"


def shown(appointment: Appointment) -> dict[str, Any]:
    """Return an appointment as the API shows it."""
    return AppointmentShown.model_validate(appointment).model_dump(mode="json")


@blueprint.get("/appointments")
@operation(TAG, AppointmentsPage)
def list_appointments(query: Page) -> Any:
    """List appointments."""
    return page_of(Appointment, AppointmentShown, query)


@blueprint.post("/appointments")
@operation(TAG, AppointmentShown, 404, 409, status=201)
def book(json: NewAppointment) -> Any:
    """Book an appointment.

    Booked by a client it starts PENDING unless the tenant confirms automatically; booked by staff it starts CONFIRMED.
    """
    with work(g.tenant_id) as session:
        answer = shown(verbs.book(session, **json.model_dump()))
    return answer, 201


@blueprint.get("/appointments/<int:appointment_id>")
@operation(TAG, AppointmentShown, 404)
def show_appointment(appointment_id: int) -> Any:
    """Show an appointment."""
    with work(g.tenant_id, write=False) as session:
        return shown(find(session, Appointment, appointment_id, "appointment_id"))


def _verb(path: str, verb: Callable[..., Appointment], body: type[Change], summary: str) -> None:
    def view(appointment_id: int, json: Change) -> Any:
        with work(g.tenant_id) as session:
            return shown(verb(session, appointment_id, **json.model_dump(exclude_unset=True) | {"by": json.by}))

    view.__name__ = path.replace("-", "_")
    view.__doc__ = summary
    view.__annotations__["json"] = body
    documented = operation(TAG, AppointmentShown, 404, 409)(view)
    blueprint.post(f"/appointments/<int:appointment_id>/{path}")(documented)


_verb("confirm", verbs.confirm, Change, "Confirm an appointment.")
_verb("reschedule", verbs.reschedule, Move, "Move an appointment to another time, professional, service or branch.")
_verb("cancel", verbs.cancel, Change, "Cancel an appointment.")
_verb("complete", verbs.complete, Change, "Note that the client came.")
_verb("no-show", verbs.mark_no_show, Change, "Note that the client did not come.")
