"""Taking durable rows with a lease, and settling them once.

A row is claimed when it is due, or when the worker that had it let its lease lapse. Whoever settles proves
with the claim's token that the row is still theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from random import SystemRandom
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Connection,
    Integer,
    Interval,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from citaplanner_core.columns import UTCDateTime, server_clock
from citaplanner_core.database import (
    bound_tenant,
    database_now,
    single_statement,
    system_connection,
    system_work,
    tenant_connection,
    utcnow,
)
from citaplanner_core.jobs.models import PENDING, Claimable

MAX_LEASE_SECONDS = 600
"""A lease further ahead than this was written before the clock was set back; the row is free."""

_HANDED_OVER = "handed-over:"
_random = SystemRandom()
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that is ours until the lease ends, or until somebody else holds another token for it.

    `attempt` counts this claim too, unless it was made for somebody else to take over. `labels` are the values of the
    model's `labels`, as text. `join` asks to go on in another lane; False: that one has its share of the threads
    already, and the row should wait in it.
    """

    id: int
    tenant_id: int
    token: str
    attempt: int
    labels: tuple[str, ...] = ()
    join: Callable[[str], bool] = field(default=lambda lane: True, compare=False, repr=False)

    @property
    def lane(self) -> str:
        """What the row shares a limit of threads with: the first label."""
        return self.labels[0] if self.labels else ""


def _is(column: Any, status: str) -> ColumnElement[bool]:
    """Compare with a literal, which a partial index can be matched with; a parameter cannot."""
    return column == literal(status, literal_execute=True)  # type: ignore[no-any-return]  # column is Any


def _outside(table: Any, labels: Sequence[str], *, skips: bool) -> ColumnElement[bool]:
    if not skips or not labels:
        return true()
    return func.coalesce(table.c[labels[0]], "").not_in(bindparam("skip", expanding=True))


def _table(model: type[Claimable]) -> Any:
    """Statements below are over tables and made once: claiming is done for each message, and these cost a third."""
    return model.__table__  # type: ignore[attr-defined]  # every mapped class has it


def claim(
    model: type[Claimable], *, limit: int, lease_seconds: float, skip: Sequence[str] = (), handed_over: bool = False
) -> list[Claim]:
    """Take up to `limit` rows in order of (due, id), of all tenants, in a unit of its own.

    Rows whose lease lapsed, or lies too far ahead to be true, come first. `skip` are lanes to leave waiting.
    On PostgreSQL rows that another transaction has locked are passed over. `handed_over`: for somebody else to
    `take_over` by their ids, within the lease; that is when the attempt counts, since a lost message is none.
    """
    if not 0 < lease_seconds <= MAX_LEASE_SECONDS:
        raise ValueError(f"a lease lasts more than 0 and at most {MAX_LEASE_SECONDS} seconds")
    token = (_HANDED_OVER if handed_over else "") + uuid4().hex
    given: dict[str, Any] = {"limit": limit, "token": token, "counted": 0 if handed_over else 1}
    if skip and model.labels:
        given["skip"] = list(skip)
    try:
        with single_statement("claim") as connection:
            rows = _claim_over(connection, model, given, lease_seconds)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        with system_connection("claim") as connection:
            rows = _claim_over(connection, model, given, lease_seconds)
    claims = [
        Claim(row_id, tenant_id, token, attempt, tuple(str(label or "") for label in rest))
        for _, row_id, tenant_id, attempt, *rest in sorted(rows, key=lambda row: (row[0], row[1]))
    ]
    for taken in claims if model.logged else ():
        log.debug(f"{model.logged}_claimed", **_facts(taken))
    return claims


