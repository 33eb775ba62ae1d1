"""When a message leaves: offsets, wall clocks, working days, quiet hours. Pure arithmetic on aware datetimes."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from citaplanner_core.booking.working_days import IsWorkingDay, monday_to_friday
from citaplanner_core.notifications.rules import AFTER_END, Rule

LEAST_NOTICE = timedelta(minutes=30)
"""A reminder that quiet hours would push closer to the start than this is sent the evening before instead."""
LONGEST_REST_DAYS = 62
BEFORE_QUIET = timedelta(hours=1)
"""How long before quiet hours what was brought forward leaves."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin` until `end`, wall clock of a zone; usually over midnight. None for never: `quiet_hours`."""

    begin: time
    end: time
    zone: ZoneInfo

    def window(self, at: datetime) -> tuple[datetime, datetime] | None:
        """Return begin and end (UTC) of the quiet hours that `at` lies in, None outside of them."""
        today = at.astimezone(self.zone).date()
        for day in (today - timedelta(days=1), today):
            begin = wall(day, self.begin, self.zone)
            end = wall(day + timedelta(days=self.end <= self.begin), self.end, self.zone)
            if begin <= at < end:
                return begin, end
        return None


def quiet_hours(begin: str | None, end: str | None, zone: ZoneInfo) -> QuietHours | None:
    """Return quiet hours of `HH:MM` texts, None where either is not set or both are the same."""
    if begin is None or end is None or begin == end:
        return None
    return QuietHours(time.fromisoformat(begin), time.fromisoformat(end), zone)


def wall(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the moment (UTC) a clock on the wall shows this: the first of two in autumn, moved on where none does."""
    return datetime.combine(day, clock, zone).astimezone(UTC)


def due_of(
    rule: Rule, start: datetime, end: datetime, zone: ZoneInfo, works: IsWorkingDay = monday_to_friday
) -> datetime:
    """Return when a rule with a time (no event) wants its message to leave, before quiet hours are looked at.

    Where nobody worked for two months before, the last working day is the day before.
    """
    if rule.trigger == AFTER_END:
        return end.astimezone(UTC) + timedelta(minutes=rule.minutes)
    if rule.at is None:
        return start.astimezone(UTC) - timedelta(minutes=rule.minutes)
    day = start.astimezone(zone).date() - timedelta(days=rule.days)
    if rule.trigger == "working_day_before":
        before = [day - timedelta(days=number) for number in range(1, LONGEST_REST_DAYS)]
        day = next(filter(works, before), before[0])
    return wall(day, time.fromisoformat(rule.at), zone)


def bring_forward(due: datetime, start: datetime, quiet: QuietHours | None) -> datetime:
    """Return `due`, or the evening before where waiting for the end of quiet hours would be too close to the start."""
    window = quiet.window(due) if quiet else None
    if window is None or window[1] <= start - LEAST_NOTICE:
        return due
    return window[0] - BEFORE_QUIET
