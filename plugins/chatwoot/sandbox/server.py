"""The stand-in as a Flask application, and the server that runs it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response as WsgiResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

from . import control, page
from .api import contacts, conversations, handling, inboxes, messages, people, settings
from .api.access import admit, install_errors, reply
from .gate import Gate, Limits
from .store.seed import Seed, apply_tokens, seeder
from .store.state import State
from .store.timers import Timers
from .traffic import deliver, webhook_failed
from .webhooks import Dispatcher

NOT_FOUND = "<!DOCTYPE html><html><head><title>The page you were looking for doesn't exist (404)</title></head></html>"


@dataclass(frozen=True)
class Options:
    """How the stand-in behaves; times in seconds.

    ``report_delay`` lies between a message and each delivery report; ``webhook_timeout`` and
    ``bot_retry_delay`` are Chatwoot's.
    """

    state_file: Path | None = None
    seed: Seed = field(default_factory=Seed)
    limits: Limits = field(default_factory=Limits)
    report_delay: float = 0.5
    webhook_timeout: float = 5.0
    bot_retry_delay: float = 3.0
    clock: Callable[[], float] = time.time


@dataclass
class Sandbox:
    """The running parts. ``app`` is the WSGI application; ``note`` says what the state file lacked."""

    app: Gate
    state: State
    hooks: Dispatcher
    timers: Timers
    note: str | None

    def close(self) -> None:
        """Stop the threads and write what is pending."""
        self.timers.stop()
        self.hooks.stop()
        self.state.stop()


def create_sandbox(options: Options | None = None) -> Sandbox:
    """Build the stand-in and start its threads. Raises OSError when the state file cannot be written."""
    options = options or Options()
    state = State(seeder(options.seed), clock=options.clock, path=options.state_file)
    note = state.load()
    apply_tokens(state, options.seed)
    state.save()
    hooks = Dispatcher(
        state,
        lambda kind, event, error: webhook_failed(state, kind, event, error),
        timeout=options.webhook_timeout,
        retry_delay=options.bot_retry_delay,
    )
    timers = Timers(state)
    state.publish = hooks.publish
    state.later = timers.later
    state.deliver = lambda message: deliver(state, message, options.report_delay)
    app = Flask(__name__, static_folder=None)
    gate = Gate(app, state, options.limits)
    _register_api(app, state, hooks)
    app.register_blueprint(people.profile(state))
    app.register_blueprint(_probes(hooks))
    app.register_blueprint(control.blueprint(state, gate, hooks, timers))
    app.register_blueprint(page.blueprint(state, hooks))
    install_errors(app)

    @app.errorhandler(404)
    @app.errorhandler(405)
    def _(error: Exception) -> Response:
        return Response(NOT_FOUND, 404, content_type="text/html; charset=utf-8")

    state.start()
    return Sandbox(gate, state, hooks, timers, note)


def _register_api(app: Flask, state: State, hooks: Dispatcher) -> None:
    @app.url_value_preprocessor
    def _(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.account_id = (values or {}).pop("account_id", None)

    @app.before_request
    def _() -> None:
        if g.account_id is not None:
            admit(state, g.account_id)

    parts = [
        contacts.blueprint(state, lambda: hooks.mode.generation),
        conversations.blueprint(state),
        handling.blueprint(state),
        messages.blueprint(state),
        inboxes.inboxes(state),
        inboxes.bots(state),
        inboxes.webhooks(state),
        people.people(state),
        *(settings.table_blueprint(state, table) for table in settings.TABLES),
    ]
    for part in parts:
        prefix = f"/api/v1/accounts/<int:account_id>{part.url_prefix or ''}"
        app.register_blueprint(part, url_prefix=prefix)
    app.register_blueprint(people.reports(state), url_prefix="/api/v2/accounts/<int:account_id>")


def _probes(hooks: Dispatcher) -> Blueprint:
    """What one may ask without a token."""
    api = Blueprint("probes", __name__)

    @api.get("/api")
    def version() -> Response:
        return reply(
            {
                "version": ".".join(str(part) for part in hooks.mode.generation),
                "timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
                "queue_services": "ok",
                "data_services": "ok",
            }
        )

    @api.get("/health")
    def health() -> Response:
        return reply({"status": "woot"})

    return api


class _Handler(WSGIRequestHandler):
    """Keeps connections open, as a real server does; the gate has read every request to its end."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def make_environ(self) -> WSGIEnvironment:
        """Both spellings of the token's header; Werkzeug would drop the one with underscores."""
        environ = super().make_environ()
        token = self.headers.get("api_access_token")
        if token is not None:
            environ["HTTP_API_ACCESS_TOKEN"] = token
        return environ

    def run_wsgi(self) -> None:
        self.environ = environ = self.make_environ()
        try:
            answer = WsgiResponse.from_app(self.server.app, environ, buffered=True)
        except ConnectionError:
            self.close_connection = True
            return
        body = answer.get_data()
        self.send_response(answer.status_code)
        answer.headers["Content-Length"] = str(len(body))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing: a path may hold a phone, and an idle connection that ends is no news."""


def serve(sandbox: Sandbox, host: str, port: int) -> BaseWSGIServer:
    """A threaded server bound to the address (port 0 = any free one), to be run with ``serve_forever``.

    Raises OSError when the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        return make_server(host, port, sandbox.app, threaded=True, request_handler=_Handler, fd=listener.fileno())
