"""Rules become rows: planned with the booking, superseded when it moves, brought in line when a rule changes."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.errors import BookingError, NotAllowed, NotFound, ValidationFailed
from citaplanner_core.booking.models import Appointment
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import AppointmentEvent
from citaplanner_core.notifications import planner, replanning
from citaplanner_core.notifications.consents import set_preferences
from citaplanner_core.notifications.rules import (
    DEFAULT_RULES,
    Rule,
    active_rules,
    delete_rule,
    list_rules,
    save_rule,
)
from citaplanner_core.notifications.service import NotificationRefused
from citaplanner_core.testing.factories import make_appointment, make_client, make_service, make_tenant
from tests.core.notifications.business import Watched, watched
from tests.examples import FEW

MEXICO = ZoneInfo("America/Mexico_City")
REMINDER = "APPOINTMENT_REMINDER"
numbers = count(1)


@pytest.fixture
def business(app: Flask, tenant: int) -> Iterator[Watched]:
    before = registry().channels
    yield watched(app, tenant)
    registry().channels = before


def save(business: Watched, *rules: Rule) -> None:
    with work(business.tenant) as session:
        for rule in rules:
            save_rule(session, rule)
        replanning.request_replan(session)
    business.run(within=replanning.SECOND_LOOK)


def two_oclock(days: int = 20) -> datetime:
    return utcnow().replace(hour=20, minute=0, second=0, microsecond=0) + timedelta(days=days)


def test_a_tenant_without_rules_has_the_default_ones(business: Watched) -> None:
    with work(business.tenant) as session:
        assert tuple(list_rules(session)) == DEFAULT_RULES
        assert list(active_rules(session)) == [rule.name for rule in DEFAULT_RULES if rule.name != "feedback"]
    business.set(feedback_url="https://example.com/opina")
    with work(business.tenant) as session:
        assert list(active_rules(session)) == [rule.name for rule in DEFAULT_RULES]


def test_rules_of_ones_own_stand_beside_the_default_ones(business: Watched) -> None:
    eve = Rule("eve", REMINDER, "days_before", days=1, at="18:00")
    save(business, eve, Rule("reminder:60", REMINDER, "before_start", 60, enabled=False))
    business.book(at=two_oclock())
    assert business.statuses() == {
        "confirmation": "PENDING",
        "reminder:1440": "PENDING",
        "eve": "PENDING",
    }
    assert business.row("eve").due.astimezone(MEXICO).strftime("%H:%M") == "18:00"
    with work(business.tenant) as session:
        delete_rule(session, "reminder:60")
        assert "reminder:60" in active_rules(session)
        with pytest.raises(NotAllowed, match="enabled=false"):
            delete_rule(session, "reminder:60")
        with pytest.raises(NotFound):
            delete_rule(session, "never-was")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", {"name": "Mit Leerzeichen"}),
        ("name", {"name": "manual"}),
        ("type", {"type": "STAFF_ALERT"}),
        ("trigger", {"trigger": "sometimes"}),
        ("minutes", {"trigger": "before_start", "minutes": 0}),
        ("minutes", {"minutes": -1}),
        ("days", {"trigger": "days_before", "days": -1, "at": "10:00"}),
        ("at", {"trigger": "days_before", "days": 1}),
        ("at", {"trigger": "working_day_before", "at": "25:00"}),
        ("channel", {"channels": ("pigeon",)}),
        ("template", {"template": "NO_SUCH"}),
        ("services", {"services": (999,)}),
        ("language", {"language": "tlh"}),
    ],
)
def test_a_wrong_rule_is_refused_by_the_field(business: Watched, field: str, wrong: dict[str, Any]) -> None:
    values: dict[str, Any] = {"name": "mine", "type": REMINDER, "trigger": "booked"} | wrong
    with work(business.tenant) as session, pytest.raises((BookingError, NotificationRefused)) as refusal:
        save_rule(session, Rule(**values))
    assert getattr(refusal.value, "field") == field  # noqa: B009
    with work(business.tenant) as session:
        assert tuple(list_rules(session)) == DEFAULT_RULES


def test_a_rule_may_be_for_some_services_only(business: Watched) -> None:
    with work(business.tenant) as session:
        other = make_service(session).id
    save(business, Rule("reminder:60", REMINDER, "before_start", 60, services=(other,)))
    business.book()
    assert "reminder:60" not in business.statuses()
    save(business, Rule("reminder:60", REMINDER, "before_start", 60, services=(other, business.service)))
    assert business.statuses()["reminder:60"] == "PENDING"


def test_events_are_followed_up(business: Watched) -> None:
    business.set(feedback_url="https://example.com/opina")
    business.book(at=utcnow() - timedelta(hours=2), by="staff")
    with work(business.tenant) as session:
        verbs.complete(session, business.appointment, by="staff")
    row = business.row("feedback")
    assert (row.status, row.variables) == ("PENDING", {"feedbackUrl": "https://example.com/opina"})
    assert timedelta(minutes=119) < row.due - utcnow() <= timedelta(minutes=120)
    business.make_due("feedback")
    business.run()
    assert [message.type for message in business.chat.sent] == ["FEEDBACK_REQUEST"]
    assert "https://example.com/opina" in business.chat.sent[0].body
    business.book(at=utcnow() - timedelta(hours=3), by="staff")
    with work(business.tenant) as session:
        verbs.mark_no_show(session, business.appointment, by="staff")
    business.make_due("no_show")
    business.run()
    assert business.chat.sent[-1].type == "APPOINTMENT_NO_SHOW"


def test_what_follows_the_end_needs_an_appointment_that_took_place(business: Watched) -> None:
    save(business, Rule("after", "PAYMENT_REMINDER", "after_end", 30))
    business.book()
    with work(business.tenant) as session:
        verbs.complete(session, business.appointment, by="staff")
    assert business.statuses()["after"] == "PENDING"
    assert business.statuses()["reminder:60"] == "CANCELLED appointment_past"
    business.book()
    with work(business.tenant) as session:
        verbs.mark_no_show(session, business.appointment, by="staff")
    assert business.statuses()["after"] == "CANCELLED appointment_past"


def test_planning_twice_writes_once(business: Watched) -> None:
    business.book()
    before = [(row.id, row.status) for row in business.rows()]
    with work(business.tenant) as session:
        appointment = session.get_one(Appointment, business.appointment)
        event = AppointmentEvent(
            "booked",
            business.tenant,
            appointment.branch_id,
            appointment.id,
            appointment.client_id,
            appointment.schedule_version,
            appointment.start,
            utcnow(),
            "client",
        )
        for listener in registry().core_listeners:
            listener(session, event)
        dispatch.publish(session, event)
        replanning.replan(session, [appointment.id])
    assert [(row.id, row.status) for row in business.rows()] == before


def test_moved_away_and_back_is_reminded_once(business: Watched) -> None:
    start = two_oclock(3)
    business.book(at=start)
    business.move(start + timedelta(days=2))
    business.move(start)
    for rule in ("reminder:1440", "reminder:60"):
        assert [row.status for row in business.rows() if row.rule == rule] == ["SUPERSEDED", "SUPERSEDED", "PENDING"]
        assert business.row(rule).due == start - timedelta(minutes=int(rule.split(":")[1]))
    business.make_due("reminder:1440")
    business.run()
    assert [message.type for message in business.chat.sent].count(REMINDER) == 1


def test_what_was_sent_is_not_sent_again_after_a_rule_changed(business: Watched) -> None:
    business.book()
    business.make_due("reminder:1440")
    business.run()
    save(
        business,
        Rule("reminder:1440", REMINDER, "before_start", 600),
        Rule("reminder:60", REMINDER, "before_start", 90),
    )
    assert [row.status for row in business.rows() if row.rule == "reminder:1440"] == ["SENT"]
    assert [row.status for row in business.rows() if row.rule == "reminder:60"] == ["SUPERSEDED", "PENDING"]
    start = business.rows()[0].expires_at
    assert start is not None
    assert business.row("reminder:60").due == start - timedelta(minutes=90)


def test_a_rule_off_and_on_again_plans_again(business: Watched) -> None:
    business.book()
    for enabled in (False, True, False, True):
        save(business, Rule("reminder:60", REMINDER, "before_start", 60, enabled=enabled))
        expected = "PENDING" if enabled else "SUPERSEDED superseded"
        assert business.statuses()["reminder:60"] == expected
    assert Counter(row.status for row in business.rows() if row.rule == "reminder:60") == {
        "SUPERSEDED": 2,
        "PENDING": 1,
    }


def test_a_new_rule_reaches_existing_appointments_but_not_into_the_past(business: Watched) -> None:
    with work(business.tenant) as session:
        soon = make_appointment(session, start=utcnow() + timedelta(hours=5)).id
        later = make_appointment(session, start=utcnow() + timedelta(days=5)).id
        past = make_appointment(session, start=utcnow() - timedelta(days=5)).id
    save(business, Rule("day", REMINDER, "before_start", 1500))
    found = {row.appointment_id: row for row in business.rows() if row.rule == "day"}
    assert found.keys() == {soon, later}
    assert (found[soon].status, found[soon].reason) == ("SKIPPED", "too_late")
    assert found[later].status == "PENDING"
    assert not [row for row in business.rows() if row.appointment_id == past]
    assert not [row for row in business.rows() if row.rule == "confirmation"]


def test_a_rule_that_is_off_sends_nothing_even_before_it_was_planned_anew(business: Watched) -> None:
    business.book()
    with work(business.tenant) as session:
        save_rule(session, Rule("reminder:60", REMINDER, "before_start", 60, enabled=False))
    business.make_due("reminder:60")
    business.run()
    assert business.statuses()["reminder:60"] == "SUPERSEDED superseded"


def test_many_appointments_are_planned_in_pieces(business: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replanning, "CHUNK", 3)
    with work(business.tenant) as session:
        client, service = make_client(session), make_service(session)
        for number in range(8):
            start = two_oclock(30) + timedelta(hours=number)
            make_appointment(session, client=client, service=service, start=start)
    save(business, Rule("eve", REMINDER, "days_before", days=1, at="18:00"))
    assert Counter(row.rule for row in business.rows()) == {"eve": 8, "reminder:1440": 8, "reminder:60": 8}


def test_many_messages_of_one_moment_are_spaced(business: Watched) -> None:
    with work(business.tenant) as session:
        save_rule(session, Rule("eve", REMINDER, "days_before", days=1, at="18:00"))
        client, service = make_client(session), make_service(session)
        ids = [
            make_appointment(session, client=client, service=service, start=two_oclock(30) + timedelta(minutes=n)).id
            for n in range(40)
        ]
        replanning.replan(session, ids, spread=60)
        replanning.replan(session, ids, spread=60)
    due = sorted(row.due for row in business.rows() if row.rule == "eve")
    assert len(due) == 40
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert min(gaps) >= timedelta(seconds=1 / planner.PER_SECOND) * 0.99
    assert due[-1] - due[0] <= timedelta(seconds=60)


def test_a_mother_gets_her_childs_messages(business: Watched) -> None:
    business.book(first_name="Mateo")
    child = business.client
    with work(business.tenant) as session:
        mother = make_client(session, first_name="Laura").id
        set_preferences(session, child, given={"responsible_id"}, responsible_id=mother)
    assert {row.recipient_id for row in business.rows() if row.status == "PENDING"} == {mother}
    business.make_due("reminder:60")
    business.run()
    assert business.chat.sent[-1].recipient.client_id == mother
    with work(business.tenant) as session:
        with pytest.raises(ValidationFailed, match="responsible_id"):
            set_preferences(session, child, given={"responsible_id"}, responsible_id=child)
        with pytest.raises(NotFound):
            set_preferences(session, child, given={"responsible_id"}, responsible_id=mother + 999)


def test_early_reminders_are_planned_for_the_evening_before(business: Watched) -> None:
    business.set(quiet_from="21:00", quiet_until="08:00")
    early = (utcnow() + timedelta(days=5)).astimezone(MEXICO).replace(hour=8, minute=15, second=0, microsecond=0)
    business.book(at=early)
    due = business.row("reminder:60").due.astimezone(MEXICO)
    assert (due.date(), f"{due:%H:%M}") == (early.date() - timedelta(days=1), "20:00")
    assert business.row("reminder:1440").due == early - timedelta(hours=24)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(0, 3)),
        st.sampled_from([("cancel", 0), ("book", 0), ("rule", 0), ("send", 0)]),
    ),
    max_size=12,
)


@settings(max_examples=FEW, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves)
def test_any_history_leaves_exactly_the_messages_of_the_schedule_as_it_is(
    app: Flask, history: list[tuple[str, int]]
) -> None:
    """Book, move, move back, cancel, switch a rule and send in any order."""
    before = registry().channels
    try:
        business = watched(app, make_tenant(f"history-{next(numbers)}"))
        starts = [two_oclock(3 + number) for number in range(4)]
        business.book(at=starts[0])
        enabled = True
        for what, number in history:
            live = status_of(business) in ("PENDING", "CONFIRMED")
            if what == "move" and live:
                business.move(starts[number])
            elif what == "cancel" and live:
                with work(business.tenant) as session:
                    verbs.cancel(session, business.appointment, by="staff")
            elif what == "book" and not live:
                business.book(at=starts[number])
            elif what == "rule":
                enabled = not enabled
                save(business, Rule("reminder:60", REMINDER, "before_start", 60, enabled=enabled))
            elif what == "send":
                business.make_due("reminder:1440")
                business.run()
        check(business, enabled=enabled)
    finally:
        registry().channels = before


def status_of(business: Watched) -> str:
    with work(business.tenant, write=False) as session:
        return session.get_one(Appointment, business.appointment).status


def check(business: Watched, *, enabled: bool) -> None:
    with work(business.tenant, write=False) as session:
        appointments = {row.id: row for row in session.scalars(select(Appointment))}
        versions = {key: (row.schedule_version, row.status, row.start) for key, row in appointments.items()}
    rows = business.rows()
    told = Counter((row.appointment_id, row.schedule_version, row.rule) for row in rows if row.status == "SENT")
    assert set(told.values()) <= {1}
    for key, (version, status, start) in versions.items():
        waiting = {
            row.rule: row
            for row in rows
            if row.appointment_id == key and row.status == "PENDING" and row.type == REMINDER
        }
        if status not in ("PENDING", "CONFIRMED"):
            assert not waiting
            continue
        expected = {"reminder:1440", *(["reminder:60"] if enabled else [])}
        expected -= {rule for found, of, rule in told if (found, of) == (key, version)}
        assert waiting.keys() == expected
        for rule, row in waiting.items():
            assert row.schedule_version == version
            assert row.due == start - timedelta(minutes=int(rule.split(":")[1]))
