"""How a request to Chatwoot travels: one account's address and token, typed errors, and unwrapped answers."""

import contextlib
import re
import secrets
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import RequestException

from citaplanner_core.http import (
    BlockedAddress,
    OutboundSession,
    ResponseTooLarge,
    Timeout,
    never_sent,
    outbound,
)

JSON = dict[str, Any]

SHAPE = "the answer has not the shape Chatwoot gives it; is the address right?"


class ChatwootError(Exception):
    """Chatwoot did not do what was asked, and surely changed nothing unless the subclass says otherwise.

    `status` is the HTTP status, None without an answer; `detail` one short line, without our token, phone
    numbers or mail addresses; `attributes` the fields a 422 complains about (its texts are not promised).
    """

    def __init__(self, status: int | None, detail: str, attributes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{status}: {detail}" if status else detail)
        self.status = status
        self.detail = detail
        self.attributes = attributes


class Unauthorized(ChatwootError):
    """401 or 403: a wrong token, or one whose user may not do this (Chatwoot says 401 for that too)."""


class NotFound(ChatwootError):
    """404 from a Chatwoot: no such contact, conversation or account."""


class Invalid(ChatwootError):
    """422: a value was refused; see `attributes`, e.g. `phone_number` when another contact has it."""


class RateLimited(ChatwootError):
    """429: try again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(429, "too many requests")
        self.retry_after = retry_after


class Unavailable(ChatwootError):
    """No connection could be made, or a read got no answer: try later."""


class OutcomeUnknown(ChatwootError):
    """A write was sent and no usable answer came back: it may or may not have been carried out."""


class WrongServer(ChatwootError):
    """What answers there is no Chatwoot (no JSON, another shape, a redirect), or may not be reached."""


class Connection:
    """One account on one server, reached with one token.

    In: `base_url`, whose path is kept and trailing slash dropped; `account_id`; `access_token`; `session`
    from `outbound`, else a new one; `timeout` in seconds, connecting and reading, else the session's.
    Raises ValueError for an address, account or token that cannot be right.
    """

    def __init__(
        self,
        base_url: str,
        account_id: int,
        access_token: str,
        *,
        session: OutboundSession | None = None,
        timeout: Timeout | None = None,
    ) -> None:
        self.base_url = base_url.strip().rstrip("/")
        self.account_id = int(account_id)
        self._host = _host(self.base_url)
        self._token = access_token.strip()
        if not re.fullmatch(r"[!-~]+", self._token):
            raise ValueError("the access token is empty or holds characters no token has")
        self._timeout = timeout
        self._session = session or outbound()

    def close(self) -> None:
        """Close the session's connections."""
        self._session.close()

    def read(self, path: str, *, params: Mapping[str, Any] | None = None, body: JSON | None = None) -> Any:
        """Ask for something and return the JSON; tried twice when the connection breaks.

        In: `path` below the account, or from the server's root if it begins with a slash; `params` and
        `body`, which makes it a POST. Raises the errors above except `OutcomeUnknown`.
        """
        return self._request("POST" if body else "GET", path, params, body, read=True)

    def write(self, method: str, path: str, **fields: Any) -> Any:
        """Change something, once, leaving out fields that are None; return the JSON, or None without any."""
        body = {key: value for key, value in fields.items() if value is not None}
        return self._request(method, path, None, body or None, read=False)

    def _request(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: JSON | None, *, read: bool
    ) -> Any:
        url = self.base_url + (path if path.startswith("/") else f"/api/v1/accounts/{self.account_id}/{path}")
        attempts = 2 if read else 1
        while True:
            attempts -= 1
            try:
                response = self._session.request(
                    method,
                    url,
                    params=params,
                    json=body,
                    # The dashed spelling: proxies drop headers with underscores (chatwoot#12340).
                    headers={"Api-Access-Token": self._token, "Accept": "application/json"},
                    timeout=self._timeout,
                )
            except RequestException as error:
                broken = isinstance(error, requests.ConnectionError) and not isinstance(error, requests.Timeout)
                if broken and attempts:
                    continue
                raise self._failure(error, read) from None
            return self._answer(response, read)

    def _failure(self, error: RequestException, read: bool) -> ChatwootError:
        if isinstance(error, BlockedAddress):
            return WrongServer(None, str(error))
        if isinstance(error, ValueError):
            return WrongServer(None, f"{self._host} is no usable address")
        if never_sent(error):
            tls = " (TLS)" if isinstance(error, requests.exceptions.SSLError) else ""
            return Unavailable(None, f"no connection to {self._host}{tls}")
        if not read:
            return OutcomeUnknown(None, f"no answer from {self._host} to a request that was sent")
        if isinstance(error, ResponseTooLarge):
            return WrongServer(None, f"the answer of {self._host} is too long")
        return Unavailable(None, f"no answer from {self._host}")

    def _answer(self, response: requests.Response, read: bool) -> Any:
        status = response.status_code
        answer, is_json = None, not response.content
        if response.content:
            with contextlib.suppress(ValueError, RecursionError):
                answer, is_json = response.json(), True
        if status < 300 and is_json:
            return answer
        if status < 300:
            raise WrongServer(status, f"the answer of {self._host} is not JSON; is the address right?")
        if status < 400:
            raise WrongServer(status, f"{self._host} redirects; give the address it redirects to")
        if status in (401, 403):
            raise Unauthorized(status, self._detail(answer))
        if status == 404 and not isinstance(answer, dict):
            raise WrongServer(status, f"{self._host} has no Chatwoot at this address")
        if status == 404:
            raise NotFound(status, self._detail(answer))
        if status == 422:
            raise Invalid(status, self._detail(answer), _attributes(answer))
        if status == 429:
            raise RateLimited(_wait(response.headers.get("Retry-After")))
        if status < 500:
            raise ChatwootError(status, self._detail(answer))
        if read:
            raise Unavailable(status, self._detail(answer))
        raise OutcomeUnknown(status, self._detail(answer))

    def _detail(self, answer: Any) -> str:
        fields = answer if isinstance(answer, dict) else {}
        said = fields.get("error") or fields.get("message") or fields.get("errors") or "no reason given"
        text = ", ".join(map(str, said)) if isinstance(said, list) else str(said)
        text = text.replace(self._token, "…")
        text = re.sub(r"\S+@\S+|\+?\d(?:[\s().-]*\d){6,}", "…", text)
        return " ".join(text.split())[:200]


def _host(base_url: str) -> str:
    complaint = "the address must look like https://chat.example.com"
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(complaint) from None
    if not host or port == 0 or parts.scheme not in ("http", "https") or re.search(r"[@?#\s\\]", base_url):
        raise ValueError(complaint)
    return host


def _attributes(answer: Any) -> tuple[str, ...]:
    named = answer.get("attributes") if isinstance(answer, dict) else None
    return tuple(map(str, named)) if isinstance(named, list) else ()


def _wait(header: str | None) -> float:
    """Seconds until the next try: what Retry-After says (RFC 9110, 10.2.3; at most an hour), else the next
    full minute, since Chatwoot names no time and its windows are clock minutes, and up to three seconds more.
    """
    now = time.time()
    try:
        if header and header.strip().isdecimal():
            return min(float(header), 3600.0)
        if header:
            return min(max(parsedate_to_datetime(header).timestamp() - now, 0.0), 3600.0)
    except (ValueError, OverflowError):
        pass
    return 60 - now % 60 + secrets.randbelow(3000) / 1000


def record(answer: Any, *envelopes: str, needs: str | None = "id") -> JSON:
    """Return the object inside `answer`, stepping into each of `envelopes` that is there.

    A list of one object counts as that object. Raises `WrongServer` if it is no object or lacks `needs`.
    """
    for key in envelopes:
        if isinstance(answer, dict) and key in answer:
            answer = answer[key]
        if isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
    kind = int if needs == "id" else str
    if isinstance(answer, dict) and (needs is None or isinstance(answer.get(needs), kind)):
        return answer
    raise WrongServer(200, SHAPE)


def items(answer: Any, *envelopes: str) -> list[Any]:
    """Return the list inside `answer`, found like the object of `record`; raise `WrongServer` if none."""
    for key in envelopes:
        if isinstance(answer, dict) and key in answer:
            answer = answer[key]
    if not isinstance(answer, list):
        raise WrongServer(200, SHAPE)
    return answer


def records(answer: Any, *envelopes: str, needs: str = "id") -> list[JSON]:
    """Return the list of objects inside `answer`, each checked like `record`."""
    return [record(item, needs=needs) for item in items(answer, *envelopes)]
