"""`/api/v1/professionals/{id}/calendar-feed`."""

from typing import Any

from flask import g
from pydantic import BaseModel

from citaplanner_core.database import work
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.feeds import make_feed, revoke_feed

TAG = "calendar feeds"


class FeedShown(BaseModel):
    url: str


@blueprint.post("/professionals/<int:professional_id>/calendar-feed")
@operation(TAG, FeedShown, 404, status=201)
def make_calendar_feed(professional_id: int) -> Any:
    """Give a professional a secret address for their calendar program. The one before stops working; shown only now."""
    with work(g.tenant_id) as session:
        return {"url": make_feed(session, professional_id)}, 201


@blueprint.delete("/professionals/<int:professional_id>/calendar-feed")
@operation(TAG, None, 404)
def revoke_calendar_feed(professional_id: int) -> Any:
    """Take a professional's address back."""
    with work(g.tenant_id) as session:
        revoke_feed(session, professional_id)
    return "", 204
