"""Decided when a message leaves: what the client wants, pauses, daily limit, quiet hours; each leaves its reason."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.clients import delete_client, update_client
from citaplanner_core.booking.errors import NotFound, ValidationFailed
from citaplanner_core.booking.models import Client
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks.registry import registry
from citaplanner_core.notifications import policy, service, timeline
from citaplanner_core.notifications.consents import list_consents, pause_messages, record_consent
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.rules import Rule, save_rule
from citaplanner_core.testing.factories import make_client, make_tenant
from tests.core.notifications.business import Watched, watched


@pytest.fixture
def business(app: Flask, tenant: int) -> Iterator[Watched]:
    before = registry().channels
    yield watched(app, tenant)
    registry().channels = before


def promote(business: Watched, **other: Any) -> None:
    values: dict[str, Any] = {
        "type": "PROMOTION",
        "recipient_id": business.client,
        "message": "2x1",
        "tenant_id": business.tenant,
    }
    service.send_notification(**values | other)


def says(business: Watched, given: bool, **other: Any) -> None:
    with work(business.tenant) as session:
        record_consent(session, business.client, given=given, source="counter", **other)


def new_client(business: Watched) -> None:
    with work(business.tenant) as session:
        business.client = make_client(session).id


def test_do_not_message_stops_everything(business: Watched) -> None:
    business.book()
    with work(business.tenant) as session:
        update_client(session, business.client, do_not_message=True)
    promote(business)
    business.run()
    assert business.chat.sent == []
    assert business.statuses()["confirmation"] == "SKIPPED do_not_message"
    assert business.statuses()["manual"] == "SKIPPED do_not_message"


def test_marketing_needs_a_yes_and_service_only_no_refusal(business: Watched) -> None:
    business.book()
    promote(business)
    business.run()
    assert business.statuses()["confirmation"] == "SENT"
    assert business.statuses()["manual"] == "SKIPPED no_consent"
    says(business, given=True)
    promote(business)
    business.run()
    assert business.statuses()["manual"] == "SENT"
    says(business, given=False, purpose="service")
    promote(business)
    business.make_due("reminder:60")
    business.run()
    assert business.statuses()["manual"] == "SKIPPED no_consent"
    assert business.statuses()["reminder:60"] == "SKIPPED no_consent"


def test_consent_is_by_channel_and_the_last_word_holds(business: Watched) -> None:
    new_client(business)
    says(business, given=True, channel="EMAIL")
    promote(business)
    business.run()
    assert (len(business.chat.sent), len(business.mail.sent)) == (0, 1)
    says(business, given=True)
    says(business, given=False, channel="email")
    promote(business)
    business.run()
    assert (len(business.chat.sent), len(business.mail.sent)) == (1, 1)
    says(business, given=False, at=utcnow() - timedelta(days=9))  # an older word that is told late
    promote(business)
    business.run()
    assert len(business.chat.sent) == 2
    with work(business.tenant, write=False) as session:
        found = [(row.channel, row.given, row.source) for row in list_consents(session, business.client)]
    assert found == [("*", True, "counter"), ("email", False, "counter")]


def test_a_consent_is_checked(business: Watched) -> None:
    new_client(business)
    with work(business.tenant) as session:
        for field, wrong in (("source", {"source": " "}), ("purpose", {"purpose": "fun"})):
            with pytest.raises(ValidationFailed) as refusal:
                record_consent(session, business.client, **{"given": True, "source": "x"} | wrong)  # type: ignore[arg-type]  # wrong on purpose
            assert refusal.value.field == field
        with pytest.raises(service.NotificationRefused):
            record_consent(session, business.client, given=True, source="x", channel="pigeon")
        with pytest.raises(NotFound):
            record_consent(session, 999, given=True, source="x")


def test_another_tenants_word_is_not_ours(app: Flask, business: Watched) -> None:
    new_client(business)
    other = make_tenant("other")
    with work(other) as session, pytest.raises(NotFound):
        record_consent(session, business.client, given=True, source="x")
    with work(other) as session:
        pause_messages(session, business.client, utcnow() + timedelta(hours=1), "x")
    with work(business.tenant, write=False) as session:
        assert session.get_one(Client, business.client).paused_until is None


def test_a_rules_chain_is_tried_in_turn_the_preferred_one_first(business: Watched) -> None:
    with work(business.tenant) as session:
        save_rule(session, Rule("confirmation", "APPOINTMENT_CONFIRMATION", "booked", channels=("email", "chatwoot")))
    business.book()
    business.run()
    assert (len(business.chat.sent), len(business.mail.sent)) == (0, 1)
    business.mail.broken = True
    business.book()
    business.run()
    assert (len(business.chat.sent), len(business.mail.sent)) == (1, 1)
    business.mail.broken = False
    business.book(preferred_channel="chatwoot")
    business.run()
    assert (len(business.chat.sent), len(business.mail.sent)) == (2, 1)
    with work(business.tenant) as session:
        save_rule(session, Rule("confirmation", "APPOINTMENT_CONFIRMATION", "booked", channels=("email",)))
    business.book(preferred_channel="chatwoot")
    business.run()
    assert (len(business.chat.sent), len(business.mail.sent)) == (2, 2)


def test_a_rule_may_name_the_language(business: Watched) -> None:
    with work(business.tenant) as session:
        save_rule(session, Rule("confirmation", "APPOINTMENT_CONFIRMATION", "booked", language="en"))
    business.book(first_name="Ana")
    business.run()
    assert business.chat.sent[0].body.startswith("Hi")


def test_while_an_agent_writes_automatic_messages_wait(business: Watched) -> None:
    business.book()
    business.run()
    until = utcnow() + timedelta(hours=1)
    with work(business.tenant) as session:
        pause_messages(session, business.client, until, "an agent writes")
        pause_messages(session, business.client, utcnow() + timedelta(minutes=5), "shorter")
    business.make_due("reminder:1440")
    business.run()
    row = business.row("reminder:1440")
    assert (row.status, row.reason, row.due, row.attempt) == ("PENDING", "paused_by_agent", until, 0)
    service.send_notification(
        type="PAYMENT_REMINDER", recipient_id=business.client, message="x", tenant_id=business.tenant
    )
    business.run()
    assert business.statuses()["manual"] == "SENT"  # by hand
    with work(business.tenant) as session:
        session.get_one(Client, business.client).paused_until = utcnow() - timedelta(seconds=1)
    business.make_due("reminder:1440")
    business.run()
    row = business.row("reminder:1440")
    assert (row.status, row.reason, row.error) == ("SENT", None, None)


def test_a_pause_over_the_appointment_ends_a_reminder_but_not_an_answer(business: Watched) -> None:
    business.book(at=utcnow() + timedelta(hours=2))
    with work(business.tenant) as session:
        pause_messages(session, business.client, utcnow() + timedelta(hours=3), "an agent writes")
    business.make_due("reminder:60")
    business.run()
    assert business.statuses()["reminder:60"] == "SKIPPED paused_by_agent"
    assert business.statuses()["confirmation"] == "SENT"


def test_quiet_hours_let_the_answer_through_and_the_rest_wait(business: Watched) -> None:
    business.quiet_now()
    business.book()
    business.make_due("reminder:1440")
    business.run()
    assert business.statuses()["confirmation"] == "SENT"
    row = business.row("reminder:1440")
    assert row.status == "PENDING"
    assert timedelta(minutes=118) < row.due - utcnow() < timedelta(minutes=131)
    assert row.error == "quiet hours"
    business.book(by="staff")
    business.run()
    assert business.statuses()["confirmation"] == "PENDING"


def test_an_answer_that_is_late_waits_like_the_rest(business: Watched) -> None:
    business.quiet_now()
    business.book()
    late = business.row("confirmation").id
    with work(business.tenant) as session:
        session.get_one(Notification, late).created_at = utcnow() - timedelta(minutes=20)
    business.run()
    assert business.statuses()["confirmation"] == "PENDING"


def test_marketing_by_hand_is_quiet_too(business: Watched) -> None:
    business.quiet_now()
    new_client(business)
    says(business, given=True)
    promote(business)
    business.run()
    assert business.statuses()["manual"] == "PENDING"


def test_what_would_come_too_late_is_not_said_but_a_change_is(business: Watched) -> None:
    business.quiet_now(more_hours=2)
    business.book(at=utcnow() + timedelta(hours=2, minutes=10))
    business.run()
    business.make_due("reminder:60")
    business.run()
    reminder = [row for row in business.rows() if row.rule == "reminder:60"][-1]
    assert (reminder.status, reminder.reason) == ("SKIPPED", "too_late")
    with work(business.tenant) as session:
        verbs.cancel(session, business.appointment, by="staff")
    business.run()
    assert business.statuses()["cancellation"] == "SENT"


def test_the_daily_limit_ends_marketing_and_delays_reminders_but_never_an_answer(business: Watched) -> None:
    business.set(daily_limit=2)
    new_client(business)
    says(business, given=True)
    for _ in range(3):
        promote(business)
    business.run()
    rows = business.rows()
    assert [(row.status, row.reason) for row in rows] == [("SENT", None), ("SENT", None), ("SKIPPED", "daily_limit")]
    business.book(client_id=business.client)
    business.make_due("reminder:1440")
    business.run()
    assert business.statuses()["confirmation"] == "SENT"
    row = business.row("reminder:1440")
    assert (row.status, row.reason) == ("PENDING", "daily_limit")
    assert timedelta(0) < row.due - utcnow() <= timedelta(hours=24)


def test_the_timeline_says_what_a_message_waits_for(business: Watched) -> None:
    business.quiet_now()
    business.book(by="staff")
    business.run()
    with work(business.tenant, write=False) as session:
        entries, _ = timeline.read(session, timeline.of_appointment(business.appointment))
    assert "quiet hours" in [entry.detail for entry in entries if entry.kind == "waiting"]


def test_policy_is_checked_and_what_waits_follows(business: Watched) -> None:
    with work(business.tenant) as session:
        for field, wrong in (
            ("quiet_until", {"quiet_from": "21:00"}),
            ("quiet_from", {"quiet_from": "9 pm", "quiet_until": "08:00"}),
            ("quiet_until", {"quiet_from": "21:00", "quiet_until": "20:00"}),
            ("daily_limit", {"daily_limit": 0}),
            ("feedback_url", {"feedback_url": "javascript:alert(1)"}),
        ):
            with pytest.raises(ValidationFailed) as refusal:
                policy.set_policy(session, wrong)
            assert refusal.value.field == field
        kept = policy.set_policy(session, {"quiet_from": "22:00", "quiet_until": "07:00"})
        assert (kept, policy.read_policy(session).quiet_from) == (policy.read_policy(session), "22:00")


def test_upcoming_counts_what_waits(business: Watched) -> None:
    business.book()
    with work(business.tenant, write=False) as session:
        assert policy.upcoming(session, 24) == {"APPOINTMENT_CONFIRMATION": 1}
        assert policy.upcoming(session, 24 * 7) == {"APPOINTMENT_REMINDER": 2, "APPOINTMENT_CONFIRMATION": 1}


def test_erasing_the_responsible_person_leaves_the_child(business: Watched) -> None:
    with work(business.tenant) as session:
        mother = make_client(session).id
        child = make_client(session, responsible_id=mother).id
    with work(business.tenant) as session:
        delete_client(session, mother)
    with work(business.tenant, write=False) as session:
        assert session.get_one(Client, child).responsible_id is None
