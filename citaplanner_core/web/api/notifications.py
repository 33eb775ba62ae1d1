"""`/api/v1/notifications`."""

from collections.abc import Callable
from dataclasses import asdict, replace
from threading import BoundedSemaphore
from typing import Any

from flask import g
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import NotAllowed, find
from citaplanner_core.database import work
from citaplanner_core.notifications import repeats, service
from citaplanner_core.notifications.models import Notification
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.schemas import NewNotification, NotificationShown, Wait

TAG = "notifications"
MAX_WAITERS = 4
"""A waiting request holds a web thread: with more than these, the answer comes at once, still PENDING."""
NO_ROOM = "too many requests are waiting already; ask for this notification in a moment"

_waiters = BoundedSemaphore(MAX_WAITERS)


@blueprint.post("/notifications")
@operation(TAG, NotificationShown, also=202)
def send(query: Wait, json: NewNotification) -> Any:
    """Send a notification to a client.

    200 = settled: sent, or failed or skipped and why. 202 = accepted, not settled yet.
    """
    waits = query.wait > 0 and _waiters.acquire(blocking=False)
    try:
        result = service.send_notification(
            **json.model_dump(),
            tenant_id=g.tenant_id,
            wait=query.wait if waits else 0,
        )
    finally:
        if waits:
            _waiters.release()
    unsettled = result.status in service.UNSETTLED
    if unsettled and query.wait > 0 and not waits:
        result = replace(result, success=False, error=NO_ROOM)
    return asdict(result), 202 if unsettled else 200


@blueprint.get("/notifications/<int:notification_id>")
@operation(TAG, NotificationShown, 404)
def show_notification(notification_id: int) -> Any:
    """Show what became of a notification."""
    with work(g.tenant_id, write=False) as session:
        found = find(session, Notification, notification_id, "notification_id")
        return asdict(service.result_of(session, found))


@blueprint.post("/notifications/<int:notification_id>/retry")
@operation(TAG, NotificationShown, 404, 409, status=201)
def retry_notification(notification_id: int) -> Any:
    """Send a failed or skipped notification again, as a new one; refused (409) where it would not be true any more."""
    with work(g.tenant_id) as session:
        find(session, Notification, notification_id, "notification_id")
        return asdict(service.result_of(session, _allowed(repeats.retry, session, notification_id))), 201


@blueprint.post("/notifications/<int:notification_id>/cancel")
@operation(TAG, NotificationShown, 404, 409)
def cancel_notification(notification_id: int) -> Any:
    """Take back a notification that waits; refused (409) once it is being sent."""
    with work(g.tenant_id) as session:
        find(session, Notification, notification_id, "notification_id")
        return asdict(service.result_of(session, _allowed(repeats.cancel, session, notification_id)))


def _allowed(verb: Callable[[Session, int], Notification], session: Session, notification_id: int) -> Notification:
    try:
        return verb(session, notification_id)
    except service.NotificationRefused as error:
        raise NotAllowed(f"notification {notification_id} {error.detail}") from None
