"""Who may open what: every staff page as every role, as nobody, and with another tenant's ids. New pages, too."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from citaplanner_core.web.admin.base import OPEN, SELF, needs
from citaplanner_core.web.roles import ROLES
from tests.core.web.admin.support import Desk, desk_of
from tests.core.web.support import Business

ABSENT = 999_999_999
pytestmark = pytest.mark.parametrize("engine", ["sqlite"])
"""Who may come in is decided before any row is read."""


def routes(app: Flask) -> Iterator[tuple[str, str, str, set[str]]]:
    """Endpoint, method, path and names of arguments of every staff page."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin."):
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield rule.endpoint, method, rule.rule, set(rule.arguments)


def filled(path: str, ids: dict[str, Any]) -> str:
    for name, value in ids.items():
        path = path.replace(f"<int:{name}>", str(value))
    start, _, rest = path.partition("<any(")
    path = start + "cancel" + rest.partition(">")[2] if rest else path
    assert "<" not in path, f"tell Business.ids what stands for the arguments of {path}"
    return path


def test_every_page_says_what_it_takes(app: Flask) -> None:
    found = list(routes(app))
    assert len(found) > 40
    assert {endpoint for endpoint, *_ in found} == set(needs)
    assert {endpoint for endpoint, need in needs.items() if need == OPEN} == {
        "admin.sign_in",
        "admin.enter",
        "admin.businesses",
        "admin.choose_business",
    }
    for endpoint, method, _, _ in found:
        if method == "POST":
            assert needs[endpoint] in (OPEN, SELF, "book", "manage"), f"{endpoint} changes something"


def test_nobody_is_led_to_the_sign_in(app: Flask, business: Business) -> None:
    nobody = Desk(app)
    for endpoint, method, rule, _ in routes(app):
        if needs[endpoint] == OPEN:
            continue
        path = filled(rule, business.ids)
        if method == "GET":
            answer = nobody.get(path, follow=False)
            assert (answer.status_code, answer.headers["Location"][:14]) == (303, "/admin/sign-in"), path
        else:
            answer = nobody.post(path)
            assert answer.status_code == 401, path
            assert "Tu sesión terminó" in answer.text


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_the_table_says(app: Flask, business: Business, role: str) -> None:
    desk = desk_of(app, business.tenant, role)
    token = desk.token()
    for endpoint, method, rule, _ in sorted(routes(app), key=lambda one: one[1]):
        if endpoint in ("admin.sign_out", "admin.sign_in", "admin.enter") or needs[endpoint] == OPEN:
            continue
        allowed = needs[endpoint] == SELF or needs[endpoint] in ROLES[role]
        path = filled(rule, business.ids)
        answer = desk.get(path, follow=False) if method == "GET" else desk.post(path, token=token, follow=False)
        if not allowed:
            assert answer.status_code == 403, (role, path)
            assert "no permite esto" in answer.text
        elif method == "GET":
            assert answer.status_code in (200, 303), (role, path)
            assert len(answer.data) < 200_000
        else:
            assert answer.status_code in (303, 404, 409, 422), (role, path, answer.status_code)


def test_no_form_is_taken_without_its_token(app: Flask, business: Business) -> None:
    desk, other = desk_of(app, business.tenant), Desk(app)
    other.get("/admin/sign-in")
    foreign = other.get("/admin/sign-in").text.partition('name="csrf_token" value="')[2].partition('"')[0]
    assert foreign
    for endpoint, method, rule, _ in routes(app):
        if method != "POST":
            continue
        path = filled(rule, business.ids)
        for token in ("", "nonsense", foreign):
            answer = desk.post(path, token=token)
            assert answer.status_code == 400, (endpoint, token)
            assert "ya no sirve" in answer.text


def test_another_tenants_rows_are_not_found(app: Flask, business: Business, other: Business) -> None:
    desk = desk_of(app, business.tenant)
    token = desk.token()
    for endpoint, method, rule, arguments in routes(app):
        if not arguments - {"verb"}:
            continue
        for name in arguments - {"verb"}:
            for foreign in (other.ids[name], ABSENT, 2**63):
                path = filled(rule, business.ids | {name: foreign})
                form = {"first_name": "Eva", "name": "Eva", "duration_minutes": "30", "phone": "55 1234 5678"} | {
                    "buffer_before_minutes": "0",
                    "buffer_after_minutes": "0",
                    "version": "1",
                    "professional": str(business.professional),
                    "service": str(business.service),
                    "day": "2031-01-02",
                    "time": "10:00",
                    "anyway": "1",
                }
                answer = desk.get(path) if method == "GET" else desk.post(path, form, token=token)
                assert answer.status_code == 404, (endpoint, path, answer.status_code)


def test_what_other_sites_and_programs_use_asks_for_no_token(app: Flask, business: Business) -> None:
    client = app.test_client()
    assert client.post("/b/clinic", data={}).status_code == 303
    assert client.post("/api/webhooks/chatwoot", json={}).status_code == 400
    assert business.api.post("/services", {"name": "Corte", "duration_minutes": 30}).status_code == 201
