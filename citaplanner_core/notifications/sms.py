"""Text messages: the alphabet they are cheap in, and how many of them a text needs.

Source: 3GPP TS 23.038, 6.2.1 (the default alphabet and its extension) and TS 23.040 (user data header of 6 octets).
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
"""Characters that take two places, because each is written with an escape."""
LIKENESS = str.maketrans(
    {
        **dict.fromkeys("“”„«»″", '"'),
        **dict.fromkeys("‘’‚′`´", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\t", " "),
        **dict.fromkeys("•·▪", "-"),
        **dict.fromkeys("\u200b\u200d\u2060\ufe0f\ufeff", ""),
        "…": "...",
        "°": "o",
    }
)
"""What looks much the same in the alphabet; what joins or widens characters unseen is left out."""


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text travels: `characters` counts places (an extended one takes two; UTF-16 units in UCS-2)."""

    encoding: Literal["GSM-7", "UCS-2"]
    characters: int
    segments: int


def fold(text: str) -> str:
    """Return the text in the GSM alphabet: é, ñ, ü and à stay, á becomes a, pictures go.

    A text with letters that have no likeness there, such as a name in Arabic, is returned as it is: it travels in
    UCS-2 whatever is done to the rest.
    """
    folded = "".join(map(_fold, text.translate(LIKENESS)))
    if any(character not in GSM and character not in EXTENDED for character in folded):
        return text
    return re.sub(r" {2,}", " ", re.sub(r"(?m)^ +| +$", "", folded)) if folded != text else text


def _fold(character: str) -> str:
    if character in GSM or character in EXTENDED:
        return character
    if unicodedata.category(character) in ("So", "Sk", "Me"):
        return ""
    return "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))


def count_segments(text: str) -> Segments:
    """Return how many text messages a text needs: of 160 places, or 153 each where there are several; UCS-2 70 and 67.

    A character of two places is never cut in two, so that a segment may hold one place less.
    """
    if all(character in GSM or character in EXTENDED for character in text):
        return _count("GSM-7", [2 if character in EXTENDED else 1 for character in text], 160, 153)
    return _count("UCS-2", [2 if character > "\uffff" else 1 for character in text], 70, 67)


def _count(encoding: Literal["GSM-7", "UCS-2"], sizes: list[int], single: int, each: int) -> Segments:
    total = sum(sizes)
    if total <= single:
        return Segments(encoding, total, 1 if total else 0)
    segments, room = 1, each
    for size in sizes:
        if size > room:
            segments, room = segments + 1, each
        room -= size
    return Segments(encoding, total, segments)
