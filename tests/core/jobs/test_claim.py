"""Claiming and settling: each row to one worker at a time, settled once."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from citaplanner_core.database import utcnow, work
from citaplanner_core.jobs.loop import Claim, backoff, claim, release, renew, seconds_until_due, settle, take_over
from citaplanner_core.jobs.models import DONE, PENDING, RUNNING, Job
from citaplanner_core.jobs.queue import enqueue
from tests.core.jobs.support import change, jobs, put

ROOT = Path(__file__).parents[3]


def many(app: Flask, tenant: int, count: int) -> None:
    with app.app_context(), work(tenant) as session:
        for _ in range(count):
            enqueue(session, "work", {})


def take(app: Flask, limit: int = 10, **given: object) -> list[Claim]:
    with app.app_context():
        return claim(Job, limit=limit, lease_seconds=30, **given)  # type: ignore[arg-type]  # passed on as given


def test_four_workers_take_each_row_once(app: Flask, tenant: int) -> None:
    many(app, tenant, 600)

    def drain(_: int) -> list[int]:
        taken = []
        while claims := take(app, 20):
            for one in claims:
                with app.app_context(), work(one.tenant_id) as session:
                    assert settle(session, Job, one, DONE)
                taken.append(one.id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(drain, range(4)))
    assert Counter(row for share in shares for row in share) == Counter(row["id"] for row in jobs(app))
    assert {(row["status"], row["attempt"]) for row in jobs(app)} == {(DONE, 1)}


@pytest.mark.slow
def test_processes_take_each_row_once(app: Flask, tenant: int, migrated_url: str) -> None:
    many(app, tenant, 400)
    command = [sys.executable, "-m", "tests.core.jobs.processes", "drain", migrated_url]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    shares = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert Counter(int(row) for share in shares for row in share) == Counter(row["id"] for row in jobs(app))


def test_oldest_due_first_and_nothing_before_its_time(app: Flask, tenant: int) -> None:
    now = utcnow()
    for minutes in (-1, -3, 60, -2, -3):
        put(app, tenant, "work", due=now + timedelta(minutes=minutes))
    first, second, third, fourth = (one.id for one in take(app))
    assert (first, second, third, fourth) == (2, 5, 4, 1)
    assert take(app) == []
    with app.app_context():
        assert 3500 < (seconds_until_due(Job) or 0) <= 3600


def test_claims_of_all_tenants_with_their_labels(app: Flask, tenant: int) -> None:
    put(app, tenant, "sync", plugin="chatwoot")
    put(app, tenant, "sweep")
    with_plugin, core = take(app)
    assert (with_plugin.tenant_id, with_plugin.attempt, with_plugin.lane) == (tenant, 1, "chatwoot")
    assert (with_plugin.labels, core.labels, core.lane) == (("chatwoot", "sync"), ("", "sweep"), "")


def test_lanes_can_be_left_waiting(app: Flask, tenant: int) -> None:
    for plugin in ("slow", None, "quick"):
        put(app, tenant, "work", plugin=plugin)
    assert [one.lane for one in take(app, skip=["slow", ""])] == ["quick"]
    with app.app_context():
        assert seconds_until_due(Job, skip=["slow", ""]) is None
        assert (seconds_until_due(Job) or 0) < 0


def test_lapsed_lease_is_taken_and_the_old_holder_cannot_settle(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    (old,) = take(app)
    assert take(app) == []
    change(app, lease_until=utcnow() - timedelta(seconds=1))
    (new,) = take(app)
    assert (new.id, new.attempt) == (old.id, 2)
    with app.app_context(), work(tenant) as session:
        assert not settle(session, Job, old, DONE, error="old")
        assert not release(session, Job, old, due=utcnow())
        assert settle(session, Job, new, DONE, error="new")
        assert not settle(session, Job, new, DONE, error="twice")
    (row,) = jobs(app)
    assert (row["status"], row["error"], row["lease_token"], row["lease_until"]) == (DONE, "new", None, None)


def test_what_is_handed_over_counts_as_an_attempt_only_once_somebody_takes_it_over(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    for _ in range(3):  # the broker lost the message
        with app.app_context():
            assert [one.attempt for one in claim(Job, limit=10, lease_seconds=30, handed_over=True)] == [0]
        change(app, lease_until=utcnow() - timedelta(seconds=1))
    with app.app_context():
        row_id = jobs(app)[0]["id"]
        taken = take_over(Job, row_id, lease_seconds=30)
        assert taken is not None
        assert (taken.attempt, jobs(app)[0]["attempt"]) == (1, 1)
        assert take_over(Job, row_id, lease_seconds=30) is None


def test_lease_from_before_the_clock_was_set_back_is_taken(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    take(app)
    change(app, lease_until=utcnow() + timedelta(hours=1))
    assert [one.attempt for one in take(app)] == [2]


def test_renewing_keeps_only_what_is_still_ours(app: Flask, tenant: int) -> None:
    many(app, tenant, 2)
    (lost, kept) = take(app)
    past = utcnow() - timedelta(seconds=1)
    change(app, lease_until=past)
    (again,) = take(app, 1)
    assert again.id == lost.id
    with app.app_context():
        renew(Job, [lost, kept], lease_seconds=300)
    first, second = jobs(app)
    assert first["lease_until"] < utcnow() + timedelta(seconds=60)
    assert second["lease_until"] > utcnow() + timedelta(seconds=200)


def test_released_row_waits_for_its_new_time(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    (one,) = take(app)
    with app.app_context(), work(tenant) as session:
        assert release(session, Job, one, due=utcnow() + timedelta(hours=1), error="later")
    (row,) = jobs(app)
    assert (row["status"], row["attempt"], row["error"]) == (PENDING, 1, "later")
    assert take(app) == []


def test_another_tenant_cannot_settle(app: Flask, tenant: int) -> None:
    put(app, tenant, "work")
    (one,) = take(app)
    with app.app_context(), work(tenant + 1) as session:
        assert not settle(session, Job, one, DONE)
    assert [row["status"] for row in jobs(app)] == [RUNNING]


@pytest.mark.parametrize("seconds", [0, -1, 601])
def test_absurd_lease_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="lease"):
        claim(Job, limit=1, lease_seconds=seconds)


@given(
    attempt=st.integers(-3, 10_000),
    base=st.floats(0.1, 100),
    cap=st.floats(0.1, 10_000),
    after=st.none() | st.floats(-10, 10_000),
)
def test_backoff_stays_between_its_bounds(attempt: int, base: float, cap: float, after: float | None) -> None:
    least = max(after or 0, 0)
    most = least + min(cap, base * 2 ** min(max(attempt, 1) - 1, 60))
    assert least - 1e-5 <= backoff(attempt, base=base, cap=cap, after=after).total_seconds() <= most + 1e-5


def test_backoff_spreads_and_grows() -> None:
    assert len({backoff(1) for _ in range(20)}) > 1
    assert max(backoff(8) for _ in range(100)) > timedelta(seconds=15)
