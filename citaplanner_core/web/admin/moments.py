"""Days and times as staff reads and types them: always on the clock of a branch, in the page's language."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

from citaplanner_core.booking.hours import Clock
from citaplanner_core.database import utcnow
from citaplanner_core.notifications.catalogue import Wording, language
from citaplanner_core.web.offers import name_zone, read_day


class UnreadTime(Exception):
    """What was typed is no moment; the text names the field: `day`, `time`, or `gap` where clocks skip that time."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Writes moments on the clock of `zone` (an IANA name), in the language `code`."""

    zone: str
    code: str

    @property
    def place(self) -> str:
        """The place that the zone is called after."""
        return name_zone(self.zone, self.code)

    @property
    def today(self) -> date:
        """The day that it is there."""
        return self.local(utcnow()).date()

    def local(self, moment: datetime | float) -> datetime:
        """Return a moment (aware, or seconds since 1970) on this clock."""
        if isinstance(moment, datetime):
            return moment.astimezone(ZoneInfo(self.zone))
        return datetime.fromtimestamp(moment, ZoneInfo(self.zone))

    def clock(self, moment: datetime | float) -> str:
        """Write a time of day."""
        return self._clock(self.local(moment).time())

    def minute(self, minute: int) -> str:
        """Write a minute of the day; 1440 is its end."""
        return "24:00" if minute == 24 * 60 else self._clock(time(minute // 60, minute % 60))

    def full(self, day: date | datetime) -> str:
        """Write a day in full, with its year when that is not this one; a moment's on this clock."""
        day = self.local(day).date() if isinstance(day, datetime) else day
        pattern = self._wording.date if day.year == self.today.year else "full"
        text = format_date(day, pattern, self._wording.locale)
        return text[:1].upper() + text[1:]

    def short(self, day: date | datetime) -> str:
        """Write a day in short, with its year when that is not this one."""
        day = self.local(day).date() if isinstance(day, datetime) else day
        return format_date(day, "EEE d MMM" if day.year == self.today.year else "EEE d MMM y", self._wording.locale)

    def both(self, moment: datetime) -> str:
        """Write day and time in short."""
        return f"{self.short(moment)}, {self.clock(moment)}"

    def weekday(self, number: int) -> str:
        """Name a weekday; Monday is 0."""
        name = format_date(date(2024, 1, 1 + number), "EEEE", self._wording.locale)
        return name[:1].upper() + name[1:]

    def fields(self, moment: datetime) -> dict[str, str]:
        """Return what the form fields `day` and `time` hold for a moment."""
        local = self.local(moment)
        return {"day": local.date().isoformat(), "time": f"{local:%H:%M}"}

    def read(self, day: str, typed: str) -> datetime:
        """Read what the fields held (a time that comes twice is its first coming); raise `UnreadTime`."""
        found = read_day(day)
        if found is None:
            raise UnreadTime("day")
        try:
            wanted = time.fromisoformat(typed)
        except ValueError:
            raise UnreadTime("time") from None
        if wanted.tzinfo is not None:
            raise UnreadTime("time")
        moment = datetime.fromtimestamp(Clock(self.zone).moment(found, wanted.hour * 60 + wanted.minute), UTC)
        if self.local(moment).time() != wanted.replace(second=0, microsecond=0):
            raise UnreadTime("gap")
        return moment

    @property
    def _wording(self) -> Wording:
        return language(self.code).wording

    def _clock(self, clock: time) -> str:
        return _say_time(clock.replace(second=0, microsecond=0, tzinfo=None, fold=0), self.code)


@lru_cache(maxsize=2 * 24 * 60)
def _say_time(clock: time, code: str) -> str:
    """A full day says a thousand times of day, most of them often."""
    wording = language(code).wording
    return " ".join(format_time(clock, wording.time, locale=wording.locale).split())
