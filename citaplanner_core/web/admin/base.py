"""What all staff pages share: who may come in, forms that no other site can send, words, and refusals."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from babel import Locale
from babel.dates import format_timedelta
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    flash,
    g,
    get_flashed_messages,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect

from citaplanner_core.booking.errors import BookingError, Merged, NotFound
from citaplanner_core.config import Config
from citaplanner_core.notifications.catalogue import known_language, language, languages
from citaplanner_core.web.admin.sessions import Staff, staff_of
from citaplanner_core.web.roles import MEANINGS
from citaplanner_core.web.words import Words
from citaplanner_core.web.words import words as words_of

COOKIE = "citaplanner_staff"
OPEN = "open"
"""What a page needs that anybody may open: the sign-in."""
SELF = "self"
"""What a page needs that everybody who is signed in may use."""
MAX_BODY = 200_000
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

blueprint = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates")
csrf = CSRFProtect()
needs: dict[str, str] = {}
"""Endpoint -> what one must be allowed to do there: a word of `roles.MEANINGS`, `SELF` or `OPEN`."""


def init_csrf(app: Flask) -> None:
    """Give the app the token that forms of staff pages carry. Other pages and the API are asked for none."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # it lasts as long as the browser's session: forms stay open for hours
    app.config["WTF_CSRF_SSL_STRICT"] = False  # it wants a Referer, which our pages tell browsers not to send
    csrf.init_app(app)


def route(rule: str, *, may: str, method: str = "GET") -> Callable[[View], View]:
    """Register a staff page, and what it takes to use it."""
    assert may in (OPEN, SELF, *MEANINGS)

    def register(view: View) -> View:
        blueprint.add_url_rule(rule, view.__name__, view, methods=[method])
        needs[f"admin.{view.__name__}"] = may
        return view

    return register


@blueprint.before_request
def admit() -> ResponseReturnValue | None:
    """Let in who is signed in and may do what is asked, with a form of ours."""
    request.max_content_length = MAX_BODY
    needed = needs[request.endpoint or ""]
    token = request.cookies.get(COOKIE)
    g.staff = staff_of(token) if token else None
    if needed != OPEN:
        if g.staff is None and request.method == "GET":
            wanted = request.full_path.rstrip("?")
            return redirect(url_for("admin.sign_in", next=wanted if wanted != "/admin/" else None), 303)
        if g.staff is None:
            csrf.protect()  # what another site sends is not offered to be sent again
            return page("lapsed.html", status=401, fields=_fields(), address=request.path)
        if needed != SELF and not g.staff.may(needed):
            return refusal("not_allowed", 403)
    csrf.protect()
    return None


def _fields() -> list[tuple[str, str]]:
    """What was typed, to be sent again after signing in; nothing where passwords were."""
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    return [] if request.endpoint == "admin.change_password" else fields


def staff() -> Staff:
    """Return who is signed in."""
    found: Staff = g.staff
    return found


def code() -> str:
    """Return the language of this page: asked for, else chosen before, else the business's, else Spanish."""
    asked = request.args.get("lang", "")
    if asked in languages():
        session["language"] = asked
    chosen = session.get("language") or (g.staff.language if g.get("staff") else "")
    return known_language(chosen)


def words() -> Words:
    """Return the texts of staff pages in this page's language."""
    return words_of(code(), __package__)


def page(template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a staff page. Templates get the texts as `t`, who is signed in as `staff`, besides `values`."""
    config: Config = current_app.config["CITAPLANNER"]
    html = render_template(
        f"admin/{template}",
        t=words(),
        code=code(),
        staff=g.get("staff"),
        delivery=config.delivery,
        news=[_news(*one) for one in get_flashed_messages()],
        other_language=_other_language(),
        ids=_ids,
        name_of=_name_of,
        services_of=_services_of,
        language_names=_language_names,
        **values,
    )
    return make_response(html, status)


def tell(name: str, **values: object) -> None:
    """Have the next page say a text of the section `news`."""
    flash((name, values))  # type: ignore[arg-type]  # typed as text, but kept as any JSON and given back as it was


def go(endpoint: str, **values: Any) -> Response:
    """Send the browser on after a form, so that it cannot be sent twice."""
    return make_response(redirect(url_for(f"admin.{endpoint}", **values), 303))


def refusal(name: str, status: int) -> Response:
    """Return a page that only says something: title and text of the section `refusals`."""
    return page("refusal.html", status=status, name=name)


def say_span(span: timedelta) -> str:
    """Write a stretch of time in words, such as "2 minutos"."""
    locale = Locale.parse(language(code()).wording.locale)
    return format_timedelta(span, granularity="second", threshold=1, locale=locale)


def _ids(rows: Iterable[Any]) -> list[tuple[int, str]]:
    return [(row.id, row.name) for row in rows]


def _name_of(rows: Iterable[Any], row_id: int) -> str:
    return next((str(row.name) for row in rows if row.id == row_id), "")


def _services_of(rows: Iterable[Any], said: Words) -> list[tuple[int, str]]:
    minutes = said["services"]["minutes"]
    return [(row.id, f"{row.name} ({minutes.format(number=row.duration_minutes)})") for row in rows]


def _language_names(codes: Iterable[str]) -> list[tuple[str, str]]:
    here = language(code()).wording.locale
    return [(one, Locale.parse(one).get_display_name(here) or one) for one in codes]


def _news(name: str, values: dict[str, Any]) -> str:
    return words()["news"][name].format(**values)


def _other_language() -> str:
    """The address of this page in the other language, empty where it was sent by a form."""
    if request.method != "GET" or request.endpoint is None or not request.endpoint.startswith("admin."):
        return ""
    asked = request.args.to_dict() | {"lang": "en" if code() == "es" else "es"}
    return url_for(request.endpoint, **((request.view_args or {}) | asked))


@blueprint.errorhandler(CSRFError)
def _not_our_form(_error: CSRFError) -> Response:
    return refusal("form", 400)


@blueprint.errorhandler(Merged)
def _merged(error: Merged) -> Response:
    tell("merged" if request.method == "GET" else "merged_meanwhile")
    return go("client", client_id=error.into)


@blueprint.errorhandler(NotFound)
def _not_found(_error: NotFound) -> Response:
    return refusal("not_found", 404)


@blueprint.errorhandler(BookingError)
def _refused(_error: BookingError) -> Response:
    return refusal("refused", 422)
