"""What a refused or failed request is answered: problem details under `/api/`, a page in plain words elsewhere."""

import traceback
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, make_response, request
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from citaplanner_core.web.words import asked_language, page

PROBLEM = "application/problem+json"
API = "/api/"
SECTIONS = {404: "not_found", 410: "not_found"}
NOTHING_HERE = "there is nothing at this address; /api/v1/docs lists what there is"
FAILED = "something failed here, and has been written down; try again in a moment"
AWAY = "the database does not answer just now; nothing was done, try again in a moment"

log = structlog.get_logger()


def problem(status: int, detail: str, *, code: str = "", field: str | None = None, **more: Any) -> Response:
    """Return problem details (RFC 9457); `field` names what is wrong in the request, `code` is for machines."""
    phrase = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
    body["code"] = code or phrase.lower().replace(" ", "_").replace("'", "")
    body |= {"field": field} if field else {}
    return make_response(body | more, status, {"Content-Type": PROBLEM})


def message_page(section: str, *, status: int) -> Response:
    """Return a page that only says something: the title and the text of a section of our texts."""
    language = asked_language()
    return make_response(page("message.html", language=language, section=section), status)


def _refuse(error: HTTPException) -> Response:
    status = error.code or 500
    if request.path.startswith(API):
        detail = {404: NOTHING_HERE, 500: FAILED}.get(status, error.description or "")
        answer = problem(status, detail)
    else:
        answer = message_page(SECTIONS.get(status, "failed" if status >= 500 else "refused"), status=status)
    for name, value in error.get_headers():
        if name != "Content-Type":
            answer.headers[name] = value
    return answer


def _fail(error: Exception) -> Response:
    """Answer 500 and log where it broke: neither the address nor the error's text, which may hold tokens and names."""
    log.error(
        "request_failed",
        endpoint=request.endpoint,
        method=request.method,
        error=type(error).__name__,
        where=[f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_tb(error.__traceback__)],
    )
    api = request.path.startswith(API)
    if not _is_away(error):
        return problem(500, FAILED) if api else message_page("failed", status=500)
    answer = problem(503, AWAY) if api else message_page("away", status=503)
    answer.headers["Retry-After"] = "30"
    return answer


def _is_away(error: Exception) -> bool:
    """Whether the database could not be reached, or went away under the request: nothing of it was done."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)


def register_errors(app: Flask) -> None:
    """Give the app its answers to what goes wrong."""
    app.register_error_handler(HTTPException, _refuse)
    app.register_error_handler(Exception, _fail)
