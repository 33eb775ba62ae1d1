"""Signing in, staying signed in, and guessing."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from citaplanner_core.booking.models import Tenant
from citaplanner_core.crypto import hash_token
from citaplanner_core.database import system_work, utcnow, work
from citaplanner_core.testing.factories import make_tenant
from citaplanner_core.web import logins
from citaplanner_core.web.addresses import client_address
from citaplanner_core.web.admin import guessing, sessions
from citaplanner_core.web.admin.guessing import SignInGuess
from citaplanner_core.web.admin.sessions import StaffSession
from citaplanner_core.web.logins import Login, find_login, set_password
from citaplanner_core.web.roles import MEANINGS, ROLES
from tests.core.web.admin.support import PASSWORD, Desk, desk_of, make_login

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"])
"""For what does not depend on the database."""

WRONG = "no son correctos"
WAIT = "demasiados intentos"
DOCS = Path(__file__).parents[4] / "docs" / "staff.md"


@pytest.fixture
def owner(tenant: int) -> str:
    return make_login(tenant, "owner", "ana@clinic.example")


def test_a_password_opens_the_agenda_and_only_a_hash_of_the_session_is_kept(
    app: Flask, tenant: int, owner: str
) -> None:
    desk = Desk(app)
    assert "Entrar" in desk.get("/admin/").text
    answer = desk.sign_in("  ANA@clinic.example ", follow=False)
    assert answer.headers["Location"] == "/admin/"
    set_at = [*answer.headers.getlist("Set-Cookie"), *Desk(app).get("/admin/sign-in").headers.getlist("Set-Cookie")]
    cookies = {cookie.partition("=")[0]: cookie for cookie in set_at}
    assert cookies.keys() == {"citaplanner_staff", "citaplanner_browser", "session"}
    assert all(word in cookie for cookie in cookies.values() for word in ("Secure", "HttpOnly", "SameSite=Lax"))
    token = cookies["citaplanner_staff"].partition("=")[2].partition(";")[0]
    with work(tenant, write=False) as session:
        assert session.scalars(select(StaffSession.token_hash)).all() == [hash_token(token)]
    assert "Clinic" in desk.get("/admin/").text


@on_sqlite
def test_what_was_asked_for_comes_after_signing_in_but_never_another_site(app: Flask, owner: str) -> None:
    desk = Desk(app)
    asked = desk.get("/admin/clients?q=ana", follow=False)
    assert asked.headers["Location"] == "/admin/sign-in?next=/admin/clients?q%3Dana"
    for target, leads_to in (
        ("/admin/clients?q=ana", "/admin/clients?q=ana"),
        ("https://evil.example/admin/", "/admin/"),
        ("//evil.example/admin/", "/admin/"),
        ("/admin/\\evil.example", "/admin/"),
        ("/admin/\r\nX: 1", "/admin/"),
        ("/api/v1/clients", "/admin/"),
    ):
        assert Desk(app).sign_in(owner, follow=False, next=target).headers["Location"] == leads_to


@on_sqlite
def test_wrong_passwords_and_unknown_addresses_are_answered_alike(
    app: Flask, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    verified = logins._verified

    def look(password_hash: str, password: str) -> bool:
        looked_at.append(password)
        return verified(password_hash, password)

    monkeypatch.setattr(logins, "_verified", look)
    known, unknown = Desk(app).sign_in(owner, "wrong password"), Desk(app).sign_in("nobody@clinic.example", "wrong one")
    assert known.status_code == unknown.status_code == 422
    assert WRONG in known.text
    assert WRONG in unknown.text
    assert "wrong password" not in known.text
    assert looked_at == ["wrong password", "wrong password", "wrong one", "wrong one"], "in the same time"


@on_sqlite
def test_a_business_that_is_not_active_lets_nobody_in(app: Flask, tenant: int, owner: str) -> None:
    desk = Desk(app)
    desk.sign_in(owner)
    with system_work("test", write=True) as session:
        session.execute(update(Tenant).values(active=False))
    assert desk.get("/admin/", follow=False).status_code == 303
    assert WRONG in desk.sign_in(owner).text


@on_sqlite
def test_one_address_in_two_businesses_is_asked_which(app: Flask, tenant: int, owner: str) -> None:
    spa = make_tenant("spa")
    make_login(spa, "staff", owner)
    make_login(make_tenant("gym"), "staff", owner, "another password")
    desk = Desk(app)
    page = desk.sign_in(owner, next="/admin/account")
    assert "¿A qué negocio" in page.text
    assert ("Clinic" in page.text, "Spa" in page.text, "Gym" in page.text) == (True, True, False)
    gym = desk.post("/admin/businesses", {"business": str(spa + 1)})
    assert "¿A qué negocio" not in gym.text, "only what the password opens"
    desk.sign_in(owner)
    assert "Atender la agenda" in desk.post("/admin/businesses", {"business": str(spa), "next": "/admin/account"}).text
    assert "Gym" in Desk(app).sign_in(owner, "another password").text
    with time_machine.travel(utcnow() + timedelta(minutes=6)):
        late = Desk(app)
        with time_machine.travel(utcnow() - timedelta(minutes=6)):
            late.sign_in(owner)
        assert "Contraseña" in late.post("/admin/businesses", {"business": str(spa)}).text


def test_guessing_waits_longer_each_time_and_never_for_good(app: Flask, owner: str) -> None:
    desk = Desk(app)
    answers = [desk.sign_in(owner, "wrong password").status_code for _ in range(7)]
    assert answers == [422] * 5 + [429] * 2
    refused = desk.sign_in(owner)
    assert refused.status_code == 429, "the right password waits, too: guesses are not looked at"
    assert WAIT in refused.text
    assert 0 < int(refused.headers["Retry-After"]) <= 31
    with time_machine.travel(utcnow() + guessing.FIRST_WAIT + timedelta(seconds=1), tick=False):
        assert desk.sign_in(owner, "wrong password").status_code == 422
        assert int(desk.sign_in(owner).headers["Retry-After"]) > 31
    for hours in (1, 2, 3):
        with time_machine.travel(utcnow() + timedelta(hours=hours), tick=False):
            desk.sign_in(owner, "wrong password")
            waits = desk.sign_in(owner)
            assert int(waits.headers["Retry-After"]) <= guessing.LONGEST_WAIT.total_seconds() + 1
    with time_machine.travel(utcnow() + timedelta(hours=4), tick=False):
        assert "Salir" in desk.sign_in(owner).text


@on_sqlite
def test_unknown_addresses_wait_alike(app: Flask) -> None:
    desk = Desk(app)
    answers = [desk.sign_in("nobody@clinic.example", "wrong password").status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]


@on_sqlite
def test_the_owners_own_browser_gets_in_while_somebody_else_guesses(app: Flask, tenant: int, owner: str) -> None:
    own, thief = Desk(app), Desk(app)
    own.sign_in(owner)
    own.sign_out()
    for _ in range(6):
        thief.sign_in(owner, "wrong password")
    assert thief.sign_in(owner).status_code == 429
    assert "Salir" in own.sign_in(owner).text
    for _ in range(6):
        own.sign_out()
        own.sign_in(owner, "wrong password")
    assert own.sign_in(owner).status_code == 429, "what a browser guesses is counted by itself"


@on_sqlite
def test_an_address_that_tries_many_names_waits(app: Flask, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(guessing.FREE, "address", 4)
    here: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}}
    answers = []
    for number in range(5):
        form = {"email": f"x{number}@clinic.example", "password": "wrong password"}
        answers.append(Desk(app).post("/admin/sign-in", form, headers={"X-Forwarded-For": "1.1.1.1, 9.9.9.9"}, **here))
    assert [answer.status_code for answer in answers] == [422] * 4 + [429]
    form = {"email": owner, "password": PASSWORD}
    others = Desk(app).post("/admin/sign-in", form, headers={"X-Forwarded-For": "203.0.113.10"}, **here)
    assert others.status_code == 200
    public: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "9.9.9.9"}}
    lying = Desk(app).post("/admin/sign-in", form, headers={"X-Forwarded-For": "198.51.100.1"}, **public)
    assert lying.status_code == 429, "only a proxy of our own is believed"


@on_sqlite
@pytest.mark.parametrize(
    ("peer", "address"),
    [("127.0.0.1", "9.9.9.9"), ("::1", "9.9.9.9"), ("10.0.0.1", "10.0.0.1"), ("8.8.8.8", "8.8.8.8")],
)
def test_only_a_proxy_that_is_named_says_where_somebody_is(app: Flask, peer: str, address: str) -> None:
    headers = {"X-Forwarded-For": "1.1.1.1, 9.9.9.9"}
    with app.test_request_context(headers=headers, environ_base={"REMOTE_ADDR": peer}):
        assert client_address() == address


def test_a_right_password_forgives_the_login_but_not_the_address(app: Flask, owner: str) -> None:
    for _ in range(4):
        Desk(app).sign_in(owner, "wrong password")
    Desk(app).sign_in(owner)
    with system_work("test") as session:
        assert sorted(session.scalars(select(SignInGuess.failures))) == [0, 4]
    with time_machine.travel(utcnow() + guessing.FORGOTTEN + timedelta(minutes=1)):
        Desk(app).sign_in(owner)
        with system_work("test") as session:
            assert sorted(session.scalars(select(SignInGuess.failures))) == [0, 0]


@on_sqlite
@pytest.mark.parametrize("step", [timedelta(hours=9), timedelta(hours=6)])
def test_sessions_end_by_idleness_and_in_any_case(app: Flask, tenant: int, owner: str, step: timedelta) -> None:
    desk = Desk(app)
    desk.sign_in(owner)
    begun = now = utcnow()
    while True:
        now += step
        with time_machine.travel(now, tick=False):
            if desk.get("/admin/account", follow=False).status_code == 303:
                break
    lasted = now - begun
    assert lasted == step if step > sessions.IDLE else sessions.ABSOLUTE <= lasted <= sessions.ABSOLUTE + step
    with time_machine.travel(now, tick=False):
        desk.sign_in(owner)
        with work(tenant, write=False) as session:
            assert session.scalar(select(func.count(StaffSession.id))) == 1, "what has lapsed is deleted"


@on_sqlite
def test_what_was_typed_outlives_the_session(app: Flask, tenant: int, owner: str) -> None:
    desk = Desk(app)
    desk.sign_in(owner)
    with time_machine.travel(utcnow() + sessions.IDLE + timedelta(minutes=1), tick=False):
        lapsed = desk.post("/admin/people", {"name": 'Ida "Sol"'})
        assert (lapsed.status_code, 'value="Ida &#34;Sol&#34;"' in lapsed.text) == (401, True)
        assert 'action="/admin/people"' in lapsed.text
        assert desk.post("/admin/people", {"name": "Ida"}, token="").status_code == 400, "not offered to other sites"
        secret = desk.post("/admin/account/password", {"old": PASSWORD, "new": "x", "again": "x"})
        assert (secret.status_code, PASSWORD in secret.text) == (401, False)
        desk.sign_in(owner)
        assert "Ida &#34;Sol&#34;" in desk.post("/admin/people", {"name": 'Ida "Sol"'}).text


@on_sqlite
def test_signing_out_ends_the_session_in_the_database(app: Flask, tenant: int, owner: str) -> None:
    desk = Desk(app)
    desk.sign_in(owner)
    kept = desk.client.get_cookie("citaplanner_staff", domain="citas.example", path="/admin/")
    assert kept is not None
    assert "Contraseña" in desk.sign_out().text
    desk.client.set_cookie("citaplanner_staff", kept.value, domain="citas.example", path="/admin/")
    assert desk.get("/admin/", follow=False).status_code == 303


def test_another_password_ends_the_other_sessions(app: Flask, tenant: int, owner: str) -> None:
    here, there = Desk(app), Desk(app)
    here.sign_in(owner)
    there.sign_in(owner)
    new = "otra frase bastante larga"
    change = "/admin/account/password"
    assert here.post(change, {"old": "wrong password", "new": new, "again": new}).status_code == 422
    assert "No es igual" in here.post(change, {"old": PASSWORD, "new": new, "again": new + "x"}).text
    assert here.post(change, {"old": PASSWORD, "new": "corta", "again": "corta"}).status_code == 422
    assert there.get("/admin/", follow=False).status_code == 200
    assert "cambiaste tu contraseña" in here.post(change, {"old": PASSWORD, "new": new, "again": new}).text
    assert here.get("/admin/", follow=False).status_code == 200
    assert there.get("/admin/", follow=False).status_code == 303
    assert WRONG in there.sign_in(owner).text
    assert "Salir" in there.sign_in(owner, new).text


@on_sqlite
def test_the_old_password_cannot_be_guessed_in_an_open_session(app: Flask, tenant: int) -> None:
    desk = desk_of(app, tenant)
    form = {"old": "wrong password", "new": "otra frase bastante larga", "again": "otra frase bastante larga"}
    assert [desk.post("/admin/account/password", form).status_code for _ in range(6)] == [422] * 5 + [429]


def test_a_login_that_is_removed_or_changed_is_so_at_once(app: Flask, tenant: int, owner: str) -> None:
    desk = Desk(app)
    desk.sign_in(owner)
    with work(tenant) as session:
        find_login(session, owner).role = "read-only"
    assert desk.get("/admin/services/new").status_code == 403
    with work(tenant) as session:
        set_password(find_login(session, owner), "somebody changed it")
        session.delete(session.scalars(select(Login)).one())
    assert desk.get("/admin/", follow=False).status_code == 303


def test_the_documentation_has_the_table_of_roles() -> None:
    lines = [line.strip("| ").split(" | ") for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| ")]
    table = {cells[0].strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}
    assert table["role"] == list(MEANINGS.values())
    for role, abilities in ROLES.items():
        assert table[role] == ["yes" if ability in abilities else "no" for ability in MEANINGS]
