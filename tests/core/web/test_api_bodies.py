"""What is no request at all is refused in plain words, never with a failure of ours."""

import json

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.web.support import Api, Business, make_business, refusal

JSON = {"Content-Type": "application/json"}

MALFORMED = [
    b"{",
    b'{"type": }',
    b"{'type': 1}",
    b'{"type": "PROMOTION",}',
    b'{"type": "PROMOTION"} x',
    b"nonsense",
    b"\xff\xfe\x00",
    b'{"type": "\xff"}',
    b"[" * 100_000,
    b'{"a": ' * 100_000,
    b'{"recipient_id": ' + b"9" * 5000 + b"}",
    b"\x00",
]

NO_OBJECT = [b"[]", b"null", b"0", b'""', b"false", b'"text"', b"[1, 2]", b"NaN"]


def test_what_is_no_json_is_a_400_that_says_so(api: Api) -> None:
    for body in MALFORMED:
        for path in ("/notifications", "/appointments", "/clients", "/appointments/1/confirm"):
            answer = api.post(path, data=body, headers=JSON)
            assert answer.status_code == 400, body[:40]
            assert answer.json["code"] == "malformed_json"
            assert "not JSON" in answer.json["detail"]


def test_json_that_is_no_object_is_refused(api: Api) -> None:
    for body in NO_OBJECT:
        for path in ("/notifications", "/appointments/1/confirm"):
            assert refusal(api.post(path, data=body, headers=JSON)) == (422, "body"), body


def test_another_kind_of_content_is_refused(business: Business, api: Api) -> None:
    body = json.dumps(business.message())
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"):
        for data in (body, ""):
            answer = api.post("/notifications", data=data, headers={"Content-Type": kind})
            assert answer.status_code == 415, kind
            assert "application/json" in answer.json["detail"]
    assert api.post("/notifications", data=body).status_code == 415
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON"):
        assert api.post("/notifications", data=body, headers={"Content-Type": kind}).status_code == 202


def test_nothing_is_an_empty_object(business: Business, api: Api) -> None:
    for headers in ({}, JSON):
        assert api.post(f"/appointments/{business.appointment}/confirm", headers=headers).status_code == 200
        assert refusal(api.post("/clients", headers=headers)) == (422, "first_name")


def test_too_much_is_refused(api: Api) -> None:
    answer = api.post("/clients", {"first_name": "x" * 1_000_000})
    assert answer.status_code == 413
    assert answer.json["code"]
    assert refusal(api.post("/clients", {"first_name": "x" * 900_000})) == (422, "first_name")


def test_without_a_token_the_body_does_not_matter(app: Flask) -> None:
    assert Api(app, None).post("/clients", data=b"{", headers=JSON).status_code == 401


def test_an_unknown_address_is_a_problem_too(app: Flask) -> None:
    for path in ("/api/v1/nothing", "/api/nothing", "/api/v1/clients/x", "/api/v1/clients/-1", "/api/v1/"):
        answer = app.test_client().get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
        assert "/api/v1/docs" in answer.text


def test_a_method_that_is_not_there_is_a_problem_that_names_those_that_are(app: Flask) -> None:
    answer = app.test_client().delete("/api/v1/clients")
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


texts = st.text(st.characters(exclude_categories=()), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
NAMES = {
    "/appointments": ["client_id", "service_id", "professional_id", "branch_id", "start", "booked_by", "notes"],
    "/clients": ["first_name", "last_name", "email", "phones", "language", "birthday", "notes"],
    "/notifications": ["type", "recipient_id", "channel", "message", "template", "variables", "appointment_id"],
}


@pytest.mark.parametrize("path", NAMES)
def test_no_body_makes_it_fail(app: Flask, path: str) -> None:
    business = make_business(app, "clinic")
    whole = {
        "/appointments": business.booking(),
        "/clients": {"first_name": "Ana"},
        "/notifications": business.message(),
    }

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(changed=st.dictionaries(st.sampled_from(NAMES[path]) | texts, values, min_size=1, max_size=3))
    def ask(changed: dict[str, object]) -> None:
        body = json.dumps(whole[path] | changed)
        answer = business.api.post(path, data=body, headers=JSON)
        assert answer.status_code < 500

    ask()
