"""Whether a tenant's channel may send now: a breaker for what is broken, a pace for what is limited.

Both live in one row per (tenant, channel), which all workers share. Nobody sleeps and nothing is filtered when
claiming: what must wait is written forward. A healthy channel without a pace writes nothing here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Literal

import structlog
from sqlalchemy import literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from citaplanner_core.database import current_tenant, db
from citaplanner_core.hooks.types import Channel, Pace
from citaplanner_core.notifications.models import ChannelState, Delivery, Notification

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 900
PROBE_SECONDS = 120
"""A probe that was never heard of again is forgotten after so long: as long as a notification's lease."""
PROBING_PAUSE_SECONDS = 1

Trouble = Literal["auth_failed", "unreachable", "limited"]
log = structlog.get_logger()
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Hold:
    """A message must wait until `until` (aware UTC), because of `reason`."""

    until: datetime
    reason: str
    error: str | None = None


def state_of(session: Session, key: str) -> ChannelState | None:
    """Return the state of the tenant's channel, None when nothing was ever noted."""
    return session.scalar(select(ChannelState).where(ChannelState.channel == key))


def _locked(session: Session, key: str) -> ChannelState:
    found = select(ChannelState).where(ChannelState.channel == key).with_for_update()
    found = found.execution_options(populate_existing=True)
    state = session.scalar(found)
    if state is None:
        insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
        statement = insert(ChannelState).on_conflict_do_nothing(index_elements=["tenant_id", "channel"])
        session.execute(statement, [{"channel": key}])
        state = session.scalars(found).one()
    return state


def breaker(session: Session, state: ChannelState | None, now: datetime) -> Hold | None:
    """Return why nothing may be sent now, None when it may. When the time is up, one caller at a time may try."""
    if state is None or state.open_until is None:
        return None
    hold = Hold(state.open_until, state.reason or "unreachable", state.error)
    if state.open_until > now:
        return hold
    probe = session.execute(
        update(ChannelState)
        .where(
            ChannelState.id == state.id,
            ChannelState.open_until <= now,
            or_(ChannelState.probe_until.is_(None), ChannelState.probe_until < now),
        )
        .values(probe_until=now + timedelta(seconds=PROBE_SECONDS))
        .returning(ChannelState.id)
    )
    if probe.first() is not None:
        return None
    until = now + timedelta(seconds=PROBING_PAUSE_SECONDS)
    _push(session, state.channel, until)
    return Hold(until, hold.reason, hold.error)


def _push(session: Session, key: str, until: datetime) -> None:
    """Let everything that waits for this channel wait until then; rows that somebody holds are left out."""
    waiting = (
        select(Notification.id)
        .where(
            Notification.status == literal("PENDING", literal_execute=True),
            Notification.lane == key,
            Notification.due < until,
        )
        .with_for_update(skip_locked=True)
        .cte("waiting")
    )
    session.execute(
        update(Notification).where(Notification.id.in_(select(waiting.c.id))).values(due=until),
        execution_options={"synchronize_session": False},
    )


def failed(session: Session, key: str, trouble: Trouble, now: datetime, *, error: str, after: float | None) -> None:
    """Note a failure. Refused credentials open the breaker at once, five unanswered calls in a row too.

    It stays open for a growing time. A provider that has enough (`limited`) closes the door for the time it names.
    """
    state = _locked(session, key)
    state.probe_until = None
    if trouble == "limited":
        _open(session, state, trouble, now + timedelta(seconds=max(after or 1, 1)), error)
        return
    state.failures += 1
    is_open = state.open_until is not None and state.open_until > now
    probed = state.open_until is not None and not is_open
    if is_open or not (probed or trouble == "auth_failed" or state.failures >= FAILURES_TO_OPEN):
        return
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(state.openings, 20), LONGEST_PAUSE_SECONDS)
    state.openings += 1
    _open(session, state, trouble, now + timedelta(seconds=max(pause * _random.uniform(0.8, 1.2), after or 0)), error)


def _open(session: Session, state: ChannelState, trouble: Trouble, until: datetime, error: str) -> None:
    if state.open_until is not None and state.open_until >= until:
        return
    state.open_until, state.reason, state.error = until, trouble, error
    log.warning(
        "channel_held", tenant_id=current_tenant(), channel=state.channel, reason=trouble, until=until.isoformat()
    )
    session.flush()
    _push(session, state.channel, until)


def succeeded(session: Session, key: str) -> None:
    """Note that the channel works. Call it when it was in trouble before; it costs a write."""
    state = _locked(session, key)
    if state.open_until is not None:
        log.info("channel_works_again", tenant_id=current_tenant(), channel=key)
    release(state)


def release(state: ChannelState) -> None:
    """Close the breaker: what waits is tried from its own due time on."""
    state.failures = state.openings = 0
    state.open_until = state.probe_until = state.reason = state.error = None


def in_trouble(state: ChannelState | None) -> bool:
    """Tell whether failures are noted that a success would end."""
    return state is not None and (state.failures > 0 or state.open_until is not None)


def pace_of(channel: Channel) -> Pace | None:
    """Return the channel's pace, None when it has none."""
    found = getattr(channel, "pace", None)
    return found if isinstance(found, Pace) else None


def take_place(
    session: Session, key: str, pace: Pace, recipient_id: int | None, now: datetime, *, urgent: bool
) -> Hold | None:
    """Take one message's place in the channel's pace; return None, or when its turn comes.

    `recipient_id` is None for staff. A second's worth may leave at once. Others queue in two lines, so that no campaign
    stands before reminders.
    """
    state = _locked(session, key)
    if pace.recipient_seconds and recipient_id is not None:
        last = session.scalar(
            select(Delivery.started_at)
            .join(Notification, Notification.id == Delivery.notification_id)
            .where(Notification.recipient_id == recipient_id, Delivery.channel == key, Delivery.attempt > 0)
            .order_by(Delivery.id.desc())
            .limit(1)
        )
        if last is not None and (free := last + timedelta(seconds=pace.recipient_seconds)) > now:
            return Hold(free, "limited", "the last message to this person was just sent")
    if not pace.per_second:
        return None
    interval = timedelta(seconds=1 / pace.per_second)
    burst = max(timedelta(seconds=1) - interval, timedelta(0))
    free = max(state.next_free or now, now)
    soonest = free - burst
    if soonest <= now:
        state.next_free = free + interval
        return None
    line = "next_urgent" if urgent else "next_bulk"
    turn: datetime = max(getattr(state, line) or soonest, state.next_urgent or soonest, soonest)
    setattr(state, line, turn + interval)
    return Hold(turn, "limited", f"at most {pace.per_second:g} messages a second")
