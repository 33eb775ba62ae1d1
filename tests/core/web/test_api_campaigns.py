"""Campaigns and message settings over the API."""

from datetime import timedelta
from typing import Any

from flask import Flask

from citaplanner_core.database import work
from citaplanner_core.notifications.consents import record_consent
from citaplanner_core.testing.worker import run_due
from tests.core.web.support import Api, Business, refusal


def draft(**other: Any) -> dict[str, Any]:
    return {"name": "Noviembre", "message": "20 % para {cliente}", "channel": "log", "per_minute": 6000} | other


def agree(business: Business) -> None:
    with work(business.tenant) as session:
        record_consent(session, business.client, given=True, source="a form")


def test_from_draft_to_results(app: Flask, business: Business, api: Api) -> None:
    made = api.post("/campaigns", draft())
    path = f"/campaigns/{made.json['id']}"
    assert (made.status_code, made.json["state"], made.json["results"]) == (201, "DRAFT", {})
    out = api.get(f"{path}/estimate").json
    assert (out["members"], out["out"]) == (0, {"no_consent": 1})
    assert refusal(api.post(f"{path}/start")) == (409, "audience")
    agree(business)
    api("PUT", "/message-settings", json={"prices": {"log": "0.25"}, "monthly_cap": 10})
    estimate = api.get(f"{path}/estimate").json
    assert (estimate["members"], estimate["cost"], estimate["monthly_cap"]) == (1, "0.2500", "10.0000")
    (member,) = api.get(f"{path}/audience").json["items"]
    assert (member["is_in"], member["channel"], member["reasons"]) == (True, "log", [])
    changed = api("PUT", path, json=draft(message="30 %", audience={"min_visits": 1}))
    assert changed.json["audience"]["min_visits"] == 1
    assert api.get(f"{path}/audience").json["items"][0]["reasons"] == ["too_few_visits"]
    api("PUT", path, json=draft())
    assert api.post(f"{path}/test", {"client_id": business.client}).status_code == 202
    assert api.post(f"{path}/start").json["state"] == "RUNNING"
    assert api.post(f"{path}/start").status_code == 409
    assert api.post(f"{path}/pause").json["state"] == "PAUSED"
    assert api.post(f"{path}/resume").json["state"] == "RUNNING"
    run_due(app, within=timedelta(hours=12))
    shown = api.get(path).json
    assert shown["state"] in ("FINISHED", "RUNNING")
    assert sum(one["sent"] + one["waiting"] for one in shown["results"].values()) == 1
    assert made.json["id"] in [one["id"] for one in api.get("/campaigns").json["items"]]
    assert api.post(f"{path}/cancel").json["state"] == "CANCELLED"
    assert api.post(f"{path}/cancel").status_code == 409


def test_what_cannot_be_is_refused(business: Business, api: Api) -> None:
    before = api.get("/campaigns").json["items"]
    for given, field in (
        ({"message": "{{nobody}}"}, "message"),
        ({"channel": "fax"}, "channel"),
        ({"per_minute": 0}, "per_minute"),
        ({"audience": {"birthday": "week"}}, "audience.birthday"),
        ({"audience": {"no_visit_months": 0}}, "audience.no_visit_months"),
        ({"valid_until": 5}, "valid_until"),
        ({"name": " "}, "name"),
    ):
        assert refusal(api.post("/campaigns", draft(**given))) == (422, field), given
    assert api.get("/campaigns").json["items"] == before
    assert api.get("/campaigns/999/estimate").status_code == 404


def test_another_business_s_campaign_is_not_there(business: Business, other: Business) -> None:
    number = business.api.post("/campaigns", draft()).json["id"]
    for verb in ("start", "pause", "resume", "cancel"):
        assert other.api.post(f"/campaigns/{number}/{verb}").status_code == 404
    assert other.api.get(f"/campaigns/{number}").status_code == 404
    assert number not in [one["id"] for one in other.api.get("/campaigns").json["items"]]


def test_message_settings(business: Business, api: Api) -> None:
    unset = {"tone": "tu", "folds_sms": True, "prices": {}, "monthly_cap": None}
    assert api.get("/message-settings").json == unset
    given = {"tone": "usted", "folds_sms": False, "prices": {"LOG": "0.35"}, "monthly_cap": "99.5"}
    kept = api("PUT", "/message-settings", json=given).json
    assert kept == {"tone": "usted", "folds_sms": False, "prices": {"log": "0.35"}, "monthly_cap": "99.5000"}
    assert api.get("/message-settings").json == kept
    for wrong, field in (
        ({"tone": "vos"}, "tone"),
        ({"prices": {"fax": 1}}, "channel"),
        ({"prices": {"log": -1}}, "prices.log"),
        ({"monthly_cap": -1}, "monthly_cap"),
        ({"folds_sms": "yes"}, "folds_sms"),
    ):
        assert refusal(api("PUT", "/message-settings", json=wrong)) == (422, field), wrong
    assert api("PUT", "/message-settings", json={}).json == unset
