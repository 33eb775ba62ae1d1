"""From what somebody typed, or a messaging channel reported, to one comparable phone number.

The library's own parse-and-validate is not enough: since libphonenumber 8.13.38 it refuses the
``+52 1`` that WhatsApp still reports for many Mexicans, it keeps Argentina's mobile 9 and Brazil's
missing ninth digit apart, and its ``is_number_match`` calls strangers equal. So every phone gets a
key, and two phones are the same subscriber exactly when their keys are equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

Confidence = Literal["high", "medium", "low"]

_LONGEST_TEXT = 250
_SHORTEST_INTERNATIONAL = 7  # digits, country code included: less is a short code
_SHORTEST_WITHOUT_PLUS = 11
_LONGEST_E164 = 16  # with its +
_LONGEST_NOTE = 5  # digits in a side note ("after 18"); more could be a second number
_MEXICO, _ARGENTINA, _BRAZIL, _ITALY, _COLOMBIA, _CHILE, _BENIN, _NANP = 52, 54, 55, 39, 57, 56, 229, 1

# A hidden caller, spelt on a keypad: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE, PRIVATE.
_HIDDEN_CALLERS = frozenset({"266696687", "7378742833", "2562533", "8656696", "86282452253", "7748283"})
_PLACEHOLDER = "1234567890"
_GEOGRAPHIC, _TOLL_FREE = PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.TOLL_FREE
_MOBILE = PhoneNumberType.MOBILE

# Words beside a number that say nothing about whose it is. Any other word lowers the confidence.
_NEUTRAL_WORDS = frozenset(
    "c cel celu celular cell cellphone contact contacto de do el es fono is linea mi mobile mov movel movil "
    "my nro num numero number ph phone sms t tel telefone telefono telephone telf tf tfno tlf tlfno "
    "wa whats whatsap whatsapp wapp wpp wsp".split()
)
_LABEL = re.compile(
    rf"(?:(?:{'|'.join(sorted(_NEUTRAL_WORDS, key=len, reverse=True))})(?![^\W\d_])[^\w+(*#]*)+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+")

_BARE = re.compile(r"\+?[0-9]{7,15}")
_DECIMAL = re.compile(r"(\+?\d+)[.,]0+")
_CHAT_ID = re.compile(r"(\+?\d{5,15})(?:[._]\d{1,3})?(?::\d{1,5})?@(?i:s\.whatsapp\.net|c\.us|hosted)")
_DEVICE_SUFFIX = re.compile(r"(\+?\d{7,15}):\d{1,5}")
_BUSINESS_SCOPED_ID = re.compile(r"(?:whatsapp:)?[A-Z]{2}\.(?:ENT\.)?[A-Z0-9]+", re.IGNORECASE)
_URI_PARAMETERS = re.compile(r";(?:isub|phone-context)=[^;]*", re.IGNORECASE)
_URI_CONTEXT = re.compile(r";phone-context=(\+\d+)", re.IGNORECASE)
_CARRIER_LEFT_OPEN = re.compile(r"\b0\s*xx(?=[()\s-]*\d)", re.IGNORECASE)
_EXTENSION = re.compile(
    r"(?<=\d)[\s.,;()\[\]-]*"
    r"(?:(?:(?:ext(?:ensi?on|ensao|n)?|anexo|interno|int|ramal|доб|x)[\s.:=]*|#\s*)(\d{1,7})|[,;]\s*(\d{1,5}))"
    r"[\s.)\]#]*$",
    re.IGNORECASE,
)
_SENDER_NAME = re.compile(r"^[A-Za-z][+\d]|\d[A-Za-z]$")  # letters and digits in one word
_RUN = re.compile(r"[+\d\s()\[\]./~-]*\d[+\d\s()\[\]./~-]*")
_VANITY = re.compile(r"\+?[\d\s().-]*\d{3}[\s().-]*[A-Za-z][A-Za-z\d\s().-]{2,}")
_MEXICO_OLD_PREFIX = re.compile(r"(?:1|01|02|044|045)(\d{10})")


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """One phone number.

    ``raw`` is the text as it came. ``e164`` is what one dials (an Argentine mobile with its 9 where
    that is known). ``match_key`` is what one compares: E.164, but Argentina without the mobile 9.
    ``confidence``: ``low`` must not link a person by itself. ``extension`` holds digits, or is ``None``.
    """

    raw: str
    e164: str
    match_key: str
    confidence: Confidence
    extension: str | None


class _Written(NamedTuple):
    digits: str
    plus: bool
    without_trunk: str | None = None  # the digits without a bracketed (0)
    noted: bool = False  # words or digits beside the number that may say whose it is


class _Reading(NamedTuple):
    number: phonenumbers.PhoneNumber
    confidence: Confidence


def parse_phone(text: str | None, region: str | None = None) -> PhoneNumber | None:
    """Read one phone number from ``text``; ``None`` when there is none, or more than one, or only a guess.

    ``region`` is the tenant's ISO 3166 country for numbers typed by people. ``None`` says that the
    text is an id from a messaging channel (a WhatsApp ``wa_id``, a jid, ``whatsapp:+…``): bare digits
    are then international, never national. An explicit ``+`` and a jid beat the region.

    Obsolete national forms become today's: Mexico 1/01/02/044/045, Argentina 15 and doubled prefixes,
    Brazil without the ninth digit, Italy's 0, Colombia before 2021, Chile before 2013, Benin before
    2024. Never raises on any text.

    Confidence is ``medium`` where digits had to be supplied, where a country code stood without ``+``
    in another country, and for an Argentine number that may be a landline or a mobile without its 9.
    It is ``low`` with a note (perhaps somebody else's phone), an extension (a switchboard), letters
    for digits, Chile's 8 digits, and in Mexico for bare digits that read better as a number of the +1
    countries.

    Source: libphonenumber 9.0.43 metadata and its issue 3535 (Mexico); E.164; RFC 3966.
    """
    if not text or len(text) > _LONGEST_TEXT:
        return None
    region = region.upper() if region else None
    if _BARE.fullmatch(text):
        reading = _read(_Written(text.lstrip("+"), text[0] == "+"), region)
        return _phone(text, reading, None) if reading else None

    line = _plain(text).strip(" '’‘`\"=")
    if decimal := _DECIMAL.fullmatch(line):
        line = decimal[1]
    if _BUSINESS_SCOPED_ID.fullmatch(line) or "*" in line:  # * dials a service
        return None
    if label := _LABEL.match(line):
        line = line[label.end() :]
    if "@" in line:
        region = None
        line = chat_id[1] if (chat_id := _CHAT_ID.fullmatch(line)) else ""
    elif region is None and (device := _DEVICE_SUFFIX.fullmatch(line)):
        line = device[1]
    if ";" in line:
        context = _URI_CONTEXT.search(line)
        line = _URI_PARAMETERS.sub("", line)
        if context and not line.startswith("+"):
            line = context[1] + line
    line = _CARRIER_LEFT_OPEN.sub("0", line)
    extension = None
    if match := _EXTENSION.search(line):
        extension = match[1] or match[2]
        line = line[: match.start()]

    if (written := _written(line)) and (reading := _read(written, region)):
        return _phone(text, reading, extension)
    return _vanity(text, line, region, extension)


def search_variants(phone: PhoneNumber) -> tuple[str, ...]:
    """The E.164 forms another system may hold this subscriber under: ``e164``, ``match_key``, then others.

    Mexico with and without 1, Argentina with and without 9, a Brazilian mobile without its ninth digit,
    Benin's 8 digits: the forms WhatsApp ids have had, which Chatwoot stores unchanged. Each form gives
    the same ``match_key`` again. They are for looking up; which one WhatsApp sends to is only known
    from what it reported.
    """
    key = phone.match_key
    forms = [phone.e164, key]
    if key.startswith("+52"):
        forms.append("+521" + key[3:])
    elif key.startswith("+54"):
        forms.append("+549" + key[3:])
    elif key.startswith("+55") and len(key) == 14:
        forms.append(key[:5] + key[6:])
    elif key.startswith("+22901"):
        forms.append("+229" + key[6:])
    return tuple(form for form in dict.fromkeys(forms) if (same := parse_phone(form)) and same.match_key == key)


def mask(text: str) -> str:
    """``text`` for logs: its first 3 and last 2 characters, ``+52***78``; nothing of a short text."""
    return f"{text[:3]}***{text[-2:]}" if len(text) > 7 else "***"


def _plain(text: str) -> str:
    """Digits of any script, dashes, spaces, accents and full-width forms in ASCII; invisible marks gone."""
    if text.isascii():
        return text
    plain = []
    for char in unicodedata.normalize("NFKD", text):
        category = unicodedata.category(char)
        if category == "Nd":
            plain.append(str(unicodedata.decimal(char)))
        elif category == "Pd" or char in "−ー·•":
            plain.append("-")
        elif category == "Zs":
            plain.append(" ")
        elif category not in ("Cf", "Mn", "Me"):
            plain.append(char)
    return "".join(plain)


def _written(line: str) -> _Written | None:
    if "#" in line:
        return None
    runs = list(_RUN.finditer(line))
    counts = [len(_digits(run[0])) for run in runs]
    if not runs or sum(count > _LONGEST_NOTE for count in counts) > 1:
        return None
    run = runs[counts.index(max(counts))]
    before, after = line[: run.start()], line[run.end() :]
    number = run[0]
    if _SENDER_NAME.search(before[-1:] + number) or _SENDER_NAME.search(number + after[:1]):
        return None
    head, plus, tail = number.rpartition("+")
    if _digits(head) or sum(len(_digits(side)) >= 7 for side in tail.split("/")) > 1:
        return None
    words = _WORD.findall(f"{before} {after}")
    return _Written(
        digits=_digits(tail),
        plus=bool(plus),
        without_trunk=_digits(tail.replace("(0)", "")) if "(0)" in tail else None,
        noted=len(runs) > 1 or any(word.lower() not in _NEUTRAL_WORDS for word in words),
    )


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _vanity(text: str, line: str, region: str | None, extension: str | None) -> PhoneNumber | None:
    """Letters for digits (1-800-FLOWERS): +1 numbers and toll-free ones only, since notes are letters too."""
    if not _VANITY.fullmatch(line) or sum(map(str.isalpha, line)) < 3:
        return None
    written = _written(phonenumbers.convert_alpha_characters_in_number(line))
    reading = _read(written, region) if written and (region or written.plus) else None
    if reading is None:
        return None
    if reading.number.country_code == _NANP or phonenumbers.number_type(reading.number) == _TOLL_FREE:
        return _phone(text, reading._replace(confidence="low"), extension)
    return None


def _phone(text: str, reading: _Reading, extension: str | None) -> PhoneNumber | None:
    national = phonenumbers.national_significant_number(reading.number)
    e164 = f"+{reading.number.country_code}{national}"
    if len(set(national)) == 1 or len(e164) > _LONGEST_E164:
        return None
    argentine_mobile = len(national) == 11 and e164.startswith("+549")
    key = "+54" + national[1:] if argentine_mobile else e164
    return PhoneNumber(text, e164, key, "low" if extension else reading.confidence, extension)


def _read(written: _Written, region: str | None) -> _Reading | None:
    digits = written.digits
    if len(set(digits)) == 1 or (region is None and written.noted and not written.plus):
        return None
    if region is None or written.plus:
        if digits in _HIDDEN_CALLERS:
            return None
        reading = _international(digits.removeprefix("00"))
        if reading is None and written.without_trunk:
            reading = _international(written.without_trunk)
    else:
        reading = _national(digits, region)
    return reading._replace(confidence="low") if reading and written.noted else reading


def _international(digits: str) -> _Reading | None:
    number = _parse("+" + digits) if len(digits) >= _SHORTEST_INTERNATIONAL else None
    if number and phonenumbers.is_valid_number(number):
        return _Reading(number, _certainty(number))
    return _repaired(number) if number else None


def _national(digits: str, region: str) -> _Reading | None:
    if digits == _PLACEHOLDER:
        return None
    # Before the library, which takes part of a country code for a carrier: 00 57 in Colombia, 00 1 in
    # Hong Kong. 0011 is Australia's prefix, never +11.
    if re.match("00(?!11)", digits) and (reading := _international(digits[2:])):
        return reading
    own_code = str(phonenumbers.country_code_for_region(region))
    own = _international(digits) if digits.startswith(own_code) else None
    number = _parse(digits, region)
    if number and phonenumbers.is_valid_number(number):
        # 49 151… in Germany: a mobile with its country code, though valid as a long landline without its 0.
        if own and phonenumbers.number_type(own.number) == _MOBILE != phonenumbers.number_type(number):
            return own
        return _Reading(number, "low" if _reads_as_nanp(digits, number) else _certainty(number))
    if own:
        return own
    if number and (reading := _repaired(number)):
        return reading._replace(confidence="low") if _reads_as_nanp(digits, reading.number) else reading
    if len(digits) >= _SHORTEST_WITHOUT_PLUS and (reading := _international(digits)):
        return reading if reading.confidence == "low" else reading._replace(confidence="medium")
    return None


def _reads_as_nanp(digits: str, number: phonenumbers.PhoneNumber) -> bool:
    """Bare digits, read as Mexican, that fit +1 better: an area Mexico lacks (201), or 1 and ten digits."""
    if number.country_code != _MEXICO:
        return False
    if len(digits) == 10 and phonenumbers.number_type(number) != _GEOGRAPHIC:
        digits = "1" + digits
    if len(digits) != 11 or digits[0] != "1":
        return False
    other = _parse("+" + digits)
    return other is not None and phonenumbers.is_valid_number(other)


def _repaired(number: phonenumbers.PhoneNumber) -> _Reading | None:
    code = number.country_code or 0
    for national, confidence in _repairs(code, phonenumbers.national_significant_number(number)):
        candidate = _parse(f"+{code}{national}")
        if candidate and phonenumbers.is_valid_number(candidate):
            return _Reading(candidate, _certainty(candidate) if confidence == "high" else confidence)
    return None


def _repairs(code: int, national: str) -> Iterator[tuple[str, Confidence]]:
    """Today's national forms of an obsolete or half-typed number, likeliest first; the caller validates."""
    if code == _MEXICO and (old := _MEXICO_OLD_PREFIX.fullmatch(national)):
        yield old[1], "high"
    elif code == _ARGENTINA:
        yield from _argentine_repairs(national)
    elif code == _BRAZIL and len(national) == 10 and national[2] in "6789":
        yield f"{national[:2]}9{national[2:]}", "medium"
    elif code == _ITALY:
        yield (national[1:], "high") if national[0] == "0" else ("0" + national, "medium")
    elif code == _COLOMBIA and len(national) == 8:
        yield "60" + national, "medium"
    elif code == _CHILE:
        national = national.lstrip("0")
        yield national, "high"
        if len(national) == 8 and national[0] in "456789":  # 2 and 3: a landline short of its area code
            yield "9" + national, "low"
    elif code == _BENIN and len(national) == 8:
        yield "01" + national, "medium"


def _argentine_repairs(national: str) -> Iterator[tuple[str, Confidence]]:
    rest = national.lstrip("0")
    mobile = rest.startswith(("9", "15"))  # no area code does
    rest = rest.removeprefix("9").lstrip("0")
    if len(rest) == 12:
        rest = rest.removeprefix("15")
    number = _parse("+54" + rest)  # turns 15 after the area code into 9 before it
    if number is None:
        return
    rest = phonenumbers.national_significant_number(number)
    if not mobile or len(rest) == 11:
        yield rest, "high"
    if len(rest) == 10:
        yield "9" + rest, "high" if mobile else "medium"


def _certainty(number: phonenumbers.PhoneNumber) -> Confidence:
    national = phonenumbers.national_significant_number(number)
    if number.country_code == _ARGENTINA and len(national) == 10:
        mobile = _parse("+549" + national)
        return "medium" if mobile and phonenumbers.is_valid_number(mobile) else "high"
    if number.country_code == _BRAZIL and len(national) == 10 and national[2] == "7":
        return "medium"  # old trunking, or a mobile without its ninth digit
    return "high"


def _parse(text: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None
