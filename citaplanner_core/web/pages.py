"""The start page, and the static files and headers of all pages."""

from typing import Final

from flask import Blueprint, Response, current_app
from flask.typing import ResponseReturnValue

from citaplanner_core.config import Config
from citaplanner_core.web.words import asked_language, page

blueprint = Blueprint(
    "pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static/core"
)

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
"""What every answer carries unless its view says otherwise. No script runs, no address (it may be somebody's private
link) is told to another site, nothing is kept by browsers and proxies or found by search engines."""


@blueprint.after_app_request
def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Say what this is and where to go on."""
    config: Config = current_app.config["CITAPLANNER"]
    return page("index.html", language=asked_language(), delivery=config.delivery)
