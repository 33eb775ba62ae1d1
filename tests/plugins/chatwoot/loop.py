"""The whole loop in one process: the stand-in, our web server it reports to, and the worker's work done on demand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from flask import Flask
from sqlalchemy import select
from werkzeug.serving import WSGIRequestHandler, make_server

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Appointment, Branch
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.testing.factories import make_client, make_professional, make_service
from citaplanner_core.testing.worker import run_due
from plugins.chatwoot.connect import Wish, connect
from plugins.chatwoot.models import ChatwootEvent
from tests.plugins.chatwoot.sandbox.conftest import ADMIN, API, Chatwoot
from tests.plugins.chatwoot.support import ACCOUNT, Desk

PHONE = "55 1234 5678"
WRITER = "525512345678"
OTHER_FORM = "5215512345678"
"""The same number as WhatsApp says it; in an API inbox Chatwoot takes it for another person."""
MOST_ROUNDS = 20


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing."""


@dataclass(slots=True)
class Loop(Desk):
    """A tenant connected to an inbox of the stand-in, which reports to the tenant's own web server."""

    app: Flask

    def settle(self, *, within: float = 3, strict: bool = True) -> None:
        """Let everything happen that is on its way; what waits for at most `within` seconds does not wait."""
        for _ in range(MOST_ROUNDS):
            self.chatwoot.settle()
            if not run_due(self.app, within=timedelta(seconds=within), strict=strict):
                return
        raise AssertionError("it never settles")

    def book(self, client: int, *, start: datetime | None = None, by: Literal["client", "staff"] = "client") -> int:
        """Book three days ahead and return the appointment's id."""
        with work(self.tenant) as session:
            return verbs.book(
                session,
                client_id=client,
                service_id=make_service(session).id,
                professional_id=make_professional(session).id,
                branch_id=session.scalars(select(Branch.id)).first() or 0,
                start=start or utcnow().replace(microsecond=0) + timedelta(days=3),
                booked_by=by,
            ).id

    def asked(self, *, phone: str = PHONE, **client: Any) -> tuple[int, dict[str, Any]]:
        """Book for a new client and have the question sent; return the appointment's id and the message."""
        with work(self.tenant) as session:
            client_id = make_client(session, phone=phone, **client).id
        appointment = self.book(client_id)
        self.settle()
        return appointment, self.public()[-1]

    def write(self, text: str | None, *, phone: str | None = WRITER, inbox: int | None = None, **other: Any) -> Any:
        """Write as a client and let it be handled; return the stand-in's ids."""
        fields = {"inbox_id": inbox or self.inbox, "phone": phone, "text": text, "name": "Ana"} | other
        wrote = self.chatwoot.incoming(**fields)
        self.settle()
        return wrote

    def agent(self, conversation: int, text: str, action: str = "reply") -> None:
        """Write as an agent."""
        self.chatwoot.control("POST", "agent", {"conversation_id": conversation, "action": action, "text": text})
        self.settle()

    def public(self) -> list[dict[str, Any]]:
        """Return what clients see of the business, oldest first."""
        return [one for one in self.said() if not one["private"]]

    def notes(self) -> list[dict[str, Any]]:
        """Return the private notes."""
        return [one for one in self.said() if one["private"]]

    def state(self, appointment: int) -> tuple[str, str]:
        """Return an appointment's state and the client's answer."""
        with work(self.tenant, write=False) as session:
            row = session.get_one(Appointment, appointment)
            return row.status, row.answer

    def outcomes(self) -> list[str]:
        """Return what became of the webhooks, oldest first."""
        return [str(event.outcome) for event in self.rows(ChatwootEvent)]


@contextmanager
def looped(app: Flask, chatwoot: Chatwoot, tenant: int, inbox: int = API, trust: Any = None) -> Iterator[Loop]:
    """Serve the app, connect the tenant to the stand-in, and switch the plugin on."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        lifecycle.enable("chatwoot", tenant)
        wish = Wish(
            tenant, chatwoot.url, ACCOUNT, inbox, ADMIN, trust=trust, public_url=f"http://127.0.0.1:{server.port}"
        )
        assert all(step.ok for step in connect(wish))
        yield Loop(chatwoot, tenant, inbox, app)
    finally:
        chatwoot.control("POST", "reset")
        server.shutdown()
        thread.join()
        server.server_close()
