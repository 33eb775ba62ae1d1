"""Deleting what nobody will ask about any more."""

from datetime import timedelta

from sqlalchemy import delete, select

from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.types import JobContext, PeriodicJob
from citaplanner_core.jobs.models import DONE, FAILED, Job

KEPT_DAYS = {DONE: 7, FAILED: 90}
"""How long a settled job is kept; a failed one long enough to be looked into."""
BATCH = 1000
SECONDS = 6 * 3600


def tidy(context: JobContext) -> None:
    """Delete a tenant's jobs that were settled long ago, some at a time."""
    for status, days in KEPT_DAYS.items():
        deleted = BATCH
        while deleted == BATCH:
            with work(context.tenant_id) as session:
                long_ago = database_now(session) - timedelta(days=days)
                old = select(Job.id).where(Job.status == status, Job.finished_at < long_ago).limit(BATCH)
                gone = session.execute(
                    delete(Job).where(Job.id.in_(old)).returning(Job.id),
                    execution_options={"synchronize_session": False},
                )
                deleted = len(gone.all())


JOB = PeriodicJob("tidy", SECONDS, tidy)
