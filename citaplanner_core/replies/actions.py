"""What a client's answer does to the appointment it is about, and what is said back.

An answer acts on the appointment of the message it answers and on nothing else: whoever was written to may decide
about it, and learns no more than that message told. Where words are not clear nothing is done, and one is asked
back, once; then, and where the matter is a person's, it is left to them.
"""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import cancel, is_too_late_to_cancel, record_answer
from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import CANCELLED, CONFIRMED, LIVE_STATES, PENDING, Appointment, Tenant
from citaplanner_core.database import current_tenant, database_now
from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications import opt_outs
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.staff import AlertKind, alert_staff
from citaplanner_core.notifications.wording import say
from citaplanner_core.replies import which
from citaplanner_core.replies.details import asks_where, denies_being, ends_marketing
from citaplanner_core.replies.intents import OPTIONS, IntentName, parse
from citaplanner_core.replies.outcome import Action, Outcome, Said
from citaplanner_core.replies.reading import read
from citaplanner_core.replies.which import Asked, Choice

_SETTLING: frozenset[str] = frozenset(
    ("confirmed", "left_to_staff", "cancelled", "move_wanted", "handed_over", "too_late", "wrong_number")
)
_ACTING: frozenset[str] = frozenset(("confirm", "cancel", "reschedule"))
_COURTESY = frozenset(("polite", "please", "decor", "title", "laugh", "yes", "comma", "stop"))
_PICKED = 0.95
"""From this confidence on an answer is clear by itself: one of the numbers we offered, or plain words."""
_LONGEST_WORDS = 1000
_MAP = "https://www.google.com/maps/search/?api=1&query="


def act(
    session: Session,
    said: Said,
    *,
    asked: Asked | None,
    others: Sequence[Asked] = (),
    choice: Choice | None = None,
    family: TextFamily = "chat",
) -> Outcome:
    """Do what a client's answer asks for, in the caller's writing unit, and say what came of it.

    In: what is answered, None when we asked nothing; `others`, the other messages this address may be answering; the
    `choice` we offered, where that is the last thing said there.

    The same answer again changes nothing and is not answered again. Answers older than the one we have do nothing.
    An answer to a time that is not the appointment's any more does nothing: one who uses the address is told the time
    and asked again. When several appointments wait for an answer and the words name none, one is asked which.
    Raises `ValidationFailed` for words that no database stores.
    """
    return _Answer(session, said, asked, others, choice, family).outcome()


