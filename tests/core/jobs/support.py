"""What the tests of durable work share."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import update

import citaplanner_core.booking.models  # noqa: F401  # the tenant table, which jobs refer to
from citaplanner_core.crypto import init_crypto
from citaplanner_core.database import init_database, system_work, work
from citaplanner_core.hooks.types import JobHandler
from citaplanner_core.jobs.engine import Source, Worker
from citaplanner_core.jobs.models import Job
from citaplanner_core.jobs.queue import JobSource, enqueue

PATIENCE = 20


def make_app(url: str) -> Flask:
    """An app with a database and nothing else, for processes beside the test's own."""
    app = Flask("jobs")
    init_crypto(app, ["k" * 32])
    init_database(app, url, threads=8)
    return app


def put(app: Flask, tenant: int, kind: str, **given: Any) -> bool:
    """Write one job in a unit of its own."""
    with app.app_context(), work(tenant) as session:
        return enqueue(session, kind, given.pop("payload", {}), **given)


def jobs(app: Flask) -> list[dict[str, Any]]:
    """All jobs, oldest first, as plain values."""
    with app.app_context(), system_work("test") as session:
        rows = session.query(Job).order_by(Job.id).all()
        return [{column.name: getattr(row, column.name) for column in Job.__table__.columns} for row in rows]


def change(app: Flask, **values: Any) -> None:
    """Change all jobs behind everybody's back: time passed, a clock jumped."""
    with app.app_context(), system_work("test", write=True) as session:
        session.execute(update(Job).values(values))


def source(handlers: Mapping[str, JobHandler], *, lease: float = 30, deadline: float = 300) -> JobSource:
    """The jobs of the core and of every plugin, all run by the handler of their kind."""
    made = JobSource(handlers, lambda plugin, kind: handlers.get(kind))
    made.lease_seconds, made.deadline_seconds = lease, deadline
    return made


class Running:
    """A worker in a thread of this process; `code` is what it returned."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.code = self.worker.run_forever()

    def ended(self) -> int | None:
        """Wait for it to end by itself or after `worker.stop()`; return its code."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.code

    def gone(self) -> None:
        """Wait for the threads it left behind, once what held them is let go."""
        for thread in threading.enumerate():
            if thread.name.startswith(f"{self.worker.name}:"):
                thread.join(PATIENCE)
                assert not thread.is_alive()


@contextmanager
def running(app: Flask, *sources: Source, threads: int = 4, **settings: Any) -> Iterator[Running]:
    """Run a worker for the block, stop it after."""
    given = {name: settings.pop(name) for name in ("name", "chores") if name in settings}
    worker = Worker(app, sources, threads=threads, **given)
    for name, value in settings.items():
        setattr(worker, name, value)
    found = Running(worker)
    try:
        yield found
    finally:
        worker.stop()
        found.ended()


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait for something only the database knows."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
