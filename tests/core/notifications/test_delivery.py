"""From a booking to what was said: planned with it, sent once, and every outcome explained."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Appointment, Branch
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.types import (
    Ambiguous,
    AuthFailed,
    Permanent,
    Retry,
)
from citaplanner_core.notifications import delivery, repeats, service
from citaplanner_core.notifications.consents import record_consent
from citaplanner_core.notifications.models import Delivery, Notification
from citaplanner_core.notifications.opt_outs import OptOut
from citaplanner_core.testing.factories import make_client, make_professional, make_service
from citaplanner_core.testing.worker import run_due
from tests.core.notifications.support import AskableChannel, Scene, only


def test_a_booking_tells_the_client_at_once_and_plans_two_reminders(scene: Scene) -> None:
    scene.book(first_name="Ana")
    scene.run()
    assert scene.statuses() == {"confirmation": "SENT", "reminder:1440": "PENDING", "reminder:60": "PENDING"}
    message = scene.first.sent[0]
    assert message.body.startswith("Hola, Ana. Tu cita en Clinic quedó agendada:")
    assert "https://citas.example/r/" in message.body
    assert message.question == "confirm"
    assert scene.second.sent == []


def test_reminders_are_due_exactly_before_the_start(scene: Scene) -> None:
    scene.book()
    with work(scene.tenant, write=False) as session:
        start = session.scalars(select(Appointment.start)).one()
        due = {row.rule: row.due for row in session.scalars(select(Notification))}
    assert due["reminder:1440"] == start - timedelta(hours=24)
    assert due["reminder:60"] == start - timedelta(hours=1)


def test_booked_inside_the_offset_is_too_late_for_that_reminder(scene: Scene) -> None:
    scene.book(days=0.5)
    assert scene.statuses()["reminder:1440"] == "SKIPPED too_late"
    assert scene.statuses()["reminder:60"] == "PENDING"


def test_moving_supersedes_and_tells_both_times(scene: Scene) -> None:
    scene.book()
    scene.run()
    with work(scene.tenant) as session:
        start = session.get_one(Appointment, scene.appointment).start + timedelta(days=1)
        verbs.reschedule(session, scene.appointment, start=start, by="staff")
    scene.run()
    assert scene.first.sent[-1].type == "APPOINTMENT_RESCHEDULE"
    assert "Antes:" in scene.first.sent[-1].body
    with work(scene.tenant, write=False) as session:
        statuses = session.scalars(select(Notification.status).where(Notification.rule == "reminder:60")).all()
    assert sorted(statuses) == ["PENDING", "SUPERSEDED"]
    scene.make_due()
    scene.run()
    assert [message.type for message in scene.first.sent].count("APPOINTMENT_REMINDER") == 2


def test_cancelling_takes_reminders_back_and_tells_who_did_not_do_it(scene: Scene) -> None:
    scene.book()
    scene.run()
    with work(scene.tenant) as session:
        verbs.cancel(session, scene.appointment, by="staff", reason="La profesional está enferma")
    scene.make_due()
    scene.run()
    assert [message.type for message in scene.first.sent] == ["APPOINTMENT_CONFIRMATION", "APPOINTMENT_CANCELLATION"]
    assert scene.statuses()["reminder:60"] == "CANCELLED appointment_cancelled"


def test_a_client_who_cancels_gets_no_second_message(scene: Scene) -> None:
    scene.book()
    with work(scene.tenant) as session:
        verbs.cancel(session, scene.appointment, by="client")
    scene.run()
    assert scene.first.sent == []


def test_a_rolled_back_booking_leaves_no_message(scene: Scene) -> None:
    with pytest.raises(RuntimeError), work(scene.tenant) as session:
        appointment = verbs.book(
            session,
            client_id=make_client(session).id,
            service_id=make_service(session).id,
            professional_id=make_professional(session).id,
            branch_id=session.scalars(select(Branch.id)).one(),
            start=utcnow() + timedelta(days=3),
        )
        assert appointment.id
        raise RuntimeError
    scene.run()
    assert (scene.statuses(), scene.first.sent) == ({}, [])


def test_what_is_said_is_true_when_it_is_said(scene: Scene) -> None:
    """The appointment was cancelled behind the planner's back: nothing goes out."""
    scene.book()
    with work(scene.tenant) as session:
        session.execute(update(Appointment).values(status="CANCELLED"))
    scene.run()
    assert scene.first.sent == []
    assert scene.statuses()["confirmation"] == "SKIPPED appointment_cancelled"


