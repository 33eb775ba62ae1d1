"""How times and ids stand in the database, alike on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC. Naive values are refused; what comes back is always aware UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: give it a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class server_clock(FunctionElement[datetime]):
    """The database server's clock when it got the statement; NULL on SQLite, which has none but ours."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(server_clock)
def _compile_clock(element: server_clock, compiler: Any, **given: Any) -> str:
    return "NULL" if compiler.dialect.name == "sqlite" else "statement_timestamp()"


BigId = BigInteger().with_variant(Integer(), "sqlite")


class seconds(FunctionElement[int]):
    """The whole seconds since 1970 of a time in the database: read by the thousand in half the time of datetimes."""

    type = BigInteger()
    inherit_cache = True


class seconds_up(seconds):
    """The same, the end of a second that has begun."""

    inherit_cache = True


@compiles(seconds)
def _compile_seconds(element: seconds, compiler: Any, **given: Any) -> str:
    column, up = compiler.process(element.clauses, **given), isinstance(element, seconds_up)
    if compiler.dialect.name == "sqlite":
        whole = f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER)"
        return f"({whole} + (substr({column}, 21) > '000000'))" if up else whole
    return f"{'ceil' if up else 'floor'}(extract(epoch FROM {column}))::bigint"
