"""What can happen in a Chatwoot account, and which events each thing makes.

Every function expects ``state.lock`` to be held. Source: the model callbacks of Chatwoot v4.15.1
(``Contact``, ``Conversation``, ``Message`` and their concerns).
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .payloads.common import iso
from .store.channels import (
    SCRAMBLES,
    SourceIdTaken,
    check_source_id,
    derive_source_id,
    is_open,
)
from .store.contact_rules import check_contact, clean_contact
from .store.records import (
    ACTIVITY,
    INCOMING,
    OUTGOING,
    TEMPLATE,
    Bot,
    Contact,
    ContactInbox,
    Conversation,
    Inbox,
    Json,
    Message,
    User,
)
from .store.state import Event, State, token

Sender = User | Bot | Contact | None

_TIMES = {"updated_at", "last_activity_at", "snoozed_until", "waiting_since", "first_reply_created_at"}
_REOPENS = ("resolved", "snoozed")


def _apply(row: Contact | Conversation | Message, values: Json, now: float) -> list[Json]:
    """Set the values and return what changed in the form of ``changed_attributes``."""
    changed = {name: (getattr(row, name), value) for name, value in values.items()}
    changed = {name: pair for name, pair in changed.items() if pair[0] != pair[1]}
    if not changed:
        return []
    changed = {"updated_at": (row.updated_at, now), **changed}
    report: list[Json] = []
    for name, (old, new) in changed.items():
        setattr(row, name, new)
        if name in _TIMES:
            old, new = iso(old), iso(new)
        report.append({name: {"previous_value": old, "current_value": new}})
    return report


# --- contacts ---------------------------------------------------------------------------------


def create_contact(state: State, account_id: int, **values: Any) -> Contact:
    """Add a contact and tell of it. Raises RecordInvalid (uniqueness per account, forms)."""
    values = clean_contact(values)
    check_contact(state, account_id, values, None)
    now = state.now()
    contact = state.add(
        Contact(id=state.next_id("contacts"), account_id=account_id, created_at=now, updated_at=now, **values)
    )
    state.publish(Event("contact_created", account_id, "contact", contact.id))
    return contact


def update_contact(state: State, contact: Contact, **values: Any) -> None:
    """Change a contact and tell of it if anything is different. Raises RecordInvalid."""
    values = clean_contact(values)
    check_contact(state, contact.account_id, values, contact)
    changed = _apply(contact, values, state.now())
    if changed:
        state.publish(Event("contact_updated", contact.account_id, "contact", contact.id, changed))


def link_contact(state: State, contact: Contact, inbox: Inbox, source_id: str | None = None) -> ContactInbox:
    """The contact's row in an inbox, made if it is missing.

    Raises what the channel's rules raise (``InvalidSourceId``, ``MissingAddress``,
    ``UnsupportedChannel``) and SourceIdTaken where another contact's row is not pushed aside.
    """
    source_id = source_id or derive_source_id(inbox, contact)
    check_source_id(inbox, source_id)
    held = find_link(state, inbox, source_id)
    if held is not None and held.contact_id == contact.id:
        return held
    if held is not None:
        if inbox.channel_type not in SCRAMBLES:
            raise SourceIdTaken("source_id should be unique")
        held.source_id = f"{held.source_id}-{token(8)}"
    now = state.now()
    return state.add(
        ContactInbox(
            id=state.next_id("contact_inboxes"),
            contact_id=contact.id,
            inbox_id=inbox.id,
            source_id=source_id,
            pubsub_token=token(),
            created_at=now,
            updated_at=now,
        )
    )


def find_link(state: State, inbox: Inbox, source_id: str) -> ContactInbox | None:
    """The row of an inbox with this source id."""
    for link in state.contact_inboxes.values():
        if link.inbox_id == inbox.id and link.source_id == source_id:
            return link
    return None


# --- conversations ----------------------------------------------------------------------------


def create_conversation(state: State, link: ContactInbox, **values: Any) -> Conversation:
    """Begin a conversation. The status asked for gives way to a blocked contact and to a bot."""
    inbox, contact = state.inboxes[link.inbox_id], state.contacts[link.contact_id]
    account = state.accounts[inbox.account_id]
    account.display_ids += 1
    now = state.now()
    if contact.blocked:
        values["status"] = "resolved"
    elif inbox.agent_bot_id is not None:
        values["status"] = "pending"
    conversation = state.add(
        Conversation(
            id=state.next_id("conversations"),
            account_id=account.id,
            display_id=account.display_ids,
            uuid=str(uuid.uuid4()),
            inbox_id=inbox.id,
            contact_id=contact.id,
            contact_inbox_id=link.id,
            created_at=now,
            updated_at=now,
            last_activity_at=now,
            waiting_since=now,
            **values,
        )
    )
    state.publish(Event("conversation_created", account.id, "conversation", conversation.id))
    return conversation


def conversations_of(state: State, link: ContactInbox) -> list[Conversation]:
    """The conversations of a contact-inbox, oldest first."""
    return [c for c in state.conversations.values() if c.contact_inbox_id == link.id]


def update_conversation(state: State, conversation: Conversation, **values: Any) -> bool:
    """Change watched columns; returns whether anything was different, and tells of it."""
    before = conversation.status
    changed = _apply(conversation, values, state.now())
    if not changed:
        return False
    account_id = conversation.account_id
    if conversation.status != before:
        state.publish(Event("conversation_status_changed", account_id, "conversation", conversation.id, changed))
        if conversation.status == "resolved":
            conversation.waiting_since = None
    state.publish(Event("conversation_updated", account_id, "conversation", conversation.id, changed))
    return True


def set_status(
    state: State, conversation: Conversation, status: str, *, by: str, snoozed_until: float | None = None
) -> None:
    """Change the status, with the activity line Chatwoot writes about it."""
    until = snoozed_until if status == "snoozed" else None
    if update_conversation(state, conversation, status=status, snoozed_until=until):
        words = {"resolved": "was marked resolved", "open": "was reopened", "snoozed": "was snoozed"}
        add_activity(state, conversation, f"Conversation {words.get(status, 'was marked as pending')} by {by}")


def add_activity(state: State, conversation: Conversation, text: str) -> None:
    """A line for agents in the conversation; no webhook ever tells of it."""
    _add_row(state, conversation, ACTIVITY, content=text)
    conversation.last_activity_at = state.now()


# --- messages ---------------------------------------------------------------------------------


def _add_row(state: State, conversation: Conversation, message_type: int, **values: Any) -> Message:
    now = state.now()
    return state.add(
        Message(
            id=state.next_id("messages"),
            account_id=conversation.account_id,
            conversation_id=conversation.id,
            inbox_id=conversation.inbox_id,
            message_type=message_type,
            created_at=now,
            updated_at=now,
            **values,
        )
    )


def add_message(state: State, conversation: Conversation, message_type: int, sender: Sender, **values: Any) -> Message:
    """Add a message with all that follows from it: reopening, waiting time, events, delivery."""
    message = _add_row(
        state,
        conversation,
        message_type,
        sender_type=None if sender is None else type(sender).__name__.replace("Bot", "AgentBot"),
        sender_id=None if sender is None else sender.id,
        **values,
    )
    if message_type == ACTIVITY:
        return message
    now = conversation.last_activity_at = message.created_at
    contact = state.contacts[conversation.contact_id]
    if message_type == INCOMING and conversation.status in _REOPENS and not contact.blocked:
        pending = conversation.status == "resolved" and state.inboxes[message.inbox_id].agent_bot_id
        update_conversation(state, conversation, status="pending" if pending else "open", snoozed_until=None)
        add_activity(state, conversation, "System reopened the conversation due to a new incoming message.")
    state.publish(Event("message_created", message.account_id, "message", message.id))
    if message_type == INCOMING and conversation.waiting_since is None:
        update_conversation(state, conversation, waiting_since=now)
    if message_type == OUTGOING and not message.private and sender is not None:
        first = now if isinstance(sender, User) else None
        update_conversation(
            state,
            conversation,
            waiting_since=None,
            first_reply_created_at=conversation.first_reply_created_at or first,
        )
    if message_type in (OUTGOING, TEMPLATE) and not message.private and message.source_id is None:
        state.deliver(message)
    if message_type == INCOMING:
        _answer_automatically(state, conversation)
        update_contact(state, contact, last_activity_at=now)
    return message


def update_message(state: State, message: Message, **values: Any) -> None:
    """Change a message and tell of it if anything is different."""
    if _apply(message, values, state.now()):
        state.publish(Event("message_updated", message.account_id, "message", message.id))


def set_message_status(state: State, message: Message, status: str, error: str | None = None) -> None:
    """A delivery report. Any status but ``failed`` nulls an earlier ``external_error``."""
    attributes = dict(message.content_attributes)
    if status == "failed":
        attributes["external_error"] = error
    elif "external_error" in attributes:
        attributes["external_error"] = None
    update_message(state, message, status=status, content_attributes=attributes)


def _answer_automatically(state: State, conversation: Conversation) -> None:
    """Out-of-office text or greeting, if the inbox has one and it is due."""
    inbox = state.inboxes[conversation.inbox_id]
    said = [m for m in state.messages_of(conversation.id) if m.message_type in (OUTGOING, TEMPLATE)]
    zone = ZoneInfo(inbox.timezone)
    now = datetime.fromtimestamp(state.now(), UTC).astimezone(zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    recently = (now - timedelta(minutes=5)).timestamp()
    quiet = not any(
        m.created_at >= (midnight if m.message_type == TEMPLATE else recently) and not m.private for m in said
    )
    if inbox.working_hours_enabled and inbox.out_of_office_message and quiet and not is_open(inbox, now):
        add_message(state, conversation, TEMPLATE, None, content=inbox.out_of_office_message)
    elif inbox.greeting_enabled and inbox.greeting_message and not said:
        add_message(state, conversation, TEMPLATE, None, content=inbox.greeting_message)