def test_a_reminder_after_the_start_is_never_sent(scene: Scene) -> None:
    scene.book()
    with work(scene.tenant) as session:
        past = utcnow() - timedelta(hours=2)
        session.execute(
            update(Appointment).values(
                start=past, end=past + timedelta(hours=1), blocked_from=past, blocked_until=past + timedelta(hours=1)
            )
        )
    scene.make_due()
    scene.run()
    assert scene.first.sent == []
    assert scene.statuses()["reminder:60"] == "SKIPPED appointment_past"


def test_a_permanent_failure_falls_back_to_the_next_channel(scene: Scene) -> None:
    scene.first.answers = [Permanent("window_closed")]
    scene.book()
    scene.run()
    assert scene.statuses()["confirmation"] == "SENT"
    assert scene.second.sent[0].subject
    with work(scene.tenant, write=False) as session:
        rows = session.scalars(select(Delivery).order_by(Delivery.id)).all()
        assert [(row.channel, row.status, row.reason) for row in rows] == [
            ("chatwoot", "FAILED", "window_closed"),
            ("email", "SENT", None),
        ]


def test_when_every_channel_fails_the_last_reason_stays(scene: Scene) -> None:
    scene.first.answers = [AuthFailed("token refused")]
    scene.second.answers = [Permanent("rejected", "550 no such user")]
    scene.book()
    scene.run()
    assert scene.statuses()["confirmation"] == "FAILED rejected"
    with work(scene.tenant, write=False) as session:
        failures = session.scalars(select(Delivery.error).order_by(Delivery.id)).all()
    assert failures == ["token refused", "550 no such user"]


def test_a_temporary_failure_waits_and_obeys_the_provider(scene: Scene) -> None:
    scene.first.answers = [Retry("busy", after=60), None]
    scene.book()
    scene.run()
    assert scene.statuses()["confirmation"] == "PENDING unreachable"
    with work(scene.tenant, write=False) as session:
        row = session.scalars(select(Notification).where(Notification.rule == "confirmation")).one()
        assert row.due >= utcnow() + timedelta(seconds=55)
    scene.make_due()
    scene.run()
    assert scene.statuses()["confirmation"] == "SENT"
    assert scene.second.sent == []


def test_it_gives_up_in_the_end_with_a_reason(scene: Scene) -> None:
    scene.first.answers = [Retry("down")] * 50
    scene.book(preferred_channel="chatwoot")
    scene.run(times=2)
    assert scene.statuses()["confirmation"] == "PENDING unreachable"
    with work(scene.tenant) as session:
        session.execute(update(Delivery).values(started_at=utcnow() - delivery.GIVE_UP_AFTER))
    scene.run(times=2)
    assert scene.statuses()["confirmation"] == "FAILED unreachable"
    assert scene.first.sent == []


@pytest.mark.parametrize("error", [Ambiguous("timed out"), ValueError("a bug in the channel")])
def test_an_unknown_outcome_is_asked_about_and_never_doubled(scene: Scene, error: Exception) -> None:
    only(scene, AskableChannel("chatwoot"))
    scene.first.answers = [error]
    scene.book()
    scene.run(times=2)
    scene.run()
    assert len([message for message in scene.first.sent if message.type == "APPOINTMENT_CONFIRMATION"]) == 1
    assert scene.statuses()["confirmation"] == "SENT"


