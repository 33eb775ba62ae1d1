"""What Chatwoot last said of a contact and a conversation, and which client the contact is linked to.

Events come in any order, and each holds a picture of its contact and conversation at some moment. The newest picture
is kept, by Chatwoot's clock, and the link follows from what is kept: whatever the order, the end is the same.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from citaplanner_core.database import db, utcnow
from plugins.chatwoot import identity, matcher
from plugins.chatwoot.events import (
    JSON,
    Event,
    as_id,
    as_list,
    as_object,
    as_text,
    as_time,
    channel_of,
    conversation_of,
    source_id_of,
)
from plugins.chatwoot.matcher import AccountLike, Match
from plugins.chatwoot.models import ChatwootContact, ChatwootConversation

STATES = ("open", "resolved", "pending", "snoozed")
_SAID_OF_CONTACTS = ("name", "phone_number", "email", "identifier")
_MOST_CONVERSATIONS = 20


@dataclass(frozen=True, slots=True)
class Sighting:
    """Our rows of who an event is about, held until the unit ends; `relinked`: the contact's client is another now."""

    contact: ChatwootContact
    conversation: ChatwootConversation | None
    relinked: bool


def hold_contact(session: Session, *, account_ref: str, contact_id: int) -> ChatwootContact:
    """Return our row of a contact, made if it is new, and let nobody else handle its events until the unit ends."""
    row = identity.contact_row(session, account_ref=account_ref, contact_id=contact_id)
    session.refresh(row, with_for_update={"key_share": True})
    return row


def see(
    session: Session, *, account: AccountLike, row: ChatwootContact, contact: JSON, event: Event, received_at: datetime
) -> Sighting:
    """Keep what an event says of its contact (`row`, held; `contact` its JSON) and conversation, if it is news."""
    as_of = _as_of(event, received_at)
    if as_of is None and not row.known:
        row.known = _contact_picture(row.contact_id, contact)
    elif as_of is not None and (row.as_of is None or as_of >= row.as_of):
        row.known, row.as_of = _contact_picture(row.contact_id, contact), as_of
    row.seen_at = utcnow()
    conversation = _see_conversation(session, row, event, as_of)
    session.flush()
    return Sighting(row, conversation, relink(session, account, row))


def relink(session: Session, account: AccountLike, row: ChatwootContact) -> bool:
    """Link the contact to the client it surely is by what is known now, or to nobody; tell whether that is news."""
    before = row.client_id
    found = matcher.match(session, account=account, contact=row.known, conversation=_telling(session, account, row))
    if found.outcome == "linked" and found.client is not None:
        rule = row.rule if found.rule == "link" else found.rule
        identity.link(
            session,
            account_ref=row.account_ref,
            contact_id=row.contact_id,
            client_id=found.client.id,
            rule=rule,
            trust=found.trust,
        )
    elif found.client is None or found.client.id != before:
        identity.unlink(session, account_ref=row.account_ref, contact_id=row.contact_id)
        row.rule, row.trust = found.rule, found.trust
    session.flush()
    return row.client_id != before


def match(session: Session, account: AccountLike, seen: Sighting) -> Match:
    """Tell who writes in this conversation, and how sure that is."""
    conversation = seen.conversation.known if seen.conversation else {}
    return matcher.match(session, account=account, contact=seen.contact.known, conversation=conversation)


def _telling(session: Session, account: AccountLike, row: ChatwootContact) -> JSON:
    """Return the conversation that tells most about who the contact is: the newest whose channel vouches for it."""
    newest = select(ChatwootConversation).where(
        ChatwootConversation.account_ref == row.account_ref, ChatwootConversation.contact_id == row.contact_id
    )
    newest = newest.order_by(
        ChatwootConversation.as_of.desc().nulls_last(), ChatwootConversation.conversation_id.desc()
    )
    pictures = [one.known for one in session.scalars(newest.limit(_MOST_CONVERSATIONS)) if one.known]
    proven = (one for one in pictures if matcher.trust_of(account, one) == "proven")
    return next(proven, pictures[0] if pictures else {})


def _see_conversation(
    session: Session, contact: ChatwootContact, event: Event, as_of: datetime | None
) -> ChatwootConversation | None:
    told = conversation_of(event.raw)
    if event.conversation_id is None or event.inbox_id is None:
        return None
    row = _hold_conversation(session, contact, event.conversation_id, event.inbox_id)
    if row.known and (as_of is None or (row.as_of is not None and as_of < row.as_of)):
        return row
    row.contact_id, row.inbox_id, row.as_of = contact.contact_id, event.inbox_id, as_of
    row.channel_type = channel_of(told) or row.channel_type
    row.known = _conversation_picture(event.inbox_id, row.channel_type, told)
    if told.get("status") in STATES:
        row.status = told["status"]
    row.seen_at = utcnow()
    return row


def _hold_conversation(
    session: Session, contact: ChatwootContact, conversation_id: int, inbox_id: int
) -> ChatwootConversation:
    wanted = select(ChatwootConversation).where(
        ChatwootConversation.account_ref == contact.account_ref,
        ChatwootConversation.conversation_id == conversation_id,
    )
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    unique = ["tenant_id", "account_ref", "conversation_id"]
    values = {
        "account_ref": contact.account_ref,
        "conversation_id": conversation_id,
        "contact_id": contact.contact_id,
        "inbox_id": inbox_id,
    }
    session.execute(insert(ChatwootConversation).on_conflict_do_nothing(index_elements=unique), [values])
    held = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.scalars(held).one()


def _as_of(event: Event, received_at: datetime) -> datetime | None:
    """Return when what an event says was surely true, by Chatwoot's clock; None when nothing tells.

    A body is put together when it is sent, so it may know more than that; then a later event says so too.
    """
    if event.name == "contact_created":
        return None
    for change in as_list(event.raw.get("changed_attributes")):
        changed = as_object(as_object(change).get("updated_at")).get("current_value")
        if event.name == "contact_updated" and (at := as_time(changed)) is not None:
            return at
    said = as_time(conversation_of(event.raw).get("updated_at")) or as_time(event.raw.get("created_at"))
    return said or received_at


def _contact_picture(contact_id: int, contact: JSON) -> JSON:
    return {"id": contact_id} | {name: as_text(contact.get(name)) for name in _SAID_OF_CONTACTS if contact.get(name)}


def _conversation_picture(inbox_id: int, channel: str | None, conversation: JSON) -> dict[str, Any]:
    """Keep the parts that `matcher` looks at."""
    link = as_object(conversation.get("contact_inbox"))
    signed = (link.get("hmac_verified"), as_object(conversation.get("meta")).get("hmac_verified"))
    return {
        "inbox_id": inbox_id,
        "channel": channel,
        "contact_inbox": {
            "inbox_id": as_id(link.get("inbox_id")) or inbox_id,
            "source_id": source_id_of(conversation),
            "hmac_verified": any(one is True for one in signed),
        },
    }
