"""The message texts that ship with the core: one file a language in `texts/`.

A language that addresses people in two ways (tú, usted) has a second file, named after the formal one.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from citaplanner_core.hooks.types import TextFamily

DEFAULT_LANGUAGE = "es"
USUAL_OFFSET = 1440

Question = Literal["confirm", "reminder"]


@dataclass(frozen=True, slots=True)
class Text:
    """One text in the message language, before its variables are filled in.

    `question` is how an answer to it is to be understood: `confirm` = it offers 1 confirm, 2 another time,
    3 cancel; `reminder` = it reminds without asking; None = neither.
    """

    body: str
    subject: str | None = None
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """How a language writes dates and times. Dates and times are CLDR patterns, the rest holds `{date}` or `{time}`.

    `unnamed_service` stands for a service that is not to be named, `…_formal` to a person addressed as usted.
    """

    locale: str
    date: str
    date_short: str
    time: str
    date_time: str
    on_date: str
    today: str
    tomorrow: str
    at_time: str
    at_one: str
    cancel_reason: str
    in_zone: str
    unnamed_service: str
    unnamed_service_formal: str
    status: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Language:
    """What `texts/` says in a language: `texts` by key and family, `formal` the same to people one calls usted."""

    wording: Wording
    texts: Mapping[str, Mapping[str, Text]]
    formal: Mapping[str, Mapping[str, Text]]


class UnknownText(LookupError):
    """There is no text of this name; the message names it and the nearest known one."""


@cache
def languages() -> tuple[str, ...]:
    """Return the codes of the languages that have texts."""
    return tuple(sorted(name for name in _files() if "_" not in name))


def _files() -> list[str]:
    return [file.name[:-5] for file in (files(__package__) / "texts").iterdir() if file.name.endswith(".toml")]


def known_language(code: str) -> str:
    """Return the language of ours that serves a code such as `en` or `es-MX`; Spanish where there is none."""
    short = code.replace("_", "-").partition("-")[0].lower()
    return short if short in languages() else DEFAULT_LANGUAGE


@cache
def language(code: str) -> Language:
    """Return what the files of a language say; `code` as `known_language` gives it."""
    data = _read(code)
    wording = Wording(**data.pop("wording"))
    texts = {
        key: {family: Text(**{**text, "body": text["body"].strip()}) for family, text in by_family.items()}
        for key, by_family in data.items()
    }
    formal = {key: dict(by_family) for key, by_family in texts.items()}
    for key, by_family in _read(f"{code}_usted").items():
        for family, text in by_family.items():
            formal[key][family] = replace(texts[key][family], **{**text, "body": text["body"].strip()})
    return Language(wording, texts, formal)


def _read(name: str) -> dict[str, Any]:
    if name not in _files():
        return {}
    return tomllib.loads((files(__package__) / "texts" / f"{name}.toml").read_text("utf-8"))


def text_names(key: str) -> tuple[str, ...]:
    """Return the names under which a text is looked up, the most exact first.

    A reminder's offset without a text of its own gets the one for 1440 minutes.
    """
    base = key.partition(":")[0]
    return tuple(dict.fromkeys((key, f"{base}:{USUAL_OFFSET}", base)))


def find_text(key: str, *, family: TextFamily, code: str, tone: str = "tu") -> Text:
    """Return the text for a key (`APPOINTMENT_REMINDER:60`, `REPLY_CONFIRMED`…) in a language.

    `tone` is `tu` or `usted`, the same in a language without that difference. Names are tried as in `text_names`; a
    key that has no text of this family, as replies have none for mail, gets its chat or mail text. Raises
    `UnknownText`.
    """
    found = language(known_language(code))
    texts = found.formal if tone == "usted" else found.texts
    for name in text_names(key):
        by_family = texts.get(name, {})
        for kind in (family, "chat", "mail"):
            if kind in by_family:
                return by_family[kind]
    near = difflib.get_close_matches(key, texts, n=1)
    raise UnknownText(f"there is no text {key}" + (f"; did you mean {near[0]}?" if near else ""))
