"""WhatsApp's templates: mapped with what Meta allows, and sent where a client has not written for 24 hours."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update

from citaplanner_core.booking.models import Branch
from citaplanner_core.database import work
from citaplanner_core.hooks.types import Permanent
from citaplanner_core.notifications.models import Delivery, Notification
from plugins.chatwoot import template_commands
from plugins.chatwoot.api import MARKER
from plugins.chatwoot.channel import ChatwootChannel
from plugins.chatwoot.commands import chatwoot as command
from plugins.chatwoot.models import ChatwootConfig, ChatwootInteraction, ChatwootTemplate
from plugins.chatwoot.whatsapp import Said, TemplateRefused, check, fill, templates_in
from tests.plugins.chatwoot.conftest import Begin, Connect
from tests.plugins.chatwoot.sandbox.conftest import API, WHATSAPP
from tests.plugins.chatwoot.support import Desk

PHONE = "55 1234 5678"
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
REMINDER = ("--type", "APPOINTMENT_REMINDER", "--template", "appointment_reminder")
FILLED = ("--fill", "recipientFirstName", "--fill", "businessName")


def templates(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["templates", *arguments, "--tenant", "clinic"], standalone_mode=False)


def refused(*arguments: str) -> str:
    done = templates("map", *arguments)
    assert done.exception is not None
    return str(done.exception)


def why(desk: Desk, client: int, **values: Any) -> str:
    with pytest.raises(Permanent) as raised:
        ChatwootChannel().send(desk.message(client, **values), {})
    assert raised.value.reason == "window_closed"
    return str(raised.value)


def posted(desk: Desk) -> dict[str, Any]:
    """The last message as it was posted to Chatwoot."""
    calls = desk.chatwoot.control("GET", "requests")
    body: dict[str, Any] = [one["body"] for one in calls if re.search(r"POST .*/messages$", f"POST {one['path']}")][-1]
    return body


@on_sqlite
def test_what_cannot_stand_for_a_message_is_refused_with_the_cure(connect: Connect, tenant: int) -> None:
    desk = connect(WHATSAPP)
    listed = templates("list")
    assert "appointment_change es_MX PAUSED UTILITY, parameters: 1" in listed.output
    assert "cannot be used: its header is image" in listed.output

    cases = {
        ("appointment_cancellation", "clientName"): "is REJECTED: change it in Meta's",
        ("appointment_change", "clientName"): "is PAUSED: readers complained",
        ("offers", "clientName", "timeUntil"): "category MARKETING, and APPOINTMENT_REMINDER needs UTILITY",
        ("appointment_picture", "clientName"): "its header is image, which cannot be filled",
        ("appointment_reminder", "clientName"): "has 2 parameters (1, 2), and 1 variables are given",
        ("appointment_reminder", "clientName", "nonsense"): "there is no variable nonsense",
        ("nowhere",): "there are: appointment_reminder (es_MX), appointment_confirmation (es_MX)",
    }
    for (name, *fills), problem in cases.items():
        given = [word for variable in fills for word in ("--fill", variable)]
        assert problem in refused("--type", "APPOINTMENT_REMINDER", "--template", name, *given)
    assert "PROMOTION needs MARKETING" in refused("--type", "PROMOTION", *REMINDER[2:], *FILLED)
    assert desk.rows(ChatwootTemplate) == []

    assert templates("map", *REMINDER, *FILLED).return_value == 0
    assert templates("map", *REMINDER, "--fill", "clientName", "--fill", "timeUntil").return_value == 0
    (row,) = desk.rows(ChatwootTemplate)
    assert (row.template_language, row.category, row.parameters, row.flat) == (
        *("es_MX", "UTILITY"),
        *(["clientName", "timeUntil"], False),
    )
    shown = json.loads(templates("list", "--json").output)
    assert shown["templates"][0]["stands_for"] == ["APPOINTMENT_REMINDER es"]
    with work(tenant) as session:
        session.execute(update(ChatwootTemplate).values(name="gone"))
    assert templates("list").return_value == 1
    assert templates("unmap", *REMINDER[:2]).return_value == 0
    assert desk.rows(ChatwootTemplate) == []

    with work(tenant) as session:
        session.execute(update(ChatwootConfig).values(inbox_id=API))
    assert "is no WhatsApp inbox" in refused(*REMINDER, *FILLED)


def test_a_template_begins_a_conversation_and_goes_on_in_a_closed_one(connect: Connect, tenant: int) -> None:
    desk = connect(WHATSAPP)
    client = desk.client(phone=PHONE, first_name="Ana {{contact.email}}")
    assert "no WhatsApp template is mapped to APPOINTMENT_REMINDER in es" in why(desk, client)
    assert desk.contacts() == []
    templates("map", *REMINDER, *FILLED)

    message = desk.message(client)
    receipt = ChatwootChannel().send(message, {})
    first = desk.seen(int(str(receipt.message_id).removeprefix("chatwoot-")))
    body = posted(desk)
    name = "Ana {\u200b{contact.email}}"
    assert body["template_params"] == {
        "name": "appointment_reminder",
        "category": "UTILITY",
        "language": "es_MX",
        "processed_params": {"body": {"1": name, "2": "Clinic"}},
    }
    assert body["content"] == first["content"] == f"Hola {name}, le recordamos su cita: Clinic."
    assert first["content_attributes"] == {MARKER: message.key}
    said = "Hola Ana {{contact.email}}, le recordamos su cita: Clinic."
    assert desk.rows(Delivery)[-1].body == said
    assert desk.rows(ChatwootInteraction)[-1].text == said
    found = ChatwootChannel().find_sent(message, {})
    assert found is not None
    assert found.message_id == receipt.message_id
    desk.chatwoot.settle()
    assert desk.seen(first["id"])["status"] in ("delivered", "read")

    with desk.calls() as made:
        assert desk.send(client)["conversation"] == first["conversation"]
    path = f"conversations/{first['conversation']}"
    assert made == [f"GET {path}", "GET inboxes", f"POST {path}/messages"]

    # A window that is open needs none.
    desk.chatwoot.incoming(inbox_id=WHATSAPP, phone="525512345678", text="Hola")
    assert desk.send(client)["content"] == "Su cita es mañana"
    assert "template_params" not in posted(desk)


@on_sqlite
def test_at_the_moment_of_sending_the_template_must_still_do(connect: Connect, tenant: int) -> None:
    desk = connect(WHATSAPP)
    client = desk.client(phone=PHONE, first_name="Ana", language="es")
    templates("map", *REMINDER, "--fill", "recipientFirstName", "--fill", "appointmentDate")
    assert "needs appointmentDate, which has no value here" in why(desk, client)
    templates("map", *REMINDER, *FILLED)
    own_words = desk.message(client, "Traiga su radiografía")
    with work(tenant) as session:
        session.execute(
            update(Notification).where(Notification.id == own_words.notification_id).values(message="Traiga…")
        )
    with pytest.raises(Permanent, match="words of its own"):
        ChatwootChannel().send(own_words, {})
    english = desk.message(client)
    with pytest.raises(Permanent, match="APPOINTMENT_REMINDER in en"):
        ChatwootChannel().send(replace(english, recipient=replace(english.recipient, language="en")), {})

    place = {"inbox_id": WHATSAPP, "name": "appointment_reminder"}
    for change, problem in (
        ({"status": "PAUSED"}, "is PAUSED"),
        ({"status": "APPROVED", "category": "MARKETING"}, "needs UTILITY"),
    ):
        desk.chatwoot.control("POST", "template", {**place, **change})
        assert problem in why(desk, client)
    desk.chatwoot.control("POST", "template", {**place, "category": "UTILITY"})
    with work(tenant) as session:
        session.execute(update(ChatwootTemplate).values(name="gone"))
    assert "is not in the inbox any more" in why(desk, client)
    assert desk.said() == desk.contacts() == []


@on_sqlite
def test_advertising_goes_by_a_template_for_advertising(connect: Connect, tenant: int) -> None:
    desk = connect(WHATSAPP)
    client = desk.client(phone=PHONE, first_name="Ana")
    offers = ("--type", "PROMOTION", "--template", "offers", "--fill", "clientFirstName", "--fill", "promotionMessage")
    assert templates("map", *offers).return_value == 0

    message = replace(desk.message(client, "Hola, Ana: 2 por 1"), type="PROMOTION")
    with work(tenant) as session:
        row = session.get_one(Notification, message.notification_id)
        row.type, row.variables = "PROMOTION", {"promotionMessage": "2 por 1\n\nen cortes."}
    ChatwootChannel().send(message, {})
    assert desk.said()[-1]["content"] == "Hola Ana, tenemos algo para usted: 2 por 1 en cortes. ¡Venga!"
    assert posted(desk)["template_params"]["category"] == "MARKETING"
    desk.chatwoot.control("POST", "template", {"inbox_id": WHATSAPP, "name": "offers", "status": "DISABLED"})
    with pytest.raises(Permanent, match="is DISABLED"):
        ChatwootChannel().send(message, {})


@on_sqlite
def test_a_booking_is_told_by_template_and_confirmed_by_its_answer(begin: Begin, tenant: int) -> None:
    loop = begin(WHATSAPP)
    fills = ("recipientFirstName", "serviceName", "appointmentDateTime")
    given = [word for variable in fills for word in ("--fill", variable)]
    mapped = templates("map", "--type", "APPOINTMENT_CONFIRMATION", "--template", "appointment_confirmation", *given)
    assert mapped.return_value == 0

    appointment, told = loop.asked(first_name="Ana")
    assert re.fullmatch(r"Hola Ana, su cita de .+ es el .+, \d.+\. ¿La confirma\?", told["content"])
    assert loop.rows(Delivery)[-1].body == told["content"]
    loop.write("sí, confirmo")
    assert loop.state(appointment) == ("CONFIRMED", "yes")


@on_sqlite
def test_our_texts_are_offered_in_the_form_meta_accepts(connect: Connect, tenant: int) -> None:
    connect(WHATSAPP)
    with work(tenant) as session:
        for branch in session.scalars(select(Branch)):
            branch.address, branch.phone = "Av. Ejemplo 123", ""
    found = json.loads(templates("suggest", "--json").output)
    assert len(found) == 8
    for one in found:
        places = re.findall(r"\{\{(\d+)\}\}", one["body"])
        assert sorted(set(map(int, places))) == list(range(1, len(one["parameters"]) + 1)), one["type"]
        assert len(one["samples"]) == len(one["parameters"])
        assert all(one["samples"])
        assert not re.match(r"\W*\{\{\d", one["body"])
        assert not re.search(r"\d\}\}\W*$", one["body"])
        assert not re.search(r"[\ue000-\uf8ff]|\{%|\}\}\{\{|\n\n\n", one["body"])
        assert len(one["body"]) <= 1024
        assert one["category"] == ("MARKETING" if one["type"] == "PROMOTION" else "UTILITY")
        as_template = {"name": one["name"], "status": "APPROVED", "category": one["category"], "language": "es_MX"}
        inbox = {
            "channel_type": "Channel::Whatsapp",
            "message_templates": [{**as_template, "components": [{"type": "BODY", "text": one["body"]}]}],
        }
        (template,) = templates_in(inbox)
        check(template, one["type"], one["parameters"], flat=False)
    reminder = next(one for one in found if one["type"] == "APPOINTMENT_REMINDER")
    assert "branchAddress" in reminder["parameters"]
    assert not {"visitorName", "branchPhone"} & set(reminder["parameters"])
    printed = templates("suggest", "--language", "en").output
    assert "{{1}} recipientFirstName, for example: Laura" in printed
    assert "--type APPOINTMENT_REMINDER --language en --template citaplanner_appointment_reminder --fill" in printed


def test_other_forms_of_templates_and_of_older_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {
        "name": "t",
        "status": "approved",
        "category": "Utility",
        "language": "es",
        "namespace": "ns_1",
        "components": [
            {"type": "BODY", "text": "Hola {{ first }}: {{second}} {{first}}"},
            {"type": "FOOTER", "text": "x"},
        ],
    }
    button = {"type": "URL", "url": "https://citas.example/{{1}}"}
    parts = {
        "one of its buttons needs a value": {"type": "BUTTONS", "buttons": [button]},
        "its header has a parameter": {"type": "HEADER", "format": "TEXT", "text": "{{1}}"},
        "it has a part we do not know, carousel": {"type": "CAROUSEL"},
    }
    whole = [named, *({**named, "components": [part]} for part in parts.values()), "nonsense", {}]
    first, *unfit = templates_in({"channel_type": "Channel::Whatsapp", "message_templates": whole})
    assert [one.unfit for one in unfit] == list(parts)
    check(first, "APPOINTMENT_REMINDER", ["clientName", "timeUntil"], flat=False)
    with pytest.raises(TemplateRefused, match="named parameters"):
        check(first, "APPOINTMENT_REMINDER", ["clientName", "timeUntil"], flat=True)
    assert fill(first, ["Ana", "1 día"], flat=False) == Said(
        "Hola Ana: 1 día Ana",
        {
            "name": "t",
            "category": "UTILITY",
            "language": "es",
            "namespace": "ns_1",
            "processed_params": {"body": {"first": "Ana", "second": "1 día"}},
        },
    )
    assert fill(first, ["Ana", "1 día"], flat=True).params["processed_params"] == {"first": "Ana", "second": "1 día"}
    assert templates_in({"channel_type": "Channel::Whatsapp", "message_templates": {}}) == []
    assert templates_in({"channel_type": "Channel::TwilioSms", "message_templates": [named]}) == []
    assert [
        template_commands._version(text) < template_commands.FORM_SINCE for text in ("3.9.0", "4.5.2", "4.15.1")
    ] == [*(True, True, False)]
