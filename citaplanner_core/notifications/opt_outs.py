"""Who does not want to be written to: said by a number (or address) for a channel, in their own words.

A stop belongs to the number, so that it holds for everybody who shares it. Where a channel proves the person but no
number is known, it belongs to the client.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import CheckConstraint, ColumnElement, Index, Text, UniqueConstraint, delete, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import Client
from citaplanner_core.database import Base, BigId, TenantScoped, db, tenant_key, utcnow
from citaplanner_core.phones import parse_phone

Scope = Literal["all", "marketing", "doubtful"]
SCOPES = ("all", "marketing", "doubtful")
"""What ends: every message on the channel, advertising on it, or, as the number is somebody else's, all everywhere."""


class OptOut(TenantScoped, Base):
    """Somebody does not want messages any more, in their own words. Deleted when they want them again.

    Either `address` (see `address_key`) or `client_id` says whom it is about; `channel` is where it was said.
    """

    __tablename__ = "opt_out"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "channel", "address", "scope"),
            UniqueConstraint("tenant_id", "channel", "client_id", "scope"),
            tenant_key("client_id", "client", ondelete="CASCADE"),
            CheckConstraint("(client_id IS NULL) <> (address IS NULL)", name="whose"),
            CheckConstraint(f"scope IN ({', '.join(map(repr, SCOPES))})", name="scope"),
            Index(None, "tenant_id", "address"),
        )

    client_id: Mapped[int | None] = mapped_column(BigId)
    address: Mapped[str | None]
    channel: Mapped[str]
    scope: Mapped[str] = mapped_column(default="all")
    words: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=utcnow)


@lru_cache(maxsize=4096)
def address_key(address: str) -> str:
    """Return what one compares of an address: a phone's match key, an e-mail address in small letters."""
    address = address.strip()
    phone = None if "@" in address else parse_phone(address)
    return phone.match_key if phone else address.lower()


def refusal(session: Session, *, client_id: int, channel: str, address: str, marketing: bool) -> str | None:
    """Return why this address must not be written to over a channel now, `opted_out` or `doubtful_number`, or None."""
    key = address_key(address)
    rows = session.execute(
        select(OptOut.scope, OptOut.channel).where((OptOut.address == key) | (OptOut.client_id == client_id))
    ).all()
    return refused_by([(scope, said) for scope, said in rows], channel, marketing=marketing)


def refused_by(stops: Collection[tuple[str, str]], channel: str, *, marketing: bool) -> str | None:
    """Return why a channel must not be used, as `refusal` does; `stops` are (scope, channel)."""
    if any(scope == "doubtful" for scope, _ in stops):
        return "doubtful_number"
    ends = ("all", "marketing") if marketing else ("all",)
    return "opted_out" if any(scope in ends and said == channel for scope, said in stops) else None


def opt_out(
    session: Session,
    *,
    channel: str,
    words: str,
    at: datetime,
    address: str | None,
    clients: Iterable[int] = (),
    scope: Scope = "all",
) -> bool:
    """Keep that an address, or without one these clients, want no more messages; tell whether that is new."""
    whose: list[dict[str, Any]] = [{"address": address_key(address)}] if address else []
    if not whose:
        whose = [{"client_id": one} for one in sorted(set(clients))]
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    statement = insert(OptOut).on_conflict_do_nothing().returning(OptOut.id)
    rows = [{"channel": channel, "scope": scope, "words": words, "at": at} | one for one in whose]
    written = [session.execute(statement, [row]).first() for row in rows]
    return any(written)


def opt_in(session: Session, *, channel: str, address: str | None, clients: Collection[int] = ()) -> bool:
    """Undo a stop on a channel; where only advertising was stopped, that. Tell whether there was anything to undo.

    Whoever is not the person we took them for stays unknown: only staff takes that back.
    """
    whose: ColumnElement[bool] = OptOut.client_id.in_(clients)
    if address:
        whose = or_(whose, OptOut.address == address_key(address))
    held = session.scalars(select(OptOut).where(whose, OptOut.channel == channel, OptOut.scope != "doubtful")).all()
    stopped = [row for row in held if row.scope == "all"]
    for row in stopped or held:
        session.delete(row)
    session.flush()
    return bool(held)


def opt_outs_of(session: Session, client_id: int) -> list[OptOut]:
    """Return what stops messages to a client, by any of their numbers and addresses, oldest first.

    Raises `NotFound`.
    """
    return list(session.scalars(select(OptOut).where(_stops(session, client_id)).order_by(OptOut.id)))


def undo_opt_outs(session: Session, client_id: int) -> int:
    """Take back all that stops messages to a client, as staff may when asked to; return how many. Raises `NotFound`."""
    ids = [row.id for row in opt_outs_of(session, client_id)]
    session.execute(delete(OptOut).where(OptOut.id.in_(ids)))
    return len(ids)


def _stops(session: Session, client_id: int) -> ColumnElement[bool]:
    client = find(session, Client, client_id, "client_id")
    keys = [address_key(phone.e164) for phone in client.phones] + ([address_key(client.email)] if client.email else [])
    return (OptOut.client_id == client_id) | OptOut.address.in_(keys)
