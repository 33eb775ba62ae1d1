"""The database: one declarative base, one way to open a unit of work, one tenant per session.

`work()` is the only way to read or write. It fixes the tenant, and every ORM query of the session is narrowed
to it; what cannot be narrowed (text, Core tables, bulk updates by key) is refused.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as BoundSession
from sqlalchemy import (
    Connection,
    Engine,
    ForeignKeyConstraint,
    MetaData,
    Table,
    UniqueConstraint,
    event,
    func,
    select,
)
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import (
    DeclarativeBase,
    FromStatement,
    Mapped,
    ORMExecuteState,
    Session,
    declared_attr,
    mapped_column,
    with_loader_criteria,
)
from sqlalchemy.pool import ConnectionPoolEntry

from citaplanner_core.columns import BigId as BigId
from citaplanner_core.columns import UTCDateTime as UTCDateTime
from citaplanner_core.waking import finish_waking, wake_soon

SYSTEM: Literal["system"] = "system"


class DatabaseError(Exception):
    """Base of what this module raises: a programming error, never something a user did."""


class NoTenant(DatabaseError):
    """A query was made outside `work()` or `system_work()`."""


class WrongTenant(DatabaseError):
    """A row or a query of another tenant reached this session."""


class Unscoped(DatabaseError):
    """The statement cannot be narrowed to one tenant: use ORM entities, or `system_work(reason)`."""


class NestedWork(DatabaseError):
    """A unit of work is open already: verbs take its session instead of opening their own."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)


Base.registry.update_type_annotation_map({datetime: UTCDateTime()})


class TenantScoped:
    """Mixin of every table whose rows belong to a tenant. Give `table_args()` the table's own constraints."""

    @declared_attr
    @classmethod
    def tenant_id(cls) -> Mapped[int]:
        return mapped_column(BigId, nullable=False)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "id"),
            ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
            *cls.table_args(),
        )

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return ()


def tenant_key(column: str, target: str, *, ondelete: str | None = None) -> ForeignKeyConstraint:
    """A foreign key that cannot leave the tenant: (tenant_id, column) -> target(tenant_id, id)."""
    return ForeignKeyConstraint(["tenant_id", column], [f"{target}.tenant_id", f"{target}.id"], ondelete=ondelete)


@dataclass(frozen=True, slots=True)
class _Unit:
    tenant: int | Literal["system"]
    write: bool


_unit: ContextVar[_Unit | None] = ContextVar("citaplanner_unit", default=None)
_untried: ContextVar[bool] = ContextVar("citaplanner_untried", default=False)
_sqlite_writer = threading.Lock()


