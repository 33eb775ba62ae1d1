"""When a branch is open and its people work: days, blocks, closed days, and clocks that jump."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citaplanner_core.booking.errors import NotFound
from citaplanner_core.booking.hours import (
    DAY_MINUTES,
    Clock,
    Closure,
    Span,
    WorkingHours,
    common,
    joined,
    opening_hours,
    without,
)
from citaplanner_core.database import work
from citaplanner_core.testing.factories import make_branch

JUMPING = ("America/Tijuana", "Europe/Madrid", "Australia/Lord_Howe", "America/Havana", "America/Santiago")
MONDAY = date(2035, 3, 5)

zones = st.sampled_from(JUMPING)
days = st.dates(date(2024, 1, 2), date(2026, 12, 30))
spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def minutes(some: Iterator[Span] | list[Span]) -> set[int]:
    return {minute for start, end in some for minute in range(start, end)}


@given(zones, days)
def test_the_blocks_of_a_day_touch_and_fill_it(zone: str, day: date) -> None:
    clock = Clock(zone)
    moments = [clock.moment(day, minute) for minute in range(DAY_MINUTES + 1)]
    assert moments == sorted(moments)
    assert moments[-1] == clock.moment(day + timedelta(days=1))
    assert clock.day(moments[0]) == day


@given(zones, days, st.integers(0, DAY_MINUTES - 1))
def test_a_wall_time_is_its_first_coming_or_the_jump_over_it(zone: str, day: date, minute: int) -> None:
    found = datetime.fromtimestamp(Clock(zone).moment(day, minute), ZoneInfo(zone))
    wanted = datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None) + timedelta(minutes=minute)
    if found.replace(tzinfo=None) == wanted:
        assert found.fold == 0
    else:
        before = (found.astimezone(UTC) - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert before < wanted < found.replace(tzinfo=None)


@given(zones, days, st.sampled_from([5, 15, 30, 60]))
def test_marks_are_all_the_moments_at_which_the_wall_shows_them(zone: str, day: date, step: int) -> None:
    clock = Clock(zone)
    start = clock.moment(day, 7) + 31
    end = start + 30 * 3600
    wall = ZoneInfo(zone)
    every = [moment for moment in range(start, end) if moment % 60 == 0]
    at = {moment: datetime.fromtimestamp(moment, wall) for moment in every}
    shown = [moment for moment in every if (at[moment].hour * 60 + at[moment].minute) % step == 0]
    assert clock.marks(start, end, step * 60) == shown


@given(spans, spans)
def test_time_is_added_shared_and_taken_away(one: list[Span], other: list[Span]) -> None:
    mine, theirs = joined(one), joined(other)
    assert minutes(mine) == minutes(one)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(mine))
    assert minutes(common(mine, theirs)) == minutes(one) & minutes(other)
    assert minutes(without(mine, theirs)) == minutes(one) - minutes(other)


def test_a_branch_is_open_by_its_blocks_and_not_on_closed_days(tenant: int) -> None:
    wall = ZoneInfo("America/Mexico_City")

    def at(day: int, hour: int) -> datetime:
        return datetime(2035, 3, day, hour, tzinfo=wall).astimezone(UTC)

    with work(tenant) as session:
        branch, other = make_branch(session), make_branch(session)
        assert opening_hours(session, branch.id, at(5, 8), at(9, 8)) == [(at(5, 8), at(9, 8))]
        for opens, closes in ((9, 14), (16, 19)):
            for weekday in range(5):
                session.add(
                    WorkingHours(branch_id=branch.id, weekday=weekday, from_minute=opens * 60, until_minute=closes * 60)
                )
        wednesday = MONDAY + timedelta(days=2)
        session.add_all(
            [
                Closure(first_day=wednesday, last_day=wednesday, name="Feriado"),
                Closure(branch_id=other.id, first_day=MONDAY, last_day=wednesday),
            ]
        )
        session.flush()
        assert opening_hours(session, branch.id, at(5, 8), at(8, 12)) == [
            *((at(day, opens), at(day, closes)) for day in (5, 6) for opens, closes in ((9, 14), (16, 19))),
            (at(8, 9), at(8, 12)),
        ]
        assert opening_hours(session, other.id, at(5, 8), at(8, 12)) == [(at(8, 0), at(8, 12))]
        with pytest.raises(NotFound):
            opening_hours(session, 10**6, at(5, 8), at(8, 12))
