"""Which of several appointments an answer is about, and the numbered list that is sent to find out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from babel.dates import format_date

from citaplanner_core.booking.models import LIVE_STATES, Appointment, Tenant
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.variables import appointment_variables
from citaplanner_core.replies.details import folded
from citaplanner_core.replies.intents import IntentName
from citaplanner_core.replies.reading import read
from citaplanner_core.replies.vocabulary import AROUND, PHRASES

LASTS = timedelta(hours=72)
"""So long the numbers in a message of ours mean what it says, and never longer than until the appointment."""

_LANGUAGES = ("es", "en", "pt")
_DAY = re.compile(r"\b(?:el|dia|del|the|on) (\d{1,2})\b(?! ?(?:am|pm|hrs?|:))|\b(\d{1,2}) de\b|\b(\d{1,2})[/-]\d")
_HOUR = re.compile(r"\b(?:las|at|as) (\d{1,2})(?::(\d\d))?|\b(\d{1,2}):(\d\d)|\b(\d{1,2}) ?(?:am|pm|hrs?)\b")
_TODAY = re.compile(r"\b(?:hoy|today|hoje)\b")
_TOMORROW = re.compile(r"(?<!la )\b(?:manana|tomorrow|amanha)\b")
_MEANT = re.compile(r"\b(?:la|lo|cita|consulta|turno|sesion) del? (.*?)(?=\b(?:para|al|a otro|a otra|por)\b|$)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of ours that may be answered.

    `question` is what it asked (see `parse`), `schedule_version` the appointment's when it was written, `at` when it
    was sent. `earlier` are the actions of earlier answers to it, oldest first. `explicit`: the client pointed at this
    very message. `follow_up`: it is what we asked back, and the last thing said.
    """

    notification: Notification
    question: str | None
    schedule_version: int | None
    earlier: Sequence[str] = ()
    explicit: bool = False
    at: datetime | None = None
    follow_up: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What the numbers of a list mean: number n is `options[n - 1]`, a notification's id and its schedule version.

    `intent` is what the client wants done with the one they pick, in `words`; `at` is when they were asked.
    """

    intent: IntentName
    words: str
    options: Sequence[tuple[int, int | None]]
    at: datetime

    def stored(self) -> dict[str, Any]:
        """Return what `restored` takes."""
        return {
            "intent": self.intent,
            "words": self.words,
            "options": [list(option) for option in self.options],
            "at": self.at.isoformat(),
        }

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> "Choice":
        """Return a stored choice."""
        options = [(int(number), version) for number, version in data["options"]]
        return cls(cast(IntentName, data["intent"]), data["words"], options, datetime.fromisoformat(data["at"]))


def expired(asked: Asked, at: datetime) -> bool:
    """Tell whether the numbers a message offered mean nothing any more."""
    appointment = asked.notification.appointment
    too_old = asked.at is not None and at - asked.at > LASTS
    return too_old or (appointment is not None and appointment.start <= at)


def rivals(asked: Asked, others: Iterable[Asked], at: datetime) -> list[Asked]:
    """Return the other questions that wait for an answer, one an appointment, the soonest appointment first."""
    found: dict[int, Asked] = {}
    own = asked.notification.appointment_id
    for other in others:
        appointment = other.notification.appointment
        if appointment is None or appointment.id in (own, *found) or other.question != "confirm":
            continue
        if other.at is None or expired(other, at) or not _stands(other, appointment):
            continue
        if appointment.answered_at is None or appointment.answered_at < other.at:
            found[appointment.id] = other
    return sorted(found.values(), key=_start)


def candidates(asked: Asked, waiting: Sequence[Asked], at: datetime) -> list[Asked]:
    """Return what an answer may be about, the soonest appointment first: the others, and `asked` where it can be."""
    appointment = asked.notification.appointment
    open_ = appointment is not None and _stands(asked, appointment) and appointment.start > at
    return sorted([*waiting, asked], key=_start) if open_ else list(waiting)


def _stands(asked: Asked, appointment: Appointment) -> bool:
    return appointment.status in LIVE_STATES and asked.schedule_version in (None, appointment.schedule_version)


def _start(asked: Asked) -> datetime:
    assert asked.notification.appointment is not None
    return asked.notification.appointment.start


def named(text: str, options: Sequence[Asked], at: datetime, *, moving: bool) -> int | None:
    """Return the index of the one appointment that the words name by its client, day or hour; None if not one.

    `moving`: days and hours may be where it is to go, and count only as in "la del jueves".
    """
    plain = folded(text)
    meant = _MEANT.search(plain)
    when = (meant[1] if meant else "") if moving else plain
    hits = []
    for i, option in enumerate(options):
        appointment = option.notification.appointment
        assert appointment is not None
        if _names_client(plain, appointment) or _names_time(when, appointment, at):
            hits.append(i)
    return hits[0] if len(hits) == 1 else None


def without_name(text: str, appointment: Appointment) -> str:
    """Return the words without the client's name, which says nothing of what is wanted."""
    name = folded(appointment.client.first_name)
    return re.sub(rf"\b(?:de )?{re.escape(name)}\b", " ", folded(text)) if name and _is_a_name(name) else text


def _is_a_name(name: str) -> bool:
    return len(name) >= 3 and name not in PHRASES


def _names_client(plain: str, appointment: Appointment) -> bool:
    name = folded(appointment.client.first_name)
    return _is_a_name(name) and re.search(rf"\b{re.escape(name)}\b", plain) is not None


def _names_time(plain: str, appointment: Appointment, at: datetime) -> bool:
    zone = ZoneInfo(appointment.branch.zone)
    start, today = appointment.start.astimezone(zone), at.astimezone(zone).date()
    weekdays = {folded(format_date(start, "EEEE", code)).partition("-")[0] for code in _LANGUAGES}
    if weekdays & set(re.findall(r"[a-z]+", plain)):
        return True
    ahead = (start.date() - today).days
    if (ahead == 0 and _TODAY.search(plain)) or (ahead == 1 and _TOMORROW.search(plain)):
        return True
    if any(int(day) == start.day for found in _DAY.findall(plain) for day in found if day):
        return True
    for hour, minute, bare_hour, bare_minute, clock_hour in _HOUR.findall(plain):
        said = int(hour or bare_hour or clock_hour), int(minute or bare_minute or 0)
        if said[0] in (start.hour, start.hour % 12 or 12) and said[1] == start.minute:
            return True
    return False


def picked(text: str, language: str) -> int | None:
    """Return the number that a message is, such as "2", "la 2 por favor" or "opción 2"; None for other messages."""
    items = read(text, language).items
    numbers = {item.word for item in items if item.kind == "number"}
    rest = [item for item in items if item.kind not in AROUND | {"number", "option"}]
    if len(numbers) != 1 or any(item.word not in ("la", "el", "es") for item in rest):
        return None
    return int(numbers.pop())


def listing(options: Sequence[Asked], tenant: Tenant, *, language: str, now: datetime) -> str:
    """Return the numbered lines that name each appointment by its time, and by its client where they differ."""
    appointments = [appointment for option in options if (appointment := option.notification.appointment) is not None]
    several = len({appointment.client_id for appointment in appointments}) > 1
    lines = []
    for number, appointment in enumerate(appointments, start=1):
        values = appointment_variables(appointment, tenant, language_code=language, now=now)
        whose = f" ({values['clientFirstName']})" if several else ""
        lines.append(f"{number}. {values['appointmentDateTime']}{whose}")
    return "\n".join(lines)
