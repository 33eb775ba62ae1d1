"""Keeping what was sent: the message, its conversation, and whose contact it went to."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from citaplanner_core.database import db
from citaplanner_core.hooks.types import Message
from plugins.chatwoot import contacts, conversations, identity, matcher, sync
from plugins.chatwoot.accounts import Account
from plugins.chatwoot.api import JSON
from plugins.chatwoot.contacts import Address
from plugins.chatwoot.models import ChatwootContact, ChatwootInteraction


def record_sent(
    session: Session, account: Account, *, conversation: JSON, message_id: int, message: Message, address: Address
) -> None:
    """Note a notification that went out; may be called again. `conversation` is Chatwoot's JSON.

    A contact that holds a number which surely is this client's alone is linked to them, unless a person or an earlier
    match decided about it.
    """
    contact = conversations.contact_of(conversation)
    conversations.note(session, account.ref, conversation)
    row = {
        "account_ref": account.ref,
        "message_id": message_id,
        "conversation_id": conversation["id"],
        "contact_id": contact.get("id"),
        "client_id": message.recipient.client_id,
        "notification_id": message.notification_id,
        "direction": "out",
        "text": message.body,
        "question": message.question,
    }
    unique = ["tenant_id", "account_ref", "message_id"]
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    statement = insert(ChatwootInteraction)
    changed = {name: statement.excluded[name] for name in row if name not in unique}
    session.execute(statement.on_conflict_do_update(index_elements=unique, set_=changed), [row])
    client_id = message.recipient.client_id
    if isinstance(contact.get("id"), int) and address.is_of(contact) and client_id is not None:
        _link(session, account, conversation, client_id, address)


def _link(session: Session, account: Account, conversation: JSON, client_id: int, address: Address) -> None:
    contact_id = conversations.contact_of(conversation)["id"]
    decided = session.scalar(
        select(ChatwootContact.client_id).where(
            ChatwootContact.account_ref == account.ref,
            ChatwootContact.contact_id == contact_id,
            ChatwootContact.client_id.is_not(None),
        )
    )
    if decided is not None or not contacts.is_only_theirs(session, client_id, address):
        return
    trust = matcher.trust_of(account, conversation)
    identity.link(
        session, account_ref=account.ref, contact_id=contact_id, client_id=client_id, rule="phone", trust=trust
    )
    sync.enqueue_sync(session, client_id)
