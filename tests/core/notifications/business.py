"""A business whose messages a test can watch: one channel that takes everything, and short ways to book and send."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from flask import Flask
from sqlalchemy import select, update

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Branch, Tenant
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import Message, Permanent, Receipt, Recipient, TextFamily
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import make_client, make_professional, make_service
from citaplanner_core.testing.worker import run_due


@dataclass
class Recorder:
    """A channel that takes every message, or refuses every one for good."""

    key: str
    label: str = "Recorder"
    on_unknown: Literal["resend", "hold"] = "resend"
    text_family: TextFamily = "chat"
    broken: bool = False
    sent: list[Message] = field(default_factory=list)

    def address_of(self, recipient: Recipient) -> str | None:
        return f"{self.key}:{recipient.client_id}"

    def check(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return {}

    def send(self, message: Message, settings: Mapping[str, Any]) -> Receipt:
        if self.broken:
            raise Permanent("rejected")
        self.sent.append(message)
        return Receipt(f"{self.key}-{message.notification_id}")


@dataclass
class Watched:
    """A tenant with two channels. `client` and `appointment` are the last ones made."""

    app: Flask
    tenant: int
    chat: Recorder
    mail: Recorder
    service: int = 0
    client: int = 0
    appointment: int = 0

    def book(
        self,
        *,
        at: datetime | None = None,
        by: Literal["client", "staff"] = "client",
        client_id: int | None = None,
        **client: Any,
    ) -> int:
        """Book in three days, or at a time; for a new client, or one there is."""
        start = at or utcnow().replace(microsecond=0) + timedelta(days=3)
        with work(self.tenant) as session:
            self.client = client_id or make_client(session, **client).id
            self.service = make_service(session).id
            self.appointment = verbs.book(
                session,
                client_id=self.client,
                service_id=self.service,
                professional_id=make_professional(session).id,
                branch_id=session.scalars(select(Branch.id)).one(),
                start=start,
                booked_by=by,
            ).id
        return self.appointment

    def move(self, start: datetime, by: Literal["client", "staff"] = "client") -> None:
        with work(self.tenant) as session:
            verbs.reschedule(session, self.appointment, start=start, by=by)

    def set(self, **columns: Any) -> None:
        """Set columns of the tenant."""
        with work(self.tenant) as session:
            tenant = session.get_one(Tenant, self.tenant)
            for name, value in columns.items():
                setattr(tenant, name, value)

    def quiet_now(self, *, more_hours: float = 2) -> None:
        """It has been quiet for an hour, and is for some more."""
        with work(self.tenant) as session:
            session.execute(update(Branch).values(zone="UTC"))
        self.set(zone="UTC")
        now = utcnow()
        until = now + timedelta(hours=more_hours)
        self.set(quiet_from=f"{now - timedelta(hours=1):%H:%M}", quiet_until=f"{until:%H:%M}")

    def rows(self) -> list[Notification]:
        """Every notification, oldest first; their columns can be read, no more."""
        with work(self.tenant, write=False) as session:
            found = list(session.scalars(select(Notification).order_by(Notification.id)))
            session.expunge_all()
            return found

    def row(self, rule: str) -> Notification:
        """The last notification of a rule."""
        return [row for row in self.rows() if row.rule == rule][-1]

    def statuses(self) -> dict[str, str]:
        """By rule, the last one's status and reason."""
        return {row.rule: row.status + (f" {row.reason}" if row.reason else "") for row in self.rows()}

    def make_due(self, rule: str) -> None:
        """Let the waiting message of a rule be due."""
        with work(self.tenant) as session:
            waiting = update(Notification).where(Notification.rule == rule, Notification.status == "PENDING")
            session.execute(waiting.values(due=utcnow() - timedelta(seconds=1)))

    def run(self, *, within: timedelta = timedelta(0)) -> None:
        run_due(self.app, within=within)


def watched(app: Flask, tenant: int) -> Watched:
    """Give the tenant two recorders as its channels; take them away with `unwatch`."""
    chat, mail = Recorder("chatwoot"), Recorder("email", text_family="mail")
    registry().channels = {
        "log": registry().channels["log"],
        "chatwoot": ("chatwoot", chat),
        "email": ("email", mail),
    }
    for name in ("chatwoot", "email"):
        lifecycle.enable(name, tenant)
    return Watched(app, tenant, chat, mail)
