"""Sending one claimed notification: decide with what is true now, record the attempt, send, settle.

Three steps, the middle one outside any transaction: a crash between them leaves a delivery in SENDING whose outcome is
unknown, and the next attempt asks the provider before it sends again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import structlog
from sqlalchemy import ClauseElement, bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from citaplanner_core.columns import server_clock
from citaplanner_core.database import clock, database_now, db, single_statement, swift_work, tenant_connection, work
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.types import (
    Ambiguous,
    Askable,
    AuthFailed,
    Channel,
    Limited,
    Message,
    Permanent,
    Receipt,
    Retry,
)
from citaplanner_core.jobs import loop
from citaplanner_core.notifications import gate
from citaplanner_core.notifications.admission import Wait, admit
from citaplanner_core.notifications.choice import (
    Defer,
    Verdict,
    addressee_of,
    last_delivery,
    require_allowed,
    require_true,
    standing_of,
)
from citaplanner_core.notifications.facts import Facts, read_facts
from citaplanner_core.notifications.models import (
    DELIVERED,
    FAILED,
    MARKETING_TYPES,
    READ,
    SENDING,
    SENT,
    Delivery,
    Notification,
)
from citaplanner_core.notifications.opt_outs import address_key
from citaplanner_core.notifications.repeats import fall_back_now, plan_fall_back
from citaplanner_core.notifications.wording import compose

log = structlog.get_logger()
MAX_DEATHS = 10
"""Claims without a single attempt after which a row is taken for what ends its workers."""
GIVE_UP_AFTER = timedelta(hours=24)
"""How long after the first attempt the last one is made, where nothing sets an earlier end."""
LEASE_SECONDS = 120
"""Longer than the deadline: whoever still sends has ended before another may take the row."""
DEADLINE_SECONDS = 90
ASK_AFTER_SECONDS = 2
_DELIVERY: Any = Delivery.__table__
_NOTIFICATION: Any = Notification.__table__
_ATTEMPT = insert(_DELIVERY).returning(_DELIVERY.c.id)
_OURS = (
    update(_NOTIFICATION)
    .where(
        _NOTIFICATION.c.id == bindparam("notification"),
        _NOTIFICATION.c.tenant_id == bindparam("tenant"),
        _NOTIFICATION.c.lease_token == bindparam("token"),
        _NOTIFICATION.c.status == SENDING,
    )
    .values(
        status=SENT,
        sent_at=server_clock(),
        reason=None,
        error=None,
        channel=bindparam("key"),
        lane=bindparam("key"),
        lease_until=None,
        lease_token=None,
    )
    .returning(_NOTIFICATION.c.id)
    .cte("ours")
)
_SENT = (
    update(_DELIVERY)
    .where(
        _DELIVERY.c.id == bindparam("row"),
        _DELIVERY.c.tenant_id == bindparam("tenant"),
        _DELIVERY.c.notification_id.in_(select(_OURS.c.id)),
    )
    .values(status=SENT, finished_at=server_clock(), error=None, provider_id=bindparam("receipt"))
)
RANK = {SENDING: 0, SENT: 1, DELIVERED: 2, READ: 3, FAILED: 4}


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Everything the network step needs, read in one transaction."""

    delivery_id: int
    channel: Channel
    message: Message
    settings: Mapping[str, Any]
    outcome_unknown: bool
    marketing: bool
    expires_at: datetime | None
    in_trouble: bool
    may_fall_back: bool


