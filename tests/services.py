"""Which services the tests may use, and which they must have.

`CITAPLANNER_TEST_REQUIRE` lists services whose absence is a failure; without it a missing service only leaves tests
out. `CITAPLANNER_TEST_POSTGRESQL_URL`, `CITAPLANNER_TEST_REDIS_URL` and `CITAPLANNER_TEST_RABBITMQ_URL` say where else
to look.
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
RABBITMQ_URL = "amqp://guest:guest@127.0.0.1:5672//"


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
    return _speaks("Redis", "CITAPLANNER_TEST_REDIS_URL", REDIS_URL, 6379, b"PING\r\n", b"+PONG")


@cache
def rabbitmq() -> Probe:
    """Look for a RabbitMQ that answers AMQP 0-9-1."""
    return _speaks("RabbitMQ", "CITAPLANNER_TEST_RABBITMQ_URL", RABBITMQ_URL, 5672, b"AMQP\x00\x00\x09\x01", b"\x01")


def _speaks(name: str, variable: str, default: str, port: int, said: bytes, answer: bytes) -> Probe:
    url = os.environ.get(variable) or default
    place = urlsplit(url)
    try:
        with socket.create_connection((place.hostname or "127.0.0.1", place.port or port), timeout=2) as link:
            link.sendall(said)
            found = link.recv(64)
    except OSError as error:
        return Probe(None, f"no {name} answers ({_first_line(error)}); start one or set {variable}")
    return Probe(url) if found.startswith(answer) else Probe(None, f"{name} answers {found!r}")


@cache
def chromium() -> Probe:
    """Look for a Chromium on the path, with the driver that tests steer it by."""
    cure = "install your system's packages (Debian, Ubuntu: apt install chromium chromium-driver)"
    if shutil.which("chromedriver") is None:
        return Probe(None, f"there is no chromedriver on the path; {cure}")
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return Probe(path)
    return Probe(None, f"there is no Chromium on the path; {cure}")


PROBES: dict[str, Callable[[], Probe]] = {
    "postgresql": postgresql,
    "redis": redis,
    "rabbitmq": rabbitmq,
    "chromium": chromium,
}


def required() -> frozenset[str]:
    """The services named in `CITAPLANNER_TEST_REQUIRE`. Raises `ServiceMissingError` for one nobody knows."""
    listed = os.environ.get("CITAPLANNER_TEST_REQUIRE", "")
    names = frozenset(name.strip() for name in listed.split(",") if name.strip())
    if unknown := names - PROBES.keys():
        raise ServiceMissingError(
            f"CITAPLANNER_TEST_REQUIRE names {', '.join(sorted(unknown))}; known are {', '.join(PROBES)}"
        )
    return names


def address(name: str) -> str | None:
    """Return where a service answers; None if it is not there.

    Raises `ServiceMissingError` if it is not there although it is required.
    """
    found = PROBES[name]()
    if found.address is None and name in required():
        raise ServiceMissingError(f"{name} is required: {found.trouble}")
    return found.address


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
