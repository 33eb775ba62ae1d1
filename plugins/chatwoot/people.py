"""One person's data here: moved when clients are merged, shown and removed when the person asks for it."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from plugins.chatwoot import sync
from plugins.chatwoot.models import ChatwootContact, ChatwootInteraction


def merge(session: Session, merged_id: int, into_id: int) -> None:
    """Move contacts and what was said from one client to another, and have the contacts written anew."""
    rows = session.scalars(select(ChatwootContact).where(ChatwootContact.client_id == merged_id)).all()
    for row in rows:
        row.client_id = into_id
    statement = update(ChatwootInteraction).where(ChatwootInteraction.client_id == merged_id).values(client_id=into_id)
    session.execute(statement, execution_options={"synchronize_session": False})
    session.flush()
    sync.enqueue_sync(session, into_id)
