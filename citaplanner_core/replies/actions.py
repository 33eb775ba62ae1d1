"""What a client's answer does to the appointment it is about, and what is said back.

An answer acts on the appointment of the message it answers and on nothing else: whoever was written to may decide
about it, and learns no more than that message told. Where words are not clear nothing is done, and one is asked
back, once; where the matter is a person's, it is left to them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import cancel, record_answer
from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import CANCELLED, CONFIRMED, LIVE_STATES, PENDING, Appointment, Tenant
from citaplanner_core.database import current_tenant, database_now, db
from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications.models import Notification, OptOut
from citaplanner_core.notifications.templates import Rendered, render
from citaplanner_core.notifications.variables import appointment_variables, client_variables
from citaplanner_core.replies.intents import IntentName, parse
from citaplanner_core.replies.reading import read

Action = Literal[
    "confirmed",
    "left_to_staff",
    "cancelled",
    "move_wanted",
    "opted_out",
    "opted_in",
    "asked",
    "not_understood",
    "handed_over",
    "too_late",
    "overtaken",
    "nothing",
]

_SETTLING: frozenset[str] = frozenset(
    ("confirmed", "left_to_staff", "cancelled", "move_wanted", "handed_over", "too_late")
)
_COURTESY = frozenset(("polite", "please", "decor", "title", "laugh", "yes", "comma", "stop"))
_PICKED = 0.95
"""From this confidence on an answer is clear by itself: one of the numbers we offered, or plain words."""
_LONGEST_WORDS = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """The message of ours that is answered.

    `question` is what it asked (see `parse`), `schedule_version` the appointment's when it was written. `earlier` are
    the actions of earlier answers to it, oldest first. `explicit`: the client pointed at this very message.
    """

    notification: Notification
    question: str | None
    schedule_version: int | None
    earlier: Sequence[str] = ()
    explicit: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer did.

    `handled`: nobody needs to look at it. `reply` is what to say back, named by `reply_key`; None is silence.
    `appointment` is the one it was about, as it is now.
    """

    intent: IntentName
    action: Action
    handled: bool
    reply_key: str | None = None
    reply: Rendered | None = None
    appointment: Appointment | None = None


def act(
    session: Session,
    *,
    channel: str,
    text: str,
    at: datetime,
    asked: Asked | None,
    people: Collection[int] = (),
    quiet: bool = False,
    family: TextFamily = "chat",
) -> Outcome:
    """Do what a client's answer asks for, in the caller's writing unit, and say what came of it.

    In: the words, when they were said (aware), over which channel; what is answered, None when we asked nothing; the
    ids of the clients who use this address now, as far as that is certain. `quiet`: a person of the business has
    written since, so we do not join in; a clear answer still counts.

    The same answer again changes nothing and is not answered again. Answers older than the one we have do nothing.
    An answer to a time that is not the appointment's any more does nothing: one who uses the address is told the time
    and asked again. Raises `ValidationFailed` for words that no database stores.
    """
    return _Answer(session, channel, text, at, asked, people, quiet, family).outcome()


