"""What a client's answer does: to the appointment, to the messages that follow, and what is said back."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.errors import ValidationFailed
from citaplanner_core.booking.models import Appointment, Branch
from citaplanner_core.database import utcnow, work
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.opt_outs import OptOut
from citaplanner_core.replies.actions import act
from citaplanner_core.replies.outcome import Outcome, Said
from citaplanner_core.replies.which import Asked
from citaplanner_core.testing.factories import make_client, make_tenant
from tests.core.booking.support import Desk, history, open_desk, read
from tests.examples import FEW

CHANNEL = "chatwoot"


@dataclass
class Talk:
    """Somebody who was asked to confirm and answers, a minute later each time."""

    desk: Desk
    appointment: int
    notification: int
    clock: datetime = field(default_factory=utcnow)
    question: str | None = "confirm"
    version: int = 1
    earlier: list[str] = field(default_factory=list)

    def say(self, text: str, **other: Any) -> Outcome:
        self.clock += timedelta(minutes=1)
        with work(self.desk.tenant) as session:
            given: dict[str, Any] = {"at": self.clock, "people": [self.desk.client_id]} | other
            asked = Asked(
                session.get_one(Notification, self.notification),
                self.question,
                self.version,
                tuple(self.earlier),
                bool(given.pop("explicit", False)),
            )
            outcome = act(session, Said(CHANNEL, text, **given), asked=asked)
        self.earlier.append(outcome.action)
        return replace(outcome, appointment=None, notification=None)

    def state(self) -> tuple[str, str]:
        row = read(self.desk.tenant, self.appointment)
        return row["status"], row["answer"]

    def do(self, verb: Callable[..., Appointment], **given: Any) -> None:
        with work(self.desk.tenant) as session:
            verb(session, self.appointment, **({"by": "staff"} | given))

    def change(self, **values: Any) -> None:
        """Change the appointment's columns behind everybody's back."""
        with work(self.desk.tenant) as session:
            session.execute(update(Appointment).where(Appointment.id == self.appointment).values(values))


def begin(tenant: int, **booking: Any) -> Talk:
    desk = open_desk(tenant)
    start = utcnow().replace(microsecond=0) + timedelta(days=3)
    appointment = desk.booked(start, **booking)
    with work(tenant, write=False) as session:
        wanted = select(Notification.id).where(
            Notification.appointment_id == appointment, Notification.rule == "confirmation"
        )
        return Talk(desk, appointment, session.scalars(wanted).one())


@pytest.fixture
def talk(tenant: int) -> Talk:
    return begin(tenant)


def body(outcome: Outcome) -> str:
    assert outcome.reply is not None
    return outcome.reply.body


def opted_out(tenant: int) -> set[tuple[int | None, str]]:
    with work(tenant, write=False) as session:
        return {(row.client_id, row.channel) for row in session.scalars(select(OptOut))}


@pytest.mark.parametrize("text", ["1", "sí, confirmo", "Ahí estaré 👍"])
def test_yes_confirms_and_is_thanked(talk: Talk, text: str) -> None:
    outcome = talk.say(text)
    assert (outcome.intent, outcome.action, outcome.handled) == ("confirm", "confirmed", True)
    assert outcome.reply_key == "REPLY_CONFIRMED"
    assert "está confirmada" in body(outcome)
    assert talk.state() == ("CONFIRMED", "yes")
    assert history(talk.desk.tenant, talk.appointment) == [("booked", "client"), ("confirmed", "client")]
    row = read(talk.desk.tenant, talk.appointment)
    assert (row["answer_words"], row["answered_at"]) == (text, talk.clock)


@pytest.mark.parametrize("text", ["3", "Cancela mi cita por favor"])
def test_no_cancels_in_their_own_words(talk: Talk, text: str) -> None:
    outcome = talk.say(text)
    assert (outcome.intent, outcome.action, outcome.handled) == ("cancel", "cancelled", True)
    assert outcome.reply_key == "REPLY_CANCELLED"
    assert talk.state() == ("CANCELLED", "no")
    row = read(talk.desk.tenant, talk.appointment)
    assert (row["answer_words"], row["cancel_reason"]) == (text, text)
    with work(talk.desk.tenant, write=False) as session:
        waiting = session.scalars(select(Notification.status).where(Notification.rule == "reminder:60")).all()
        told = session.scalars(select(Notification).where(Notification.rule == "cancellation")).all()
    assert (waiting, told) == (["CANCELLED"], [])


@pytest.mark.parametrize("text", ["2", "¿Podemos cambiarla para otro día?"])
def test_another_time_is_a_persons_matter(talk: Talk, text: str) -> None:
    outcome = talk.say(text)
    assert (outcome.intent, outcome.action, outcome.handled) == ("reschedule", "move_wanted", False)
    assert outcome.reply_key == "REPLY_HUMAN"
    assert talk.state() == ("PENDING", "move")


def test_a_person_is_asked_for(talk: Talk) -> None:
    outcome = talk.say("4")
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("handed_over", False, "REPLY_HUMAN")
    assert talk.say("quiero hablar con una persona").reply is None
    assert talk.state() == ("PENDING", "none")


def test_who_is_late_is_thanked_and_seen_by_a_person(talk: Talk) -> None:
    outcome = talk.say("Voy a llegar 10 minutos tarde")
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("late", False, "REPLY_LATE")
    assert talk.say("llego en 20 min").reply is None
    assert talk.state() == ("PENDING", "none")
    assert talk.say("sí").action == "confirmed"


def test_where_it_is_is_told_with_a_map(talk: Talk) -> None:
    with work(talk.desk.tenant) as session:
        session.execute(update(Branch).values(address="Av. Ejemplo 10, Centro"))
    outcome = talk.say("¿Dónde es?")
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("told_place", True, "REPLY_PLACE")
    assert "Av. Ejemplo 10, Centro" in body(outcome)
    assert "query=Av.%20Ejemplo%2010%2C%20Centro" in body(outcome)


@pytest.mark.parametrize("text", ["¿Cuánto cuesta?", "¿Dónde es y cuánto cuesta?", "¿Cuál es la dirección?"])
def test_what_only_a_person_can_answer_is_left_to_one(talk: Talk, text: str) -> None:
    outcome = talk.say(text)  # there is no address to tell
    assert (outcome.action, outcome.handled, outcome.reply) == ("nothing", False, None)
    assert talk.state() == ("PENDING", "none")
    assert talk.say("sí").action == "confirmed"


def test_unclear_words_are_asked_back_once_and_change_nothing(talk: Talk) -> None:
    first, second = talk.say("no puedo"), talk.say("no puedo")
    assert (first.action, first.reply_key, first.handled) == ("asked", "REPLY_ASK_MOVE_OR_CANCEL", True)
    assert first.reply is not None
    assert first.reply.question == "confirm"
    assert (second.action, second.reply_key, second.handled) == ("handed_over", "REPLY_HUMAN", False)
    assert talk.say("no puedo").reply is None
    assert talk.state() == ("PENDING", "none")
    assert talk.say("3").action == "cancelled"


def test_a_greeting_alone_is_left_to_people(talk: Talk) -> None:
    outcomes = [talk.say("Hola, buenas tardes"), talk.say("gracias")]
    assert [(one.action, one.reply, one.handled) for one in outcomes] == [("nothing", None, False)] * 2
    assert talk.say("asdf qwer").reply_key == "REPLY_NOT_UNDERSTOOD"


def test_what_nobody_understands_is_asked_back_once(talk: Talk) -> None:
    outcomes = [talk.say("asdf qwer"), talk.say("zxcv"), talk.say("")]
    assert [one.reply_key for one in outcomes] == ["REPLY_NOT_UNDERSTOOD", "REPLY_HUMAN", None]
    assert [one.handled for one in outcomes] == [True, False, False]
    assert talk.state() == ("PENDING", "none")


@pytest.mark.parametrize("question", [None, "reminder"])
def test_a_message_that_asked_nothing_is_not_followed_up(talk: Talk, question: str | None) -> None:
    talk.question = question
    assert talk.say("hola").reply is None
    assert talk.say("1").action == "nothing"
    assert talk.say("confirmo mi cita").action == "confirmed"


def test_ok_to_a_reminder_confirms_and_is_answered_only_where_it_was_open(talk: Talk) -> None:
    talk.question = "reminder"
    first = talk.say("ok, gracias")
    assert (first.action, first.reply_key, talk.state()) == ("confirmed", "REPLY_CONFIRMED", ("CONFIRMED", "yes"))
    talk.earlier = []  # the next reminder
    again = talk.say("👍")
    assert (again.action, again.handled, again.reply) == ("confirmed", True, None)


def test_thanks_after_an_answer_need_nobody(talk: Talk) -> None:
    talk.say("1")
    for text in ("gracias", "ok", "👍", "Muchas gracias, buen día"):
        outcome = talk.say(text)
        assert (outcome.action, outcome.handled, outcome.reply) == ("nothing", True, None), text
    outcome = talk.say("¿y puedo llevar a mi perro?")
    assert (outcome.handled, outcome.reply) == (False, None)


def test_ok_after_a_cancellation_does_not_confirm(talk: Talk) -> None:
    talk.say("cancela mi cita por favor")
    outcome = talk.say("ok, gracias")
    assert (outcome.action, outcome.handled, outcome.reply) == ("nothing", True, None)
    assert talk.state() == ("CANCELLED", "no")


@pytest.mark.parametrize("text", ["1", "2", "3"])
def test_the_same_answer_again_changes_nothing_and_is_not_answered_again(talk: Talk, text: str) -> None:
    first = talk.say(text)
    before, told = read(talk.desk.tenant, talk.appointment), history(talk.desk.tenant, talk.appointment)
    again = talk.say(text)
    assert first.reply is not None
    assert (again.action, again.handled, again.reply) == (first.action, first.handled, None)
    assert read(talk.desk.tenant, talk.appointment) == before
    assert history(talk.desk.tenant, talk.appointment) == told


def test_a_changed_mind_counts_each_time(talk: Talk) -> None:
    outcomes = [talk.say(text) for text in ("1", "2", "1", "3")]
    assert [one.action for one in outcomes] == ["confirmed", "move_wanted", "confirmed", "cancelled"]
    assert all(one.reply for one in outcomes)
    assert talk.state() == ("CANCELLED", "no")


def test_an_answer_older_than_the_one_we_have_does_nothing(talk: Talk) -> None:
    talk.say("1")
    outcome = talk.say("3", at=talk.clock - timedelta(minutes=5))
    assert (outcome.action, outcome.handled, outcome.reply) == ("overtaken", True, None)
    assert talk.state() == ("CONFIRMED", "yes")


def test_where_staff_confirms_nothing_else_is_claimed(app: Flask) -> None:
    talk = begin(make_tenant("staffed", confirmation="staff"))
    outcome = talk.say("sí, confirmo")
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("left_to_staff", False, "REPLY_HUMAN")
    assert talk.state() == ("PENDING", "yes")
    talk.do(verbs.confirm)
    assert talk.say("1").reply_key == "REPLY_CONFIRMED"


@pytest.mark.parametrize(
    ("verb", "key", "words"),
    [
        (verbs.cancel, "REPLY_IS_CANCELLED", "está cancelada"),
        (verbs.complete, "REPLY_IS_OVER", "ya pasó"),
        (verbs.mark_no_show, "REPLY_IS_OVER", "ya pasó"),
    ],
)
def test_what_is_over_cannot_be_changed_and_its_state_is_told(
    talk: Talk, verb: Callable[..., Appointment], key: str, words: str
) -> None:
    talk.do(verb)
    state = talk.state()
    outcome = talk.say("1")
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("too_late", False, key)
    assert words in body(outcome)
    assert talk.say("1").reply is None
    assert talk.state() == state


def test_cancelling_what_is_cancelled_is_granted(talk: Talk) -> None:
    talk.do(verbs.cancel, reason="enfermedad")
    outcome = talk.say("cancela mi cita")
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("cancelled", True, "REPLY_CANCELLED")
    assert history(talk.desk.tenant, talk.appointment) == [("booked", "client"), ("cancelled", "staff")]


@pytest.mark.parametrize(
    ("minutes", "text", "action"),
    [
        (-10, "cancela mi cita", "too_late"),
        (-10, "sí, confirmo mi cita", "confirmed"),
        (-10, "1", "handed_over"),  # the numbers meant something until the appointment
        (-10, "3", "handed_over"),
        (-40, "confirmo mi cita", "too_late"),
    ],
)
def test_the_clock_decides_by_when_it_was_said(talk: Talk, minutes: int, text: str, action: str) -> None:
    start = talk.clock + timedelta(minutes=1 + minutes)
    talk.change(
        start=start, end=start + timedelta(minutes=30), blocked_from=start, blocked_until=start + timedelta(hours=1)
    )
    assert talk.say(text).action == action


def test_an_old_time_is_not_confirmed_but_told_and_asked(talk: Talk) -> None:
    moved = utcnow().replace(microsecond=0) + timedelta(days=10)
    talk.do(verbs.reschedule, start=moved)
    outcome = talk.say("1")
    assert (outcome.action, outcome.reply_key) == ("asked", "REPLY_ASK_MOVE_OR_CANCEL")
    assert talk.state() == ("PENDING", "none")
    talk.version = 2
    assert talk.say("1").action == "confirmed"


@pytest.mark.parametrize("text", ["1", "3", "no puedo", "asdf"])
def test_whoever_lost_the_number_is_not_told_the_new_time(talk: Talk, text: str) -> None:
    talk.do(verbs.reschedule, start=utcnow().replace(microsecond=0) + timedelta(days=10))
    outcome = talk.say(text, people=[])
    assert outcome.reply_key in (None, "REPLY_HUMAN")
    assert not outcome.handled
    assert talk.state() == ("PENDING", "none")


def test_we_keep_out_of_a_conversation_with_a_person(talk: Talk) -> None:
    assert talk.say("no puedo", quiet=True).reply is None
    assert talk.say("asdf", quiet=True).reply is None
    assert talk.say("ok", quiet=True).action == "nothing"
    assert talk.say("4", quiet=True).reply is None
    assert talk.state() == ("PENDING", "none")
    outcome = talk.say("sí, confirmo", quiet=True)
    assert (outcome.action, outcome.reply_key) == ("confirmed", "REPLY_CONFIRMED")


def test_pointing_at_the_question_makes_a_bare_word_an_answer(talk: Talk) -> None:
    assert talk.say("ok", quiet=True, explicit=True).action == "confirmed"


def test_only_the_appointment_that_was_asked_about_changes(talk: Talk) -> None:
    other = talk.desk.booked(utcnow().replace(microsecond=0) + timedelta(days=4))
    before = read(talk.desk.tenant, other)
    talk.say("3")
    assert read(talk.desk.tenant, other) == before


def test_no_more_messages_for_everybody_who_uses_the_number(talk: Talk) -> None:
    with work(talk.desk.tenant) as session:
        child = make_client(session).id
    people = [talk.desk.client_id, child]
    outcome = talk.say("BAJA", people=[child])
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("opted_out", True, "REPLY_OPTED_OUT")
    assert opted_out(talk.desk.tenant) == {(one, CHANNEL) for one in people}
    assert talk.say("BAJA", people=[child]).reply is None
    assert talk.state() == ("PENDING", "none")
    outcome = talk.say("ALTA", people=[child])
    assert (outcome.action, outcome.reply_key) == ("opted_in", "REPLY_OPTED_IN")
    assert opted_out(talk.desk.tenant) == set()


def test_without_a_question_only_messages_can_be_ended(talk: Talk) -> None:
    def say(session: Session, text: str, *people: int) -> Outcome:
        return act(session, Said(CHANNEL, text, utcnow(), people=people), asked=None)

    with work(talk.desk.tenant) as session:
        for text in ("1", "cancela mi cita", "asdf", "quiero hablar con una persona", "BAJA"):
            outcome = say(session, text)
            assert (outcome.reply, outcome.handled) == (None, False), text
        assert say(session, "BAJA", talk.desk.client_id).reply_key == "REPLY_OPTED_OUT"
    assert opted_out(talk.desk.tenant) == {(talk.desk.client_id, CHANNEL)}
    assert talk.state() == ("PENDING", "none")


def test_a_message_about_no_appointment_has_nothing_to_answer(talk: Talk) -> None:
    with work(talk.desk.tenant) as session:
        session.execute(update(Notification).where(Notification.id == talk.notification).values(appointment_id=None))
    assert talk.say("1").action == "nothing"
    assert talk.say("4").reply_key == "REPLY_HUMAN"


def test_they_are_answered_in_their_language(talk: Talk) -> None:
    with work(talk.desk.tenant) as session:
        session.get_one(Notification, talk.notification).recipient.language = "en"
    assert "is confirmed" in body(talk.say("yes"))


def test_words_no_database_stores_are_refused(talk: Talk) -> None:
    with pytest.raises(ValidationFailed):
        talk.say("confirmo \x00")
    assert talk.state() == ("PENDING", "none")


@pytest.fixture
def anybody(tenant: int) -> int:
    """A tenant for many talks, each with people of its own."""
    return tenant


@settings(max_examples=FEW, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.sampled_from(["1", "2", "3", "4", "ok", "gracias", "no puedo", "asdf", "¿dónde es?", "BAJA", "confirmo"]),
        max_size=8,
    ),
    quiet=st.booleans(),
)
def test_whatever_is_said_nothing_is_asked_or_told_twice(anybody: int, texts: list[str], quiet: bool) -> None:
    talk = begin(anybody)
    keys: list[str] = []
    for text in texts:
        before, last = talk.state(), [action for action in talk.earlier if action != "nothing"][-1:]
        outcome = talk.say(text, quiet=quiet)
        if outcome.reply_key:
            assert last != [outcome.action]
            keys.append(outcome.reply_key)
        if before[0] == "CANCELLED" or outcome.action in ("nothing", "asked", "not_understood", "handed_over"):
            assert talk.state() == before
    assert keys.count("REPLY_NOT_UNDERSTOOD") <= (0 if quiet else 1)
    assert keys.count("REPLY_ASK_MOVE_OR_CANCEL") <= (0 if quiet else 1)
