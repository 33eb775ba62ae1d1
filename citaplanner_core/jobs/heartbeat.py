"""Which workers are alive."""

from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, system_work
from citaplanner_core.jobs.models import Worker

ALIVE_SECONDS = 20
FORGET_SECONDS = 3600


def beat(name: str) -> None:
    """Say that the worker `name` is alive, in a unit of its own, and forget those long gone."""
    with system_work("heartbeat", write=True) as session:
        now = database_now(session)
        known = session.execute(update(Worker).where(Worker.name == name).values(seen_at=now).returning(Worker.id))
        if known.first() is None:
            session.add(Worker(name=name, started_at=now, seen_at=now))
        session.execute(delete(Worker).where(Worker.seen_at < now - timedelta(seconds=FORGET_SECONDS)))


def leave(name: str) -> None:
    """Take the worker's row away: it stopped as it should."""
    with system_work("heartbeat", write=True) as session:
        session.execute(delete(Worker).where(Worker.name == name))


def alive_workers(session: Session) -> int:
    """Return how many workers were seen within 20 seconds of the database's clock. Any unit will do."""
    now, span = database_now(session), timedelta(seconds=ALIVE_SECONDS)
    return session.scalar(select(func.count(Worker.id)).where(Worker.seen_at.between(now - span, now + span))) or 0
