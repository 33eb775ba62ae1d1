"""A business's own texts: saved when they can be used, tried before, and taken back."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from citaplanner_core.booking.models import Appointment, Service, Tenant
from citaplanner_core.database import system_work, work
from citaplanner_core.notifications.models import Delivery, Notification
from citaplanner_core.notifications.own_texts import MessageTemplate
from citaplanner_core.testing.worker import run_due
from tests.core.web.support import Answer, Api, Business, refusal

PATH = "/message-templates"


def text(**other: Any) -> dict[str, Any]:
    return {
        "key": "APPOINTMENT_CONFIRMATION",
        "channel": "chat",
        "language": "es",
        "body": "Hola {cliente}: te vemos el {fecha}. Responde 1 sí, 2 otro horario, 3 cancelar.",
    } | other


def put(api: Api, **other: Any) -> Answer:
    return api("PUT", PATH, json=text(**other))


def sent(app: Flask, business: Business, **given: Any) -> tuple[str, str | None] | None:
    """Body and question of a confirmation of the business's appointment over the log channel; None: not sent."""
    body = {"type": "APPOINTMENT_CONFIRMATION", "recipient_id": business.client, "channel": "log"}
    number = business.api.post("/notifications", body | {"appointment_id": business.appointment} | given).json
    run_due(app)
    with work(business.tenant, write=False) as session:
        found = session.scalar(select(Delivery).where(Delivery.notification_id == number["notification_id"]))
        return (found.body, found.question) if found else None


def said(app: Flask, business: Business, **given: Any) -> str:
    """The body alone."""
    found = sent(app, business, **given)
    assert found is not None
    return found[0]


def test_a_text_of_one_s_own_is_sent_until_it_is_taken_back(app: Flask, business: Business, api: Api) -> None:
    saved = put(api)
    assert saved.status_code == 200
    assert saved.json | {"edited_at": ""} == text(subject=None, tone="", edited_by="test", edited_at="")
    first = sent(app, business)
    assert first is not None
    assert (first[0][:15], first[1]) == ("Hola Ana Prueba", "confirm")
    assert [row["key"] for row in api.get(PATH).json["own"]] == ["APPOINTMENT_CONFIRMATION"]
    place = "key=APPOINTMENT_CONFIRMATION&channel=chat&language=es"
    ours = api("DELETE", f"{PATH}?{place}")
    assert (ours.status_code, ours.json["body"][:7]) == (200, "Hola{% ")
    assert api("DELETE", f"{PATH}?{place}").status_code == 404
    assert "quedó agendada" in said(app, business)


def test_saving_again_replaces_it(business: Business, api: Api) -> None:
    put(api)
    put(api, body="Otro texto")
    with work(business.tenant, write=False) as session:
        assert session.scalars(select(MessageTemplate.body)).all() == ["Otro texto"]


def test_the_most_exact_text_is_used(app: Flask, business: Business, api: Api) -> None:
    put(api, body="de la familia")
    assert said(app, business) == "de la familia"
    put(api, body="con usted", tone="usted")
    assert said(app, business) == "de la familia"
    put(api, body="con tú", tone="tu")
    assert said(app, business) == "con tú"
    put(api, body="del canal", channel="LOG")
    assert said(app, business) == "del canal"
    put(api, body="in English", language="en", channel="log")
    assert said(app, business) == "del canal"


def test_a_text_for_all_reminders_beats_ours_but_not_an_exact_one(app: Flask, business: Business, api: Api) -> None:
    def reminder(minutes: int) -> str:
        return said(app, business, template=f"APPOINTMENT_REMINDER:{minutes}")

    put(api, key="APPOINTMENT_REMINDER", body="cualquiera")
    assert [reminder(minutes) for minutes in (60, 1440, 2880)] == ["cualquiera"] * 3
    put(api, key="APPOINTMENT_REMINDER:60", body="una hora")
    assert [reminder(minutes) for minutes in (60, 1440, 2880)] == ["una hora", "cualquiera", "cualquiera"]


def test_one_business_s_text_is_not_another_s(app: Flask, business: Business, other: Business) -> None:
    put(business.api, body="mío")
    assert "quedó agendada" in said(app, other)
    assert other.api.get(PATH).json["own"] == []
    assert other.api("DELETE", f"{PATH}?key=APPOINTMENT_CONFIRMATION&channel=chat&language=es").status_code == 404


def test_an_answer_means_what_the_text_offers(app: Flask, business: Business, api: Api) -> None:
    put(api, body="Te vemos pronto.")
    assert sent(app, business) == ("Te vemos pronto.", "reminder")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"body": "Hola {{clientFristName}}"}, "body", "clientFirstName"),
    ({"body": "Hola {clente}"}, "body", "cliente"),
    ({"body": "{{ clientName | shout }}"}, "body", "no filter shout"),
    ({"body": "{% include 'x' %}"}, "body", "include"),
    ({"body": "  "}, "body", "delete"),
    ({"body": "x" * 10_001}, "body", "10,000"),
    ({"subject": "Hola"}, "subject", "leave it out"),
    ({"channel": "mail"}, "subject", "required"),
    ({"channel": "mail", "subject": "{{x}}"}, "subject", "no variable {{x}}"),
    ({"channel": "fax"}, "channel", "short"),
    ({"language": "fr"}, "language", "en"),
    ({"tone": "vos"}, "tone", "usted"),
    ({"key": "APPOINTMENT_CONFIRMACION"}, "key", "APPOINTMENT_CONFIRMATION"),
    ({"key": "PROMOTION:60"}, "key", "only APPOINTMENT_REMINDER"),
]


