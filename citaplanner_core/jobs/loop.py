"""Taking durable rows with a lease, and settling them once.

A row is claimed when it is due, or when the worker that had it let its lease lapse. Whoever settles proves
with the claim's token that the row is still theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import ColumnElement, and_, func, literal, or_, select, true, update
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, system_work
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


def _outside(model: type[Claimable], lanes: Sequence[str]) -> ColumnElement[bool]:
    if not lanes or not model.labels:
        return true()
    return func.coalesce(getattr(model, model.labels[0]), "").not_in(lanes)


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
    with system_work("claim", write=True) as session:
        now = database_now(session)
        until = now + timedelta(seconds=lease_seconds)
        farthest = now + timedelta(seconds=MAX_LEASE_SECONDS)
        lapsed = and_(
            _is(model.status, model.claimed_status),
            or_(model.lease_until < now, model.lease_until > farthest),
        )
        values = {"lease_token": token, "lease_until": until, "attempt": model.attempt + (0 if handed_over else 1)}
        claims = _take(session, model, and_(lapsed, _outside(model, skip)), limit, values)
        if len(claims) < limit:
            due = and_(_is(model.status, PENDING), model.due <= now, _outside(model, skip))
            claims += _take(session, model, due, limit - len(claims), values)
    for taken in claims if model.logged else ():
        log.debug(f"{model.logged}_claimed", **_facts(taken))
    return claims


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


def _take(
    session: Session,
    model: type[Claimable],
    condition: ColumnElement[bool],
    limit: int,
    values: Mapping[str, Any],
) -> list[Claim]:
    """Pick in a CTE: a plain subquery may be evaluated again by PostgreSQL and then exceeds the limit."""
    picked = (
        select(model.id)
        .where(condition)
        .order_by(model.due, model.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    labels = [getattr(model, name) for name in model.labels]
    taken = session.execute(
        update(model)
        .where(model.id.in_(select(picked.c.id)))
        .values(status=model.claimed_status, **values)
        .returning(model.due, model.id, model.tenant_id, model.attempt, *labels),
        execution_options={"synchronize_session": False},
    )
    return [
        Claim(row_id, tenant_id, values["lease_token"], attempt, tuple(str(label or "") for label in rest))
        for _, row_id, tenant_id, attempt, *rest in sorted(taken, key=lambda row: (row.due, row.id))
    ]


def seconds_until_due(model: type[Claimable], *, skip: Sequence[str] = ()) -> float | None:
    """Return how long until the next waiting row is due (0 or less: now), or None when none waits."""
    with system_work("next due") as session:
        next_due = session.scalar(select(func.min(model.due)).where(_is(model.status, PENDING), _outside(model, skip)))
        return None if next_due is None else (next_due - database_now(session)).total_seconds()


def _ours(model: type[Claimable], claim: Claim) -> ColumnElement[bool]:
    return and_(model.id == claim.id, model.lease_token == claim.token, model.status == model.claimed_status)


def settle(session: Session, model: type[Claimable], claim: Claim, status: str, **values: Any) -> bool:
    """Write the row's outcome and end the lease. False: it is not ours any more, and nothing was written."""
    values |= {"status": status, "lease_until": None, "lease_token": None}
    done = session.execute(update(model).where(_ours(model, claim)).values(values).returning(model.id))
    ours = done.first() is not None
    if model.logged:
        shown = {name: values[name] for name in ("status", "reason", "channel", "due") if values.get(name) is not None}
        log.info(f"{model.logged}_settled" if ours else f"{model.logged}_lost", **_facts(claim), **shown)
    return ours


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
