"""Turns what a client typed into a row of words of known kinds, for `intents` to judge.

Everything that people vary without meaning anything by it goes away here: capitals, accents, skin tones, stretched
letters, one slip of the finger in a long word, text quoted from an earlier message.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from citaplanner_core.replies.vocabulary import (
    ABBREVIATIONS,
    AROUND,
    NOT_TYPOS,
    PATTERN_WORDS,
    PATTERNS,
    PHRASES,
    WHOLE,
    Kind,
)

LONGEST_TEXT = 600
"""Characters that are looked at; a text that has more is `Reading.long`."""

_INVISIBLE = re.compile(
    "[\u0300-\u036f\u20e3\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u2640\u2642"
    "\U0001f3fb-\U0001f3ff\U000e0000-\U000e007f]"
)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’‘`´ʼ](?=[^\W\d_])")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|~[^~]*~|(?<!\w)['‘][^'’]*['’](?!\w)")
_QUOTES = "\"“”«»'‘’"
_REPLY_HEAD = re.compile(r"(?:escribio|wrote|escreveu):$|^-{2,} *(?:original|mensaje original|mensagem original)")
_TOKEN = re.compile(
    r"(?P<time>\d{1,2}(?:[:.h]\d\d)?[ ]?(?:[ap][.]?[ ]?m\b[.]?|hrs?\b)|\d{1,2}[:h]\d\d\b)"
    r"|(?P<day>\d{1,4}[/-]\d{1,2}(?:[/-]\d{1,4})?)"
    r"|(?P<number>\d+)"
    r"|(?P<word>[^\W\d_]+)"
    r"|(?P<question>[?¿❓❔⁉]+)"
    r"|(?P<stop>[.!¡;:\n\r]+)"
    r"|(?P<comma>,+)"
    r"|(?P<mark>\S)"
)
_TITLE_DOT = re.compile(r"\b(dra?|sra?|srita|srta|lic|mrs?|ms)[.]")
_I_CANCELLED = re.compile(r"\b(cancel|anul)é\b", re.IGNORECASE)
_CANCELLED = re.compile(r"\bcanceló\b", re.IGNORECASE)
"""The accent tells what was done from what is asked for; it is kept as the word of the past that Portuguese has."""
_CANCEL_BY_EAR = re.compile(r"^(?:[kc]an[czs]el(?=[aeo])|[kc]acel(?=[aeo])|cancl(?=[aeo])|cancel(?=r$|rla$))")
"""Misspellings that sound the same or lose a letter, and are no other word: "kansela", "cacelar", "canclar"."""
_REPEATED = re.compile(r"([^\W\d_]{2,4}?)\1+")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_DOUBLED_END = re.compile(r"([^\W\d_])\1+$")
_LAUGHTER = re.compile(r"(?:j[aeio]){2,}j?|(?:h[aeio]){2,}h?|k{3,}|(?:rs){2,}|lo+l")
_NEUTRAL_MARKS = frozenset("()[]{}-–—*_•·#→►▶")
_NUMBER_WORDS = {
    "uno": "1", "one": "1", "dos": "2", "two": "2", "dois": "2", "tres": "3", "three": "3", "cuatro": "4",
    "four": "4", "quatro": "4",
}  # fmt: skip
_ORDINALS = {"primera": "1", "segunda": "2", "tercera": "3", "cuarta": "4"}
_SUPERLATIVE = re.compile(r"isim([oa])s?$")
_DIMINUTIVES = (
    (re.compile(r"it([oa])s?$"), r"\1"),
    (re.compile(r"[ec]?cit[oa]s?$"), ""),
    (re.compile(r"cit[oa]s?$"), "e"),
)
_CLOCK_WORDS = frozenset(("las", "at", "as"))
_DAY_WORDS = frozenset(("el", "al", "del", "dia", "dias", "day", "on"))
_IN_MINUTES = frozenset(("en", "in", "em"))
_HOURS = frozenset(("hora", "horas", "hour", "hours"))


class Item(NamedTuple):
    kind: Kind
    word: str


class Reading(NamedTuple):
    """`items` in the order of the text; `alone` is the kind of what fills the whole message, if it is such a word.

    `misspelled` says that a word which decides something was only guessed from a slip of the finger.
    """

    items: list[Item]
    alone: Kind | None
    misspelled: bool
    long: bool


def read(text: str, language: str) -> Reading:
    """Reads a message. `language` (two letters or empty) decides only between words that look alike."""
    text = text.strip()
    tokens = list(_tokens(_outside_quotes(_own_lines(_plain(text[:LONGEST_TEXT])))))
    items, misspelled = _match_phrases(tokens, language)
    _settle_numbers(items)
    return Reading(items, _alone(items, language), misspelled, len(text) > LONGEST_TEXT)


class _Token(NamedTuple):
    kind: Kind | None
    word: str
    misspelled: bool = False


def _plain(text: str) -> str:
    text = _APOSTROPHE.sub("", text)
    if text.isascii():
        return text.lower()
    text = _I_CANCELLED.sub(r"\1ei", _CANCELLED.sub("cancelou", unicodedata.normalize("NFC", text)))
    return _INVISIBLE.sub("", unicodedata.normalize("NFKD", text).casefold())


def _own_lines(text: str) -> str:
    if ">" not in text and ":" not in text and "--" not in text:
        return text
    own = []
    for line in text.splitlines():
        line = line.strip()
        if _REPLY_HEAD.search(line):
            break
        if not line.startswith(">"):
            own.append(line)
    return "\n".join(own)


def _outside_quotes(text: str) -> str:
    return _QUOTED.sub(_spoken, _TITLE_DOT.sub(r"\1", text))


def _spoken(quoted: re.Match[str]) -> str:
    """A number or stop word in quotes is meant as said (``"3"``); any other quoted text is somebody else's."""
    said = quoted.group().strip(_QUOTES)
    return said if said.isdigit() or said in WHOLE else ' " '


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        word = match.group()
        match match.lastgroup:
            case "word":
                yield _spelled(word)
            case "time" | "day":
                yield _Token("date", word)
            case "number":
                yield _Token("number", word)
            case "comma":
                yield _Token("comma", word)
            case "stop":
                yield _Token("stop", word)
            case "question":
                yield _Token("question", word)
            case _ if word in PHRASES:
                yield _Token(PHRASES[word], word)
            case _ if word in _QUOTES or word == "~":
                yield _Token("quoted", word)
            case _ if word not in _NEUTRAL_MARKS:
                yield _Token("unknown" if word.isascii() else "decor", word)


