"""A tenant's own texts, which beat the catalogue's."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Text as LongText
from sqlalchemy import UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.errors import ValidationFailed, one_of
from citaplanner_core.booking.models import TONES
from citaplanner_core.database import Base, TenantScoped, database_now
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications.catalogue import (
    Text,
    UnknownText,
    find_text,
    known_language,
    languages,
    text_names,
)
from citaplanner_core.notifications.catalogue import language as texts_in
from citaplanner_core.notifications.templates import MAX_SOURCE, Problem, TemplateError, validate_template

FAMILIES: tuple[TextFamily, ...] = get_args(TextFamily)
ANY_TONE = ""
_OFFERS_DIGITS = re.compile(r"\b1\b.*\b2\b.*\b3\b", re.DOTALL)
_WITH_OFFSET = re.compile(r"(?P<base>\w+):\d{1,6}")


class MessageTemplate(TenantScoped, Base):
    """A tenant's own words for a text key, over one channel or all of a family, in a language.

    `channel` is a channel's key or a family; `tone` is empty for both ways of addressing people.
    """

    __tablename__ = "message_template"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "key", "channel", "language", "tone"),)

    key: Mapped[str]
    channel: Mapped[str]
    language: Mapped[str]
    tone: Mapped[str]
    subject: Mapped[str | None] = mapped_column(LongText)
    body: Mapped[str] = mapped_column(LongText)
    edited_by: Mapped[str]
    edited_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class OwnText:
    """What deciding needs of a `MessageTemplate`, in a language known already."""

    key: str
    channel: str
    tone: str
    subject: str | None
    body: str


def find_place(key: str, channel: str, language: str, tone: str = ANY_TONE) -> tuple[str, str, str, str]:
    """Return (key, channel, language, tone) as a template is kept under; raise `ValidationFailed` naming the field.

    `key` is one of the catalogue's, a reminder's with any number of minutes.
    """
    channel = channel.strip().lower()
    known = (*FAMILIES, *(name for name in dispatch.channels() if name not in FAMILIES))
    one_of("language", language, languages())
    one_of("channel", channel, known)
    one_of("tone", tone, (ANY_TONE, *TONES))
    key = key.strip().upper()
    offset = _WITH_OFFSET.fullmatch(key)
    try:
        find_text(key, family=family_of(channel), code=language)
    except UnknownText as error:
        raise ValidationFailed("key", str(error)) from None
    if offset and offset["base"] != "APPOINTMENT_REMINDER":
        raise ValidationFailed("key", f"only APPOINTMENT_REMINDER has minutes; write {offset['base']}")
    return key, channel, language, tone


def family_of(channel: str) -> TextFamily:
    """Return the kind of text that a channel carries; a family is its own."""
    if channel in FAMILIES:
        return next(family for family in FAMILIES if family == channel)
    return dispatch.channels()[channel][1].text_family


def save(
    session: Session, place: tuple[str, str, str, str], *, subject: str | None, body: str, edited_by: str
) -> MessageTemplate:
    """Keep a tenant's text in the place `find_place` gave; raise `ValidationFailed` when it cannot be used."""
    check(place, subject=subject, body=body)
    row = _at(session, place)
    if row is None:
        key, channel, language, tone = place
        row = MessageTemplate(key=key, channel=channel, language=language, tone=tone)
        session.add(row)
    row.subject, row.body, row.edited_by, row.edited_at = subject, body, edited_by, database_now(session)
    session.flush()
    return row


def check(place: tuple[str, str, str, str], *, subject: str | None, body: str) -> None:
    """Raise `ValidationFailed` when a text cannot be used in a place; the refusal names what would do."""
    with_subject = family_of(place[1]) in ("mail", "push")
    if not body.strip():
        raise ValidationFailed("body", "write a text; to have ours back, delete the template")
    if not with_subject and subject:
        raise ValidationFailed("subject", "only mail and push have one; leave it out")
    if with_subject and not (subject or "").strip():
        raise ValidationFailed("subject", "is required for mail and push")
    for field, text in (("subject", subject or ""), ("body", body)):
        if len(text) > MAX_SOURCE:
            raise ValidationFailed(field, f"is longer than {MAX_SOURCE:,} characters")
        if problems := validate_template(text):
            raise ValidationFailed(field, str(TemplateError(*problems)))


def delete(session: Session, place: tuple[str, str, str, str]) -> bool:
    """Go back to the catalogue's text; False when there was no text of the tenant's own."""
    row = _at(session, place)
    if row is None:
        return False
    session.delete(row)
    session.flush()
    return True


def choose_text(
    session: Session, key: str, *, channel: str | None, family: TextFamily, language: str, tone: str
) -> Text:
    """Return what is said for a key to a person: the tenant's own text, else the catalogue's; see `best_text`."""
    rows = session.execute(
        select(*(getattr(MessageTemplate, field.name) for field in fields(OwnText))).where(
            MessageTemplate.key.in_(text_names(key)), MessageTemplate.language == known_language(language)
        )
    )
    own = [OwnText(*row) for row in rows]
    return best_text(own, key, channel=channel, family=family, language=language, tone=tone)


def best_text(
    own: Iterable[OwnText], key: str, *, channel: str | None, family: TextFamily, language: str, tone: str
) -> Text:
    """Return what is said for a key: the best of the tenant's own texts in this language, else the catalogue's.

    Of the tenant's own, a more exact key beats the channel, and that the tone: `sms` before `short`. `language` is
    any code (`es-MX`). Raises `TemplateError` for a key that has no text.
    """
    code = known_language(language)
    try:
        ours = find_text(key, family=family, code=code, tone=tone)
    except UnknownText as error:
        raise TemplateError(Problem(str(error))) from None
    names = text_names(key)
    if key in texts_in(code).texts:
        names = tuple(name for name in names if name == key or ":" not in name)
    places = tuple(dict.fromkeys((channel or family, family)))
    if not any(family in texts_in(code).texts.get(name, {}) for name in text_names(key)):
        places = (*places, "chat", "mail")
    rows = [row for row in own if row.key in names and row.channel in places and row.tone in (tone, ANY_TONE)]
    best = min(rows, key=lambda row: _exactness(row, names, places), default=None)
    return own_text(ours, subject=best.subject, body=best.body) if best else ours


def own_text(ours: Text, *, subject: str | None, body: str) -> Text:
    """Return a text in the tenant's words. An answer to it means what one to ours does, as far as it offers 1, 2, 3."""
    asks = ours.question and ("confirm" if _OFFERS_DIGITS.search(body) else "reminder")
    return Text(body, subject, asks)


def _exactness(row: OwnText, names: tuple[str, ...], places: Iterable[str]) -> tuple[int, int, bool]:
    return names.index(row.key), list(places).index(row.channel), row.tone == ANY_TONE


def _at(session: Session, place: tuple[str, str, str, str]) -> MessageTemplate | None:
    key, channel, language, tone = place
    return session.scalar(
        select(MessageTemplate).where(
            MessageTemplate.key == key,
            MessageTemplate.channel == channel,
            MessageTemplate.language == language,
            MessageTemplate.tone == tone,
        )
    )
