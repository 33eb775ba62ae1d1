"""What all views of the REST API share: the token, the body, and how a refusal is answered (RFC 9457)."""

import json
import math
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from pydantic import ValidationError

from citaplanner_core.booking.availability import nearest_slots
from citaplanner_core.booking.errors import (
    BookingError,
    Merged,
    NotAllowed,
    NotFound,
    NotOffered,
    SlotTaken,
    StaleVersion,
    ValidationFailed,
    Wanted,
    plain_text,
)
from citaplanner_core.database import work
from citaplanner_core.notifications.service import NotificationRefused
from citaplanner_core.web import idempotency
from citaplanner_core.web.api.schemas import SlotShown
from citaplanner_core.web.errors import problem
from citaplanner_core.web.logins import SCOPES, bearer_of

MAX_BODY = 1_000_000
OPEN = ("api.document", "api.docs")
TAG_SCOPES = {"appointments": "book", "clients": "book", "notifications": "notify"}
CONFLICTS = (NotAllowed, SlotTaken, StaleVersion)
CURES = {
    "extra_forbidden": "there is no such field",
    "missing": "is required",
    "timezone_aware": "give the time with its zone, such as 2030-05-01T10:00:00-06:00",
}
"""Our words where pydantic's do not say what to do."""

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


@blueprint.before_request
def authenticate() -> Response | None:
    """Let the token name the tenant, and see that it may do what is asked."""
    if request.endpoint in OPEN:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = bearer_of(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if bearer is None:
        refusal = problem(401, "send `Authorization: Bearer TOKEN`; make one with `citaplanner tokens create`")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    g.tenant_id, g.token_name = bearer.tenant_id, bearer.name
    scope = scope_of(current_app.view_functions.get(request.endpoint or ""), request.method)
    if scope not in bearer.scopes:
        held = ", ".join(one for one in SCOPES if one in bearer.scopes)
        refusal = problem(403, f"this token may {held}; make one that may {scope}: `--scope {scope}`")
        refusal.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{scope}"'
        return refusal
    return None


def scope_of(view: Any, method: str) -> str:
    """Return the scope that a route needs: `read` to look, else what goes with its tag, `manage` where nothing does."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return "read"
    return TAG_SCOPES.get(getattr(view, "tag", ""), "manage")


@blueprint.before_request
def read_body() -> Response | None:
    """Refuse a body that is not a JSON object we can store. Without a body, nothing is given."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    request.max_content_length = MAX_BODY
    data = request.get_data()
    if not request.is_json and (data or request.mimetype):
        return problem(415, "send the body as JSON, with `Content-Type: application/json`")
    if not data:
        return None
    try:
        body = json.loads(data)
    except RecursionError:
        return problem(400, "the body is not JSON we read: it is nested too deeply", code="malformed_json")
    except ValueError as error:
        return problem(400, f"the body is not JSON: {error}", code="malformed_json")
    if not isinstance(body, dict):
        raise ValidationFailed("body", 'send a JSON object, such as {"client_id": 1}')
    _require_storable(body)
    return None


blueprint.before_request(idempotency.begin)
blueprint.after_request(idempotency.finish)


def _require_storable(body: dict[str, Any]) -> None:
    for path, value in _values(body):
        if isinstance(value, str):
            plain_text(path, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValidationFailed(path, "is no number that JSON can write")


def _values(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give every value of the body with its path, and every name, for which the path is that of what holds it."""
    waiting: list[tuple[str, Any]] = [("", body)]
    while waiting:
        path, value = waiting.pop()
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, inner in inside:
            yield path or "body", name
            waiting.append((f"{path}.{name}" if path else str(name), inner))
        yield path, value


@blueprint.errorhandler(BookingError)
def _booking_error(error: BookingError) -> Response:
    status = 404 if isinstance(error, NotFound) else 409 if isinstance(error, CONFLICTS) else 422
    more: dict[str, Any] = {}
    if isinstance(error, SlotTaken | NotOffered) and error.wanted:
        more = {"nearest": _nearest(error.wanted)}
    if isinstance(error, Merged):
        more = {"merged_into": error.into}
    return problem(status, str(error), code=error.code, field=error.field, **more)


def _nearest(wanted: Wanted) -> list[dict[str, Any]]:
    with work(g.tenant_id, write=False) as session:
        slots = nearest_slots(session, wanted)
    return [SlotShown.model_validate(slot).model_dump(mode="json") for slot in slots]


@blueprint.errorhandler(NotificationRefused)
def _notification_refused(error: NotificationRefused) -> Response:
    return problem(422, str(error), code="validation_failed", field=error.field)


@blueprint.errorhandler(ValidationError)
def _invalid(error: ValidationError) -> Response:
    errors = [
        {
            "field": ".".join(map(str, line["loc"])) or "body",
            "detail": CURES.get(line["type"], line["msg"].removeprefix("Value error, ")),
        }
        for line in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = errors[0]
    detail = f"{first['field']}: {first['detail']}"
    return problem(422, detail, code="validation_failed", field=first["field"], errors=errors)
