"""Claiming: from 1,000,000 waiting rows at most 1.5 times as long as from 1,000."""

import time
from pathlib import Path

from benchmarks.databases import fresh
from benchmarks.load import median
from benchmarks.receiver import make_app
from benchmarks.storm import fill
from citaplanner_core.database import close_database, db
from citaplanner_core.hooks import lifecycle
from citaplanner_core.jobs.loop import claim
from citaplanner_core.notifications.models import Notification

SIZES = (1_000, 1_000_000)
ROUNDS = 5
CLAIMS = 10
LIMIT = 16


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    return [_measure(kind, folder) for kind in ("postgresql", "sqlite")]


def _measure(kind: str, folder: Path) -> str:
    with fresh(kind, folder) as small, fresh(kind, folder) as large:
        if small is None or large is None:
            return f"claim {kind}: left out, no server"
        apps = [make_app(url, str(folder), 9, asks=True) for url in (small, large)]
        for app, size in zip(apps, SIZES, strict=True):
            with app.app_context():
                lifecycle.migrate_all(())
                fill(size)
                if kind == "postgresql":
                    with db.engine.connect() as connection:
                        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
        times: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(ROUNDS):
            for app, size in zip(apps, SIZES, strict=True):
                with app.app_context():
                    times[size].append(median([_claim() for _ in range(CLAIMS)]))
        for app in apps:
            with app.app_context():
                close_database()
    few, many = (median(times[size]) for size in SIZES)
    return (
        f"claim {kind}: {LIMIT} rows in {many:.2f} ms of {SIZES[1]:,} waiting, {few:.2f} ms of {SIZES[0]:,};"
        f" ratio {many / few:.2f} (wanted ≤ 1.5)"
    )


def _claim() -> float:
    begin = time.perf_counter()
    found = claim(Notification, limit=LIMIT, lease_seconds=120)
    spent = (time.perf_counter() - begin) * 1000
    assert len(found) == LIMIT
    return spent
