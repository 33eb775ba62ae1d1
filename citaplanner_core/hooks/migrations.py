"""Migrations: one env, one Alembic version table per owner (the core, or a plugin).

A plugin that is missing never blocks the core, since neither its revisions nor its tables are looked at.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alembic.command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import Flask, current_app
from flask_migrate import Migrate
from sqlalchemy import Connection, DateTime, inspect, text
from sqlalchemy.types import TypeDecorator

from citaplanner_core.database import db
from citaplanner_core.hooks.manifest import Manifest
from citaplanner_core.hooks.registry import discover, registry

CORE = "core"
VERSION_TABLE = "alembic_version"
LOCK_ID = 7_243_115_905
migrate = Migrate()


class MigrationFailed(Exception):
    """A migration could not be run; the text names the owner and why. The database is as it was."""


class NotReady(Exception):
    """The schema is behind the code; the text names what and the command that mends it."""


def folder() -> Path:
    """Return the folder of the core's migrations: beside the package in a wheel, else at the root of the checkout."""
    package = Path(__file__).parent.parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def version_table(owner: str) -> str:
    """Return the name of an owner's Alembic version table."""
    return VERSION_TABLE if owner == CORE else f"{VERSION_TABLE}_{owner}"


def init_migrate(app: Flask) -> None:
    """Give the app `flask db`, for the core and with `-x plugin=NAME` for a plugin."""
    migrate.init_app(app, db, directory=str(folder()))


def _configure(config: AlembicConfig) -> AlembicConfig:
    owner = _owner_of_options(getattr(config.cmd_opts, "x", None))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(_versions(owner)).replace("%", "%%"))
    return config


migrate.configure(_configure)


def _owner_of_options(options: list[str] | None) -> str:
    for option in options or ():
        key, _, value = option.partition("=")
        if key == "plugin":
            return value
    return CORE


def _versions(owner: str) -> Path:
    if owner == CORE:
        return folder() / "versions"
    manifest = _manifest(owner)
    if manifest.migrations is None:
        raise MigrationFailed(f"plugin {owner!r} has no migrations")
    return manifest.migrations


def _manifest(owner: str) -> Manifest:
    found = discover().get(owner)
    if found is None:
        raise MigrationFailed(f"plugin {owner!r} is not installed here: install its package, then try again")
    if found.manifest is None:
        raise MigrationFailed(f"plugin {owner!r}: {found.problem}")
    return found.manifest


def _alembic(owner: str) -> AlembicConfig:
    config = current_app.extensions["migrate"].migrate.get_config(x_arg=f"plugin={owner}")
    assert isinstance(config, AlembicConfig)
    return config


def owner_of(table: str, owners: set[str]) -> str:
    """Return who owns a table: the longest known plugin name that starts it, else the core."""
    fitting = [name for name in owners if table.startswith(name + "_")]
    return max(fitting, key=len, default=CORE)