def _claim_over(
    connection: Connection, model: type[Claimable], given: Mapping[str, Any], lease_seconds: float
) -> Sequence[Any]:
    lease, longest = timedelta(seconds=lease_seconds), timedelta(seconds=MAX_LEASE_SECONDS)
    times: dict[str, Any] = {"lease": lease, "longest": longest}
    ours = connection.dialect.name == "sqlite"
    if ours:
        now = utcnow()
        times = {"now": now, "until": now + lease, "farthest": now + longest}
    skips = "skip" in given
    statement = _claiming(_table(model), model.claimed_status, model.labels, skips=skips, by_our_clock=ours)
    return connection.execute(statement, {**given, **times}).all()


def _facts(claim: Claim) -> dict[str, object]:
    return {"row": claim.id, "tenant_id": claim.tenant_id, "attempt": claim.attempt}


def take_over(model: type[Claimable], row_id: int, *, lease_seconds: float) -> Claim | None:
    """Take a row that was claimed for whoever comes first; None for everybody after, and for one that is not so."""
    token = uuid4().hex
    labels = [getattr(model, name) for name in model.labels]
    with system_work("take over", write=True) as session:
        row = session.execute(
            update(model)
            .where(model.id == row_id, _handed_over(model))
            .values(
                lease_token=token,
                lease_until=database_now(session) + timedelta(seconds=lease_seconds),
                attempt=model.attempt + 1,
            )
            .returning(model.tenant_id, model.attempt, *labels),
            execution_options={"synchronize_session": False},
        ).first()
    return None if row is None else Claim(row_id, row[0], token, row[1], tuple(str(label or "") for label in row[2:]))


def count_handed_over(model: type[Claimable]) -> dict[str, int]:
    """Return how many rows wait to be taken over, by lane; those nobody took in time wait for `claim`."""
    lane = getattr(model, model.labels[0]) if model.labels else literal("")
    with system_work("count what is handed over") as session:
        in_time = model.lease_until >= database_now(session)
        rows = session.execute(select(lane, func.count()).where(_handed_over(model), in_time).group_by(lane))
        return {str(name or ""): count for name, count in rows}


def _handed_over(model: type[Claimable]) -> ColumnElement[bool]:
    return and_(_is(model.status, model.claimed_status), model.lease_token.startswith(_HANDED_OVER))


@cache
def _claiming(table: Any, claimed_status: str, labels: tuple[str, ...], *, skips: bool, by_our_clock: bool) -> Any:
    """Pick in CTEs: a plain subquery may be evaluated again by PostgreSQL and then exceeds the limit."""
    now: Any = bindparam("now", type_=UTCDateTime()) if by_our_clock else server_clock()
    until: Any = bindparam("until", type_=UTCDateTime()) if by_our_clock else now + bindparam("lease", type_=Interval())
    farthest: Any = bindparam("farthest", type_=UTCDateTime())
    if not by_our_clock:
        farthest = now + bindparam("longest", type_=Interval())
    limit = bindparam("limit", type_=Integer())
    wanted = _outside(table, labels, skips=skips)
    stale = or_(table.c.lease_until < now, table.c.lease_until > farthest)
    lapsed = _picked(table, and_(_is(table.c.status, claimed_status), stale, wanted), limit)
    lapsed = lapsed.cte("lapsed")
    room = select(limit - func.count()).select_from(lapsed).scalar_subquery()
    waits = and_(_is(table.c.status, PENDING), table.c.due <= now, wanted)
    waiting = _picked(table, waits, room).cte("waiting")
    return (
        update(table)
        .where(table.c.id.in_(union_all(select(lapsed.c.id), select(waiting.c.id))))
        .values(
            status=claimed_status,
            lease_token=bindparam("token"),
            lease_until=until,
            attempt=table.c.attempt + bindparam("counted", type_=Integer()),
        )
        .returning(table.c.due, table.c.id, table.c.tenant_id, table.c.attempt, *(table.c[one] for one in labels))
    )


def _picked(table: Any, condition: ColumnElement[bool], limit: Any) -> Any:
    picked = select(table.c.id).where(condition).order_by(table.c.due, table.c.id).limit(limit)
    return picked.with_for_update(skip_locked=True)


