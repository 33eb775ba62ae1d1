"""A second try: by a person for what failed, by the next channel for what was not delivered. And taking back."""

import uuid
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, wake, work
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.jobs.models import PENDING, Job
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.notifications.choice import Defer, Verdict, addressee_of, choose, require_true, standing_of
from citaplanner_core.notifications.facts import Facts, read_facts
from citaplanner_core.notifications.models import (
    CANCELLED,
    FAILED,
    SENT,
    SKIPPED,
    Delivery,
    Notification,
)
from citaplanner_core.notifications.rules import Rule
from citaplanner_core.notifications.service import NotificationRefused

FALL_BACK = "fall_back"
FALL_BACK_MINUTES = 15
"""How long a provider that reports delivery has, before the next channel takes over."""


def retry(session: Session, notification_id: int) -> Notification:
    """Plan a failed or skipped notification again, as a new one whose `retry_of` names the first.

    Raises `NotificationRefused` for any other, and where it would not be true any more: the appointment is past,
    cancelled or moved, or the message has expired.
    """
    first = _find(session, notification_id)
    if first.status not in (FAILED, SKIPPED):
        raise NotificationRefused("notification_id", f"is {first.status}: only FAILED and SKIPPED ones are sent again")
    waiting = session.scalar(
        select(Notification.id).where(Notification.retry_of == first.id, Notification.status.in_((PENDING, "SENDING")))
    )
    if waiting is not None:
        raise NotificationRefused("notification_id", f"is being sent again already, as notification {waiting}")
    try:
        require_true(session, read_facts(session, first.id))
    except Defer:
        pass  # it will wait when it is sent
    except Verdict as verdict:
        raise NotificationRefused("notification_id", f"would not be true any more ({verdict.reason})") from None
    return _again(session, first, f"{first.dedupe_key}#retry-{uuid.uuid4()}", channel=first.channel)


def cancel(session: Session, notification_id: int) -> Notification:
    """Take back a notification that waits; raise `NotificationRefused` for one that is being sent or settled."""
    notification = _find(session, notification_id)
    cancelled = session.execute(
        update(Notification)
        .where(Notification.id == notification_id, Notification.status == PENDING)
        .values(status=CANCELLED)
        .returning(Notification.id)
    )
    if cancelled.first() is None:
        session.refresh(notification)
        raise NotificationRefused("notification_id", f"is {notification.status}: only PENDING ones can be taken back")
    session.refresh(notification)
    return notification


def _find(session: Session, notification_id: int) -> Notification:
    found: Notification | None = session.get(Notification, notification_id)
    if found is None:
        raise NotificationRefused("notification_id", f"there is no notification {notification_id}")
    return found


def _again(session: Session, first: Notification, dedupe_key: str, *, channel: str | None) -> Notification:
    again = Notification(
        type=first.type,
        rule=first.rule,
        recipient_id=first.recipient_id,
        staff_contact_id=first.staff_contact_id,
        campaign_id=first.campaign_id,
        channel=channel,
        message=first.message,
        template=first.template,
        variables=first.variables,
        appointment_id=first.appointment_id,
        schedule_version=first.schedule_version,
        dedupe_key=dedupe_key,
        due=database_now(session),
        expires_at=first.expires_at,
        retry_of=first.id,
    )
    session.add(again)
    session.flush()
    wake(session)
    return again


def plan_fall_back(session: Session, notification_id: int) -> None:
    """Have it looked at, when delivery should have been reported, whether the next channel must take over."""
    due = database_now(session) + timedelta(minutes=FALL_BACK_MINUTES)
    enqueue(session, FALL_BACK, {"notification_id": notification_id}, due=due, dedupe_key=_key(notification_id))


def fall_back_now(session: Session, notification: Notification) -> None:
    """Have the next channel take over for one that is reported as failed, if another may."""
    payload, now = {"notification_id": notification.id}, database_now(session)
    planned = session.execute(
        update(Job).where(Job.dedupe_key == _key(notification.id), Job.status == PENDING).values(due=now)
    )
    if not cast("CursorResult[Any]", planned).rowcount and notification.rule != "manual":
        enqueue(session, FALL_BACK, payload, due=now, dedupe_key=_key(notification.id))
    wake(session)


def _key(notification_id: int) -> str:
    return f"{FALL_BACK}:{notification_id}"


def fall_back(context: JobContext) -> None:
    """Send by the next channel what was sent and not delivered, or is reported as failed: once, as a new notification.

    Its own deliveries begin with the channels that were tried, so that they are not tried again. Where no other channel
    would do, nothing is written.
    """
    with work(context.tenant_id) as session:
        first: Notification | None = session.get(Notification, int(context.payload["notification_id"]))
        if first is None or first.status not in (SENT, FAILED):
            return
        key = f"{first.dedupe_key}#{FALL_BACK}"
        if session.scalar(select(Notification.id).where(Notification.dedupe_key == key)):
            return
        tried = session.scalars(
            select(Delivery).where(Delivery.notification_id == first.id).order_by(Delivery.id)
        ).all()
        if not tried:
            return
        nested = session.begin_nested()
        try:
            before = read_facts(session, first.id)
            rule = _rule_of(session, before)
            again = _again(session, first, key, channel=None)
            passed = [
                _not_again(again, channel, first, before.now) for channel in dict.fromkeys(one.channel for one in tried)
            ]
            session.add_all(passed)
            session.flush()
            facts = read_facts(session, again.id)
            recipient = addressee_of(facts, rule)
            choose(session, facts, standing_of(session, facts, recipient, rule), recipient, passed[-1], rule)
        except Verdict:
            nested.rollback()
        else:
            nested.commit()


def _rule_of(session: Session, first: Facts) -> Rule | None:
    try:
        return require_true(session, first)
    except Defer:  # it will wait when it is sent
        return first.rule


def _not_again(again: Notification, channel: str, first: Notification, now: datetime) -> Delivery:
    return Delivery(
        notification_id=again.id,
        channel=channel,
        attempt=0,
        status=FAILED,
        body="",
        reason="rejected" if first.status == FAILED else "unreachable",
        error=f"not tried: notification {first.id} went out over it and was not delivered",
        started_at=now,
        finished_at=now,
    )
