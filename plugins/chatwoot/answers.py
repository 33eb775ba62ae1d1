"""Which message of ours somebody answers, what that does, and the reply that is to be posted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from citaplanner_core.notifications.models import Notification
from citaplanner_core.replies.actions import act
from citaplanner_core.replies.outcome import Outcome, Said
from citaplanner_core.replies.which import LASTS, Asked, Choice
from plugins.chatwoot.channel import KEY
from plugins.chatwoot.events import IncomingMessage
from plugins.chatwoot.matcher import Match, address_of_writer
from plugins.chatwoot.models import ChatwootInteraction as Spoken

ANSWERABLE_AFTER_END = timedelta(days=1)
"""So long after an appointment a word in its conversation is still about it."""
ELSEWHERE_WITHIN = timedelta(days=7)
"""So long an answer may come through another contact of the same client."""
MOST_REPLIES = 5
BREAKER_WINDOW = timedelta(minutes=10)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """A message in its conversation."""

    account_ref: str
    conversation_id: int
    message_id: int
    at: datetime

    @property
    def here(self) -> ColumnElement[bool]:
        """The condition for messages of the same conversation."""
        return (Spoken.account_ref == self.account_ref) & (Spoken.conversation_id == self.conversation_id)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is answered, the id of the message that asked it, and what the numbers in our last message mean."""

    asked: Asked
    message_id: int
    choice: Choice | None = None


def answer(session: Session, place: Place, message: IncomingMessage, who: Match) -> Outcome:
    """Do what a message asks for; return what came of it.

    To be called only where the channel vouches for the writer. Where we asked it does not matter whether the writer
    could be told: we wrote to that address about that appointment. Several who share it all use it.
    """
    found = _find(session, place, message, who)
    since = found.message_id if found else 0
    newer = _exists(session, place.here, Spoken.direction == "in", Spoken.message_id > place.message_id)
    joined = _exists(
        session,
        place.here,
        Spoken.direction == "agent",
        Spoken.message_id > since,
        Spoken.message_id < place.message_id,
    )
    said = Said(
        channel=KEY,
        text=message.text or "",
        at=place.at,
        address=address_of_writer(message.contact, message.conversation),
        people=_people(who),
        has_media=message.has_media,
        quiet=joined or newer,
    )
    if found is None:
        return act(session, said, asked=None)
    return act(session, said, asked=found.asked, others=_others(session, place, found.asked), choice=found.choice)


def _people(who: Match) -> list[int]:
    """Return the clients who surely use this address: the one linked, or all who share the number."""
    sure = who.outcome == "linked" or (who.outcome == "ambiguous" and who.rule == "phone")
    return [client.id for client in who.candidates] if sure else []


def may_reply(session: Session, place: Place) -> bool:
    """Tell whether another automatic reply may go into the conversation now; what talks to us may be a program."""
    lately = select(func.count(Spoken.id)).where(
        place.here,
        Spoken.reply_key.is_not(None),
        Spoken.at > place.at - BREAKER_WINDOW,
        Spoken.message_id != place.message_id,
    )
    if (session.scalar(lately) or 0) < MOST_REPLIES:
        return True
    log.warning("chatwoot_breaker_open", conversation=place.conversation_id)
    return False


def _exists(session: Session, *which: ColumnElement[bool]) -> bool:
    return session.scalar(select(Spoken.id).where(*which).limit(1)) is not None


def _find(session: Session, place: Place, message: IncomingMessage, who: Match) -> _Found | None:
    """Look for the message answered: the one pointed at, else our last one here, else our last one to this client."""
    asking: Any = (Spoken.direction == "out") & Spoken.notification_id.is_not(None)
    if message.in_reply_to is not None:
        pointed = session.scalar(select(Spoken).where(place.here, Spoken.message_id == message.in_reply_to))
        if pointed is not None and pointed.direction == "agent":
            return None
        if pointed is not None and pointed.direction == "out" and pointed.notification_id is not None:
            return _found(session, place, pointed, explicit=True)
    ours = (
        select(Spoken).where(asking, Spoken.message_id < place.message_id).order_by(Spoken.message_id.desc()).limit(1)
    )
    here = session.scalar(ours.where(place.here))
    if here is not None and _is_current(session, here, place.at - ANSWERABLE_AFTER_END):
        return _found(session, place, _question_of(session, place, here), last=here)
    if who.outcome != "linked" or who.client is None:
        return None
    elsewhere = session.scalar(
        ours.where(
            Spoken.account_ref == place.account_ref,
            Spoken.client_id == who.client.id,
            Spoken.at > place.at - ELSEWHERE_WITHIN,
        )
    )
    if elsewhere is None or not _is_current(session, elsewhere, place.at):
        return None
    return _found(session, place, _question_of(session, place, elsewhere))


def _is_current(session: Session, spoken: Spoken, end: datetime) -> bool:
    """Tell whether a message of ours is about something that was not over at `end`."""
    appointment = session.get_one(Notification, spoken.notification_id).appointment
    return appointment is None or appointment.end > end


def _question_of(session: Session, place: Place, spoken: Spoken) -> Spoken:
    """Return the last question about the same notification: thanks and other replies ask nothing."""
    asked = session.scalar(
        select(Spoken)
        .where(
            Spoken.account_ref == place.account_ref,
            Spoken.notification_id == spoken.notification_id,
            Spoken.direction == "out",
            Spoken.question.is_not(None),
            Spoken.message_id < place.message_id,
        )
        .order_by(Spoken.message_id.desc())
        .limit(1)
    )
    return asked or spoken


def _others(session: Session, place: Place, asked: Asked) -> list[Asked]:
    """Return what else was asked in this conversation lately, newest first."""
    rows = session.scalars(
        select(Spoken)
        .where(
            place.here,
            Spoken.direction == "out",
            Spoken.question.is_not(None),
            Spoken.notification_id.is_not(None),
            Spoken.notification_id != asked.notification.id,
            Spoken.message_id < place.message_id,
            Spoken.at > place.at - LASTS,
        )
        .order_by(Spoken.message_id.desc())
    )
    return [_asked(session, place, row) for row in rows]


def _found(
    session: Session, place: Place, asking: Spoken, *, explicit: bool = False, last: Spoken | None = None
) -> _Found:
    """`last` is what we said last where the question was looked for: a list of numbers, say."""
    choice = Choice.restored(last.choice) if last is not None and last.choice else None
    follow_up = last is not None and last.id == asking.id and asking.schedule_version is not None
    asked = _asked(session, place, asking, explicit=explicit, follow_up=follow_up and asking.question is not None)
    return _Found(asked, asking.message_id, choice)


def _asked(session: Session, place: Place, asking: Spoken, *, explicit: bool = False, follow_up: bool = False) -> Asked:
    notification = session.get_one(Notification, asking.notification_id)
    earlier = session.scalars(
        select(Spoken.action)
        .where(
            Spoken.account_ref == place.account_ref,
            Spoken.notification_id == notification.id,
            Spoken.direction == "in",
            Spoken.action.is_not(None),
            Spoken.message_id < place.message_id,
        )
        .order_by(Spoken.message_id)
    )
    return Asked(
        notification,
        asking.question,
        asking.schedule_version or notification.schedule_version,
        [action for action in earlier if action],
        explicit=explicit,
        at=asking.at,
        follow_up=follow_up,
    )
