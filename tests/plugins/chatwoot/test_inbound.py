"""What comes in from Chatwoot: who writes, what their answer does, and that order and repetition do not matter."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Appointment, Client, ClientPhone
from citaplanner_core.database import db, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks import settings as plugin_settings
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.jobs.models import Job
from citaplanner_core.notifications.models import Delivery, Notification
from citaplanner_core.notifications.opt_outs import OptOut, address_key
from citaplanner_core.testing.factories import make_client, make_tenant
from plugins.chatwoot import identity, inbound
from plugins.chatwoot.answers import Place, answer
from plugins.chatwoot.events import IncomingMessage, as_id, contact_of, parse_event
from plugins.chatwoot.inbound import handle_event
from plugins.chatwoot.matcher import Match
from plugins.chatwoot.models import (
    ChatwootConfig,
    ChatwootContact,
    ChatwootConversation,
    ChatwootEvent,
    ChatwootInteraction,
)
from tests.examples import FEW
from tests.plugins.chatwoot.conftest import Begin
from tests.plugins.chatwoot.loop import OTHER_FORM, PHONE, WRITER, Loop
from tests.plugins.chatwoot.sandbox.conftest import API, WHATSAPP, WIDGET

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def configure(loop: Loop, **values: Any) -> None:
    with work(loop.tenant) as session:
        session.execute(update(ChatwootConfig).values(values))


def welcome_strangers(loop: Loop) -> None:
    with work(loop.tenant) as session:
        plugin_settings.write(session, "chatwoot", {"create_clients": True})


def row_of(loop: Loop, contact_id: int) -> ChatwootContact:
    found: ChatwootContact
    (found,) = [row for row in loop.rows(ChatwootContact) if row.contact_id == contact_id]
    return found


# The conversation


def test_yes_confirms_and_is_thanked_for(loop: Loop) -> None:
    appointment, question = loop.asked(first_name="Ana")
    wrote = loop.write("sí, confirmo")

    assert wrote["conversation_id"] == question["conversation"]
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    _, thanks = loop.public()
    assert (thanks["conversation"], thanks["status"]) == (question["conversation"], "sent")
    assert thanks["content"].startswith("¡Gracias, Ana! Tu cita")
    spoken = {(row.direction, row.action, row.reply_key) for row in loop.rows(ChatwootInteraction)}
    assert spoken == {("out", None, None), ("in", "confirmed", "REPLY_CONFIRMED")}
    attributes = loop.contacts()[0]["custom_attributes"]
    assert attributes["next_appointment_status"] == "CONFIRMED"


@pytest.mark.parametrize(
    ("text", "state", "said"), [("3", ("CANCELLED", "no"), "cancelamos"), ("2", ("PENDING", "move"), "una persona")]
)
@on_sqlite
def test_no_cancels_and_another_time_waits_for_a_person(
    loop: Loop, text: str, state: tuple[str, str], said: str
) -> None:
    appointment, _ = loop.asked()
    loop.write(text)

    assert loop.state(appointment) == state
    assert said in loop.public()[-1]["content"]
    assert len(loop.public()) == 2


@on_sqlite
def test_gibberish_is_asked_back_once_and_a_number_answers_that(loop: Loop) -> None:
    appointment, _ = loop.asked()
    for text in ("asdf qwer", "zxcv", None):
        loop.write(text)
    assert len(loop.public()) == 3
    assert "responde 1" in loop.public()[1]["content"]
    assert "una persona del equipo" in loop.public()[2]["content"]
    assert loop.state(appointment) == ("PENDING", "none")
    loop.write("1")
    assert loop.state(appointment) == ("CONFIRMED", "yes")


@on_sqlite
def test_thanks_are_not_answered(loop: Loop) -> None:
    loop.asked()
    loop.write("1")
    for text in ("gracias", "1", "ok 👍"):
        loop.write(text)
    assert len(loop.public()) == 2


@on_sqlite
def test_a_message_pointed_at_is_the_one_answered(loop: Loop) -> None:
    first, question = loop.asked()
    with work(loop.tenant, write=False) as session:
        client = session.scalars(select(Client.id)).one()
    second = loop.book(client, start=utcnow().replace(microsecond=0) + timedelta(days=5))
    loop.settle()
    assert len(loop.public()) == 2
    _reply_to(loop, question["conversation"], question["id"], "sí")

    assert loop.state(first) == ("CONFIRMED", "yes")
    assert loop.state(second) == ("PENDING", "none")
    loop.write("3")  # the last thing said was about the first, but the second waits for an answer
    assert (loop.state(first)[0], loop.state(second)[0]) == ("CONFIRMED", "PENDING")
    assert "¿De cuál hablamos?" in loop.public()[-1]["content"]


def _reply_to(loop: Loop, conversation: int, message: int, text: str) -> None:
    fields = {"content": text, "message_type": "incoming", "content_attributes": {"in_reply_to": message}}
    loop.chatwoot.ok("POST", f"/conversations/{conversation}/messages", fields)
    loop.settle()


@on_sqlite
def test_no_more_messages_means_none(loop: Loop) -> None:
    loop.asked()
    loop.write("BAJA")
    assert "ya no te enviaremos" in loop.public()[-1]["content"]
    with work(loop.tenant, write=False) as session:
        client = session.scalars(select(Client.id)).one()
        assert [(row.address, row.client_id) for row in session.scalars(select(OptOut))] == [
            (address_key(f"+52 {PHONE}"), None)
        ]
    loop.book(client, start=utcnow().replace(microsecond=0) + timedelta(days=5))
    loop.settle()
    assert len(loop.public()) == 2
    loop.write("ALTA")
    assert len(loop.public()) == 3
    assert loop.rows(OptOut) == []


@on_sqlite
def test_an_old_time_is_not_confirmed(loop: Loop) -> None:
    appointment, question = loop.asked()
    with work(loop.tenant) as session:
        verbs.reschedule(session, appointment, start=utcnow().replace(microsecond=0) + timedelta(days=9), by="staff")
        session.execute(delete(Notification).where(Notification.type == "APPOINTMENT_RESCHEDULE"))
    loop.write("sí, confirmo")
    assert loop.state(appointment) == ("PENDING", "none")
    assert "responde 1" in loop.public()[-1]["content"]
    loop.write("1")
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    assert question["content"] != loop.public()[-1]["content"]


@on_sqlite
def test_what_is_long_over_is_nobodys_question_any_more(loop: Loop) -> None:
    appointment, _ = loop.asked()
    with work(loop.tenant) as session:
        row = session.get_one(Appointment, appointment)
        for column in ("blocked_from", "start", "end", "blocked_until"):
            setattr(row, column, getattr(row, column) - timedelta(days=10))
    loop.write("sí")
    loop.write("cancela mi cita")
    assert len(loop.public()) == 1
    assert loop.state(appointment) == ("PENDING", "none")


# Who writes


def test_a_known_number_is_linked_and_the_agent_sees_it(loop: Loop) -> None:
    client = loop.client(phone=PHONE)
    loop.book(client)
    with work(loop.tenant) as session:
        session.execute(update(Notification).values(status="CANCELLED"))
    wrote = loop.write("Hola, buenas tardes")

    row = row_of(loop, wrote["contact_id"])
    assert (row.client_id, row.rule, row.trust) == (client, "phone", "proven")
    (conversation,) = loop.rows(ChatwootConversation)
    assert (conversation.contact_id, conversation.status, conversation.channel_type) == (
        wrote["contact_id"],
        "open",
        "Channel::Api",
    )
    assert conversation.last_incoming_at is not None
    (spoken,) = loop.rows(ChatwootInteraction)
    assert (spoken.message_id, spoken.direction, spoken.client_id) == (wrote["message_id"], "in", client)
    attributes = loop.contacts()[0]["custom_attributes"]
    assert attributes["client_id"] == client
    assert attributes["next_appointment_status"] == "PENDING"
    assert loop.said() == []


def test_a_stranger_stays_a_stranger(loop: Loop) -> None:
    loop.client(phone=PHONE)
    wrote = loop.write("Hola, ¿cuánto cuesta?", phone="5213312345670")
    row = row_of(loop, wrote["contact_id"])
    assert (row.client_id, row.rule) == (None, "none")
    assert len(loop.rows(Client)) == 1
    assert loop.contacts()[0]["custom_attributes"] == {}
    assert loop.said() == []


def test_a_family_phone_acts_where_we_asked_and_belongs_to_nobody(loop: Loop) -> None:
    child, mother = loop.client(phone=PHONE, first_name="Luz"), loop.client(phone=PHONE, first_name="Ema")
    first = loop.book(child)
    loop.settle()
    wrote = loop.write("Hola")
    assert row_of(loop, wrote["contact_id"]).client_id is None
    (note,) = loop.notes()
    assert f"(#{child})" in note["content"]
    assert f"(#{mother})" in note["content"]

    loop.write("sí, confirmo")
    assert loop.state(first) == ("CONFIRMED", "yes")
    assert len(loop.notes()) == 1
    assert loop.contacts()[0]["custom_attributes"] == {}
    loop.write("BAJA")
    assert [row.address for row in loop.rows(OptOut)] == [address_key(f"+52 {PHONE}")]
    told = len(loop.public())
    for client in (child, mother):
        loop.book(client, start=utcnow().replace(microsecond=0) + timedelta(days=5 + client))
    loop.settle()
    assert len(loop.public()) == told


@on_sqlite
def test_a_mother_of_two_is_asked_which_and_her_answer_is_applied_to_that_one(loop: Loop) -> None:
    luz, teo = loop.client(phone=PHONE, first_name="Luz"), loop.client(phone=PHONE, first_name="Teo")
    first = loop.book(luz)
    second = loop.book(teo, start=utcnow().replace(microsecond=0) + timedelta(days=5))
    loop.settle()
    loop.write("3")
    assert (loop.state(first)[0], loop.state(second)[0]) == ("PENDING", "PENDING")
    which = loop.public()[-1]["content"]
    assert "1. " in which
    assert "(Luz)" in which
    assert "2. " in which
    assert "(Teo)" in which
    loop.write("2")
    assert (loop.state(first)[0], loop.state(second)[0]) == ("PENDING", "CANCELLED")
    loop.write("1")  # about which, nobody can tell: hers is the only one left, and she is asked about it by name
    assert loop.state(first) == ("PENDING", "none")
    loop.write("1")
    assert loop.state(first) == ("CONFIRMED", "yes")


@pytest.mark.parametrize("trust", [None, "claimed"])
@on_sqlite
def test_a_number_typed_into_a_web_widget_does_nothing(begin: Begin, trust: str | None) -> None:
    loop = begin(WIDGET, trust)
    client = loop.client(phone=PHONE)
    appointment = loop.book(client)
    with work(loop.tenant) as session:
        session.execute(update(Notification).values(status="CANCELLED"))
    wrote = loop.write("Hola", inbox=WIDGET, source_id="visitor-1")
    loop.chatwoot.ok("PUT", f"/contacts/{wrote['contact_id']}", {"phone_number": f"+{WRITER}"})
    loop.settle()
    for text in ("confirmo mi cita", "cancela mi cita", "BAJA"):
        loop.write(text, inbox=WIDGET, source_id="visitor-1")

    row = row_of(loop, wrote["contact_id"])
    assert (row.client_id, row.rule, row.trust) == (None, "phone", "claimed")
    assert loop.state(appointment) == ("PENDING", "none")
    assert loop.rows(OptOut) == []
    assert loop.said() == []
    assert loop.contacts()[0]["custom_attributes"] == {}


@on_sqlite
def test_an_unproven_inbox_we_asked_in_does_not_act(begin: Begin) -> None:
    loop = begin(API, "claimed")
    appointment, _ = loop.asked()
    loop.write("sí, confirmo")
    assert loop.state(appointment) == ("PENDING", "none")
    assert len(loop.public()) == 1


def test_an_answer_through_the_other_contact_of_the_same_number(loop: Loop) -> None:
    appointment, question = loop.asked()
    wrote = loop.write("sí, confirmo", phone=OTHER_FORM)
    assert (wrote["contact_id"] != question["contact"], wrote["conversation_id"] != question["conversation"]) == (
        True,
        True,
    )

    assert loop.state(appointment) == ("CONFIRMED", "yes")
    assert loop.public()[-1]["conversation"] == wrote["conversation_id"]
    rows = loop.rows(ChatwootContact)
    assert len({row.client_id for row in rows}) == 1
    assert len(rows) == 2


@on_sqlite
def test_whatsapp_vouches_by_itself(begin: Begin) -> None:
    loop = begin(WHATSAPP)
    loop.write("Hola", phone=OTHER_FORM)
    appointment, _ = loop.asked()
    loop.write("1", phone=OTHER_FORM)
    assert loop.state(appointment) == ("CONFIRMED", "yes")


def test_clients_are_made_of_strangers_only_where_wanted_and_never_twice(loop: Loop) -> None:
    welcome_strangers(loop)
    wrote = loop.write("Hola", phone="5213312345670", name="Eva María Luna")
    (client,) = loop.rows(Client)
    (phone,) = loop.rows(ClientPhone)
    assert (client.first_name, client.last_name, phone.e164) == ("Eva", "María Luna", "+523312345670")
    row = row_of(loop, wrote["contact_id"])
    assert (row.client_id, row.rule, row.trust) == (client.id, "phone", "proven")
    loop.write("Hola de nuevo", phone="5213312345670")
    loop.write("Hola", phone="523312345670", source_id="other-form")
    assert len(loop.rows(Client)) == 1


@on_sqlite
def test_no_client_is_made_of_a_visitor_or_without_a_number(begin: Begin) -> None:
    loop = begin(WIDGET)
    welcome_strangers(loop)
    loop.write("Hola", inbox=WIDGET, source_id="visitor-1")
    configure(loop, inbox_trust={str(WIDGET): "proven"})
    loop.write("Hola", inbox=WIDGET, source_id="visitor-2", phone=None)
    assert loop.rows(Client) == []


def test_two_first_messages_at_once_make_one_client(loop: Loop) -> None:
    welcome_strangers(loop)
    for form in ("5213312345670", "523312345670"):
        loop.chatwoot.incoming(inbox_id=API, phone=form, source_id=form, name="Eva", text="Hola")
    loop.chatwoot.settle()
    ids = [event.id for event in loop.rows(ChatwootEvent) if event.event == "message_created"]
    assert len(ids) == 2
    _at_once(loop.app, *(lambda event_id=one: _handle(loop.tenant, event_id) for one in ids))
    assert len(loop.rows(Client)) == 1
    assert {row.client_id for row in loop.rows(ChatwootContact)} == {loop.rows(Client)[0].id}


def _handle(tenant: int, event_id: int, attempt: int = 1) -> None:
    handle_event(JobContext(tenant, 1, attempt, {"event_id": event_id}))


def _at_once(app: Flask, *calls: Callable[[], None]) -> None:
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        try:
            with app.app_context():
                barrier.wait(5)
                call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@on_sqlite
def test_a_link_follows_the_number(loop: Loop) -> None:
    before = loop.client(phone=PHONE)
    wrote = loop.write("Hola")
    now = loop.client(phone="33 1234 5670")
    loop.chatwoot.ok("PUT", f"/contacts/{wrote['contact_id']}", {"phone_number": "+5213312345670"})
    loop.settle()
    assert row_of(loop, wrote["contact_id"]).client_id == now != before
    assert loop.contacts()[0]["custom_attributes"]["client_id"] == now

    loop.chatwoot.ok("PUT", f"/contacts/{wrote['contact_id']}", {"phone_number": "+5218112345670"})
    loop.settle()
    assert row_of(loop, wrote["contact_id"]).client_id is None
    assert loop.contacts()[0]["custom_attributes"].get("client_id") is None


@on_sqlite
def test_what_a_person_linked_stays(loop: Loop) -> None:
    loop.client(phone=PHONE)
    other = loop.client(phone=None)
    wrote = loop.write("Hola")
    with work(loop.tenant) as session:
        identity.link(session, account_ref=loop.ref, contact_id=wrote["contact_id"], client_id=other)
    loop.write("Hola de nuevo")
    row = row_of(loop, wrote["contact_id"])
    assert (row.client_id, row.rule) == (other, identity.AGENT)


@on_sqlite
def test_the_same_number_at_another_business_is_somebody_else(loop: Loop) -> None:
    other = make_tenant("other")
    with work(other) as session:
        make_client(session, phone=PHONE)
    wrote = loop.write("Hola")
    assert row_of(loop, wrote["contact_id"]).client_id is None
    with work(other, write=False) as session:
        assert session.scalar(select(func.count(ChatwootContact.id))) == 0


# People and programs in the conversation


@on_sqlite
def test_own_messages_start_nothing(loop: Loop) -> None:
    _, question = loop.asked()
    created = [event for event in loop.rows(ChatwootEvent) if event.event == "message_created"]
    assert [event.outcome for event in created] == ["own"]
    assert [row.message_id for row in loop.rows(ChatwootInteraction)] == [question["id"]]


@on_sqlite
def test_notes_bots_and_automatic_messages_start_nothing(loop: Loop) -> None:
    loop.asked()
    wrote = loop.write("1")
    loop.agent(wrote["conversation_id"], "llamar mañana", action="note")
    loop.chatwoot.say(wrote["conversation_id"], "Soy un programa", token="sandbox-bot-token")
    loop.settle()
    assert {row.direction for row in loop.rows(ChatwootInteraction)} == {"in", "out"}
    assert len(loop.public()) == 3


@on_sqlite
def test_automatic_messages_wait_after_an_agent_wrote(loop: Loop) -> None:
    loop.asked()
    wrote = loop.write("Hola, buenas tardes")
    before = len(loop.public())
    loop.agent(wrote["conversation_id"], "llamar mañana", action="note")
    with work(loop.tenant, write=False) as session:
        assert session.scalars(select(Client.paused_until)).one() is None
    loop.agent(wrote["conversation_id"], "Hola, soy Marta")
    with work(loop.tenant) as session:
        waiting = update(Notification).where(Notification.rule == "reminder:60")
        session.execute(waiting.values(due=utcnow() - timedelta(seconds=1)))
    loop.settle()
    assert len(loop.public()) == before + 1  # the agent's
    with work(loop.tenant, write=False) as session:
        row = session.scalars(select(Notification).where(Notification.rule == "reminder:60")).one()
        assert (row.status, row.reason) == ("PENDING", "paused_by_agent")
        assert timedelta(minutes=58) < row.due - utcnow() <= timedelta(hours=1)


@on_sqlite
def test_we_keep_out_while_an_agent_talks_but_a_clear_answer_counts(loop: Loop) -> None:
    appointment, question = loop.asked()
    loop.agent(question["conversation"], "Hola Ana, ¿le parece bien si la atiende Marco?")
    assert [row.direction for row in loop.rows(ChatwootInteraction)] == ["out", "agent"]
    for text in ("ok", "asdf", "no puedo"):
        loop.write(text)
    assert loop.state(appointment) == ("PENDING", "none")
    assert len(loop.public()) == 2
    loop.write("sí, confirmo mi cita")
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    assert len(loop.public()) == 3


@on_sqlite
def test_a_program_that_talks_to_us_is_not_talked_to_for_ever(loop: Loop) -> None:
    appointment, _ = loop.asked()
    for _ in range(6):
        loop.write("1")
        loop.write("2")
    assert len(loop.public()) == 1 + 5
    assert loop.state(appointment) == ("CONFIRMED", "move")


# Reports


def test_reports_move_the_delivery_forward(begin: Begin) -> None:
    loop = begin(WHATSAPP)
    loop.write("Hola")
    loop.asked()
    (delivery,) = loop.rows(Delivery)
    assert (delivery.status, delivery.read_at is not None) == ("READ", True)
    assert next(row.status for row in loop.rows(Notification)) == "READ"


@on_sqlite
def test_a_failure_reported_later_is_told_with_its_reason(loop: Loop) -> None:
    _, question = loop.asked()
    loop.chatwoot.control(
        "POST", "report", {"message_id": question["id"], "status": "failed", "error": "131026: Undeliverable"}
    )
    loop.settle()
    (delivery,) = loop.rows(Delivery)
    assert (delivery.status, delivery.reason, delivery.error) == ("FAILED", "rejected", "131026: Undeliverable")


@on_sqlite
def test_a_report_that_overtakes_the_sending_is_looked_at_again(loop: Loop) -> None:
    _, question = loop.asked()
    with work(loop.tenant) as session:
        session.execute(update(Delivery).values(provider_id=None))
    loop.chatwoot.control("POST", "report", {"message_id": question["id"], "status": "read"})
    loop.settle(within=0)
    with work(loop.tenant) as session:
        session.execute(update(Delivery).values(provider_id=f"chatwoot-{question['id']}"))
    loop.settle(within=60)
    assert loop.rows(Delivery)[0].status == "READ"


@on_sqlite
def test_a_conversations_state_is_known(loop: Loop) -> None:
    wrote = loop.write("Hola")
    loop.chatwoot.control("POST", "agent", {"conversation_id": wrote["conversation_id"], "action": "resolved"})
    loop.settle()
    assert loop.rows(ChatwootConversation)[0].status == "resolved"
    loop.write("otra cosa")
    assert {row.status for row in loop.rows(ChatwootConversation)} == {"resolved", "open"}


# Again, late, and in any order


def test_the_same_webhook_again_changes_nothing(loop: Loop) -> None:
    appointment, _ = loop.asked()
    wrote = loop.write("sí, confirmo")
    before, said = picture(loop), len(loop.said())
    deliveries = loop.chatwoot.control("GET", "deliveries")
    (delivery,) = [
        one for one in deliveries if one["event"] == "message_created" and one["object_id"] == wrote["message_id"]
    ]
    assert loop.chatwoot.control("POST", "redeliver", {"delivery_id": delivery["delivery_id"]})["status"] == 200
    with work(loop.tenant) as session:
        for event in session.scalars(select(ChatwootEvent)):
            event.processed_at = None
            session.add(Job(kind="event", plugin="chatwoot", payload={"event_id": event.id}, due=utcnow()))
    loop.settle()
    assert picture(loop) == before
    assert len(loop.said()) == said
    assert loop.state(appointment) == ("CONFIRMED", "yes")


def test_one_event_handled_by_two_workers_has_one_effect(loop: Loop) -> None:
    loop.asked()
    loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text="1")
    loop.chatwoot.settle()
    event_id = loop.rows(ChatwootEvent)[-1].id
    with work(loop.tenant, write=False) as session:
        event_id = session.scalars(
            select(ChatwootEvent.id).where(
                ChatwootEvent.event == "message_created", ChatwootEvent.processed_at.is_(None)
            )
        ).one()
    _at_once(loop.app, *[lambda: _handle(loop.tenant, event_id)] * 3)
    loop.settle()
    assert len(loop.public()) == 2
    assert len([row for row in loop.rows(ChatwootInteraction) if row.direction == "in"]) == 1


@on_sqlite
def test_an_answer_that_comes_late_does_not_undo_a_newer_one(loop: Loop) -> None:
    appointment, _ = loop.asked()
    loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text="3")
    loop.chatwoot.settle()
    late = [event.payload for event in waiting(loop) if event.event == "message_created"]
    with work(loop.tenant) as session:
        session.execute(delete(ChatwootEvent).where(ChatwootEvent.processed_at.is_(None)))
    loop.write("1")
    store(loop, late)
    loop.settle()
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    assert loop.outcomes()[-1] == "linked overtaken"
    assert len(loop.public()) == 2


def test_a_message_that_breaks_us_holds_up_no_other(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(session: Session, place: Place, message: IncomingMessage, who: Match) -> Any:
        if message.text == "asdf":
            raise RuntimeError
        return answer(session, place, message, who)

    appointment, _ = loop.asked()
    for text in ("asdf", "1"):
        loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text=text)
    loop.chatwoot.settle()
    monkeypatch.setattr(inbound, "answer", broken)
    newest = next(event.id for event in waiting(loop)[::-1] if event.event == "message_created")
    _handle(loop.tenant, newest)
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    loop.settle(strict=False)
    assert [event.event for event in waiting(loop)] == ["message_created"]
    monkeypatch.undo()
    loop.settle(within=60)
    assert waiting(loop) == []
    assert len(loop.public()) == 2


@pytest.fixture
def eventful(loop: Loop) -> tuple[Loop, int]:
    """Many webhooks that nobody handled yet, and the appointment they are about."""
    appointment, question = loop.asked()
    talk, control = question["conversation"], loop.chatwoot.control
    incoming = partial(loop.chatwoot.incoming, inbox_id=API, phone=WRITER)
    for status in ("delivered", "read"):
        control("POST", "report", {"message_id": question["id"], "status": status})
        loop.chatwoot.settle()  # a body tells the state of the conversation's last message only
    incoming(text="azul turquesa")
    incoming(text="no puedo")
    control("POST", "agent", {"conversation_id": talk, "action": "note", "text": "¿la llamamos?"})
    incoming(text="3")
    incoming(text="sí, confirmo")
    control("POST", "agent", {"conversation_id": talk, "text": "Hola Ana"})
    control("POST", "agent", {"conversation_id": talk, "action": "resolved"})
    loop.chatwoot.ok("PUT", f"/contacts/{question['contact']}", {"name": "Ana P."})
    incoming(text="gracias")
    incoming(text="Hola", phone="5213312345670")
    loop.chatwoot.settle()
    return loop, appointment


def waiting(loop: Loop) -> list[ChatwootEvent]:
    return [event for event in loop.rows(ChatwootEvent) if event.processed_at is None]


def outcome_of(loop: Loop) -> dict[str, Any]:
    """The picture, and what is to be said."""
    replies = [(row.payload["marker"], row.payload["body"]) for row in loop.rows(Job) if row.kind == "reply"]
    return picture(loop) | {"replies": sorted(replies)}


@on_sqlite
def test_any_order_and_any_number_of_times_end_the_same(eventful: tuple[Loop, int]) -> None:
    loop, appointment = eventful
    ids = [event.id for event in waiting(loop)]
    url = db.engine.url.database
    assert len(ids) > 15
    assert url is not None
    with closing(sqlite3.connect(url)) as live, closing(sqlite3.connect(":memory:")) as start:
        live.backup(start)
        for event_id in ids:
            _handle(loop.tenant, event_id)
        expected = outcome_of(loop)
        assert loop.state(appointment) == ("CANCELLED", "no")
        assert expected["deliveries"] == [("READ", None)]
        assert [one[2] for one in expected["conversations"]] == ["resolved", "open", "open"]

        @settings(max_examples=FEW, deadline=None)
        @given(order=st.permutations(ids), again=st.lists(st.sampled_from(ids), max_size=10))
        def in_any_order(order: list[int], again: list[int]) -> None:
            start.backup(live)
            for event_id in (*order, *again):
                _handle(loop.tenant, event_id)
            assert outcome_of(loop) == expected

        in_any_order()


def test_all_at_once_end_the_same(eventful: tuple[Loop, int]) -> None:
    loop, appointment = eventful
    ids = [event.id for event in waiting(loop)]

    def some(part: int) -> None:
        for event_id in ids[part:] + ids[:part]:
            _handle(loop.tenant, event_id)

    _at_once(loop.app, *(partial(some, part) for part in range(0, len(ids), len(ids) // 3)))
    assert waiting(loop) == []
    assert loop.state(appointment) == ("CANCELLED", "no")
    said = [(row.text, row.action, row.reply_key) for row in loop.rows(ChatwootInteraction) if row.direction == "in"]
    assert sorted(said) == [
        ("3", "cancelled", "REPLY_CANCELLED"),
        ("Hola", "nothing", None),
        ("azul turquesa", "not_understood", "REPLY_NOT_UNDERSTOOD"),
        ("gracias", "nothing", None),
        ("no puedo", "asked", "REPLY_ASK_MOVE_OR_CANCEL"),
        ("sí, confirmo", "too_late", "REPLY_IS_CANCELLED"),
    ]
    assert loop.rows(Delivery)[0].status == "READ"


@on_sqlite
def test_a_tenant_that_switched_off_is_left_alone(loop: Loop) -> None:
    appointment, _ = loop.asked()
    loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text="1")
    loop.chatwoot.settle()
    lifecycle.disable("chatwoot", loop.tenant)
    loop.settle()
    assert loop.state(appointment) == ("PENDING", "none")
    assert loop.outcomes()[-1] == "switched_off"


@on_sqlite
def test_bodies_that_are_not_chatwoots_own_break_nothing(loop: Loop) -> None:
    bodies: list[dict[str, Any]] = [
        {"event": "message_created"},
        {"event": "message_created", "message_type": "incoming", "sender": {"id": 7}},
        {"event": "message_created", "id": 5, "message_type": "incoming", "sender": {"id": 7}, "content": "\x00 1"},
        {"event": "message_updated", "id": 5, "conversation": {"messages": [None]}},
        {"event": "contact_updated", "id": "x", "changed_attributes": [None, {"updated_at": None}]},
        {"event": "conversation_updated", "id": 3, "inbox_id": 2, "status": ["open"], "meta": {"sender": {"id": 9}}},
        {"event": "something_new"},
    ]
    store(loop, bodies)
    loop.settle()
    assert None not in [event.processed_at for event in loop.rows(ChatwootEvent)]


def store(loop: Loop, bodies: list[dict[str, Any]]) -> list[int]:
    """Store webhooks as if they had come."""
    with work(loop.tenant) as session:
        config = session.scalars(select(ChatwootConfig.id)).one()
        rows = []
        for body in bodies:
            event = parse_event(body)
            assert event is not None
            rows.append(
                ChatwootEvent(
                    config_id=config,
                    account_ref=loop.ref,
                    event=event.name,
                    delivery_id=uuid4().hex,
                    contact_id=as_id(contact_of(body).get("id")),
                    payload=body,
                )
            )
        session.add_all(rows)
        session.flush()
        ids = [row.id for row in rows]
        session.add_all(Job(kind="event", plugin="chatwoot", payload={"event_id": one}, due=utcnow()) for one in ids)
    return ids


def picture(loop: Loop) -> dict[str, Any]:
    """Everything that webhooks led to, without ids and times of ours."""
    spoken = [
        (
            row.message_id,
            row.direction,
            row.text,
            row.intent,
            row.action,
            row.reply_key,
            row.notification_id,
            row.client_id,
        )
        for row in loop.rows(ChatwootInteraction)
    ]
    return {
        "contacts": sorted(
            (r.contact_id, r.client_id, r.rule, r.trust, str(r.known), str(r.as_of)) for r in loop.rows(ChatwootContact)
        ),
        "conversations": sorted(
            (r.conversation_id, r.contact_id, r.status, str(r.known), str(r.as_of), str(r.last_incoming_at))
            for r in loop.rows(ChatwootConversation)
        ),
        "spoken": sorted(spoken, key=str),
        "appointments": [(r.status, r.answer, r.answer_words, r.version) for r in loop.rows(Appointment)],
        "deliveries": [(r.status, r.error) for r in loop.rows(Delivery)],
        "opted_out": [(r.address, r.channel) for r in loop.rows(OptOut)],
    }
