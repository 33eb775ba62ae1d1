"""Telling a client something over the API, once, and learning what became of it."""

import re
import threading

import pytest
from flask import Flask

from citaplanner_core.testing.worker import run_due
from citaplanner_core.web.api import notifications
from tests.core.web.support import Api, Business, refusal, working


def test_it_is_accepted_at_once_and_sent_by_the_worker(app: Flask, business: Business, api: Api) -> None:
    answer = api.post("/notifications", business.message())
    accepted = answer.json
    assert answer.status_code == 202
    assert accepted == {
        "success": True,
        "notification_id": accepted["notification_id"],
        "status": "PENDING",
        "message_id": None,
        "error": None,
    }
    run_due(app)
    number = accepted["notification_id"]
    assert api.get(f"/notifications/{number}").json == accepted | {"status": "SENT", "message_id": f"log-{number}-1"}


def test_who_waits_gets_what_became_of_it(app: Flask, business: Business, api: Api) -> None:
    with working(app):
        answer = api.post("/notifications?wait=20", business.message())
    assert answer.status_code == 200
    assert answer.json["success"] is True
    assert answer.json["status"] == "SENT"
    assert answer.json["message_id"] == f"log-{answer.json['notification_id']}-1"


def test_who_waits_in_vain_is_not_told_that_it_was_sent(business: Business, api: Api) -> None:
    answer = api.post("/notifications?wait=0.1", business.message())
    assert (answer.status_code, answer.json["success"], answer.json["status"]) == (202, False, "PENDING")
    assert "0.1 s" in answer.json["error"]


def test_who_finds_no_place_to_wait_is_told_at_once(
    business: Business, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "_waiters", threading.BoundedSemaphore(1))
    with notifications._waiters:
        answer = api.post("/notifications?wait=30", business.message())
    assert (answer.status_code, answer.json["success"], answer.json["error"]) == (202, False, notifications.NO_ROOM)
    assert notifications._waiters.acquire(blocking=False)


def test_a_failure_is_settled_too_and_says_why(app: Flask, business: Business, api: Api) -> None:
    with working(app):
        answer = api.post("/notifications?wait=20", business.message(message=None, template="NOBODY_WROTE_THIS"))
    assert (answer.status_code, answer.json["success"], answer.json["status"]) == (200, False, "FAILED")
    assert "NOBODY_WROTE_THIS" in answer.json["error"]


def test_a_channel_may_be_written_in_any_case(business: Business, api: Api) -> None:
    for written in ("log", "LOG", " Log "):
        assert api.post("/notifications", business.message(channel=written)).status_code == 202


def test_an_unknown_channel_names_the_known_ones(business: Business, api: Api) -> None:
    for written in ("fax", "SMS", "log,email", "ñ"):
        answer = api.post("/notifications", business.message(channel=written))
        assert refusal(answer) == (422, "channel")
        assert {"log", "chatwoot", "email"} <= set(re.findall(r"\w+", answer.json["detail"].partition("known are")[2]))


def test_a_channel_that_is_switched_off_is_no_error_and_says_so(business: Business, api: Api) -> None:
    answer = api.post("/notifications", business.message(channel="CHATWOOT"))
    assert (answer.status_code, answer.json["status"], answer.json["error"]) == (200, "SKIPPED", "channel_off")
    assert answer.json["success"] is False


def test_the_same_key_sends_once(app: Flask, business: Business, api: Api) -> None:
    first, second, third = (
        api.post("/notifications", business.message(), headers={"Idempotency-Key": key}).json["notification_id"]
        for key in ("a", "a", "b")
    )
    assert first == second != third
    run_due(app)
    assert api.get(f"/notifications/{first}").json["status"] == "SENT"


UNSENDABLE: list[tuple[dict[str, object], str]] = [
    ({"type": "GREETING"}, "type"),
    ({"type": None}, "type"),
    ({"recipient_id": 999_999_999}, "recipient_id"),
    ({"recipient_id": 2**63}, "recipient_id"),
    ({"appointment_id": 999_999_999}, "appointment_id"),
    ({"channel": ""}, "channel"),
    ({"message": ""}, "message"),
    ({"message": "Hola\x00"}, "message"),
    ({"message": "\udc00"}, "message"),
    ({"variables": {"slots": "\x00"}}, "variables.slots"),
    ({"variables": {"\x00": "x"}}, "variables"),
    ({"variables": {"slots": ["a"]}}, "variables.slots"),
    ({"variables": {"slots": {"a": 1}}}, "variables.slots"),
    ({"variables": {"amount": float("nan")}}, "variables.amount"),
    ({"variables": {"amount": float("inf")}}, "variables.amount"),
    ({"variables": []}, "variables"),
    ({"wait": 5}, "wait"),
]


def test_what_cannot_be_sent_names_the_field(business: Business, api: Api) -> None:
    for given, field in UNSENDABLE:
        assert refusal(api.post("/notifications", business.message(**given))) == (422, field), given


def test_values_of_every_plain_kind_are_taken(business: Business, api: Api) -> None:
    given = {"amount": 450.5, "invoiceNumber": 10**30, "dueDate": None, "slots": "1) lunes\n2) martes", "isNew": True}
    assert api.post("/notifications", business.message(variables=given)).status_code == 202


def test_a_wait_that_cannot_be_is_refused(business: Business, api: Api) -> None:
    for wait in ("-1", "31", "nan", "inf", "x", ""):
        assert refusal(api.post(f"/notifications?wait={wait}", business.message())) == (422, "wait"), wait


def test_a_type_may_be_written_in_any_case(business: Business, api: Api) -> None:
    assert api.post("/notifications", business.message(type="promotion")).status_code == 202


def test_what_waits_is_taken_back_and_sent_again_only_if_it_failed(app: Flask, business: Business, api: Api) -> None:
    number = api.post("/notifications", business.message()).json["notification_id"]
    assert api.post(f"/notifications/{number}/cancel").json["status"] == "CANCELLED"
    for verb in ("cancel", "retry"):
        answer = api.post(f"/notifications/{number}/{verb}")
        assert answer.status_code == 409
        assert "is CANCELLED" in answer.json["detail"]
        assert api.post(f"/notifications/999999/{verb}").status_code == 404
    failing = api.post("/notifications", business.message(message=None, template="NO_SUCH")).json["notification_id"]
    run_due(app)
    assert api.get(f"/notifications/{failing}").json["status"] == "FAILED"
    again = api.post(f"/notifications/{failing}/retry")
    assert (again.status_code, again.json["status"]) == (201, "PENDING")
    assert again.json["notification_id"] > failing
