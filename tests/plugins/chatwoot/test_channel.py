"""What clients are told through Chatwoot: once, in the right conversation, and what happens on bad days."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from citaplanner_core.booking import appointments
from citaplanner_core.booking.models import Branch, ClientPhone
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.types import (
    Ambiguous,
    Askable,
    AuthFailed,
    Limited,
    Message,
    Permanent,
    Receipt,
    Recipient,
    Retry,
)
from citaplanner_core.http import outbound
from citaplanner_core.notifications.models import Delivery, Notification
from citaplanner_core.testing.factories import make_client, make_professional, make_service
from citaplanner_core.testing.worker import run_due
from plugins.chatwoot import accounts, channel, contacts, identity, locks
from plugins.chatwoot.api import MARKER
from plugins.chatwoot.channel import ChatwootChannel
from plugins.chatwoot.models import (
    ChatwootConfig,
    ChatwootContact,
    ChatwootConversation,
    ChatwootInteraction,
    ChatwootLock,
)
from tests.plugins.chatwoot.conftest import Connect
from tests.plugins.chatwoot.sandbox.conftest import API, EMAIL, SMS, WHATSAPP, WIDGET
from tests.plugins.chatwoot.support import Desk

PHONE = "55 1234 5678"
E164 = "+525512345678"
WA_ID = "5215512345678"
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
MESSAGES = "/conversations/.*/messages"


def refusal(desk: Desk, client_id: int) -> Exception:
    """What sending raises."""
    with pytest.raises((Retry, Ambiguous, AuthFailed, Permanent)) as raised:
        desk.send(client_id)
    return raised.value


def reason(desk: Desk, client_id: int) -> str:
    error = refusal(desk, client_id)
    assert isinstance(error, Permanent)
    return error.reason


# Whom and where


def test_the_first_message_makes_contact_and_conversation(desk: Desk) -> None:
    client = desk.client(phone=PHONE, first_name="Ana", last_name="Pérez")
    message = desk.message(client, "¿Confirma su cita?")
    receipt = ChatwootChannel().send(message, {})

    (sent,) = desk.said()
    assert receipt.message_id == f"chatwoot-{sent['id']}"
    assert (sent["content"], sent["private"], sent["inbox"]) == ("¿Confirma su cita?", False, API)
    assert sent["content_attributes"] == {MARKER: message.key}
    (contact,) = desk.contacts()
    assert (contact["name"], contact["phone_number"], contact["email"]) == ("Ana Pérez", E164, None)
    assert contact["identifier"] == f"citaplanner:{desk.tenant}:{client}"
    (spoken,) = desk.rows(ChatwootInteraction)
    assert (spoken.direction, spoken.message_id, spoken.question) == ("out", sent["id"], "confirm")
    assert (spoken.client_id, spoken.notification_id) == (client, message.notification_id)
    (conversation,) = desk.rows(ChatwootConversation)
    assert (conversation.conversation_id, conversation.contact_id) == (sent["conversation"], contact["id"])
    (link,) = desk.rows(ChatwootContact)
    assert (link.client_id, link.rule, link.account_ref) == (client, "phone", desk.ref)


@on_sqlite
def test_a_known_conversation_costs_two_calls(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    first = desk.send(client)["conversation"]
    for _ in range(3):
        with desk.calls() as made:
            desk.send(client)
        assert made == [f"GET conversations/{first}", f"POST conversations/{first}/messages"]
    assert {one["conversation"] for one in desk.said()} == {first}
    assert len(desk.contacts()) == 1


@on_sqlite
def test_a_message_goes_where_the_client_wrote_from(connect: Connect) -> None:
    desk = connect(WHATSAPP)
    wrote = desk.chatwoot.incoming(inbox_id=WHATSAPP, phone=WA_ID, name="Ana", text="Hola")
    client = desk.client(phone=PHONE)

    sent = desk.send(client)
    assert (sent["conversation"], sent["contact"]) == (wrote["conversation_id"], wrote["contact_id"])
    assert len(desk.contacts()) == 1
    (link,) = desk.rows(ChatwootContact)
    assert (link.contact_id, link.client_id, link.trust) == (wrote["contact_id"], client, "proven")
    with desk.calls() as made:
        desk.send(client)
    assert len(made) == 2


@on_sqlite
def test_the_conversation_of_a_linked_contact_is_known_too(connect: Connect) -> None:
    desk = connect(WHATSAPP)
    wrote = desk.chatwoot.incoming(inbox_id=WHATSAPP, phone=WA_ID, text="Hola")
    client = desk.client(phone=PHONE)
    with work(desk.tenant) as session:
        identity.link(
            session,
            account_ref=desk.ref,
            contact_id=wrote["contact_id"],
            client_id=client,
            rule="phone",
            trust="proven",
        )
        session.add(
            ChatwootConversation(
                account_ref=desk.ref,
                conversation_id=wrote["conversation_id"],
                contact_id=wrote["contact_id"],
                inbox_id=WHATSAPP,
                last_incoming_at=utcnow(),
            )
        )
    with desk.calls() as made:
        desk.send(client)
    assert len(made) == 2


@on_sqlite
def test_where_the_client_wrote_last_wins(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    ours = desk.send(client)
    theirs = desk.chatwoot.incoming(inbox_id=API, phone=WA_ID, text="¿Me escribieron?")
    assert theirs["conversation_id"] != ours["conversation"]
    with work(desk.tenant) as session:
        session.execute(update(ChatwootConversation).values(status="resolved"))

    assert desk.send(client)["conversation"] == theirs["conversation_id"]


@on_sqlite
@pytest.mark.parametrize(
    ("inbox", "values", "source_id"),
    [(SMS, {"phone": PHONE}, E164), (EMAIL, {"phone": None, "email": "Ana@example.com"}, "ana@example.com")],
)
def test_inboxes_that_may_be_begun_in(connect: Connect, inbox: int, values: dict[str, Any], source_id: str) -> None:
    desk = connect(inbox)
    client = desk.client(**values)

    assert desk.send(client)["inbox"] == inbox
    assert desk.send(client)["status"] in ("sent", "delivered")
    (contact,) = desk.contacts()
    assert [link["source_id"] for link in contact["contact_inboxes"]] == [source_id]


@on_sqlite
def test_api_inboxes_keep_their_source_id(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    for _ in range(3):
        conversation = desk.send(client)["conversation"]
        desk.chatwoot.control("POST", "agent", {"conversation_id": conversation, "action": "resolved"})

    (contact,) = desk.contacts()
    assert len(contact["contact_inboxes"]) == 1
    assert len({one["conversation"] for one in desk.said()}) == 3


@on_sqlite
def test_whatsapp_is_not_begun_and_leaves_nothing_behind(connect: Connect) -> None:
    desk = connect(WHATSAPP)

    assert reason(desk, desk.client(phone=PHONE)) == "window_closed"
    assert desk.contacts() == []
    assert desk.said() == []


@on_sqlite
def test_the_window_closes_after_a_day(connect: Connect) -> None:
    desk = connect(WHATSAPP)
    desk.chatwoot.incoming(inbox_id=WHATSAPP, phone=WA_ID, text="Hola")
    client = desk.client(phone=PHONE)
    desk.send(client)
    desk.chatwoot.control("POST", "clock", {"hours": 25})

    assert reason(desk, client) == "window_closed"
    assert len(desk.said()) == 1
    desk.chatwoot.incoming(inbox_id=WHATSAPP, phone=WA_ID, text="Sigo aquí")
    assert desk.send(client)["status"] in ("sent", "delivered", "read")


@on_sqlite
def test_an_open_window_is_used_though_the_conversation_was_resolved(connect: Connect) -> None:
    desk = connect(WHATSAPP)
    wrote = desk.chatwoot.incoming(inbox_id=WHATSAPP, phone=WA_ID, text="Hola")
    desk.chatwoot.control("POST", "agent", {"conversation_id": wrote["conversation_id"], "action": "resolved"})

    assert desk.send(desk.client(phone=PHONE))["conversation"] == wrote["conversation_id"]


@on_sqlite
def test_a_number_typed_into_a_web_widget_gets_nothing(connect: Connect) -> None:
    desk = connect(WIDGET)
    wrote = desk.chatwoot.incoming(inbox_id=WIDGET, source_id="visitor-1", text="Hola")
    desk.chatwoot.ok("PUT", f"/contacts/{wrote['contact_id']}", {"phone_number": E164})
    client = desk.client(phone=PHONE)

    assert reason(desk, client) == "no_address"
    assert desk.said() == []
    with work(desk.tenant) as session:
        identity.link(session, account_ref=desk.ref, contact_id=wrote["contact_id"], client_id=client)
    assert desk.send(client)["conversation"] == wrote["conversation_id"]


@on_sqlite
def test_a_contact_of_the_client_without_number_is_written_to(desk: Desk) -> None:
    wrote = desk.chatwoot.incoming(inbox_id=API, source_id="bridge-7", text="Hola")
    client = desk.client(phone=PHONE)
    with work(desk.tenant) as session:
        identity.link(session, account_ref=desk.ref, contact_id=wrote["contact_id"], client_id=client)

    assert desk.send(client)["conversation"] == wrote["conversation_id"]
    with desk.calls() as made:
        desk.send(client)
    assert len(made) == 2


def test_people_who_share_a_number_share_a_contact_that_belongs_to_none(desk: Desk) -> None:
    mother, child = desk.client(phone=PHONE), desk.client(phone=PHONE)
    sent = [desk.send(who) for who in (mother, child, mother, child)]

    assert len({one["conversation"] for one in sent}) == 1
    (contact,) = desk.contacts()
    assert contact["identifier"] is None
    assert desk.rows(ChatwootContact) == []
    with desk.calls() as made:
        desk.send(child)
    assert len(made) == 2


@on_sqlite
@pytest.mark.parametrize("doubt", [{"confidence": "low"}, {"extension": "12"}])
def test_a_doubtful_number_links_nobody(desk: Desk, doubt: dict[str, str]) -> None:
    client = desk.client(phone=PHONE)
    with work(desk.tenant) as session:
        session.execute(update(ClientPhone).values(doubt))
    desk.send(client)

    assert desk.contacts()[0]["identifier"] is None
    assert desk.rows(ChatwootContact) == []


@on_sqlite
def test_what_a_person_linked_is_left_alone(desk: Desk) -> None:
    client, other = desk.client(phone=PHONE), desk.client()
    contact = desk.chatwoot.contact(phone_number=E164, inbox_id=API)
    with work(desk.tenant) as session:
        identity.link(session, account_ref=desk.ref, contact_id=contact["id"], client_id=other)
    desk.send(client)

    (link,) = desk.rows(ChatwootContact)
    assert (link.client_id, link.rule) == (other, identity.AGENT)


@on_sqlite
def test_the_inbox_says_whether_the_contact_is_proven(connect: Connect) -> None:
    desk = connect(API, inbox_trust={str(API): "proven"})
    desk.send(desk.client(phone=PHONE))

    assert [link.trust for link in desk.rows(ChatwootContact)] == ["proven"]


@on_sqlite
def test_after_a_new_number_nothing_goes_to_the_old_one(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    old = desk.send(client)
    with work(desk.tenant) as session:
        session.execute(update(ClientPhone).values(raw="x", e164="+525512345679", match_key="+525512345679"))

    new = desk.send(client)
    assert new["conversation"] != old["conversation"]
    assert new["phone"] == "+525512345679"


@on_sqlite
def test_a_blocked_contact_is_left_in_peace(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    contact = desk.send(client)["contact"]
    desk.chatwoot.ok("PUT", f"/contacts/{contact}", {"blocked": True})

    assert reason(desk, client) == "do_not_message"
    assert len(desk.said()) == 1


# What Chatwoot had, and lost


def test_contacts_and_conversations_that_are_gone_are_forgotten(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    gone = desk.send(client)
    desk.chatwoot.control("POST", "reset")

    sent = desk.send(client)
    assert sent["contact"] != gone["contact"]
    assert [row.contact_id for row in desk.rows(ChatwootConversation)] == [sent["contact"]]
    assert sent["contact"] in [row.contact_id for row in desk.rows(ChatwootContact)]


@on_sqlite
def test_after_a_merge_the_remaining_contact_is_written_to(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    first = desk.send(client)
    base = desk.chatwoot.contact(name="Ana", email="ana@example.com")
    merge = {"base_contact_id": base["id"], "mergee_contact_id": first["contact"]}
    desk.chatwoot.ok("POST", "/actions/contact_merge", merge)

    sent = desk.send(client)
    assert (sent["contact"], sent["conversation"]) == (base["id"], first["conversation"])


@on_sqlite
@pytest.mark.parametrize("stored", [E164, f"+{WA_ID}"])
def test_a_contact_with_any_form_of_the_number_is_used(desk: Desk, stored: str) -> None:
    contact = desk.chatwoot.contact(name="Ana de siempre", phone_number=stored)

    assert desk.send(desk.client(phone=PHONE))["contact"] == contact["id"]
    assert desk.contacts()[0]["name"] == "Ana de siempre"
    assert desk.contacts()[0]["identifier"] is None


def missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first look for who holds the address find nobody, as when another makes the contact just then."""
    really = contacts.holders
    answers: list[list[Any]] = [[]]
    monkeypatch.setattr(contacts, "holders", lambda *given: answers.pop() if answers else really(*given))


