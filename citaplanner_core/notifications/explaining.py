"""What happened and why, in plain words for staff and operators: one file a language, such as `why_es.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from citaplanner_core.notifications.catalogue import known_language, language
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.variables import span


@dataclass(frozen=True, slots=True)
class Explainer:
    """Writes in one language (a code of `known_language`), with times of one zone."""

    code: str
    zone: ZoneInfo

    @property
    def _words(self) -> Mapping[str, Any]:
        return _read(self.code)

    def say(self, section: str, key: str, **values: object) -> str:
        """Return a sentence of the file; a code it does not know stands for itself."""
        pattern: str = self._words[section].get(key, key)
        return pattern.format(**values)

    def moment(self, at: datetime | None) -> str:
        """Write a date and a time of the zone."""
        if at is None:
            return "?"
        locale = language(self.code).wording.locale
        return format_datetime(at.astimezone(self.zone), self._words["moment"], locale=locale)

    def name(self, notification: Notification) -> str:
        """Name a notification as people do: "Recordatorio, 1 día antes"."""
        name = self.say("types", notification.type)
        offset = (notification.template or notification.type).partition(":")[2]
        if not offset.isdigit():
            return name
        pattern: str = self._words["offset"]
        return pattern.format(name=name, span=span(int(offset), language(self.code).wording))

    def reason(self, code: str | None) -> tuple[str | None, str | None]:
        """Return (why, what to do) of a reason; a code without words stands for itself."""
        if code is None:
            return None, None
        found: Mapping[str, str] = self._words["reasons"].get(code, {"why": code})
        return found["why"], found.get("cure")


def explainer(language_code: str, zone: str) -> Explainer:
    """Return the words of a language (Spanish where we have none) with times of an IANA zone."""
    return Explainer(known_language(language_code), ZoneInfo(zone))


@cache
def _read(code: str) -> Mapping[str, Any]:
    return tomllib.loads((files(__package__) / f"why_{code}.toml").read_text("utf-8"))