@contextlib.contextmanager
def _one_at_a_time(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:id)"), {"id": LOCK_ID})
        connection.execute(text("SET lock_timeout = '30s'"))
        connection.commit()
        try:
            yield
        finally:
            connection.rollback()
            connection.execute(text("RESET lock_timeout"))
            connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": LOCK_ID})
            connection.commit()
        return
    path = connection.engine.url.database
    if not path or path == ":memory:":
        yield
        return
    with Path(path + ".migrate.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run_migrations(context: Any) -> None:
    """Run what Alembic asks for; called by env.py. One process at a time, one transaction per revision."""
    owner = context.get_x_argument(as_dictionary=True).get("plugin", CORE)
    sqlite = db.engine.dialect.name == "sqlite"
    with db.engine.connect() as connection:
        if sqlite:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("PRAGMA foreign_keys=OFF").close()
            connection.detach()
        with _one_at_a_time(connection):
            owners = _owners(connection)

            def include_name(name: str | None, kind: str, _parents: Any) -> bool:
                return kind != "table" or _belongs(name or "", owner, owners)

            def include_object(item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
                return kind != "table" or _belongs(name or "", owner, owners)

            def check_references(**_: Any) -> None:
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall() if sqlite else []
                if broken:
                    raise MigrationFailed(f"{owner}: the migration would leave broken references: {broken[:3]}")

            loaded = owner == CORE or owner in registry().manifests
            context.configure(
                connection=connection,
                version_table=version_table(owner),
                target_metadata=db.metadata if loaded else None,
                include_name=include_name,
                include_object=include_object,
                transactional_ddl=True,
                transaction_per_migration=True,
                on_version_apply=[check_references],
                render_item=_frozen,
                **current_app.extensions["migrate"].configure_args,
            )
            with context.begin_transaction():
                context.run_migrations()


def _frozen(kind: str, item: Any, _context: Any) -> str | bool:
    """Write our column types into revisions as plain ones, so that old revisions do not change with the code."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return "sa.DateTime(timezone=True)" if isinstance(item.impl, DateTime) else "sa.Text()"
    return False


def _owners(connection: Connection) -> set[str]:
    """Return every plugin that may own tables here: those offered, and those that left a version table."""
    tables = inspect(connection).get_table_names()
    connection.rollback()
    prefix = VERSION_TABLE + "_"
    return set(discover()) | {table.removeprefix(prefix) for table in tables if table.startswith(prefix)}


def _belongs(table: str, owner: str, owners: set[str]) -> bool:
    return not table.startswith(VERSION_TABLE) and owner_of(table, owners) == owner


def heads(owner: str) -> str | None:
    """Return the newest revision that the code of an owner has; raise `MigrationFailed` when it cannot be read."""
    try:
        return ScriptDirectory.from_config(_alembic(owner)).get_current_head()
    except Exception as error:
        raise MigrationFailed(f"{owner}: its migrations cannot be read: {type(error).__name__}: {error}") from error


def current(owner: str) -> str | None:
    """Return the revision that the database has of an owner, None when it has none."""
    with db.engine.connect() as connection:
        return MigrationContext.configure(
            connection, opts={"version_table": version_table(owner)}
        ).get_current_revision()


def is_known(owner: str, revision: str) -> bool:
    """Tell whether the code has this revision; when not, the schema is ahead of the code."""
    try:
        return ScriptDirectory.from_config(_alembic(owner)).get_revision(revision) is not None
    except CommandError:
        return False


def upgrade(owner: str, revision: str = "head") -> None:
    """Bring an owner's tables to a revision; raise `MigrationFailed`."""
    _run(owner, alembic.command.upgrade, revision)


def downgrade(owner: str, revision: str) -> None:
    """Take an owner's tables back to a revision; raise `MigrationFailed`."""
    _run(owner, alembic.command.downgrade, revision)


def _run(owner: str, command: Any, revision: str) -> None:
    try:
        command(_alembic(owner), revision)
    except MigrationFailed:
        raise
    except Exception as error:
        raise MigrationFailed(f"{owner}: {type(error).__name__}: {error}") from error


def differences(owner: str) -> list[Any]:
    """Return what the models of a loaded owner have and the database has not, or the other way round."""
    with db.engine.connect() as connection:
        known = _owners(connection)
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": version_table(owner),
                "target_metadata": db.metadata,
                "compare_type": True,
                "include_name": lambda name, kind, _: kind != "table" or _belongs(name or "", owner, known),
                "include_object": lambda _o, name, kind, *_: kind != "table" or _belongs(name or "", owner, known),
            },
        )
        return list(compare_metadata(context, db.metadata))


def require_ready() -> list[str]:
    """Check that core and loaded plugins have the schema their code needs; return warnings.

    Raises `NotReady` naming the command. A schema ahead of the code is a warning: a roll-back of the code is not
    stopped by it.
    """
    warnings = []
    for owner in (CORE, *(name for name, manifest in registry().manifests.items() if manifest.migrations)):
        have, want = current(owner), heads(owner)
        if have == want:
            continue
        label = "the database" if owner == CORE else f"plugin {owner!r}"
        if have is not None and not is_known(owner, have):
            warnings.append(f"{label}: schema {have} is newer than this code ({want})")
            continue
        raise NotReady(f"{label} needs schema {want} and has {have or 'none'}: run `citaplanner migrate`")
    return warnings
