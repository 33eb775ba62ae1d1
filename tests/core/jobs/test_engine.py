"""The worker: woken at once, held up by nobody, replaced when it hangs, stopped in good order."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from structlog.testing import capture_logs

from citaplanner_core.database import db, system_work, utcnow, work
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.jobs import models
from citaplanner_core.jobs.heartbeat import alive_workers
from citaplanner_core.jobs.models import DONE, PENDING, RUNNING
from tests.core.jobs.support import PATIENCE, eventually, jobs, put, running, source

ROOT = Path(__file__).parents[3]


class Gate:
    """A handler that tells when it has begun and goes on when let."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let = threading.Event()

    def __call__(self, _context: JobContext) -> None:
        self.begun.release()
        assert self.let.wait(PATIENCE)

    def has_begun(self) -> bool:
        return self.begun.acquire(timeout=PATIENCE)


class Tick:
    """A handler that counts its calls, so that a test can await them."""

    def __init__(self) -> None:
        self.calls = threading.Semaphore(0)

    def __call__(self, _context: JobContext) -> None:
        self.calls.release()

    def came(self, seconds: float = PATIENCE) -> bool:
        return self.calls.acquire(timeout=seconds)


def statuses(app: Flask) -> list[str]:
    return [row["status"] for row in jobs(app)]


def alive(app: Flask) -> int:
    with app.app_context(), system_work("test") as session:
        return alive_workers(session)


def test_commit_wakes_the_worker(app: Flask, tenant: int) -> None:
    tick = Tick()
    with running(app, source({"work": tick}), poll_seconds=60, beat_seconds=60):
        for count in range(1, 4):
            put(app, tenant, "work")
            assert tick.came(10)
            assert eventually(lambda count=count: statuses(app) == [DONE] * count)  # type: ignore[misc]  # bound now


def test_commit_of_another_process_wakes_the_worker(app: Flask, tenant: int, migrated_url: str) -> None:
    tick = Tick()
    with running(app, source({"work": tick}), poll_seconds=60, beat_seconds=60):
        put(app, tenant, "work")
        assert tick.came(10)
        command = [sys.executable, "-m", "tests.core.jobs.processes", "put", migrated_url, str(tenant)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)
        assert tick.came(10)


def test_worker_wakes_by_itself_when_a_row_becomes_due(app: Flask, tenant: int) -> None:
    tick = Tick()
    put(app, tenant, "work", due=utcnow() + timedelta(seconds=0.5))
    with running(app, source({"work": tick}), poll_seconds=60, beat_seconds=60):
        assert tick.came(10)


def test_worker_writes_the_log_of_sqlite_into_its_file_so_that_no_commit_has_to(app: Flask, tenant: int) -> None:
    with app.app_context():
        if db.engine.dialect.name != "sqlite":
            return
        path = Path(db.engine.url.database or "")
    with running(app, source({"work": Tick()}), poll_seconds=60, beat_seconds=60):
        assert eventually(lambda: alive(app) == 1)
        before = path.read_bytes()
        put(app, tenant, "work")
        assert eventually(lambda: path.read_bytes() != before)


def test_listening_goes_on_after_the_connection_broke(app: Flask, tenant: int) -> None:
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            return
    tick = Tick()

    def listeners() -> list[int]:
        with app.app_context(), system_work("test", write=True) as session:
            found = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
            return list(session.scalars(found))

    with running(app, source({"work": tick}), poll_seconds=60, beat_seconds=60):
        assert eventually(lambda: len(listeners()) == 1)
        (old,) = listeners()
        with app.app_context(), system_work("test", write=True) as session:
            session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": old})
        put(app, tenant, "work")
        assert tick.came(10)
        assert eventually(lambda: listeners() not in ([], [old]))


def test_slow_handler_occupies_one_thread_only(app: Flask, tenant: int) -> None:
    slow, tick = Gate(), Tick()
    with running(app, source({"slow": slow, "quick": tick}), threads=2):
        put(app, tenant, "slow", plugin="slow")
        assert slow.has_begun()
        for _ in range(5):
            put(app, tenant, "quick")
            assert tick.came()
        assert statuses(app)[0] == RUNNING
        slow.let.set()


def test_flood_of_slow_jobs_of_one_plugin_leaves_threads_to_others(app: Flask, tenant: int) -> None:
    slow, tick = Gate(), Tick()
    with running(app, source({"slow": slow, "quick": tick}), threads=4):
        for _ in range(12):
            put(app, tenant, "slow", plugin="slow")
        assert all(slow.has_begun() for _ in range(3))
        for plugin in ("other", None):
            put(app, tenant, "quick", plugin=plugin)
            assert tick.came()
        assert [row["status"] for row in jobs(app) if row["plugin"] == "slow"] == [RUNNING] * 3 + [PENDING] * 9
        slow.let.set()
        assert eventually(lambda: statuses(app) == [DONE] * 14)


def test_two_sources_share_the_threads(app: Flask, tenant: int) -> None:
    slow, tick = Gate(), Tick()
    first, second = source({"slow": slow, "quick": tick}), source({"slow": slow, "quick": tick})
    with running(app, first, second, threads=2):
        for _ in range(6):
            put(app, tenant, "quick")
        assert all(tick.came() for _ in range(6))
        assert eventually(lambda: statuses(app) == [DONE] * 6)


def test_handler_that_raises_system_exit_takes_no_thread_away(app: Flask, tenant: int) -> None:
    def leave(_context: JobContext) -> None:
        raise SystemExit

    tick = Tick()
    with running(app, source({"leave": leave, "quick": tick}), threads=1):
        put(app, tenant, "leave")
        put(app, tenant, "quick")
        assert tick.came()


