"""A stand-in Chatwoot for the plugin's tests, a tenant connected to it, and notifications ready to be sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import select

from citaplanner_core.booking.models import Client, Tenant
from citaplanner_core.crypto import new_token
from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.types import Message
from citaplanner_core.notifications.choice import recipient_of
from citaplanner_core.notifications.models import Delivery, Notification
from citaplanner_core.testing.factories import make_client
from plugins.chatwoot.accounts import account_ref
from plugins.chatwoot.channel import ChatwootChannel
from plugins.chatwoot.models import ChatwootConfig
from tests.plugins.chatwoot.sandbox.conftest import ADMIN, Chatwoot

ACCOUNT = 1


@dataclass(slots=True)
class Desk:
    """A tenant connected to an inbox of the stand-in."""

    chatwoot: Chatwoot
    tenant: int
    inbox: int

    @property
    def ref(self) -> str:
        return account_ref(self.chatwoot.url, ACCOUNT)

    def client(self, **values: Any) -> int:
        """Make a client and return its id."""
        with work(self.tenant) as session:
            return make_client(session, **values).id

    def message(self, client_id: int, body: str = "Su cita es mañana", **values: Any) -> Message:
        """Return a message as the core hands it to a channel, with its notification and attempt in the database."""
        with work(self.tenant) as session:
            now = database_now(session)
            client = session.get_one(Client, client_id)
            notification = Notification(
                type="APPOINTMENT_REMINDER", recipient_id=client_id, dedupe_key=uuid4().hex, due=now
            )
            session.add(notification)
            session.flush()
            session.add(
                Delivery(notification_id=notification.id, channel="chatwoot", attempt=1, body=body, started_at=now)
            )
            recipient = recipient_of(client, session.get_one(Tenant, self.tenant))
            given: dict[str, Any] = {
                "tenant_id": self.tenant,
                "branch_id": None,
                "notification_id": notification.id,
                "attempt": 1,
                "key": f"{self.tenant}-{notification.id}-chatwoot",
                "type": notification.type,
                "recipient": recipient,
                "address": ChatwootChannel().address_of(recipient),
                "subject": None,
                "body": body,
                "question": "confirm",
            }
            return Message(**{**given, **values})

    def send(self, client_id: int, body: str = "Su cita es mañana") -> dict[str, Any]:
        """Send one message and return it as the stand-in has it."""
        receipt = ChatwootChannel().send(self.message(client_id, body), {})
        assert receipt.message_id is not None
        return self.seen(int(receipt.message_id.removeprefix("chatwoot-")))

    def seen(self, message_id: int) -> dict[str, Any]:
        """Return one message as the stand-in has it."""
        found: dict[str, Any] = next(one for one in self.said() if one["id"] == message_id)
        return found

    def said(self) -> list[dict[str, Any]]:
        """Return what went out to clients, oldest first."""
        return [one for one in self.chatwoot.control("GET", "messages") if one["direction"] == "outgoing"]

    def contacts(self) -> list[dict[str, Any]]:
        """Return all contacts of the stand-in."""
        found: list[dict[str, Any]] = self.chatwoot.control("GET", "contacts")
        return found

    def fault(self, path: str, **fault: Any) -> None:
        """Order trouble for the next call whose path matches."""
        self.chatwoot.control("POST", "faults", {"path": path, "times": 1, **fault})

    @contextmanager
    def calls(self) -> Iterator[list[str]]:
        """Collect the API calls made inside the block, as `METHOD path` below the account."""
        before = len(self.chatwoot.control("GET", "requests"))
        made: list[str] = []
        yield made
        prefix = f"/api/v1/accounts/{ACCOUNT}/"
        for call in self.chatwoot.control("GET", "requests")[before:]:
            made += [call["method"] + " " + call["path"].removeprefix(prefix)]

    def rows(self, model: Any) -> list[Any]:
        """Return all rows of a table of this tenant, detached."""
        with work(self.tenant, write=False) as session:
            found = list(session.scalars(select(model).order_by(model.id)))
            session.expunge_all()
            return found


def connected(chatwoot: Chatwoot, tenant: int, inbox: int, **values: Any) -> Desk:
    """Store a connection of the tenant to an inbox of the stand-in, as `chatwoot connect` does."""
    with work(tenant) as session:
        session.add(config(chatwoot.url, inbox_id=inbox, **values))
    return Desk(chatwoot, tenant, inbox)


def config(base_url: str | None, **values: Any) -> ChatwootConfig:
    """Return a configuration row with a webhook key of its own."""
    key, key_hash = new_token()
    given: dict[str, Any] = {"base_url": base_url, "account_id": ACCOUNT, "api_access_token": ADMIN, "inbox_trust": {}}
    return ChatwootConfig(webhook_key=key, webhook_key_hash=key_hash, **{**given, **values})
