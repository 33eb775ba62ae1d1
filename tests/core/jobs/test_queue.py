"""Jobs: written with what wants them, run at least once, none lost, none failing unseen."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import db, system_work, utcnow, work
from citaplanner_core.hooks.types import JobContext, PeriodicJob, Retry
from citaplanner_core.jobs.loop import Claim, claim
from citaplanner_core.jobs.models import DONE, FAILED, PENDING, RUNNING, Job
from citaplanner_core.jobs.queue import MAX_ATTEMPTS, JobSource, enqueue
from tests.core.jobs.support import change, jobs, put, source


def take(app: Flask) -> list[Claim]:
    with app.app_context():
        return claim(Job, limit=10, lease_seconds=30)


def run(app: Flask, jobs_of: JobSource) -> list[Claim]:
    """Claim what is due and run it here and now."""
    claims = take(app)
    for one in claims:
        with app.app_context():
            jobs_of.run(one)
    return claims


def raising(error: BaseException) -> Callable[[JobContext], None]:
    def handler(_context: JobContext) -> None:
        raise error

    return handler


def only(app: Flask) -> dict[str, Any]:
    (row,) = jobs(app)
    return row


def test_job_is_written_with_the_rest_or_not_at_all(app: Flask, tenant: int) -> None:
    def book_and_fail() -> None:
        with app.app_context(), work(tenant) as session:
            enqueue(session, "work", {})
            raise LookupError

    with pytest.raises(LookupError):
        book_and_fail()
    assert jobs(app) == []


def test_handler_gets_what_was_written(app: Flask, tenant: int) -> None:
    seen: list[JobContext] = []
    put(app, tenant, "greet", payload={"words": ["sí", 1]}, plugin="chatwoot")
    asked = []

    def resolve(plugin: str, kind: str) -> Callable[[JobContext], None]:
        asked.append((plugin, kind))
        return seen.append

    run(app, JobSource({}, resolve))
    assert asked == [("chatwoot", "greet")]
    row = only(app)
    assert seen == [JobContext(tenant, row["id"], 1, {"words": ["sí", 1]})]
    assert (row["status"], row["error"]) == (DONE, None)
    assert row["finished_at"] is not None


def test_same_key_waits_once_and_may_wait_again_while_running(app: Flask, tenant: int) -> None:
    assert put(app, tenant, "sync", dedupe_key="client:1")
    assert not put(app, tenant, "sync", dedupe_key="client:1")
    assert put(app, tenant, "sync", dedupe_key="client:2")
    assert put(app, tenant, "sync")
    assert put(app, tenant, "sync")
    take(app)
    assert put(app, tenant, "sync", dedupe_key="client:1")
    assert [row["status"] for row in jobs(app)] == [RUNNING] * 4 + [PENDING]


def test_same_key_of_another_tenant_is_another_job(app: Flask, tenant: int) -> None:
    with app.app_context(), system_work("test", write=True) as session:
        session.add(Tenant(slug="other", name="Other"))
        session.flush()
        other = session.query(Tenant.id).filter_by(slug="other").scalar()
    assert put(app, tenant, "sync", dedupe_key="k")
    assert put(app, other, "sync", dedupe_key="k")


def test_duplicate_does_not_undo_the_unit(app: Flask, tenant: int) -> None:
    put(app, tenant, "sync", dedupe_key="k")
    with app.app_context(), work(tenant) as session:
        assert not enqueue(session, "sync", {}, dedupe_key="k")
        assert enqueue(session, "other", {})
    assert [row["kind"] for row in jobs(app)] == ["sync", "other"]


def test_waiting_job_does_not_start_before_the_unit_that_counts_on_it_ends(app: Flask, tenant: int) -> None:
    put(app, tenant, "sync", dedupe_key="k")
    with app.app_context(), ThreadPoolExecutor(1) as pool, work(tenant) as session:
        assert not enqueue(session, "sync", {}, dedupe_key="k")
        meanwhile = pool.submit(take, app)
        if db.engine.dialect.name == "postgresql":
            assert meanwhile.result() == []
    assert len(meanwhile.result()) + len(take(app)) == 1


def test_many_at_once_write_one(app: Flask, tenant: int) -> None:
    start = threading.Barrier(4)

    def write(_: int) -> bool:
        start.wait()
        return put(app, tenant, "sync", dedupe_key="k")

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(write, range(4))) == [False, False, False, True]
    assert len(jobs(app)) == 1


def test_fault_is_tried_again_ten_times_then_failed_and_readable(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    broken = source({"work": raising(ValueError("no such inbox"))})
    for attempt in range(1, MAX_ATTEMPTS):
        run(app, broken)
        row = only(app)
        assert (row["status"], row["attempt"], row["error"]) == (PENDING, attempt, "ValueError: no such inbox")
        change(app, due=utcnow())
    run(app, broken)
    row = only(app)
    assert (row["status"], row["attempt"], row["error"]) == (FAILED, MAX_ATTEMPTS, "ValueError: no such inbox")
    assert row["finished_at"] is not None


def test_retry_waits_as_long_as_told_and_never_gives_up(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    waiting = source({"work": raising(Retry("busy", after=1000))})
    for _ in range(MAX_ATTEMPTS + 5):
        run(app, waiting)
        row = only(app)
        assert (row["status"], row["error"]) == (PENDING, "Retry: busy")
        assert row["due"] > utcnow() + timedelta(seconds=990)
        change(app, due=utcnow())
    run(app, source({"work": raising(ValueError())}))
    assert only(app)["status"] == PENDING


def test_job_that_kills_its_worker_is_given_up(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    for _ in range(MAX_ATTEMPTS):
        take(app)
        change(app, lease_until=utcnow() - timedelta(seconds=1))
    run(app, source({"work": lambda context: pytest.fail("ran again")}))
    row = only(app)
    assert row["status"] == FAILED
    assert "died" in row["error"]


def test_retry_when_an_equal_job_waits_already_leaves_the_work_to_it(app: Flask, tenant: int) -> None:
    put(app, tenant, "sync", dedupe_key="k")

    def handler(_context: JobContext) -> None:
        put(app, tenant, "sync", dedupe_key="k")
        raise Retry

    run(app, source({"sync": handler}))
    assert [(row["status"], row["error"]) for row in jobs(app)] == [(DONE, "Retry"), (PENDING, None)]


@pytest.mark.parametrize(
    ("plugin", "trouble"), [("chatwoot", "plugin chatwoot is not loaded"), (None, "no handler for work")]
)
def test_job_nobody_here_knows_waits_and_is_not_lost(app: Flask, tenant: int, plugin: str | None, trouble: str) -> None:
    put(app, tenant, "work", plugin=plugin)
    for _ in range(MAX_ATTEMPTS + 2):
        run(app, source({}))
        row = only(app)
        assert (row["status"], row["attempt"]) == (PENDING, 0)
        assert trouble in row["error"]
        assert row["due"] > utcnow() + timedelta(minutes=5)
        change(app, due=utcnow())
    run(app, source({"work": lambda context: None}))
    assert (only(app)["status"], only(app)["error"]) == (DONE, None)


def test_error_and_log_hold_no_values(app: Flask, tenant: int) -> None:
    put(app, tenant, "work", payload={"phone": "55 1234 5678"})
    error = IntegrityError("INSERT …", {"phone": "55 1234 5678"}, Exception("duplicate\nDETAIL: 55 1234 5678"))
    with capture_logs() as lines:
        run(app, source({"work": raising(error)}))
    assert only(app)["error"].startswith("IntegrityError: ")
    assert "duplicate" in only(app)["error"]
    assert "1234" not in only(app)["error"]
    (line,) = lines
    assert (line["event"], line["kind"], line["tenant_id"]) == ("job_waits", "work", tenant)
    assert "1234" not in repr(line)


def test_outcome_of_a_lost_row_is_not_written(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")

    def overtaken(_context: JobContext) -> None:
        change(app, lease_until=utcnow() - timedelta(seconds=1))
        take(app)

    with capture_logs() as lines:
        run(app, source({"work": overtaken}))
    assert (only(app)["status"], only(app)["attempt"]) == (RUNNING, 2)
    assert [line["event"] for line in lines] == ["job_lost_its_lease"]


def test_row_that_is_ours_no_more_is_not_run(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    (old,) = take(app)
    change(app, lease_token="somebody else's")
    with app.app_context():
        source({"work": lambda context: pytest.fail("ran")}).run(old)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("citaplanner_core.jobs.queue.FIRST_PERIODIC_SECONDS", -1)


def periodic(tenant: int, run_it: Callable[[JobContext], None], listed: list[bool] | None = None) -> JobSource:
    job = PeriodicJob("sweep", 300, run_it)
    return JobSource({}, list_periodic=lambda: [("email", job, tenant)] if listed in (None, [True]) else [])


def test_periodic_work_has_one_row_whatever_the_number_of_workers(app: Flask, tenant: int) -> None:
    start = threading.Barrier(4)

    def ensure(_: int) -> None:
        start.wait()
        with app.app_context():
            periodic(tenant, lambda context: None).ensure_periodic()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ensure, range(4)))
    row = only(app)
    assert (row["plugin"], row["kind"], row["status"]) == ("email", "periodic", PENDING)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("error", [None, ValueError("broken"), Retry("busy", after=10)])
def test_periodic_work_follows_itself(app: Flask, tenant: int, error: Exception | None) -> None:
    ran = []

    def handler(context: JobContext) -> None:
        ran.append(context.tenant_id)
        with app.app_context():
            jobs_of.ensure_periodic()  # another worker's, meanwhile
        if error:
            raise error

    jobs_of = periodic(tenant, handler)
    with app.app_context():
        jobs_of.ensure_periodic()
    for count in range(1, MAX_ATTEMPTS + 3):
        run(app, jobs_of)
        row = only(app)
        assert len(ran) == count
        assert (row["status"], row["attempt"]) == (PENDING, 0)
        assert near(row["due"], utcnow() + timedelta(seconds=300))
        assert (row["error"] is None) == (error is None)
        change(app, due=utcnow())


def near(one: datetime, other: datetime) -> bool:
    return abs(one - other) < timedelta(seconds=30)


@pytest.mark.usefixtures("at_once")
def test_periodic_work_ends_when_it_is_not_listed_any_more_and_can_begin_again(app: Flask, tenant: int) -> None:
    listed = [True]
    jobs_of = periodic(tenant, lambda context: None, listed)
    with app.app_context():
        jobs_of.ensure_periodic()
        listed[0] = False
        jobs_of.ensure_periodic()
    run(app, jobs_of)
    assert only(app)["status"] == DONE
    listed[0] = True
    with app.app_context():
        jobs_of.ensure_periodic()
    assert [row["status"] for row in jobs(app)] == [DONE, PENDING]


@pytest.mark.usefixtures("at_once")
def test_periodic_work_that_kills_its_worker_is_tried_rarely(app: Flask, tenant: int) -> None:
    jobs_of = periodic(tenant, lambda context: pytest.fail("ran"))
    with app.app_context():
        jobs_of.ensure_periodic()
    change(app, attempt=MAX_ATTEMPTS)
    run(app, jobs_of)
    row = only(app)
    assert (row["status"], row["attempt"]) == (PENDING, MAX_ATTEMPTS - 1)
    assert near(row["due"], utcnow() + timedelta(hours=1))