class _StillUnknown(Exception):
    """The provider could not tell whether an earlier attempt arrived: it must be asked again before we send."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(_describe(cause))
        self.after = cause.after if isinstance(cause, Retry) else None


class NotificationSource:
    """Lets the job loop serve notifications."""

    model = Notification

    def __init__(self, *, lease_seconds: float = LEASE_SECONDS, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.lease_seconds, self.deadline_seconds = lease_seconds, deadline_seconds

    def run(self, claim: loop.Claim) -> None:
        """Deliver one claimed notification and settle it. Never raises for what a channel does."""
        attempt = _prepared(claim)
        if attempt is None:
            return
        outcome = _send(attempt)
        _settle(claim, attempt, outcome)


class _Unusual(Exception):
    """What is to be read or written must be so in one transaction."""


def _prepared(claim: loop.Claim) -> _Attempt | None:
    """Return the attempt, which is written; None for what is not sent now, which is settled."""
    try:
        with swift_work(claim.tenant_id) as session:
            return _decided(session, claim, at_once=db.engine.dialect.name == "postgresql")
    except _Unusual:
        pass
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        # What was written before the connection broke is found now as an attempt whose outcome nobody knows.
    with work(claim.tenant_id) as session:
        return _decided(session, claim, at_once=False)


def _decided(session: Session, claim: loop.Claim, *, at_once: bool) -> _Attempt | None:
    try:
        return _prepare(session, claim, at_once=at_once)
    except Verdict as verdict:
        loop.settle(session, Notification, claim, verdict.status, reason=verdict.reason, error=verdict.error)
    except Defer as wait:
        values = {"reason": wait.reason, "error": wait.why, "attempt": claim.attempt - 1}
        loop.release(session, Notification, claim, due=wait.until, **values)
    except Wait as wait:
        values = {"attempt": claim.attempt - 1, "lane": wait.lane, "reason": wait.reason}
        loop.release(session, Notification, claim, due=wait.hold.until, error=wait.hold.error, **values)
    return None


def _is_unusual(facts: Facts) -> bool:
    """Tell whether more than an attempt may have to be written: after trouble, for a pace."""
    paced = any(gate.pace_of(channel) is not None for _, channel in dispatch.channels().values())
    return paced or bool(facts.noted) or facts.last_id is not None or facts.intent.campaign_id is not None


def _prepare(session: Session, claim: loop.Claim, *, at_once: bool) -> _Attempt:
    facts = read_facts(session, claim.id)
    if at_once and _is_unusual(facts):
        raise _Unusual
    intent = facts.intent
    rule = require_true(session, facts)
    recipient = addressee_of(facts, rule)
    last = last_delivery(session, intent.id) if facts.last_id is not None else None
    if last is None and claim.attempt > MAX_DEATHS:
        raise Verdict(FAILED, "unreachable", f"the worker died with it {MAX_DEATHS} times")
    unknown = last if last is not None and last.status == SENDING else None
    standing = standing_of(session, facts, recipient, rule)
    key, channel, address, values, state = admit(session, claim, facts, standing, recipient, last, rule)
    require_allowed(address)
    if unknown is not None and unknown.channel == key:
        if not isinstance(channel, Askable):
            unknown.possible_repeat = True
        delivery_id, subject, body, question = unknown.id, unknown.subject, unknown.body, unknown.question
        session.flush()
    else:
        body, subject, question = compose(session, facts, standing, recipient, channel)
        attempt = {
            "tenant_id": claim.tenant_id,
            "notification_id": intent.id,
            "channel": key,
            "address_key": address_key(address),
            "attempt": claim.attempt,
            "question": question,
            "subject": subject,
            "body": body,
            "possible_repeat": unknown is not None,
            "started_at": facts.now,
        }
        delivery_id = tenant_connection(session).execute(_ATTEMPT, attempt).scalar_one()
        unknown = None
    message = Message(
        tenant_id=claim.tenant_id,
        branch_id=facts.visit.branch_id if facts.visit else None,
        notification_id=intent.id,
        attempt=claim.attempt,
        key=f"{claim.tenant_id}-{intent.id}-{key}",
        type=intent.type,
        recipient=recipient,
        address=address,
        subject=subject,
        body=body,
        question=question,
        appointment_id=intent.appointment_id,
    )
    return _Attempt(
        delivery_id,
        channel,
        message,
        values,
        unknown is not None,
        intent.type in MARKETING_TYPES,
        intent.expires_at,
        gate.in_trouble(state),
        not intent.channel and getattr(channel, "reports_delivery", False),
    )


def _send(attempt: _Attempt) -> Receipt | Exception:
    """Talk to the provider, outside any transaction; an outcome nobody knows is asked about before sending again."""
    channel, message = attempt.channel, attempt.message
    try:
        if attempt.outcome_unknown:
            if isinstance(channel, Askable):
                try:
                    found = channel.find_sent(message, attempt.settings)
                except Exception as error:
                    return _StillUnknown(error)
                if found is not None:
                    return found
            elif channel.on_unknown == "hold" or attempt.marketing:
                return Permanent("outcome_unknown", "the earlier attempt may have arrived, and nobody can be asked")
        return channel.send(message, attempt.settings)
    except Exception as error:
        return error


def _settle(claim: loop.Claim, attempt: _Attempt, outcome: Receipt | Exception) -> None:
    plain = isinstance(outcome, Receipt) and not (attempt.in_trouble or attempt.may_fall_back)
    if isinstance(outcome, Receipt) and plain and db.engine.dialect.name == "postgresql":
        try:
            _settle_at_once(claim, attempt, outcome)
            return
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
    with work(claim.tenant_id) as session:
        _settle_in(session, claim, attempt, outcome)


def _settle_at_once(claim: loop.Claim, attempt: _Attempt, receipt: Receipt) -> None:
    """Do what `_settle_in` does for what was sent, and nothing else is to be done about, in one statement."""
    key = attempt.channel.key
    given = {
        "row": attempt.delivery_id,
        "tenant": claim.tenant_id,
        "notification": claim.id,
        "token": claim.token,
        "key": key,
        "receipt": receipt.message_id,
    }
    with single_statement("what was sent names its tenant") as connection:
        ours = connection.execute(_SENT, given).rowcount > 0
    loop.tell_settled(Notification, claim, ours, SENT, {"channel": key})


def _settle_in(session: Session, claim: loop.Claim, attempt: _Attempt, outcome: Receipt | Exception) -> None:
    key = attempt.channel.key
    if isinstance(outcome, Receipt):
        ours = loop.settle(
            session, Notification, claim, SENT, sent_at=clock(), reason=None, error=None, channel=key, lane=key
        )
        if ours:
            _record(session, attempt, SENT, provider_id=outcome.message_id, error=None)
            if attempt.in_trouble:
                gate.succeeded(session, key)
            if attempt.may_fall_back:
                plan_fall_back(session, claim.id)
        return
    now = database_now(session)
    detail = _describe(outcome)
    log.warning(
        "delivery_failed",
        notification=claim.id,
        channel=key,
        attempt=claim.attempt,
        kind=type(outcome).__name__,
    )
    if isinstance(outcome, Permanent | AuthFailed):
        reason = outcome.reason if isinstance(outcome, Permanent) else "auth_failed"
        # Where it may have arrived already another channel could say it twice.
        final = reason == "outcome_unknown"
        values = {"reason": reason, "error": detail}
        ours = (
            loop.settle(session, Notification, claim, FAILED, **values)
            if final
            else loop.release(session, Notification, claim, due=now, lane="", **values)
        )
        if ours:
            _record(session, attempt, FAILED, **values)
            if isinstance(outcome, AuthFailed):
                gate.failed(session, key, "auth_failed", now, error=detail, after=None)
            elif attempt.in_trouble and not final:
                gate.succeeded(session, key)
        return
    unknown = not isinstance(outcome, Retry)
    after = getattr(outcome, "after", None)
    wait = (
        loop.backoff(claim.attempt, base=ASK_AFTER_SECONDS, cap=300, after=after)
        if unknown
        else loop.backoff(claim.attempt, base=5, cap=900, after=after)
    )
    if not _later(session, claim, attempt, now, wait, "outcome_unknown" if unknown else "unreachable", detail):
        return
    if unknown:
        _note(session, attempt, error=detail)
    else:
        _record(session, attempt, FAILED, error=detail)
    if isinstance(outcome, Limited):
        gate.failed(session, key, "limited", now, error=detail, after=after)
    elif not (isinstance(outcome, Retry) and after):  # a named wait is an answer
        gate.failed(session, key, "unreachable", now, error=detail, after=None)


def _later(
    session: Session, claim: loop.Claim, attempt: _Attempt, now: datetime, wait: timedelta, reason: str, detail: str
) -> bool:
    """Let the row wait, or end it when there is no time left. False: it is not ours any more."""
    due = now + wait
    first = session.scalar(select(func.min(Delivery.started_at)).where(Delivery.notification_id == claim.id))
    out_of_time = (attempt.expires_at is not None and due >= attempt.expires_at) or due >= (
        first or now
    ) + GIVE_UP_AFTER
    values = {"reason": reason, "error": detail, "lane": attempt.channel.key}
    if out_of_time:
        return loop.settle(session, Notification, claim, FAILED, **values)
    return loop.release(session, Notification, claim, due=due, **values)


def _record(session: Session, attempt: _Attempt, status: str, **values: Any) -> None:
    _note(session, attempt, status=status, finished_at=clock(), **values)


def _note(session: Session, attempt: _Attempt, **values: Any) -> None:
    timed = tuple(name for name, value in values.items() if isinstance(value, ClauseElement))
    given = {f"new_{name}": value for name, value in values.items() if name not in timed}
    row = {"row": attempt.delivery_id, "tenant": attempt.message.tenant_id}
    tenant_connection(session).execute(_noting(tuple(values), timed), {**given, **row})


@cache
def _noting(names: tuple[str, ...], timed: tuple[str, ...]) -> Any:
    new = {name: server_clock() if name in timed else bindparam(f"new_{name}") for name in names}
    mine = (_DELIVERY.c.id == bindparam("row"), _DELIVERY.c.tenant_id == bindparam("tenant"))
    return update(_DELIVERY).where(*mine).values(new)


def _describe(error: Exception) -> str:
    known = isinstance(error, Retry | Ambiguous | AuthFailed | Permanent | _StillUnknown)
    return (str(error) if known else f"{type(error).__name__}: {error}")[:500]


def advance(
    session: Session, channel: str, provider_id: str, status: str, *, at: datetime, error: str | None = None
) -> Delivery | None:
    """Take a provider's later report (DELIVERED, READ or FAILED) of a message; return its delivery, None if unknown.

    Statuses only move forward; a failure reported after sending sets the notification to FAILED(`rejected`), and the
    next channel takes over.
    """
    delivery = session.scalar(select(Delivery).where(Delivery.channel == channel, Delivery.provider_id == provider_id))
    if delivery is None or RANK[status] <= RANK.get(delivery.status, 0):
        return delivery
    if status == FAILED and delivery.status in (DELIVERED, READ):
        return delivery
    delivery.status = status
    if status in (DELIVERED, READ):
        delivery.delivered_at = delivery.delivered_at or at
        delivery.read_at = at if status == READ else delivery.read_at
    else:
        delivery.reason, delivery.error = "rejected", error
    notification = session.get_one(Notification, delivery.notification_id)
    if notification.status in (SENT, DELIVERED):
        notification.status = status
        if status == FAILED:
            notification.reason, notification.error = "rejected", error
            session.flush()
            fall_back_now(session, notification)
    return delivery
