"""A session knows one tenant, and nothing gets around it."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Table, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from citaplanner_core.booking.models import Branch, Client, ClientPhone, Tenant
from citaplanner_core.database import (
    Base,
    NestedWork,
    NoTenant,
    TenantScoped,
    TenantSession,
    Unscoped,
    WrongTenant,
    current_tenant,
    db,
    joined_work,
    system_work,
    work,
)

WITHOUT_TENANT = {
    "tenant": "is the tenant",
    "installed_plugin": "the deployment's",
    "worker": "the deployment's",
    "sign_in_guess": "before any tenant is known",
}


@pytest.fixture
def two(app: Flask) -> tuple[int, int]:
    """Two tenants, each with a client and the same phone."""
    ids = []
    for slug in ("one", "two"):
        with system_work("test", write=True) as session:
            tenant = Tenant(slug=slug, name=slug)
            session.add(tenant)
            session.flush()
            ids.append(tenant.id)
        with work(ids[-1]) as session:
            phone = ClientPhone(raw="55", e164="+525512345678", match_key="+525512345678", confidence="high")
            session.add(Client(first_name=slug, phones=[phone]))
    return ids[0], ids[1]


def _client_id(tenant: int) -> int:
    with work(tenant, write=False) as session:
        return session.scalars(select(Client.id)).one()


def test_every_table_belongs_to_tenants_or_says_why_not(app: Flask) -> None:
    without = {table.name for table in Base.metadata.tables.values() if "tenant_id" not in table.columns}
    assert without == set(WITHOUT_TENANT)


def test_nothing_is_read_without_a_tenant(two: tuple[int, int]) -> None:
    for query in (lambda: db.session.scalars(select(Client)), lambda: db.session.get(Client, 1), current_tenant):
        with pytest.raises(NoTenant):
            query()


def test_select_join_alias_count_and_subquery_see_one_tenant(two: tuple[int, int]) -> None:
    other = aliased(Client)
    with work(two[1], write=False) as session:
        assert [row.first_name for row in session.scalars(select(Client))] == ["two"]
        assert session.scalars(select(other.first_name)).all() == ["two"]
        assert session.scalar(select(func.count()).select_from(Client)) == 1
        joined = select(ClientPhone.raw, Client.first_name).join(Client, Client.id == ClientPhone.client_id)
        assert session.execute(joined).all() == [("55", "two")]
        inner = select(ClientPhone.client_id).where(ClientPhone.match_key == "+525512345678")
        assert session.scalars(select(Client.first_name).where(Client.id.in_(inner))).all() == ["two"]


def test_get_by_key_and_relationship_stay_inside(two: tuple[int, int]) -> None:
    foreign = _client_id(two[0])
    with work(two[1], write=False) as session:
        assert session.get(Client, foreign) is None
        assert [phone.tenant_id for phone in session.scalars(select(Client)).one().phones] == [two[1]]


def test_update_and_delete_touch_one_tenant(two: tuple[int, int]) -> None:
    with work(two[1]) as session:
        session.execute(update(Client).values(first_name="changed"))
        session.execute(delete(ClientPhone))
    with work(two[0], write=False) as session:
        assert session.scalars(select(Client.first_name)).all() == ["one"]
        assert len(session.scalars(select(ClientPhone)).all()) == 1


REFUSED: dict[str, Callable[[TenantSession, int], object]] = {
    "text": lambda s, _: s.execute(text("SELECT * FROM client")),
    "core table": lambda s, _: s.execute(select(Client.__table__)),
    "from_statement": lambda s, _: s.execute(select(Client).from_statement(text("SELECT * FROM client"))),
    "connection": lambda s, _: s.connection(),
    "bulk_save": lambda s, _: s.bulk_save_objects([]),
    "bulk_insert": lambda s, _: s.bulk_insert_mappings(Client.__mapper__, []),
    "bulk_update": lambda s, _: s.bulk_update_mappings(Client.__mapper__, []),
    "update by key": lambda s, i: s.execute(update(Client), [{"id": i, "first_name": "x"}]),
    "insert values": lambda s, i: s.execute(insert(Branch).values(name="x", zone="UTC", tenant_id=1)),
    "insert from select": lambda s, _: s.execute(insert(Branch).from_select(["name"], select(Client.first_name))),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_cannot_be_narrowed_is_refused(two: tuple[int, int], way: str) -> None:
    foreign = _client_id(two[0])
    with pytest.raises(Unscoped), work(two[1]) as session:
        REFUSED[way](session, foreign)


def test_rows_of_another_tenant_are_never_written(two: tuple[int, int]) -> None:
    with pytest.raises(WrongTenant), work(two[1]) as session:
        session.add(Branch(tenant_id=two[0], name="x", zone="UTC"))
    with pytest.raises(WrongTenant), work(two[1]) as session:
        session.execute(insert(Branch), [{"tenant_id": two[0], "name": "x", "zone": "UTC"}])
    with pytest.raises(WrongTenant), work(two[1]) as session:
        session.execute(update(Client).values(tenant_id=two[0]))
    with pytest.raises(WrongTenant), work(two[1]) as session:
        session.scalars(select(Client)).one().tenant_id = two[0]


def test_a_detached_row_of_another_tenant_cannot_be_smuggled_in(two: tuple[int, int]) -> None:
    with work(two[0], write=False) as session:
        stranger = session.scalars(select(Client)).one()
        session.expunge(stranger)
    with pytest.raises(WrongTenant), work(two[1]) as session:
        stranger.first_name = "smuggled"
        session.add(stranger)


def test_the_database_itself_refuses_a_reference_across_tenants(two: tuple[int, int]) -> None:
    foreign = _client_id(two[0])
    with pytest.raises(IntegrityError), work(two[1]) as session:
        session.add(ClientPhone(client_id=foreign, raw="x", e164="x", match_key="x", confidence="high"))


def test_inserted_rows_get_the_tenant(two: tuple[int, int]) -> None:
    with work(two[1]) as session:
        session.execute(insert(Branch), [{"name": "x", "zone": "UTC"}])
        session.add(Branch(name="y", zone="UTC"))
    with work(two[1], write=False) as session:
        assert {row.tenant_id for row in session.scalars(select(Branch))} == {two[1]}


def test_units_do_not_nest_but_join(two: tuple[int, int]) -> None:
    with work(two[0]) as session:
        with joined_work(two[0]) as same:
            assert same is session
        with pytest.raises(WrongTenant), joined_work(two[1]):
            pass
        with pytest.raises(NestedWork), work(two[0]):
            pass


def test_an_error_rolls_back_and_a_reading_unit_never_commits(two: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError), work(two[0]) as session:
        session.add(Branch(name="x", zone="UTC"))
        session.flush()
        raise RuntimeError
    with work(two[0], write=False) as session:
        session.add(Branch(name="x", zone="UTC"))
        session.flush()
    with work(two[0], write=False) as session:
        assert session.scalars(select(Branch)).all() == []


def test_unique_constraints_and_references_name_the_tenant() -> None:
    """One tenant's row can never collide with, or point at, another's."""
    global_keys = {
        "staff_session.token_hash",
        "api_token.token_hash",
        "calendar_feed.token_hash",
        "client_link.token_hash",
        "chatwoot_config.webhook_key_hash",
    }
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        if not issubclass(mapper.class_, TenantScoped):
            continue
        assert isinstance(table, Table)
        for key in table.foreign_key_constraints:
            assert key.column_keys[0] == "tenant_id", f"{table.name}: {key.column_keys}"
        for index in table.indexes:
            names = [column.name for column in index.columns]
            if index.unique and f"{table.name}.{names[0]}" not in global_keys:
                assert names[0] == "tenant_id", f"{table.name}: {names}"
