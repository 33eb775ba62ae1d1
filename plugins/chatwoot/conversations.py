"""The conversation in which a client is written to: the one we know, else one that goes on, else a new one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from citaplanner_core.database import db, utcnow, work
from citaplanner_core.hooks.types import Permanent
from plugins.chatwoot import contacts, identity
from plugins.chatwoot.accounts import Account
from plugins.chatwoot.api import JSON, ChatwootClient, NotFound
from plugins.chatwoot.contacts import Address
from plugins.chatwoot.events import channel_of
from plugins.chatwoot.locks import exclusive
from plugins.chatwoot.models import ChatwootContact, ChatwootConversation, ChatwootInteraction

WINDOWED = frozenset({"Channel::Whatsapp", "Channel::FacebookPage", "Channel::Instagram", "Channel::Tiktok"})
"""Channels where one may answer for some time, and begin only with a template. Twilio's is one when it is WhatsApp."""
BEGINNABLE = frozenset({"Channel::Sms", "Channel::TwilioSms", "Channel::Email", "Channel::Api"})
ADDRESSED = BEGINNABLE | {"Channel::Whatsapp"}
"""Channels whose messages go where the contact's address says. In others only a linked contact is written to."""
_MOST_HOLDERS = 5
_CLOSED = "the client has not written lately, and this channel allows only answers"


class StandIn(Protocol):
    """What can be said where the window is closed."""

    @property
    def problem(self) -> str | None: ...

    def fits(self, inbox: Callable[[], JSON]) -> bool:
        """Tell whether it can be said in this inbox; `problem` says why not. `inbox` asks Chatwoot, once at most."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Whom to write to, and through which account. Without a stand-in a closed window ends the errand."""

    tenant_id: int
    account: Account
    api: ChatwootClient
    client_id: int
    name: str
    address: Address
    stand_in: StandIn | None = None


def reach(errand: Errand) -> JSON:
    """Return a conversation (Chatwoot's JSON) in which this client can be written to now.

    Where it `is_closed` only the errand's stand-in may be said, and can be. One call when the conversation is known and
    open. Else one worker at a time looks and makes what is missing. Raises `Permanent` (`window_closed`, `no_address`,
    `channel_off`, `do_not_message`), `Busy`, and the client's errors.
    """
    known = _known(errand)
    if known is not None and (found := _look(errand, known)):
        return found
    with exclusive(errand.tenant_id, f"{errand.account.ref} {errand.address.key}"):
        again = _known(errand)
        if again not in (None, known) and (found := _look(errand, again)):
            return found
        found = _find_or_start(errand)
        with work(errand.tenant_id) as session:
            note(session, errand.account.ref, found)
        return found


def is_closed(conversation: JSON) -> bool:
    """Tell whether the 24-hour window, or its like, of a conversation is closed."""
    return conversation.get("can_reply") is False


def contact_of(conversation: JSON) -> JSON:
    """Return the contact of a conversation as the API shows it."""
    sender = (conversation.get("meta") or {}).get("sender")
    return sender if isinstance(sender, dict) else {}


def note(session: Session, account_ref: str, conversation: JSON) -> None:
    """Remember a conversation as Chatwoot's API shows it."""
    contact_id = contact_of(conversation).get("id")
    if not isinstance(contact_id, int):
        return
    row = {
        "account_ref": account_ref,
        "conversation_id": conversation["id"],
        "contact_id": contact_id,
        "inbox_id": conversation["inbox_id"],
        "channel_type": channel_of(conversation),
        "status": str(conversation.get("status") or "open"),
        "seen_at": utcnow(),
    }
    unique = ["tenant_id", "account_ref", "conversation_id"]
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    statement = insert(ChatwootConversation)
    changed = {name: statement.excluded[name] for name in row if name not in unique}
    session.execute(statement.on_conflict_do_update(index_elements=unique, set_=changed), [row])


def of_client(account_ref: str, client_id: int) -> Any:
    """Return the condition for conversations with a client: with a contact surely theirs, or written to before."""
    linked = select(ChatwootContact.contact_id).where(
        ChatwootContact.account_ref == account_ref,
        ChatwootContact.client_id == client_id,
        ChatwootContact.trust == "proven",
    )
    written = select(ChatwootInteraction.conversation_id).where(
        ChatwootInteraction.account_ref == account_ref,
        ChatwootInteraction.client_id == client_id,
        ChatwootInteraction.direction == "out",
    )
    return and_(
        ChatwootConversation.account_ref == account_ref,
        or_(ChatwootConversation.contact_id.in_(linked), ChatwootConversation.conversation_id.in_(written)),
    )


def _known(errand: Errand) -> int | None:
    """Return the conversation to try first: where the client wrote last, else where we did."""
    with work(errand.tenant_id, write=False) as session:
        found: int | None = session.scalar(
            select(ChatwootConversation.conversation_id)
            .where(
                of_client(errand.account.ref, errand.client_id),
                ChatwootConversation.inbox_id == errand.account.inbox_id,
                ChatwootConversation.status != "resolved",
            )
            .order_by(ChatwootConversation.last_incoming_at.desc().nulls_last(), ChatwootConversation.id.desc())
            .limit(1)
        )
        return found


def _linked(errand: Errand) -> list[int]:
    """Return the contacts that surely are this client."""
    with work(errand.tenant_id, write=False) as session:
        return list(
            session.scalars(
                select(ChatwootContact.contact_id).where(
                    ChatwootContact.account_ref == errand.account.ref,
                    ChatwootContact.client_id == errand.client_id,
                    ChatwootContact.trust == "proven",
                )
            )
        )


