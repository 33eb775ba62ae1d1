"""Planning 100,000 reminders: at least half the rate of a bare bulk INSERT of the same rows in the same database."""

import statistics
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select

from benchmarks.databases import fresh, settle
from benchmarks.prepare import PLUGINS, app_on
from citaplanner_core.booking.models import Appointment, Branch
from citaplanner_core.database import Base, close_database, system_connection, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.notifications import replanning
from citaplanner_core.testing.factories import make_client, make_professional, make_service, make_tenant

APPOINTMENTS = 50_000
"""With the two default reminders each."""
ROUNDS = 3
ROWS = Base.metadata.tables["notification"]
CHUNK = 5_000


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    lines = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind, folder) as url:
            lines.append(_measure(kind, url, folder) if url else f"planning {kind}: left out, no server")
    return lines


def _measure(kind: str, url: str, folder: Path) -> str:
    with app_on(url, folder).app_context():
        try:
            lifecycle.migrate_all(PLUGINS)
            tenant = make_tenant("bench")
            ids = _appointments(tenant)
            planned, bare = [], []
            for _ in range(ROUNDS):
                settle(url)
                planned.append(_plan(tenant, ids))
                rows = _take_rows()
                settle(url)
                bare.append(_insert(rows))
                _take_rows()
        finally:
            close_database()
    ours, theirs = statistics.median(planned), statistics.median(bare)
    return (
        f"planning {kind}: {len(ids) * 2} reminders at {ours:.0f}/s, bare INSERT of the same rows {theirs:.0f}/s:"
        f" {ours / theirs:.2f} (wanted >= 0.5), medians of {ROUNDS} alternating rounds"
    )


def _appointments(tenant: int) -> list[int]:
    with work(tenant) as session:
        client, service = make_client(session).id, make_service(session).id
        professional = make_professional(session).id
        branch = session.scalars(select(Branch.id)).one()
    day = utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(days=10)
    for first in range(0, APPOINTMENTS, CHUNK):
        rows = []
        for number in range(first, first + CHUNK):
            start = day + timedelta(minutes=30 * number)
            end = start + timedelta(minutes=30)
            rows.append(
                {
                    "client_id": client,
                    "service_id": service,
                    "professional_id": professional,
                    "branch_id": branch,
                    "start": start,
                    "end": end,
                    "blocked_from": start,
                    "blocked_until": end,
                }
            )
        with work(tenant) as session:
            session.execute(insert(Appointment), rows)
    with work(tenant, write=False) as session:
        return list(session.scalars(select(Appointment.id).order_by(Appointment.id)))


def _plan(tenant: int, ids: list[int]) -> float:
    """Plan as the durable job does, in its pieces, each in a unit of its own; return rows a second."""
    started = time.perf_counter()
    for first in range(0, len(ids), replanning.CHUNK):
        with work(tenant) as session:
            replanning.replan(session, ids[first : first + replanning.CHUNK])
    return 2 * len(ids) / (time.perf_counter() - started)


def _take_rows() -> list[dict[str, Any]]:
    """Take every notification away and return them."""
    with system_connection("the rows of a benchmark") as connection:
        columns = [column for column in ROWS.columns if column.name != "id"]
        rows = [dict(row) for row in connection.execute(select(*columns)).mappings()]
        if connection.dialect.name == "postgresql":  # a DELETE looks for each row's repeats, one by one
            connection.exec_driver_sql("TRUNCATE notification CASCADE")
        else:
            connection.execute(delete(ROWS))
        count = connection.execute(select(func.count()).select_from(ROWS)).scalar_one()
    if count:
        raise AssertionError("rows are left")
    return rows


def _insert(rows: list[dict[str, Any]]) -> float:
    started = time.perf_counter()
    for first in range(0, len(rows), CHUNK):
        with system_connection("a bare INSERT to compare with") as connection:
            connection.execute(insert(ROWS), rows[first : first + CHUNK])
    return len(rows) / (time.perf_counter() - started)
