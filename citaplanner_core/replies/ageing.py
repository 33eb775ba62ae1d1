"""Deleting words that people wrote, and alerts that staff got, once nobody asks about them any more."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select

from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.types import JobContext, PeriodicJob
from citaplanner_core.notifications.staff_models import StaffNotice
from citaplanner_core.replies.models import ReceivedMessage

RECEIVED_DAYS = 365
"""How long what clients wrote is kept: a year, so that last year's visit can still be looked into."""
NOTICE_DAYS = 90
BATCH = 1000
SECONDS = 24 * 3600


def age(context: JobContext) -> None:
    """Delete a tenant's received messages and staff notices that are old, some at a time."""
    for model, moment, days in (
        (ReceivedMessage, ReceivedMessage.received_at, RECEIVED_DAYS),
        (StaffNotice, StaffNotice.last_at, NOTICE_DAYS),
    ):
        while _delete_some(context.tenant_id, model, moment, days) == BATCH:
            pass


def _delete_some(tenant: int, model: Any, moment: ColumnElement[Any] | Any, days: int) -> int:
    with work(tenant) as session:
        old = select(model.id).where(moment < database_now(session) - timedelta(days=days)).limit(BATCH)
        gone = session.execute(
            delete(model).where(model.id.in_(old)).returning(model.id),
            execution_options={"synchronize_session": False},
        )
        return len(gone.all())


JOB = PeriodicJob("age", SECONDS, age)
