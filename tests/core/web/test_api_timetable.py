"""Setting a business up over the API: what it offers, when, by whom, and how far ahead."""

import pytest

from tests.core.web.support import Api, Business, refusal, tomorrow

MORNING = {"weekday": 0, "from": "09:00", "until": "14:00"}


def test_services_professionals_and_branches_are_made_and_changed(api: Api, business: Business) -> None:
    made = api.post("/services", {"name": " Corte ", "duration_minutes": 45, "buffer_after_minutes": 5})
    assert made.status_code == 201
    service = {"name": "Corte", "duration_minutes": 45, "buffer_before_minutes": 0, "buffer_after_minutes": 5}
    assert made.json == service | {"id": made.json["id"], "is_discreet": False, "active": True}
    change = {"duration_minutes": 60, "is_discreet": True, "active": False}
    changed = api.patch(f"/services/{made.json['id']}", change).json
    assert changed == made.json | change
    assert api.get(f"/services/{made.json['id']}").json == changed
    person = api.post("/professionals", {"name": "Laura"}).json
    assert api.patch(f"/professionals/{person['id']}", {"name": "Laura Ríos"}).json["name"] == "Laura Ríos"
    branch = api.post("/branches", {"name": "Norte", "phone": "55 5555 0101"}).json
    assert (branch["zone"], branch["active"]) == ("America/Mexico_City", True)
    assert api.patch(f"/branches/{branch['id']}", {"zone": "America/Tijuana"}).json["zone"] == "America/Tijuana"


REFUSED: list[tuple[str, str, dict[str, object], str]] = [
    ("POST", "/services", {"name": "x"}, "duration_minutes"),
    ("POST", "/services", {"name": " ", "duration_minutes": 30}, "name"),
    ("POST", "/services", {"name": "x", "duration_minutes": 0}, "duration_minutes"),
    ("POST", "/services", {"name": "x", "duration_minutes": 1441}, "duration_minutes"),
    ("POST", "/services", {"name": "x" * 201, "duration_minutes": 30}, "name"),
    ("POST", "/services", {"name": "x", "duration_minutes": 30, "buffer_after_minutes": 481}, "buffer_after_minutes"),
    ("POST", "/branches", {"name": "x", "zone": "Mexico"}, "zone"),
    ("PATCH", "/professionals/{professional_id}", {"name": ""}, "name"),
    ("PATCH", "/branches/{branch_id}", {"zone": ""}, "zone"),
    ("PUT", "/branches/{branch_id}/hours", {"blocks": [MORNING, MORNING | {"until": "09:00"}]}, "blocks.1.until"),
    ("PUT", "/branches/{branch_id}/hours", {"blocks": [MORNING | {"from": "9"}]}, "blocks.0.from"),
    ("PUT", "/branches/{branch_id}/hours", {"blocks": [MORNING | {"until": "24:01"}]}, "blocks.0.until"),
    ("PUT", "/branches/{branch_id}/hours", {"blocks": [MORNING | {"weekday": 7}]}, "blocks.0.weekday"),
    (
        "PUT",
        "/branches/{branch_id}/hours",
        {"blocks": [MORNING | {"valid_from": "2031-02-01", "valid_until": "2031-01-01"}]},
        "blocks.0.valid_until",
    ),
    ("PUT", "/branches/{branch_id}/hours", {"blocks": [MORNING] * 501}, "blocks"),
    ("POST", "/closures", {"first_day": "2031-01-02", "last_day": "2031-01-01"}, "last_day"),
    ("POST", "/closures", {"first_day": "mañana"}, "first_day"),
    ("PATCH", "/booking-policy", {"slot_step_minutes": 35}, "slot_step_minutes"),
    ("PATCH", "/booking-policy", {"slot_step_minutes": 4}, "slot_step_minutes"),
    ("PATCH", "/booking-policy", {"minimum_notice_minutes": 10**6}, "minimum_notice_minutes"),
    ("PATCH", "/booking-policy", {"horizon_days": -1}, "horizon_days"),
    ("PATCH", "/booking-policy", {"cancel_notice_minutes": -1}, "cancel_notice_minutes"),
    ("PATCH", "/booking-policy", {"confirmation": "nobody"}, "confirmation"),
]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_cannot_be_names_the_field_and_changes_nothing(api: Api, business: Business) -> None:
    watched = ("/services", "/branches", "/professionals", f"/branches/{business.branch}/hours", "/booking-policy")
    before = [api.get(path).json for path in watched]
    for method, path, given, field in REFUSED:
        assert refusal(api(method, path.format(**business.ids), json=given)) == (422, field), (path, given)
    away = {"professional_id": business.professional, "start": tomorrow(9).isoformat(), "end": tomorrow(9).isoformat()}
    assert refusal(api.post("/time-off", away)) == (422, "end")
    assert [api.get(path).json for path in watched] == before


