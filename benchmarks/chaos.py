"""Workers killed at random: no message lost, none sent twice where the other side can be asked.

`python -m benchmarks.chaos --seed N --kills N [--rows N] [--provider receiver|deaf|chatwoot] [--database …]
[--broker URL]`. The `receiver` counts, misbehaves and can be asked; `deaf` cannot be, so that repeats are possible and
must be reported; `chatwoot` books appointments and tells clients through the stand-in for Chatwoot, which keeps our
keys.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import requests
from sqlalchemy import select

from benchmarks.databases import fresh
from benchmarks.prepare import app_on, prepared, stand_in, start_worker, until
from benchmarks.storm import storm
from citaplanner_core.booking.appointments import book
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import close_database, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import make_client, make_professional, make_service
from plugins.chatwoot.demo import connect_to_sandbox

WORKERS = 2
CLIENTS = 25
SETTLE_SECONDS = 240
FAULTS = 0.03
"""Share of calls that go wrong at the receiver."""


def main(arguments: list[str] | None = None) -> int:
    """Run, print what was seen, and return 0 when nothing was lost or doubled unseen."""
    parser = argparse.ArgumentParser(description="Kill workers at random while messages leave.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--provider", choices=["receiver", "deaf", "chatwoot"], default="receiver")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--broker", default="", help="let Celery carry them over this broker: redis://127.0.0.1/9")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, fresh(given.database, Path(name)) as url:
        if url is None:
            print("no PostgreSQL answers: use --database sqlite")
            return 1
        if given.provider == "chatwoot":
            return _run(url, Path(name), given.seed, given.kills)
        asks = given.provider == "receiver"
        chosen = {"seed": given.seed, "kills": given.kills, "rows": given.rows, "broker": given.broker}
        found = storm(url, name, asks=asks, faults=FAULTS, **chosen)
        print(f"chaos seed {given.seed}, {'celery' if given.broker else 'embedded'}, {given.provider}: {found}")
        return 0 if found.whole and not (asks and found.doubled) else 1


def _run(url: str, folder: Path, seed: int, kills: int) -> int:
    chance = random.Random(seed)  # repeatable on purpose
    prepared(url, folder, secret="s" * 16)
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        workers.append(start_worker(url, folder))

    with stand_in() as sandbox, app_on(url, folder).app_context():
        try:
            lifecycle.enable("chatwoot", 1)
            connect_to_sandbox(1, sandbox=sandbox, web="http://127.0.0.1:9")
            for _ in range(WORKERS):
                start()
            booked = _book_while_killing(chance, kills, workers, start)
            until(lambda: _waiting() == 0, seconds=SETTLE_SECONDS)
            return _judge(sandbox, booked, seed, kills)
        finally:
            for process in workers:
                process.kill()
                process.wait()
            close_database()


def _book_while_killing(
    chance: random.Random, kills: int, workers: list[subprocess.Popen[bytes]], start: Callable[[], None]
) -> int:
    with work(1) as session:
        branch = session.scalars(select(Branch.id)).first() or 0
        clients = [make_client(session).id for _ in range(CLIENTS)]
        service, professionals = make_service(session).id, [make_professional(session).id for _ in range(CLIENTS)]
    day = utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(days=30)
    booked = 0
    for _ in range(kills):
        for _ in range(chance.randint(2, 6)):
            with work(1) as session:
                book(
                    session,
                    client_id=clients[booked % CLIENTS],
                    service_id=service,
                    professional_id=professionals[booked % CLIENTS],
                    branch_id=branch,
                    start=day + timedelta(hours=booked // CLIENTS),
                )
            booked += 1
        time.sleep(chance.uniform(0.0, 0.15) if chance.random() < 0.7 else chance.uniform(0.3, 2.0))
        victim = workers.pop(chance.randrange(len(workers)))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        start()
    return booked


def _waiting() -> int:
    with work(1, write=False) as session:
        open_ones = select(Notification.id).where(
            Notification.rule == "confirmation", Notification.status.in_(("PENDING", "SENDING"))
        )
        return len(session.scalars(open_ones).all())


def _judge(sandbox: str, booked: int, seed: int, kills: int) -> int:
    found = requests.get(f"{sandbox}/sandbox/messages", timeout=30).json()
    keys = Counter(
        message["content_attributes"].get("citaplanner_key")
        for message in found
        if message["direction"] == "outgoing" and not message["private"]
    )
    with work(1, write=False) as session:
        statuses = Counter(
            session.scalars(select(Notification.status).where(Notification.rule == "confirmation")).all()
        )
    contacts = len(requests.get(f"{sandbox}/sandbox/contacts", timeout=30).json())
    doubled, lost = sum(count - 1 for count in keys.values()), booked - len(keys)
    print(
        f"chaos seed {seed}: {kills} kills, {booked} booked, {len(keys)} told, {lost} lost, {doubled} doubled,"
        f" {contacts} contacts for {CLIENTS} clients; statuses {dict(statuses)}"
    )
    return 0 if lost == doubled == 0 and statuses == {"SENT": booked} else 1


if __name__ == "__main__":
    sys.exit(main())