def _spelled(word: str) -> _Token:
    word = ABBREVIATIONS.get(word, word)
    if word in _WORDS:
        return _Token(None, word)
    heard = _CANCEL_BY_EAR.sub(_cancel_spelled, word) if word[0] in "kc" else word
    if heard in _CANCEL_WORDS:
        return _Token(None, heard)
    short = _DOUBLED_END.sub(r"\1", _STRETCHED.sub(r"\1", word))
    for known in (short, _STRETCHED.sub(r"\1\1", word)):
        if known in _WORDS:
            return _Token(None, known)
    repeated = _REPEATED.fullmatch(word)
    if repeated and PHRASES.get(repeated[1]) == "yes":
        return _Token(None, repeated[1])
    if "cancel" in short:
        return _Token("cancel_other", word)
    if _LAUGHTER.fullmatch(word):
        return _Token("laugh", word)
    plain = _without_endearment(short)
    if plain is not None:
        return _Token(None, plain)
    meant = _meant(word) or _meant(short)
    if meant is None:
        return _Token(None, word)
    return _Token("cancel_other" if meant in _CANCEL_WORDS else None, meant, misspelled=True)


def _cancel_spelled(heard: re.Match[str]) -> str:
    return "cancela" if heard.group() == "cancel" else "cancel"


def _without_endearment(word: str) -> str | None:
    """The word that "correctísimo" or "ratito" is made of, if it is a harmless one of ours."""
    variants = [_SUPERLATIVE.sub(r"\1", word), *(ending.sub(instead, word) for ending, instead in _DIMINUTIVES)]
    for variant in variants:
        if variant != word and PHRASES.get(variant) in _ENDEARED and variant not in WHOLE:
            return variant
    return None


def _meant(word: str) -> str | None:
    """The known word one slip (a letter lost, added, changed, or two swapped) away, if there is one."""
    if not 5 <= len(word) <= 20 or word in NOT_TYPOS:
        return None
    for variant in (word, *_one_less(word)):
        if variant in _SLIPS:
            return _SLIPS[variant]
    return None


def _one_less(word: str) -> Iterator[str]:
    return (word[:i] + word[i + 1 :] for i in range(len(word)))


