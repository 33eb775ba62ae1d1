"""The message texts that ship with the core: one file a language in `texts/`."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

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
    """How a language writes dates and times. Dates and times are CLDR patterns, the rest holds `{date}` or `{time}`."""

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
    status: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Language:
    """Everything one file of `texts/` says: `texts` by key and family."""

    wording: Wording
    texts: Mapping[str, Mapping[str, Text]]


class UnknownText(LookupError):
    """There is no text of this name; the message names it and the nearest known one."""


@cache
def languages() -> tuple[str, ...]:
    """Return the codes of the languages that have texts."""
    folder = files(__package__) / "texts"
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".toml")))


def known_language(code: str) -> str:
    """Return the language of ours that serves a code such as `en` or `es-MX`; Spanish where there is none."""
    short = code.replace("_", "-").partition("-")[0].lower()
    return short if short in languages() else DEFAULT_LANGUAGE


@cache
def language(code: str) -> Language:
    """Return what the file of a language says; `code` as `known_language` gives it."""
    data = tomllib.loads((files(__package__) / "texts" / f"{code}.toml").read_text("utf-8"))
    wording = Wording(**data.pop("wording"))
    texts = {
        key: {family: Text(**{**text, "body": text["body"].strip()}) for family, text in by_family.items()}
        for key, by_family in data.items()
    }
    return Language(wording, texts)


def find_text(key: str, *, family: TextFamily, code: str) -> Text:
    """Return the text for a key (`APPOINTMENT_REMINDER:60`, `REPLY_CONFIRMED`…) in a language.

    A reminder's offset without a text of its own gets the one for 1440 minutes; a key that has no text of this
    family, as replies have none for mail, gets its chat or mail text. Raises `UnknownText`.
    """
    texts = language(known_language(code)).texts
    base = key.partition(":")[0]
    for name in (key, f"{base}:{USUAL_OFFSET}", base):
        by_family = texts.get(name, {})
        for kind in (family, "chat", "mail"):
            if kind in by_family:
                return by_family[kind]
    near = difflib.get_close_matches(key, texts, n=1)
    raise UnknownText(f"there is no text {key}" + (f"; did you mean {near[0]}?" if near else ""))
