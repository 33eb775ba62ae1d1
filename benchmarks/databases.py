"""Fresh databases to measure on: SQLite, and PostgreSQL where a server is there."""

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from citaplanner_core.jobs import wake

SERVER = os.environ.get("CITAPLANNER_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
KEY = "a-key-for-benchmarks-0123456789"


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str | None]:
    """Yield the URL of an empty database of this kind, None when there is no server."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / (uuid.uuid4().hex + '.db')}"
        return
    name = f"citaplanner_bench_{uuid.uuid4().hex[:10]}"
    admin = create_engine(SERVER, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})
    try:
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError:
        yield None
        return
    try:
        yield make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def settle(url: str) -> None:
    """Leave no work of one side for the other to do: SQLite's log of changes is written into its file."""
    if url.startswith("sqlite"):
        with closing(_sqlite(url)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def checkpoints(url: str) -> Iterator[None]:
    """Do meanwhile what a worker does for SQLite beside its work, see `citaplanner_core/jobs/wake.py`."""
    done = threading.Event()

    def write() -> None:
        with closing(_sqlite(url)) as connection:
            while not done.wait(wake.CHECKPOINT_SECONDS):
                connection.execute(wake.CHECKPOINT).fetchone()

    threads = [threading.Thread(target=write)] if url.startswith("sqlite") else []
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _sqlite(url: str) -> sqlite3.Connection:
    return sqlite3.connect(make_url(url).database or "", isolation_level=None)
