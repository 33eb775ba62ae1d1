"""What happened to an appointment or a client: in order, page by page, with the reasons."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.database import utcnow, work
from citaplanner_core.notifications.explaining import explainer
from citaplanner_core.notifications.models import NOTIFICATION_TYPES, REASONS, Delivery, Notification
from citaplanner_core.notifications.opt_outs import OptOut
from citaplanner_core.testing.worker import run_due
from tests.core.web.support import Api, Business, refusal


def whole(api: Api, path: str, limit: int = 200, **query: str) -> list[dict[str, Any]]:
    """Every entry of a timeline, page by page."""
    items: list[dict[str, Any]] = []
    after = None
    while True:
        given = {"limit": str(limit), **query} | ({"after": after} if after else {})
        page = api.get(path, query_string=given).json
        assert len(page["items"]) <= limit
        items += page["items"]
        after = page["next"]
        if after is None:
            return items
        assert page["items"]


def test_it_tells_who_did_what_what_was_said_and_why_not(app: Flask, business: Business, api: Api) -> None:
    path = f"/appointments/{business.appointment}/timeline"
    with work(business.tenant) as session:
        session.add(OptOut(client_id=business.client, channel="log", words="BAJA"))
        session.execute(update(Notification).where(Notification.rule == "confirmation").values(channel="log"))
        verbs.record_answer(session, business.appointment, answer="yes", words="sí, ahí estaré")
    run_due(app)
    api.post(f"/appointments/{business.appointment}/cancel", {"by": "staff", "reason": "Doctora enferma"})
    items = whole(api, path)
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)
    assert all(item["at"].endswith("Z") for item in items)
    changes = [(item["what"], item["by"], item["why"]) for item in items if item["kind"] == "change"]
    assert [(by, why) for _, by, why in changes] == [
        ("client", None),
        ("client", None),
        ("staff", "Doctora enferma"),
    ]
    assert changes[0][0].startswith("Cita agendada por el cliente para el ")
    assert changes[2][0] == "Cita cancelada por el personal"
    (answer,) = [item for item in items if item["kind"] == "answer"]
    assert (answer["text"], answer["by"], answer["what"]) == (
        "sí, ahí estaré",
        "client",
        "El cliente respondió que sí",
    )
    outcomes = {item["what"]: item for item in items if item["kind"] == "outcome"}
    skipped = outcomes["Confirmación de cita: no se envió"]
    assert (skipped["status"], skipped["reason"]) == ("SKIPPED", "opted_out")
    assert "pidió no recibir" in skipped["why"]
    assert "ALTA" in skipped["cure"]
    assert outcomes["Recordatorio, 1 hora antes: se retiró antes de enviarlo"]["reason"] == "appointment_cancelled"
    (waiting,) = [item for item in items if item["kind"] == "waiting"]
    assert (waiting["type"], waiting["status"]) == ("APPOINTMENT_CANCELLATION", "PENDING")
    assert waiting["what"].startswith("Aviso de cancelación: espera; sale el ")
    english = [item["what"] for item in whole(api, path, language="en")]
    assert "Appointment cancelled by staff" in english
    assert "Reminder, 1 hour before: taken back before it was sent" in english


def test_every_attempt_is_there_with_what_was_said(app: Flask, business: Business, api: Api) -> None:
    run_due(app)
    with work(business.tenant) as session:
        delivery = session.scalars(select(Delivery)).one()
        at = delivery.started_at
        delivery.delivered_at, delivery.read_at = at + timedelta(seconds=2), at + timedelta(seconds=9)
        other = Delivery(
            notification_id=delivery.notification_id,
            channel="email",
            attempt=2,
            status="FAILED",
            body="Hola otra vez",
            reason="rejected",
            error="550 no such user",
            started_at=at + timedelta(seconds=20),
        )
        session.add(other)
    items = whole(api, f"/clients/{business.client}/timeline")
    steps = [item for item in items if item["notification_id"] == business.notification]
    assert [item["kind"] for item in steps] == ["planned", "delivery", "delivered", "read", "delivery"]
    sent, failed = steps[1], steps[4]
    assert (sent["what"], sent["text"], sent["channel"], sent["attempt"]) == (
        "Recordatorio de pago: enviado por log (intento 1)",
        "Hola",
        "log",
        1,
    )
    assert (failed["reason"], failed["detail"], failed["text"]) == ("rejected", "550 no such user", "Hola otra vez")
    assert failed["cure"]


def test_a_client_has_one_timeline_over_all_appointments(business: Business, api: Api) -> None:
    second = api.post("/appointments", business.booking()).json["id"]
    items = whole(api, f"/clients/{business.client}/timeline")
    assert {item["appointment_id"] for item in items} == {None, business.appointment, second}
    assert {item["appointment_id"] for item in whole(api, f"/appointments/{second}/timeline")} == {second}


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_give_everything_once(app: Flask, business: Business, api: Api, limit: int) -> None:
    api.post("/appointments", business.booking())
    run_due(app)
    same = utcnow()
    with work(business.tenant) as session:  # things that happened in one moment are told apart
        session.execute(update(Notification).values(created_at=same, changed_at=same))
        for delivery in session.scalars(select(Delivery)):
            delivery.delivered_at = delivery.read_at = same
    path = f"/clients/{business.client}/timeline"
    items = whole(api, path)
    assert len(items) > 10
    assert whole(api, path, limit) == items


def test_a_place_that_is_none_is_refused(business: Business, api: Api) -> None:
    path = f"/clients/{business.client}/timeline"
    for wrong in ("x", "1-2", "1-2-3-4", "-1-2-3", "9" * 40 + "-1-1", "1-1-" + "9" * 30):
        answer = api.get(path, query_string={"after": wrong})
        assert refusal(answer) == (422, "after"), wrong
    assert refusal(api.get(path, query_string={"language": "xx"})) == (422, "language")


def test_every_reason_and_type_has_words_and_every_reason_a_cure() -> None:
    for language in ("es", "en"):
        words = explainer(language, "America/Mexico_City")
        for reason in REASONS:
            why, cure = words.reason(reason)
            assert why != reason
            assert [(text or "")[-1:] for text in (why, cure)] == [".", "."]
        for kind in NOTIFICATION_TYPES:
            assert words.say("types", kind) != kind
        assert words.reason("something_new") == ("something_new", None)
    spanish, english = (explainer(language, "UTC")._words for language in ("es", "en"))
    for section, found in spanish.items():
        if isinstance(found, dict):
            assert found.keys() == english[section].keys()