@on_sqlite
def test_a_contact_made_meanwhile_by_somebody_else_is_used(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    existing = desk.chatwoot.contact(phone_number=E164)
    missed(monkeypatch)

    assert desk.send(desk.client(phone=PHONE))["contact"] == existing["id"]


@on_sqlite
def test_the_same_for_an_email_address(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = connect(EMAIL)
    existing = desk.chatwoot.contact(email="ana@example.com")
    missed(monkeypatch)

    assert desk.send(desk.client(phone=None, email="Ana@example.com"))["contact"] == existing["id"]


@on_sqlite
def test_a_taken_identifier_does_not_stop_anything(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    taken = f"citaplanner:{desk.tenant}:{client}"
    desk.chatwoot.contact(identifier=taken, phone_number="+525512345679")

    sent = desk.send(client)
    assert (sent["phone"], len(desk.contacts())) == (E164, 2)


@on_sqlite
def test_our_contact_without_number_gets_it_back(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    ours = desk.chatwoot.contact(identifier=f"citaplanner:{desk.tenant}:{client}")

    assert desk.send(client)["contact"] == ours["id"]
    assert [one["phone_number"] for one in desk.contacts()] == [E164]


@on_sqlite
def test_an_identifier_from_a_web_widget_is_nobodys(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    visitor = desk.chatwoot.incoming(inbox_id=WIDGET, source_id="visitor-1", text="Hola")["contact_id"]
    desk.chatwoot.ok("PUT", f"/contacts/{visitor}", {"identifier": f"citaplanner:{desk.tenant}:{client}"})

    assert desk.send(client)["contact"] != visitor


# Bad days


@on_sqlite
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 429}, Limited),
        ({"status": 500, "method": "GET"}, Retry),
        ({"status": 401}, AuthFailed),
        ({"status": 422}, Permanent),
        ({"status": 404, "method": "POST"}, Retry),
        ({"status": 301}, Retry),
        ({"status": 500, "method": "POST"}, Ambiguous),
        ({"status": 200, "method": "POST", "accept_then_fail": True}, Ambiguous),
        ({"method": "POST"}, Ambiguous),
    ],
)
def test_what_the_core_is_told_of_trouble(desk: Desk, fault: dict[str, Any], kind: type[Exception]) -> None:
    client = desk.client(phone=PHONE)
    desk.send(client)
    desk.fault("/conversations/", **fault)

    error = refusal(desk, client)
    assert type(error) is kind
    assert PHONE not in str(error)
    assert "5512345678" not in str(error)
    if isinstance(error, Retry) and fault["status"] == 429:
        assert error.after is not None
        assert 0 < error.after < 64
    if isinstance(error, Permanent):
        assert error.reason == "rejected"


@on_sqlite
def test_a_slow_server_leaves_the_outcome_open(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "outbound", partial(outbound, timeout=(1, 0.2)))
    client = desk.client(phone=PHONE)
    desk.send(client)
    desk.fault(MESSAGES, delay=0.5)

    assert isinstance(refusal(desk, client), Ambiguous)
    deadline = time.monotonic() + 10
    while len(desk.said()) < 2 and time.monotonic() < deadline:  # it goes through all the same, and only here
        time.sleep(0.02)
    assert len(desk.said()) == 2


@on_sqlite
@pytest.mark.parametrize("path", ["/contacts$", "/conversations$"])
@pytest.mark.parametrize("fault", [{"status": 500, "accept_then_fail": True}, {"accept_then_fail": True}])
def test_nothing_is_made_twice_when_its_outcome_is_unknown(desk: Desk, path: str, fault: dict[str, Any]) -> None:
    client = desk.client(phone=PHONE)
    desk.fault(path, method="POST", **fault)

    assert isinstance(refusal(desk, client), Retry)
    desk.send(client)
    assert len(desk.contacts()) == 1
    (conversation,) = desk.chatwoot.ok("GET", "/conversations")["data"]["payload"]
    assert [one["conversation"] for one in desk.said()] == [conversation["id"]]


def book(desk: Desk) -> int:
    """Book through the core and return the notification's id."""
    with work(desk.tenant) as session:
        branch_id = session.scalars(select(Branch.id)).first()
        assert branch_id is not None
        start = (utcnow() + timedelta(days=3)).replace(hour=17, minute=0, second=0, microsecond=0)
        appointments.book(
            session,
            client_id=make_client(session, phone=PHONE).id,
            service_id=make_service(session).id,
            professional_id=make_professional(session).id,
            branch_id=branch_id,
            start=start,
        )
    first: Notification = desk.rows(Notification)[0]
    return first.id


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "accept_then_fail": True},
        {"status": 200, "accept_then_fail": True},
        {"accept_then_fail": True},
        {"status": 502},
        {"status": 429},
        {},
    ],
)
def test_a_booking_is_told_once_whatever_the_answer_was(
    app: Flask, switched_on: Desk, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "STILL_AT_WORK", timedelta(0))
    switched_on.fault(MESSAGES, method="POST", **fault)
    told = book(switched_on)
    for _ in range(3):
        run_due(app, within=timedelta(minutes=5))

    (sent,) = switched_on.said()
    notification = next(row for row in switched_on.rows(Notification) if row.id == told)
    assert (notification.status, notification.error) == ("SENT", None)
    assert f"chatwoot-{sent['id']}" in [row.provider_id for row in switched_on.rows(Delivery)]
    assert [row.message_id for row in switched_on.rows(ChatwootInteraction)] == [sent["id"]]


