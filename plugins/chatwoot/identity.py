"""Who is who: which Chatwoot contact is which of our clients.

While the plugin is loaded, `client.chatwoot_contact_id` reads and sets the same; typed code calls these functions.
"""

import re
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Session, object_session

from citaplanner_core.booking.models import Client
from citaplanner_core.database import db, utcnow
from plugins.chatwoot import accounts
from plugins.chatwoot.models import ChatwootContact

AGENT = "agent"
"""The rule of a link that a person made: it stays until a person takes it away."""

_IDENTIFIER = re.compile(r"citaplanner:([1-9]\d{0,17}):([1-9]\d{0,17})", re.ASCII)
_NEWEST = (ChatwootContact.linked_at.desc(), ChatwootContact.id.desc())


def client_identifier(tenant_id: int, client_id: int) -> str:
    """Return what we write as `identifier` on the Chatwoot contact of a client; unique over all tenants here."""
    return f"citaplanner:{tenant_id}:{client_id}"


def parse_identifier(text: object) -> tuple[int, int] | None:
    """Return (tenant id, client id) of an identifier of ours, None for anything else."""
    found = _IDENTIFIER.fullmatch(text) if isinstance(text, str) else None
    return (int(found[1]), int(found[2])) if found else None


def account_ref(session: Session, branch_id: int | None = None) -> str:
    """Name the account that serves the session's tenant, or its branch, as `account_ref` columns do.

    Raises `IncompleteAccount` when no account is known; a missing token or inbox does not matter here.
    """
    values, _ = accounts.merge(accounts.layers(session, branch_id)[0])
    if values["account_id"] is None:
        raise accounts.IncompleteAccount(["account_id"])
    return accounts.account_ref(values["base_url"], values["account_id"])


def contact_row(session: Session, *, account_ref: str, contact_id: int) -> ChatwootContact:
    """Return our row of a contact, made now when it is new; a new one is linked to nobody.

    Two that make it at the same time get the same row.
    """
    wanted = select(ChatwootContact).where(
        ChatwootContact.account_ref == account_ref, ChatwootContact.contact_id == contact_id
    )
    if (row := session.scalar(wanted)) is not None:
        return row
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    unique = ["tenant_id", "account_ref", "contact_id"]
    statement = insert(ChatwootContact).on_conflict_do_nothing(index_elements=unique)
    session.execute(statement, [{"account_ref": account_ref, "contact_id": contact_id}])
    return session.scalars(wanted).one()


def link(
    session: Session, *, account_ref: str, contact_id: int, client_id: int, rule: str = AGENT, trust: str = "proven"
) -> ChatwootContact:
    """Link a contact to a client, whoever it was linked to before; return the row.

    `rule` and `trust` are the match's; without them it is a person's link, and stays. A client may have several
    contacts, such as one of WhatsApp and one of a web widget. What was written on the contact (`pushed`) is kept, so
    that what belongs to the client before can be taken away.
    """
    row = contact_row(session, account_ref=account_ref, contact_id=contact_id)
    if row.client_id != client_id:
        row.client_id, row.linked_at = client_id, utcnow()
    row.rule, row.trust = rule, trust
    session.flush()
    return row


def unlink(session: Session, *, account_ref: str, contact_id: int) -> bool:
    """Take the link of a contact away; False when it had none."""
    return bool(_unlink(session, ChatwootContact.account_ref == account_ref, ChatwootContact.contact_id == contact_id))


def unlink_client(session: Session, client_id: int) -> int:
    """Take all links of a client away; return how many there were."""
    return _unlink(session, ChatwootContact.client_id == client_id)


def contact_id_of(session: Session, client_id: int, *, account_ref: str | None = None) -> int | None:
    """Return the contact a client is linked to, in this account when given: the newest link, None without any."""
    wanted = select(ChatwootContact.contact_id).where(ChatwootContact.client_id == client_id)
    if account_ref is not None:
        wanted = wanted.where(ChatwootContact.account_ref == account_ref)
    return session.scalar(wanted.order_by(*_NEWEST).limit(1))


def _unlink(session: Session, *which: ColumnElement[bool]) -> int:
    rows = session.scalars(select(ChatwootContact).where(ChatwootContact.client_id.is_not(None), *which)).all()
    for row in rows:
        row.client_id, row.rule, row.trust, row.linked_at = None, "none", "claimed", None
    session.flush()
    return len(rows)


def _read(client: Client) -> int | None:
    session = object_session(client)
    return contact_id_of(session, client.id) if session is not None and client.id is not None else None


def _write(client: Client, contact_id: int | None) -> None:
    session = object_session(client)
    if session is None:
        raise ValueError("add the client to the session of an open work() before linking it")
    session.flush()
    if contact_id is None:
        unlink_client(session, client.id)
        return
    ref = account_ref(session)
    _unlink(
        session,
        ChatwootContact.account_ref == ref,
        ChatwootContact.client_id == client.id,
        ChatwootContact.contact_id != contact_id,
    )
    link(session, account_ref=ref, contact_id=contact_id, client_id=client.id)


def _forget(client: Client) -> None:
    _write(client, None)


def _as_sql(client: type[Client]) -> Any:
    return (
        select(ChatwootContact.contact_id)
        .where(ChatwootContact.tenant_id == client.tenant_id, ChatwootContact.client_id == client.id)
        .order_by(*_NEWEST)
        .limit(1)
        .scalar_subquery()
    )


def extend_client() -> None:
    """Give `Client` the attribute `chatwoot_contact_id`: the contact a client is linked to.

    It can be read, compared in a select, set (a person's link, in the tenant's own account, in place of the client's
    other one there) and set to None or deleted (all links of the client are taken away). It is no column of `client`.
    """
    Client.chatwoot_contact_id = hybrid_property(_read, _write, _forget, _as_sql)


extend_client()