class _Answer:
    def __init__(
        self,
        session: Session,
        said: Said,
        asked: Asked | None,
        others: Sequence[Asked],
        choice: Choice | None,
        family: TextFamily,
    ) -> None:
        self.session, self.said, self.family = session, said, family
        self.at, self.quiet, self.words, self.choice = said.at, said.quiet, said.text, choice
        self.tenant = session.get_one(Tenant, current_tenant())
        recipient = asked.notification.recipient if asked else None
        self.language = (recipient.language if recipient else None) or self.tenant.language
        self.appointment: Appointment | None = None
        self.offered: Choice | None = None
        self.extra: dict[str, str] = {}
        alone = asked is None or asked.explicit or asked.follow_up
        self.waiting = [] if alone or asked is None else which.rivals(asked, others, self.at)
        self._take(asked)
        self.intent: IntentName = "unknown"

    def _take(self, asked: Asked | None) -> None:
        self.asked = asked
        self.earlier = [action for action in asked.earlier if action != "nothing"] if asked else []
        self.settled = not _SETTLING.isdisjoint(self.earlier)

    def _read(self, text: str) -> IntentName:
        asked = self.asked
        if asked is None or which.expired(asked, self.at):
            return parse(text, language=self.language).name
        intent = parse(text, language=self.language, question=asked.question)
        elsewhere = (self.settled or self.quiet) and not asked.explicit
        if elsewhere and intent.confidence < _PICKED:
            # "Yes" and "ok" are about what was said last, and that is not our question any more.
            intent = parse(text, language=self.language)
        return intent.name

    def outcome(self) -> Outcome:
        picked = which.picked(self.said.text, self.language)
        if self.said.has_media:
            return self._hand_over()
        if self.choice is not None and picked is not None:
            return self._chosen(self.choice, picked)
        self.intent = self._read(self._narrowed())
        match self.intent:
            case "opt_out" | "opt_in":
                return self._opt()
            case "human":
                return self._hand_over()
        if self.intent in ("unknown", "ask") and ends_marketing(self.said.text):
            return self._opt_out("marketing", "REPLY_OPTED_OUT_MARKETING")
        if self.asked is None:
            return self._nothing()
        if self.intent not in _ACTING and denies_being(self.said.text, self.asked.notification.recipient.first_name):
            return self._wrong_number()
        if self.asked.notification.appointment_id is None:
            return self._nothing()
        return self._about(self.asked, self.asked.notification.appointment_id, picked)

    def _narrowed(self) -> str:
        """Turn to the appointment that the words name, and return the words that say what is wanted."""
        if self.asked is None or not self.waiting:
            return self.said.text
        options = which.candidates(self.asked, self.waiting, self.at)
        moving = parse(self.said.text, language=self.language, question="confirm").name == "reschedule"
        index = which.named(self.said.text, options, self.at, moving=moving)
        if index is None:
            return self.said.text
        named = options[index]
        assert named.notification.appointment is not None
        self.waiting = []
        self._take(named)
        return which.without_name(self.said.text, named.notification.appointment)

    def _chosen(self, choice: Choice, number: int) -> Outcome:
        """Apply what was wanted to the appointment picked from our list; numbers that mean nothing go to a person."""
        if not 1 <= number <= len(choice.options) or self.at - choice.at > which.LASTS:
            return self._hand_over()
        notification_id, version = choice.options[number - 1]
        notification: Notification = self.session.get_one(Notification, notification_id)
        self._take(Asked(notification, "confirm", version, explicit=True, at=choice.at))
        self.waiting = []
        assert self.asked is not None
        assert notification.appointment_id is not None
        self.intent, self.words = choice.intent, f"{choice.words} / {self.said.text}"
        return self._about(self.asked, notification.appointment_id, None)

    def _about(self, asked: Asked, appointment_id: int, number: int | None) -> Outcome:
        appointment = find(self.session, Appointment, appointment_id, "appointment_id", lock=True)
        self.appointment = appointment
        over = appointment.status not in LIVE_STATES or appointment.end <= self.at
        outdated = asked.schedule_version not in (None, appointment.schedule_version)
        may_tell = not outdated or asked.notification.recipient_id in self.said.people
        match self.intent:
            case "late":
                return self._late() if may_tell and not over else self._nothing()
            case "info":
                return self._place(appointment) if may_tell and not over else self._nothing()
        stale = number is not None and str(number) in OPTIONS and which.expired(asked, self.at)
        if stale and asked.question == "confirm" and not over:
            return self._ask() if appointment.start > self.at and may_tell else self._hand_over()
        if self.intent == "unknown":
            return self._not_understood(asked) if may_tell and not over else self._nothing(self._is_courtesy())
        if self.intent == "ask":
            return self._ask() if may_tell and not over else self._nothing()
        if self.waiting:
            return self._which(asked)
        if appointment.answered_at is not None and self.at < appointment.answered_at:
            return self._done("overtaken", handled=True)
        if outdated:
            return self._ask() if may_tell and not over else self._hand_over()
        if over:
            return self._tell_state(appointment)
        begun = appointment.start <= self.at and self.intent != "confirm"
        if begun:
            return self._say("too_late", "REPLY_TOO_LATE", handled=False)
        match self.intent:
            case "confirm":
                return self._confirm(appointment)
            case "cancel":
                return self._cancel(appointment)
            case _:
                return self._want_another_time(appointment)

    def _tell_state(self, appointment: Appointment) -> Outcome:
        if appointment.status != CANCELLED:
            return self._say("too_late", "REPLY_IS_OVER", handled=False)
        if self.intent == "cancel":
            return self._say("cancelled", "REPLY_CANCELLED")
        return self._say("too_late", "REPLY_IS_CANCELLED", handled=False)

    def _which(self, asked: Asked) -> Outcome:
        options = which.candidates(asked, self.waiting, self.at)
        if self.quiet:
            return self._hand_over()
        if len(options) == 1:
            self._take(options[0])
            self.appointment = options[0].notification.appointment
            return self._ask()
        if self.earlier[-1:] == ["asked_which"]:
            return self._hand_over()
        self.offered = Choice(
            self.intent,
            self.said.text[:_LONGEST_WORDS],
            [(one.notification.id, one.schedule_version) for one in options],
            self.at,
        )
        now = database_now(self.session)
        self.extra = {"candidates": which.listing(options, self.tenant, language=self.language, now=now)}
        return self._say("asked_which", "REPLY_ASK_WHICH")

    def _confirm(self, appointment: Appointment) -> Outcome:
        # "Ok" to a reminder of what stands already is a courtesy, and needs no message of ours.
        known = self.asked is not None and self.asked.question == "reminder" and appointment.status == CONFIRMED
        confirms = appointment.status == PENDING and self.tenant.confirmation != "staff"
        if confirms or appointment.answer != "yes":
            self._record("yes", appointment)
        if appointment.status == CONFIRMED:
            return self._say("confirmed", None if known else "REPLY_CONFIRMED")
        return self._say("left_to_staff", None if self.quiet else "REPLY_HUMAN", handled=False)

    def _cancel(self, appointment: Appointment) -> Outcome:
        if appointment.answer != "no":
            self._record("no", appointment)
        if is_too_late_to_cancel(self.tenant, appointment, self.at):
            self._tell_staff("client_wants_cancel")
            return self._say("too_late", "REPLY_TOO_LATE", handled=False)
        cancel(self.session, appointment.id, by="client", reason=self.words[:_LONGEST_WORDS])
        return self._say("cancelled", "REPLY_CANCELLED")

    def _want_another_time(self, appointment: Appointment) -> Outcome:
        if appointment.answer != "move":
            self._record("move", appointment)
        self._tell_staff("client_wants_move")
        return self._say("move_wanted", None if self.quiet else "REPLY_HUMAN", handled=False)

    def _record(self, answer: Literal["yes", "no", "move"], appointment: Appointment) -> None:
        record_answer(self.session, appointment.id, answer=answer, words=self.words[:_LONGEST_WORDS], at=self.at)

    def _late(self) -> Outcome:
        self._tell_staff("client_late" if self.appointment is not None else "client_needs_person")
        return self._say("late", None if self.quiet else "REPLY_LATE", handled=False)

    def _place(self, appointment: Appointment) -> Outcome:
        address = " ".join(appointment.branch.address.split())
        if self.quiet or not address or not asks_where(self.said.text):
            return self._nothing()
        self.extra = {"branchMapUrl": _MAP + quote(address)}
        return self._say("told_place", "REPLY_PLACE")

    def _wrong_number(self) -> Outcome:
        """Stop writing to a number that is not whose we thought; one that several clients share may be theirs."""
        address = self.said.address
        if address is None or len(self.said.people) > 1:
            return self._hand_over()
        new = opt_outs.opt_out(
            self.session,
            channel=self.said.channel,
            words=self.said.text[:_LONGEST_WORDS],
            at=self.at,
            address=address,
            scope="doubtful",
        )
        self._tell_staff("wrong_number")
        return self._say("wrong_number", "REPLY_WRONG_NUMBER" if new else None, handled=False)

    def _ask(self) -> Outcome:
        if self.quiet:
            return self._nothing()
        return self._hand_over() if "asked" in self.earlier else self._say("asked", "REPLY_ASK_MOVE_OR_CANCEL")

    def _not_understood(self, asked: Asked) -> Outcome:
        polite = self._is_courtesy()  # a greeting alone is no answer that failed
        if polite or self.settled or self.quiet or asked.question != "confirm":
            return self._nothing(self.settled and polite)
        if "not_understood" in self.earlier or self.choice is not None:
            return self._hand_over()
        return self._say("not_understood", "REPLY_NOT_UNDERSTOOD")

    def _is_courtesy(self) -> bool:
        """Tell whether there is nothing in it but thanks, greetings and agreement."""
        items = read(self.said.text, self.language[:2].lower()).items
        return bool(items) and all(item.kind in _COURTESY for item in items)

    def _hand_over(self) -> Outcome:
        self._tell_staff("client_needs_person")
        said = None if self.quiet or self.asked is None else "REPLY_HUMAN"
        return self._say("handed_over", said, handled=False)

    def _opt(self) -> Outcome:
        if self.intent == "opt_out":
            return self._opt_out("all", "REPLY_OPTED_OUT")
        clients = self._clients()
        if self.said.address is None and not clients:
            return self._nothing()
        undone = opt_outs.opt_in(self.session, channel=self.said.channel, address=self.said.address, clients=clients)
        return self._say("opted_in", "REPLY_OPTED_IN" if undone else None)

    def _opt_out(self, scope: opt_outs.Scope, key: str) -> Outcome:
        clients = self._clients()
        if self.said.address is None and not clients:
            return self._nothing()
        new = opt_outs.opt_out(
            self.session,
            channel=self.said.channel,
            words=self.said.text[:_LONGEST_WORDS],
            at=self.at,
            address=self.said.address,
            clients=clients,
            scope=scope,
        )
        return self._say("opted_out", key if new else None)

    def _clients(self) -> set[int]:
        asked = self.asked.notification.recipient_id if self.asked else None
        return set(self.said.people) | ({asked} if asked is not None else set())

    def _tell_staff(self, kind: AlertKind) -> None:
        """Have those of the staff told who want to know: once in a while about the same appointment or address."""
        appointment = self.appointment
        about = f"appointment:{appointment.id}" if appointment is not None else f"address:{self.said.address}"
        alert_staff(
            self.session,
            kind,
            subject=about,
            appointment_id=appointment.id if appointment is not None else None,
            branch_id=appointment.branch_id if appointment is not None else None,
            replyText=self.said.text[:_LONGEST_WORDS],
        )

    def _nothing(self, handled: bool = False) -> Outcome:
        return self._done("nothing", handled=handled)

    def _done(self, action: Action, *, handled: bool) -> Outcome:
        notification = self.asked.notification if self.asked else None
        return Outcome(self.intent, action, handled, appointment=self.appointment, notification=notification)

    def _say(self, action: Action, key: str | None, *, handled: bool = True) -> Outcome:
        """Return the outcome with its text, or without one when the last answer already led to it."""
        if key is None or self.earlier[-1:] == [action]:
            return self._done(action, handled=handled)
        recipient = self.asked.notification.recipient if self.asked else None
        reply = say(
            self.session,
            key,
            tenant=self.tenant,
            channel=self.said.channel,
            family=self.family,
            language=self.language,
            client=recipient or (self.appointment.client if self.appointment else None),
            appointment=self.appointment,
            more=self.extra,
            or_ours=True,
        )
        notification = self.asked.notification if self.asked else None
        return Outcome(self.intent, action, handled, key, reply, self.appointment, notification, self.offered)
