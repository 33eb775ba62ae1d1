"""The control endpoints: the customer writes, the record, faults, reset."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from .conftest import ADMIN, API, EMAIL, SMS, WHATSAPP, WIDGET, Chatwoot, Receiver


def link_of(chatwoot: Chatwoot, came: Any) -> tuple[str, str | None]:
    contact = chatwoot.ok("GET", f"/contacts/{came['contact_id']}")["payload"]
    return contact["contact_inboxes"][0]["source_id"], contact["phone_number"]


@pytest.mark.parametrize(
    ("fields", "source_id", "phone"),
    [
        ({"inbox_id": WHATSAPP, "phone": "5215512345678"}, "5215512345678", "+5215512345678"),
        ({"inbox_id": WHATSAPP, "phone": "+52 1 55 1234-5678"}, "5215512345678", "+5215512345678"),
        ({"inbox_id": WHATSAPP, "source_id": "5215512345678"}, "5215512345678", "+5215512345678"),
        ({"inbox_id": WHATSAPP, "source_id": "MX.abc123"}, "MX.abc123", None),
        ({"inbox_id": SMS, "phone": "12015550123"}, "+12015550123", "+12015550123"),
        ({"inbox_id": EMAIL, "source_id": "eva@example.com"}, "eva@example.com", None),
        ({"inbox_id": WIDGET, "source_id": "browser-1"}, "browser-1", None),
        ({"inbox_id": WIDGET, "source_id": "browser-1", "phone": "5512345678"}, "browser-1", "+5512345678"),
        ({"inbox_id": API, "source_id": "b-1", "phone": "+525512345678"}, "b-1", "+525512345678"),
    ],
)
def test_incoming_acts_like_the_channel(chatwoot: Chatwoot, fields: Any, source_id: str, phone: str | None) -> None:
    came = chatwoot.incoming(**fields, name="Eva", text="Hola")

    assert link_of(chatwoot, came) == (source_id, phone)
    assert came["source_id"] == source_id
    again = chatwoot.incoming(**fields, text="¿Hola?")
    assert again["contact_id"] == came["contact_id"]
    assert again["conversation_id"] == came["conversation_id"]
    assert again["message_id"] > came["message_id"]


def test_a_phone_alone_stays_one_customer_where_addresses_are_made_up(chatwoot: Chatwoot) -> None:
    first = chatwoot.incoming(inbox_id=WIDGET, phone="2015550123", text="hi")
    second = chatwoot.incoming(inbox_id=WIDGET, phone="201-555-0123", text="hi again")

    assert first["conversation_id"] == second["conversation_id"]


@pytest.mark.parametrize(
    ("entered", "writes", "same"),
    [
        ("5511987654321", "551187654321", True),
        ("541123456789", "5491123456789", True),
        ("525512345678", "5215512345678", False),
    ],
)
def test_whatsapp_finds_normalised_rows_for_brazil_and_argentina_only(
    chatwoot: Chatwoot, entered: str, writes: str, same: bool
) -> None:
    contact = chatwoot.contact(phone_number=f"+{entered}", inbox_id=WHATSAPP)

    came = chatwoot.incoming(inbox_id=WHATSAPP, phone=writes, text="Hola")
    assert (came["contact_id"] == contact["id"]) == same


def test_a_resolved_conversation_is_followed_by_a_new_one(chatwoot: Chatwoot) -> None:
    first = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")
    widget = chatwoot.incoming(inbox_id=WIDGET, source_id="browser-1", text="Hola")
    for came in (first, widget):
        path = f"/conversations/{came['conversation_id']}/toggle_status"
        chatwoot.ok("POST", path, {"status": "resolved"})

    second = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Otra")
    assert second["conversation_id"] not in (first["conversation_id"], widget["conversation_id"])
    same = chatwoot.incoming(inbox_id=WIDGET, source_id="browser-1", text="Otra")
    assert same["conversation_id"] == widget["conversation_id"]
    assert chatwoot.ok("GET", f"/conversations/{same['conversation_id']}")["status"] == "open"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"inbox_id": 99, "phone": "5512345678"},
        {"inbox_id": WHATSAPP, "text": "x"},
        {"inbox_id": EMAIL, "phone": "5512345678"},
        {"inbox_id": SMS, "source_id": "nonsense"},
        {"inbox_id": WHATSAPP, "phone": "5512345678", "color": "red"},
    ],
)
def test_nonsense_is_refused_in_words(chatwoot: Chatwoot, fields: Any) -> None:
    answer = chatwoot.raw("POST", "/sandbox/incoming", fields)

    assert answer.status_code == 422
    assert answer.json()["error"]
    assert chatwoot.control("GET", "messages") == []


def test_the_record_of_messages(chatwoot: Chatwoot) -> None:
    came = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", name="Eva", text="Hola")
    chatwoot.say(came["conversation_id"], "Buenas", fields={"content_attributes": {"x": 1}})
    chatwoot.say(came["conversation_id"], "Nota", fields={"private": True})
    chatwoot.settle()

    first, second, note = chatwoot.control("GET", "messages")
    assert (first["direction"], first["content"], first["phone"]) == ("incoming", "Hola", "+5215512345678")
    assert (first["conversation"], first["contact"], first["inbox"]) == (
        came["conversation_id"],
        came["contact_id"],
        WHATSAPP,
    )
    assert (second["direction"], second["status"], second["content_attributes"]) == ("outgoing", "read", {"x": 1})
    assert (note["private"], note["status"]) == (True, "sent")
    assert chatwoot.control("GET", f"messages?after={second['id']}") == [note]
    [contact] = chatwoot.control("GET", "contacts")
    assert (contact["id"], contact["account_id"], contact["name"]) == (came["contact_id"], 1, "Eva")


def test_the_record_of_requests_never_shows_a_token(chatwoot: Chatwoot) -> None:
    chatwoot.call("GET", "/contacts/search?q=Eva")
    chatwoot.call("POST", "/contacts", {"name": "Eva", "custom_attributes": {"secret": "s", "client_id": 7}})
    chatwoot.raw("GET", "/api/v1/profile")
    chatwoot.raw("GET", "/health")

    search, create, profile = chatwoot.control("GET", "requests")
    assert (search["method"], search["path"], search["query"], search["status"], search["token"]) == (
        "GET",
        "/api/v1/accounts/1/contacts/search",
        {"q": "Eva"},
        200,
        "administrator",
    )
    assert create["body"] == {"name": "Eva", "custom_attributes": {"secret": "…", "client_id": 7}}
    assert (profile["status"], profile["token"]) == (401, None)
    assert ADMIN not in chatwoot.raw("GET", "/sandbox/requests").text
    assert chatwoot.control("GET", f"requests?after={create['id']}") == [profile]


def test_a_fault_answers_instead_of_working(chatwoot: Chatwoot) -> None:
    chatwoot.control("POST", "faults", {"path": "/api/v1/accounts/1/contacts", "status": 503, "times": 2})

    for _ in range(2):
        answer = chatwoot.call("POST", "/contacts", {"name": "Eva"})
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("text/html")
    assert chatwoot.ok("GET", "/contacts/search?q=Eva")["payload"] == []
    assert chatwoot.contact(name="Eva")
    assert chatwoot.control("GET", "faults") == []


def test_a_fault_may_work_first(chatwoot: Chatwoot) -> None:
    talk = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")["conversation_id"]
    fault = {"path": r"/conversations/\d+/messages$", "method": "POST", "times": 1, "accept_then_fail": True}
    path = f"/conversations/{talk}/messages"

    chatwoot.control("POST", "faults", {**fault, "status": 502})
    assert chatwoot.call("POST", path, {"content": "uno"}).status_code == 502
    chatwoot.control("POST", "faults", fault)
    with pytest.raises(requests.ConnectionError):
        chatwoot.call("POST", path, {"content": "dos"})
    chatwoot.control("POST", "faults", {**fault, "status": 504, "delay": 0.3})
    headers = {"Api-Access-Token": ADMIN}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{chatwoot.url}/api/v1/accounts/1{path}", json={"content": "tres"}, headers=headers, timeout=0.1)
    assert [m["content"] for m in chatwoot.messages(talk)] == ["Hola", "uno", "dos", "tres"]
    dropped = [r for r in chatwoot.control("GET", "requests") if r["body"] == {"content": "dos"}]
    assert [r["status"] for r in dropped] == [None]


def test_dropped_and_delayed(chatwoot: Chatwoot) -> None:
    chatwoot.control("POST", "faults", {"path": "/api/v1/accounts/1/agents", "times": 1})
    with pytest.raises(requests.ConnectionError):
        chatwoot.call("GET", "/agents")
    chatwoot.control("POST", "faults", {"path": "/api/v1/accounts/1/agents", "delay": 0.15, "times": 1})
    began = time.monotonic()
    assert chatwoot.call("GET", "/agents").status_code == 200
    assert time.monotonic() - began >= 0.15
    chatwoot.control("POST", "faults", {"path": "agents", "status": 429, "times": 1})
    assert chatwoot.call("GET", "/agents").text == "Retry later\n"
    chatwoot.control("POST", "faults", {"path": "agents", "status": 401, "times": 5})
    assert chatwoot.control("DELETE", "faults") == []
    assert chatwoot.call("GET", "/agents").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"path": "("},
        {"path": "x", "times": 0},
        {"path": "x", "status": 99},
        {"path": "x", "delay": -1},
        {"path": "x", "odd": 1},
    ],
)
def test_bad_faults_are_refused(chatwoot: Chatwoot, fields: Any) -> None:
    assert chatwoot.raw("POST", "/sandbox/faults", fields).status_code == 422


def test_a_person_at_the_desk(chatwoot: Chatwoot) -> None:
    talk = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")["conversation_id"]

    for action in ("reply", "note"):
        chatwoot.control("POST", "agent", {"conversation_id": talk, "action": action, "text": action})
    assert chatwoot.control("POST", "agent", {"conversation_id": talk, "action": "resolved"}) == {"status": "resolved"}
    said = [(m["content"], m["private"]) for m in chatwoot.control("GET", "messages") if m["sender_type"] == "User"]
    assert said == [("reply", False), ("note", True)]
    assert chatwoot.control("GET", "requests") == []
    assert chatwoot.raw("POST", "/sandbox/agent", {"conversation_id": 99}).status_code == 422
    assert chatwoot.raw("POST", "/sandbox/agent", {"conversation_id": talk, "action": "dance"}).status_code == 422


def test_a_report_of_the_provider(chatwoot: Chatwoot) -> None:
    talk = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")["conversation_id"]
    sent = chatwoot.say(talk)["id"]
    chatwoot.settle()

    def report(**fields: Any) -> Any:
        return chatwoot.control("POST", "report", {"message_id": sent, **fields})["status"]

    assert report(status="delivered") == "read"
    assert report(status="failed", error="131026: Message undeliverable") == "failed"
    assert chatwoot.messages(talk)[-1]["content_attributes"] == {"external_error": "131026: Message undeliverable"}
    assert chatwoot.raw("POST", "/sandbox/report", {"message_id": 1, "status": "read"}).status_code == 422


def test_reset_begins_again(chatwoot: Chatwoot, webhook: Any, receiver: Receiver) -> None:
    chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")
    chatwoot.control("POST", "faults", {"path": "/api", "status": 500, "times": 9})
    chatwoot.control("POST", "webhook_mode", {"generation": "4.7.0"})

    assert chatwoot.control("POST", "reset") == {"reset": True}
    for name in ("messages", "contacts", "requests", "deliveries", "faults"):
        assert chatwoot.control("GET", name) == []
    assert chatwoot.raw("GET", "/api").json()["version"] == "4.15.1"
    assert chatwoot.ok("GET", "/webhooks")["payload"]["webhooks"] == []
    assert chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")["conversation_id"] == 1


def test_other_sites_may_not_steer_it(chatwoot: Chatwoot) -> None:
    elsewhere = {"Origin": "https://evil.example"}

    assert chatwoot.raw("POST", "/sandbox/reset", headers=elsewhere).status_code == 403
    own = {"Origin": chatwoot.url}
    assert chatwoot.raw("POST", "/sandbox/reset", headers=own).status_code == 200
    assert chatwoot.raw("POST", "/sandbox/webhook_mode", {"generation": "new"}).status_code == 422
    assert chatwoot.raw("POST", "/sandbox/clock", {"hours": "x"}).status_code == 422


def test_connections_stay_open(chatwoot: Chatwoot) -> None:
    with requests.Session() as session:
        session.trust_env = False
        answers = [session.post(f"{chatwoot.url}/api/v1/profile", json={"a": 1}) for _ in range(3)]
        answers.append(session.get(f"{chatwoot.url}/health"))
        assert [a.status_code for a in answers] == [404, 404, 404, 200]
        pools = session.get_adapter(chatwoot.url).poolmanager.pools  # type: ignore[attr-defined]  # an HTTPAdapter has it
        [pool] = [pools[key] for key in pools.keys()]  # noqa: SIM118  # it cannot be iterated itself
        assert pool.num_connections == 1