def _match_phrases(tokens: list[_Token], language: str) -> tuple[list[Item], bool]:
    items: list[Item] = []
    misspelled = False
    start = 0
    while start < len(tokens):
        kind, word, guessed = tokens[start]
        if kind is not None:
            items.append(Item(kind, word))
            misspelled = misspelled or guessed
            start += 1
            continue
        phrase, size = word, 1
        found = PHRASES.get(word)
        for end in range(start + 1, min(start + _LONGEST.get(word, 1), len(tokens))):
            if tokens[end].kind is not None:
                break
            phrase = f"{phrase} {tokens[end].word}"
            longer = PHRASES.get(phrase)
            if longer is not None:
                found, size = longer, end - start + 1
        if word in PATTERNS:
            found, size = _match_pattern(tokens, start, found, size)
        if size > 1:
            word = " ".join(token.word for token in tokens[start : start + size])
        items.append(_item(found, word, tokens[start + size : start + size + 1], language))
        guessed = any(token.misspelled for token in tokens[start : start + size])
        misspelled = misspelled or (guessed and items[-1].kind not in _DECIDES_NOTHING)
        start += size
    return items, misspelled


def _match_pattern(tokens: list[_Token], start: int, found: Kind | None, size: int) -> tuple[Kind | None, int]:
    """Return the kind and length of the longest pattern that matches here, or what was found if none is longer."""
    end = start
    while end < len(tokens) and tokens[end].kind is None:
        end += 1
    words = "".join(f"{token.word} " for token in tokens[start:end])
    for pattern, kind in PATTERNS[tokens[start].word]:
        match = pattern.match(words)
        length = match.group().count(" ") if match is not None else 0
        if length > size or (length and found is None):
            found, size = kind, length
    return found, size


def _item(kind: Kind | None, word: str, following: list[_Token], language: str) -> Item:
    if word == "o":
        return Item("glue" if language == "pt" else "or", word)
    if word == "no" and language == "pt" and following and PHRASES.get(following[0].word) == "date":
        return Item("glue", word)
    if word in _NUMBER_WORDS:
        return Item("number", _NUMBER_WORDS[word])
    if kind == "number":
        return Item("number", next(_ORDINALS[part] for part in word.split() if part in _ORDINALS))
    return Item(kind or "unknown", word)


def _settle_numbers(items: list[Item]) -> None:
    """Tells the hours, days and minutes from the numbers that may answer a question."""
    for i, (kind, word) in enumerate(items):
        if kind != "number":
            continue
        before = items[i - 1] if i else Item("stop", "")
        after = items[i + 1] if i + 1 < len(items) else Item("stop", "")
        last_before = before.word.rpartition(" ")[2]
        to_one_oclock = last_before == "la" and i > 1 and items[i - 2].word == "a"
        month_follows = after.word == "de" and i + 2 < len(items) and items[i + 2].kind == "date"
        if last_before in _CLOCK_WORDS or last_before in _DAY_WORDS or to_one_oclock or month_follows:
            items[i] = Item("date", word)
        elif after.kind == "minutes" or after.word in _HOURS or last_before in _IN_MINUTES:
            items[i] = Item("minutes", word)
        elif before.kind == "date" or after.kind == "date":
            items[i] = Item("date", word)


def _alone(items: list[Item], language: str) -> Kind | None:
    words = [item.word for item in items if item.kind not in AROUND]
    if len(words) > 4:
        return None
    if language == "en" and words == ["ya"]:
        return "yes"
    return WHOLE.get(" ".join(words)) or WHOLE.get(words[0] if len(set(words)) == 1 else "")


_WORDS = frozenset(word for phrase in (*PHRASES, *WHOLE, *_NUMBER_WORDS) for word in phrase.split()) | PATTERN_WORDS
_CANCEL_WORDS = frozenset(
    phrase for phrase, kind in PHRASES.items() if kind in ("cancel", "cancel_polite", "cancel_other")
)
_ENDEARED: frozenset[Kind] = frozenset(
    ("yes", "polite", "later", "late", "object", "date", "minutes", "title", "relative")
)
_DECIDES_NOTHING: frozenset[Kind] = frozenset(("unknown", "reason", "polite", "relative"))
_LONGEST: dict[str, int] = {}
for _phrase in PHRASES:
    _first, *_rest = _phrase.split()
    _LONGEST[_first] = max(_LONGEST.get(_first, 1), 1 + len(_rest))
# Every long word with one letter missing, and itself. A slip towards cancelling wins: it is only ever asked back.
_SLIPS: dict[str, str] = {}
for _word in (
    *sorted(w for w in _CANCEL_WORDS if len(w) >= 5 and " " not in w),
    *sorted(w for w in _WORDS if len(w) >= 7),
):
    for _variant in (_word, *_one_less(_word)):
        _SLIPS.setdefault(_variant, _word)