def test_what_cannot_be_used_is_refused_with_the_cure(business: Business, api: Api) -> None:
    for given, field, cure in REFUSED:
        answer = put(api, **given)
        assert refusal(answer) == (422, field), given
        assert cure in answer.json["detail"], answer.json["detail"]
        assert refusal(api.post(f"{PATH}/preview", text(**given))) == (422, field) or given["body"].isspace()
    assert api.get(PATH).json["own"] == []


def test_a_preview_with_made_up_values_writes_nothing(business: Business, api: Api) -> None:
    shown = api.post(f"{PATH}/preview", text(channel="short", body="{cliente}, está {{manageUrl}}"))
    assert shown.status_code == 200
    assert shown.json["body"] == "Laura Gomez, esta https://citas.example/r/Abc123Def456"
    assert shown.json["segments"] == {"encoding": "GSM-7", "characters": len(shown.json["body"]), "segments": 1}
    assert shown.json["question"] == "reminder"
    assert any("1, 2 and 3" in warning for warning in shown.json["warnings"])


def test_a_preview_of_a_real_appointment(business: Business, api: Api) -> None:
    body = {"body": "{{clientFirstName}} con {{professionalName}}. 1, 2, 3", "appointment_id": business.appointment}
    shown = api.post(f"{PATH}/preview", text(**body)).json
    assert shown["body"].startswith("Ana con Professional")
    assert shown["segments"] is None
    assert shown["warnings"] == []
    assert api.post(f"{PATH}/preview", text(appointment_id=999_999)).status_code == 404


def test_a_preview_of_every_text_of_ours(business: Business, api: Api) -> None:
    for code in ("es", "en"):
        for one in api.get(f"{PATH}?language={code}").json["defaults"]:
            asked = {name: one[name] for name in ("key", "channel", "language")}
            shown = api.post(f"{PATH}/preview", asked)
            assert shown.status_code == 200, (asked, shown.text)
            assert "{" not in shown.json["body"]
            assert all("1, 2" not in warning for warning in shown.json["warnings"]), asked


def test_long_and_odd_text_messages_are_warned_of(app: Flask, business: Business, api: Api) -> None:
    def warned(body: str) -> str:
        return " ".join(api.post(f"{PATH}/preview", text(channel="short", key="PROMOTION", body=body)).json["warnings"])

    assert "2 text messages" in warned("BAJA" + "a" * 160)
    assert "GSM" in warned("مرحبا BAJA")
    assert "NO PROMOCIONES" in warned("Ven ya")
    with system_work("as written", write=True) as session:
        session.get_one(Tenant, business.tenant).folds_sms = False
    assert "GSM" in warned("Está BAJA")


def test_a_text_that_breaks_when_it_is_sent_fails_alone(app: Flask, business: Business) -> None:
    """A text saved by an older version, say: the notification fails and says why, the booking is untouched."""
    with work(business.tenant) as session:
        row = {"key": "APPOINTMENT_CONFIRMATION", "channel": "chat", "language": "es", "tone": "", "edited_by": "x"}
        at = session.get_one(Appointment, business.appointment).created_at
        session.add(MessageTemplate(**row, body="Hola {{nobodyKnows}}", edited_at=at))
        before = session.get_one(Appointment, business.appointment).version
    assert sent(app, business) is None
    with work(business.tenant, write=False) as session:
        failed = session.scalars(select(Notification).order_by(Notification.id.desc())).first()
        assert failed is not None
        assert (failed.status, failed.reason) == ("FAILED", "template_error")
        assert failed.error is not None
        assert "nobodyKnows" in failed.error
        appointment = session.get_one(Appointment, business.appointment)
        assert (appointment.status, appointment.version) == ("PENDING", before)


@pytest.mark.parametrize(("tone", "words"), [("tu", "Tu cita"), ("usted", "Su cita")])
def test_the_tenant_s_tone_is_used(app: Flask, business: Business, tone: str, words: str) -> None:
    with system_work("its tone", write=True) as session:
        session.get_one(Tenant, business.tenant).tone = tone
    assert words in said(app, business)


def test_a_discreet_service_is_not_named_to_the_client(app: Flask, business: Business) -> None:
    with work(business.tenant) as session:
        service = session.get_one(Service, business.service)
        service.is_discreet, service.name = True, "Secreto"
    body = said(app, business)
    assert "quedó agendada" in body
    assert "Secreto" not in body
