"""From a text and its variables to the message a person reads.

Texts are written in a small part of Liquid: `{{clientFirstName}}`, conditions and a few filters. There are no loops,
no includes and no filter whose chain grows its input (700 times `url_encode` took a minute), so that no text takes
longer than a fraction of a second; length and output are limited too.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError, UndefinedError
from liquid.undefined import Undefined

from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications.catalogue import Question, Text, UnknownText, find_text
from citaplanner_core.notifications.variables import KNOWN_NAMES, SPANISH_NAMES

MAX_SOURCE = 10_000
MAX_MARKS = 200
"""How many `{{` and `{%` a text may hold: each that is never closed costs the parser another look at the rest."""
MAX_VALUE = 4_000
SURE = 0.8
"""How alike (by difflib's ratio) a word in braces must be to a known name to be a slip of the pen, not free text."""
TAGS = frozenset(("content", "output", "illegal", "if", "unless", "case", "assign", "comment", "#"))
FILTERS = frozenset(("append", "capitalize", "default", "downcase", "prepend", "strip", "truncate", "upcase"))

_SPANISH = re.compile(r"(?<!\{)\{(?P<spanish>\w+)\}(?!\})")
_PLACEHOLDER = re.compile(r"\{\{ *(?P<name>\w+) *\}\}|" + _SPANISH.pattern)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n{3,}")
_TWO_STOPS = re.compile(r"(?<=\w)\.\.(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as a person reads it. `subject` is one line, for mail and push only."""

    subject: str | None
    body: str
    question: Question | None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a text. `name` and `suggestion` are set for a variable that does not exist."""

    detail: str
    line: int | None = None
    name: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        return f"line {self.line}: {self.detail}" if self.line else self.detail


class TemplateError(Exception):
    """A text cannot become a message; `problems` say why. Nothing of a client's data is in them."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class _NoValue(Undefined):
    """A variable nobody gave a value: false in a condition, an error where it would leave a hole."""

    def __str__(self) -> str:
        raise UndefinedError(f"{self.name} has no value", token=self.token)


class _MessageLanguage(Environment):
    output_stream_limit = 250_000
    local_namespace_limit = 100_000
    block_nesting_limit = 10

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS}
        self.filters = {name: filter_ for name, filter_ in self.filters.items() if name in FILTERS}


_language = _MessageLanguage(undefined=_NoValue)


@dataclass(frozen=True, slots=True)
class _Compiled:
    template: BoundTemplate
    names: frozenset[str]
    single_braces: frozenset[str]


def render(
    key: str,
    *,
    family: TextFamily,
    language: str,
    variables: Mapping[str, object],
    message: str | None = None,
    tone: str = "tu",
) -> Rendered:
    """Return the message that the catalogue's text for a key (see `find_text`) makes of the variables.

    See `render_text`; raises `TemplateError` for an unknown text, too.
    """
    try:
        text = find_text(key, family=family, code=language, tone=tone)
    except UnknownText as error:
        raise TemplateError(Problem(str(error))) from None
    return render_text(text, family=family, variables=variables, message=message)


def render_text(
    text: Text, *, family: TextFamily, variables: Mapping[str, object], message: str | None = None
) -> Rendered:
    """Return the message that a text of a family makes of the variables.

    A variable with an empty or blank value is false in a condition and prints nothing. `variables` may hold names of
    the caller's own besides the known ones. Values are data: never read as Liquid, cut after 4,000 characters.

    With `message`, those words are sent instead of the text: in them `{{clientName}}` and `{cliente}` are replaced,
    and all other braces stay as typed, except that a slip of the pen in a known name is an error.

    Raises `TemplateError` for an unknown variable, a text that prints a variable without value, and whatever else is
    wrong with it.
    """
    values = {name: _clean(value) for name, value in variables.items()}
    with_subject = family in ("mail", "push")
    if message is not None:
        subject = _one_line(values.get("businessName") or "") if with_subject else None
        return Rendered(subject, _fill(message, values), "reminder" if text.question else None)
    subject = _one_line(_render(text.subject, values)) if with_subject and text.subject else None
    return Rendered(subject, _tidy(_render(text.body, values)), text.question)


def render_words(source: str, variables: Mapping[str, object]) -> str:
    """Return what a text written like a template says with these variables; raise `TemplateError`."""
    return _tidy(_render(source, {name: _clean(value) for name, value in variables.items()}))


def names_in(source: str) -> frozenset[str]:
    """Return the variables that a text asks for; raise `TemplateError` for one that cannot be used."""
    return _compile(source).names


def validate_template(text: str, extra: Iterable[str] = ()) -> list[Problem]:
    """Return what is wrong with a text before it is saved; empty when it can be used.

    `extra` are names that will be given besides the known ones. The text is tried with every value and with none.
    """
    known = KNOWN_NAMES.union(extra)
    try:
        for value in ("x", None):
            _render(text, dict.fromkeys(known, value))
    except TemplateError as error:
        return list(error.problems)
    return []


@lru_cache(maxsize=1024)
def _compile(source: str) -> _Compiled:
    if len(source) > MAX_SOURCE:
        raise TemplateError(Problem(f"the text is longer than {MAX_SOURCE:,} characters"))
    if source.count("{{") + source.count("{%") > MAX_MARKS:
        raise TemplateError(Problem(f"the text holds more than {MAX_MARKS} variables and conditions"))
    liquid = _SPANISH.sub(_translate, source)
    try:
        template = _language.from_string(liquid)
        analysis = template.analyze()
    except (LiquidError, RecursionError) as error:
        raise TemplateError(_problem(error)) from None
    if filters := analysis.filters.keys() - FILTERS:
        raise TemplateError(*(Problem(f"there is no filter {name}") for name in sorted(filters)))
    names = frozenset(str(variable) for found in analysis.globals.values() for variable in found)
    return _Compiled(template, names, frozenset(_SPANISH.findall(liquid)))


def _translate(match: re.Match[str]) -> str:
    name = SPANISH_NAMES.get(match["spanish"].lower())
    return "{{" + name + "}}" if name else match[0]


def _render(source: str, values: Mapping[str, str | None]) -> str:
    compiled = _compile(source)
    if problems := _unknown(compiled, KNOWN_NAMES.union(values)):
        raise TemplateError(*problems)
    try:
        return compiled.template.render(values)
    except (LiquidError, RecursionError) as error:
        raise TemplateError(_problem(error)) from None


def _problem(error: LiquidError | RecursionError) -> Problem:
    if isinstance(error, RecursionError):
        return Problem("the text is nested too deeply")
    place = error.context()
    return Problem(str(error.message), line=place[0] if place else None)


def _unknown(compiled: _Compiled, known: frozenset[str]) -> list[Problem]:
    double = [_unknown_name(name, "{{" + name + "}}", _nearest(name, known)) for name in sorted(compiled.names - known)]
    single = [
        _unknown_name(word, "{" + word + "}", near)
        for word in sorted(compiled.single_braces)
        if (near := _nearest(word.lower(), SPANISH_NAMES, SURE))
    ]
    return double + single


def _unknown_name(name: str, written: str, suggestion: str | None) -> Problem:
    hint = f"; did you mean {suggestion}?" if suggestion else ""
    return Problem(f"there is no variable {written}{hint}", name=name, suggestion=suggestion)


def _nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    if name.lower() in SPANISH_NAMES:
        return SPANISH_NAMES[name.lower()]
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=likeness)), None)


def _fill(message: str, values: Mapping[str, str | None]) -> str:
    known = KNOWN_NAMES.union(values)

    def value(match: re.Match[str]) -> str:
        word = match["spanish"]
        name = SPANISH_NAMES.get(word.lower(), "") if word else match["name"]
        if name in known:
            return values.get(name) or ""
        near = _nearest(word.lower(), SPANISH_NAMES, SURE) if word else _nearest(name, known, SURE)
        if near:
            raise TemplateError(_unknown_name(word or name, match[0], near))
        return match[0]

    return _tidy(_PLACEHOLDER.sub(value, message))


def _clean(value: object) -> str | None:
    text = "" if value is None else _CONTROL.sub("", str(value).replace("\r\n", "\n"))
    if not text.strip():
        return None
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _tidy(text: str) -> str:
    """Close the gaps that left-out sentences leave; one full stop where an abbreviation ends a sentence."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _TWO_STOPS.sub(".", _BLANK_LINES.sub("\n\n", lines)).strip()
