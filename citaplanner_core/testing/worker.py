"""Running what is due without a worker: claimed and run by the real sources, one row after the other."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from citaplanner_core.database import database_now, system_work
from citaplanner_core.hooks.types import Retry
from citaplanner_core.jobs.loop import claim
from citaplanner_core.jobs.models import FAILED, PENDING, Claimable, Job
from citaplanner_core.notifications.models import ChannelState
from citaplanner_core.worker import make_worker

MOST_ROWS = 10_000
_WAITS = Retry.__name__


class JobBroke(AssertionError):
    """A job raised something else than `Retry`; the text is what its row says."""


def run_due(app: Flask, *, within: timedelta = timedelta(0), strict: bool = True) -> int:
    """Run notifications and jobs of all tenants until nothing is due; return how many rows were run.

    What would be due `within` that time is due now, such as what waits for another attempt, or for a channel that is
    held. Call it outside a unit.
    With `strict` a job that raised anything but `Retry` raises `JobBroke`.
    """
    with app.app_context():
        sources = make_worker(app).sources
        if within:
            for source in sources:
                _bring_forward(source.model, within)
    ran = 0
    while True:
        found = 0
        for source in sources:
            with app.app_context():
                claims = claim(source.model, limit=50, lease_seconds=source.lease_seconds)
            for taken in claims:
                with app.app_context():
                    source.run(taken)
            found += len(claims)
        ran += found
        if not found:
            break
        if ran > MOST_ROWS:
            raise AssertionError("work makes more work without end")
    if strict:
        with app.app_context():
            _raise_if_broken()
    return ran


def _bring_forward(model: type[Claimable], within: timedelta) -> None:
    with system_work("what waits is due now", write=True) as session:
        now = database_now(session)
        for row in session.scalars(select(model).where(model.status == PENDING, model.due <= now + within)):
            row.due = min(row.due, now)
        for state in session.scalars(select(ChannelState).where(ChannelState.open_until <= now + within)):
            state.open_until = min(state.open_until or now, now)


def _raise_if_broken() -> None:
    with system_work("which jobs broke") as session:
        rows = session.scalars(select(Job).where(Job.status.in_((PENDING, FAILED)), Job.error.is_not(None)))
        broken = [f"{row.plugin}/{row.kind}: {row.error}" for row in rows if not (row.error or "").startswith(_WAITS)]
    if broken:
        raise JobBroke("; ".join(broken))
