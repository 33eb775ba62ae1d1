"""A running stand-in on a loopback port, and a receiver for its webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug.wrappers import Request, Response

from plugins.chatwoot.sandbox.server import Options, create_sandbox, serve

ADMIN, AGENT, BOT, OTHER = "sandbox-admin-token", "sandbox-agent-token", "sandbox-bot-token", "sandbox-other-token"
WHATSAPP, API, WIDGET, SMS, EMAIL, OTHERS_WHATSAPP = 1, 2, 3, 4, 5, 6
EVERYTHING = [
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "conversation_typing_on",
    "conversation_typing_off",
]


class Chatwoot:
    """Speaks to one stand-in, as an administrator unless told otherwise."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def raw(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, json=body, timeout=10, **options)

    def call(
        self, method: str, path: str, body: Any = None, *, token: str = ADMIN, account: int = 1, **options: Any
    ) -> requests.Response:
        headers = {"Api-Access-Token": token}
        return self.raw(method, f"/api/v1/accounts/{account}{path}", body, headers=headers, **options)

    def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.call(method, path, body, **options)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.raw(method, f"/sandbox/{path}", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def incoming(self, **fields: Any) -> Any:
        return self.control("POST", "incoming", fields)

    def contact(self, **fields: Any) -> Any:
        return self.ok("POST", "/contacts", fields)["payload"]["contact"]

    def conversation(self, **fields: Any) -> Any:
        return self.ok("POST", "/conversations", fields)

    def say(self, conversation: int, content: str = "Hola", **options: Any) -> Any:
        fields = {"content": content, **options.pop("fields", {})}
        return self.ok("POST", f"/conversations/{conversation}/messages", fields, **options)

    def messages(self, conversation: int) -> Any:
        return self.ok("GET", f"/conversations/{conversation}/messages")["payload"]

    def settle(self) -> None:
        assert self.control("GET", "idle")["idle"]


@contextmanager
def running(options: Options) -> Iterator[Chatwoot]:
    sandbox = create_sandbox(options)
    server = serve(sandbox, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    chatwoot = Chatwoot(f"http://127.0.0.1:{server.port}")
    try:
        yield chatwoot
    finally:
        chatwoot.session.close()
        server.shutdown()
        thread.join()
        sandbox.close()


Start = Callable[..., Chatwoot]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a stand-in with options of its own."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(running(Options(**{"report_delay": 0.01, **options})))


@pytest.fixture(scope="session")
def shared_chatwoot() -> Iterator[Chatwoot]:
    with running(Options(report_delay=0.01, bot_retry_delay=0.01, webhook_timeout=0.5)) as chatwoot:
        yield chatwoot


@pytest.fixture
def chatwoot(shared_chatwoot: Chatwoot) -> Chatwoot:
    """The stand-in as it is after its start."""
    shared_chatwoot.control("POST", "reset")
    return shared_chatwoot


@dataclass
class Receiver:
    """What came to a webhook address; ``answers`` are the statuses to give, 200 when none is left."""

    url: str
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.seen]

    @property
    def events(self) -> list[str]:
        return [body["event"] for body in self.bodies]

    def of(self, event: str) -> list[Any]:
        return [body for body in self.bodies if body["event"] == event]

    def handle(self, request: Request) -> Response:
        self.seen.append((dict(request.headers), request.get_data()))
        status = self.answers.pop(0) if self.answers else 200
        return Response("ignored", status)


@pytest.fixture
def receiver(httpserver: HTTPServer) -> Receiver:
    receiver = Receiver(httpserver.url_for("/hook"))
    httpserver.expect_request("/hook").respond_with_handler(receiver.handle)
    return receiver


@pytest.fixture
def webhook(chatwoot: Chatwoot, receiver: Receiver) -> Any:
    """An account webhook for every event, sent to the receiver."""
    fields = {"webhook": {"url": receiver.url, "subscriptions": EVERYTHING}}
    return chatwoot.ok("POST", "/webhooks", fields)["payload"]["webhook"]
