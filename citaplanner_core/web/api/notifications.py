"""`/api/v1/notifications`."""

from dataclasses import asdict
from threading import BoundedSemaphore
from typing import Any

from flask import g, request
from spectree import Response

from citaplanner_core.booking.errors import find
from citaplanner_core.database import work
from citaplanner_core.notifications import service
from citaplanner_core.notifications.models import Notification
from citaplanner_core.web.api import blueprint, spec
from citaplanner_core.web.api.schemas import NewNotification, NotificationShown, Problem, Wait

MAX_WAITERS = 4
_waiters = BoundedSemaphore(MAX_WAITERS)
"""A waiting request holds a web thread: with more than these, the answer comes at once, still PENDING."""


@blueprint.post("/notifications")
@spec.validate(
    resp=Response(HTTP_200=NotificationShown, HTTP_202=NotificationShown, HTTP_401=Problem, HTTP_422=Problem),
    tags=["notifications"],
)
def send(query: Wait, json: NewNotification) -> Any:
    """Send a notification to a client.

    The header `Idempotency-Key` makes the same request send once. 202 = accepted, not settled yet.
    """
    waits = query.wait > 0 and _waiters.acquire(blocking=False)
    try:
        result = service.send_notification(
            **json.model_dump(),
            tenant_id=g.tenant_id,
            idempotency_key=request.headers.get("Idempotency-Key"),
            wait=query.wait if waits else 0,
        )
    finally:
        if waits:
            _waiters.release()
    return asdict(result), 202 if result.status in service.UNSETTLED else 200


@blueprint.get("/notifications/<int:notification_id>")
@spec.validate(resp=Response(HTTP_200=NotificationShown, HTTP_401=Problem, HTTP_404=Problem), tags=["notifications"])
def show_notification(notification_id: int) -> Any:
    """Show what became of a notification."""
    with work(g.tenant_id, write=False) as session:
        found = find(session, Notification, notification_id, "notification_id")
        return asdict(service.result_of(session, found))
