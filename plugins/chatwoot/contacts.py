"""The Chatwoot contact through which a client is written to: found by number or e-mail address, else made.

A contact counts only while it holds the address the message goes to: people merge contacts, change numbers, and type
what they like into web widgets.
"""

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Client, ClientPhone
from citaplanner_core.phones import PhoneNumber, parse_phone
from plugins.chatwoot.api import JSON, ChatwootClient, Invalid
from plugins.chatwoot.models import ChatwootContact, ChatwootConversation

WIDGET = "Channel::WebWidget"


@dataclass(frozen=True, slots=True)
class Address:
    """A number in E.164 or an e-mail address, and the number as it is compared."""

    text: str
    phone: PhoneNumber | None

    @property
    def key(self) -> str:
        """What equal addresses have in common."""
        return self.phone.match_key if self.phone else self.text.lower()

    def is_of(self, contact: JSON) -> bool:
        """Tell whether a contact (Chatwoot's JSON) holds this address."""
        held = str(contact.get("phone_number" if self.phone else "email") or "")
        number = parse_phone(held) if self.phone else None
        return (number.match_key if number else held.lower()) == self.key

    def is_open_in(self, contact: JSON) -> bool:
        """Tell whether a contact holds no address of this kind, so that nothing speaks against it."""
        return not contact.get("phone_number" if self.phone else "email")


def parse_address(text: str) -> Address | None:
    """Read an address; None when it is neither a number nor an e-mail address."""
    if "@" in text:
        return Address(text, None)
    phone = parse_phone(text)
    return Address(phone.e164, phone) if phone else None


def holders(api: ChatwootClient, address: Address) -> list[JSON]:
    """Return the contacts that hold this address, in any form of the number, oldest first."""
    if address.phone:
        return api.find_contacts(address.phone)
    found = api.find_contact_by_email(address.text)
    return [] if found is None else [found]


def make(api: ChatwootClient, address: Address, *, inbox_id: int, name: str, identifier: str | None) -> JSON:
    """Make a contact with this address in an inbox, unless one with our identifier can take it; return it.

    Where another contact holds the address by now, that one is returned; where it holds the identifier, the new one
    has none. Raises `Invalid` when Chatwoot refuses the address.
    """
    field = "phone_number" if address.phone else "email"
    if identifier is not None:
        known = api.find_contact_by_identifier(identifier)
        if known is not None and address.is_open_in(known) and not _in_widget(known):
            with suppress(Invalid):
                return _update(api, known["id"], address)
        identifier = identifier if known is None else None
    while True:
        try:
            if address.phone:
                return api.create_contact(
                    inbox_id=inbox_id, name=name, phone_number=address.text, identifier=identifier
                )
            return api.create_contact(inbox_id=inbox_id, name=name, email=address.text, identifier=identifier)
        except Invalid as error:
            # Which contact holds it is not told (chatwoot#15917).
            if field in error.attributes and (found := holders(api, address)):
                return found[0]
            if identifier is None or "identifier" not in error.attributes:
                raise
            identifier = None


def _update(api: ChatwootClient, contact_id: int, address: Address) -> JSON:
    if address.phone:
        return api.update_contact(contact_id, phone_number=address.text)
    return api.update_contact(contact_id, email=address.text)


def _in_widget(contact: JSON) -> bool:
    """Tell whether the contact is in a web widget, where visitors give themselves identifiers."""
    inboxes = [link.get("inbox") or {} for link in contact.get("contact_inboxes") or []]
    return any(inbox.get("channel_type") == WIDGET for inbox in inboxes)


def is_only_theirs(session: Session, client_id: int, address: Address) -> bool:
    """Tell whether this number surely is the client's alone: one of theirs, no note or extension, shared by nobody."""
    if address.phone is None:
        return False
    rows = session.execute(
        select(ClientPhone.client_id, ClientPhone.confidence, ClientPhone.extension)
        .join(Client, Client.id == ClientPhone.client_id)
        .where(ClientPhone.match_key == address.key, Client.active)
    ).all()
    own = [row for row in rows if row.client_id == client_id]
    return len(own) == len(rows) > 0 and any(row.confidence != "low" and not row.extension for row in own)


def forget(session: Session, *, account_ref: str, contact_id: int) -> None:
    """Forget a contact that Chatwoot does not have any more, and its conversations."""
    for model in (ChatwootContact, ChatwootConversation):
        session.execute(delete(model).where(model.account_ref == account_ref, model.contact_id == contact_id))
