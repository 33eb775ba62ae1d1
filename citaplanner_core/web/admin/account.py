"""`/admin/account`: who I am, what I may do, my password."""

from flask import request
from flask.typing import ResponseReturnValue

from citaplanner_core.database import work
from citaplanner_core.web.admin import guessing, sessions
from citaplanner_core.web.admin.base import SELF, go, page, route, say_span, staff, tell
from citaplanner_core.web.logins import SHORTEST_PASSWORD, Login, LoginError, is_password_of, set_password
from citaplanner_core.web.roles import ROLES


@route("/account", may=SELF)
def account() -> ResponseReturnValue:
    """Show who is signed in, and a form for another password."""
    return _account()


@route("/account/password", may=SELF, method="POST")
def change_password() -> ResponseReturnValue:
    """Take another password; the login's other sessions end."""
    old, new, again = (request.form.get(name, "") for name in ("old", "new", "again"))
    counted = [("password", str(staff().login_id))]
    wait = guessing.count(counted)
    if wait is not None:
        return _account(429, wait=say_span(wait))
    with work(staff().tenant_id, write=False) as session:
        right = is_password_of(session.get_one(Login, staff().login_id), old)
    if not right:
        return _account(422, wrong="old")
    guessing.forgive(counted)
    if new != again:
        return _account(422, wrong="again")
    try:
        with work(staff().tenant_id) as session:
            set_password(session.get_one(Login, staff().login_id), new)
            sessions.end_others(session, staff().login_id, but=staff().session_id)
    except LoginError:
        return _account(422, wrong="new")
    tell("password")
    return go("account")


def _account(status: int = 200, **values: object) -> ResponseReturnValue:
    shortest = SHORTEST_PASSWORD
    return page("account.html", status=status, abilities=ROLES.get(staff().role, ()), shortest=shortest, **values)
