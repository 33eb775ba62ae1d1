"""Hearing from the database that there is work: waiting for a commit instead of asking again and again.

PostgreSQL tells who listens; SQLite counts commits, and reading that counter takes microseconds and no lock. On SQLite
the same thread writes the log of changes into the database file, so that no commit has to (see `database.py`).
"""

import time
from collections.abc import Callable
from threading import Event

import structlog
from sqlalchemy import Engine

from citaplanner_core.waking import WAKE_CHANNEL

SQLITE_SECONDS = 0.05
CHECK_CLOSING_SECONDS = 0.2
RECONNECT_SECONDS = 1.0
CHECKPOINT_SECONDS = 0.5

CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
"""Waits for nobody, and nobody waits for it (https://www.sqlite.org/c3ref/wal_checkpoint_v2.html)."""

log = structlog.get_logger()


def listen(engine: Engine, woken: Callable[[], None], closing: Event) -> None:
    """Call `woken` after each commit that asked for it (SQLite: after any) until `closing` is set.

    Holds one connection of its own, and connects again when it breaks. Meant for a thread of its own.
    """
    wait = _notifications if engine.dialect.name == "postgresql" else _data_version
    while not closing.is_set():
        try:
            wait(engine, woken, closing)
        except engine.dialect.loaded_dbapi.Error as error:
            log.warning("wake_connection_lost", error=type(error).__name__)
            closing.wait(RECONNECT_SECONDS)


def _notifications(engine: Engine, woken: Callable[[], None], closing: Event) -> None:
    arguments, options = engine.dialect.create_connect_args(engine.url)
    with engine.dialect.loaded_dbapi.connect(*arguments, **options, autocommit=True) as connection:
        connection.execute(f"LISTEN {WAKE_CHANNEL}")
        woken()  # for what was committed before we listened
        while not closing.is_set():
            for _ in connection.notifies(timeout=CHECK_CLOSING_SECONDS, stop_after=1):
                woken()


def _data_version(engine: Engine, woken: Callable[[], None], closing: Event) -> None:
    if engine.url.database in (None, "", ":memory:"):
        closing.wait()
        return
    arguments, options = engine.dialect.create_connect_args(engine.url)
    connection = engine.dialect.loaded_dbapi.connect(*arguments, **options)
    try:
        seen = written = None
        written_at = time.monotonic()
        while not closing.wait(SQLITE_SECONDS):
            now = connection.execute("PRAGMA data_version").fetchone()
            if now != seen:
                seen = now
                woken()
            if now != written and time.monotonic() - written_at >= CHECKPOINT_SECONDS:
                written, written_at = now, time.monotonic()
                connection.execute(CHECKPOINT).fetchone()
    finally:
        connection.close()
