"""Every table that belongs to tenants, those of plugins too, tried in every way there is to reach a row."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, create_engine, delete, event, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from citaplanner_core.app import create_app
from citaplanner_core.booking.models import Branch, Client, ClientPhone
from citaplanner_core.config import Config
from citaplanner_core.database import (
    Base,
    TenantScoped,
    TenantSession,
    Unscoped,
    WrongTenant,
    close_database,
    db,
    is_tenant_table,
    system_connection,
    work,
)
from tests.conftest import ON_POSTGRESQL
from tests.core.web.support import make_business

MINE, THEIRS = 1, 2
SAMPLES: dict[type, Any] = {
    int: 1,
    bool: False,
    datetime: datetime(2035, 3, 1, tzinfo=UTC),
    date: date(2035, 3, 1),
    dict: {},
    object: {},
    list: [],
}


def models() -> list[Any]:
    """Every mapped class whose rows belong to tenants."""
    found = [mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantScoped)]
    return sorted(found, key=lambda model: str(model.__tablename__))


def value(column: Column[Any], number: int) -> Any:
    """Something for a column of the row of tenant `number`; what points at a row points at that tenant's."""
    if column.name in ("id", "tenant_id") or column.foreign_keys:
        return number
    if column.nullable:
        return None
    kind = getattr(column.type, "impl_instance", column.type).python_type
    return str(number) if kind is str else SAMPLES[kind]


@pytest.fixture
def rows(app: Flask) -> Iterator[None]:
    """In every table a row of each of two tenants; its id, and whatever points at rows, is the number of the tenant."""
    db.engine.dispose()
    event.listen(db.engine, "connect", _put_constraints_aside)
    with system_connection("rows of every table for a test") as connection:
        for table in Base.metadata.tables.values():
            if is_tenant_table(table) or table.name == "tenant":
                for number in (MINE, THEIRS):
                    connection.execute(insert(table).values({c.name: value(c, number) for c in table.columns}))
    yield
    event.remove(db.engine, "connect", _put_constraints_aside)
    db.engine.dispose()


def _put_constraints_aside(connection: Any, _record: Any) -> None:
    for pragma in ("foreign_keys=OFF", "ignore_check_constraints=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


WRITES: tuple[Callable[[Session, Any], object], ...] = (
    lambda session, model: session.execute(insert(model), [{"tenant_id": THEIRS, "id": 9}]),
    lambda session, model: session.add(model(tenant_id=THEIRS)),
    lambda session, model: session.execute(update(model).values(tenant_id=THEIRS)),
)
WAYS_AROUND: tuple[Callable[[Session, Any], object], ...] = (
    lambda session, model: session.execute(select(model.__table__)),
    lambda session, model: session.execute(text(f"SELECT * FROM {model.__tablename__}")),
    lambda session, model: session.execute(update(model), [{"id": THEIRS}]),
    lambda session, model: session.execute(select(model).from_statement(text("SELECT 1"))),
)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # where constraints can be put aside
@pytest.mark.usefixtures("rows")
def test_no_way_leads_to_another_tenants_row_of_any_table(app: Flask) -> None:
    assert {"chatwoot_config", "client", "notification", "job"} <= {model.__tablename__ for model in models()}
    for model in models():
        with work(MINE, write=False) as session:
            assert [row.id for row in session.scalars(select(model))] == [MINE], model
            assert session.get(model, THEIRS) is None, model
            _relations_stay_inside(session, model)
        for write in WRITES:
            with pytest.raises(WrongTenant), work(MINE) as session:
                write(session, model)
        for way in WAYS_AROUND:
            with pytest.raises(Unscoped), work(MINE) as session:
                way(session, model)
        with work(MINE) as session:
            session.execute(update(model).values(id=model.id).execution_options(synchronize_session=False))
            session.execute(delete(model).execution_options(synchronize_session=False))
            assert session.scalars(select(model)).all() == []
        with work(THEIRS, write=False) as session:
            assert [row.id for row in session.scalars(select(model))] == [THEIRS], model
        with system_connection("put it back") as connection:
            table = model.__table__
            connection.execute(insert(table).values({c.name: value(c, MINE) for c in table.columns}))


def _relations_stay_inside(session: Session, model: Any) -> None:
    row = session.get_one(model, MINE)
    for relation in model.__mapper__.relationships:
        found = getattr(row, relation.key)
        related = found if isinstance(found, list) else [found]
        assert [other.tenant_id for other in related] == [MINE], relation


@contextmanager
def referee(url: str) -> Iterator[str]:
    """Let the database itself hold tenants apart (row level security); yield the URL of a login it holds to that."""
    role = "citaplanner_test_referee"
    owner = create_engine(url, isolation_level="AUTOCOMMIT")
    tables = [table.name for table in Base.metadata.tables.values() if is_tenant_table(table)]
    allowed = "current_setting('app.tenant', true) IN ('system', tenant_id::text)"
    with owner.connect() as connection:
        name = f"{role}_{connection.scalar(text('SELECT pg_backend_pid()'))}"
        connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'referee'"))
        connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}"))
        connection.execute(text(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}"))
        for table in tables:
            connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
            connection.execute(text(f"CREATE POLICY referee ON {table} USING ({allowed})"))
        try:
            yield make_url(url).set(username=name, password="referee").render_as_string(hide_password=False)
        finally:
            for table in tables:
                connection.execute(text(f"DROP POLICY referee ON {table}"))
                connection.execute(text(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"))
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))
    owner.dispose()


def tell_the_database(session: Session, _transaction: Any, connection: Any) -> None:
    connection.exec_driver_sql("SELECT set_config('app.tenant', %s, true)", (str(session.info["tenant"]),))


@pytest.fixture
def judged(engine: str, migrated_url: str, app: Flask) -> Iterator[Flask]:
    """An app whose login sees only rows of the tenant that the session told the database."""
    settings: Config = app.config["CITAPLANNER"]
    with referee(migrated_url) as url:
        made = create_app(settings.model_copy(update={"database_url": url}))
        event.listen(TenantSession, "after_begin", tell_the_database)
        try:
            with made.app_context():
                yield made
                db.session.remove()
                close_database()
        finally:
            event.remove(TenantSession, "after_begin", tell_the_database)


@pytest.mark.parametrize("engine", ON_POSTGRESQL, indirect=True)
def test_the_database_as_referee_agrees_and_stops_what_we_could_not(judged: Flask) -> None:
    """Everything works when the database enforces tenants, too; and it stops the two ways around our sessions."""
    mine, other = (make_business(judged, slug) for slug in ("clinic", "spa"))
    for one in (mine, other):
        assert one.api.post("/appointments", one.booking()).status_code == 201
        assert len(one.api.get("/appointments").json["items"]) == 2
        assert one.api.get(f"/appointments/{one.appointment}/timeline").json["items"]
        assert one.api.post("/notifications", one.message()).status_code == 202
    with work(mine.tenant, write=False) as session:
        mixed = select(Branch, ClientPhone.__table__.c.tenant_id).join_from(
            Branch, ClientPhone.__table__, ClientPhone.__table__.c.id > 0
        )
        assert {row.tenant_id for row in session.execute(mixed)} == {mine.tenant}
    with db.engine.connect() as connection:
        assert connection.execute(select(Client.__table__)).all() == []
