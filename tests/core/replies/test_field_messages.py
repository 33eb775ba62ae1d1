"""How well answers are understood, measured on messages that were put down before anybody looked at the rules."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from citaplanner_core.replies.intents import parse

UNCLEAR = {"ask", "unknown"}


class Written(NamedTuple):
    text: str
    expected: frozenset[str]
    question: str | None
    understood: str


def _messages() -> list[Written]:
    found, expected, questions, language = [], frozenset[str](), [""], ""
    for line in (Path(__file__).parent / "field_messages.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            intents, asked, language = line[2:].split()
            expected, questions = frozenset(intents.split("/")), asked.split(",")
        elif line and not line.startswith("%"):
            for question in (None if name == "-" else name for name in questions):
                name = parse(line, language=language, question=question).name
                found.append(Written(line, expected, question, name))
    return found


MESSAGES = _messages()


@pytest.mark.parametrize("act", ["cancel", "opt_out"])
def test_nothing_is_cancelled_and_nobody_unsubscribed_by_mistake(act: str) -> None:
    assert [one for one in MESSAGES if one.understood == act and act not in one.expected] == []


@pytest.mark.parametrize(
    ("intent", "share"),
    [
        ("confirm", 0.97),
        ("cancel", 0.95),
        ("reschedule", 0.95),
        ("opt_out", 1),
        ("opt_in", 1),
        ("human", 1),
        ("late", 0.97),
        ("info", 0.97),
    ],
)
def test_clear_messages_are_understood(intent: str, share: float) -> None:
    clear = [one for one in MESSAGES if one.expected == {intent}]
    missed = [one for one in clear if one.understood != intent]
    assert len(clear) >= 20
    assert 1 - len(missed) / len(clear) >= share, missed


def test_what_is_missed_is_asked_back_rather_than_taken_for_something_else() -> None:
    mistaken = [one for one in MESSAGES if one.understood not in one.expected | UNCLEAR]
    assert len(mistaken) <= 0.01 * len(MESSAGES), mistaken


def test_the_table_is_large_and_says_nothing_twice() -> None:
    texts = defaultdict(set)
    for one in MESSAGES:
        texts[one.text, one.question].add(one.expected)
    assert len(texts) > 1000
    assert {key: meant for key, meant in texts.items() if len(meant) > 1} == {}