def _look(errand: Errand, conversation_id: int) -> JSON | None:
    """Ask Chatwoot for a conversation we know; None when it cannot be written to, or not to this client any more."""
    ref = errand.account.ref
    try:
        found = errand.api.get_conversation(conversation_id)
    except NotFound:
        with work(errand.tenant_id) as session:
            session.execute(
                delete(ChatwootConversation).where(
                    ChatwootConversation.account_ref == ref, ChatwootConversation.conversation_id == conversation_id
                )
            )
        return None
    contact = contact_of(found)
    addressed = channel_of(found) in ADDRESSED and errand.address.is_of(contact)
    if (
        found.get("inbox_id") == errand.account.inbox_id
        and found.get("status") != "resolved"
        and not contact.get("blocked")
        and (addressed or (errand.address.is_open_in(contact) and contact.get("id") in _linked(errand)))
        and (not is_closed(found) or _stands_in(errand))
    ):
        return found
    with work(errand.tenant_id) as session:
        note(session, ref, found)
    return None


def _find_or_start(errand: Errand) -> JSON:
    api, inbox_id = errand.api, errand.account.inbox_id
    people, linked = _people(errand)
    talks = []
    for contact in people:
        ours = (talk for talk in api.contact_conversations(contact["id"]) if talk.get("inbox_id") == inbox_id)
        talks += [talk for talk in ours if channel_of(talk) in ADDRESSED or contact["id"] in linked]
    if any(contact.get("blocked") for contact in people):
        raise Permanent("do_not_message", "an agent blocked this contact in Chatwoot")
    if (best := _best(talks)) is not None:
        return best
    going_on = _newest(talk for talk in talks if talk.get("status") != "resolved")
    if going_on is not None:
        if _stands_in(errand):
            return going_on
        raise _closed(errand)
    inbox = _inbox(errand)
    if _answers_only(inbox):
        if not _stands_in(errand, inbox):
            raise _closed(errand)
    elif inbox.get("channel_type") not in BEGINNABLE:
        raise Permanent("no_address", "in this kind of inbox the client has to write first")
    fitting = [contact for contact in people if errand.address.is_of(contact)] or people
    contact = fitting[0] if fitting else _make(errand)
    started = api.create_conversation(
        contact_id=contact["id"], inbox_id=inbox_id, source_id=_source_id(errand, contact)
    )
    if is_closed(started) and not _stands_in(errand, inbox):
        raise _closed(errand)
    return started


def _people(errand: Errand) -> tuple[list[JSON], set[int]]:
    """Return who holds the address, then who is surely this client and holds none; and the ids of the latter kind."""
    found = contacts.holders(errand.api, errand.address)[:_MOST_HOLDERS]
    ids = {contact["id"] for contact in found}
    linked = _linked(errand)
    for contact_id in linked:
        if contact_id in ids:
            continue
        try:
            contact = errand.api.get_contact(contact_id)
        except NotFound:
            with work(errand.tenant_id) as session:
                contacts.forget(session, account_ref=errand.account.ref, contact_id=contact_id)
            continue
        if errand.address.is_open_in(contact):
            found.append(contact)
    return found, set(linked)


def _best(talks: Iterable[JSON]) -> JSON | None:
    """Choose the newest that goes on and may be written to; where only answers are allowed, a resolved one will do."""
    fit = [talk for talk in talks if not is_closed(talk)]
    going_on = [talk for talk in fit if talk.get("status") != "resolved"]
    answers = [talk for talk in fit if channel_of(talk) in WINDOWED | {"Channel::TwilioSms"}]
    return _newest(going_on or answers)


def _newest(talks: Iterable[JSON]) -> JSON | None:
    return max(talks, key=lambda talk: (talk.get("last_activity_at") or 0, talk["id"]), default=None)


def _stands_in(errand: Errand, inbox: JSON | None = None) -> bool:
    return errand.stand_in is not None and errand.stand_in.fits(lambda: inbox or _inbox(errand))


def _closed(errand: Errand) -> Permanent:
    problem = errand.stand_in.problem if errand.stand_in else None
    return Permanent("window_closed", f"{_CLOSED}; {problem}" if problem else _CLOSED)


def _inbox(errand: Errand) -> JSON:
    for inbox in errand.api.list_inboxes():
        if inbox["id"] == errand.account.inbox_id:
            return inbox
    raise Permanent("channel_off", f"inbox {errand.account.inbox_id} is not there, or not shown to the token's user")


def _answers_only(inbox: JSON) -> bool:
    limited = bool((inbox.get("additional_attributes") or {}).get("agent_reply_time_window"))
    return inbox.get("channel_type") in WINDOWED or inbox.get("medium") == "whatsapp" or limited


def _make(errand: Errand) -> JSON:
    with work(errand.tenant_id, write=False) as session:
        certain = contacts.is_only_theirs(session, errand.client_id, errand.address)
    return contacts.make(
        errand.api,
        errand.address,
        inbox_id=errand.account.inbox_id,
        name=errand.name,
        # An address that several share must not carry the name tag of one of them.
        identifier=identity.client_identifier(errand.tenant_id, errand.client_id) if certain else None,
    )


def _source_id(errand: Errand, contact: JSON) -> str:
    """Return the contact's address in the inbox: the one it has, so that API inboxes do not collect new ones."""
    links = [contact.get("contact_inbox"), *reversed(contact.get("contact_inboxes") or [])]
    for link in filter(None, links):
        if (link.get("inbox") or {}).get("id") == errand.account.inbox_id and link.get("source_id"):
            return str(link["source_id"])
    for link in errand.api.contactable_inboxes(contact["id"]):
        if (link.get("inbox") or {}).get("id") == errand.account.inbox_id:
            return str(link["source_id"])
    raise Permanent("no_address", "this contact cannot be written to through this inbox")
