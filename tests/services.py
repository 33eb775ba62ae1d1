"""Which services the tests may use, and which they must have.

`CITAPLANNER_TEST_REQUIRE` lists services whose absence is a failure; without it a missing service only leaves
tests out. `CITAPLANNER_TEST_POSTGRESQL_URL` and `CITAPLANNER_TEST_REDIS_URL` say where else to look.
"""

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

POSTGRESQL_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
REDIS_URL = "redis://127.0.0.1:6379/0"


class ServiceMissingError(Exception):
    """A required service is not there, or a service is required that nobody knows."""


@dataclass(frozen=True)
class Probe:
    """Where a service answers, or else (`address` is None) why it does not and how to add it."""

    address: str | None
    trouble: str = ""


@cache
def postgresql() -> Probe:
    """Look for a PostgreSQL whose login may create databases."""
    url = os.environ.get("CITAPLANNER_TEST_POSTGRESQL_URL") or POSTGRESQL_URL
    cure = (
        "to add it, start one at 127.0.0.1:5432 that lets postgres in without a password, or name one"
        " whose login may create databases: CITAPLANNER_TEST_POSTGRESQL_URL=postgresql+psycopg://login@host:port/postgres"
    )
    try:
        engine = create_engine(url, connect_args={"connect_timeout": 2})
        with engine.connect() as connection:
            allowed = connection.scalar(
                text("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            )
        engine.dispose()
    except (SQLAlchemyError, ImportError, TypeError) as error:
        return Probe(None, f"no PostgreSQL answers ({_first_line(error)}); {cure}")
    return Probe(url) if allowed else Probe(None, f"the PostgreSQL login may not create databases; {cure}")


@cache
def redis() -> Probe:
    """Look for a Redis that answers PING."""
    url = os.environ.get("CITAPLANNER_TEST_REDIS_URL") or REDIS_URL
    place = urlsplit(url)
    try:
        with socket.create_connection((place.hostname or "127.0.0.1", place.port or 6379), timeout=2) as link:
            link.sendall(b"PING\r\n")
            answer = link.recv(64)
    except OSError as error:
        return Probe(None, f"no Redis answers ({_first_line(error)}); start one or set CITAPLANNER_TEST_REDIS_URL")
    return Probe(url) if answer.startswith(b"+PONG") else Probe(None, f"Redis answers {answer!r}")


@cache
def chromium() -> Probe:
    """Look for a Chromium on the path."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return Probe(path)
    return Probe(None, "there is no Chromium on the path; install your system's package")


PROBES: dict[str, Callable[[], Probe]] = {"postgresql": postgresql, "redis": redis, "chromium": chromium}


def required() -> frozenset[str]:
    """The services named in `CITAPLANNER_TEST_REQUIRE`. Raises `ServiceMissingError` for one nobody knows."""
    listed = os.environ.get("CITAPLANNER_TEST_REQUIRE", "")
    names = frozenset(name.strip() for name in listed.split(",") if name.strip())
    if unknown := names - PROBES.keys():
        raise ServiceMissingError(
            f"CITAPLANNER_TEST_REQUIRE names {', '.join(sorted(unknown))}; known are {', '.join(PROBES)}"
        )
    return names


def postgresql_url() -> str | None:
    """SQLAlchemy URL of a database from which others can be created; None if there is no PostgreSQL.

    Raises `ServiceMissingError` if there is none although it is required.
    """
    found = postgresql()
    if found.address is None and "postgresql" in required():
        raise ServiceMissingError(f"PostgreSQL is required: {found.trouble}")
    return found.address


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
