"""What users rely on when they book, confirm, move and cancel."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from citaplanner_core.booking.appointments import (
    cancel,
    complete,
    confirm,
    mark_no_show,
    record_answer,
    reschedule,
)
from citaplanner_core.booking.errors import (
    BookingError,
    NotAllowed,
    NotFound,
    SlotTaken,
    StaleVersion,
    ValidationFailed,
)
from citaplanner_core.booking.models import (
    APPOINTMENT_STATES,
    LIVE_STATES,
    Appointment,
    Branch,
    Client,
    Professional,
    Service,
    Tenant,
)
from citaplanner_core.database import work
from citaplanner_core.hooks.types import AppointmentEvent
from citaplanner_core.testing.factories import (
    make_appointment,
    make_branch,
    make_professional,
    make_service,
    make_tenant,
)
from tests.core.booking.support import HALF_HOUR, TEN, Desk, history, open_desk, read

VERBS: dict[str, tuple[Callable[..., Appointment], str]] = {
    "confirmed": (confirm, "CONFIRMED"),
    "cancelled": (cancel, "CANCELLED"),
    "completed": (complete, "COMPLETED"),
    "no_show": (mark_no_show, "NO_SHOW"),
}
ALLOWED = {
    ("PENDING", "confirmed"),
    *((state, event) for state in LIVE_STATES for event in ("cancelled", "completed", "no_show")),
}


def set_confirmation(tenant: int, how: str) -> None:
    with work(tenant) as session:
        session.get_one(Tenant, tenant).confirmation = how


def in_state(desk: Desk, state: str) -> int:
    with work(desk.tenant) as session:
        return make_appointment(session, status=state, start=TEN).id


# Booking


@pytest.mark.parametrize(
    ("confirmation", "status"), [("automatic", "CONFIRMED"), ("client", "PENDING"), ("staff", "PENDING")]
)
def test_a_booking_starts_as_the_tenant_wants(desk: Desk, confirmation: str, status: str) -> None:
    set_confirmation(desk.tenant, confirmation)
    row = read(desk.tenant, desk.booked())
    assert (row["status"], row["booked_by"], row["version"], row["schedule_version"]) == (status, "client", 1, 1)
    row = read(desk.tenant, desk.booked(TEN + HALF_HOUR, booked_by="staff"))
    assert (row["status"], row["booked_by"], row["version"], row["schedule_version"]) == ("CONFIRMED", "staff", 1, 1)


def test_a_booking_lasts_as_the_service_and_blocks_its_buffers(tenant: int) -> None:
    desk = open_desk(tenant, duration_minutes=45, buffer_before_minutes=5, buffer_after_minutes=10)
    row = read(tenant, desk.booked(TEN.astimezone(timezone(timedelta(hours=-6)))))
    assert row["start"] == TEN
    assert row["end"] == TEN + timedelta(minutes=45)
    assert row["blocked_from"] == TEN - timedelta(minutes=5)
    assert row["blocked_until"] == TEN + timedelta(minutes=55)


def test_a_booking_is_noted_and_published_once(desk: Desk, events: list[AppointmentEvent]) -> None:
    made = desk.booked()
    assert history(desk.tenant, made) == [("booked", "client")]
    (event,) = events
    assert (event.name, event.by, event.start, event.old_start) == ("booked", "client", TEN, None)
    assert (event.tenant_id, event.branch_id, event.client_id) == (desk.tenant, desk.branch_id, desk.client_id)
    assert (event.appointment_id, event.schedule_version) == (made, 1)


def test_clients_book_what_is_to_come_and_staff_what_has_been(desk: Desk) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with work(desk.tenant) as session, pytest.raises(ValidationFailed) as refused:
        desk.book(session, yesterday)
    assert refused.value.field == "start"
    assert read(desk.tenant, desk.booked(yesterday, booked_by="staff"))["start"] == yesterday


def test_values_that_cannot_be_used_are_refused_by_name(desk: Desk, events: list[AppointmentEvent]) -> None:
    cases: list[tuple[str, Any]] = [
        ("start", TEN.replace(tzinfo=None)),
        ("start", datetime.max.replace(tzinfo=UTC)),
        ("start", datetime.max.replace(tzinfo=timezone(timedelta(hours=-6)))),
        ("start", datetime.min.replace(tzinfo=timezone(timedelta(hours=6)))),
        ("booked_by", "system"),
        ("notes", "half a \ud83d character"),
        ("notes", "nul \x00"),
    ]
    for field, value in cases:
        with work(desk.tenant) as session, pytest.raises(ValidationFailed) as refused:
            desk.book(session, **{"booked_by": "staff", field: value})
        assert refused.value.field == field
        assert str(refused.value).startswith(field)
    assert events == []


def test_ids_of_another_tenant_do_not_exist(desk: Desk) -> None:
    for field, theirs in open_desk(make_tenant("other")).ids().items():
        for value in (theirs, 0, -1, 2**70):
            with work(desk.tenant) as session, pytest.raises(NotFound) as refused:
                desk.book(session, TEN, **{field: value})
            assert (refused.value.field, refused.value.code) == (field, "not_found")


def test_nothing_inactive_is_booked(desk: Desk) -> None:
    models = {"client_id": Client, "service_id": Service, "professional_id": Professional, "branch_id": Branch}
    for field, row_id in desk.ids().items():
        with work(desk.tenant) as session:
            row: Any = session.get_one(models[field], row_id)
            row.active = False
            with pytest.raises(ValidationFailed) as refused:
                desk.book(session)
            row.active = True
        assert refused.value.field == field


# From state to state


@pytest.mark.parametrize("event", VERBS)
def test_each_verb_in_each_state(desk: Desk, events: list[AppointmentEvent], event: str) -> None:
    verb, target = VERBS[event]
    for state in APPOINTMENT_STATES:
        made = in_state(desk, state)
        before = read(desk.tenant, made)
        with work(desk.tenant) as session:
            if state == target:
                assert verb(session, made, by="staff").status == state
            elif (state, event) in ALLOWED:
                assert verb(session, made, by="staff", reason="asked").status == target
            else:
                with pytest.raises(NotAllowed, match=state):
                    verb(session, made, by="staff")
        after = read(desk.tenant, made)
        if (state, event) in ALLOWED:
            assert history(desk.tenant, made) == [(event, "staff")]
            (told,) = events
            assert (told.name, told.reason, told.start, told.appointment_id) == (event, "asked", TEN, made)
            assert after["version"] == before["version"] + 1
            assert after["schedule_version"] == before["schedule_version"]
            assert after["cancel_reason"] == ("asked" if event == "cancelled" else None)
        else:
            assert after == before
            assert events == []
            assert history(desk.tenant, made) == []
        events.clear()


def test_only_live_appointments_move_or_take_an_answer(desk: Desk) -> None:
    for state in APPOINTMENT_STATES:
        made = in_state(desk, state)
        with work(desk.tenant) as session:
            if state in LIVE_STATES:
                assert record_answer(session, made, answer="no", words="no puedo").version == 2
                assert reschedule(session, made, start=TEN + HALF_HOUR, by="staff").version == 3
                continue
            with pytest.raises(NotAllowed) as refused:
                record_answer(session, made, answer="no", words="no puedo")
            assert refused.value.code == "not_allowed"
            with pytest.raises(NotAllowed):
                reschedule(session, made, start=TEN + HALF_HOUR, by="staff")


def test_a_repeated_verb_changes_and_tells_nothing(desk: Desk, events: list[AppointmentEvent]) -> None:
    made = desk.booked(booked_by="staff")
    with work(desk.tenant) as session:
        cancel(session, made, by="client", reason="enfermo", expected_version=1)
    once = read(desk.tenant, made)
    with work(desk.tenant) as session:
        cancel(session, made, by="staff", reason="other", expected_version=1)
    assert read(desk.tenant, made) == once
    assert [event.name for event in events] == ["booked", "cancelled"]
    assert history(desk.tenant, made) == [("booked", "staff"), ("cancelled", "client")]


def test_an_appointment_that_changed_meanwhile_is_not_overwritten(desk: Desk) -> None:
    calls: list[tuple[Callable[..., Appointment], dict[str, Any]]] = [
        *((verb, {}) for verb, _ in VERBS.values()),
        (reschedule, {"start": TEN + HALF_HOUR}),
    ]
    made = desk.booked()
    for call, given in calls:
        with work(desk.tenant) as session, pytest.raises(StaleVersion) as refused:
            call(session, made, by="staff", expected_version=7, **given)
        assert refused.value.field == "expected_version"
    with work(desk.tenant) as session:
        assert confirm(session, made, by="staff", expected_version=1).version == 2
        assert cancel(session, made, by="staff", expected_version=2).version == 3


def test_appointments_of_another_tenant_do_not_exist(desk: Desk) -> None:
    theirs = open_desk(make_tenant("other")).booked()
    calls: list[tuple[Callable[..., Appointment], dict[str, Any]]] = [
        *((verb, {"by": "staff"}) for verb, _ in VERBS.values()),
        (reschedule, {"by": "staff", "start": TEN}),
        (record_answer, {"answer": "yes", "words": "sí"}),
    ]
    for call, given in calls:
        with work(desk.tenant) as session, pytest.raises(NotFound) as refused:
            call(session, theirs, **given)
        assert refused.value.field == "appointment_id"


def test_nobody_else_acts(desk: Desk) -> None:
    made = desk.booked()
    with work(desk.tenant) as session:
        with pytest.raises(ValidationFailed, match="client, staff, system"):
            cancel(session, made, by="robot")  # type: ignore[arg-type]  # what an API might pass on
        with pytest.raises(ValidationFailed, match="yes, no, move"):
            record_answer(session, made, answer="none", words="")  # type: ignore[arg-type]  # the same


def test_what_the_caller_changed_before_stays(desk: Desk) -> None:
    made = desk.booked()
    with work(desk.tenant) as session:
        session.get_one(Appointment, made).notes = "window seat"
        confirm(session, made, by="staff")
    row = read(desk.tenant, made)
    assert (row["notes"], row["status"]) == ("window seat", "CONFIRMED")


def test_a_listener_that_fails_undoes_the_booking(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk.booked()

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("citaplanner_core.hooks.dispatch.publish", fail)
    with pytest.raises(RuntimeError), work(desk.tenant) as session:
        cancel(session, made, by="staff")
    assert read(desk.tenant, made)["status"] == "PENDING"
    assert history(desk.tenant, made) == [("booked", "client")]


# Moving


def test_a_move_is_noted_published_and_counted(desk: Desk, events: list[AppointmentEvent]) -> None:
    made = desk.booked(booked_by="staff")
    with work(desk.tenant) as session:
        service = make_service(session, duration_minutes=60, buffer_after_minutes=10).id
        professional, branch = make_professional(session).id, make_branch(session).id
        reschedule(
            session,
            made,
            start=TEN + HALF_HOUR,
            professional_id=professional,
            service_id=service,
            branch_id=branch,
            by="staff",
            reason="ill",
        )
    row = read(desk.tenant, made)
    assert (row["professional_id"], row["service_id"], row["branch_id"]) == (professional, service, branch)
    assert (row["start"], row["end"]) == (TEN + HALF_HOUR, TEN + 3 * HALF_HOUR)
    assert row["blocked_until"] == TEN + timedelta(minutes=100)
    assert (row["version"], row["schedule_version"]) == (2, 2)
    assert history(desk.tenant, made) == [("booked", "staff"), ("rescheduled", "staff")]
    moved = events[-1]
    assert (moved.name, moved.start, moved.old_start) == ("rescheduled", TEN + HALF_HOUR, TEN)
    assert (moved.schedule_version, moved.branch_id, moved.reason) == (2, branch, "ill")


def test_moving_to_where_it_is_changes_and_tells_nothing(desk: Desk, events: list[AppointmentEvent]) -> None:
    made = desk.booked()
    before = read(desk.tenant, made)
    with work(desk.tenant) as session:
        reschedule(session, made, start=TEN, professional_id=desk.professional_id, by="client", expected_version=9)
    assert read(desk.tenant, made) == before
    assert len(events) == 1


def test_a_move_is_held_to_the_rules_of_booking(desk: Desk) -> None:
    made = desk.booked()
    theirs = open_desk(make_tenant("other"))
    with work(desk.tenant) as session:
        retired = make_professional(session, active=False).id
    refusals: list[tuple[dict[str, Any], type[BookingError], str]] = [
        ({"start": TEN.replace(tzinfo=None)}, ValidationFailed, "start"),
        ({"start": datetime.now(UTC) - HALF_HOUR}, ValidationFailed, "start"),
        ({"start": TEN, "professional_id": theirs.professional_id}, NotFound, "professional_id"),
        ({"start": TEN, "service_id": theirs.service_id}, NotFound, "service_id"),
        ({"start": TEN, "branch_id": theirs.branch_id}, NotFound, "branch_id"),
        ({"start": TEN, "professional_id": retired}, ValidationFailed, "professional_id"),
    ]
    before = read(desk.tenant, made)
    for given, error, field in refusals:
        with work(desk.tenant) as session, pytest.raises(error) as refused:
            reschedule(session, made, by="client", **given)
        assert refused.value.field == field
    assert read(desk.tenant, made) == before


def test_a_confirmation_lapses_when_the_other_side_moves(desk: Desk) -> None:
    cases: list[tuple[str, str, Any, str]] = [
        ("client", "yes", "client", "CONFIRMED"),
        ("client", "yes", "staff", "PENDING"),
        ("client", "none", "staff", "CONFIRMED"),
        ("staff", "none", "staff", "CONFIRMED"),
        ("staff", "none", "client", "PENDING"),
        ("automatic", "none", "client", "CONFIRMED"),
        ("automatic", "yes", "staff", "CONFIRMED"),
    ]
    for day, (confirmation, answer, by, status) in enumerate(cases):
        start = TEN + timedelta(days=day)
        set_confirmation(desk.tenant, confirmation)
        made = desk.booked(start, booked_by="staff")
        with work(desk.tenant) as session:
            if answer == "yes":
                record_answer(session, made, answer="yes", words="sí")
            reschedule(session, made, start=start + HALF_HOUR, by=by)
        row = read(desk.tenant, made)
        assert row["status"] == status, (confirmation, answer, by)
        assert (row["answer"], row["answered_at"], row["answer_words"]) == ("none", None, None)


def test_a_move_confirms_nothing(desk: Desk) -> None:
    made = desk.booked()
    with work(desk.tenant) as session:
        assert reschedule(session, made, start=TEN + HALF_HOUR, by="client").status == "PENDING"
        assert reschedule(session, made, start=TEN, by="staff").status == "PENDING"


# The client's answer


@pytest.mark.parametrize(("confirmation", "status"), [("client", "CONFIRMED"), ("staff", "PENDING")])
def test_yes_confirms_where_clients_confirm(
    desk: Desk, events: list[AppointmentEvent], confirmation: str, status: str
) -> None:
    set_confirmation(desk.tenant, confirmation)
    made = desk.booked()
    with work(desk.tenant) as session:
        record_answer(session, made, answer="yes", words="sí, confirmo", at=TEN)
    row = read(desk.tenant, made)
    assert (row["status"], row["version"], row["schedule_version"]) == (status, 2, 1)
    assert (row["answer"], row["answer_words"], row["answered_at"]) == ("yes", "sí, confirmo", TEN)
    told = [(event.name, event.by) for event in events]
    assert told == [("booked", "client"), ("confirmed", "client")][: 2 if status == "CONFIRMED" else 1]
    assert history(desk.tenant, made) == told


def test_other_answers_are_kept_and_decide_nothing(desk: Desk) -> None:
    made = desk.booked(booked_by="staff")
    with work(desk.tenant) as session:
        assert record_answer(session, made, answer="no", words="no puedo").answer == "no"
        record_answer(session, made, answer="move", words="mejor otro día")
    row = read(desk.tenant, made)
    assert (row["status"], row["answer"], row["version"]) == ("CONFIRMED", "move", 3)


def test_answers_may_come_twice_and_in_reverse_order(desk: Desk, events: list[AppointmentEvent]) -> None:
    made = desk.booked()
    for _ in range(2):
        with work(desk.tenant) as session:
            record_answer(session, made, answer="no", words="no puedo", at=TEN + HALF_HOUR)
    with work(desk.tenant) as session:
        record_answer(session, made, answer="yes", words="sí", at=TEN)
    row = read(desk.tenant, made)
    assert (row["answer"], row["status"], row["version"]) == ("no", "PENDING", 2)
    with work(desk.tenant) as session:
        for _ in range(2):
            record_answer(session, made, answer="yes", words="siempre sí", at=TEN + 2 * HALF_HOUR)
    row = read(desk.tenant, made)
    assert (row["answer"], row["status"], row["version"]) == ("yes", "CONFIRMED", 3)
    assert [event.name for event in events] == ["booked", "confirmed"]


def test_an_answer_needs_a_zone(desk: Desk) -> None:
    made = desk.booked()
    with work(desk.tenant) as session, pytest.raises(ValidationFailed) as refused:
        record_answer(session, made, answer="yes", words="sí", at=TEN.replace(tzinfo=None))
    assert refused.value.field == "at"


def test_a_refusal_leaves_the_unit_usable(desk: Desk) -> None:
    with work(desk.tenant) as session:
        desk.book(session)
        with pytest.raises(SlotTaken) as refused:
            desk.book(session)
        later = desk.book(session, TEN + HALF_HOUR).id
    assert (refused.value.code, refused.value.field) == ("slot_taken", "start")
    assert read(desk.tenant, later)["status"] == "PENDING"
