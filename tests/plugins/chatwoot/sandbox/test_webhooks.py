"""Delivery: signature, one attempt, who hears of what, and what a failure does."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug.wrappers import Request, Response

from plugins.chatwoot.sandbox.webhooks import sign

from .conftest import AGENT, API, OTHERS_WHATSAPP, WHATSAPP, Chatwoot, Receiver, Start


def test_signature_vector() -> None:
    body = (
        '{"account":{"id":1,"name":"Clínica Acme"},"content":"Olá \\u003cb\\u003e","event":"message_created","id":9001}'
    ).encode()

    assert len(body) == 110
    assert (
        sign("whsec_demo_0123456789abcd", "1781712000", body)
        == "sha256=206590b2b328fbebbf4a70af71ca3dba0c7328b8aaea6c14eb185910ad04d68a"
    )


def test_headers(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")
    chatwoot.settle()

    deliveries = set()
    for headers, body in receiver.seen:
        stamp = headers["X-Chatwoot-Timestamp"]
        mac = hmac.new(webhook["secret"].encode(), stamp.encode() + b"." + body, hashlib.sha256)
        assert headers["X-Chatwoot-Signature"] == f"sha256={mac.hexdigest()}"
        assert abs(int(stamp) - time.time()) < 10
        assert (headers["Content-Type"], headers["Accept"]) == ("application/json", "application/json")
        assert headers["User-Agent"] == "Ruby"
        deliveries.add(uuid.UUID(headers["X-Chatwoot-Delivery"]))
    assert len(deliveries) == len(receiver.seen) == 4


@pytest.mark.parametrize("status", [500, 503, 429, 404, 302])
def test_an_account_webhook_is_tried_once_and_nothing_happens(
    chatwoot: Chatwoot, webhook: Any, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status] * 4
    came = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")
    chatwoot.settle()

    assert len(receiver.seen) == 4
    assert chatwoot.messages(came["conversation_id"])[0]["status"] == "sent"
    record = chatwoot.control("GET", "deliveries")
    assert [(d["status"], d["attempts"]) for d in record] == [(status, 1)] * 4


def test_a_slow_receiver_loses_the_event(start: Start, httpserver: HTTPServer) -> None:
    def sleeps(request: Request) -> Response:
        time.sleep(0.3)
        return Response("late")

    httpserver.expect_request("/slow").respond_with_handler(sleeps)
    chatwoot = start(webhook_timeout=0.1)
    fields = {"url": httpserver.url_for("/slow"), "subscriptions": ["contact_created"]}
    chatwoot.ok("POST", "/webhooks", fields)
    chatwoot.contact(name="Eva")
    chatwoot.settle()

    [delivery] = chatwoot.control("GET", "deliveries")
    assert (delivery["status"], delivery["error"]) == (None, "Timed out reading data from server")


def test_only_what_was_subscribed_and_only_the_own_account(chatwoot: Chatwoot, receiver: Receiver) -> None:
    chatwoot.ok("POST", "/webhooks", {"url": receiver.url, "subscriptions": ["message_created"]})
    chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")
    chatwoot.incoming(inbox_id=OTHERS_WHATSAPP, phone="5215512345678", text="Hola")
    chatwoot.settle()

    assert [(b["event"], b["account"]["id"]) for b in receiver.bodies] == [("message_created", 1)]


def test_redirects_repeat_the_post(chatwoot: Chatwoot, receiver: Receiver, httpserver: HTTPServer) -> None:
    moved = Response(status=301, headers={"Location": "/hook"})
    httpserver.expect_request("/old").respond_with_response(moved)
    fields = {"url": httpserver.url_for("/old"), "subscriptions": ["contact_created"]}
    chatwoot.ok("POST", "/webhooks", fields)
    chatwoot.contact(name="Eva")
    chatwoot.settle()

    assert receiver.events == ["contact_created"]


def test_an_api_inbox_hears_its_conversations_and_a_failure_fails_the_message(
    chatwoot: Chatwoot, receiver: Receiver
) -> None:
    made = chatwoot.ok("POST", "/inboxes", {"name": "Puente", "channel": {"type": "api", "webhook_url": receiver.url}})
    receiver.answers = [200, 500]
    came = chatwoot.incoming(inbox_id=made["id"], source_id="b-1", text="Hola")
    chatwoot.settle()

    assert receiver.events == ["conversation_created", "message_created", "message_updated"]
    headers, body = receiver.seen[1]
    assert headers["X-Chatwoot-Signature"] == sign(made["secret"], headers["X-Chatwoot-Timestamp"], body)
    failed = chatwoot.messages(came["conversation_id"])[0]
    assert (failed["message_type"], failed["status"]) == (0, "failed")
    assert failed["content_attributes"] == {"external_error": "500 Internal Server Error"}


def test_a_failing_api_inbox_webhook_does_not_loop(chatwoot: Chatwoot, receiver: Receiver) -> None:
    fields = {"name": "Puente", "channel": {"type": "api", "webhook_url": receiver.url}}
    made = chatwoot.ok("POST", "/inboxes", fields)
    receiver.answers = [500] * 20
    chatwoot.incoming(inbox_id=made["id"], source_id="b-1", text="Hola")
    chatwoot.settle()

    assert receiver.events.count("message_updated") == 1


@pytest.mark.parametrize(
    ("answers", "attempts", "status"), [([429, 500], 3, "pending"), ([503], 1, "open"), ([500] * 3, 3, "open")]
)
def test_a_bot_is_retried_on_429_and_500_and_its_failure_opens(
    chatwoot: Chatwoot, receiver: Receiver, answers: list[int], attempts: int, status: str
) -> None:
    bot = chatwoot.ok("PATCH", "/agent_bots/1", {"outgoing_url": receiver.url})
    chatwoot.ok("POST", f"/inboxes/{API}/set_agent_bot", {"agent_bot": 1})
    receiver.answers = list(answers)
    came = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")
    chatwoot.settle()

    tries = receiver.seen[:attempts]
    assert len({headers["X-Chatwoot-Delivery"] for headers, _ in tries}) == 1
    assert tries[-1][0]["X-Chatwoot-Signature"] == sign(
        bot["secret"], tries[-1][0]["X-Chatwoot-Timestamp"], tries[-1][1]
    )
    talk = chatwoot.ok("GET", f"/conversations/{came['conversation_id']}")
    assert talk["status"] == status
    if status == "open":
        assert talk["messages"][0]["content"].startswith("Conversation was marked open by system")
    else:
        assert len(receiver.seen) == attempts


def test_a_bot_does_not_hear_of_contacts_but_of_opening(chatwoot: Chatwoot, receiver: Receiver) -> None:
    chatwoot.ok("PATCH", "/agent_bots/1", {"outgoing_url": receiver.url})
    chatwoot.ok("POST", f"/inboxes/{API}/set_agent_bot", {"agent_bot": 1})
    came = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")
    chatwoot.ok("POST", f"/conversations/{came['conversation_id']}/toggle_status", {"status": "open"})
    chatwoot.settle()

    assert receiver.events == [
        "message_created",
        "conversation_opened",
        "conversation_status_changed",
        "conversation_updated",
    ]


def test_the_same_address_as_account_and_inbox_webhook_hears_twice(
    chatwoot: Chatwoot, webhook: Any, receiver: Receiver
) -> None:
    chatwoot.ok("PATCH", f"/inboxes/{API}", {"channel": {"webhook_url": receiver.url}})
    chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")
    chatwoot.settle()

    twice = [h for (h, _), b in zip(receiver.seen, receiver.bodies, strict=True) if b["event"] == "message_created"]
    assert len({h["X-Chatwoot-Delivery"] for h in twice}) == 2


def test_events_of_an_agents_day(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    def told(action: Any) -> list[str]:
        chatwoot.settle()
        receiver.seen.clear()
        action()
        chatwoot.settle()
        return receiver.events

    talk = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")["conversation_id"]
    path = f"/conversations/{talk}"

    def again() -> None:
        chatwoot.incoming(inbox_id=API, source_id="b-1", text="¿Hola?")

    assert told(again) == ["message_created", "contact_updated"]
    assert told(lambda: chatwoot.say(talk, token=AGENT)) == ["message_created", "conversation_updated"]
    assert told(lambda: chatwoot.say(talk, token=AGENT)) == ["message_created"]
    assert told(again) == ["message_created", "conversation_updated", "contact_updated"]
    assert told(lambda: chatwoot.say(talk, fields={"private": True})) == ["message_created"]
    assert told(lambda: chatwoot.ok("POST", f"{path}/labels", {"labels": ["x"]})) == ["conversation_updated"]
    assert told(lambda: chatwoot.ok("POST", f"{path}/labels", {"labels": ["x"]})) == []
    assert told(lambda: chatwoot.ok("POST", f"{path}/update_last_seen")) == []
    snooze = {"status": "snoozed"}
    assert told(lambda: chatwoot.ok("POST", f"{path}/toggle_status", snooze)) == [
        "conversation_status_changed",
        "conversation_updated",
    ]
    assert told(again) == [
        "conversation_status_changed",
        "conversation_updated",
        "message_created",
        "contact_updated",
    ]
    assert chatwoot.ok("GET", path)["status"] == "open"
    contact = chatwoot.ok("GET", path)["meta"]["sender"]["id"]
    assert told(lambda: chatwoot.ok("PUT", f"/contacts/{contact}", {"name": "Eva"})) == ["contact_updated"]
    assert told(lambda: chatwoot.ok("PUT", f"/contacts/{contact}", {"name": "Eva"})) == []
    whatsapp = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")["conversation_id"]
    assert told(lambda: chatwoot.say(whatsapp, token=AGENT)) == [
        "message_created",
        "conversation_updated",
        "message_updated",
        "message_updated",
    ]


def test_duplicates_and_disorder_on_request(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    chatwoot.control("POST", "webhook_mode", {"duplicate": True, "shuffle": True})
    chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")
    chatwoot.settle()

    assert sorted(receiver.events) == sorted(
        2 * ["contact_created", "conversation_created", "message_created", "contact_updated"]
    )
    assert receiver.events.index("message_created") < receiver.events.index("conversation_created")


def test_a_delivery_again_byte_for_byte(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")
    chatwoot.settle()
    record = chatwoot.control("GET", "deliveries")
    first = next(d for d in record if d["event"] == "message_created")
    [(headers, body)] = [s for s in receiver.seen if s[0]["X-Chatwoot-Delivery"] == first["delivery_id"]]

    again = chatwoot.control("POST", "redeliver", {"delivery_id": first["delivery_id"]})
    assert (again["status"], again["number"]) == (200, record[-1]["number"] + 1)
    repeated_headers, repeated = receiver.seen[-1]
    assert repeated == body
    assert repeated_headers["X-Chatwoot-Delivery"] == headers["X-Chatwoot-Delivery"]
    stamp = repeated_headers["X-Chatwoot-Timestamp"]
    assert repeated_headers["X-Chatwoot-Signature"] == sign(webhook["secret"], stamp, body)


def test_the_record_hides_the_key_in_the_address(chatwoot: Chatwoot) -> None:
    fields = {"url": "http://user:pass@127.0.0.1:1/api/webhooks/chatwoot/abcdefghijklmnopqrstuvwx?k=secret"}
    chatwoot.ok("POST", "/webhooks", fields)
    chatwoot.contact(name="Eva")
    chatwoot.settle()

    [delivery] = chatwoot.control("GET", "deliveries")
    assert delivery["url"] == "http://127.0.0.1:1/api/webhooks/chatwoot/…"
    assert delivery["error"] == "Failed to open TCP connection"
