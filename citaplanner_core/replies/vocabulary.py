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
    "move", "move_weak", "carry", "move_other", "another", "propose", "book",
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
    "cancer canela candela carcel cancha cancelo conformo cambien personal personas operadores".split()
)

# Kinds that stand around what is said and change nothing about it, and those that end a clause.
AROUND: frozenset[Kind] = frozenset(("polite", "please", "decor", "title", "comma", "stop"))
BOUNDARIES: frozenset[Kind] = frozenset(("comma", "stop", "question"))
CANCELS: frozenset[Kind] = frozenset(("cancel", "cancel_polite", "cancel_other"))
MOVES: frozenset[Kind] = frozenset(("move", "move_weak", "carry", "another"))

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


_LISTED = tomllib.loads((files(__package__) / "words.toml").read_text("utf-8"))
VOCABULARY: Mapping[Kind, str] = _LISTED["phrases"]
PHRASES = _index(VOCABULARY)
WHOLE = _index(_LISTED["alone"])
ABBREVIATIONS: Mapping[str, str] = _LISTED["abbreviations"]
"""What people shorten when they type, and the words it stands for."""
