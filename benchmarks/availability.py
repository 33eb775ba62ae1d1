"""A month of slots for 20 professionals with 5,000 appointments: under 50 ms, always the same number of queries."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, select

from benchmarks.databases import fresh
from benchmarks.load import median
from benchmarks.prepare import PLUGINS, app_on
from citaplanner_core.booking.availability import find_slots
from citaplanner_core.booking.hours import WorkingHours
from citaplanner_core.booking.models import LIVE_STATES, Appointment, Branch
from citaplanner_core.database import close_database, db, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.testing.factories import make_client, make_professional, make_service, make_tenant

PEOPLE = 20
APPOINTMENTS = 5_000
DAYS = 31
ROUNDS = 15


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    lines = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind, folder) as url:
            lines.append(_measure(kind, url, folder) if url else f"availability {kind}: left out, no server")
    return lines


def _measure(kind: str, url: str, folder: Path) -> str:
    with app_on(url, folder).app_context():
        try:
            lifecycle.migrate_all(PLUGINS)
            tenant = make_tenant("bench")
            service, branch = _furnish(tenant)
            first = utcnow().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

            def slots() -> int:
                with work(tenant, write=False) as session:
                    end = first + timedelta(days=DAYS)
                    return len(find_slots(session, service_id=service, branch_id=branch, start=first, end=end))

            def rows() -> int:
                with work(tenant, write=False) as session:
                    columns = (Appointment.professional_id, Appointment.blocked_from, Appointment.blocked_until)
                    return len(session.execute(select(*columns).where(Appointment.status.in_(LIVE_STATES))).all())

            ours, used, bare = [], [], []
            for _ in range(ROUNDS):
                processor = time.process_time()
                ours.append(timed(slots))
                used.append((time.process_time() - processor) * 1000)
                bare.append(timed(rows))
            with counted() as statements:
                found = slots()
            return (
                f"availability {kind}: {found} slots of {DAYS} days, {PEOPLE} professionals, {rows():,} appointments in"
                f" {median(ours):.0f} ms, {median(used):.0f} ms of processor (wanted < 50), {len(statements)} queries;"
                f" reading those appointments alone {median(bare):.0f} ms; medians of {ROUNDS} alternating rounds"
            )
        finally:
            close_database()


def timed(call: Callable[[], object]) -> float:
    """Return how many milliseconds a call takes."""
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the statements of the block."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def _furnish(tenant: int) -> tuple[int, int]:
    """Open every day from 9 to 19, half of the staff with hours of their own; return a service and the branch."""
    with work(tenant) as session:
        branch = session.scalars(select(Branch.id)).one()
        service = make_service(session, duration_minutes=30, buffer_after_minutes=5).id
        people = [make_professional(session).id for _ in range(PEOPLE)]
        client = make_client(session).id
        for person in (None, *people[::2]):
            for weekday in range(7):
                for opens, closes in ((9, 14), (15, 19)):
                    hours = {"weekday": weekday, "from_minute": opens * 60, "until_minute": closes * 60}
                    session.add(WorkingHours(branch_id=branch, professional_id=person, **hours))
        day = utcnow().replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=1)
        session.execute(
            insert(Appointment), [_row(day, n, people, client, service, branch) for n in range(APPOINTMENTS)]
        )
        return service, branch


def _row(day: datetime, number: int, people: list[int], client: int, service: int, branch: int) -> dict[str, Any]:
    turn, person = divmod(number, PEOPLE)
    start = day + timedelta(days=turn % DAYS, minutes=60 * (turn // DAYS))
    return {
        "client_id": client,
        "service_id": service,
        "professional_id": people[person],
        "branch_id": branch,
        "start": start,
        "end": start + timedelta(minutes=30),
        "blocked_from": start,
        "blocked_until": start + timedelta(minutes=35),
    }