def test_lease_of_a_long_job_is_renewed(app: Flask, tenant: int) -> None:
    slow = Gate()
    jobs_of = source({"slow": slow}, lease=1)
    with running(app, jobs_of), running(app, jobs_of):
        put(app, tenant, "slow")
        assert slow.has_begun()
        first = jobs(app)[0]["lease_until"]
        assert eventually(lambda: jobs(app)[0]["lease_until"] > first + timedelta(seconds=1.5))
        assert jobs(app)[0]["attempt"] == 1
        slow.let.set()


def test_worker_that_exceeds_a_deadline_ends_and_is_replaced(app: Flask, tenant: int) -> None:
    stuck, brief = Gate(), Gate()
    put(app, tenant, "stuck", plugin="bad")
    hanging = source({"stuck": stuck, "brief": brief}, lease=1, deadline=2)
    with capture_logs() as lines, running(app, hanging, name="old") as old:
        assert stuck.has_begun()
        begun = utcnow()
        assert eventually(lambda: utcnow() - begun > timedelta(seconds=0.5))
        put(app, tenant, "brief")
        assert brief.has_begun()
        assert eventually(lambda: any(line["event"] == "row_exceeds_deadline" for line in lines))
        assert eventually(lambda: jobs(app)[0]["lease_until"] < utcnow(), 5)
        brief.let.set()
        assert old.ended() == 70
    overdue = [line for line in lines if line["event"] == "row_exceeds_deadline"]
    assert [(line["plugin"], line["kind"]) for line in overdue] == [("bad", "stuck")]
    assert statuses(app) == [RUNNING, DONE]
    tick = Tick()
    with running(app, source({"stuck": tick})):
        assert tick.came()
        assert eventually(lambda: statuses(app) == [DONE, DONE])
    finished = jobs(app)[0]["finished_at"]
    stuck.let.set()
    old.gone()
    assert (jobs(app)[0]["attempt"], jobs(app)[0]["finished_at"]) == (2, finished)


def test_stop_lets_running_rows_finish_and_claims_no_more(app: Flask, tenant: int) -> None:
    slow, tick = Gate(), Tick()
    with capture_logs() as lines, running(app, source({"slow": slow, "quick": tick})) as found:
        put(app, tenant, "slow")
        assert slow.has_begun()
        assert eventually(lambda: alive(app) == 1)
        found.worker.stop()
        assert eventually(lambda: any(line["event"] == "worker_stopping" for line in lines))
        put(app, tenant, "quick")
        slow.let.set()
        assert found.ended() == 0
    assert statuses(app) == [DONE, PENDING]
    assert alive(app) == 0


def test_stop_leaves_what_does_not_finish_to_its_lease(app: Flask, tenant: int) -> None:
    slow = Gate()
    with running(app, source({"slow": slow}), grace_seconds=0.1) as found:
        put(app, tenant, "slow")
        assert slow.has_begun()
        found.worker.stop()
        assert found.ended() == 0
    (row,) = jobs(app)
    assert row["status"] == RUNNING
    assert row["lease_until"] > utcnow()
    slow.let.set()
    found.gone()


def test_job_of_a_killed_worker_is_done_by_another(app: Flask, tenant: int, migrated_url: str) -> None:
    put(app, tenant, "work")
    command = [sys.executable, "-m", "tests.core.jobs.processes", "hang", migrated_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as victim:
        try:
            assert victim.stdout
            assert any(line.startswith("begun") for line in victim.stdout)
            assert eventually(lambda: alive(app) == 1)
        finally:
            victim.kill()
    tick = Tick()
    with running(app, source({"work": tick})):
        assert tick.came()
        assert eventually(lambda: statuses(app) == [DONE])
    assert not tick.came(0)
    assert jobs(app)[0]["attempt"] == 2


def test_heartbeats_tell_who_is_alive_and_old_ones_are_forgotten(app: Flask) -> None:
    with app.app_context(), system_work("test", write=True) as session:
        for name, seconds in (("dead", 60), ("long dead", 7200)):
            seen = utcnow() - timedelta(seconds=seconds)
            session.add(models.Worker(name=name, started_at=seen, seen_at=seen))
    assert alive(app) == 0
    with running(app, source({})), running(app, source({})):
        assert eventually(lambda: alive(app) == 2)
        with app.app_context(), system_work("test") as session:
            names = {row.name for row in session.query(models.Worker)}
        assert "dead" in names
        assert "long dead" not in names
    assert alive(app) == 0


def test_alive_workers_can_be_asked_in_a_tenants_unit(app: Flask, tenant: int) -> None:
    with app.app_context(), work(tenant, write=False) as session:
        assert alive_workers(session) == 0


def test_chores_are_done_again_and_a_broken_one_harms_nobody(app: Flask, tenant: int) -> None:
    tick, chore = Tick(), Tick()

    def broken() -> None:
        raise ValueError

    def count() -> None:
        chore.calls.release()

    with running(app, source({"work": tick}), chores=[broken, count], beat_seconds=0.05):
        assert all(chore.came() for _ in range(3))
        put(app, tenant, "work")
        assert tick.came()


def test_worker_survives_a_database_that_fails_for_a_while(
    app: Flask, tenant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick, failed = Tick(), Tick()

    def broken(*given: object, **named: object) -> None:
        failed.calls.release()
        raise OSError

    monkeypatch.setattr("citaplanner_core.jobs.engine.claim", broken)
    put(app, tenant, "work")
    with running(app, source({"work": tick}), poll_seconds=0.05):
        assert failed.came()
        monkeypatch.undo()
        assert tick.came()
