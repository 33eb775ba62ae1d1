"""When Chatwoot refuses to save a contact.

Source: Chatwoot v4.15.1, ``Contact`` and ``JsonbAttributesLengthValidator``. Phones are unique by
validation only and compared as they are (chatwoot#15917).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .records import Contact, Json
from .state import State

# Not anchored at the start, in Chatwoot neither: text before the plus passes.
_PHONE = re.compile(r"\+[1-9]\d{1,14}\Z")
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")


class RecordInvalid(ValueError):
    """A row that Chatwoot would not save: its sentences and the attributes they are about."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.attributes, sentences = zip(*problems, strict=True)
        super().__init__(", ".join(sentences))


def check_attributes(values: Json) -> None:
    """Raises RecordInvalid when a custom or additional attribute is too long or too large."""
    for kind in ("custom_attributes", "additional_attributes"):
        for key, value in (values.get(kind) or {}).items():
            if isinstance(value, str) and len(value) > 1500:
                raise RecordInvalid([(kind, f"{key} length should be < 1500")])
            if isinstance(value, int) and value > 9_999_999_999:
                raise RecordInvalid([(kind, f"{key} value should be < 9999999999")])


def clean_contact(values: Json) -> Json:
    """Blank addresses become null, an e-mail lower-case; a phone is kept as it was sent."""
    for name in ("email", "phone_number", "identifier"):
        if name in values:
            values[name] = str(values[name] or "").strip() or None
    if values.get("email"):
        values["email"] = values["email"].lower()
    return values


def check_contact(state: State, account_id: int, values: Json, itself: Contact | None) -> None:
    """Raises RecordInvalid when Chatwoot would not save a contact with these values."""
    problems: list[tuple[str, str]] = []
    others = [c for c in state.contacts.values() if c.account_id == account_id and c is not itself]
    for name, words in (("email", "Email"), ("identifier", "Identifier"), ("phone_number", "Phone number")):
        value = values.get(name)
        if value is None:
            continue
        if any(getattr(other, name) == value for other in others):
            problems.append((name, f"{words} has already been taken"))
        if name == "email" and not _EMAIL.fullmatch(value):
            problems.append((name, "Email Invalid email"))
        if name == "phone_number" and not _PHONE.search(value):
            problems.append((name, "Phone number should be in e164 format"))
    if problems:
        raise RecordInvalid(problems)
    check_attributes(values)
