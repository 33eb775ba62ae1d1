"""The REST API, version 1: JSON in and out, problem details (RFC 9457) for every refusal."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template_string, request
from pydantic import ValidationError
from spectree import SecurityScheme, SpecTree
from spectree.models import SecureType, SecuritySchemeData
from werkzeug.exceptions import HTTPException

from citaplanner_core.booking.errors import BookingError, NotAllowed, NotFound, SlotTaken, StaleVersion
from citaplanner_core.notifications.service import NotificationRefused
from citaplanner_core.web.logins import tenant_of_token

PROBLEM = "application/problem+json"
CONFLICTS = (NotAllowed, SlotTaken, StaleVersion)

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


def problem(status: int, detail: str, *, code: str = "", field: str | None = None, **more: Any) -> Response:
    """Return problem details; `field` names what is wrong in the request."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body |= {"code": code} if code else {}
    body |= {"field": field} if field else {}
    return make_response(body | more, status, {"Content-Type": PROBLEM})


def _refuse_invalid(_request: Any, _response: Any, error: Exception | None, *_: Any) -> None:
    if isinstance(error, ValidationError):
        raise error


spec = SpecTree(
    "flask",
    title="CitaPlanner",
    version="1",
    path="openapi",
    mode="strict",
    page_templates={},
    before=_refuse_invalid,
    security_schemes=[SecurityScheme(name="bearer", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))],
    security={"bearer": []},
)


@blueprint.before_request
def authenticate() -> Response | None:
    """Let the token name the tenant."""
    if request.endpoint in ("api.document", "api.docs"):
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    tenant = tenant_of_token(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if tenant is None:
        refusal = problem(401, "send `Authorization: Bearer TOKEN`; make one with `citaplanner tokens create`")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    g.tenant_id = tenant
    return None


@blueprint.errorhandler(BookingError)
def _booking_error(error: BookingError) -> Response:
    status = 404 if isinstance(error, NotFound) else 409 if isinstance(error, CONFLICTS) else 422
    return problem(status, str(error), code=error.code, field=error.field)


@blueprint.errorhandler(NotificationRefused)
def _notification_refused(error: NotificationRefused) -> Response:
    return problem(422, str(error), code="validation_failed", field=error.field)


@blueprint.errorhandler(ValidationError)
def _invalid(error: ValidationError) -> Response:
    errors = [
        {"field": ".".join(map(str, line["loc"])) or "body", "detail": line["msg"].removeprefix("Value error, ")}
        for line in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = errors[0]
    detail = f"{first['field']}: {first['detail']}"
    return problem(422, detail, code="validation_failed", field=first["field"], errors=errors)


@blueprint.errorhandler(HTTPException)
def _http_error(error: HTTPException) -> Response:
    return problem(error.code or 500, error.description or "", code="http_error")


@blueprint.get("/openapi.json")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = spec.spec
    return found


@blueprint.get("/docs")
def docs() -> str:
    """The document, readable without any script."""
    return render_template_string(DOCS, spec=spec.spec)


DOCS = """<!doctype html><html lang="en"><meta charset="utf-8"><title>CitaPlanner API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:50rem;padding:0 1rem;color:#1f2933}
code{background:#f0f3f6;padding:.1em .35em;border-radius:4px;overflow-wrap:anywhere}
h2{margin:1.6rem 0 .2rem;font-size:1.05rem}p{margin:.2rem 0}</style>
<h1>CitaPlanner API</h1><p>Send <code>Authorization: Bearer TOKEN</code>;
<code>citaplanner tokens create</code> makes one.
The whole document, with every field: <a href="openapi.json">openapi.json</a>.</p>
{% for path, methods in spec.paths.items() %}{% for method, call in methods.items() %}
<h2><code>{{ method|upper }} {{ path }}</code></h2><p>{{ call.summary }}</p>
{% if call.description %}<p>{{ call.description }}</p>{% endif %}{% endfor %}{% endfor %}</html>"""


def register() -> Blueprint:
    """Return the blueprint with all its views."""
    from citaplanner_core.web.api import appointments, directory, notifications

    _ = (appointments, directory, notifications)
    return blueprint
