"""The staff is told: who asked for it, once, at once or in the day's digest."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.notifications.models import ChannelState, Delivery, Notification
from citaplanner_core.notifications.staff import ALERTS, alert_staff, text_key, watch, watched_tenants
from citaplanner_core.notifications.staff_models import StaffContact, StaffNotice
from citaplanner_core.notifications.templates import render
from citaplanner_core.testing.factories import make_branch, make_client, make_professional, make_service
from citaplanner_core.testing.worker import run_due
from tests.core.notifications.samples import sample


def hire(tenant: int, **values: Any) -> int:
    """Somebody of the staff who is reached in the log."""
    with work(tenant) as session:
        contact = StaffContact(**{"name": "Laura Ríos", "email": "laura@example.com", "channel": "log"} | values)
        session.add(contact)
        session.flush()
        return contact.id


def book(tenant: int, **values: Any) -> int:
    with work(tenant) as session:
        return verbs.book(
            session,
            client_id=make_client(session, first_name="Ana", last_name="Prueba").id,
            service_id=make_service(session).id,
            professional_id=make_professional(session, name="Marco Díaz").id,
            branch_id=session.scalars(select(Branch.id).order_by(Branch.id)).first() or 0,
            start=utcnow().replace(microsecond=0) + timedelta(days=3),
            **values,
        ).id


def told(tenant: int, contact: int) -> list[str]:
    """What was said to somebody of the staff, oldest first."""
    with work(tenant, write=False) as session:
        said = select(Delivery.body).join(Notification, Notification.id == Delivery.notification_id)
        return list(session.scalars(said.where(Notification.staff_contact_id == contact).order_by(Delivery.id)))


def alert(tenant: int, kind: Any, **facts: Any) -> int:
    with work(tenant) as session:
        return alert_staff(session, kind, **facts)


def test_a_booking_a_client_made_and_took_back_is_told_at_once(app: Flask, tenant: int) -> None:
    contact = hire(tenant, alerts={"appointment_booked": "now", "client_cancelled": "now"})
    appointment = book(tenant)
    run_due(app)
    (said,) = told(tenant, contact)
    assert "Ana Prueba" in said
    assert "Marco Díaz" in said
    with work(tenant) as session:
        verbs.record_answer(session, appointment, answer="no", words="se me atravesó algo")
        verbs.cancel(session, appointment, by="client")
    run_due(app)
    assert len(told(tenant, contact)) == 2
    assert "se me atravesó algo" in told(tenant, contact)[1]


def test_what_staff_does_itself_and_what_nobody_asked_for_is_not_told(app: Flask, tenant: int) -> None:
    contact = hire(tenant, alerts={"appointment_booked": "now"})
    book(tenant, booked_by="staff")
    appointment = book(tenant)
    with work(tenant) as session:
        verbs.cancel(session, appointment, by="client")
    run_due(app)
    assert len(told(tenant, contact)) == 1


def test_a_move_by_the_client_names_both_times(app: Flask, tenant: int) -> None:
    contact = hire(tenant, alerts={"client_moved": "now"}, language="en")
    appointment = book(tenant)
    with work(tenant) as session:
        start = utcnow().replace(microsecond=0) + timedelta(days=4, hours=1)
        verbs.reschedule(session, appointment, start=start, by="client")
    run_due(app)
    (said,) = told(tenant, contact)
    assert said.startswith("Ana Prueba moved their appointment from ")
    with work(tenant, write=False) as session:
        links = session.scalars(select(Notification).where(Notification.staff_contact_id == contact)).one()
        assert links.status == "SENT"


def test_the_same_again_is_counted_and_not_told(app: Flask, tenant: int) -> None:
    contact = hire(tenant, alerts={"channel_down": "now"})
    facts = {"channelName": "SMS", "problem": "401"}
    assert [alert(tenant, "channel_down", subject="sms", **facts) for _ in range(50)] == [1] + [0] * 49
    assert alert(tenant, "channel_down", subject="push", **facts) == 1
    run_due(app)
    assert len(told(tenant, contact)) == 2
    with work(tenant) as session:
        first = session.scalars(select(StaffNotice).order_by(StaffNotice.id)).first()
        assert first is not None
        assert first.times == 50
        session.execute(update(StaffNotice).values(at=utcnow() - timedelta(hours=7)))
    assert alert(tenant, "channel_down", subject="sms", **facts) == 1


def test_only_those_of_the_branch_and_the_active_are_told(app: Flask, tenant: int) -> None:
    with work(tenant) as session:
        here, there = (make_branch(session).id for _ in range(2))
    alerts = {"contact_unknown": "now"}
    everywhere, mine, other = (hire(tenant, alerts=alerts, branch_id=branch) for branch in (None, here, there))
    gone = hire(tenant, alerts=alerts, active=False)
    assert alert(tenant, "contact_unknown", subject="1", branch_id=here, contactName="") == 2
    assert alert(tenant, "contact_unknown", subject="2", contactName="") == 3
    run_due(app)
    assert [len(told(tenant, one)) for one in (everywhere, mine, other, gone)] == [2, 2, 1, 0]


def test_who_left_before_it_was_sent_gets_nothing(app: Flask, tenant: int) -> None:
    contact = hire(tenant, alerts={"contact_unknown": "now"})
    alert(tenant, "contact_unknown", subject="1", contactName="")
    with work(tenant) as session:
        session.get_one(StaffContact, contact).active = False
    run_due(app)
    with work(tenant, write=False) as session:
        row = session.scalars(select(Notification)).one()
        assert (row.status, row.reason) == ("SKIPPED", "do_not_message")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Seven in the morning in Mexico City."""
    with time_machine.travel(datetime(2031, 3, 4, 13, 0, tzinfo=UTC), tick=False) as found:
        yield found


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # whose clock can be set
def test_the_digest_comes_once_a_day_with_everything_in_it(
    app: Flask, tenant: int, clock: time_machine.Traveller
) -> None:
    contact = hire(tenant, alerts={"appointment_booked": "digest", "channel_down": "digest"}, digest_at="08:00")
    book(tenant)
    book(tenant)
    for _ in range(3):
        alert(tenant, "channel_down", subject="sms", channelName="SMS", problem="")
    assert [found[2] for found in watched_tenants()] == [tenant]
    context = JobContext(tenant, 1, 1, {})
    watch(context)
    run_due(app)
    assert told(tenant, contact) == []
    clock.shift(timedelta(hours=1))
    for _ in range(2):
        watch(context)
    run_due(app)
    (said,) = told(tenant, contact)
    assert said.splitlines()[0] == "Resumen de Clinic, 3 en total:"
    assert len(said.splitlines()) == 4
    assert said.endswith("(×3)")
    book(tenant)
    clock.shift(timedelta(hours=2))
    watch(context)
    clock.shift(timedelta(hours=22))
    watch(context)
    run_due(app)
    assert len(told(tenant, contact)) == 2


