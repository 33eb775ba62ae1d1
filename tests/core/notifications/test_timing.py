"""When a message leaves: offsets, wall clocks, working days and quiet hours, over both ends of summer time."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citaplanner_core.notifications.rules import Rule
from citaplanner_core.notifications.timing import LEAST_NOTICE, bring_forward, due_of, quiet_hours, wall

MEXICO, NEW_YORK = ZoneInfo("America/Mexico_City"), ZoneInfo("America/New_York")
ZONES = [MEXICO, NEW_YORK, ZoneInfo("Europe/Madrid"), ZoneInfo("America/Tijuana"), ZoneInfo("Australia/Lord_Howe")]
moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))
zones = st.sampled_from(ZONES)
clocks = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


def due(rule: Rule, start: datetime, zone: ZoneInfo = MEXICO) -> datetime:
    return due_of(rule, start, start + timedelta(minutes=30), zone).astimezone(zone)


def local(text: str, zone: ZoneInfo = MEXICO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def days_before(days: int, at: str) -> Rule:
    return Rule("r", "APPOINTMENT_REMINDER", "days_before", days=days, at=at)


WORKING = Rule("r", "APPOINTMENT_REMINDER", "working_day_before", at="10:00")


def test_minutes_are_minutes_whatever_the_clock_does() -> None:
    start = local("2026-03-08T12:00", NEW_YORK)  # the clocks went forward at 2:00
    rule = Rule("r", "APPOINTMENT_REMINDER", "before_start", 1440)
    assert due(rule, start, NEW_YORK) == local("2026-03-07T11:00", NEW_YORK)


@pytest.mark.parametrize("day", ["2026-03-08", "2026-03-09", "2026-11-01", "2026-11-02", "2028-03-01"])
def test_a_wall_clock_shows_what_was_asked_for(day: str) -> None:
    found = due(days_before(1, "18:00"), local(f"{day}T09:00", NEW_YORK), NEW_YORK)
    assert (found.date(), found.time()) == (date.fromisoformat(day) - timedelta(days=1), time(18))


def test_a_time_that_no_clock_shows_is_moved_on_and_one_shown_twice_is_the_first() -> None:
    assert due(days_before(0, "02:30"), local("2026-03-08T12:00", NEW_YORK), NEW_YORK).time() == time(3, 30)
    first = due(days_before(0, "01:30"), local("2026-11-01T12:00", NEW_YORK), NEW_YORK)
    assert first.astimezone(UTC) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "before"),
    [
        ("2026-06-01T09:00", "2026-05-29"),  # Monday: Friday
        ("2026-06-02T09:00", "2026-06-01"),
        ("2026-06-06T09:00", "2026-06-05"),  # Saturday
        ("2026-06-07T09:00", "2026-06-05"),  # Sunday
    ],
)
def test_the_last_working_day_before(start: str, before: str) -> None:
    assert due(WORKING, local(start)) == local(f"{before}T10:00")


@given(moments, zones, clocks, clocks)
def test_quiet_hours_hold_exactly_what_the_clock_says(at: datetime, zone: ZoneInfo, begin: str, end: str) -> None:
    quiet = quiet_hours(begin, end, zone)
    if begin == end:
        assert quiet is None
        return
    assert quiet is not None
    window = quiet.window(at)
    shown = f"{at.astimezone(zone):%H:%M}"
    inside = begin <= shown < end if begin < end else not end <= shown < begin
    if window is not None:
        assert window[0] <= at < window[1]
        assert (
            quiet.window(window[1]) is None
            or window[1].astimezone(zone).utcoffset() != window[0].astimezone(zone).utcoffset()
        )
    offsets = {(at + timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in (-26, 26)}
    if len(offsets) == 1:  # on the days the clocks change, hours are shown twice or never
        assert (window is not None) == inside


@given(moments, zones, st.integers(1, 3000))
def test_a_reminder_ends_outside_of_quiet_hours_or_can_wait_for_their_end(
    start: datetime, zone: ZoneInfo, minutes: int
) -> None:
    quiet = quiet_hours("21:00", "08:00", zone)
    assert quiet is not None
    wanted = start - timedelta(minutes=minutes)
    found = bring_forward(wanted, start, quiet)
    assert found <= wanted
    window = quiet.window(found)
    if window is None:
        assert found == wanted or found.astimezone(zone).time() == time(20)
    else:
        assert found == wanted
        assert window[1] <= start - LEAST_NOTICE


def test_the_evening_before_is_before_quiet_hours_begin() -> None:
    quiet = quiet_hours("21:00", "08:00", MEXICO)
    start = local("2026-06-02T08:15")
    assert bring_forward(start - timedelta(hours=1), start, quiet) == local("2026-06-01T20:00")
    later = local("2026-06-02T09:15")  # waits for eight o'clock
    assert bring_forward(later - timedelta(hours=2), later, quiet) == later - timedelta(hours=2)


@given(moments, zones)
def test_walls_are_utc(at: datetime, zone: ZoneInfo) -> None:
    assert wall(at.date(), at.time(), zone).utcoffset() == timedelta(0)
