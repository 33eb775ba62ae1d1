"""Booking and changing appointments over the API."""

from datetime import datetime, timedelta

import pytest
from flask import Flask

from citaplanner_core.database import work
from citaplanner_core.testing.factories import make_service
from tests.core.web.support import Api, Business, make_business, refusal, tomorrow


def test_what_is_booked_is_answered_and_can_be_read_again(business: Business) -> None:
    start = tomorrow(17)
    answer = business.api.post(
        "/appointments", business.booking(start=f"{start:%Y-%m-%dT%H:%M:%S}Z", notes=" Alergia ")
    )
    assert answer.status_code == 201
    booked = answer.json
    assert booked == {
        "id": booked["id"],
        "status": "PENDING",
        "answer": "none",
        "answered_at": None,
        "client_id": business.client,
        "service_id": business.service,
        "professional_id": business.professional,
        "branch_id": business.branch,
        "start": f"{start:%Y-%m-%dT%H:%M:%S}Z",
        "end": f"{start + timedelta(minutes=30):%Y-%m-%dT%H:%M:%S}Z",
        "booked_by": "client",
        "cancel_reason": None,
        "notes": "Alergia",
        "version": 1,
        "schedule_version": 1,
    }
    assert business.api.get(f"/appointments/{booked['id']}").json == booked
    assert booked in business.api.get("/appointments").json["items"]


def test_a_time_is_understood_in_its_own_zone(business: Business) -> None:
    start = tomorrow(17)
    local = start.astimezone(datetime.fromisoformat("2026-01-01T00:00:00-06:00").tzinfo)
    booked = business.api.post("/appointments", business.booking(start=local.isoformat())).json
    assert booked["start"] == start.isoformat().replace("+00:00", "Z")


def test_who_books_and_the_tenants_setting_decide_how_it_starts(app: Flask, business: Business) -> None:
    by_staff = business.api.post("/appointments", business.booking(booked_by="staff"))
    assert by_staff.json["status"] == "CONFIRMED"
    automatic = make_business(app, "automatic", confirmation="automatic")
    assert automatic.api.post("/appointments", automatic.booking()).json["status"] == "CONFIRMED"


def test_the_verbs(business: Business, api: Api) -> None:
    path = f"/appointments/{business.appointment}"
    assert api.post(f"{path}/confirm").json["status"] == "CONFIRMED"
    moved = api.post(f"{path}/reschedule", {"start": tomorrow(20).isoformat(), "reason": "Pidió más tarde"}).json
    assert (moved["schedule_version"], moved["version"]) == (2, 3)
    assert moved["start"] == tomorrow(20).isoformat().replace("+00:00", "Z")
    cancelled = api.post(f"{path}/cancel", {"by": "client", "reason": "Viaje"}).json
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("CANCELLED", "Viaje")
    again = api.post(f"{path}/cancel", {"by": "client"})
    assert (again.status_code, again.json["version"]) == (200, cancelled["version"])


@pytest.mark.parametrize(("verb", "status"), [("complete", "COMPLETED"), ("no-show", "NO_SHOW")])
def test_what_became_of_it(business: Business, verb: str, status: str) -> None:
    path = f"/appointments/{business.appointment}"
    assert business.api.post(f"{path}/{verb}").json["status"] == status
    refused = business.api.post(f"{path}/cancel", {})
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (409, "not_allowed", "status")


def test_a_taken_time_is_a_conflict_and_says_what_to_do(business: Business, api: Api) -> None:
    assert api.post("/appointments", business.booking()).status_code == 201
    taken = api.post("/appointments", business.booking())
    assert (taken.status_code, taken.json["code"], taken.json["field"]) == (409, "slot_taken", "start")
    assert "choose another time" in taken.json["detail"]
    moved = api.post(f"/appointments/{business.appointment}/reschedule", {"start": tomorrow(17).isoformat()})
    assert (moved.status_code, moved.json["code"]) == (409, "slot_taken")


def test_a_change_of_what_somebody_else_changed_is_refused(business: Business, api: Api) -> None:
    path = f"/appointments/{business.appointment}"
    version = api.get(path).json["version"]
    api.post(f"{path}/confirm")
    stale = api.post(f"{path}/cancel", {"expected_version": version})
    assert (stale.status_code, stale.json["code"], stale.json["field"]) == (409, "stale_version", "expected_version")
    assert api.get(path).json["status"] == "CONFIRMED"


UNBOOKABLE: list[tuple[dict[str, object], str]] = [
    ({"start": "2030-05-01T10:00:00"}, "start"),
    ({"start": "2030-05-01"}, "start"),
    ({"start": "mañana"}, "start"),
    ({"start": 1_900_000_000}, "start"),
    ({"start": "1900000000"}, "start"),
    ({"start": "2020-05-01T10:00:00Z"}, "start"),
    ({"start": "9999-12-31T23:59:59-12:00"}, "start"),
    ({"start": None}, "start"),
    ({"client_id": 0}, "client_id"),
    ({"client_id": -1}, "client_id"),
    ({"client_id": "1"}, "client_id"),
    ({"client_id": True}, "client_id"),
    ({"client_id": 1.5}, "client_id"),
    ({"client_id": 2**63}, "client_id"),
    ({"client_id": 10**400}, "client_id"),
    ({"booked_by": "Client"}, "booked_by"),
    ({"notes": "a\x00b"}, "notes"),
    ({"notes": "a\ud800b"}, "notes"),
    ({"notes": ["a", "b\x00"]}, "notes.1"),
    ({"notes": 5}, "notes"),
    ({"note": "misspelt"}, "note"),
    ({"\x00": 1}, "body"),
    ({"\ud800": 1}, "body"),
]


def test_what_cannot_be_booked_names_the_field(business: Business, api: Api) -> None:
    for given, field in UNBOOKABLE:
        answer = api.post("/appointments", business.booking(**given))
        assert refusal(answer) == (422, field), given
        assert answer.json["code"] == "validation_failed"
    assert len(api.get("/appointments").json["items"]) == 1


def test_the_largest_id_is_simply_not_there(business: Business, api: Api) -> None:
    assert refusal(api.post("/appointments", business.booking(client_id=2**63 - 1))) == (404, "client_id")
    for number in (0, 2**63 - 1, 2**63, 10**400):
        assert refusal(api.get(f"/appointments/{number}")) == (404, "appointment_id")
        assert refusal(api.post(f"/appointments/{number}/cancel")) == (404, "appointment_id")


def test_everything_that_is_wrong_is_listed(business: Business, api: Api) -> None:
    answer = api.post("/appointments", {"client_id": "x", "start": "2030-05-01T10:00:00", "extra": 1})
    found = {line["field"]: line["detail"] for line in answer.json["errors"]}
    assert found.keys() == {"client_id", "service_id", "professional_id", "branch_id", "start", "extra"}
    assert found["service_id"] == "is required"
    assert found["extra"] == "there is no such field"
    assert "2030-05-01T10:00:00-06:00" in found["start"]


def test_what_is_inactive_cannot_be_booked(business: Business, api: Api) -> None:
    with work(business.tenant) as session:
        gone = make_service(session, active=False).id
    assert refusal(api.post("/appointments", business.booking(service_id=gone))) == (422, "service_id")
