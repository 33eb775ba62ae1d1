"""From commit to the request leaving for Chatwoot: p95 under 500 ms at 10 bookings/s; two API calls a message."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import requests
from sqlalchemy import select

from benchmarks.databases import fresh
from benchmarks.load import Result
from benchmarks.prepare import app_on, prepared, stand_in, start_worker, until
from citaplanner_core.booking.appointments import book
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import close_database, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.testing.factories import make_client, make_professional, make_service
from plugins.chatwoot.demo import connect_to_sandbox

RATE = 10
SECONDS = 30
CLIENTS = 20


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    lines = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind, folder) as url:
            lines.append(_measure(kind, url, folder) if url else f"wake {kind}: left out, no server")
    return lines


def _measure(kind: str, url: str, folder: Path) -> str:
    prepared(url, folder, secret="s" * 16)
    with stand_in() as sandbox:
        worker = start_worker(url, folder)
        try:
            with app_on(url, folder).app_context():
                lifecycle.enable("chatwoot", 1)
                connect_to_sandbox(1, sandbox=sandbox, web="http://127.0.0.1:9")
                try:
                    return _book(kind, sandbox)
                finally:
                    close_database()
        finally:
            worker.terminate()
            worker.wait()


def _book(kind: str, sandbox: str) -> str:
    with work(1) as session:
        branch = session.scalars(select(Branch.id)).first() or 0
        clients = [make_client(session).id for _ in range(CLIENTS)]
        service, professionals = make_service(session).id, [make_professional(session).id for _ in range(CLIENTS)]
    day = utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(days=30)

    def one(number: int) -> float:
        with work(1) as session:
            book(
                session,
                client_id=clients[number % CLIENTS],
                service_id=service,
                professional_id=professionals[number % CLIENTS],
                branch_id=branch,
                start=day + timedelta(hours=number // CLIENTS),
            )
        return time.time()

    for number in range(CLIENTS):
        one(number)
    until(lambda: _said(sandbox) >= CLIENTS, seconds=60)
    before, calls_before = _said(sandbox), len(_calls(sandbox))
    committed, begin, count = [], time.time(), RATE * SECONDS
    for number in range(count):
        time.sleep(max(0.0, begin + number / RATE - time.time()))
        committed.append(one(CLIENTS + number))
    until(lambda: _said(sandbox) >= before + count, seconds=60)
    calls = _calls(sandbox)[calls_before:]
    posts = sorted(
        datetime.fromisoformat(str(call["at"])).timestamp()
        for call in calls
        if call["method"] == "POST" and str(call["path"]).endswith("/messages")
    )
    syncs = sum(call["method"] == "PUT" for call in calls)
    # Bookings are 100 ms apart and each is told once: the n-th message belongs to the n-th booking.
    waited = Result(tuple((left - at) * 1000 for at, left in zip(committed, posts, strict=True)), RATE, 0)
    return (
        f"wake {kind}: commit to the message's request p50 {waited.percentile(0.5):.0f} ms,"
        f" p95 {waited.percentile(0.95):.0f} ms (wanted < 500), max {max(waited.latencies):.0f} ms,"
        f" at {RATE} bookings/s; {(len(calls) - syncs) / count:.2f} API calls a message"
        f" (wanted ≤ 2), and {syncs / count:.2f} to show the new appointment to agents"
    )


def _said(sandbox: str) -> int:
    found = requests.get(f"{sandbox}/sandbox/messages", timeout=10).json()
    return sum(message["direction"] == "outgoing" and not message["private"] for message in found)


def _calls(sandbox: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = requests.get(f"{sandbox}/sandbox/requests", timeout=10).json()
    return found
