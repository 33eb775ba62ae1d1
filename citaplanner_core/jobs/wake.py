"""Hearing from the database that there is work: waiting for a commit instead of asking again and again.

PostgreSQL tells who listens; SQLite counts commits, and reading that counter takes microseconds and no lock.
"""

from collections.abc import Callable
from threading import Event

import structlog
from sqlalchemy import Engine

from citaplanner_core.database import WAKE_CHANNEL

SQLITE_SECONDS = 0.05
CHECK_CLOSING_SECONDS = 0.2
RECONNECT_SECONDS = 1.0

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
        seen = None
        while not closing.wait(SQLITE_SECONDS):
            now = connection.execute("PRAGMA data_version").fetchone()
            if now != seen:
                seen = now
                woken()
    finally:
        connection.close()
