"""A tenant with two channels whose answers a test sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from flask import Flask
from sqlalchemy import select, update

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import AuthFailed, Message, Permanent, Receipt, Recipient, Retry, TextFamily
from citaplanner_core.notifications.models import ChannelState, Notification
from citaplanner_core.testing.factories import make_client, make_professional, make_service
from citaplanner_core.testing.worker import run_due


@dataclass
class FakeChannel:
    """A channel whose next answers a test sets; an exception is raised, None means sent."""

    key: str
    label: str = "Fake"
    on_unknown: Literal["resend", "hold"] = "resend"
    text_family: TextFamily = "chat"
    address: str | None = "somewhere"
    answers: list[Exception | None] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    def address_of(self, recipient: Recipient) -> str | None:
        return self.address

    def check(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return {}

    def send(self, message: Message, settings: Mapping[str, Any]) -> Receipt:
        answer = self.answers.pop(0) if self.answers else None
        if not isinstance(answer, Retry | AuthFailed | Permanent):
            self.sent.append(message)
        if answer is not None:
            raise answer
        return Receipt(f"{self.key}-{message.notification_id}-{len(self.sent)}")


@dataclass
class AskableChannel(FakeChannel):
    """A channel that can be asked what arrived."""

    def find_sent(self, message: Message, settings: Mapping[str, Any]) -> Receipt | None:
        found = [one for one in self.sent if one.key == message.key]
        return Receipt(f"{self.key}-found") if found else None


@dataclass
class Scene:
    """A tenant with a first and a second channel."""

    app: Flask
    tenant: int
    first: FakeChannel
    second: FakeChannel
    appointment: int = 0
    client: int = 0

    def book(self, *, days: float = 3, by: Literal["client", "staff"] = "client", **client: Any) -> int:
        with work(self.tenant) as session:
            self.client = make_client(session, **client).id
            start = utcnow().replace(microsecond=0) + timedelta(days=days)
            self.appointment = verbs.book(
                session,
                client_id=self.client,
                service_id=make_service(session).id,
                professional_id=make_professional(session).id,
                branch_id=session.scalars(select(Branch.id)).one(),
                start=start,
                booked_by=by,
            ).id
        return self.appointment

    def statuses(self) -> dict[str, str]:
        with work(self.tenant, write=False) as session:
            rows = session.scalars(select(Notification).order_by(Notification.id)).all()
            return {row.rule: row.status + (f" {row.reason}" if row.reason else "") for row in rows}

    def make_due(self) -> None:
        """Let whatever waits be due now, and every channel that is held be tried."""
        with work(self.tenant) as session:
            past = utcnow() - timedelta(seconds=1)
            session.execute(update(Notification).where(Notification.status == "PENDING").values(due=past))
            session.execute(update(ChannelState).where(ChannelState.open_until.is_not(None)).values(open_until=past))

    def run(self, *, times: int = 1) -> None:
        for _ in range(times):
            run_due(self.app)
            if times > 1:
                self.make_due()


def only(scene: Scene, channel: FakeChannel) -> None:
    registry().channels[channel.key] = (channel.key, channel)
    scene.first = channel
