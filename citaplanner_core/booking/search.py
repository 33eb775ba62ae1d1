"""Finding clients by what people type: the beginnings of their names, an e-mail address, any part of a phone.

Every word of a client's name and the e-mail address stand in `client_word`, folded, so that an index answers. The rows
follow the client by themselves, whoever changes one through a session.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import phonenumbers
from sqlalchemy import (
    ColumnElement,
    Index,
    String,
    UniqueConstraint,
    and_,
    delete,
    event,
    false,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.errors import short_text
from citaplanner_core.booking.models import Client, ClientPhone, Tenant
from citaplanner_core.database import Base, BigId, TenantScoped, TenantSession, current_tenant, tenant_key
from citaplanner_core.phones import parse_phone

FIRST_DIGITS = 5
"""How many digits a number's beginning has at least: fewer would find half of a city."""
LAST_DIGITS = 3
MOST_WORDS = 8
FEW = 500
"""How many clients a part of a number finds at most."""
MANY = 5_000
ByteOrder = String().with_variant(String(collation="C"), "postgresql")
"""Text in the order of its bytes on every database, so that a range of an index holds what begins alike."""

_AFTER_ALL = "\U0010ffff"
_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = str.maketrans("", "", "'’‘`´")


class ClientWord(TenantScoped, Base):
    """A folded word of a client's name, or their e-mail address in small letters."""

    __tablename__ = "client_word"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "client_id", "word"),
            tenant_key("client_id", "client", ondelete="CASCADE"),
            Index(None, "tenant_id", "word", "client_id"),
        )

    client_id: Mapped[int] = mapped_column(BigId)
    word: Mapped[str] = mapped_column(ByteOrder)


def folded_words(text: str) -> list[str]:
    """Return the words of a text as they are compared: small, without accents and apostrophes, each once."""
    plain = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES).casefold())
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return list(dict.fromkeys(_WORD.findall(bare)))


def words_of(first_name: str, last_name: str, email: str | None) -> list[str]:
    """Return what stands in `client_word` for a client of these names and address."""
    return list(dict.fromkeys([*folded_words(f"{first_name} {last_name}"), *([email.lower()] if email else [])]))


def matching(session: Session, text: str) -> ColumnElement[bool]:
    """Return the condition that a `Client` is meant by `text`.

    A phone in any spelling is one; digits alone are the beginning or end of one. Of any other text, every word is the
    beginning of one of the client's names, or of their e-mail address. Raises `ValidationFailed` naming `q` when it is
    too long.
    """
    text = short_text("q", text)
    country = session.get_one(Tenant, current_tenant()).country
    number = parse_phone(text, country)
    if number is not None:
        return Client.id.in_(select(ClientPhone.client_id).where(ClientPhone.match_key == number.match_key))
    if not any(character.isalpha() for character in text):
        return _by_digits(session, "".join(one for one in text if one in "0123456789"), country)
    mails = [part.lower() for part in text.split() if "@" in part]
    words = mails + folded_words(" ".join(part for part in text.split() if "@" not in part))
    return and_(*[_by_word(session, word) for word in words[:MOST_WORDS]]) if words else false()


def find_clients(session: Session, text: str, *, limit: int, after: int | None = None) -> Sequence[Client]:
    """Return at most `limit` clients meant by `text` (see `matching`), by id, with their ids above `after`.

    Those who are not active any more are among them. Raises `ValidationFailed` naming `q`.
    """
    found = select(Client).where(matching(session, text), Client.id > (after or 0)).order_by(Client.id).limit(limit)
    return session.scalars(found).all()


def _by_word(session: Session, word: str) -> ColumnElement[bool]:
    """Few holders are gathered from the index, many are met soon on a walk through all: no plan is left to chance."""
    # As plain text: the driver would write the column's order into the parameter's type.
    column = type_coerce(ClientWord.word, String())
    holders = select(ClientWord.client_id).where(
        column.between(word, word + _AFTER_ALL), column.startswith(word, autoescape=True)
    )
    number = session.scalar(select(func.count()).select_from(holders.limit(MANY).subquery()))
    if (number or 0) < MANY:
        return Client.id.in_(holders)
    begins = func.substr(column, 1, len(word)) == word
    # A value, not EXISTS: PostgreSQL would turn that into a join of everything.
    one = select(ClientWord.id).where(
        ClientWord.tenant_id == Client.tenant_id, ClientWord.client_id == Client.id, begins
    )
    return one.correlate(Client).limit(1).scalar_subquery().is_not(None)


def _by_digits(session: Session, digits: str, country: str) -> ColumnElement[bool]:
    ways: list[ColumnElement[bool]] = []
    if len(digits) >= FIRST_DIGITS:
        own_code = phonenumbers.country_code_for_region(country)
        ways = [_begins_with(ClientPhone.match_key, f"+{code}{digits}") for code in ("", own_code)]
    if len(digits) >= LAST_DIGITS:
        ways.append(_begins_with(ClientPhone.backwards, digits[::-1]))
    found = [session.scalars(select(ClientPhone.client_id).where(way).limit(FEW)).all() for way in ways]
    return Client.id.in_({one for ids in found for one in ids})


def _begins_with(column: Any, digits: str) -> ColumnElement[bool]:
    """The range holds under every order of text that a database may have; the rest of the condition is exact."""
    condition: ColumnElement[bool] = column.between(digits, digits + "9" * 20) & column.startswith(digits)
    return condition


@event.listens_for(TenantSession, "after_flush")
def _follow(session: TenantSession, _context: Any) -> None:
    """Write the words of clients that were added or renamed in this flush."""
    new = [row for row in session.new if isinstance(row, Client)]
    named = ("first_name", "last_name", "email")
    renamed = [
        row
        for row in session.dirty
        if isinstance(row, Client) and any(sa_inspect(row).attrs[name].history.has_changes() for name in named)
    ]
    if renamed:
        session.execute(
            delete(ClientWord).where(ClientWord.client_id.in_([row.id for row in renamed])),
            execution_options={"synchronize_session": False},
        )
    rows = [
        {"tenant_id": row.tenant_id, "client_id": row.id, "word": word}
        for row in (*new, *renamed)
        for word in words_of(row.first_name, row.last_name or "", row.email)
    ]
    if rows:
        session.execute(insert(ClientWord), rows)
