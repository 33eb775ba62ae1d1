"""Messages: creation, paging, statuses, the 24-hour window."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import AGENT, API, BOT, SMS, WHATSAPP, Chatwoot, Start

TEMPLATE = {
    "name": "appointment_reminder",
    "category": "UTILITY",
    "language": "es_mx",
    "processed_params": {"body": {"1": "Eva", "2": "mañana 10:00"}},
}


def wrote(chatwoot: Chatwoot, inbox: int = WHATSAPP) -> int:
    """A conversation that the customer began just now."""
    number: int = chatwoot.incoming(inbox_id=inbox, phone="5215512345678", name="Eva López", text="Hola")[
        "conversation_id"
    ]
    return number


def last(chatwoot: Chatwoot, talk: int) -> Any:
    chatwoot.settle()
    return chatwoot.messages(talk)[-1]


def test_created_as_sent_then_delivered_and_read(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot)

    made = chatwoot.say(talk, "Su cita", fields={"echo_id": "e-1"}, token=AGENT)
    assert set(made) == {
        "id",
        "content",
        "inbox_id",
        "conversation_id",
        "message_type",
        "content_type",
        "status",
        "content_attributes",
        "created_at",
        "private",
        "source_id",
        "sender",
        "echo_id",
    }
    assert (made["status"], made["message_type"], made["echo_id"]) == ("sent", 1, "e-1")
    assert made["sender"]["type"] == "user"
    assert isinstance(made["created_at"], int)
    done = last(chatwoot, talk)
    assert (done["status"], "echo_id" in done) == ("read", False)
    assert done["source_id"].startswith("wamid.")


def test_outside_the_window_it_is_accepted_and_fails_later(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot)
    assert chatwoot.ok("GET", f"/conversations/{talk}")["can_reply"] is True

    chatwoot.control("POST", "clock", {"hours": 25})
    assert chatwoot.ok("GET", f"/conversations/{talk}")["can_reply"] is False
    assert chatwoot.say(talk)["status"] == "sent"
    failed = last(chatwoot, talk)
    assert failed["status"] == "failed"
    assert failed["content_attributes"] == {"external_error": "Template not found or invalid template name"}

    chatwoot.say(talk, "Hola Eva", fields={"template_params": TEMPLATE})
    assert last(chatwoot, talk)["status"] == "read"
    wrote(chatwoot)
    chatwoot.say(talk)
    assert last(chatwoot, talk)["status"] == "read"


def test_nobody_who_never_wrote_can_be_written_to_freely(chatwoot: Chatwoot) -> None:
    contact = chatwoot.contact(name="Eva", phone_number="+525512345678")
    talk = chatwoot.conversation(inbox_id=WHATSAPP, contact_id=contact["id"], message={"content": "Hola"})

    assert talk["can_reply"] is False
    assert last(chatwoot, talk["id"])["status"] == "failed"


@pytest.mark.parametrize(
    "wrong",
    [{"name": "unknown"}, {"language": "pt_BR"}, {"processed_params": {"1": "Eva"}}],
)
def test_a_wrong_template_is_refused_by_meta(chatwoot: Chatwoot, wrong: Any) -> None:
    talk = wrote(chatwoot)

    chatwoot.say(talk, fields={"template_params": {**TEMPLATE, **wrong}})
    failed = last(chatwoot, talk)
    assert failed["status"] == "failed"
    assert "132000" in failed["content_attributes"]["external_error"]


def test_the_flat_form_of_parameters_and_a_template_without_name(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot)

    chatwoot.say(talk, fields={"template_params": {**TEMPLATE, "processed_params": {"1": "Eva", "2": "x"}}})
    assert last(chatwoot, talk)["status"] == "read"
    path = f"/conversations/{talk}/messages"
    assert chatwoot.call("POST", path, {"template_params": {"language": "es_MX"}}).status_code == 422


def test_channels_without_window(chatwoot: Chatwoot) -> None:
    for inbox, status in ((SMS, "delivered"), (API, "sent")):
        talk = wrote(chatwoot, inbox)
        chatwoot.control("POST", "clock", {"hours": 25})
        assert chatwoot.ok("GET", f"/conversations/{talk}")["can_reply"] is True
        chatwoot.say(talk)
        assert last(chatwoot, talk)["status"] == status


def test_an_api_inbox_may_have_a_window(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot, API)
    setting = {"channel": {"additional_attributes": {"agent_reply_time_window": 12}}}
    chatwoot.ok("PATCH", f"/inboxes/{API}", setting)

    assert chatwoot.ok("GET", f"/conversations/{talk}")["can_reply"] is True
    chatwoot.control("POST", "clock", {"hours": 13})
    assert chatwoot.ok("GET", f"/conversations/{talk}")["can_reply"] is False


def test_incoming_only_in_api_inboxes(chatwoot: Chatwoot) -> None:
    path = f"/conversations/{wrote(chatwoot)}/messages"

    refused = chatwoot.call("POST", path, {"content": "x", "message_type": "incoming"})
    assert (refused.status_code, refused.json()) == (
        422,
        {"error": "Incoming messages are only allowed in Api inboxes"},
    )
    odd = chatwoot.call("POST", path, {"content": "x", "message_type": "letter"})
    assert (odd.status_code, odd.json()) == (422, {"error": "'letter' is not a valid message_type"})
    talk = chatwoot.incoming(inbox_id=API, source_id="b-1", text="Hola")["conversation_id"]
    came = chatwoot.say(talk, "Soy yo", fields={"message_type": "incoming"})
    assert (came["message_type"], came["sender"]["type"]) == (0, "contact")


def test_a_given_source_id_suppresses_delivery(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot)

    chatwoot.say(talk, fields={"source_id": "elsewhere-1"})
    done = last(chatwoot, talk)
    assert (done["status"], done["source_id"]) == ("sent", "elsewhere-1")


def test_notes_are_not_delivered(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot)

    chatwoot.say(talk, fields={"private": True}, token=BOT)
    note = last(chatwoot, talk)
    assert (note["private"], note["status"], note["sender"]["type"]) == (True, "sent", "agent_bot")


def test_liquid_is_filled_in(chatwoot: Chatwoot) -> None:
    said = chatwoot.say(wrote(chatwoot), "Hola {{contact.name}}, {{ contact.first_name }}{{nada.de_eso}}.")

    assert said["content"] == "Hola Eva López, Eva."


def test_pages_by_id(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot, API)
    made = [chatwoot.say(talk, f"m{number}", fields={"private": number == 3})["id"] for number in range(30)]
    path = f"/conversations/{talk}/messages"

    def page(query: str) -> list[int]:
        return [m["id"] for m in chatwoot.ok("GET", f"{path}?{query}")["payload"]]

    assert page("") == made[-20:]
    from_the_customer = made[0] - 1
    assert page(f"before={made[-20]}") == [from_the_customer, *made[:10]]
    assert page(f"after={made[4]}") == made[5:]
    assert page(f"after={made[4]}&before={made[8]}") == made[5:8]
    assert made[3] not in page(f"after={made[0]}&filter_internal_messages=1")
    meta = chatwoot.ok("GET", path)["meta"]
    assert set(meta) == {
        "labels",
        "additional_attributes",
        "contact",
        "agent_last_seen_at",
        "assignee_last_seen_at",
    }


def test_status_updates_belong_to_api_inboxes(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot, API)
    path = f"/conversations/{talk}/messages/{chatwoot.say(talk)['id']}"

    failed = chatwoot.ok("PATCH", path, {"status": "failed", "external_error": "sin señal"})
    assert failed["content_attributes"] == {"external_error": "sin señal"}
    read = chatwoot.ok("PATCH", path, {"status": "read"})
    assert (read["status"], read["content_attributes"]) == ("read", {"external_error": None})
    assert chatwoot.ok("PATCH", path, {"status": "delivered"})["status"] == "read"
    assert chatwoot.ok("PATCH", path, {"status": "seen"})["status"] == "read"
    whatsapp = wrote(chatwoot)
    refused = chatwoot.call("PATCH", f"/conversations/{whatsapp}/messages/{chatwoot.say(whatsapp)['id']}", {})
    assert (refused.status_code, refused.json()) == (
        403,
        {"error": "Message status update is only allowed for API inboxes"},
    )


def test_retry_and_deletion(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot)
    chatwoot.control("POST", "clock", {"hours": 25})
    chatwoot.say(talk)
    failed = last(chatwoot, talk)
    wrote(chatwoot)

    path = f"/conversations/{talk}/messages/{failed['id']}"
    again = chatwoot.ok("POST", f"{path}/retry")
    assert (again["status"], again["content_attributes"]) == ("sent", {})
    chatwoot.settle()
    assert next(m for m in chatwoot.messages(talk) if m["id"] == failed["id"])["status"] == "read"
    assert chatwoot.call("DELETE", path).content == b""
    gone = next(m for m in chatwoot.messages(talk) if m["id"] == failed["id"])
    assert (gone["content"], gone["content_attributes"]) == ("This message was deleted", {"deleted": True})


def test_too_long_and_too_many(chatwoot: Chatwoot) -> None:
    talk = wrote(chatwoot, API)
    path = f"/conversations/{talk}/messages"

    assert chatwoot.call("POST", path, {"content": "x" * 150_001}).status_code == 422
    answers = [chatwoot.call("POST", path, {"content": "x"}) for _ in range(200)]
    assert {a.status_code for a in answers[:-1]} == {200}
    assert answers[-1].json() == {"error": "Validation failed: Too many messages"}


def test_automatic_texts(start: Start) -> None:
    sunday_noon_in_mexico = 1_781_460_000.0  # 2026-06-14 18:00 UTC
    now = [sunday_noon_in_mexico]
    chatwoot = start(clock=lambda: now[0])
    setting = {
        "greeting_enabled": True,
        "greeting_message": "¡Hola!",
        "working_hours_enabled": True,
        "out_of_office_message": "Abrimos el lunes.",
    }
    chatwoot.ok("PATCH", f"/inboxes/{WHATSAPP}", setting)

    talk = wrote(chatwoot)
    wrote(chatwoot)
    assert [m["content"] for m in chatwoot.messages(talk) if m["message_type"] == 3] == ["Abrimos el lunes."]
    now[0] += 24 * 3600
    other = chatwoot.incoming(inbox_id=WHATSAPP, phone="525512345699", text="Hola")["conversation_id"]
    assert [m["content"] for m in chatwoot.messages(other) if m["message_type"] == 3] == ["¡Hola!"]
