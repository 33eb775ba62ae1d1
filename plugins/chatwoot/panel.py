"""What stands about Chatwoot on a client's page: who they are there, and the way to their conversations."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.hooks.types import Action, Panel
from plugins.chatwoot.models import ChatwootContact, ChatwootConversation

MOST = 3
_WORDS = {
    "es": {
        "contact": "Contacto",
        "open_contact": "Abrir el contacto en Chatwoot",
        "open": "Abrir la conversación {number} en Chatwoot",
    },
    "en": {
        "contact": "Contact",
        "open_contact": "Open the contact in Chatwoot",
        "open": "Open conversation {number} in Chatwoot",
    },
}


def panels(session: Session, clients: Sequence[int], language: str) -> Mapping[int, Panel]:
    """Return a panel for each of these clients who is linked to a contact, with the newest conversations."""
    linked = select(ChatwootContact).where(ChatwootContact.client_id.in_(clients)).order_by(ChatwootContact.id)
    contacts = session.scalars(linked).all()
    if not contacts:
        return {}
    spoken = (
        select(ChatwootConversation)
        .where(
            ChatwootConversation.account_ref.in_({contact.account_ref for contact in contacts}),
            ChatwootConversation.contact_id.in_({contact.contact_id for contact in contacts}),
        )
        .order_by(ChatwootConversation.conversation_id.desc())
    )
    conversations: dict[tuple[str, int], list[int]] = {}
    for row in session.scalars(spoken):
        conversations.setdefault((row.account_ref, row.contact_id), []).append(row.conversation_id)
    words = _WORDS.get(language, _WORDS["es"])
    rows: dict[int, list[tuple[str, str]]] = {}
    actions: dict[int, list[Action]] = {}
    for contact in contacts:
        assert contact.client_id is not None
        place = _place(contact.account_ref)
        name = str(contact.known.get("name") or f"#{contact.contact_id}")
        rows.setdefault(contact.client_id, []).append((words["contact"], name))
        links = actions.setdefault(contact.client_id, [])
        for number in conversations.get((contact.account_ref, contact.contact_id), [])[:MOST]:
            links.append(Action(words["open"].format(number=number), f"{place}/conversations/{number}"))
        links.append(Action(words["open_contact"], f"{place}/contacts/{contact.contact_id}"))
    return {client: Panel("Chatwoot", rows[client], actions[client]) for client in rows}


def _place(account_ref: str) -> str:
    base, _, account = account_ref.rpartition("#")
    return f"{base}/app/accounts/{account}"
