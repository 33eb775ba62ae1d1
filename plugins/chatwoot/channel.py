"""The channel: a notification becomes one message in a Chatwoot conversation with the client."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select

from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.settings import SettingsError
from citaplanner_core.hooks.types import (
    Ambiguous,
    AuthFailed,
    ChannelError,
    Limited,
    Message,
    Permanent,
    Receipt,
    Recipient,
    Retry,
    TextFamily,
)
from citaplanner_core.notifications.models import Delivery
from citaplanner_core.notifications.wording import retell
from plugins.chatwoot import contacts, conversations, inspection, journal
from plugins.chatwoot.accounts import Account, IncompleteAccount, client_for, effective
from plugins.chatwoot.api import (
    MARKER,
    ChatwootError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unauthorized,
    Unavailable,
    WrongServer,
)
from plugins.chatwoot.conversations import Errand
from plugins.chatwoot.locks import Busy
from plugins.chatwoot.models import ChatwootConversation
from plugins.chatwoot.whatsapp import TemplateStandIn

KEY = "chatwoot"
STILL_AT_WORK = timedelta(seconds=5)
"""A request that broke off may be carried out for so long after it began."""
CLOCK_DIFFERENCE = timedelta(minutes=5)
_MOST_CONVERSATIONS = 10
Settings = Mapping[str, Any]


class ChatwootChannel:
    """Writes into the client's conversation in the tenant's (or branch's) inbox, and can be asked what it wrote."""

    key = KEY
    label = "Chatwoot"
    on_unknown: Literal["resend", "hold"] = "resend"
    text_family: TextFamily = "chat"

    def address_of(self, recipient: Recipient) -> str | None:
        """The client's first number, which WhatsApp and SMS inboxes need; without one the e-mail address.

        Nobody of the staff: they answer in Chatwoot, and are no contacts there.
        """
        if recipient.client_id is None:
            return None
        return next(iter(recipient.phones), recipient.email)

    def check(self, settings: Settings) -> dict[str, str]:
        """Ask the real Chatwoot: address, token and its role, account, inbox; {field: problem and cure} in Spanish.

        Settings that know their tenant are completed from its other configuration, as when sending.
        """
        return inspection.check(settings)

    def send(self, message: Message, settings: Settings) -> Receipt:
        """Write the message once, with its key as a marker.

        Two calls when the conversation is known; one more, for the state of the template, where the 24-hour window is
        closed and a WhatsApp template stands for the text. Nothing was said yet when finding or making contact and
        conversation fails, so whatever happens there may be tried again.
        """
        with _errand(message) as errand:
            stand_in = TemplateStandIn(message, errand.account)
            try:
                conversation = conversations.reach(replace(errand, stand_in=stand_in))
            except Busy:
                raise Retry("another message to the same person is just being prepared", after=1) from None
            except ChatwootError as error:
                raise _failure(error) from error
            template_params = None
            if conversations.is_closed(conversation) and stand_in.said is not None:
                message, template_params = replace(message, body=stand_in.said.text), stand_in.said.params
                with work(message.tenant_id) as session:
                    retell(session, message.notification_id, KEY, message.body)
            try:
                sent = errand.api.send_message(
                    conversation["id"],
                    message.body,
                    content_attributes={MARKER: message.key},
                    template_params=template_params,
                )
            except ChatwootError as error:
                raise _failure(error, said=True) from error
            with work(message.tenant_id) as session:
                journal.record_sent(
                    session,
                    errand.account,
                    conversation=conversation,
                    message_id=sent["id"],
                    message=message,
                    address=errand.address,
                )
            return _receipt(sent["id"], conversation["id"])

    def find_sent(self, message: Message, settings: Settings) -> Receipt | None:
        """Look for the message of an earlier attempt in every conversation it may be in.

        Whatever goes wrong while looking leaves the outcome unknown: `Ambiguous`.
        """
        with _errand(message) as errand:
            since, now = _began(message)
            try:
                for conversation_id in _places(errand, since):
                    try:
                        sent = errand.api.find_message_by_marker(conversation_id, message.key, since=since)
                    except NotFound:
                        continue
                    if sent is not None:
                        return self._note_found(errand, message, conversation_id, sent["id"])
            except ChatwootError as error:
                raise Ambiguous(f"Chatwoot cannot be asked now: {error}") from error
            if now - since < STILL_AT_WORK:
                raise Ambiguous("too early to tell whether it arrived")
            return None

    def _note_found(self, errand: Errand, message: Message, conversation_id: int, message_id: int) -> Receipt:
        conversation = errand.api.get_conversation(conversation_id)
        with work(message.tenant_id) as session:
            journal.record_sent(
                session,
                errand.account,
                conversation=conversation,
                message_id=message_id,
                message=message,
                address=errand.address,
            )
        return _receipt(message_id, conversation_id)


@contextmanager
def _errand(message: Message) -> Iterator[Errand]:
    address, client_id = contacts.parse_address(message.address), message.recipient.client_id
    if address is None or client_id is None:
        raise Permanent("no_address", "neither a phone number nor an e-mail address")
    account = _account(message)
    try:
        api = client_for(account)
    except ValueError as error:
        raise Permanent("channel_off", str(error)) from None
    try:
        yield Errand(message.tenant_id, account, api, client_id, message.recipient.name, address)
    finally:
        api.close()


def _account(message: Message) -> Account:
    try:
        with work(message.tenant_id, write=False) as session:
            account = effective(session, message.branch_id)
    except (IncompleteAccount, SettingsError) as error:
        raise Permanent("channel_off", str(error)) from None
    if not account.enabled:
        raise Permanent("channel_off", "notifications through Chatwoot are switched off")
    return account


def _receipt(message_id: int, conversation_id: int) -> Receipt:
    return Receipt(f"{KEY}-{message_id}", {"conversation_id": conversation_id})


def _failure(error: ChatwootError, *, said: bool = False) -> ChannelError:
    """Say what the core should do; `said`: the request was the message itself, so an unknown outcome may be success."""
    if isinstance(error, RateLimited):
        return Limited("Chatwoot takes no more requests for the moment", after=error.retry_after)
    if isinstance(error, OutcomeUnknown):
        return Ambiguous(str(error)) if said else Retry(str(error), after=STILL_AT_WORK.total_seconds())
    if isinstance(error, WrongServer):
        # A whole answer that makes no sense may have been given after the work was done.
        return Ambiguous(str(error)) if said and (error.status or 500) < 300 else Retry(str(error))
    if isinstance(error, Unavailable):
        return Retry(str(error))
    if isinstance(error, Unauthorized):
        return AuthFailed(f"Chatwoot refuses the token: {error.detail}")
    if isinstance(error, NotFound) and not said:
        return AuthFailed("Chatwoot has no such account or inbox, or does not show it to the token's user")
    if isinstance(error, NotFound):
        return Retry("the conversation is gone")
    return Permanent("rejected", str(error))


def _began(message: Message) -> tuple[datetime, datetime]:
    """Return when the earlier attempt began, and now, by one clock."""
    with work(message.tenant_id, write=False) as session:
        now = database_now(session)
        began = session.scalar(
            select(func.max(Delivery.started_at)).where(
                Delivery.notification_id == message.notification_id, Delivery.channel == KEY
            )
        )
        return began or now, now


def _places(errand: Errand, since: datetime) -> Iterator[int]:
    """Name the conversations an earlier attempt may have written to: those we know, then those Chatwoot has."""
    with work(errand.tenant_id, write=False) as session:
        known = list(
            session.scalars(
                select(ChatwootConversation.conversation_id)
                .where(
                    conversations.of_client(errand.account.ref, errand.client_id),
                    ChatwootConversation.inbox_id == errand.account.inbox_id,
                )
                .order_by(ChatwootConversation.seen_at.desc())
                .limit(_MOST_CONVERSATIONS)
            )
        )
    yield from known
    oldest = (since - CLOCK_DIFFERENCE).timestamp()
    for contact in contacts.holders(errand.api, errand.address):
        for talk in errand.api.contact_conversations(contact["id"]):
            touched = (talk.get("last_activity_at") or 0) >= oldest
            if touched and talk.get("inbox_id") == errand.account.inbox_id and talk["id"] not in known:
                yield talk["id"]
