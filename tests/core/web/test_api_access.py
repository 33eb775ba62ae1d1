"""Who gets in, and that nobody sees, changes or learns of another tenant's rows. Every route is tried, new ones too."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import time_machine
from flask import Flask
from sqlalchemy import event, select, update

from citaplanner_core.booking.models import Appointment
from citaplanner_core.database import db, utcnow, work
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import make_appointment
from citaplanner_core.web.api.base import OPEN
from citaplanner_core.web.api.document import openapi
from citaplanner_core.web.logins import SCOPES, ApiToken, create_token
from tests.core.web.support import Api, Business, refusal, tomorrow

ABSENT = 999_999_999


def routes(app: Flask) -> Iterator[tuple[str, str, set[str]]]:
    """Method, path after /api/v1, and names of arguments of everything that needs a token."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint not in OPEN:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, rule.rule.removeprefix("/api/v1"), set(rule.arguments)


def filled(path: str, ids: dict[str, Any]) -> str:
    for name, value in ids.items():
        path = path.replace(f"<int:{name}>", str(value)).replace(f"<{name}>", str(value))
    assert "<" not in path, f"tell Business.ids what stands for the arguments of {path}"
    return path


def described(method: str, path: str) -> dict[str, Any]:
    """What the document says about a route."""
    found: dict[str, Any] = openapi()["paths"]["/api/v1" + re.sub(r"<(?:int:)?(\w+)>", r"{\1}", path)][method.lower()]
    return found


