"""The engine Celery, on real brokers: same rows, same guarantees; the broker may lose everything."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from structlog.testing import capture_logs

from citaplanner_core.database import utcnow
from citaplanner_core.hooks.types import JobContext, JobHandler
from citaplanner_core.jobs import celery_app
from citaplanner_core.jobs.celery_app import CeleryWorker, make_celery
from citaplanner_core.jobs.loop import count_handed_over
from citaplanner_core.jobs.models import DONE, PENDING, RUNNING, Job
from tests import services
from tests.core.jobs.support import Running, change, eventually, jobs, put, running, source

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
LANES = ("slow", "quick", "other")
NOWHERE = "amqp://guest:guest@127.0.0.1:1//"


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A broker with queues of this test's own, removed after it."""
    url = services.address(request.param)
    if url is None:
        pytest.skip(services.PROBES[request.param]().trouble)
    monkeypatch.setattr(celery_app, "PREFIX", f"citaplanner-test-{uuid4().hex[:8]}")
    yield url
    with make_celery(url).connection_for_write() as connection:
        for lane in LANES:
            connection.default_channel.queue_delete(f"{celery_app.PREFIX}.job.{lane}")


class Count:
    """A handler that counts its runs by number."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self.lock = threading.Lock()

    def __call__(self, context: JobContext) -> None:
        with self.lock:
            self.seen[context.payload["number"]] += 1


@contextmanager
def celery_worker(
    app: Flask, broker: str, handlers: Mapping[str, JobHandler], *, lease: float = 30, **more: Any
) -> Iterator[Running]:
    settings: dict[str, Any] = {"broker_url": broker, "lanes": {"job": ["slow", "quick"]}, "threads": 4, **more}
    made = CeleryWorker(app, [source(handlers, lease=lease)], **settings)
    made.poll_seconds = 0.2
    found = Running(made)
    try:
        yield found
    finally:
        made.stop()
        assert found.ended() == 0
        found.gone()
        made.celery.close()


def send(running: Running, row_id: int) -> None:
    """Send the message of a row once more."""
    assert isinstance(running.worker, CeleryWorker)
    queue = f"{celery_app.PREFIX}.job.other"
    running.worker.celery.send_task(celery_app.TASK, args=("job", row_id), queue=queue)


def statuses(app: Flask) -> Counter[str]:
    return Counter(row["status"] for row in jobs(app))


def put_many(app: Flask, tenant: int, count: int, **given: object) -> None:
    for number in range(count):
        put(app, tenant, "count", payload={"number": number}, **given)


def lose_everything(broker: str) -> None:
    """Empty the broker's queues."""
    with make_celery(broker).connection_for_write() as connection:
        connection.default_channel.queue_purge(f"{celery_app.PREFIX}.job.other")


def hand_over(app: Flask, broker: str) -> None:
    """Do what the clock of a worker does that then serves nothing."""
    made = CeleryWorker(app, [source({})], broker_url=broker, lanes={}, threads=50)
    with app.app_context():
        made._feed()
    made.celery.close()


def test_each_row_is_run_once(app: Flask, tenant: int, broker: str) -> None:
    count = Count()
    with celery_worker(app, broker, {"count": count}):
        put_many(app, tenant, 30)
        assert eventually(lambda: statuses(app) == {DONE: 30})
    assert count.seen == dict.fromkeys(range(30), 1)
    assert {row["attempt"] for row in jobs(app)} == {1}


def test_a_message_that_comes_twice_finds_nothing_to_do(app: Flask, tenant: int, broker: str) -> None:
    count = Count()
    put_many(app, tenant, 20)
    with celery_worker(app, broker, {"count": count}) as served:
        for row in jobs(app) * 2:
            send(served, row["id"])
        assert eventually(lambda: statuses(app) == {DONE: 20})
        send(served, jobs(app)[0]["id"])
        put(app, tenant, "count", payload={"number": 20})
        assert eventually(lambda: statuses(app) == {DONE: 21})
    assert count.seen == dict.fromkeys(range(21), 1)


