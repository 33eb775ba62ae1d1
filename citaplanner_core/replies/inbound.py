"""The way in for every channel: a message is taken once, what it answers is found, and it is acted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import find_by_match_key
from citaplanner_core.booking.errors import plain_text
from citaplanner_core.booking.models import Client
from citaplanner_core.hooks.types import InboundMessage, TextFamily
from citaplanner_core.notifications.models import DELIVERED, READ, SENT, Delivery, Notification
from citaplanner_core.notifications.opt_outs import address_key
from citaplanner_core.replies.actions import act
from citaplanner_core.replies.models import ReceivedMessage
from citaplanner_core.replies.outcome import Outcome, Said
from citaplanner_core.replies.which import Asked, Choice

ANSWERABLE_AFTER_END = timedelta(days=1)
"""So long after an appointment a word from its number is still about it."""
_MOST = 20


@dataclass(frozen=True, slots=True)
class _Ours:
    """Something we said to an address: a notification, or a reply that asked back."""

    at: datetime
    notification: Notification
    question: str | None
    schedule_version: int | None
    provider_id: str | None
    reply: bool = False
    choice: Choice | None = None


def receive(session: Session, message: InboundMessage, *, family: TextFamily = "chat") -> Outcome:
    """Take a message somebody wrote, in the caller's writing unit of its tenant, and return what is to be said back.

    The same message (channel and provider id) again does nothing, with the action `known`. It answers the message it
    points at, else our last one to that address; what several could answer is asked back. A `claimed` address is
    noted and left to people. `family` is the kind of text the channel carries. After posting the reply the channel
    tells its id with `replied`, so that one may point at it. Raises `ValidationFailed` for words no database stores.
    """
    text = plain_text("text", message.text or "")
    row = ReceivedMessage(
        channel=message.channel,
        address=address_key(message.address),
        provider_id=message.provider_id,
        text=text or None,
        at=message.at,
    )
    if not _is_new(session, row):
        return Outcome("unknown", "known", handled=True)
    if message.trust != "proven":
        row.action = "nothing"
        return Outcome("unknown", "nothing", handled=False)
    said = _ours(session, row)
    pointed = next((one for one in said if one.provider_id and one.provider_id == message.in_reply_to), None)
    answered = pointed or next(iter(said), None)
    asked = _asked(session, answered, row, explicit=pointed is not None) if answered else None
    others = [_asked(session, one, row) for one in said if asked and one.notification is not asked.notification]
    outcome = act(
        session,
        Said(
            channel=message.channel,
            text=text,
            at=message.at,
            address=message.address,
            people=[client.id for client in _people(session, row.address)],
            has_media=message.has_media,
        ),
        asked=asked,
        others=others,
        choice=answered.choice if answered else None,
        family=family,
    )
    _keep(row, outcome)
    return outcome


def replied(session: Session, *, channel: str, provider_id: str, reply_id: str) -> None:
    """Keep the provider's id of the reply that was posted to the message `provider_id`."""
    row = session.scalar(
        select(ReceivedMessage).where(ReceivedMessage.channel == channel, ReceivedMessage.provider_id == provider_id)
    )
    if row is not None:
        row.reply_id = reply_id


def _is_new(session: Session, row: ReceivedMessage) -> bool:
    known = select(ReceivedMessage.id).where(
        ReceivedMessage.channel == row.channel, ReceivedMessage.provider_id == row.provider_id
    )
    if session.scalar(known) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:  # another worker was quicker
        return False
    return True


def _people(session: Session, address: str) -> Sequence[Client]:
    """Return the active clients who use an address now."""
    if "@" not in address:
        return find_by_match_key(session, address)
    return session.scalars(select(Client).where(Client.active, Client.email.ilike(_literally(address)))).all()


