"""By which channel a notification leaves now, and whether that channel lets it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from citaplanner_core.hooks.types import Channel, Recipient
from citaplanner_core.jobs import loop
from citaplanner_core.notifications import gate
from citaplanner_core.notifications.choice import Verdict, choose, last_delivery
from citaplanner_core.notifications.facts import Facts, Standing
from citaplanner_core.notifications.models import (
    FAILED,
    MARKETING_TYPES,
    REASONS,
    SENDING,
    ChannelState,
    Delivery,
)
from citaplanner_core.notifications.rules import Rule


class Wait(Exception):
    """Not now: the row waits until `hold.until` in its channel's lane, and this was no attempt."""

    def __init__(self, lane: str, hold: gate.Hold) -> None:
        super().__init__(hold.reason)
        self.lane, self.hold = lane, hold
        self.reason = hold.reason if hold.reason in REASONS else None


def admit(
    session: Session,
    claim: loop.Claim,
    facts: Facts,
    standing: Standing,
    recipient: Recipient,
    last: Delivery | None,
    rule: Rule | None,
) -> tuple[str, Channel, str, Mapping[str, Any], ChannelState | None]:
    """Choose the channel and go through its gate; raise `Wait` where the message must wait for it.

    Past a channel that refuses our credentials, or that works again too late for this message, the next one is taken.
    """
    intent, now = facts.intent, facts.now
    unknown = last is not None and last.status == SENDING
    while True:
        key, channel, address, values = choose(session, facts, standing, recipient, last, rule)
        if not claim.join(key):
            raise Wait(key, gate.Hold(now, ""))
        state = gate.state_of(session, key) if key in facts.noted else None
        hold = gate.breaker(session, state, now)
        if hold is None:
            pace = gate.pace_of(channel)
            if pace is not None and not unknown:
                urgent = intent.type not in MARKETING_TYPES
                hold = gate.take_place(session, key, pace, intent.recipient_id, now, urgent=urgent)
            if hold is None:
                return key, channel, address, values, state
        too_late = intent.expires_at is not None and hold.until >= intent.expires_at
        if unknown or not (too_late or hold.reason == "auth_failed"):
            raise Wait(key, hold)
        if not _pass_over(session, facts, standing, recipient, key, hold, rule):
            if too_late:
                raise Verdict(FAILED, hold.reason if hold.reason != "limited" else "expired", hold.error)
            raise Wait(key, hold)
        last = last_delivery(session, intent.id)


def _pass_over(
    session: Session,
    facts: Facts,
    standing: Standing,
    recipient: Recipient,
    key: str,
    hold: gate.Hold,
    rule: Rule | None,
) -> bool:
    """Note that a channel is not tried; False, and nothing is noted, when no other one would do."""
    passed = Delivery(
        notification_id=facts.intent.id,
        channel=key,
        attempt=0,
        status=FAILED,
        body="",
        reason="unreachable" if hold.reason == "limited" else hold.reason,
        error=f"not tried: {hold.error or hold.reason}",
        started_at=facts.now,
        finished_at=facts.now,
    )
    nested = session.begin_nested()
    session.add(passed)
    session.flush()
    try:
        choose(session, facts, standing, recipient, passed, rule)
    except Verdict:
        nested.rollback()
        return False
    nested.commit()
    return True