def test_losing_the_broker_loses_nothing(app: Flask, tenant: int, broker: str) -> None:
    count = Count()
    put_many(app, tenant, 20)
    hand_over(app, broker)
    assert statuses(app) == {RUNNING: 20}
    lose_everything(broker)
    with celery_worker(app, broker, {"count": count}):
        change(app, lease_until=utcnow() - timedelta(seconds=1))
        assert eventually(lambda: statuses(app) == {DONE: 20})
    assert count.seen == dict.fromkeys(range(20), 1)


def test_the_embedded_engine_goes_on_where_celery_stopped_and_back(app: Flask, tenant: int, broker: str) -> None:
    count = Count()
    put_many(app, tenant, 5)
    hand_over(app, broker)
    change(app, lease_until=utcnow() - timedelta(seconds=1))
    with running(app, source({"count": count})):
        assert eventually(lambda: statuses(app) == {DONE: 5})
    with celery_worker(app, broker, {"count": count}):
        put(app, tenant, "count", payload={"number": 5})
        assert eventually(lambda: statuses(app) == {DONE: 6})
    assert count.seen == dict.fromkeys(range(6), 1)


def test_a_killed_worker_loses_nothing(app: Flask, tenant: int, broker: str, migrated_url: str) -> None:
    put(app, tenant, "count", payload={"number": 0})
    command = [sys.executable, "-m", "tests.core.jobs.processes", "celery", migrated_url, broker, celery_app.PREFIX]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert "begun\n" in process.stdout
        finally:
            process.kill()
    count = Count()
    with celery_worker(app, broker, {"count": count}):
        change(app, lease_until=utcnow() - timedelta(seconds=1))
        assert eventually(lambda: statuses(app) == {DONE: 1})
    assert count.seen == {0: 1}


def test_without_the_broker_rows_wait_and_no_attempt_is_counted(app: Flask, tenant: int) -> None:
    put_many(app, tenant, 3)
    made = CeleryWorker(app, [source({})], broker_url=NOWHERE, lanes={}, threads=4)
    with app.app_context(), capture_logs() as logs:
        assert made._feed() == celery_app.BROKER_PAUSE_SECONDS
    assert [(row["status"], row["attempt"]) for row in jobs(app)] == [(PENDING, 0)] * 3
    assert [entry["event"] for entry in logs] == ["broker_unreachable"]


def test_no_more_is_handed_over_than_can_be_run_soon(app: Flask, tenant: int, broker: str) -> None:
    for plugin, number in (("slow", 30), ("quick", 3)):
        for _ in range(number):
            put(app, tenant, "count", plugin=plugin, payload={"number": 0})
    made = CeleryWorker(app, [source({})], broker_url=broker, lanes={"job": ["slow", "quick"]}, threads=2)
    with app.app_context():
        made._feed()
        assert count_handed_over(Job) == {"slow": 6, "quick": 2}
        made._feed()
        assert count_handed_over(Job) == {"slow": 6, "quick": 2}
    made.celery.close()


def test_a_queue_that_is_not_there_is_named(app: Flask) -> None:
    with pytest.raises(ValueError, match=r"no queue is called job\.fax; there are job\.slow, job\.other"):
        CeleryWorker(app, [source({})], broker_url=NOWHERE, lanes={"job": ["slow"]}, queues=["job.fax"], threads=1)


def test_only_the_wanted_queues_are_served(app: Flask, tenant: int, broker: str) -> None:
    count = Count()
    put(app, tenant, "count", plugin="slow", payload={"number": 1})
    put(app, tenant, "count", plugin="quick", payload={"number": 2})
    with celery_worker(app, broker, {"count": count}, queues=["job.quick"]):
        assert eventually(lambda: count.seen == {2: 1})
    with celery_worker(app, broker, {"count": count}):
        assert eventually(lambda: statuses(app) == {DONE: 2})
    assert count.seen == {1: 1, 2: 1}
