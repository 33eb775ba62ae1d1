"""Booking: at least 0.3 of the bare transaction (one select, two inserts), always as many statements, no deadlock.

One after the other, and with 50 clients at once for the same few professionals.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import insert, select, text

from benchmarks.availability import counted
from benchmarks.databases import KEY, fresh, settle
from benchmarks.load import median
from benchmarks.prepare import PLUGINS
from citaplanner_core.app import create_app
from citaplanner_core.booking.appointments import book
from citaplanner_core.booking.models import Branch, Professional
from citaplanner_core.database import Base, close_database, system_connection, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.testing.factories import make_client, make_professional, make_service, make_tenant

ROUNDS = 5
ALONE = 100
CLIENTS = 50
EACH = 6
PEOPLE = 5


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    lines = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind, folder) as url:
            lines += _measure(kind, url, folder) if url else [f"booking {kind}: left out, no server"]
    return lines


def _measure(kind: str, url: str, folder: Path) -> list[str]:
    settings = {"database_url": url, "secret_key": KEY, "plugins": PLUGINS, "log_level": "ERROR"}
    app = create_app({**settings, "instance_path": folder / "instance", "worker_threads": CLIENTS})
    with app.app_context():
        try:
            lifecycle.migrate_all(PLUGINS)
            tenant = make_tenant("bench")
            with work(tenant) as session:
                people = [make_professional(session).id for _ in range(PEOPLE)]
                ids: dict[str, Any] = {"client_id": make_client(session).id, "service_id": make_service(session).id}
                ids["branch_id"] = session.scalars(select(Branch.id)).one()
            turns = count()
            first = utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)

            def when() -> dict[str, Any]:
                turn, person = divmod(next(turns), PEOPLE)
                return {"professional_id": people[person], "start": first + timedelta(minutes=30) * turn}

            def ours() -> None:
                with work(tenant) as session:
                    book(session, **ids, **when(), booked_by="client")

            def bare() -> None:
                _bare(tenant, ids, when())

            once, again = (_statements(ours) for _ in range(2))
            alone = _compare(url, lambda: _repeat(ours, ALONE), lambda: _repeat(bare, ALONE))
            crowd = _compare(url, lambda: _at_once(app, ours), lambda: _at_once(app, bare))
            deadlocks = _deadlocks(url)
        finally:
            close_database()
    stated = f"{once} statements each time" if once == again else f"{once} statements, then {again}"
    return [
        f"booking {kind}: one client {_told(alone)}; {stated}",
        f"booking {kind}: {CLIENTS} clients, {PEOPLE} professionals {_told(crowd)}; {deadlocks} deadlocks (wanted 0)",
    ]


def _statements(call: Callable[[], None]) -> int:
    """How many a booking makes; the word to the workers, after the commit on a connection of its own, is none of it."""
    with counted() as statements:
        call()
    return sum("NOTIFY" not in statement for statement in statements)


def _told(rates: tuple[float, float]) -> str:
    ours, bare = rates
    return (
        f"{ours:.0f}/s, bare transaction {bare:.0f}/s: {ours / bare:.2f} (wanted >= 0.3),"
        f" medians of {ROUNDS} alternating rounds"
    )


def _compare(url: str, ours: Callable[[], float], bare: Callable[[], float]) -> tuple[float, float]:
    mine, theirs = [], []
    for _ in range(ROUNDS):
        settle(url)
        mine.append(ours())
        settle(url)
        theirs.append(bare())
    return median(mine), median(theirs)


def _repeat(call: Callable[[], None], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return times / (time.perf_counter() - begin)


def _at_once(app: Flask, call: Callable[[], None]) -> float:
    """Let the clients call, each in its thread; raise what any of them met."""
    met: list[BaseException] = []

    def client() -> None:
        try:
            with app.app_context():
                for _ in range(EACH):
                    call()
        except BaseException as error:
            met.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if met:
        raise met[0]
    return CLIENTS * EACH / (time.perf_counter() - begin)


def _bare(tenant: int, ids: dict[str, Any], when: dict[str, Any]) -> None:
    """What no booking can do without, as plain statements: see that the time is free, write it, write that."""
    start, person = when["start"], when["professional_id"]
    end, tables = start + timedelta(minutes=30), Base.metadata.tables
    with system_connection("a bare transaction to compare with") as connection:
        connection.execute(select(Professional.id).where(Professional.id == person))
        row = {**ids, **when, "tenant_id": tenant, "end": end, "blocked_from": start, "blocked_until": end}
        made = connection.execute(insert(tables["appointment"]).values(row)).inserted_primary_key
        assert made is not None
        change = {"tenant_id": tenant, "appointment_id": made[0], "event": "booked", "by": "client"}
        connection.execute(insert(tables["appointment_change"]).values(change))


def _deadlocks(url: str) -> int:
    if url.startswith("sqlite"):
        return 0
    with system_connection("what the server counted") as connection:
        found = connection.execute(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
        return int(found.scalar_one())