def test_a_crash_between_call_and_commit_is_asked_about(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies after the provider took the message: its lease lapses, and the next one asks first."""
    only(scene, AskableChannel("chatwoot"))
    scene.book()
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise SystemExit

        patch.setattr(delivery, "_settle", die)
        with pytest.raises(SystemExit):
            scene.run()
    with work(scene.tenant) as session:
        session.execute(update(Notification).values(lease_until=utcnow() - timedelta(seconds=1)))
    scene.run()
    assert len(scene.first.sent) == 1
    assert scene.statuses()["confirmation"] == "SENT"


def test_while_the_provider_cannot_tell_nothing_is_sent_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    only(scene, AskableChannel("chatwoot"))
    scene.first.answers = [Ambiguous("timed out")]
    scene.book()
    with monkeypatch.context() as patch:

        def cannot_tell(*_: object) -> None:
            raise Retry("down", after=30)

        patch.setattr(AskableChannel, "find_sent", cannot_tell)
        scene.run(times=4)
    scene.run(times=2)
    confirmations = [message for message in scene.first.sent if message.type == "APPOINTMENT_CONFIRMATION"]
    assert len(confirmations) == 1
    assert scene.statuses()["confirmation"] == "SENT"


def test_a_channel_that_never_reaches_somebody_is_given_up_at_once(scene: Scene) -> None:
    scene.first.answers = [Permanent("unreachable")]
    scene.book()
    scene.run()
    assert scene.statuses()["confirmation"] == "SENT"
    assert len(scene.second.sent) == 1


def test_where_nobody_can_be_asked_reminders_are_sent_again(scene: Scene) -> None:
    scene.first.answers = [Ambiguous("broken")]
    scene.book()
    scene.run(times=2)
    assert [message.type for message in scene.first.sent].count("APPOINTMENT_CONFIRMATION") == 2


def test_where_nobody_can_be_asked_marketing_is_held(scene: Scene) -> None:
    scene.first.answers = [Ambiguous("broken")]
    with work(scene.tenant) as session:
        client = make_client(session).id
        record_consent(session, client, given=True, source="form")
    service.send_notification(type="PROMOTION", recipient_id=client, message="2x1", tenant_id=scene.tenant)
    scene.run(times=3)
    assert (len(scene.first.sent), len(scene.second.sent)) == (1, 0)
    assert scene.statuses() == {"manual": "FAILED outcome_unknown"}


def test_reasons_for_silence(scene: Scene) -> None:
    scene.first.address = scene.second.address = None
    scene.book()
    scene.run()
    assert scene.statuses()["confirmation"] == "SKIPPED no_address"
    for name in ("chatwoot", "email"):
        lifecycle.disable(name, scene.tenant)
    scene.book()
    scene.run()
    assert scene.statuses()["confirmation"] == "SKIPPED channel_off"


def test_who_opted_out_gets_nothing_over_that_channel(scene: Scene) -> None:
    scene.book()
    with work(scene.tenant) as session:
        session.add(OptOut(client_id=scene.client, channel="chatwoot", words="BAJA"))
    scene.run()
    assert (len(scene.first.sent), len(scene.second.sent)) == (0, 1)
    with work(scene.tenant) as session:
        session.add(OptOut(client_id=scene.client, channel="email", words="BAJA"))
    scene.make_due()
    scene.run()
    assert scene.statuses()["reminder:60"] == "SKIPPED opted_out"


def test_the_preferred_channel_comes_first(scene: Scene) -> None:
    scene.book(preferred_channel="email")
    scene.run()
    assert (len(scene.first.sent), len(scene.second.sent)) == (0, 1)


def test_a_staging_copy_says_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    config = scene.app.config["CITAPLANNER"]
    monkeypatch.setitem(scene.app.config, "CITAPLANNER", config.model_copy(update={"delivery": "off"}))
    scene.book()
    scene.run()
    assert scene.first.sent == []
    assert scene.statuses()["confirmation"] == "SKIPPED delivery_off"


def test_the_language_and_the_zone_are_the_clients_and_the_branchs(scene: Scene) -> None:
    with work(scene.tenant) as session:
        session.execute(update(Branch).values(zone="America/Tijuana"))
    scene.book(language="en")
    scene.run()
    with work(scene.tenant, write=False) as session:
        start = session.scalars(select(Appointment.start)).one()
    assert scene.first.sent[0].body.startswith("Hi ")
    local = start.astimezone(ZoneInfo("America/Tijuana"))
    assert f"{local.hour % 12 or 12}:{local.minute:02}" in scene.first.sent[0].body


def test_sending_by_hand_is_idempotent_by_key(scene: Scene) -> None:
    with work(scene.tenant) as session:
        client = make_client(session).id
    results = [
        service.send_notification(
            type="payment_reminder",
            recipient_id=client,
            channel="CHATWOOT",
            message="Hola {cliente}",
            tenant_id=scene.tenant,
            idempotency_key="invoice-1",
        )
        for _ in range(2)
    ]
    scene.run()
    assert results[0].notification_id == results[1].notification_id
    assert results[0].success
    assert [message.type for message in scene.first.sent] == ["PAYMENT_REMINDER"]
    with work(scene.tenant, write=False) as session:
        assert session.scalar(select(func.count()).select_from(Notification)) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"type": "NO_SUCH"}, "type"),
        ({"channel": "pigeon"}, "channel"),
        ({"recipient_id": 999_999}, "recipient_id"),
        ({"appointment_id": 999_999}, "appointment_id"),
        ({"tenant_id": None}, "tenant_id"),
    ],
)
def test_bad_requests_name_the_field(scene: Scene, given: dict[str, Any], field: str) -> None:
    with work(scene.tenant) as session:
        client = make_client(session).id
    values: dict[str, Any] = {
        "type": "PAYMENT_REMINDER",
        "recipient_id": client,
        "tenant_id": scene.tenant,
        "message": "x",
    }
    values |= given
    with pytest.raises(service.NotificationRefused) as refusal:
        service.send_notification(**values)
    assert refusal.value.field == field


def test_waiting_inside_a_unit_is_refused(scene: Scene) -> None:
    with pytest.raises(service.NotificationRefused, match="wait"), work(scene.tenant) as session:
        service.send_notification(type="PAYMENT_REMINDER", recipient_id=make_client(session).id, message="x", wait=1)


def test_a_channel_that_is_off_leaves_a_trace(scene: Scene) -> None:
    lifecycle.disable("chatwoot", scene.tenant)
    assert not service.is_channel_enabled("chatwoot", scene.tenant)
    assert service.is_channel_enabled("EMAIL", scene.tenant)
    with work(scene.tenant) as session:
        client = make_client(session).id
    result = service.send_notification(
        type="PAYMENT_REMINDER", recipient_id=client, channel="chatwoot", message="x", tenant_id=scene.tenant
    )
    assert (result.success, result.status, result.error) == (False, "SKIPPED", "channel_off")


def test_an_unknown_template_fails_readably(scene: Scene) -> None:
    with work(scene.tenant) as session:
        client = make_client(session).id
    service.send_notification(
        type="PAYMENT_REMINDER", recipient_id=client, channel="chatwoot", template="NO_SUCH", tenant_id=scene.tenant
    )
    scene.run()
    assert scene.statuses() == {"manual": "FAILED template_error"}


def test_a_failed_one_is_sent_again_as_a_new_one(scene: Scene) -> None:
    scene.first.answers = [Permanent("rejected")]
    with work(scene.tenant) as session:
        client = make_client(session).id
    first = service.send_notification(
        type="PAYMENT_REMINDER", recipient_id=client, channel="chatwoot", message="x", tenant_id=scene.tenant
    )
    scene.run()
    with work(scene.tenant) as session:
        again = repeats.retry(session, first.notification_id)
        assert again.retry_of == first.notification_id
        again_id = again.id
    scene.run()
    with work(scene.tenant, write=False) as session:
        result = service.result_of(session, session.get_one(Notification, again_id))
    assert (result.success, result.status) == (True, "SENT")
    assert result.message_id == f"chatwoot-{again_id}-1"


def test_provider_reports_only_move_forward(scene: Scene) -> None:
    scene.book()
    scene.run()
    with work(scene.tenant, write=False) as session:
        provider = session.scalars(select(Delivery.provider_id)).one()
    assert provider is not None
    for report, status in [("READ", "READ"), ("DELIVERED", "READ"), ("FAILED", "READ")]:
        with work(scene.tenant) as session:
            delivery.advance(session, "chatwoot", provider, report, at=utcnow())
        assert scene.statuses()["confirmation"] == status
    with work(scene.tenant) as session:
        assert delivery.advance(session, "chatwoot", "nobody-1", "READ", at=utcnow()) is None


def test_a_failure_reported_later_is_shown(scene: Scene) -> None:
    scene.book()
    scene.run()
    with work(scene.tenant) as session:
        provider = session.scalars(select(Delivery.provider_id)).one()
        delivery.advance(session, "chatwoot", provider or "", "FAILED", at=utcnow(), error="131047: Re-engagement")
    assert scene.statuses()["confirmation"] == "FAILED rejected"


def test_the_log_channel_works_with_no_plugin_at_all(app: Flask, tenant: int) -> None:
    with work(tenant) as session:
        client = make_client(session).id
    sent = service.send_notification(
        type="PAYMENT_REMINDER", recipient_id=client, channel="LOG", message="x", tenant_id=tenant
    )
    run_due(app)
    with work(tenant, write=False) as session:
        result = service.result_of(session, session.get_one(Notification, sent.notification_id))
    assert (result.status, result.message_id) == ("SENT", f"log-{sent.notification_id}-1")
