"""What the core does with a message of any channel: taken once, put to the right question, acted on."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from citaplanner_core.booking.models import Client, Tenant
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks.types import InboundMessage
from citaplanner_core.notifications.models import SENT, Delivery, Notification
from citaplanner_core.notifications.opt_outs import OptOut, address_key, refusal
from citaplanner_core.replies.inbound import receive, replied
from citaplanner_core.replies.models import ReceivedMessage
from citaplanner_core.replies.outcome import Outcome
from citaplanner_core.testing.factories import make_client
from tests.core.booking.support import Desk, open_desk, read
from tests.examples import FEW

PHONE = "+525512345678"
CHANNEL = "whatsapp"


@dataclass
class Line:
    """One phone number that is written to and writes back, a minute later each time."""

    desk: Desk
    clock: datetime = field(default_factory=lambda: utcnow().replace(microsecond=0))
    ids: "count[int]" = field(default_factory=count)

    def ask(self, first_name: str, days: int) -> int:
        """Book for a client with this number and ask to confirm; return the appointment's id."""
        with work(self.desk.tenant) as session:
            client = make_client(session, first_name=first_name, phone=PHONE).id
        desk = Desk(**{**vars(self.desk), "client_id": client})
        appointment = desk.booked(self.clock + timedelta(days=days))
        with work(self.desk.tenant) as session:
            notification = session.scalars(
                select(Notification).where(
                    Notification.appointment_id == appointment, Notification.rule == "confirmation"
                )
            ).one()
            session.add(
                Delivery(
                    notification_id=notification.id,
                    channel=CHANNEL,
                    address_key=address_key(PHONE),
                    attempt=1,
                    status=SENT,
                    provider_id=f"out-{appointment}",
                    question="confirm",
                    body="1, 2 o 3",
                    started_at=self.clock,
                    finished_at=self.clock,
                )
            )
        return appointment

    def say(
        self, text: str | None, *, provider_id: str | None = None, later: timedelta | None = None, **more: str
    ) -> Outcome:
        self.clock += later or timedelta(minutes=1)
        message = InboundMessage(
            tenant_id=self.desk.tenant,
            channel=CHANNEL,
            address=PHONE,
            trust="claimed" if more.pop("trust", "") else "proven",
            provider_id=provider_id or f"in-{next(self.ids)}",
            text=text,
            at=self.clock,
            has_media=bool(more.pop("media", "")),
            in_reply_to=more.pop("to", None),
        )
        with work(self.desk.tenant) as session:
            return receive(session, message)

    def state(self, appointment: int) -> tuple[str, str]:
        row = read(self.desk.tenant, appointment)
        return row["status"], row["answer"]

    def stops(self) -> list[tuple[str | None, str, str]]:
        with work(self.desk.tenant, write=False) as session:
            return [(row.address, row.scope, row.words or "") for row in session.scalars(select(OptOut))]


@pytest.fixture
def line(tenant: int) -> Line:
    return Line(open_desk(tenant))


def body(outcome: Outcome) -> str:
    assert outcome.reply is not None
    return outcome.reply.body


def test_an_answer_is_put_to_the_question_and_kept_with_its_words(line: Line) -> None:
    one = line.ask("Ana", 3)
    outcome = line.say("sí, confirmo")
    assert (outcome.action, outcome.reply_key) == ("confirmed", "REPLY_CONFIRMED")
    assert line.state(one) == ("CONFIRMED", "yes")
    with work(line.desk.tenant, write=False) as session:
        row = session.scalars(select(ReceivedMessage)).one()
        assert (row.text, row.intent, row.action, row.reply_key) == (
            "sí, confirmo", "confirm", "confirmed", "REPLY_CONFIRMED",
        )  # fmt: skip
        assert row.notification_id is not None


def test_the_same_message_again_does_nothing(line: Line) -> None:
    one = line.ask("Ana", 3)
    assert line.say("3", provider_id="x").action == "cancelled"
    before = read(line.desk.tenant, one)
    again = line.say("3", provider_id="x")
    assert (again.action, again.reply, again.handled) == ("known", None, True)
    assert read(line.desk.tenant, one) == before


def test_a_claimed_address_and_a_stranger_do_nothing(line: Line) -> None:
    one = line.ask("Ana", 3)
    assert (line.say("3", trust="claimed").action, line.state(one)) == ("nothing", ("PENDING", "none"))


def test_media_is_a_persons_matter_whatever_it_says(line: Line) -> None:
    one = line.ask("Ana", 3)
    outcome = line.say("3", media="yes")
    assert (outcome.action, outcome.handled, line.state(one)[0]) == ("handed_over", False, "PENDING")


def test_of_two_questions_the_client_says_which(line: Line) -> None:
    ana, beto = line.ask("Ana", 3), line.ask("Beto", 4)
    asked = line.say("cancelar")
    assert (asked.action, asked.reply_key) == ("asked_which", "REPLY_ASK_WHICH")
    assert "1. " in body(asked)
    assert "(Ana)" in body(asked)
    assert (line.state(ana)[0], line.state(beto)[0]) == ("PENDING", "PENDING")
    assert line.say("la 1").action == "cancelled"
    assert (line.state(ana), line.state(beto)) == (("CANCELLED", "no"), ("PENDING", "none"))
    assert read(line.desk.tenant, ana)["answer_words"] == "cancelar / la 1"


