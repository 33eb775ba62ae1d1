"""A channel that is broken, slow or limited: its messages wait, nobody else's do."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import db, system_work, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.types import (
    Ambiguous,
    AuthFailed,
    JobContext,
    Limited,
    Message,
    Pace,
    Permanent,
    Receipt,
    Retry,
)
from citaplanner_core.jobs import housekeeping
from citaplanner_core.jobs.models import Job
from citaplanner_core.notifications import delivery, gate, repeats, service
from citaplanner_core.notifications.delivery import NotificationSource, advance
from citaplanner_core.notifications.models import ChannelState, Delivery, Notification
from citaplanner_core.testing.factories import make_client, make_tenant
from citaplanner_core.testing.worker import run_due
from tests.conftest import ON_POSTGRESQL
from tests.core.jobs.support import PATIENCE, eventually, running
from tests.core.notifications.support import AskableChannel, FakeChannel, Scene, only


def say(
    scene: Scene, count: int = 1, *, channel: str | None = "chatwoot", tenant: int | None = None, **given: Any
) -> None:
    """Let a tenant tell one client something `count` times."""
    with work(tenant or scene.tenant) as session:
        client = make_client(session).id
        for _ in range(count):
            values = {"type": "PAYMENT_REMINDER", "message": "Hola"} | given
            service.send_notification(recipient_id=client, channel=channel, **values)


def rows(scene: Scene) -> list[Notification]:
    with work(scene.tenant, write=False) as session:
        found = list(session.scalars(select(Notification).order_by(Notification.id)))
        session.expunge_all()
        return found


def deliveries(scene: Scene) -> list[Delivery]:
    with work(scene.tenant, write=False) as session:
        found = list(session.scalars(select(Delivery).order_by(Delivery.id)))
        session.expunge_all()
        return found


def state(scene: Scene) -> ChannelState | None:
    with work(scene.tenant, write=False) as session:
        found = gate.state_of(session, "chatwoot")
        session.expunge_all()
        return found


def open_until(scene: Scene) -> Any:
    found = state(scene)
    assert found is not None
    assert found.open_until is not None
    return found.open_until


def test_refused_credentials_hold_the_channel_at_once(scene: Scene) -> None:
    scene.first.answers = [AuthFailed("token refused")] * 9
    say(scene, 6)
    say(scene, channel="email")
    scene.run()
    assert [row.status for row in rows(scene)] == ["FAILED", *["PENDING"] * 5, "SENT"]
    assert len(scene.first.answers) == 8
    until = open_until(scene)
    assert all(row.due >= until and row.attempt == 0 for row in rows(scene)[1:6])


def test_with_refused_credentials_the_next_channel_takes_over(scene: Scene) -> None:
    scene.first.answers = [AuthFailed("token refused")] * 9
    for _ in range(3):
        say(scene, channel=None)
    scene.run()
    assert [row.status for row in rows(scene)] == ["SENT"] * 3
    assert [(one.channel, one.status, one.attempt, one.reason) for one in deliveries(scene)] == [
        ("chatwoot", "FAILED", 1, "auth_failed"),
        *[("chatwoot", "FAILED", 0, "auth_failed"), ("email", "SENT", 1, None)] * 2,
        ("email", "SENT", 2, None),
    ]


def test_five_unanswered_calls_hold_the_channel_of_that_tenant_only(scene: Scene) -> None:
    scene.first.answers = [Retry("down")] * gate.FAILURES_TO_OPEN
    say(scene, 8)
    other = make_tenant("other")
    lifecycle.enable("chatwoot", other)
    scene.run()
    assert [row.status for row in rows(scene)] == ["PENDING"] * 8
    assert (scene.first.answers, scene.first.sent) == ([], [])
    say(scene, tenant=other)
    run_due(scene.app)
    assert [message.tenant_id for message in scene.first.sent] == [other]


def test_a_hold_grows_while_one_message_tries_and_ends_when_it_arrives(scene: Scene) -> None:
    scene.first.answers = [Retry("down")] * (gate.FAILURES_TO_OPEN + 1)
    say(scene, 8)
    scene.run()
    first = open_until(scene) - utcnow()
    run_due(scene.app, within=timedelta(minutes=1))
    assert scene.first.answers == []  # one tried, the others did not
    assert open_until(scene) - utcnow() > first * 1.2
    run_due(scene.app, within=timedelta(minutes=5))
    run_due(scene.app, within=timedelta(minutes=20))
    assert [row.status for row in rows(scene)] == ["SENT"] * 8
    found = state(scene)
    assert found is not None
    assert (found.open_until, found.failures, found.openings) == (None, 0, 0)


def test_while_one_tries_the_others_are_written_forward_together(scene: Scene) -> None:
    say(scene, 4)
    with work(scene.tenant) as session:
        past = utcnow() - timedelta(seconds=1)
        held = ChannelState(channel="chatwoot", open_until=past, probe_until=utcnow() + timedelta(minutes=1))
        session.add(held)
    scene.run()
    assert scene.first.sent == []
    dues = {row.due for row in rows(scene)}
    assert all(due > utcnow() for due in dues)
    with work(scene.tenant) as session:
        session.execute(update(ChannelState).values(probe_until=past))  # it was never heard of again
    scene.make_due()
    scene.run()
    assert [row.status for row in rows(scene)] == ["SENT"] * 4


def test_a_limit_reached_lets_everything_of_the_account_wait_as_long_as_asked(scene: Scene) -> None:
    scene.first.answers = [Limited("enough", after=60)]
    say(scene, 5)
    scene.run()
    assert scene.first.sent == []
    assert all(row.due >= utcnow() + timedelta(seconds=55) for row in rows(scene))
    run_due(scene.app, within=timedelta(minutes=2))
    run_due(scene.app, within=timedelta(minutes=2))
    assert [row.status for row in rows(scene)] == ["SENT"] * 5


def test_a_storm_of_limits_costs_few_calls_and_loses_nothing(scene: Scene) -> None:
    scene.first.answers = [Limited("enough", after=60)] * 6
    say(scene, 12)
    for _ in range(16):
        run_due(scene.app, within=timedelta(minutes=20))
    assert [row.status for row in rows(scene)] == ["SENT"] * 12
    assert len(scene.first.sent) == 12


def test_a_pace_spaces_what_waits_and_lets_promotions_wait_behind(scene: Scene) -> None:
    pace = Pace(per_second=2)
    now = utcnow()
    with work(scene.tenant) as session:

        def take(*, urgent: bool, later: float = 0) -> float | None:
            at = now + timedelta(seconds=later)
            hold = gate.take_place(session, "chatwoot", pace, 1, at, urgent=urgent)
            return None if hold is None else (hold.until - now).total_seconds()

        assert [take(urgent=False) for _ in range(5)] == [None, None, 0.5, 1, 1.5]
        assert [take(urgent=True) for _ in range(2)] == [0.5, 1]
        assert take(urgent=False) == 2
        assert [take(urgent=True, later=0.5), take(urgent=True, later=0.5)] == [None, 1.5]


def test_a_message_without_a_place_waits_for_it_in_its_lane(scene: Scene) -> None:
    scene.first.pace = Pace(per_second=0.01)  # type: ignore[attr-defined]  # an optional attribute
    say(scene, 2)
    scene.run()
    sent, waits = rows(scene)
    assert (sent.status, waits.status, waits.attempt, waits.lane) == ("SENT", "PENDING", 0, "chatwoot")
    assert waits.due > utcnow() + timedelta(seconds=60)
    assert len(deliveries(scene)) == 1


def test_two_messages_to_one_person_keep_their_distance(scene: Scene) -> None:
    scene.first.pace = Pace(recipient_seconds=30)  # type: ignore[attr-defined]  # an optional attribute
    say(scene, 2)
    say(scene)
    scene.run()
    assert [row.status for row in rows(scene)] == ["SENT", "PENDING", "SENT"]
    assert rows(scene)[1].due > utcnow() + timedelta(seconds=20)


def test_a_possible_repeat_is_reported(scene: Scene) -> None:
    scene.first.answers = [Ambiguous("timed out")]
    say(scene)
    scene.run(times=2)
    (only_one,) = deliveries(scene)
    assert (only_one.status, only_one.possible_repeat, only_one.error) == ("SENT", True, None)


def test_where_one_can_ask_nothing_is_reported_as_repeated(scene: Scene) -> None:
    only(scene, AskableChannel("chatwoot"))
    scene.first.answers = [Ambiguous("timed out")]
    say(scene)
    scene.run(times=2)
    assert [one.possible_repeat for one in deliveries(scene)] == [False]


def test_a_tenant_switched_off_with_rows_waiting(scene: Scene) -> None:
    say(scene, 3)
    with system_work("test", write=True) as session:
        session.execute(update(Tenant).values(active=False))
    scene.run()
    assert {(row.status, row.reason) for row in rows(scene)} == {("SKIPPED", "tenant_off")}
    assert scene.first.sent == []


def test_a_text_that_cannot_be_made_harms_nobody_else(scene: Scene) -> None:
    say(scene, template="NO_SUCH_TEXT", message=None)
    say(scene)
    scene.run()
    assert [(row.status, row.reason) for row in rows(scene)] == [("FAILED", "template_error"), ("SENT", None)]


def test_a_row_that_ends_its_workers_is_given_up(scene: Scene) -> None:
    say(scene)
    with work(scene.tenant) as session:
        session.execute(update(Notification).values(attempt=delivery.MAX_DEATHS))
    scene.run()
    assert [(row.status, row.reason) for row in rows(scene)] == [("FAILED", "unreachable")]


def test_a_clock_set_back_an_hour_does_not_park_what_was_being_sent(scene: Scene) -> None:
    only(scene, AskableChannel("chatwoot"))
    say(scene)
    later = utcnow() + timedelta(hours=1)
    with work(scene.tenant) as session:
        session.execute(update(Notification).values(status="SENDING", lease_until=later, lease_token="gone"))
    scene.run()
    assert [row.status for row in rows(scene)] == ["SENT"]


@dataclass
class HangingChannel(FakeChannel):
    """Answers when it is let."""

    def __post_init__(self) -> None:
        self.let, self.begun = threading.Event(), threading.Semaphore(0)

    def send(self, message: Message, settings: Mapping[str, Any]) -> Receipt:
        self.begun.release()
        assert self.let.wait(PATIENCE)
        return super().send(message, settings)


def test_a_hanging_channel_leaves_threads_to_the_others(scene: Scene) -> None:
    hanging = HangingChannel("chatwoot")
    only(scene, hanging)
    say(scene, 8, channel=None)  # nobody knows their lane before they are looked at
    with running(scene.app, NotificationSource(), threads=4, poll_seconds=0.2):
        for _ in range(3):
            assert hanging.begun.acquire(timeout=PATIENCE)
        say(scene, 5, channel="email")
        assert eventually(lambda: len(scene.second.sent) == 5)
        assert not hanging.begun.acquire(blocking=False)
        hanging.let.set()
        assert eventually(lambda: [row.status for row in rows(scene)] == ["SENT"] * 13)
    assert {row.attempt for row in rows(scene)} == {1}


def kill_connections(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("engine", ON_POSTGRESQL, indirect=True)
def test_connections_that_break_in_the_middle_lose_and_double_nothing(scene: Scene) -> None:
    hanging = HangingChannel("chatwoot")
    only(scene, hanging)
    say(scene, 3)
    with running(scene.app, NotificationSource(lease_seconds=3, deadline_seconds=2.5), threads=4, poll_seconds=0.2):
        for _ in range(3):
            assert hanging.begun.acquire(timeout=PATIENCE)
        kill_connections(scene.app)
        hanging.let.set()
        assert eventually(lambda: [row.status for row in rows(scene)] == ["SENT"] * 3)
    assert len(scene.first.sent) == 3


def test_what_is_not_delivered_in_time_goes_out_over_the_next_channel_once(scene: Scene) -> None:
    scene.first.reports_delivery = True  # type: ignore[attr-defined]  # an optional attribute
    scene.book()
    scene.run()
    assert scene.second.sent == []
    for _ in range(3):
        run_due(scene.app, within=timedelta(minutes=16))
    assert len(scene.second.sent) == 1
    again = next(row for row in rows(scene) if row.retry_of is not None)
    assert (again.status, again.channel, again.rule) == ("SENT", "email", "confirmation")
    assert [(one.channel, one.attempt) for one in deliveries(scene) if one.notification_id == again.id] == [
        ("chatwoot", 0),
        ("email", 1),
    ]


def test_what_was_delivered_stays_alone(scene: Scene) -> None:
    scene.first.reports_delivery = True  # type: ignore[attr-defined]  # an optional attribute
    scene.book()
    scene.run()
    report(scene, "DELIVERED")
    run_due(scene.app, within=timedelta(minutes=16))
    assert scene.second.sent == []


def test_a_failure_reported_later_starts_the_next_channel_at_once(scene: Scene) -> None:
    scene.book()
    scene.run()
    report(scene, "FAILED")
    report(scene, "FAILED")
    scene.run()
    assert len(scene.second.sent) == 1
    assert [row.status for row in rows(scene) if row.rule == "confirmation"] == ["FAILED", "SENT"]


def test_a_channel_asked_for_by_name_has_no_other_after_it(scene: Scene) -> None:
    scene.first.reports_delivery = True  # type: ignore[attr-defined]  # an optional attribute
    say(scene)
    scene.run()
    report(scene, "FAILED")
    run_due(scene.app, within=timedelta(minutes=16))
    assert scene.second.sent == []


def report(scene: Scene, status: str) -> None:
    sent = next(one for one in deliveries(scene) if one.provider_id)
    with work(scene.tenant) as session:
        advance(session, sent.channel, sent.provider_id or "", status, at=utcnow(), error="not on WhatsApp")


def test_rejected_is_not_unreachable(scene: Scene) -> None:
    scene.first.answers = [Permanent("rejected")] * 9
    say(scene, 9)
    scene.run()
    assert state(scene) is None


def settled(scene: Scene, status: str, **given: Any) -> int:
    """Make a notification of this status and return its id."""
    say(scene, **given)
    with work(scene.tenant) as session:
        row = session.scalars(select(Notification).order_by(Notification.id.desc()).limit(1)).one()
        row.status = status
        return row.id


@pytest.mark.parametrize("status", ["PENDING", "SENDING", "SENT", "DELIVERED", "READ", "CANCELLED", "SUPERSEDED"])
def test_only_what_failed_is_sent_again(scene: Scene, status: str) -> None:
    number = settled(scene, status)
    with pytest.raises(service.NotificationRefused, match=status), work(scene.tenant) as session:
        repeats.retry(session, number)
    assert len(rows(scene)) == 1


def test_sent_again_once_at_a_time(scene: Scene) -> None:
    number = settled(scene, "FAILED")
    with work(scene.tenant) as session:
        repeats.retry(session, number)
    with pytest.raises(service.NotificationRefused, match="already"), work(scene.tenant) as session:
        repeats.retry(session, number)
    scene.run()
    assert [row.status for row in rows(scene)] == ["FAILED", "SENT"]


def test_what_is_past_is_not_sent_again(scene: Scene) -> None:
    scene.first.answers = [Permanent("rejected")]
    scene.second.answers = [Permanent("rejected")]
    scene.book()
    scene.run()
    with work(scene.tenant) as session:
        verbs.reschedule(
            session, scene.appointment, start=utcnow().replace(microsecond=0) + timedelta(days=5), by="staff"
        )
    failed = next(row for row in rows(scene) if row.status == "FAILED")
    with pytest.raises(service.NotificationRefused, match="superseded"), work(scene.tenant) as session:
        repeats.retry(session, failed.id)


def test_what_waits_can_be_taken_back(scene: Scene) -> None:
    say(scene, 2)
    first, second = rows(scene)
    with work(scene.tenant) as session:
        assert repeats.cancel(session, first.id).status == "CANCELLED"
    scene.run()
    assert [row.status for row in rows(scene)] == ["CANCELLED", "SENT"]
    with pytest.raises(service.NotificationRefused, match="SENT"), work(scene.tenant) as session:
        repeats.cancel(session, second.id)


def test_settled_jobs_are_deleted_in_the_end(app: Flask, tenant: int) -> None:
    ages = {("DONE", 6), ("DONE", 8), ("FAILED", 89), ("FAILED", 91), ("PENDING", 200)}
    with work(tenant) as session:
        for status, days in ages:
            then = utcnow() - timedelta(days=days)
            finished = None if status == "PENDING" else then
            session.add(Job(kind=f"{status} {days}", status=status, due=utcnow() + timedelta(9), finished_at=finished))
    housekeeping.tidy(JobContext(tenant, 1, 1, {}))
    with work(tenant, write=False) as session:
        assert set(session.scalars(select(Job.kind))) == {"DONE 6", "FAILED 89", "PENDING 200"}