def schema_of(holder: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body or an answer."""
    reference: str = holder["content"]["application/json"]["schema"]["$ref"]
    found: dict[str, Any] = openapi()["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def smallest_body(method: str, path: str) -> dict[str, Any]:
    """A body with everything that a route requires, so that it comes to look for the id in its address."""
    call = described(method, path)
    if "requestBody" not in call:
        return {}
    schema = schema_of(call["requestBody"])
    samples = {"array": [], "integer": 1, "string": "55 1234 5678"}
    required = {name: schema["properties"][name] for name in schema.get("required", ())}
    return {
        name: tomorrow(20).isoformat() if about.get("format") == "date-time" else samples[about["type"]]
        for name, about in required.items()
    }


def test_there_are_the_routes_that_are_promised(app: Flask) -> None:
    promised = {"appointments", "availability", "clients", "services", "professionals", "branches", "notifications"}
    assert promised <= {path.split("/")[1] for _, path, _ in routes(app)}
    assert len(list(routes(app))) >= 17


def test_without_a_good_token_every_route_answers_401(app: Flask, business: Business) -> None:
    token = business.api.headers["Authorization"].removeprefix("Bearer ")
    for authorization in (None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {token}", token):
        headers = {"Authorization": authorization} if authorization else {}
        for method, path, _ in routes(app):
            answer = Api(app, None)(method, filled(path, business.ids), headers=headers)
            assert answer.status_code == 401, (method, path, authorization)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "tokens create" in answer.text


def test_a_revoked_token_does_not_get_in(business: Business) -> None:
    assert business.api.get("/clients").status_code == 200
    with work(business.tenant) as session:
        session.execute(update(ApiToken).values(revoked_at=utcnow()))
    assert business.api.get("/clients").status_code == 401


def test_a_token_does_what_its_scopes_say(app: Flask, business: Business) -> None:
    bearers = {}
    for scope in SCOPES:
        with work(business.tenant) as session:
            bearers[scope] = Api(app, create_token(session, scope, [scope]))
    for method, path, _ in routes(app):
        refused = {
            scope: bearer(method, filled(path, business.ids), **({"json": {}} if method != "GET" else {}))
            for scope, bearer in bearers.items()
        }
        allowed = [scope for scope, answer in refused.items() if answer.status_code != 403]
        assert len(allowed) == 1, (method, path, allowed)
        assert (allowed == ["read"]) == (method == "GET"), (method, path, allowed)
        assert described(method, path)["security"] == [{"bearer": allowed}]
        assert f"--scope {allowed[0]}" in next(a.text for a in refused.values() if a.status_code == 403)


def test_the_use_of_a_token_is_noted(business: Business) -> None:
    def used() -> datetime | None:
        with work(business.tenant, write=False) as session:
            return session.scalars(select(ApiToken.last_used_at)).one()

    assert used() is None
    business.api.get("/clients")
    first = used()
    assert first is not None
    with time_machine.travel(first + timedelta(minutes=4), tick=False):
        business.api.get("/clients")
        assert used() == first
    with time_machine.travel(first + timedelta(minutes=6), tick=False):
        business.api.get("/clients")
        assert used() == first + timedelta(minutes=6)


def test_another_tenants_ids_are_unknown_to_every_route(app: Flask, business: Business, other: Business) -> None:
    before = state(other)
    for method, path, arguments in routes(app):
        if not arguments or "name" in arguments:  # names are the tenant's own
            continue
        given: dict[str, Any] = {"json": smallest_body(method, path)} if method != "GET" else {}
        for argument in arguments:
            foreign = business.api(method, filled(path, business.ids | {argument: other.ids[argument]}), **given)
            absent = business.api(method, filled(path, business.ids | {argument: ABSENT}), **given)
            assert foreign.status_code == 404, (method, path, foreign.text)
            assert foreign.text == absent.text.replace(str(ABSENT), str(other.ids[argument])), path
    assert state(other) == before


def test_lists_hold_ones_own_rows_and_no_others(app: Flask, business: Business, other: Business) -> None:
    for method, path, arguments in routes(app):
        if method != "GET" or arguments:
            continue
        if "next" in schema_of(described(method, path)["responses"]["200"])["properties"]:
            found = [{item["id"] for item in one.api.get(path).json["items"]} for one in (business, other)]
            assert all(found), path
            assert not found[0] & found[1], path


def named_ids(method: str, path: str) -> Iterator[tuple[str, str]]:
    """Where else than in its address a route takes ids: ("query" or "body", name)."""
    call = described(method, path)
    for parameter in call["parameters"]:
        if parameter["in"] == "query" and parameter["name"].endswith("_id"):
            yield "query", parameter["name"]
    if "requestBody" in call:
        for name in schema_of(call["requestBody"])["properties"]:
            if name.endswith("_id"):
                yield "body", name


def test_an_id_of_another_tenant_is_answered_as_one_that_is_not_there(business: Business, other: Business) -> None:
    """In every query and every body of the document, new ones too."""
    names = ("recipient_id", "responsible_id", "merged_id")
    ids, theirs = ({**one.ids, **dict.fromkeys(names, one.client)} for one in (business, other))
    before = state(other)
    tried = 0
    for method, path, arguments in routes(business.api.app):
        if "name" in arguments:
            continue
        for place, name in named_ids(method, path):
            whole = smallest_body(method, path) if method != "GET" else {}
            whole |= {field: ids[field] for field in whole if field.endswith("_id")}
            start = {"start": tomorrow(20).isoformat(), "end": tomorrow(22).isoformat()}
            given = {field: ids[field] for where, field in named_ids(method, path) if where == "query"} | (
                {"from": start["start"], "to": start["end"]} if path == "/availability" else {}
            )
            answers = []
            for foreign in (theirs[name], ABSENT):
                body = whole | ({name: foreign} if place == "body" else {})
                query = given | ({name: foreign} if place == "query" else {})
                sent = {} if method == "GET" else {"json": body}
                answer = business.api(method, filled(path, ids), query_string=query, **sent)
                answers.append((answer.status_code, re.sub(rf"\b{foreign}\b", "ID", answer.text)))
            assert answers[0] == answers[1], (method, path, name)
            assert answers[0][0] in (200, 404, 422), answers[0]
            assert answers[0][0] != 200 or place == "query", answers[0]
            tried += 1
    assert tried >= 15
    assert state(other) == before


def test_a_body_cannot_name_another_tenants_rows(business: Business, other: Business) -> None:
    for row in ("client", "service", "professional", "branch"):
        field, foreign = f"{row}_id", getattr(other, row)
        assert refusal(business.api.post("/appointments", business.booking(**{field: foreign}))) == (404, field)
        if row != "client":
            move = {"start": tomorrow(20).isoformat(), field: foreign}
            moved = business.api.post(f"/appointments/{business.appointment}/reschedule", move)
            assert refusal(moved) == (404, field)
    for field, foreign in (("recipient_id", other.client), ("appointment_id", other.appointment)):
        assert refusal(business.api.post("/notifications", business.message(**{field: foreign}))) == (422, field)
    block = {"weekday": 0, "from": "09:00", "until": "14:00", "branch_id": other.branch}
    hours = business.api.put(f"/professionals/{business.professional}/hours", {"blocks": [block]})
    assert refusal(hours) == (404, "blocks.0.branch_id")
    for giver, field in (
        ({"professional_id": other.professional}, "professional_id"),
        ({"professional_id": business.professional, "branch_id": other.branch}, "branch_id"),
    ):
        named = business.api.put(f"/services/{business.service}/professionals", {"items": [giver]})
        assert refusal(named) == (404, f"items.0.{field}")
    away = {"professional_id": other.professional, "start": tomorrow(1).isoformat(), "end": tomorrow(2).isoformat()}
    assert refusal(business.api.post("/time-off", away)) == (404, "professional_id")
    closed = business.api.post("/closures", {"first_day": "2031-01-01", "branch_id": other.branch})
    assert refusal(closed) == (404, "branch_id")
    assert business.api.get(f"/time-off?professional_id={other.professional}").json["items"] == []


def test_a_phone_that_two_tenants_have_finds_ones_own_client(business: Business, other: Business) -> None:
    made = [
        one.api.post("/clients", {"first_name": "Ana", "phones": ["55 1234 5678"]}).json for one in (business, other)
    ]
    for one, client in zip((business, other), made, strict=True):
        assert [item["id"] for item in one.api.get("/clients?phone=5512345678").json["items"]] == [client["id"]]


def test_a_list_makes_as_many_queries_with_many_rows_as_with_few(business: Business) -> None:
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    def asked(path: str) -> int:
        statements.clear()
        assert business.api.get(path).json["items"]
        return len(statements)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        asked("/clients")  # the first call of a token notes that it is used
        few = {path: asked(path) for path in ("/clients", "/appointments")}
        with work(business.tenant) as session:
            for hour in range(6):
                make_appointment(session, start=tomorrow(1) + timedelta(hours=hour))
        assert {path: asked(path) for path in few} == few
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_two_tenants_may_use_the_same_idempotency_key(business: Business, other: Business) -> None:
    sent = [
        one.api.post("/notifications", one.message(), headers={"Idempotency-Key": "k1"}).json["notification_id"]
        for one in (business, other)
    ]
    assert sent[0] != sent[1]


def state(business: Business) -> tuple[object, ...]:
    with work(business.tenant, write=False) as session:
        appointment = session.get_one(Appointment, business.appointment)
        notification = session.get_one(Notification, business.notification)
        return appointment.status, appointment.version, appointment.start, notification.status
