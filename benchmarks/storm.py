"""Workers killed at random while a receiver misbehaves: what was lost, what came twice, and was that reported?"""

import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, insert, select

from benchmarks.receiver import CHANNEL, Nursery, call, flush, make_app, serving
from citaplanner_core.database import close_database, db, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.notifications.models import Delivery, Notification
from citaplanner_core.testing.factories import make_client, make_tenant

WORKERS = 2
CLIENTS = 25
STUCK_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """`doubled` and `unreported` count messages that came more than once, and those of them no delivery admits."""

    rows: int
    lost: int
    doubled: int
    unreported: int
    statuses: dict[str, int]
    kills: int
    seconds: float

    @property
    def whole(self) -> bool:
        """Nothing lost, everything sent, every repeat reported."""
        return self.lost == self.unreported == 0 and self.statuses == {"SENT": self.rows}


def storm(
    url: str,
    folder: str,
    *,
    seed: int,
    kills: int,
    rows: int,
    asks: bool,
    faults: float,
    pause: float = 0.5,
    broker: str = "",
) -> Outcome:
    """Send `rows` messages by two workers of which one is killed about every `pause` seconds.

    With a `broker` they are Celery's, and it loses all its messages once in the middle; on PostgreSQL all connections
    are ended then, too. Raises TimeoutError when it gets stuck.
    """
    chance = random.Random(seed)
    begin = time.monotonic()
    with serving(delay=0.01, faults=faults, seed=seed) as port:
        app = make_app(url, folder, port, asks=asks)
        nursery = Nursery(url, folder, port, asks=asks, broker=broker)
        try:
            with app.app_context():
                lifecycle.migrate_all(())
                tenant = fill(rows)
                for _ in range(WORKERS):
                    nursery.start()
                for number in range(kills):
                    time.sleep(pause * chance.uniform(0.2, 1.8))
                    nursery.kill(chance.choice(nursery.alive))
                    nursery.start()
                    if number == kills // 2:
                        break_connections()
                        if broker:
                            flush(broker, port)
                _settle(tenant)
                return _judge(tenant, port, rows, kills, time.monotonic() - begin)
        finally:
            nursery.close()
            with app.app_context():
                close_database()


def fill(rows: int, *, due: timedelta = timedelta(0)) -> int:
    """Make a tenant with this many messages waiting for the receiver, and return its id."""
    tenant = make_tenant("storm")
    with work(tenant) as session:
        clients = [make_client(session).id for _ in range(CLIENTS)]
        now = utcnow()
        for begin in range(0, rows, 5000):
            session.execute(
                insert(Notification),
                [
                    {
                        "type": "PAYMENT_REMINDER",
                        "recipient_id": clients[number % CLIENTS],
                        "channel": CHANNEL,
                        "lane": CHANNEL,
                        "message": "Hola {cliente}",
                        "dedupe_key": f"storm:{number}",
                        "due": now + due,
                    }
                    for number in range(begin, min(begin + 5000, rows))
                ],
            )
    return tenant


def break_connections() -> None:
    """End every connection to the database, as its restart would; SQLite has none."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def statuses_of(tenant: int) -> dict[str, int]:
    """Return how many notifications there are of each status."""
    with work(tenant, write=False) as session:
        found = session.execute(select(Notification.status, func.count()).group_by(Notification.status))
        return {row[0]: row[1] for row in found}


def _settle(tenant: int) -> None:
    seen, since = None, time.monotonic()
    while (found := statuses_of(tenant)).keys() & {"PENDING", "SENDING"}:
        if found != seen:
            seen, since = found, time.monotonic()
        if time.monotonic() - since > STUCK_SECONDS:
            raise TimeoutError(f"nothing moves any more: {found}")
        time.sleep(0.2)


def _judge(tenant: int, port: int, rows: int, kills: int, seconds: float) -> Outcome:
    counts: Counter[str] = Counter(call(port, "GET", "/counts")[1])
    with work(tenant, write=False) as session:
        ids = session.scalars(select(Notification.id)).all()
        admitted = set(session.scalars(select(Delivery.notification_id).where(Delivery.possible_repeat)))
    came = {number: counts[f"{tenant}-{number}-{CHANNEL}"] for number in ids}
    return Outcome(
        rows=rows,
        lost=sum(count == 0 for count in came.values()),
        doubled=sum(count > 1 for count in came.values()),
        unreported=sum(count > 1 and number not in admitted for number, count in came.items()),
        statuses=statuses_of(tenant),
        kills=kills,
        seconds=round(seconds, 1),
    )
