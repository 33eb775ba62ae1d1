"""What stands before the API: the record of requests, faults on order, rate limits.

Source of the limits: Chatwoot v4.15.1, ``config/initializers/rack_attack.rb``. Unlike there, loopback
is not exempt.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.wrappers import Request, Response

from .api.access import SERVER_ERROR, find_token
from .payloads.common import encode, iso
from .store.records import Bot, Json
from .store.state import State

SECRETS = {"access_token", "api_access_token", "secret", "hmac_token", "pubsub_token", "password"}
_ERRORS: dict[int, Any] = {
    401: {"error": "Invalid Access Token"},
    403: {"error": "Forbidden"},
    404: {"error": "Resource could not be found"},
    422: {"error": "Validation failed"},
}


@dataclass
class Fault:
    """Trouble for the next ``times`` calls whose path begins with, or matches, ``path``.

    ``status`` is what is answered; without it the connection is dropped, unless there is only a
    ``delay`` (seconds). With ``accept_then_fail`` the work is done first, before any delay.
    ``method`` narrows it.
    """

    path: str
    times: int = 1
    status: int | None = None
    delay: float | None = None
    accept_then_fail: bool = False
    method: str | None = None

    def hits(self, method: str, path: str) -> bool:
        if self.times < 1 or self.method not in (None, method):
            return False
        return path.startswith(self.path) or re.search(self.path, path) is not None

    @property
    def only_slow(self) -> bool:
        return self.status is None and self.delay is not None and not self.accept_then_fail


def parse_fault(fields: Json) -> Fault:
    """A fault from its JSON. Raises ValueError with a plain sentence."""
    known = {"path", "times", "status", "delay", "accept_then_fail", "method"}
    if not set(fields) <= known:
        raise ValueError(f"unknown fields: {', '.join(sorted(set(fields) - known))}")
    path, status, delay = fields.get("path"), fields.get("status"), fields.get("delay")
    times = fields.get("times", 1)
    if not isinstance(path, str) or not path:
        raise ValueError("path is a prefix or a regular expression of an API path")
    try:
        re.compile(path)
    except re.error as error:
        raise ValueError(f"path is no regular expression: {error}") from error
    if not isinstance(times, int) or times < 1:
        raise ValueError("times is a whole number from 1")
    if status is not None and (not isinstance(status, int) or not 200 <= status <= 599):
        raise ValueError("status is an HTTP status between 200 and 599")
    if delay is not None and (not isinstance(delay, int | float) or delay < 0):
        raise ValueError("delay is a number of seconds")
    method = fields.get("method")
    return Fault(
        path=path,
        times=times,
        status=status,
        delay=delay,
        accept_then_fail=fields.get("accept_then_fail") is True,
        method=method.upper() if isinstance(method, str) else None,
    )


@dataclass(frozen=True)
class Limits:
    """Calls per clock minute, before the plain 429."""

    general: int = 3000
    search: int = 100
    meta: int = 30
    reports: int = 100


class Gate:
    """A WSGI layer around the API."""

    def __init__(self, app: Any, state: State, limits: Limits) -> None:
        self._app = app
        self._state = state
        self._limits = limits
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[tuple[str, str], int] = {}
        self._numbers = 0
        self.requests: deque[Json] = deque(maxlen=20_000)
        self.faults: list[Fault] = []

    def reset(self) -> None:
        """Forget requests, faults and counted calls."""
        with self._lock:
            self.requests.clear()
            self.faults.clear()
            self._counts.clear()

    def __call__(self, environ: Json, start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        request = Request(environ)
        body = request.get_data()
        environ["wsgi.input"] = BytesIO(body)
        if path != "/api" and not path.startswith("/api/"):
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        entry = self._record(request, body)
        started = time.monotonic()
        fault = self._fault(request.method, path)
        response = self._answer(request, fault)
        entry["duration_ms"] = round((time.monotonic() - started) * 1000, 1)
        if response is None:
            raise ConnectionAbortedError("dropped on order")
        entry["status"] = response.status_code
        return response(environ, start_response)

    def _answer(self, request: Request, fault: Fault | None) -> Response | None:
        """The answer, ``None`` to drop the connection."""
        if self._over_limit(request):
            return _too_many()
        if fault is None:
            return self._work(request)
        if fault.accept_then_fail:
            self._work(request)
        time.sleep(fault.delay or 0)
        if fault.only_slow:
            return self._work(request)
        return None if fault.status is None else _failure(fault.status)

    def _work(self, request: Request) -> Response:
        with self._state.lock:
            response = Response.from_app(self._app, request.environ, buffered=True)
            if request.method not in ("GET", "HEAD"):
                self._state.touch()
        return response

    # --- the record -----------------------------------------------------------------------------

    def _record(self, request: Request, body: bytes) -> Json:
        query = {k: "…" if k in SECRETS else v for k, v in parse_qsl(request.query_string.decode())}
        with self._state.lock:
            holder = find_token(self._state, request.headers.get("Api-Access-Token", ""))
        token = None if holder is None else "bot" if isinstance(holder, Bot) else holder.role
        with self._lock:
            self._numbers += 1
            entry = {
                "id": self._numbers,
                "at": iso(time.time()),
                "method": request.method,
                "path": request.path,
                "query": query,
                "status": None,
                "token": token,
                "body": _readable(body),
                "duration_ms": None,
            }
            self.requests.append(entry)
        return entry

    def seen(self, after: int) -> list[Json]:
        """The recorded calls with a number above ``after``; ``status`` null = dropped or going on."""
        with self._lock:
            return [dict(entry) for entry in self.requests if entry["id"] > after]

    # --- faults and limits ------------------------------------------------------------------------

    def add_fault(self, fault: Fault) -> None:
        with self._lock:
            self.faults.append(fault)

    def pending_faults(self) -> list[Json]:
        with self._lock:
            return [asdict(fault) for fault in self.faults]

    def clear_faults(self) -> None:
        with self._lock:
            self.faults.clear()

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.hits(method, path):
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                    return fault
        return None

    def _over_limit(self, request: Request) -> bool:
        """Count the call in its windows, which begin with the clock's minute."""
        path, keys = request.path, [("ip", request.remote_addr or "", self._limits.general)]
        account = re.match(r"/api/v\d/accounts/(\d+)/", path)
        if account is not None:
            rest = path[account.end() :]
            token = request.headers.get("Api-Access-Token", "")
            if rest == "contacts/search":
                keys.append(("search", account[1], self._limits.search))
            if rest == "conversations/meta":
                keys.append(("meta", token, self._limits.meta))
            if rest.startswith("reports"):
                keys.append(("reports", token, self._limits.reports))
        with self._lock:
            minute = int(self._state.now() // 60)
            if minute != self._minute:
                self._minute = minute
                self._counts.clear()
            over = False
            for kind, key, limit in keys:
                self._counts[kind, key] = self._counts.get((kind, key), 0) + 1
                over = over or self._counts[kind, key] > limit
        return over


def _readable(body: bytes) -> Any:
    try:
        return _without_secrets(json.loads(body)) if body else None
    except ValueError:
        return body.decode(errors="replace")


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "…" if k in SECRETS else _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(v) for v in value] if isinstance(value, list) else value


def _too_many() -> Response:
    return Response("Retry later\n", 429, content_type="text/plain")


def _failure(status: int) -> Response:
    if status == 429:
        return _too_many()
    if status in _ERRORS:
        return Response(encode(_ERRORS[status]), status, content_type="application/json; charset=utf-8")
    text = SERVER_ERROR.replace("500", str(status)) if status >= 500 else ""
    return Response(text, status, content_type="text/html; charset=utf-8")
