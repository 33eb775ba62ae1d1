"""No two live appointments of a professional overlap, whoever asks, however many at once."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from citaplanner_core.booking.appointments import cancel, complete, confirm, mark_no_show, reschedule
from citaplanner_core.booking.errors import NotAllowed, SlotTaken
from citaplanner_core.booking.models import Appointment, Professional
from citaplanner_core.database import work
from citaplanner_core.hooks.types import AppointmentEvent
from citaplanner_core.testing.factories import make_appointment, make_professional, make_tenant
from tests.core.booking.processes import SLOTS
from tests.core.booking.support import (
    HALF_HOUR,
    PATIENCE,
    TEN,
    Desk,
    at_once,
    history,
    open_desk,
    read,
    wait_for_a_waiter,
)

ROOT = Path(__file__).parents[3]
MINUTE = timedelta(minutes=1)


# One after the other


def test_an_overlap_is_refused(desk: Desk) -> None:
    desk.booked()
    later = desk.booked(TEN + timedelta(hours=5))
    with work(desk.tenant) as session:
        for shift in (-29, -1, 0, 1, 29):
            with pytest.raises(SlotTaken):
                desk.book(session, TEN + shift * MINUTE)
            with pytest.raises(SlotTaken):
                reschedule(session, later, start=TEN + shift * MINUTE, by="staff")


def test_neighbours_may_touch(desk: Desk) -> None:
    desk.booked()
    desk.booked(TEN - HALF_HOUR)
    desk.booked(TEN + HALF_HOUR)


def test_buffers_keep_their_distance(tenant: int) -> None:
    desk = open_desk(tenant, buffer_before_minutes=5, buffer_after_minutes=10)
    desk.booked()
    with work(tenant) as session:
        for shift in (-44, 44):
            with pytest.raises(SlotTaken):
                desk.book(session, TEN + shift * MINUTE)
        for shift in (-45, 45):
            desk.book(session, TEN + shift * MINUTE)


def test_an_appointment_may_overlap_its_own_old_time(desk: Desk) -> None:
    made = desk.booked()
    with work(desk.tenant) as session:
        reschedule(session, made, start=TEN + 10 * MINUTE, by="staff")
    assert read(desk.tenant, made)["start"] == TEN + 10 * MINUTE


def test_what_is_over_blocks_nobody(desk: Desk) -> None:
    for verb in (cancel, complete, mark_no_show):
        with work(desk.tenant) as session:
            verb(session, desk.book(session).id, by="staff")
    desk.booked()


def test_a_moved_appointment_frees_its_time(desk: Desk) -> None:
    made = desk.booked()
    with work(desk.tenant) as session:
        reschedule(session, made, start=TEN + HALF_HOUR, by="staff")
    desk.booked()


def test_professionals_and_tenants_do_not_block_each_other(desk: Desk) -> None:
    desk.booked()
    with work(desk.tenant) as session:
        desk.book(session, professional_id=make_professional(session).id)
    open_desk(make_tenant("other")).booked()


# All at once


def test_a_hundred_want_one_slot_and_one_gets_it(app: Flask, desk: Desk, events: list[AppointmentEvent]) -> None:
    results = at_once(app, [desk.booked] * 100)
    outcome = Counter("had" if isinstance(result, int) else result for result in results)
    assert outcome == {"had": 1, SlotTaken: 99}
    assert [event.name for event in events] == ["booked"]


def test_two_processes_share_a_professional(app: Flask, desk: Desk, migrated_url: str, tmp_path: Path) -> None:
    ids = [str(value) for value in (desk.tenant, *desk.ids().values())]
    command = [sys.executable, "-m", "tests.core.booking.processes", migrated_url, str(tmp_path / "child"), *ids]
    children = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        answers = [child.communicate(timeout=PATIENCE) for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert [child.returncode for child in children] == [0, 0], answers
    counts = [tuple(map(int, out.split())) for out, _ in answers]
    assert sum(had for had, _ in counts) == SLOTS
    assert sum(taken for _, taken in counts) == SLOTS


def test_moves_in_opposite_directions_do_not_block_each_other(app: Flask, desk: Desk) -> None:
    with work(desk.tenant) as session:
        other = make_professional(session).id
    pair = (desk.professional_id, other)
    mine, theirs = desk.booked(TEN), desk.booked(TEN + HALF_HOUR, professional_id=other)

    def swing(appointment: int, start: datetime, turn: int) -> None:
        for step in range(30):
            with work(desk.tenant) as session:
                reschedule(session, appointment, start=start, professional_id=pair[(step + turn) % 2], by="staff")

    assert at_once(app, [lambda: swing(mine, TEN, 1), lambda: swing(theirs, TEN + HALF_HOUR, 0)]) == [None, None]
    assert read(desk.tenant, mine)["version"] == 31
    assert read(desk.tenant, theirs)["version"] == 31


def test_one_of_many_moves_gets_the_slot(app: Flask, desk: Desk) -> None:
    movers = [desk.booked(TEN + (slot + 2) * HALF_HOUR) for slot in range(8)]

    def move(appointment: int) -> int:
        with work(desk.tenant) as session:
            return reschedule(session, appointment, start=TEN, by="client").id

    results = at_once(app, [lambda one=one: move(one) for one in movers])  # type: ignore[misc]  # binds `one` now
    assert Counter(result is SlotTaken for result in results) == {True: 7, False: 1}


def test_one_of_many_cancels_is_told(app: Flask, desk: Desk, events: list[AppointmentEvent]) -> None:
    made = desk.booked()

    def call_off() -> str:
        with work(desk.tenant) as session:
            return cancel(session, made, by="client").status

    assert at_once(app, [call_off] * 10) == ["CANCELLED"] * 10
    assert [event.name for event in events] == ["booked", "cancelled"]
    assert read(desk.tenant, made)["version"] == 2


def test_a_cancel_and_a_confirm_do_not_cross(app: Flask, desk: Desk) -> None:
    made = desk.booked()

    def run(verb: Callable[..., Appointment]) -> str:
        with work(desk.tenant) as session:
            return verb(session, made, by="staff").status

    cancelled, confirmed = at_once(app, [lambda: run(cancel), lambda: run(confirm)])
    assert cancelled == "CANCELLED"
    assert confirmed in ("CONFIRMED", NotAllowed)
    assert read(desk.tenant, made)["status"] == "CANCELLED"
    assert len(history(desk.tenant, made)) == (3 if confirmed == "CONFIRMED" else 2)


def test_a_writer_that_did_not_lock_is_found_out(app: Flask, desk: Desk, engine: str) -> None:
    results: list[object] = []
    rival = threading.Thread(target=lambda: results.extend(at_once(app, [desk.booked])))
    with work(desk.tenant) as session:
        make_appointment(session, start=TEN, professional=session.get_one(Professional, desk.professional_id))
        rival.start()
        if engine == "postgresql":
            wait_for_a_waiter()
    rival.join(PATIENCE)
    assert results == [SlotTaken]


def test_bookings_of_one_professional_queue(app: Flask, desk: Desk, engine: str) -> None:
    results: list[object] = []
    rival = threading.Thread(target=lambda: results.extend(at_once(app, [lambda: desk.booked(TEN + HALF_HOUR)])))
    with work(desk.tenant) as session:
        desk.book(session)
        rival.start()
        if engine == "postgresql":
            wait_for_a_waiter()
    rival.join(PATIENCE)
    assert [read(desk.tenant, made)["start"] for made in results if isinstance(made, int)] == [TEN + HALF_HOUR]
