"""Staff in a browser without script: signing in, and filling in forms by their labels."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from citaplanner_core.database import work
from citaplanner_core.web.logins import create_login

BASE = "https://citas.example"
"""The tests' public URL: cookies are for https alone."""
PASSWORD = "una frase bastante larga"


class Desk:
    """A member of staff at a browser. `get` and `post` follow where the answer leads."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._token = ""
        self.client: FlaskClient = app.test_client()

    def get(self, address: str, *, follow: bool = True, **options: Any) -> TestResponse:
        """Open an address."""
        return self._open("GET", address, follow_redirects=follow, **options)

    def post(
        self,
        address: str,
        form: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        follow: bool = True,
        **options: Any,
    ) -> TestResponse:
        """Send a form, with this browser's token unless one is given."""
        fields = {"csrf_token": self.token() if token is None else token} | (form or {})
        return self._open("POST", address, data=fields, follow_redirects=follow, **options)

    def _open(self, method: str, address: str, **options: Any) -> TestResponse:
        """Each request has what belongs to it (`g`) to itself, as it has outside of tests."""
        with self.app.app_context():
            return self.client.open(address, method=method, base_url=BASE, **options)

    def token(self) -> str:
        """The form token of this browser, as the sign-in page or any other has it."""
        if not self._token:
            text = self.get("/admin/account").text
            self._token = text.partition('name="csrf_token" value="')[2].partition('"')[0]
        return self._token

    def sign_out(self) -> TestResponse:
        """Sign out: the form token ends, too."""
        answer = self.post("/admin/sign-out")
        self._token = ""
        return answer

    def sign_in(self, email: str, password: str = PASSWORD, *, follow: bool = True, **form: Any) -> TestResponse:
        """Sign in."""
        return self.post("/admin/sign-in", {"email": email, "password": password, **form}, follow=follow)


def make_login(tenant: int, role: str, email: str | None = None, password: str = PASSWORD) -> str:
    """Make a login of the tenant, and return its e-mail."""
    email = email or f"{role}@{tenant}.example"
    with work(tenant) as session:
        create_login(session, email=email, name=f"Persona {role}", password=password, role=role)
    return email


def desk_of(app: Flask, tenant: int, role: str = "owner") -> Desk:
    """Somebody of the tenant's staff who has signed in."""
    desk = Desk(app)
    answer = desk.sign_in(make_login(tenant, role))
    assert "Salir" in answer.text, answer.text
    return desk
