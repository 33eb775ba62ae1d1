"""Staff and operators are told: somebody nobody knows wrote, nothing comes in, and logs name nobody."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select, update
from structlog.testing import capture_logs

from citaplanner_core.booking.hours import WorkingHours
from citaplanner_core.booking.models import Branch, Client
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import settings
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.logs import configure_logging
from citaplanner_core.notifications.models import Delivery
from citaplanner_core.notifications.staff_models import StaffContact, StaffNotice
from plugins.chatwoot import watch
from plugins.chatwoot.models import ChatwootConfig, ChatwootEvent
from tests.plugins.chatwoot.loop import Loop

ON_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def hire(tenant: int, **alerts: str) -> None:
    with work(tenant) as session:
        session.add(StaffContact(name="Marco Díaz", email="marco@example.com", channel="log", alerts=alerts))


def notices(tenant: int) -> list[tuple[str, int]]:
    with work(tenant, write=False) as session:
        return [(row.kind, row.times) for row in session.scalars(select(StaffNotice).order_by(StaffNotice.id))]


def test_somebody_nobody_knows_is_told_once_however_often_they_write(loop: Loop) -> None:
    with work(loop.tenant) as session:
        settings.write(session, "chatwoot", {"create_clients": False})
    hire(loop.tenant, contact_unknown="now")
    for text in ("hola", "¿tienen lugar hoy?"):
        loop.write(text, phone="525587654321", name="Desconocida")
    assert notices(loop.tenant) == [("contact_unknown", 2)]
    with work(loop.tenant, write=False) as session:
        said = session.scalars(select(Delivery.body).where(Delivery.channel == "log")).all()
    assert [("Desconocida" in one) for one in said] == [True]


@ON_SQLITE
def test_silence_counts_opening_time_alone(loop: Loop) -> None:
    hire(loop.tenant, webhook_silent="now")
    context = JobContext(loop.tenant, 1, 1, {})
    watch.look_for_silence(context)
    assert notices(loop.tenant) == []
    long_ago = utcnow() - timedelta(days=7)
    with work(loop.tenant) as session:
        branch = session.scalars(select(Branch)).one()
        closed = utcnow().astimezone(ZoneInfo(branch.zone)).weekday()
        hours = WorkingHours(branch_id=branch.id, weekday=closed, from_minute=0, until_minute=30)
        session.add(hours)
        session.execute(update(ChatwootConfig).values(created_at=long_ago))
        session.execute(update(ChatwootEvent).values(received_at=long_ago))
    watch.look_for_silence(context)
    assert notices(loop.tenant) == []  # open for half an hour a week, at night
    with work(loop.tenant) as session:
        session.execute(update(WorkingHours).where(WorkingHours.id > 0).values(from_minute=540, until_minute=1140))
    for _ in range(2):
        watch.look_for_silence(context)
    assert notices(loop.tenant) == [("webhook_silent", 2)]
    loop.write("hola")
    with work(loop.tenant) as session:
        session.execute(update(StaffNotice).values(at=long_ago))
    watch.look_for_silence(context)
    assert len(notices(loop.tenant)) == 1


@ON_SQLITE
def test_webhooks_that_are_not_acted_on_are_a_trouble(loop: Loop) -> None:
    assert watch.stuck_webhooks() is None
    with work(loop.tenant) as session:
        old = utcnow() - timedelta(minutes=20)
        session.add(ChatwootEvent(account_ref="x", event="message_created", payload={}, received_at=old))
    said = watch.stuck_webhooks()
    assert said is not None
    assert "20 minutes" in said


def test_no_log_line_of_a_whole_conversation_names_anybody(app: Flask, loop: Loop) -> None:
    hire(loop.tenant, client_wants_move="now", client_cancelled="now", appointment_booked="now")
    configure_logging("DEBUG")
    with capture_logs() as lines:
        appointment, asked = loop.asked(first_name="Ximena", last_name="Zacarías", email="ximena@example.com")
        loop.fault("/conversations/.*/messages", method="POST", status=500)
        loop.write("¿puedo cambiarla a otra hora?")
        loop.write("mejor cancélala")
        loop.settle(within=300)
    with work(loop.tenant, write=False) as session:
        client = session.scalars(select(Client).where(Client.first_name == "Ximena")).one()
        config = session.scalars(select(ChatwootConfig)).one()
        told = session.scalars(select(Delivery.body)).all()
        secrets = [config.api_access_token, config.webhook_secret, config.webhook_key]
        private = ["Ximena", "Zacarías", "example.com", client.phones[0].e164, client.phones[0].raw, "marco@", "Marco"]
    written = "\n".join(map(str, lines))
    said = ["cambiarla a otra hora", "cancélala", asked["content"], *told]
    for word in (*private, *said, *(secret for secret in secrets if secret)):
        assert word not in written, word
    events = {str(line["event"]) for line in lines}
    assert {"notifications_planned", "notification_claimed", "notification_settled"} <= events
    sent = next(line for line in lines if line.get("status") == "SENT")
    assert {"tenant_id", "row", "channel", "attempt", "status"} <= sent.keys()
    assert loop.state(appointment)[0] == "CANCELLED"
