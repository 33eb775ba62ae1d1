"""`/api/v1/clients/{id}/opt-outs`: what stops messages to a client, and taking it back."""

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import g
from pydantic import Field

from citaplanner_core.database import work
from citaplanner_core.notifications.opt_outs import opt_outs_of, undo_opt_outs
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.schemas import Shown


class OptOutShown(Shown):
    channel: Annotated[str, Field(description="Where it was said.")]
    scope: Annotated[
        Literal["all", "marketing", "doubtful"],
        Field(description="All messages on the channel, advertising on it, or, for a wrong number, all everywhere."),
    ]
    address: Annotated[str | None, Field(description="The number or e-mail address; null when it is the client's.")]
    words: Annotated[str | None, Field(description="What they wrote.")]
    at: datetime


class OptOutsShown(Shown):
    items: list[OptOutShown]


@blueprint.get("/clients/<int:client_id>/opt-outs")
@operation("clients", OptOutsShown, 404)
def list_opt_outs(client_id: int) -> Any:
    """List what stops messages to a client, also by a number they share."""
    with work(g.tenant_id, write=False) as session:
        return _shown(opt_outs_of(session, client_id))


@blueprint.delete("/clients/<int:client_id>/opt-outs")
@operation("clients", OptOutsShown, 404)
def delete_opt_outs(client_id: int) -> Any:
    """Take back all that stops messages to a client, for everybody who shares the number; only when they ask for it."""
    with work(g.tenant_id) as session:
        undo_opt_outs(session, client_id)
        return _shown(opt_outs_of(session, client_id))


def _shown(rows: Any) -> Any:
    return {"items": [OptOutShown.model_validate(row).model_dump(mode="json") for row in rows]}