def test_a_channel_that_is_down_is_told_and_a_busy_one_is_not(app: Flask, tenant: int) -> None:
    contact = hire(tenant, alerts={"channel_down": "now"})
    until = utcnow() + timedelta(minutes=10)
    with work(tenant) as session:
        session.add(ChannelState(channel="email", open_until=until, openings=1, reason="auth_failed"))
        session.add(ChannelState(channel="chatwoot", open_until=until, openings=1, reason="unreachable"))
        session.add(ChannelState(channel="log", open_until=until, openings=9, reason="limited"))
    for _ in range(2):
        watch(JobContext(tenant, 1, 1, {}))
    with work(tenant) as session:
        session.execute(update(ChannelState).where(ChannelState.channel == "log").values(open_until=None))
    run_due(app)
    (said,) = told(tenant, contact)
    assert "credenciales" in said
    with work(tenant) as session:
        session.execute(update(ChannelState).where(ChannelState.channel == "chatwoot").values(openings=3))
    watch(JobContext(tenant, 1, 1, {}))
    run_due(app)
    assert len(told(tenant, contact)) == 2


def test_nobody_to_tell_means_no_periodic_work(tenant: int) -> None:
    assert list(watched_tenants()) == []


def test_every_kind_has_its_text() -> None:
    for kind in ALERTS:
        for language in ("es", "en"):
            assert render(text_key(kind), family="mail", language=language, variables=sample(language)).subject
            assert "{{" not in render(text_key(kind), family="chat", language=language, variables=sample(language)).body
