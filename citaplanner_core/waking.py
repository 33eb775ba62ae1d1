"""Telling the workers on PostgreSQL that there is work, once for all commits of some milliseconds.

Not inside the transactions: a commit that notifies holds a lock of the whole server until it is on disk, so that all of
them would queue. What a crash in between loses is found by the worker's next look.
"""

import threading
import time

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

WAKE_CHANNEL = "citaplanner_wake"
GATHER_SECONDS = 0.005

log = structlog.get_logger()
_lock = threading.Lock()
_gathering: set[Engine] = set()
_threads: set[threading.Thread] = set()


def wake_soon(engine: Engine) -> None:
    """Have the workers told, in some milliseconds. Nothing to do on SQLite, whose commits they count."""
    if engine.dialect.name == "sqlite":
        return
    with _lock:
        if engine in _gathering:
            return
        _gathering.add(engine)
        thread = threading.Thread(target=_tell, args=(engine,), name="wake-workers")
        _threads.add(thread)
        thread.start()


def finish_waking() -> None:
    """Wait until they were told of all that is committed. For whoever disposes of an engine."""
    for thread in list(_threads):
        thread.join()


def _tell(engine: Engine) -> None:
    time.sleep(GATHER_SECONDS)
    with _lock:
        _gathering.discard(engine)
    try:
        with engine.connect() as connection:  # together: one journey, and the lock is not held until it is on disk
            connection.exec_driver_sql(f"SET LOCAL synchronous_commit TO off; NOTIFY {WAKE_CHANNEL}")
            connection.commit()
    except SQLAlchemyError as error:
        log.warning("workers_not_woken", error=type(error).__name__)
    finally:
        _threads.discard(threading.current_thread())