class _Answer:
    def __init__(
        self,
        session: Session,
        channel: str,
        text: str,
        at: datetime,
        asked: Asked | None,
        people: Collection[int],
        quiet: bool,
        family: TextFamily,
    ) -> None:
        self.session, self.channel, self.family = session, channel, family
        self.text, self.at, self.asked, self.people, self.quiet = text, at, asked, people, quiet
        self.tenant = session.get_one(Tenant, current_tenant())
        recipient = asked.notification.recipient if asked else None
        self.language = (recipient.language if recipient else None) or self.tenant.language
        self.earlier = [action for action in asked.earlier if action != "nothing"] if asked else []
        self.settled = not _SETTLING.isdisjoint(self.earlier)
        self.appointment: Appointment | None = None
        self.intent = self._read()

    def _read(self) -> IntentName:
        asked = self.asked
        if asked is None:
            return parse(self.text, language=self.language).name
        intent = parse(self.text, language=self.language, question=asked.question)
        elsewhere = (self.settled or self.quiet) and not asked.explicit
        if elsewhere and intent.confidence < _PICKED:
            # "Yes" and "ok" are about what was said last, and that is not our question any more.
            intent = parse(self.text, language=self.language)
        return intent.name

    def outcome(self) -> Outcome:
        match self.intent:
            case "opt_out" | "opt_in":
                return self._opt()
            case "human":
                return self._hand_over()
            case "late" | "info":
                return self._nothing()
        if self.asked is None or self.asked.notification.appointment_id is None:
            return self._nothing()
        return self._about(self.asked, self.asked.notification.appointment_id)

    def _about(self, asked: Asked, appointment_id: int) -> Outcome:
        appointment = find(self.session, Appointment, appointment_id, "appointment_id", lock=True)
        self.appointment = appointment
        over = appointment.status not in LIVE_STATES or appointment.end <= self.at
        outdated = asked.schedule_version not in (None, appointment.schedule_version)
        may_tell = not outdated or asked.notification.recipient_id in self.people
        if self.intent == "unknown":
            return self._not_understood(asked) if may_tell and not over else self._nothing(self._is_courtesy())
        if self.intent == "ask":
            return self._ask() if may_tell and not over else self._nothing()
        if appointment.answered_at is not None and self.at < appointment.answered_at:
            return self._done("overtaken", handled=True)
        if outdated:
            return self._ask() if may_tell and not over else self._hand_over()
        if self.intent == "cancel" and appointment.status == CANCELLED:
            return self._say("cancelled", "REPLY_CANCELLED")
        begun = appointment.start <= self.at and self.intent != "confirm"
        if over or begun:
            return self._say("too_late", "REPLY_TOO_LATE", handled=False)
        match self.intent:
            case "confirm":
                return self._confirm(appointment)
            case "cancel":
                return self._cancel(appointment)
            case _:
                return self._want_another_time(appointment)

    def _confirm(self, appointment: Appointment) -> Outcome:
        confirms = appointment.status == PENDING and self.tenant.confirmation != "staff"
        if confirms or appointment.answer != "yes":
            self._record("yes", appointment)
        if appointment.status == CONFIRMED:
            return self._say("confirmed", "REPLY_CONFIRMED")
        return self._say("left_to_staff", None if self.quiet else "REPLY_HUMAN", handled=False)

    def _cancel(self, appointment: Appointment) -> Outcome:
        self._record("no", appointment)
        cancel(self.session, appointment.id, by="client")
        return self._say("cancelled", "REPLY_CANCELLED")

    def _want_another_time(self, appointment: Appointment) -> Outcome:
        if appointment.answer != "move":
            self._record("move", appointment)
        return self._say("move_wanted", None if self.quiet else "REPLY_HUMAN", handled=False)

    def _record(self, answer: Literal["yes", "no", "move"], appointment: Appointment) -> None:
        record_answer(self.session, appointment.id, answer=answer, words=self.text[:_LONGEST_WORDS], at=self.at)

    def _ask(self) -> Outcome:
        if self.quiet or "asked" in self.earlier:
            return self._nothing()
        return self._say("asked", "REPLY_ASK_MOVE_OR_CANCEL")

    def _not_understood(self, asked: Asked) -> Outcome:
        polite = self._is_courtesy()  # a greeting alone is no answer that failed
        if polite or self.settled or self.quiet or asked.question != "confirm" or "not_understood" in self.earlier:
            return self._nothing(self.settled and polite)
        return self._say("not_understood", "REPLY_NOT_UNDERSTOOD")

    def _is_courtesy(self) -> bool:
        """Tell whether there is nothing in it but thanks, greetings and agreement."""
        items = read(self.text, self.language[:2].lower()).items
        return bool(items) and all(item.kind in _COURTESY for item in items)

    def _hand_over(self) -> Outcome:
        said = None if self.quiet or self.asked is None else "REPLY_HUMAN"
        return self._say("handed_over", said, handled=False)

    def _opt(self) -> Outcome:
        clients = set(self.people) | ({self.asked.notification.recipient_id} if self.asked else set())
        if not clients:
            return self._nothing()
        if self.intent == "opt_out":
            return self._say("opted_out", "REPLY_OPTED_OUT" if self._opt_out(sorted(clients)) else None)
        return self._say("opted_in", "REPLY_OPTED_IN" if self._opt_in(clients) else None)

    def _opt_out(self, clients: Sequence[int]) -> bool:
        insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
        statement = insert(OptOut).on_conflict_do_nothing(index_elements=["tenant_id", "client_id", "channel"])
        rows = [{"client_id": one, "channel": self.channel, "words": self.text, "at": self.at} for one in clients]
        written = [self.session.execute(statement.returning(OptOut.id), [row]).first() for row in rows]
        return any(written)

    def _opt_in(self, clients: Collection[int]) -> bool:
        held = select(OptOut.id).where(OptOut.client_id.in_(clients), OptOut.channel == self.channel)
        ids = self.session.scalars(held).all()
        self.session.execute(delete(OptOut).where(OptOut.id.in_(ids)))
        return bool(ids)

    def _nothing(self, handled: bool = False) -> Outcome:
        return self._done("nothing", handled=handled)

    def _done(self, action: Action, *, handled: bool) -> Outcome:
        return Outcome(self.intent, action, handled, appointment=self.appointment)

    def _say(self, action: Action, key: str | None, *, handled: bool = True) -> Outcome:
        """Return the outcome with its text, or without one when the last answer already led to it."""
        if key is None or self.earlier[-1:] == [action]:
            return self._done(action, handled=handled)
        reply = render(key, family=self.family, language=self.language, variables=self._variables())
        return Outcome(self.intent, action, handled, key, reply, self.appointment)

    def _variables(self) -> dict[str, str]:
        if self.appointment is not None:
            now = database_now(self.session)
            return appointment_variables(self.appointment, self.tenant, language_code=self.language, now=now)
        if self.asked is not None:
            return client_variables(self.asked.notification.recipient, self.tenant)
        return {"businessName": self.tenant.name}