def offered(api: Api, business: Business, **more: object) -> list[str]:
    asked = {"branch_id": business.branch, "service_id": business.service, "from": "2031-01-06", "to": "2031-01-06"}
    answer = api.get("/availability", query_string=asked | more).json
    return [slot["start"][11:16] for slot in answer["items"]]


def test_what_is_set_is_what_is_offered(api: Api, business: Business) -> None:
    """6 January 2031 is a Monday; Mexico City is six hours behind UTC."""
    assert api.patch("/booking-policy", {"slot_step_minutes": 60, "horizon_days": None}).json == {
        "minimum_notice_minutes": 0,
        "cancel_notice_minutes": 0,
        "horizon_days": None,
        "slot_step_minutes": 60,
        "confirmation": "client",
    }
    path = f"/branches/{business.branch}/hours"
    assert api.get(path).json == {"blocks": []}
    assert len(offered(api, business)) == 24
    afternoon = {"weekday": 0, "from": "16:00", "until": "18:00"}
    shown = api.put(path, {"blocks": [afternoon, MORNING]}).json
    rest = {"branch_id": business.branch, "valid_from": None, "valid_until": None}
    assert shown == {"blocks": [MORNING | rest, afternoon | rest]}
    assert api.get(path).json == shown
    assert offered(api, business) == ["15:00", "16:00", "17:00", "18:00", "19:00", "22:00", "23:00"]
    own = {"weekday": 0, "from": "10:00", "until": "12:00", "branch_id": business.branch}
    who = f"/professionals/{business.professional}/hours"
    assert api.put(who, {"blocks": [own]}).json == {"blocks": [own | {"valid_from": None, "valid_until": None}]}
    assert offered(api, business) == ["16:00", "17:00"]
    assert api.put(who, {"blocks": []}).json == {"blocks": []}
    away = {
        "professional_id": business.professional,
        "start": "2031-01-06T10:00:00-06:00",
        "end": "2031-01-06T23:00:00-06:00",
        "reason": "curso",
    }
    away = api.post("/time-off", away).json
    assert offered(api, business) == ["15:00"]
    assert away in api.get(f"/time-off?professional_id={business.professional}").json["items"]
    assert api.delete(f"/time-off/{away['id']}").status_code == 204
    closed = api.post("/closures", {"first_day": "2031-01-06", "branch_id": business.branch, "name": "Reyes"}).json
    assert closed["last_day"] == "2031-01-06"
    assert offered(api, business) == []
    assert api.delete(f"/closures/{closed['id']}").status_code == 204
    assert len(offered(api, business)) == 7
    other = api.post("/professionals", {"name": "Marco"}).json["id"]
    named = api.put(f"/services/{business.service}/professionals", {"items": [{"professional_id": other}] * 2}).json
    assert named == {"items": [{"professional_id": other, "branch_id": None}]}
    assert api.get(f"/services/{business.service}/professionals").json == named
    assert offered(api, business, professional_id=business.professional) == []
    assert len(offered(api, business)) == 7