@on_sqlite
def test_an_earlier_message_is_found_and_noted(desk: Desk) -> None:
    message = desk.message(desk.client(phone=PHONE))
    desk.fault(MESSAGES, method="POST", accept_then_fail=True, status=500)
    with pytest.raises(Ambiguous):
        ChatwootChannel().send(message, {})
    assert desk.rows(ChatwootInteraction) == []

    found = ChatwootChannel().find_sent(message, {})
    assert found is not None
    assert found.message_id == f"chatwoot-{desk.said()[0]['id']}"
    assert len(desk.rows(ChatwootInteraction)) == 1
    assert isinstance(ChatwootChannel(), Askable)


@on_sqlite
def test_it_is_found_in_a_conversation_we_did_not_know_of(desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    message = desk.message(client)
    desk.fault(MESSAGES, method="POST", accept_then_fail=True, status=500)
    with pytest.raises(Ambiguous):
        ChatwootChannel().send(message, {})
    with work(desk.tenant) as session:
        session.execute(delete(ChatwootConversation))

    assert ChatwootChannel().find_sent(message, {}) is not None


@on_sqlite
def test_whether_it_arrived_is_not_believed_at_once(desk: Desk) -> None:
    message = desk.message(desk.client(phone=PHONE))
    with pytest.raises(Ambiguous):
        ChatwootChannel().find_sent(message, {})
    with work(desk.tenant) as session:
        session.execute(update(Delivery).values(started_at=utcnow() - timedelta(seconds=6)))

    assert ChatwootChannel().find_sent(message, {}) is None


@on_sqlite
@pytest.mark.parametrize("fault", [{"status": 401}, {"status": 429}, {"status": 500, "times": 2}])
def test_it_stays_unknown_while_nobody_can_be_asked(desk: Desk, fault: dict[str, Any]) -> None:
    message = desk.message(desk.client(phone=PHONE))
    desk.fault("/contacts/filter", **fault)

    with pytest.raises(Ambiguous):
        ChatwootChannel().find_sent(message, {})


# Several at once


def at_once(app: Flask, work_of: list[Callable[[], Any]]) -> list[Any]:
    """Run all in threads that start together; return results and exceptions in order."""
    start = threading.Barrier(len(work_of))
    results: list[Any] = [None] * len(work_of)

    def run(number: int, do: Callable[[], Any]) -> None:
        with app.app_context():
            start.wait()
            try:
                results[number] = do()
            except Exception as error:
                results[number] = error

    threads = [threading.Thread(target=run, args=(number, do)) for number, do in enumerate(work_of)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_workers_make_one_contact_and_one_conversation(app: Flask, desk: Desk) -> None:
    client = desk.client(phone=PHONE)
    desk.fault("/contacts/filter", delay=0.2)
    messages = [desk.message(client, f"Aviso {number}") for number in range(3)]

    def sender(message: Message) -> Callable[[], Receipt]:
        return lambda: ChatwootChannel().send(message, {})

    results = at_once(app, [sender(message) for message in messages])
    waiting = [message for message, result in zip(messages, results, strict=True) if isinstance(result, Retry)]
    assert [result for result in results if not isinstance(result, Receipt | Retry)] == []
    assert len(waiting) == 2
    for message in waiting:
        ChatwootChannel().send(message, {})

    assert len(desk.contacts()) == 1
    assert len({one["conversation"] for one in desk.said()}) == 1
    assert sorted(one["content"] for one in desk.said()) == ["Aviso 0", "Aviso 1", "Aviso 2"]
    assert desk.rows(ChatwootLock) == []


def test_a_lock_is_held_by_one_and_ends_with_its_time(app: Flask, tenant: int) -> None:
    with locks.exclusive(tenant, "a number"):
        with pytest.raises(locks.Busy), locks.exclusive(tenant, "a number"):
            pass
        with locks.exclusive(tenant, "another"):
            pass
        with work(tenant) as session:
            session.execute(update(ChatwootLock).values(until=utcnow() - timedelta(seconds=1)))
        with locks.exclusive(tenant, "a number"):
            pass
    with locks.exclusive(tenant, "a number"):
        pass


# Settings


@on_sqlite
@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"inbox_id": None}, "inbox_id"),
        ({"api_access_token": None}, "access_token"),
        ({"account_id": None}, "account_id"),
        ({"enable_notifications": False}, "switched off"),
        ({"api_access_token": "not a token"}, "token"),
        ({"base_url": "ftp://example.com"}, "address"),
    ],
)
def test_an_incomplete_connection_says_what_is_missing(desk: Desk, values: dict[str, Any], named: str) -> None:
    client = desk.client(phone=PHONE)
    with work(desk.tenant) as session:
        session.execute(update(ChatwootConfig).values(values))

    error = refusal(desk, client)
    assert isinstance(error, Permanent)
    assert error.reason == "channel_off"
    assert named in str(error)