@pytest.mark.parametrize("text", ["confirmo la de Beto", "sí, Beto sí va", "Confirmo para Beto"])
def test_a_childs_name_says_which(line: Line, text: str) -> None:
    ana, beto = line.ask("Ana", 3), line.ask("Beto", 4)
    assert line.say(text).action == "confirmed"
    assert (line.state(ana)[0], line.state(beto)[0]) == ("PENDING", "CONFIRMED")


def test_pointing_says_which(line: Line) -> None:
    ana, beto = line.ask("Ana", 3), line.ask("Beto", 4)
    assert line.say("3", to=f"out-{ana}").action == "cancelled"
    assert (line.state(ana)[0], line.state(beto)[0]) == ("CANCELLED", "PENDING")


@pytest.mark.parametrize("number", ["3", "7"])
def test_a_number_that_is_not_offered_goes_to_a_person(line: Line, number: str) -> None:
    ana, beto = line.ask("Ana", 3), line.ask("Beto", 4)
    line.say("1")
    outcome = line.say(number)
    assert (outcome.action, outcome.reply_key) == ("handed_over", "REPLY_HUMAN")
    assert (line.state(ana)[0], line.state(beto)[0]) == ("PENDING", "PENDING")


def test_what_the_numbers_meant_expires(line: Line) -> None:
    ana, beto = line.ask("Ana", 8), line.ask("Beto", 9)
    line.say("3")
    assert line.say("1", later=timedelta(hours=73)).action == "handed_over"
    assert (line.state(ana)[0], line.state(beto)[0]) == ("PENDING", "PENDING")


def test_a_digit_long_after_the_question_is_asked_back_and_that_counts(line: Line) -> None:
    one = line.ask("Ana", 8)
    late = line.say("3", later=timedelta(hours=73))
    assert (late.action, late.reply_key) == ("asked", "REPLY_ASK_MOVE_OR_CANCEL")
    assert line.state(one) == ("PENDING", "none")
    assert line.say("3").action == "cancelled"


def test_a_reply_can_be_pointed_at(line: Line) -> None:
    one = line.ask("Ana", 3)
    line.say("asdf qwer", provider_id="in-x")
    with work(line.desk.tenant) as session:
        replied(session, channel=CHANNEL, provider_id="in-x", reply_id="back-1")
    line.ask("Beto", 4)
    assert line.say("1", to="back-1").action == "confirmed"
    assert line.state(one)[0] == "CONFIRMED"


def test_within_the_notice_one_is_told_to_call(line: Line) -> None:
    with work(line.desk.tenant) as session:
        session.execute(update(Tenant).where(Tenant.id == line.desk.tenant).values(cancel_notice_minutes=2 * 1440))
    one = line.ask("Ana", 1)
    outcome = line.say("cancela mi cita")
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("too_late", False, "REPLY_TOO_LATE")
    assert line.state(one) == ("PENDING", "no")


@pytest.mark.parametrize("text", ["No soy Laura", "número equivocado", "Se equivocó de número", "wrong number"])
def test_a_wrong_number_is_left_alone(line: Line, text: str) -> None:
    one = line.ask("Laura", 3)
    outcome = line.say(text)
    assert (outcome.action, outcome.handled, outcome.reply_key) == ("wrong_number", False, "REPLY_WRONG_NUMBER")
    assert line.stops() == [(address_key(PHONE), "doubtful", text)]
    assert line.say(text).reply is None
    line.say("ALTA")
    with work(line.desk.tenant, write=False) as session:
        client = session.scalars(select(Client.id)).first() or 0
        for channel in (CHANNEL, "sms"):
            why = refusal(session, client_id=client, channel=channel, address=PHONE, marketing=False)
            assert why == "doubtful_number"
    assert line.state(one) == ("PENDING", "none")


@pytest.mark.parametrize("text", ["no soy Laura, soy su mamá", "no soy Laura pero sí va"])
def test_who_answers_for_somebody_is_no_wrong_number(line: Line, text: str) -> None:
    line.ask("Laura", 3)
    assert line.say(text).action != "wrong_number"
    assert line.stops() == []


def test_advertising_alone_can_be_ended(line: Line) -> None:
    line.ask("Ana", 3)
    outcome = line.say("ya no me manden promociones")
    assert (outcome.action, outcome.reply_key) == ("opted_out", "REPLY_OPTED_OUT_MARKETING")
    with work(line.desk.tenant, write=False) as session:
        client = session.scalars(select(Client.id)).first() or 0
        whys = [
            refusal(session, client_id=client, channel=CHANNEL, address=PHONE, marketing=marketing)
            for marketing in (True, False)
        ]
    assert whys == ["opted_out", None]


def test_a_stop_needs_no_question(line: Line) -> None:
    assert line.say("STOP").reply_key == "REPLY_OPTED_OUT"
    assert line.say("STOP").reply is None
    assert line.stops() == [(address_key(PHONE), "all", "STOP")]


@pytest.fixture
def anybody(tenant: int) -> Line:
    return Line(open_desk(tenant))


@settings(max_examples=FEW, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.sampled_from(["no promociones", "hola"]), max_size=2),
    stops=st.lists(st.sampled_from(["BAJA", "STOP", "ya no me manden mensajes"]), min_size=1, max_size=3),
)
def test_stop_then_start_restores_exactly(anybody: Line, before: list[str], stops: list[str]) -> None:
    for text in before:
        anybody.say(text)
    held = anybody.stops()
    for text in stops:
        anybody.say(text)
    assert len(anybody.stops()) == len(held) + 1
    anybody.say("ALTA")
    assert anybody.stops() == held
