"""Detection: under 2 ms with 100,000 clients, at most 1.5 times that of 1,000."""

import random
import time
from pathlib import Path

from sqlalchemy import insert, select

from benchmarks.databases import fresh
from benchmarks.load import median
from benchmarks.prepare import app_on, prepared
from citaplanner_core.booking.models import Client, ClientPhone
from citaplanner_core.database import close_database, db, work
from plugins.chatwoot.matcher import match
from plugins.chatwoot.models import ChatwootConfig

SIZES = (1_000, 100_000)
LOOKUPS = 400
ROUNDS = 5


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    lines = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind, folder) as small, fresh(kind, folder) as large:
            lines.append(_measure(kind, (small, large), folder) if small and large else f"detection {kind}: left out")
    return lines


def _measure(kind: str, urls: tuple[str, str], folder: Path) -> str:
    apps = []
    for url, size in zip(urls, SIZES, strict=True):
        prepared(url, folder, secret="s" * 16)
        app = app_on(url, folder)
        with app.app_context():
            _fill(size)
        apps.append((app, size))
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(ROUNDS):
        for app, size in apps:
            with app.app_context():
                times[size].append(_round(size))
    for app, _ in apps:
        with app.app_context():
            close_database()
    small, large = (median(times[size]) for size in SIZES)
    return (
        f"detection {kind}: {large:.2f} ms with {SIZES[1]:,} clients (wanted < 2),"
        f" {small:.2f} ms with {SIZES[0]:,}; ratio {large / small:.2f} (wanted ≤ 1.5)"
    )


def _number(index: int) -> str:
    return f"+5255{10_000_000 + index * 37 % 89_999_999:08d}"


def _fill(size: int) -> None:
    with work(1) as session:
        for begin in range(0, size, 5_000):
            rows = [{"first_name": f"Cliente {n}"} for n in range(begin, min(begin + 5_000, size))]
            session.execute(insert(Client), [row | {"created_at": _now(), "notes": ""} for row in rows])
        ids = session.scalars(select(Client.id).order_by(Client.id)).all()
        for begin in range(0, size, 5_000):
            phones = [
                {
                    "client_id": client,
                    "raw": _number(n),
                    "e164": _number(n),
                    "match_key": _number(n),
                    "confidence": "high",
                }
                for n, client in enumerate(ids[begin : begin + 5_000], begin)
            ]
            session.execute(insert(ClientPhone), phones)
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


def _now() -> object:
    from citaplanner_core.database import utcnow

    return utcnow()


def _round(size: int) -> float:
    spent = []
    chooser = random.Random(size)  # which numbers are looked up
    for _ in range(LOOKUPS):
        number = _number(chooser.randrange(size))
        contact = {
            "id": chooser.randrange(10**6),
            "phone_number": f"+521{number[3:]}",
            "identifier": None,
            "email": None,
        }
        source = {"source_id": f"521{number[3:]}", "contact_id": contact["id"]}
        conversation = {
            "channel": "Channel::Whatsapp",
            "inbox_id": 1,
            "contact_inbox": source,
            "meta": {"sender": contact},
        }
        with work(1, write=False) as session:
            account = session.scalars(select(ChatwootConfig)).one()
            begin = time.perf_counter()
            found = match(session, account=account, contact=contact, conversation=conversation)
            spent.append((time.perf_counter() - begin) * 1000)
            assert found.outcome == "linked", found
    return median(spent)
