"""Doing something one at a time, over all workers of a deployment: a row with an end time, on any database.

A lock of the database itself would need a connection, or a transaction, held while Chatwoot is waited for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from citaplanner_core.database import database_now, db, work
from plugins.chatwoot.models import ChatwootLock

SECONDS = 120
"""Longer than a notification may take (90 s, then its worker is ended), so that whom we replace is gone."""


class Busy(Exception):
    """Somebody else is doing this now: come again in a moment."""


@contextmanager
def exclusive(tenant_id: int, name: str) -> Iterator[None]:
    """Be the only one of the tenant inside the block with this name, outside any unit of work; raise `Busy` if not.

    The row is gone after the block. Only a hash of the name is stored: it may hold a phone number.
    """
    name, token = sha256(name.encode()).hexdigest(), uuid4().hex
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    statement = insert(ChatwootLock).on_conflict_do_nothing(index_elements=["tenant_id", "name"])
    with work(tenant_id) as session:
        now = database_now(session)
        session.execute(delete(ChatwootLock).where(ChatwootLock.name == name, ChatwootLock.until < now))
        row = {"name": name, "token": token, "until": now + timedelta(seconds=SECONDS)}
        if session.execute(statement.returning(ChatwootLock.id), [row]).first() is None:
            raise Busy
    try:
        yield
    finally:
        with work(tenant_id) as session:
            session.execute(delete(ChatwootLock).where(ChatwootLock.name == name, ChatwootLock.token == token))