def seconds_until_due(model: type[Claimable], *, skip: Sequence[str] = ()) -> float | None:
    """Return how long until the next waiting row is due (0 or less: now), or None when none waits."""
    given = {"skip": list(skip)} if skip and model.labels else {}
    statement = _next_due(_table(model), model.labels, skips=bool(skip))
    with system_work("next due") as session:
        due, now = tenant_connection(session).execute(statement, given).one()
    return None if due is None else (due - (now or utcnow())).total_seconds()


@cache
def _next_due(table: Any, labels: tuple[str, ...], *, skips: bool) -> Any:
    waiting = and_(_is(table.c.status, PENDING), _outside(table, labels, skips=skips))
    return select(func.min(table.c.due), server_clock()).where(waiting)


def settle(session: Session, model: type[Claimable], claim: Claim, status: str, **values: Any) -> bool:
    """Write the row's outcome and end the lease. False: it is not ours any more, and nothing was written.

    A value may be the database's `clock()`.
    """
    timed = tuple(name for name, value in values.items() if isinstance(value, ClauseElement))
    plain = {name: value for name, value in values.items() if name not in timed}
    given = {f"new_{name}": value for name, value in plain.items()}
    tenant = bound_tenant(session)
    given |= {"row": claim.id, "token": claim.token, "tenant": claim.tenant_id if tenant is None else tenant}
    statement = _settling(_table(model), model.claimed_status, tuple(plain), timed)
    done = tenant_connection(session).execute(statement, {**given, "new_status": status})
    return tell_settled(model, claim, done.rowcount > 0, status, plain)


def tell_settled(model: type[Claimable], claim: Claim, ours: bool, status: str, values: Mapping[str, Any]) -> bool:
    """Log that a row was settled, or was not ours any more; return `ours`."""
    if model.logged:
        shown = {name: values[name] for name in ("reason", "channel", "due") if values.get(name) is not None}
        word = f"{model.logged}_settled" if ours else f"{model.logged}_lost"
        log.info(word, **_facts(claim), status=status, **shown)
    return ours


@cache
def _settling(table: Any, claimed_status: str, names: tuple[str, ...], timed: tuple[str, ...]) -> Any:
    values = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in ("status", *names)}
    return (
        update(table)
        .where(
            table.c.id == bindparam("row"),
            table.c.tenant_id == bindparam("tenant"),
            table.c.lease_token == bindparam("token"),
            table.c.status == claimed_status,
        )
        .values(values | dict.fromkeys(timed, server_clock()) | {"lease_until": None, "lease_token": None})
    )


def release(session: Session, model: type[Claimable], claim: Claim, *, due: datetime, **values: Any) -> bool:
    """Let the row wait until `due` for another attempt. False: it is not ours any more."""
    return settle(session, model, claim, PENDING, due=due, **values)


def renew(model: type[Claimable], claims: Sequence[Claim], *, lease_seconds: float) -> None:
    """Lengthen the leases of those claims that are still ours, in a unit of its own."""
    with system_work("renew leases", write=True) as session:
        session.execute(
            update(model)
            .where(
                model.id.in_([claim.id for claim in claims]),
                model.lease_token.in_({claim.token for claim in claims}),
                model.status == model.claimed_status,
            )
            .values(lease_until=database_now(session) + timedelta(seconds=lease_seconds)),
            execution_options={"synchronize_session": False},
        )


def backoff(attempt: int, *, base: float = 15, cap: float = 3600, after: float | None = None) -> timedelta:
    """Return how long to wait after the failure of attempt number `attempt` (from 1).

    `after` seconds, when the other side named them, plus a random part between 0 and `base` seconds, doubled
    for each attempt before and never over `cap`. The random part spreads rows that failed together.
    """
    doublings = min(max(attempt, 1) - 1, 60)
    return timedelta(seconds=max(after or 0, 0) + _random.uniform(0, min(cap, base * 2**doublings)))
