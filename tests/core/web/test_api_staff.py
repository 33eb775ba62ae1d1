"""Who of the staff is told of what, over the API."""

from typing import Any

import pytest

from tests.core.web.support import Api, Business, refusal


def test_somebody_is_added_changed_and_listed(business: Business, api: Api) -> None:
    given = {"name": "Marco Díaz", "phone": "55 1234 5678", "alerts": {"client_cancelled": "now"}}
    made = api.post("/staff-contacts", given)
    assert made.status_code == 201
    assert made.json == {
        "id": made.json["id"],
        "name": "Marco Díaz",
        "email": None,
        "phone": "+525512345678",
        "language": None,
        "channel": None,
        "branch_id": None,
        "alerts": {"client_cancelled": "now"},
        "digest_at": "08:00",
        "active": True,
    }
    path = f"/staff-contacts/{made.json['id']}"
    body = {
        "alerts": {"appointment_booked": "digest"},
        "digest_at": "07:30",
        "channel": "LOG",
        "email": "m@example.com",
    }
    changed = api("PATCH", path, json=body)
    assert changed.json == made.json | body | {"channel": "log"}
    assert api.get(path).json == changed.json
    assert [one["id"] for one in api.get("/staff-contacts").json["items"]] == [business.staff_contact, made.json["id"]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"alerts": {"nothing_such": "now"}}, "alerts"),
        ({"alerts": {"client_late": "often"}}, "alerts.client_late"),
        ({"digest_at": "8:00"}, "digest_at"),
        ({"digest_at": None}, "digest_at"),
        ({"channel": "fax"}, "channel"),
        ({"branch_id": 999_999}, "branch_id"),
        ({"language": "xx"}, "language"),
        ({"email": "no address"}, "email"),
        ({"phone": "call me"}, "phone"),
        ({"email": None}, "email"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    business: Business, api: Api, body: dict[str, Any], field: str
) -> None:
    path = f"/staff-contacts/{business.staff_contact}"
    before = api.get(path).json
    answer = api("PATCH", path, json=body)
    assert (answer.status_code in (404, 422), answer.json["field"]) == (True, field)
    assert api.get(path).json == before


def test_a_contact_that_cannot_be_reached_is_refused(api: Api) -> None:
    assert refusal(api.post("/staff-contacts", {"name": "Nadie"})) == (422, "email")
