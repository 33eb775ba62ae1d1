"""Free times as a visitor sees them: days with something free, and one day's times by part of the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_timezone_location
from sqlalchemy.orm import Session

from citaplanner_core.booking.availability import Slot, find_slots
from citaplanner_core.database import utcnow
from citaplanner_core.notifications.catalogue import Wording, language

DAYS = 14
"""How many days a page looks ahead at once."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the branch's calendar with free times."""

    iso: str
    name: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Time:
    """A free time. `start` goes back to the server as it is; `label` is the branch's clock."""

    start: str
    label: str
    professional_id: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What is free from `first` on, for two weeks; `morning` and `later` are the chosen day's times.

    `earlier` and `further` are the first days of the pages before and after; None where there is none before.
    """

    days: Sequence[Day]
    heading: str
    morning: Sequence[Time]
    later: Sequence[Time]
    earlier: str | None
    further: str


def make_offer(
    session: Session,
    *,
    zone: str,
    language_code: str,
    service_id: int,
    branch_id: int,
    professional_id: int | None,
    first: date | None = None,
    day: date | None = None,
) -> Offer:
    """Return what is free: from `first` (today if None, never before), the times of `day` (the first free if None).

    Raises what `find_slots` raises.
    """
    place, wording = ZoneInfo(zone), language(language_code).wording
    today = utcnow().astimezone(place).date()
    first = max(first or day or today, today)
    if day is None or not first <= day < first + timedelta(days=DAYS):
        day = None
    slots = find_slots(
        session,
        service_id=service_id,
        branch_id=branch_id,
        professional_id=professional_id,
        start=_midnight(first, place),
        end=_midnight(first + timedelta(days=DAYS), place),
    )
    free = sorted({_local(slot, place).date() for slot in slots})
    day = day or next(iter(free), None)
    times = [
        (_local(slot, place), Time(slot.start.isoformat(), _clock(_local(slot, place), wording), slot.professional_id))
        for slot in slots
        if _local(slot, place).date() == day
    ]
    return Offer(
        days=[
            Day(one.isoformat(), _sentence(format_date(one, "EEE d MMM", wording.locale)), one == day) for one in free
        ],
        heading=_sentence(format_date(day, wording.date, wording.locale)) if day else "",
        morning=[time for local, time in times if local.hour < 12],
        later=[time for local, time in times if local.hour >= 12],
        earlier=max(first - timedelta(days=DAYS), today).isoformat() if first > today else None,
        further=(first + timedelta(days=DAYS)).isoformat(),
    )


def read_day(text: str | None) -> date | None:
    """Read a date out of an address; None for what is none, or lies where no calendar reaches."""
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if 2000 < found.year < 9000 else None


def read_start(text: str | None) -> datetime | None:
    """Read a `Time.start`; None for what is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.utcoffset() is not None and 2000 < found.year < 9000 else None


def say_moment(start: datetime, zone: str, language_code: str) -> tuple[str, str]:
    """Return date and time of day of a start, in words, on the clock of a zone."""
    local, wording = start.astimezone(ZoneInfo(zone)), language(language_code).wording
    return _sentence(format_date(local, wording.date, wording.locale)), _clock(local, wording)


def name_zone(zone: str, language_code: str) -> str:
    """Return the place that a zone is called after, such as "Ciudad de México"."""
    locale = language(language_code).wording.locale
    return get_timezone_location(ZoneInfo(zone), locale=locale, return_city=True).rpartition("/")[2]


def _midnight(day: date, place: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=place).astimezone(UTC)


def _local(slot: Slot, place: ZoneInfo) -> datetime:
    return slot.start.astimezone(place)


def _clock(local: datetime, wording: Wording) -> str:
    return " ".join(format_time(local.time(), wording.time, locale=wording.locale).split())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
