"""Asking for free times, and being offered others instead of one that is gone."""

from datetime import timedelta

import pytest

from citaplanner_core.booking.hours import WorkingHours
from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import work
from tests.core.web.support import Business, refusal, tomorrow


def asked(business: Business, **other: object) -> str:
    given = {"branch_id": business.branch, "service_id": business.service} | other
    return "/availability?" + "&".join(f"{name}={value}" for name, value in given.items())


@pytest.fixture
def nine_to_five(business: Business) -> Business:
    """Open every day from 9 to 17 by the branch's clock, a start every 60 minutes."""
    with work(business.tenant) as session:
        session.get_one(Tenant, business.tenant).slot_step_minutes = 60
        session.add_all(
            WorkingHours(branch_id=business.branch, weekday=day, from_minute=9 * 60, until_minute=17 * 60)
            for day in range(7)
        )
    return business


def test_a_day_of_the_branch_has_its_slots(nine_to_five: Business) -> None:
    day = (tomorrow() + timedelta(days=2)).date()
    answer = nine_to_five.api.get(asked(nine_to_five, **{"from": day, "to": day})).json
    assert answer["zone"] == "America/Mexico_City"
    assert [slot["start"] for slot in answer["items"]] == [f"{day}T{hour}:00:00Z" for hour in range(15, 23)]
    assert {slot["professional_id"] for slot in answer["items"]} == {nine_to_five.professional}
    times = {"from": f"{day}T10:00:00-06:00", "to": f"{day}T19:00:00+01:00"}
    part = nine_to_five.api.get(asked(nine_to_five, **times, professional_id=nine_to_five.professional)).json
    assert [slot["start"] for slot in part["items"]] == [f"{day}T16:00:00Z", f"{day}T17:00:00Z"]


def test_a_week_from_now_is_meant_without_times(nine_to_five: Business) -> None:
    assert len(nine_to_five.api.get(asked(nine_to_five)).json["items"]) in (7 * 8 - 1, 7 * 8)


def test_questions_that_cannot_be_answered_name_the_field(business: Business, other: Business) -> None:
    for field, given in (
        ("service_id", {"service_id": "x"}),
        ("from", {"from": "2035-03-01T10:00:00"}),
        ("from", {"from": "9999-01-01"}),
        ("from", {"from": "soon"}),
        ("to", {"from": "2035-03-01", "to": "2035-02-01"}),
        ("to", {"from": "2035-03-01", "to": "2035-12-01"}),
        ("colour", {"colour": "red"}),
    ):
        assert refusal(business.api.get(asked(business, **given))) == (422, field)
    for field, theirs in (("service_id", other.service), ("branch_id", other.branch)):
        assert refusal(business.api.get(asked(business, **{field: theirs}))) == (404, field)
    assert refusal(business.api.get(asked(business, professional_id=other.professional))) == (404, "professional_id")


def test_what_cannot_be_had_comes_with_what_can(nine_to_five: Business) -> None:
    api, night = nine_to_five.api, tomorrow(8)
    taken = api.post("/appointments", nine_to_five.booking(start=tomorrow(16).isoformat()))
    assert refusal(taken) == (409, "start")
    closed = api.post("/appointments", nine_to_five.booking(start=night.isoformat()))
    assert (closed.json["code"], refusal(closed)) == ("not_offered", (422, "start"))
    for answer in (taken, closed):
        assert len(answer.json["nearest"]) == 3
        for slot in answer.json["nearest"]:
            slot = {name: slot[name] for name in ("start", "professional_id")}
            assert api.post("/appointments", nine_to_five.booking(**slot)).status_code in (201, 409)
    assert (
        api.post("/appointments", nine_to_five.booking(start=night.isoformat(), booked_by="staff")).status_code == 201
    )