@on_sqlite
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"inbox_id": 99}, Permanent),
        ({"account_id": 7}, AuthFailed),
        ({"api_access_token": "wrong"}, AuthFailed),
        ({"base_url": "http://127.0.0.1:9"}, Retry),
        ({"base_url": "http://10.1.2.3"}, Retry),
    ],
)
def test_a_wrong_connection_is_told_apart(desk: Desk, values: dict[str, Any], kind: type[Exception]) -> None:
    client = desk.client(phone=PHONE)
    with work(desk.tenant) as session:
        session.execute(update(ChatwootConfig).values(values))

    assert type(refusal(desk, client)) is kind


def test_the_first_number_is_the_address_else_the_email() -> None:
    def reached(phones: tuple[str, ...], email: str | None) -> str | None:
        return ChatwootChannel().address_of(Recipient(1, "Ana", "Ana", email, phones, "es"))

    assert reached((E164, "+12015550123"), "ana@example.com") == E164
    assert reached((), "ana@example.com") == "ana@example.com"
    assert reached((), None) is None


@on_sqlite
@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({}, None, ""),
        ({"api_token": "sandbox-agent-token"}, "api_token", "administrador"),
        ({"api_token": "wrong"}, "api_token", "no acepta"),
        ({"api_token": "sandbox-bot-token"}, "api_token", "no acepta"),
        ({"api_token": "not a token"}, "api_token", "revísalo"),
        ({"api_token": None}, "api_token", "Falta"),
        ({"account_id": 2}, "account_id", "no pertenece a la cuenta 2"),
        ({"account_id": None}, "account_id", "Falta"),
        ({"inbox_id": 99}, "inbox_id", "1 WhatsApp"),
        ({"inbox_id": None}, "inbox_id", "Falta"),
        ({"api_url": "http://127.0.0.1:9"}, "api_url", "no responde un Chatwoot"),
        ({"api_url": "http://10.1.2.3"}, "api_url", "CITAPLANNER_ALLOWED_PRIVATE_HOSTS"),
    ],
)
def test_settings_are_tried_for_real(
    app: Flask, chatwoot: Any, values: dict[str, Any], field: str | None, words: str
) -> None:
    given = {"api_url": chatwoot.url, "api_token": "sandbox-admin-token", "account_id": 1, "inbox_id": 2, **values}
    found = ChatwootChannel().check(given)

    assert list(found) == ([] if field is None else [field])
    assert words in "".join(found.values())
    assert "sandbox-" not in "".join(found.values())


@on_sqlite
def test_a_stored_connection_is_tried_too(app: Flask, switched_on: Desk) -> None:
    assert lifecycle.check("chatwoot", switched_on.tenant) == {}
    with work(switched_on.tenant) as session:
        session.execute(update(ChatwootConfig).values(inbox_id=99))
    assert list(lifecycle.check("chatwoot", switched_on.tenant)) == ["inbox_id"]
