"""The channels' side: customers who write, providers that report, webhooks that fail.

Every function expects ``state.lock`` to be held. Source: Chatwoot v4.15.1, the ``Whatsapp``, ``Twilio``
and ``Telegram`` incoming message services and ``Messages::StatusUpdateService``.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

from .actions import (
    add_activity,
    add_message,
    conversations_of,
    create_contact,
    create_conversation,
    find_link,
    link_contact,
    set_message_status,
    update_conversation,
)
from .store.channels import (
    EMAIL,
    SMS,
    TELEGRAM,
    TWILIO,
    WHATSAPP,
    WIDGET,
    can_reply,
    channel_variants,
    find_template,
    is_twilio_whatsapp,
    links_of,
    parameters_match,
    window_hours,
)
from .store.records import INCOMING, Contact, ContactInbox, Conversation, Inbox, Json, Message
from .store.state import Event, State, token

NO_TEMPLATE = "Template not found or invalid template name"
NO_CONTENT_TEMPLATE = "Template not found"
WRONG_PARAMETERS = "(#132000) Number of parameters does not match the expected number of params"
_FILES = {"image": ("png", "image/png"), "audio": ("ogg", "audio/ogg"), "video": ("mp4", "video/mp4")}


# --- the customer writes ------------------------------------------------------------------------


def receive(
    state: State,
    inbox: Inbox,
    *,
    phone: str | None = None,
    source_id: str | None = None,
    name: str | None = None,
    text: str | None = None,
    attachments: Iterable[str] = (),
) -> Message:
    """A customer's message as the channel would bring it in.

    ``phone`` is what the channel says (any spelling; WhatsApp's digits as they are), ``source_id`` the
    channel's own address. Raises ValueError when this inbox cannot tell who writes.
    """
    link = _find_or_make_link(state, inbox, phone, source_id, name)
    conversation = _conversation_for(state, inbox, link)
    message = add_message(
        state,
        conversation,
        INCOMING,
        state.contacts[link.contact_id],
        content=text,
        content_type="incoming_email" if inbox.channel_type == EMAIL else "text",
        source_id=_provider_id(inbox),
        attachments=[_attachment(state, inbox, kind) for kind in attachments],
    )
    for item in message.attachments:
        item["message_id"] = message.id
    return message


def _find_or_make_link(
    state: State, inbox: Inbox, phone: str | None, source_id: str | None, name: str | None
) -> ContactInbox:
    address, number = _who(inbox, phone, source_id)
    kind = inbox.channel_type
    if address is None and (number is None or kind in (EMAIL, TELEGRAM)):
        raise ValueError(f"{inbox.name} needs a source_id" + ("" if kind == EMAIL else " or a phone"))
    link = known_link(state, inbox, phone=phone, source_id=source_id)
    if link is not None:
        return link
    email = address if kind == EMAIL else None
    contact = _find_contact(state, inbox.account_id, number, email)
    if contact is None:
        contact = create_contact(
            state,
            inbox.account_id,
            name=name or number or email or f"visitante-{token(4).lower()}",
            phone_number=number,
            email=email,
        )
    return link_contact(state, contact, inbox, address or str(uuid.uuid4()))


def known_link(
    state: State, inbox: Inbox, *, phone: str | None = None, source_id: str | None = None
) -> ContactInbox | None:
    """The contact-inbox of a customer who wrote or was written to here before."""
    address, number = _who(inbox, phone, source_id)
    for variant in _variants(inbox, address):
        link = find_link(state, inbox, variant)
        if link is not None:
            return link
    contact = _find_contact(state, inbox.account_id, number, None) if address is None else None
    held = [] if contact is None else links_of(state, contact, inbox)
    return held[-1] if held else None


def _who(inbox: Inbox, phone: str | None, source_id: str | None) -> tuple[str | None, str | None]:
    """The channel's address of a customer and the phone a new contact gets."""
    digits, kind, address = re.sub(r"\D", "", phone or ""), inbox.channel_type, source_id
    if address is None and digits:
        address = {WHATSAPP: digits, SMS: f"+{digits}", TWILIO: f"+{digits}"}.get(kind)
        if is_twilio_whatsapp(inbox):
            address = f"whatsapp:+{digits}"
    if not digits and address is not None and kind in (WHATSAPP, TWILIO, SMS):
        found = re.fullmatch(r"(?:whatsapp:)?\+?(\d+)", address)
        digits = found[1] if found else ""
    return address, f"+{digits}" if digits else None


def _variants(inbox: Inbox, address: str | None) -> list[str]:
    if address is None:
        return []
    if inbox.channel_type == WHATSAPP:
        return channel_variants(address)
    if is_twilio_whatsapp(inbox):
        return [f"whatsapp:+{x}" for x in channel_variants(address.removeprefix("whatsapp:+"))] + [address]
    return [address]


def _find_contact(state: State, account_id: int, phone: str | None, email: str | None) -> Contact | None:
    for contact in state.contacts.values():
        if contact.account_id == account_id and (
            (email is not None and contact.email == email.lower())
            or (phone is not None and contact.phone_number == phone)
        ):
            return contact
    return None


def _conversation_for(state: State, inbox: Inbox, link: ContactInbox) -> Conversation:
    held = conversations_of(state, link)
    if held and (
        inbox.lock_to_single_conversation or (inbox.channel_type == WIDGET and inbox.allow_messages_after_resolved)
    ):
        return held[-1]
    going_on = [c for c in held if c.status != "resolved"]
    if going_on:
        return going_on[-1]
    extra: Json = {"chat_id": int(link.source_id)} if _is_chat(inbox, link) else {}
    return create_conversation(state, link, additional_attributes=extra)


def _is_chat(inbox: Inbox, link: ContactInbox) -> bool:
    return inbox.channel_type == TELEGRAM and link.source_id.isdigit()


def _provider_id(inbox: Inbox) -> str | None:
    if inbox.channel_type == WHATSAPP:
        return f"wamid.{token(40)}"
    return f"SM{uuid.uuid4().hex}" if inbox.channel_type == TWILIO else None


def _attachment(state: State, inbox: Inbox, kind: str) -> Json:
    extension, content_type = _FILES.get(kind, ("pdf", "application/pdf"))
    number = state.next_id("attachments")
    item: Json = {
        "id": number,
        "message_id": None,
        "file_type": kind if kind in _FILES else "file",
        "account_id": inbox.account_id,
        "extension": extension,
        "content_type": content_type,
        "data_url": f"http://chatwoot.invalid/rails/active_storage/blobs/redirect/{number}.{extension}",
        "thumb_url": "",
        "file_size": 1024,
        "width": None,
        "height": None,
    }
    return item | ({"transcribed_text": ""} if kind == "audio" else {})


# --- an answer goes out, the provider reports -------------------------------------------------------


def deliver(state: State, message: Message, delay: float) -> None:
    """Hand an outgoing message to its channel; reports follow after ``delay`` seconds each.

    API, widget and e-mail inboxes make no reports of their own.
    """
    inbox = state.inboxes[message.inbox_id]
    if inbox.channel_type not in (WHATSAPP, TWILIO, SMS):
        return
    error = _refusal(state, inbox, message)
    if error is not None:
        state.later(delay, lambda: report(state, message.id, "failed", error))
        return
    state.later(delay, lambda: report(state, message.id, "delivered"))
    if window_hours(inbox) is not None:
        state.later(2 * delay, lambda: report(state, message.id, "read"))


def _refusal(state: State, inbox: Inbox, message: Message) -> str | None:
    wanted = message.additional_attributes.get("template_params")
    if wanted is None:
        return None if can_reply(state, state.conversations[message.conversation_id]) else NO_TEMPLATE
    if inbox.channel_type == TWILIO:
        names = [t.get("friendly_name") for t in inbox.content_templates.get("templates", [])]
        return None if wanted["name"] in names else NO_CONTENT_TEMPLATE
    template = find_template(inbox, wanted)
    return None if template is not None and parameters_match(template, wanted) else WRONG_PARAMETERS


def report(state: State, message_id: int, status: str, error: str | None = None) -> None:
    """A provider's report; one that comes late changes nothing."""
    message = state.messages.get(message_id)
    if message is None or message.content_attributes.get("deleted") or message.status == "failed":
        return
    if status == "delivered" and message.status == "read":
        return
    if message.source_id is None and status != "failed":
        message.source_id = _provider_id(state.inboxes[message.inbox_id])
    set_message_status(state, message, status, error)
    state.touch()


# --- a webhook failed --------------------------------------------------------------------------------


def webhook_failed(state: State, kind: str, event: Event, error: str) -> None:
    """What Chatwoot does about a failed delivery: nothing (account), fail the message (inbox), open (bot)."""
    message = state.messages.get(event.id)
    if message is None or event.name not in ("message_created", "message_updated"):
        return
    if kind == "inbox":
        set_message_status(state, message, "failed", error)
    if kind == "bot":
        conversation = state.conversations[message.conversation_id]
        if conversation.status == "pending":
            update_conversation(state, conversation, status="open")
            add_activity(
                state,
                conversation,
                "Conversation was marked open by system due to an error with the agent bot.",
            )
    state.touch()
