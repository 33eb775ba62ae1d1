"""Programs that tests start beside themselves: `python -m tests.core.jobs.processes drain|hang|celery|put URL …`."""

import sys
import threading
from collections.abc import Callable

from citaplanner_core.database import close_database, work
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.jobs import celery_app
from citaplanner_core.jobs.celery_app import CeleryWorker
from citaplanner_core.jobs.engine import Worker
from citaplanner_core.jobs.loop import claim, settle
from citaplanner_core.jobs.models import DONE, Job
from tests.core.jobs.support import make_app, put, source


def drain(url: str) -> None:
    """Claim and settle until nothing is left; print each id."""
    app = make_app(url)
    with app.app_context():
        while claims := claim(Job, limit=10, lease_seconds=30):
            for one in claims:
                with work(one.tenant_id) as session:
                    assert settle(session, Job, one, DONE)
                print(one.id)
        close_database()


def hang(url: str) -> None:
    """Run jobs that never end, printing a line when one has begun."""

    def handler(context: JobContext) -> None:
        print("begun", context.job_id, flush=True)
        threading.Event().wait()

    Worker(make_app(url), [source({"work": handler}, lease=1)], threads=1).run_forever()


def celery(url: str, broker: str, prefix: str) -> None:
    """The same, by Celery."""

    def handler(_context: JobContext) -> None:
        print("begun", flush=True)
        threading.Event().wait()

    celery_app.PREFIX = prefix
    jobs = source({"count": handler})
    CeleryWorker(make_app(url), [jobs], broker_url=broker, lanes={}, threads=1).run_forever()


def put_one(url: str, tenant: str) -> None:
    """Write one job."""
    app = make_app(url)
    put(app, int(tenant), "work")
    with app.app_context():
        close_database()


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"drain": drain, "hang": hang, "celery": celery, "put": put_one}
    commands[sys.argv[1]](*sys.argv[2:])
