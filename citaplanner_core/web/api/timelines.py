"""`/api/v1/appointments/{id}/timeline` and `/api/v1/clients/{id}/timeline`."""

from typing import Any

from flask import g

from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import Appointment, Client
from citaplanner_core.database import work
from citaplanner_core.notifications import timeline
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.schemas import TimelineEntry, TimelinePage, TimelineQuery


@blueprint.get("/appointments/<int:appointment_id>/timeline")
@operation("appointments", TimelinePage, 404)
def show_timeline(appointment_id: int, query: TimelineQuery) -> Any:
    """Show what happened, oldest first: changes, answers, everything sent, waiting and not sent, with the reasons."""
    return _page(Appointment, appointment_id, "appointment_id", timeline.of_appointment(appointment_id), query)


@blueprint.get("/clients/<int:client_id>/timeline")
@operation("clients", TimelinePage, 404)
def show_client_timeline(client_id: int, query: TimelineQuery) -> Any:
    """Show what happened with a client, oldest first: appointments, answers, what they were told and wrote."""
    return _page(Client, client_id, "client_id", timeline.of_client(client_id), query)


def _page(
    model: type[Appointment | Client], row_id: int, field: str, scope: timeline.Scope, query: TimelineQuery
) -> dict[str, Any]:
    after = timeline.read_cursor(query.after) if query.after is not None else None
    with work(g.tenant_id, write=False) as session:
        find(session, model, row_id, field)
        entries, following = timeline.read(session, scope, after=after, limit=query.limit, language=query.language)
    items = [TimelineEntry.model_validate(entry).model_dump(mode="json") for entry in entries]
    return {"items": items, "next": None if following is None else str(following)}
