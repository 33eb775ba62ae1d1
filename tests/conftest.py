"""Databases, apps and tenants for every test."""

import copy
import functools
import gc
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Config, Flask
from hypothesis import settings
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from citaplanner_core.app import create_app
from citaplanner_core.database import close_database, db
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.registry import EXTENSION as REGISTRY
from citaplanner_core.hooks.registry import Registry
from citaplanner_core.logs import configure_logging
from citaplanner_core.testing.factories import make_tenant
from tests.services import postgresql

TEST_KEY = "a-key-for-tests-only-0123456789"
ENGINES = ["sqlite", *(["postgresql"] if postgresql().address else [])]
ON_POSTGRESQL = [name for name in ENGINES if name == "postgresql"]
"""For tests of what only PostgreSQL has: none, where it is absent and not required."""

PLUGINS = ("chatwoot", "email")
CHANGED_BY_TESTS = ("core_channels", "core_listeners", "troubles", "channels", "settings")

settings.register_profile("long", max_examples=4000)
"""`--hypothesis-profile=long`: forty times as many where a test does not say how many."""


def pytest_configure() -> None:
    """No setting of the person running the tests may reach them, nor a deafness to Ctrl-C that they started with."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith(("CITAPLANNER_", "CHATWOOT_", "SMTP_"))]:
        if not name.startswith("CITAPLANNER_TEST_"):
            del os.environ[name]
    for name in ("HOST", "PORT"):
        os.environ.pop(name, None)


def pytest_collection_finish() -> None:
    """What is there now stays to the end: looking through it for garbage took a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Give, per engine, the URL of a migrated database: a SQLite file to copy, a PostgreSQL one to empty after use."""
    made: list[str] = []

    @functools.cache
    def make(engine: str) -> str:
        folder = tmp_path_factory.mktemp(f"migrated-{engine}")
        name = f"citaplanner_test_{uuid.uuid4().hex[:12]}"
        url = f"sqlite:///{folder / 'template.db'}" if engine == "sqlite" else _create_database(name)
        app = create_app(_settings(url, folder))
        with app.app_context():
            lifecycle.migrate_all(PLUGINS)
            close_database()
        if engine != "sqlite":
            made.append(name)
        return url

    yield make
    for name in made:
        _drop_database(name)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """`sqlite`, and `postgresql` where a server is there."""
    name: str = request.param
    return name


@pytest.fixture
def database_url(engine: str, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    name = f"citaplanner_test_{uuid.uuid4().hex[:12]}"
    yield _create_database(name)
    _drop_database(name)


@pytest.fixture
def migrated_url(engine: str, migrated: Callable[[str], str]) -> Iterator[str]:
    """A database with the tables of the core and of our plugins, and no rows but those of the plugins' installation.

    Its URL is the same for every test of a process, so that apps and engines can serve more than one test.
    """
    url = migrated(engine)
    if engine == "sqlite":
        template = Path(make_url(url).database or "")
        for leftover in template.parent.glob("test.db*"):
            leftover.unlink()
        yield f"sqlite:///{shutil.copy(template, template.with_name('test.db'))}"
        return
    yield url
    _empty(url)


def _empty(url: str) -> None:
    """Take every row away and let ids start from 1 again: far quicker than a new database for each test."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        tables = [
            table
            for table in connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
            if not table.startswith(("alembic_version", "installed_plugin"))
        ]
        held = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables)
        filled = connection.scalars(text(held)).all() if held else []
        for table in sorted(filled, key=lambda name: name != "tenant"):  # most goes with its tenant
            connection.execute(text(f"DELETE FROM {table}"))
            connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)"))
    engine.dispose()


def _admin(statement: str) -> None:
    server = postgresql().address
    assert server is not None
    admin = create_engine(make_url(server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()


def _create_database(name: str) -> str:
    _admin(f"CREATE DATABASE {name}")
    _admin(f"ALTER DATABASE {name} SET synchronous_commit = off")  # no test takes the server's power away
    server = postgresql().address
    assert server is not None
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _drop_database(name: str) -> None:
    _admin(f"DROP DATABASE {name} WITH (FORCE)")


def _settings(url: str, folder: Path) -> dict[str, object]:
    return {
        "database_url": url,
        "plugins": PLUGINS,
        "secret_key": TEST_KEY,
        "instance_path": folder / "instance",
        "allowed_private_hosts": ("127.0.0.1", "localhost"),
        "public_url": "https://citas.example",
    }


@pytest.fixture(scope="session")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Flask]:
    """Give the app for a database; making one, and compiling its statements anew, takes longer than most tests."""
    return functools.cache(lambda url: create_app(_settings(url, tmp_path_factory.mktemp("app"))))


@pytest.fixture
def app(migrated_url: str, make_app: Callable[[str], Flask]) -> Iterator[Flask]:
    """An app with all tables and our plugins; its context is open. What a test changes of it is undone."""
    made = make_app(migrated_url)
    configure_logging("INFO")  # to where standard error is now
    plugins: Registry = made.extensions[REGISTRY]
    kept = {name: copy.copy(getattr(plugins, name)) for name in CHANGED_BY_TESTS}
    extensions, config = dict(made.extensions), dict(made.config)
    with made.app_context():
        try:
            yield made
        finally:
            db.session.remove()
            close_database()
            for name, value in kept.items():
                setattr(plugins, name, value)
            made.extensions, made.config = extensions, Config(made.root_path, config)


@pytest.fixture
def tenant(app: Flask) -> int:
    """The id of a tenant with one branch."""
    return make_tenant("clinic")
