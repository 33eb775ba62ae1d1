"""The words clients use, by what they say; they stand in words.toml, and this reads them.

What is in no list there is an unknown word, and `intents` acts on little that holds one.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Literal

Kind = Literal[
    # answers
    "yes", "no", "hedge", "later", "but", "or", "if", "instead",
    # what to do with the appointment
    "confirm", "confirm_other", "attend", "cant", "cant_open",
    "cancel", "cancel_polite", "cancel_other", "drop",
    "move", "move_weak", "carry", "move_other", "another", "misfit", "propose", "book",
    # everything else that gets an answer
    "human", "opt_out", "marketing_out", "opt_in", "late", "arrive", "info", "who", "pay",
    # how a request is put
    "want", "could", "may", "please",
    # what stands around it
    "object", "objects", "date", "minutes", "number", "option", "because", "reason",
    "title", "relative", "place", "with", "name_next", "polite", "glue", "laugh", "decor",
    # found by the reader, never listed
    "unknown", "quoted", "comma", "stop", "question",
    "not_cancel", "not_move", "not_confirm", "not_other",
]  # fmt: skip

# Real words a slip of the finger away from one of ours: left as they are.
NOT_TYPOS = frozenset(
    "quieran quieras cancer canela candela carcel cancha cancelo conformo cambien personal personas operadores".split()
)

# Kinds that stand around what is said and change nothing about it, and those that end a clause.
AROUND: frozenset[Kind] = frozenset(("polite", "please", "decor", "title", "comma", "stop"))
BOUNDARIES: frozenset[Kind] = frozenset(("comma", "stop", "question"))
CANCELS: frozenset[Kind] = frozenset(("cancel", "cancel_polite", "cancel_other"))
MOVES: frozenset[Kind] = frozenset(("move", "move_weak", "carry", "another"))

_WORD = re.compile(r"[a-z0-9]+")
_CHOICE = re.compile(r"\(([^()]*)\)")


def phrases(text: str) -> Iterator[str]:
    for entry in text.split(","):
        yield from _spelled_out(entry)


def _spelled_out(entry: str) -> Iterator[str]:
    choice = _CHOICE.search(entry)
    if choice is None:
        yield " ".join(entry.split())
        return
    for option in choice[1].split("|"):
        yield from _spelled_out(entry[: choice.start()] + option + entry[choice.end() :])


def _index(vocabulary: Mapping[Kind, str]) -> dict[str, Kind]:
    return {phrase: kind for kind, text in vocabulary.items() for phrase in phrases(text) if phrase}


def _alternatives(text: str, separator: str) -> Iterator[str]:
    """Split where the separator stands outside of brackets."""
    depth, start = 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == separator and not depth:
            yield text[start:i]
            start = i + 1
    yield text[start:]


def _first_words(entry: str) -> set[str]:
    entry = entry.strip()
    if not entry.startswith("("):
        return set(_WORD.findall(entry)[:1])
    end = depth = 1
    while depth:
        depth += (entry[end] == "(") - (entry[end] == ")")
        end += 1
    end -= 1
    rest = entry[end + 1 :]
    return {word for option in _alternatives(entry[1:end], "|") for word in _first_words(f"{option} {rest}")}


def _compiled(entry: str) -> re.Pattern[str]:
    longest_first = _CHOICE.sub(lambda m: "(" + "|".join(sorted(m[1].split("|"), key=len, reverse=True)) + ")", entry)
    spaced = _WORD.sub(r"\g<0>_", longest_first).replace(" ", "").replace("_", " ")
    return re.compile(spaced.replace("(", "(?:"))


_LISTED = tomllib.loads((files(__package__) / "words.toml").read_text("utf-8"))
VOCABULARY: Mapping[Kind, str] = _LISTED["phrases"]
PHRASES = _index(VOCABULARY)
WHOLE = _index(_LISTED["alone"])
SETS: Mapping[str, str] = _LISTED["sets"]
PATTERNS: dict[str, list[tuple[re.Pattern[str], Kind]]] = {}
"""By the first word of what they match; the texts to match have a blank after every word."""
PATTERN_WORDS: set[str] = set()
for _kind, _text in _LISTED["patterns"].items():
    for _name, _members in SETS.items():
        _text = _text.replace(f"<{_name}>", f"({'|'.join(phrases(_members))})")
    PATTERN_WORDS.update(_WORD.findall(_text))
    for _entry in _alternatives(" ".join(_text.split()), ","):
        _pattern = _compiled(_entry)
        for _word in _first_words(_entry):
            PATTERNS.setdefault(_word, []).append((_pattern, _kind))
ABBREVIATIONS: Mapping[str, str] = _LISTED["abbreviations"]
"""What people shorten when they type, and the words it stands for."""