def _literally(address: str) -> str:
    return address.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _ours(session: Session, row: ReceivedMessage) -> list[_Ours]:
    """Return what we said to the address before the message, newest first, as far as it may still be answered."""
    deliveries = session.execute(
        select(Delivery, Notification)
        .join(Notification, Notification.id == Delivery.notification_id)
        .where(
            Delivery.channel == row.channel,
            Delivery.address_key == row.address,
            Delivery.status.in_((SENT, DELIVERED, READ)),
            Delivery.started_at <= row.at,
        )
        .order_by(Delivery.started_at.desc(), Delivery.id.desc())
        .limit(_MOST)
    ).all()
    said = [
        _Ours(
            delivery.finished_at or delivery.started_at,
            notification,
            delivery.question,
            notification.schedule_version,
            delivery.provider_id,
        )
        for delivery, notification in deliveries
    ]
    replies = session.execute(
        select(ReceivedMessage, Notification)
        .join(Notification, Notification.id == ReceivedMessage.notification_id)
        .where(
            ReceivedMessage.channel == row.channel,
            ReceivedMessage.address == row.address,
            ReceivedMessage.id != row.id,
            ReceivedMessage.reply_key.is_not(None),
            ReceivedMessage.at <= row.at,
        )
        .order_by(ReceivedMessage.at.desc(), ReceivedMessage.id.desc())
        .limit(_MOST)
    ).all()
    for received, notification in replies:
        choice = Choice.restored(received.choice) if received.choice else None
        version = received.schedule_version or notification.schedule_version
        said.append(
            _Ours(received.at, notification, received.question, version, received.reply_id, reply=True, choice=choice)
        )
    current = [one for one in said if _is_current(one, row.at)]
    return sorted(current, key=lambda one: one.at, reverse=True)


def _is_current(ours: _Ours, at: datetime) -> bool:
    appointment = ours.notification.appointment
    return appointment is None or appointment.end + ANSWERABLE_AFTER_END > at


def _asked(session: Session, ours: _Ours, row: ReceivedMessage, *, explicit: bool = False) -> Asked:
    """Return a message of ours as `act` takes it; thanks and the like ask nothing, then the question before counts."""
    earlier = session.scalars(
        select(ReceivedMessage.action)
        .where(
            ReceivedMessage.notification_id == ours.notification.id,
            ReceivedMessage.id != row.id,
            ReceivedMessage.at <= row.at,
            ReceivedMessage.action.is_not(None),
        )
        .order_by(ReceivedMessage.at, ReceivedMessage.id)
    )
    at: datetime | None = ours.at
    question, version = ours.question, ours.schedule_version
    if ours.reply and question is None:
        question, version, at = _question_before(session, ours, row)
    return Asked(
        ours.notification,
        question,
        version,
        [action for action in earlier if action],
        explicit=explicit,
        at=at,
        follow_up=ours.reply and ours.question is not None,
    )


def _question_before(
    session: Session, ours: _Ours, row: ReceivedMessage
) -> tuple[str | None, int | None, datetime | None]:
    """Return (question, schedule version, when asked) of the last question about the same notification."""
    back = session.scalar(
        select(ReceivedMessage)
        .where(
            ReceivedMessage.notification_id == ours.notification.id,
            ReceivedMessage.question.is_not(None),
            ReceivedMessage.at < row.at,
        )
        .order_by(ReceivedMessage.at.desc(), ReceivedMessage.id.desc())
        .limit(1)
    )
    if back is not None:
        return back.question, back.schedule_version or ours.notification.schedule_version, back.at
    first = session.scalar(
        select(Delivery)
        .where(Delivery.notification_id == ours.notification.id, Delivery.channel == row.channel)
        .order_by(Delivery.id.desc())
        .limit(1)
    )
    if first is None:
        return None, ours.notification.schedule_version, None
    return first.question, ours.notification.schedule_version, first.finished_at or first.started_at


def _keep(row: ReceivedMessage, outcome: Outcome) -> None:
    row.intent, row.action, row.reply_key = outcome.intent, outcome.action, outcome.reply_key
    row.notification_id = outcome.notification.id if outcome.notification else None
    if outcome.reply is not None:
        row.question = outcome.reply.question
        row.schedule_version = outcome.appointment.schedule_version if outcome.appointment else None
    row.choice = outcome.choice.stored() if outcome.choice else None