class _NoWait:
    """Stands in for the writers' lock where the database needs none."""

    def acquire(self) -> None: ...

    def release(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_no_wait = _NoWait()


def current_tenant() -> int:
    """Return the id of the open unit's tenant; raise `NoTenant` outside `work()`."""
    unit = _unit.get()
    if unit is None or unit.tenant == SYSTEM:
        raise NoTenant("no tenant: open work(tenant_id) first")
    return unit.tenant


def _bind(session: Session) -> int | None:
    unit = _unit.get()
    if unit is None:
        raise NoTenant("no tenant: open work(tenant_id) first")
    bound = session.info.setdefault("tenant", unit.tenant)
    if bound != unit.tenant:
        raise WrongTenant(f"this session belongs to tenant {bound}, not {unit.tenant}")
    return None if unit.tenant == SYSTEM else unit.tenant


class TenantSession(BoundSession):
    """A session that knows one tenant from its first use until it is closed."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        tenant = _bind(self)
        found = super().get(*args, **kwargs)
        if tenant is not None and isinstance(found, TenantScoped) and found.tenant_id != tenant:
            return None
        return found

    def connection(self, *args: Any, **kwargs: Any) -> Connection:
        if _bind(self) is not None:
            raise Unscoped("session.connection() has no tenant: use system_work(reason)")
        return super().connection(*args, **kwargs)

    def bulk_save_objects(self, *args: Any, **kwargs: Any) -> None:
        raise Unscoped("bulk writes have no tenant: use add_all()")

    def bulk_insert_mappings(self, *args: Any, **kwargs: Any) -> None:
        raise Unscoped("bulk writes have no tenant: use add_all()")

    def bulk_update_mappings(self, *args: Any, **kwargs: Any) -> None:
        raise Unscoped("bulk writes have no tenant: use update().where()")

    def close(self) -> None:
        super().close()
        self.info.pop("tenant", None)
        self.info.pop("wake", None)


db = SQLAlchemy(model_class=Base, session_options={"class_": TenantSession}, disable_autonaming=True)


@event.listens_for(TenantSession, "do_orm_execute")
def _scope(state: ORMExecuteState) -> None:
    tenant = _bind(state.session)
    if tenant is None or state.is_column_load:
        return
    statement: Any = state.statement
    if not state.is_orm_statement or isinstance(statement, FromStatement):
        raise Unscoped("only statements over ORM entities can be narrowed to a tenant")
    if state.is_insert:
        _scope_insert(statement, state.parameters, tenant)
        return
    if state.is_update or state.is_delete:
        if isinstance(state.parameters, list):
            raise Unscoped("bulk update by key has no tenant: use update().where()")
        if state.is_update and any(getattr(column, "key", column) == "tenant_id" for column in statement._values or {}):
            raise WrongTenant("a row never changes its tenant")
    if state.is_relationship_load:
        return
    state.statement = statement.options(_criterion(tenant))


@lru_cache(maxsize=1000)
def _criterion(tenant: int) -> Any:
    """Kept, since looking at the function anew is a tenth of the work that a small query makes."""
    return with_loader_criteria(TenantScoped, lambda cls: cls.tenant_id == tenant, include_aliases=True)


def _scope_insert(statement: Any, parameters: Any, tenant: int) -> None:
    if statement.select is not None or statement._values or statement._multi_values or not parameters:
        raise Unscoped("insert rows as parameters: session.execute(insert(Model), [{…}])")
    for row in parameters if isinstance(parameters, list) else [parameters]:
        if row.setdefault("tenant_id", tenant) != tenant:
            raise WrongTenant(f"row of tenant {row['tenant_id']} in a session of tenant {tenant}")


@event.listens_for(TenantSession, "before_flush")
def _own(session: TenantSession, _context: Any, _instances: Any) -> None:
    tenant = _bind(session)
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, TenantScoped):
            continue
        owner: int | None = row.tenant_id
        if tenant is None:
            if owner is None:
                raise NoTenant(f"{type(row).__name__} without tenant_id in system work")
            continue
        if owner is None:
            row.tenant_id = tenant
        changed = sa_inspect(row, raiseerr=True).attrs["tenant_id"].history.deleted
        if row.tenant_id != tenant or any(old != tenant for old in changed if old is not None):
            raise WrongTenant(f"{type(row).__name__} of another tenant in a session of tenant {tenant}")


def bound_tenant(session: Session) -> int | None:
    """Return the tenant of a session in its open unit, None in `system_work`. Raises `NoTenant`, `WrongTenant`."""
    return _bind(session)


def tenant_connection(session: Session) -> Connection:
    """Return the unit's connection, for statements of hot paths that name the tenant themselves, as a parameter.

    They are tables and columns, written once for the life of the process: several times as fast as entities. What the
    session holds is written first.
    """
    _bind(session)
    session.flush()
    return Session.connection(session)


@contextmanager
def _open(unit: _Unit) -> Iterator[TenantSession]:
    if _unit.get() is not None:
        raise NestedWork("a unit of work is open already: pass its session on")
    sqlite = db.engine.dialect.name == "sqlite"
    token = _unit.set(unit)
    session: TenantSession = db.session()  # type: ignore[assignment]  # built with class_=TenantSession
    turn = _sqlite_writer if sqlite and unit.write else _no_wait
    turn.acquire()
    try:
        yield session
        if unit.write:
            session.commit()
            if session.info.get("wake"):
                wake_soon(db.engine)
        else:
            session.rollback()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.close()
        turn.release()
        _unit.reset(token)


@contextmanager
def work(tenant: int, *, write: bool = True) -> Iterator[TenantSession]:
    """Open a unit of work for one tenant: begin, yield the session, commit, wake the workers.

    Any exception rolls everything back and travels on. `write=False` never commits. On SQLite a writing unit
    begins IMMEDIATE and waits its turn inside the process, so that it never fails halfway with "database is locked".
    Raises `NestedWork` inside another unit. Needs a Flask application context.
    """
    with _open(_Unit(int(tenant), write)) as session:
        yield session


@contextmanager
def swift_work(tenant: int) -> Iterator[TenantSession]:
    """Open a unit like `work` in which, on PostgreSQL, each statement commits by itself, over an untried connection.

    For reading, and one write at the end: it costs half the journeys. No savepoints and no locks. Whoever opens it does
    all again in `work` when the connection turns out to be gone (`DBAPIError.connection_invalidated`).
    """
    token = _untried.set(True)
    try:
        with _open(_Unit(int(tenant), True)) as session:
            if db.engine.dialect.name != "sqlite":
                Session.connection(session, execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session
    finally:
        _untried.reset(token)


@contextmanager
def joined_work(tenant: int) -> Iterator[TenantSession]:
    """Join the open unit of this tenant, else open a writing one. Raises `WrongTenant` when another's is open."""
    unit = _unit.get()
    if unit is None:
        with work(tenant) as session:
            yield session
        return
    if unit.tenant != tenant:
        raise WrongTenant(f"the open unit belongs to tenant {unit.tenant}, not {tenant}")
    yield db.session()  # type: ignore[misc]  # built with class_=TenantSession


def in_work() -> bool:
    """Tell whether a unit of work is open here."""
    return _unit.get() is not None


@contextmanager
def system_work(reason: str, *, write: bool = False) -> Iterator[TenantSession]:
    """Open a unit that crosses tenants (claiming, doctor, webhook account look-up). `reason` says why it must."""
    if not reason:
        raise ValueError("system_work needs a reason")
    with _open(_Unit(SYSTEM, write)) as session:
        yield session


@contextmanager
def system_connection(reason: str, *, wakes: bool = False) -> Iterator[Connection]:
    """Open a writing unit that crosses tenants as a plain connection: for hot paths written in SQL.

    It commits at the end (and then wakes the workers, if asked to) and rolls back on any exception. Half as expensive
    as a session, and knows no tenant.
    """
    if not reason:
        raise ValueError("system_connection needs a reason")
    if _unit.get() is not None:
        raise NestedWork("a unit of work is open already")
    engine = db.engine
    token = _unit.set(_Unit(SYSTEM, write=True))
    try:
        with _sqlite_writer if engine.dialect.name == "sqlite" else _no_wait, engine.begin() as connection:
            yield connection
        if wakes:
            wake_soon(engine)
    finally:
        _unit.reset(token)


@contextmanager
def single_statement(reason: str) -> Iterator[Connection]:
    """Open a unit like `system_connection` for one statement alone, which PostgreSQL commits by itself.

    Without the journeys of BEGIN and COMMIT it costs half. `reason` says why it knows no tenant. The connection is
    untried, as in `swift_work`.
    """
    if db.engine.dialect.name == "sqlite":
        with system_connection(reason) as connection:
            yield connection
        return
    if _unit.get() is not None:
        raise NestedWork("a unit of work is open already")
    token, trust = _unit.set(_Unit(SYSTEM, write=True)), _untried.set(True)
    try:
        with db.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
    finally:
        _untried.reset(trust)
        _unit.reset(token)


def wake(session: Session) -> None:
    """Ask for the workers to be woken when this unit commits."""
    session.info["wake"] = True


def utcnow() -> datetime:
    """This machine's clock, aware UTC."""
    return datetime.now(UTC)


def database_now(session: Session) -> datetime:
    """The clock that due and lease times are compared with: the server's on PostgreSQL, ours on SQLite."""
    if db.engine.dialect.name == "sqlite":
        return utcnow()
    return connection_now(Session.connection(session))


_CLOCK = select(func.clock_timestamp())


def connection_now(connection: Connection) -> datetime:
    """Return what `database_now` does, over a plain connection."""
    if connection.dialect.name == "sqlite":
        return utcnow()
    now: datetime = connection.execute(_CLOCK).scalar_one()
    return now.astimezone(UTC)


def clock() -> Any:
    """The same clock as a value to write or to compare with, which costs no question of its own."""
    return utcnow() if db.engine.dialect.name == "sqlite" else func.clock_timestamp()


def _sqlite_connect(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    pragmas = ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON", "synchronous=NORMAL")
    # A checkpoint holds up the commit that meets it: the worker makes them (jobs/wake.py), this is for when none runs.
    for pragma in (*pragmas, "wal_autocheckpoint=20000"):  # pages: 80 MB
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_begin(connection: Connection) -> None:
    unit = _unit.get()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if unit is not None and unit.write else "BEGIN")


def prepare_engine(engine: Engine) -> None:
    """Give SQLite the rules that transactions, savepoints and foreign keys need; PostgreSQL's connections are tried."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
        return

    def try_it(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
        """Replace a connection that is gone, and all of the pool with it."""
        if _untried.get():
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError("the database server is gone") from error

    event.listen(engine, "checkout", try_it)


def init_database(app: Flask, url: str, *, threads: int) -> None:
    """Bind the app to its database. `threads` sizes the pool: each may hold one connection, plus a few spare."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": threads + 4,
        "max_overflow": 4,
    }
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)


def close_database() -> None:
    """Close the connections of this process, once the workers were told of what it committed."""
    finish_waking()
    db.engine.dispose()


def is_tenant_table(table: Table) -> bool:
    """Tell whether the table's rows belong to tenants."""
    return "tenant_id" in table.columns
