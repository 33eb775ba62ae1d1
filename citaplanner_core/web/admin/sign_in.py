"""`/admin/sign-in`: e-mail and password; one e-mail with logins in several businesses is asked which."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from flask import Response, current_app, g, request, session
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeTimedSerializer

from citaplanner_core.config import Config
from citaplanner_core.crypto import hash_token
from citaplanner_core.database import utcnow, work
from citaplanner_core.web.addresses import client_address
from citaplanner_core.web.admin import guessing, sessions
from citaplanner_core.web.admin.base import COOKIE, OPEN, SELF, go, page, route, say_span, staff
from citaplanner_core.web.logins import Entrance, entrances

BROWSER_COOKIE = "citaplanner_browser"
BROWSER_KNOWN = timedelta(days=180)
TO_CHOOSE = timedelta(minutes=5)


@route("/sign-in", may=OPEN)
def sign_in() -> ResponseReturnValue:
    """Ask for e-mail and password."""
    return go("day") if g.staff else page("sign_in.html", given={}, next=_next())


@route("/sign-in", may=OPEN, method="POST")
def enter() -> ResponseReturnValue:
    """Sign in, ask which business, or say that it was wrong: the same for an e-mail nobody has."""
    email, password = request.form.get("email", "").strip().lower()[:320], request.form.get("password", "")
    counted = _counted(email)
    wait = guessing.count(counted)
    if wait is not None:
        refused = page("sign_in.html", status=429, given={"email": email}, next=_next(), wait=say_span(wait))
        refused.headers["Retry-After"] = str(int(wait.total_seconds()) + 1)
        return refused
    found = entrances(email, password)
    if not found:
        return page("sign_in.html", status=422, given={"email": email}, next=_next(), wrong=True)
    guessing.forgive(counted)
    if len(found) == 1:
        return _begin(found[0], email)
    session["entrances"] = {
        "email": email,
        "until": (utcnow() + TO_CHOOSE).isoformat(),
        "found": [[one.login_id, one.tenant_id, one.business] for one in found],
    }
    return go("businesses", next=_next())


@route("/businesses", may=OPEN)
def businesses() -> ResponseReturnValue:
    """Ask which business to enter, after a password that several have."""
    found = _found()
    return page("businesses.html", found=found, next=_next()) if found else go("sign_in", next=_next())


@route("/businesses", may=OPEN, method="POST")
def choose_business() -> ResponseReturnValue:
    """Enter one of the businesses that the password opened."""
    chosen = [one for one in _found() if str(one.tenant_id) == request.form.get("business")]
    if not chosen:
        return go("sign_in", next=_next())
    return _begin(chosen[0], session.pop("entrances")["email"])


@route("/sign-out", may=SELF, method="POST")
def sign_out() -> ResponseReturnValue:
    """End this session. The browser's form token ends with it."""
    with work(staff().tenant_id) as open_work:
        sessions.end(open_work, staff().session_id)
    language = session.get("language")
    session.clear()
    if language:
        session["language"] = language
    answer = go("sign_in")
    answer.delete_cookie(COOKIE, path="/admin/")
    return answer


def _begin(entrance: Entrance, email: str) -> Response:
    token = sessions.begin(entrance.tenant_id, entrance.login_id)
    target = _next()
    answer = go("day")
    if target:
        answer.headers["Location"] = target
    _set_cookie(answer, COOKIE, token, sessions.ABSOLUTE)
    known = _browser(email) or secrets.token_urlsafe(16)
    _set_cookie(answer, BROWSER_COOKIE, _signer().dumps([hash_token(email), known]), BROWSER_KNOWN)
    return answer


def _set_cookie(answer: Response, name: str, value: str, lasts: timedelta) -> None:
    config: Config = current_app.config["CITAPLANNER"]
    secure = config.base_url.startswith("https:")
    answer.set_cookie(name, value, max_age=lasts, path="/admin/", httponly=True, samesite="Lax", secure=secure)


def _next() -> str | None:
    """Where to go after signing in: an address of staff pages, never of another site."""
    target = request.values.get("next", "")
    strange = any(character in target for character in "\\\r\n\t") or not target.isprintable()
    return target if target.startswith("/admin/") and not strange and len(target) < 1000 else None


def _found() -> list[Entrance]:
    held: dict[str, Any] = session.get("entrances") or {}
    if not held or datetime.fromisoformat(held["until"]) < utcnow():
        return []
    return [Entrance(*one) for one in held["found"]]


def _counted(email: str) -> list[guessing.Counted]:
    known = _browser(email)
    return [("browser", known)] if known else [("login", email), ("address", client_address())]


def _browser(email: str) -> str | None:
    """What this browser is called, if somebody with this e-mail has signed in with it."""
    try:
        mail_hash, name = _signer().loads(
            request.cookies.get(BROWSER_COOKIE, ""), max_age=int(BROWSER_KNOWN.total_seconds())
        )
    except (BadSignature, ValueError):
        return None
    return str(name) if mail_hash == hash_token(email) else None


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        [*current_app.config["SECRET_KEY_FALLBACKS"][::-1], current_app.config["SECRET_KEY"]], salt="known browser"
    )
