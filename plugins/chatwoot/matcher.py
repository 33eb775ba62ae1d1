"""Recognising who writes: which client a Chatwoot contact is, and how sure that is.

Trust belongs to the conversation: a carrier vouches for a WhatsApp or SMS number, while anybody can type another
person's number, e-mail or identifier into a web widget. And numbers belong to clients, who may share or lose them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from sqlalchemy import ColumnElement, and_, false, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Client, ClientPhone
from citaplanner_core.database import current_tenant
from citaplanner_core.phones import PhoneNumber, parse_phone
from plugins.chatwoot import accounts, identity
from plugins.chatwoot.events import JSON, as_id, as_object, as_text, channel_of, source_id_of
from plugins.chatwoot.models import ChatwootContact

Outcome = Literal["linked", "suggested", "ambiguous", "unknown"]
Rule = Literal["link", "identifier", "phone", "email", "none"]
Trust = Literal["proven", "claimed"]

TRUST_VARIABLE = "CHATWOOT_INBOX_TRUST"
_CARRIERS = frozenset({"Channel::Whatsapp", "Channel::Sms", "Channel::TwilioSms"})
_GROUPS = frozenset({"g.us", "broadcast", "newsletter"})
_JIDS = frozenset({"s.whatsapp.net", "c.us", "hosted"})
_MOST_HOLDERS = 20
_HELD = (ClientPhone.match_key, ClientPhone.confidence, ClientPhone.extension)


class AccountLike(Protocol):
    """What matching needs of an account: a `ChatwootConfig` row or an effective `Account`.

    A row's `inbox_trust` and `branch_id` are used too.
    """

    @property
    def base_url(self) -> str | None: ...

    @property
    def account_id(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Match:
    """Who writes.

    `linked`: `client`, surely. `suggested`: probably `client`, but only said so: nothing of the client may be shown or
    done. `ambiguous`: one of `candidates` (oldest first), `client` is None. `unknown`: nobody we know. `rule` is what
    found them; a stored link of this contact to anybody else than a `linked` client holds no longer.
    """

    outcome: Outcome
    client: Client | None
    candidates: tuple[Client, ...]
    rule: Rule
    trust: Trust


def match(session: Session, *, account: AccountLike, contact: JSON, conversation: JSON) -> Match:
    """Tell which client of the session's tenant a contact is. Reads only; never raises for what a body holds.

    In: the account the conversation is in, and Chatwoot's JSON of contact and conversation, from a webhook or the API.

    A person's link comes first, then an identifier vouched for by the website (HMAC), then the number: who holds it
    now decides, also over a link or identifier of ours that was made when it was somebody else's. Without a number
    those two stand alone. An e-mail address only ever suggests.
    """
    trust = trust_of(account, conversation)

    def decide(client: Client, rule: Rule, *, sure: bool = True) -> Match:
        outcome: Outcome = "linked" if sure and trust == "proven" else "suggested"
        return Match(outcome, client, (client,), rule, trust)

    numbers = _numbers(contact, conversation)
    holders, link = _look_up(session, numbers, _linked_contact(session, account, contact, conversation))
    if link.by_hand and (client := _active(session, link.client_id)):
        return decide(client, "link")
    identified = _identified(session, contact)
    if identified is not None and _signed(conversation):
        return decide(identified, "identifier")
    if len(holders) > 1:
        return Match("ambiguous", None, tuple(holders), "phone", trust)
    for client, sure in holders.items():
        rule: Rule = "link" if client.id == link.client_id else "identifier" if client is identified else "phone"
        return decide(client, rule, sure=sure)
    if not numbers and (client := _active(session, link.client_id)):
        return decide(client, "link")
    if not numbers and identified is not None:
        return decide(identified, "identifier")
    by_email = _by_email(session, contact)
    if len(by_email) > 1:
        return Match("ambiguous", None, by_email, "email", trust)
    if by_email:
        return decide(by_email[0], "email", sure=False)
    return Match("unknown", None, (), "none", trust)


def trust_of(account: AccountLike, conversation: JSON) -> Trust:
    """Tell whether a conversation's channel vouches for who writes (`proven`), or they only say so (`claimed`).

    The inbox's setting decides, then the environment's for its own account and inbox, then HMAC verification and the
    kind of channel.
    """
    inbox_id = as_id(conversation.get("inbox_id")) or as_id(
        as_object(conversation.get("contact_inbox")).get("inbox_id")
    )
    said = as_object(getattr(account, "inbox_trust", None)).get(str(inbox_id)) or _environment_trust(account, inbox_id)
    if said in ("proven", "claimed"):
        return "proven" if said == "proven" else "claimed"
    return "proven" if _signed(conversation) or channel_of(conversation) in _CARRIERS else "claimed"


def address_of_writer(contact: JSON, conversation: JSON) -> str | None:
    """Return the number or e-mail address a message came from, as one dials it; None where only the person is known.

    A website vouches for the person (HMAC) and not for the number, which visitors may type.
    """
    if _signed(conversation) and channel_of(conversation) not in _CARRIERS:
        return None
    numbers = _numbers(contact, conversation)
    vouched = next((number.phone.e164 for number in numbers.values() if number.vouched), None)
    return vouched or (None if numbers else as_text(contact.get("email")).strip() or None)


def _environment_trust(account: AccountLike, inbox_id: int | None) -> str:
    said = os.environ.get(TRUST_VARIABLE, "").strip().lower()
    if not said or not accounts.environment_speaks_of(account.base_url, account.account_id, inbox_id):
        return ""
    return said


def _signed(conversation: JSON) -> bool:
    places = (conversation.get("contact_inbox"), conversation.get("meta"))
    return any(as_object(place).get("hmac_verified") is True for place in places)


class _Link(NamedTuple):
    client_id: int | None
    by_hand: bool

    @classmethod
    def of(cls, client_id: int | None, rule: str | None) -> "_Link":
        return cls(client_id, rule == identity.AGENT)


def _linked_contact(session: Session, account: AccountLike, contact: JSON, conversation: JSON) -> ColumnElement[bool]:
    contact_id = as_id(contact.get("id")) or as_id(as_object(conversation.get("contact_inbox")).get("contact_id"))
    ref = _ref(session, account)
    if contact_id is None or ref is None:
        return false()
    return and_(ChatwootContact.account_ref == ref, ChatwootContact.contact_id == contact_id)


def _ref(session: Session, account: AccountLike) -> str | None:
    if account.base_url and account.account_id:
        return accounts.account_ref(account.base_url, account.account_id)
    try:
        return identity.account_ref(session, getattr(account, "branch_id", None))
    except accounts.IncompleteAccount:
        return None


def _active(session: Session, client_id: int | None) -> Client | None:
    client: Client | None = None if client_id is None else session.get(Client, client_id)
    return client if client is not None and client.active else None


def _identified(session: Session, contact: JSON) -> Client | None:
    found = identity.parse_identifier(contact.get("identifier"))
    if found is None or found[0] != current_tenant():
        return None
    return _active(session, Client.moved_to(session, found[1]) or found[1])


class _Number(NamedTuple):
    phone: PhoneNumber
    vouched: bool


def _numbers(contact: JSON, conversation: JSON) -> dict[str, _Number]:
    """Every number the writer goes by, by match key, and whether it is the one the channel vouches for.

    In a carrier's channel that is the address (`source_id`), if there is one: a contact's own number can be changed
    by agents, merges and, through a widget, visitors.
    """
    address = source_id_of(conversation) if channel_of(conversation) in _CARRIERS else None
    name, _, kind = as_text(contact.get("identifier")).partition("@")
    said: list[object] = []
    if kind not in _GROUPS:
        said += [contact.get("phone_number"), f"{name}@{kind}" if kind in _JIDS else None]
        holder = as_object(as_object(conversation.get("meta")).get("sender"))
        if holder.get("id") in (None, contact.get("id")):
            said.append(holder.get("phone_number"))
    found: dict[str, _Number] = {}
    seen = {name} if kind == "lid" else set()
    for text, vouched in [(address or "", True), *((as_text(one), address is None) for one in said)]:
        written = text.removeprefix("whatsapp:").removeprefix("+")
        if written not in seen and (phone := parse_phone(text)) is not None:
            found.setdefault(phone.match_key, _Number(phone, vouched))
        seen.add(written)
    return found


def _look_up(
    session: Session, numbers: Mapping[str, _Number], linked_contact: ColumnElement[bool]
) -> tuple[dict[Client, bool], _Link]:
    """The active clients with one of these numbers, oldest first, and whether each is surely its only user; and the
    contact's link. One question for both where somebody has the number: detection waits for nothing else.
    """
    holders: dict[Client, bool] = {}
    wanted = (
        select(Client, *_HELD, ChatwootContact.client_id, ChatwootContact.rule)
        .join(ClientPhone, ClientPhone.client_id == Client.id)
        .outerjoin(ChatwootContact, linked_contact)
        .where(ClientPhone.match_key.in_(list(numbers)), Client.active)
        .order_by(Client.id)
        .limit(_MOST_HOLDERS)
    )
    link = None
    for client, key, confidence, extension, linked_id, rule in session.execute(wanted) if numbers else ():
        phone, vouched = numbers[key]
        sure = vouched and not extension and not phone.extension and "low" not in (confidence, phone.confidence)
        holders[client] = holders.get(client, False) or sure
        link = _Link.of(linked_id, rule)
    if link is None:
        found = session.execute(select(ChatwootContact.client_id, ChatwootContact.rule).where(linked_contact)).first()
        link = _Link.of(*found) if found else _Link(None, by_hand=False)
    return holders, link


def _by_email(session: Session, contact: JSON) -> tuple[Client, ...]:
    email = as_text(contact.get("email")).strip()
    if not email:
        return ()
    wanted = select(Client).where(Client.email.in_({email, email.lower()}), Client.active).order_by(Client.id)
    return tuple(session.scalars(wanted.limit(_MOST_HOLDERS)))
