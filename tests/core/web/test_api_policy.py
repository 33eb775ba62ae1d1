"""Rules, policy, what leaves soon, and what a client wants of messages, over the API."""

from sqlalchemy import select

from citaplanner_core.database import work
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.worker import run_due
from tests.core.web.support import Business, refusal


def names(business: Business) -> dict[str, bool]:
    return {rule["name"]: rule["active"] for rule in business.api.get("/notification-rules").json["items"]}


def test_rules_are_listed_put_and_taken_away(business: Business) -> None:
    api = business.api
    assert names(business) == {
        **dict.fromkeys(
            ("confirmation", "reminder:1440", "reminder:60", "reschedule", "cancellation", "no_show"), True
        ),
        "feedback": False,
    }
    body = {"type": "appointment_reminder", "trigger": "days_before", "days": 1, "at": "18:00", "channels": ["LOG"]}
    answer = api("PUT", "/notification-rules/eve", json=body)
    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["type"], answer.json["channels"]) == (
        "eve",
        "APPOINTMENT_REMINDER",
        ["log"],
    )
    assert names(business)["eve"]
    assert refusal(api("PUT", "/notification-rules/eve", json=body | {"at": "late"})) == (422, "at")
    assert refusal(api("PUT", "/notification-rules/eve", json=body | {"services": [999]})) == (404, "services")
    assert refusal(api("PUT", "/notification-rules/eve", json={})) == (422, "type")
    assert api("DELETE", "/notification-rules/eve").status_code == 200
    assert "eve" not in names(business)
    assert refusal(api("DELETE", "/notification-rules/eve")) == (404, "name")
    assert refusal(api("DELETE", "/notification-rules/reminder:60")) == (409, "name")


def test_a_rule_that_is_switched_off_takes_its_messages_back(business: Business) -> None:
    body = {"type": "APPOINTMENT_REMINDER", "trigger": "before_start", "minutes": 60, "enabled": False}
    assert business.api("PUT", "/notification-rules/reminder:60", json=body).json["active"] is False
    run_due(business.api.app)
    with work(business.tenant, write=False) as session:
        found = session.scalars(select(Notification.status).where(Notification.rule == "reminder:60")).all()
    assert found == ["SUPERSEDED"]


def test_policy(business: Business) -> None:
    api = business.api
    assert api.get("/notification-policy").json == {
        "quiet_from": None,
        "quiet_until": None,
        "daily_limit": None,
        "feedback_url": None,
    }
    answer = api("PATCH", "/notification-policy", json={"quiet_from": "21:00", "quiet_until": "08:00"})
    assert answer.json == api.get("/notification-policy").json
    assert (answer.json["quiet_from"], answer.json["daily_limit"]) == ("21:00", None)
    assert refusal(api("PATCH", "/notification-policy", json={"daily_limit": -1})) == (422, "daily_limit")
    assert refusal(api("PATCH", "/notification-policy", json={"quiet_from": None})) == (422, "quiet_from")


def test_upcoming(business: Business) -> None:
    found = business.api.get("/notifications/upcoming").json
    assert found["hours"] == 48
    assert found["total"] == sum(found["by_type"].values()) > 0
    assert refusal(business.api.get("/notifications/upcoming?hours=0")) == (422, "hours")


def test_what_a_client_wants(business: Business) -> None:
    api, path = business.api, f"/clients/{business.client}"
    other = api.post("/clients", {"first_name": "Laura"}).json["id"]
    given = {
        "do_not_message": True,
        "preferred_channel": "EMAIL",
        "responsible_id": other,
        "consents": [{"given": True, "source": "booking form", "channel": "email"}],
    }
    answer = api("PATCH", path, json=given)
    assert answer.status_code == 200
    assert answer.json == api.get(path).json
    assert answer.json["preferred_channel"] == "email"
    assert answer.json["responsible_id"] == other
    assert answer.json["consents"][0]["source"] == "booking form"
    assert api("PATCH", path, json={"do_not_message": False}).json["responsible_id"] == other
    assert api("PATCH", path, json={"responsible_id": None}).json["responsible_id"] is None
    assert refusal(api("PATCH", path, json={"responsible_id": business.client})) == (422, "responsible_id")
    assert refusal(api("PATCH", path, json={"responsible_id": 9999})) == (404, "responsible_id")
    assert refusal(api("PATCH", path, json={"preferred_channel": "pigeon"})) == (422, "channel")
    assert refusal(api("PATCH", path, json={"nickname": "x"})) == (422, "nickname")
    assert api.get(path).json["do_not_message"] is False
