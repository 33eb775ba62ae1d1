"""One person's data here: moved when clients are merged, shown and removed when the person asks for it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import String, delete, or_, select, update
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.types import ErasedClient, JobContext
from citaplanner_core.jobs.queue import enqueue
from plugins.chatwoot import sync
from plugins.chatwoot.models import (
    ChatwootContact,
    ChatwootConversation,
    ChatwootEvent,
    ChatwootInteraction,
    ChatwootLock,
)

FORGET = "forget_contact"
ECHO = timedelta(minutes=10)
"""By then Chatwoot has told us of the change that an erasure made there."""
_QUIET = {"synchronize_session": False}


def merge(session: Session, merged_id: int, into_id: int) -> None:
    """Move contacts and what was said from one client to another, and have the contacts written anew."""
    rows = session.scalars(select(ChatwootContact).where(ChatwootContact.client_id == merged_id)).all()
    for row in rows:
        row.client_id = into_id
    statement = update(ChatwootInteraction).where(ChatwootInteraction.client_id == merged_id).values(client_id=into_id)
    session.execute(statement, execution_options=_QUIET)
    session.flush()
    sync.enqueue_sync(session, into_id)


def export(session: Session, client_id: int) -> dict[str, Any]:
    """Return the contacts that are this client, what Chatwoot said of them, what we wrote there, and the messages."""
    contacts = session.scalars(select(ChatwootContact).where(ChatwootContact.client_id == client_id)).all()
    said = select(ChatwootInteraction).where(ChatwootInteraction.client_id == client_id)
    return {
        "contacts": [
            {
                "account": row.account_ref,
                "contact_id": row.contact_id,
                "matched_by": row.rule,
                "trust": row.trust,
                "attributes": row.pushed,
                "known": row.known,
                "linked_at": row.linked_at.isoformat() if row.linked_at else None,
            }
            for row in contacts
        ],
        "messages": [
            {
                "at": row.at.isoformat(),
                "direction": row.direction,
                "text": row.text,
                "conversation_id": row.conversation_id,
                "understood_as": row.intent,
                "led_to": row.action,
            }
            for row in session.scalars(said.order_by(ChatwootInteraction.at, ChatwootInteraction.id))
        ],
    }


def erase(session: Session, client_id: int, known: ErasedClient) -> None:
    """Remove what was said and stored of a client; our attributes are taken off their contacts by durable jobs.

    What stands in Chatwoot itself, the contact and its conversations, is the agents' and stays.
    """
    numbers = [ChatwootContact.known.cast(String).contains(one, autoescape=True) for one in known.match_keys]
    rows = session.scalars(select(ChatwootContact).where(or_(ChatwootContact.client_id == client_id, *numbers))).all()
    for row in rows:
        for model in (ChatwootInteraction, ChatwootEvent):
            theirs = (model.account_ref == row.account_ref) & (model.contact_id == row.contact_id)
            session.execute(delete(model).where(theirs), execution_options=_QUIET)
        talks = (ChatwootConversation.account_ref == row.account_ref) & (
            ChatwootConversation.contact_id == row.contact_id
        )
        session.execute(update(ChatwootConversation).where(talks).values(known={}), execution_options=_QUIET)
        # The names of what we wrote stay until it is taken away there; the values do not.
        row.pushed, row.known, row.noted = dict.fromkeys(row.pushed, ""), {}, None
        row.client_id, row.rule, row.trust, row.linked_at = None, "none", "claimed", None
    session.execute(
        delete(ChatwootInteraction).where(ChatwootInteraction.client_id == client_id), execution_options=_QUIET
    )
    keys = [*known.match_keys, *([known.email.lower()] if known.email else [])]
    if keys:
        names = or_(*[ChatwootLock.name.endswith(key, autoescape=True) for key in keys])
        session.execute(delete(ChatwootLock).where(names), execution_options=_QUIET)
    session.flush()
    for row in rows:
        sync.enqueue_contact_sync(session, row)
        enqueue(
            session,
            FORGET,
            {"contact": row.id},
            plugin="chatwoot",
            due=database_now(session) + ECHO,
            dedupe_key=f"{FORGET}:{row.id}",
        )


def forget_echo(context: JobContext) -> None:
    """Job: forget what Chatwoot told us of a contact because we took our attributes off it.

    Who wrote again meanwhile, or is linked to somebody, is not forgotten: that is news.
    """
    with work(context.tenant_id) as session:
        row: ChatwootContact | None = session.get(ChatwootContact, int(context.payload["contact"]))
        if row is None or row.client_id is not None:
            return
        theirs = (ChatwootEvent.account_ref == row.account_ref) & (ChatwootEvent.contact_id == row.contact_id)
        told = set(session.scalars(select(ChatwootEvent.event).where(theirs)))
        if told <= {"contact_updated", "contact_created"}:
            session.execute(delete(ChatwootEvent).where(theirs), execution_options=_QUIET)
            session.delete(row)
