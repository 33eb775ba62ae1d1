"""`/api/v1/clients/{id}/export` and `/erase`: what a person may ask for."""

from typing import Any

from flask import g
from pydantic import BaseModel

from citaplanner_core.database import work
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.personal_data import erase_client, export_client

TAG = "personal data"


class PersonalData(BaseModel):
    """Everything that is kept of one person."""

    made_at: str
    business: str
    client: dict[str, Any]
    phones: list[dict[str, Any]]
    merged_from: list[dict[str, Any]]
    consents: list[dict[str, Any]]
    opt_outs: list[dict[str, Any]]
    appointments: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    messages_received: list[dict[str, Any]]
    plugins: dict[str, Any]


@blueprint.get("/clients/<int:client_id>/export")
@operation(TAG, PersonalData, 404, 409)
def export_one_client(client_id: int) -> Any:
    """Give all that is kept of a client, by the core and by plugins, as one document."""
    with work(g.tenant_id, write=False) as session:
        return export_client(session, client_id)


@blueprint.post("/clients/<int:client_id>/erase")
@operation(TAG, None, 404, 409)
def erase_one_client(client_id: int) -> Any:
    """Remove all that says who a client was. Their appointments stay, nameless; it cannot be undone."""
    with work(g.tenant_id) as session:
        erase_client(session, client_id)
    return "", 204
