"""The job `event`: a stored webhook is acted on, once, whatever the order in which they come.

Events of one contact are handled one at a time. Of the messages that wait the oldest is handled first, so that "yes"
and "no" written in that order also count in that order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import create_client
from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import current_tenant, db, utcnow, work
from citaplanner_core.hooks import settings
from citaplanner_core.hooks.dispatch import enabled_plugins
from citaplanner_core.hooks.types import JobContext, Retry
from citaplanner_core.notifications.consents import pause_messages
from citaplanner_core.notifications.delivery import advance
from citaplanner_core.notifications.models import DELIVERED, FAILED, READ
from citaplanner_core.notifications.staff import alert_staff
from citaplanner_core.phones import parse_phone
from plugins.chatwoot import accounts, reply, resting, sightings, sync
from plugins.chatwoot.answers import Place, answer, may_reply
from plugins.chatwoot.api import marker_of
from plugins.chatwoot.channel import KEY
from plugins.chatwoot.events import (
    Event,
    IncomingMessage,
    as_id,
    as_list,
    as_object,
    as_text,
    as_time,
    contact_of,
    conversation_of,
    incoming_message,
    parse_event,
)
from plugins.chatwoot.matcher import Match
from plugins.chatwoot.models import ChatwootConfig, ChatwootContact, ChatwootEvent, ChatwootInteraction
from plugins.chatwoot.sightings import Sighting

EVENT = "event"
PLUGIN = "chatwoot"
EARLY_ATTEMPTS = 5
AGENT_PAUSE = timedelta(hours=1)
"""How long automatic messages wait after an agent wrote to somebody."""
"""So often a report about a message of ours is looked at again: it may overtake the note that the message was sent."""
_REPORTS = {"delivered": DELIVERED, "read": READ, "failed": FAILED}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Account:
    """The account an event came from, as its configuration stands now."""

    base_url: str | None
    account_id: int | None
    branch_id: int | None
    inbox_trust: Mapping[str, str]
    create_clients: bool
    rest_answered: bool


def handle_event(context: JobContext) -> None:
    """Job: act on the stored event `event_id`, in one transaction that also notes that it was done.

    Raises `Retry` for a report about a message of which we do not know yet that it was sent.
    """
    with work(context.tenant_id) as session:
        stored: ChatwootEvent | None = session.get(ChatwootEvent, int(context.payload["event_id"]))
        event = parse_event(stored.payload) if stored is not None and stored.processed_at is None else None
        if stored is None or event is None:
            return
        account = _account(session, stored)
        if PLUGIN not in enabled_plugins(session):
            _done(stored, "switched_off")
        elif account is None:
            _done(stored, "account_changed")
        else:
            _Handler(session, account, stored.account_ref, context.attempt).handle(stored, event)


def _done(stored: ChatwootEvent, outcome: str) -> None:
    stored.outcome, stored.processed_at = outcome, utcnow()


def _account(session: Session, stored: ChatwootEvent) -> _Account | None:
    config = session.get(ChatwootConfig, stored.config_id) if stored.config_id is not None else None
    branch_id = config.branch_id if config else None
    values, _ = accounts.merge(accounts.layers(session, branch_id)[0])
    base_url, account_id = values["base_url"], values["account_id"]
    if account_id is None or accounts.account_ref(base_url, account_id) != stored.account_ref:
        return None
    wishes = settings.read(session, PLUGIN)
    return _Account(
        base_url,
        account_id,
        branch_id,
        values["inbox_trust"],
        create_clients=bool(wishes["create_clients"]),
        rest_answered=bool(wishes["rest_answered"]),
    )


class _Handler:
    """Handles events of one account in one unit."""

    def __init__(self, session: Session, account: _Account, account_ref: str, attempt: int) -> None:
        self.session, self.account, self.account_ref, self.attempt = session, account, account_ref, attempt
        self.changed: list[Sighting] = []

    def handle(self, stored: ChatwootEvent, event: Event) -> None:
        contact_id = as_id(contact_of(event.raw).get("id"))
        row = None
        if contact_id is not None:
            row = sightings.hold_contact(self.session, account_ref=self.account_ref, contact_id=contact_id)
            self.session.refresh(stored)
            if stored.processed_at is not None:
                return
            if event.name == "message_created":
                for earlier, its_event in self._waiting_before(event, row):
                    self._try(earlier, its_event, row)
        _done(stored, self._process(event, row, stored.received_at))
        self._sync()

    def _waiting_before(self, event: Event, row: ChatwootContact) -> list[tuple[ChatwootEvent, Event]]:
        waiting = self.session.scalars(
            select(ChatwootEvent).where(
                ChatwootEvent.account_ref == self.account_ref,
                ChatwootEvent.contact_id == row.contact_id,
                ChatwootEvent.event == "message_created",
                ChatwootEvent.processed_at.is_(None),
            )
        )
        found = [(one, parsed) for one in waiting if (parsed := parse_event(one.payload)) is not None]
        older = [pair for pair in found if (pair[1].object_id or 0) < (event.object_id or 0)]
        return sorted(older, key=lambda pair: pair[1].object_id or 0)

    def _try(self, stored: ChatwootEvent, event: Event, row: ChatwootContact) -> None:
        """Handle an earlier message; one that fails is left to its own job and holds up nothing."""
        event_id = stored.id
        try:
            with self.session.begin_nested():
                _done(stored, self._process(event, row, stored.received_at))
        except Exception as error:
            log.warning("chatwoot_earlier_event_failed", event_id=event_id, error=type(error).__name__)

    def _process(self, event: Event, row: ChatwootContact | None, received_at: datetime) -> str:
        if row is None:
            return self._act(event, None, received_at)
        contact = contact_of(event.raw)
        seen = sightings.see(
            self.session, account=self.account, row=row, contact=contact, event=event, received_at=received_at
        )
        if seen.relinked or event.name == "message_created":
            self.changed.append(seen)
        return self._act(event, seen, received_at)

    def _sync(self) -> None:
        """Have contacts written. At the very end, so that all handlers wait for appointments and jobs in one order."""
        for seen in self.changed:
            if seen.contact.pushed and seen.relinked:
                sync.enqueue_contact_sync(self.session, seen.contact)
        for client_id in sorted(
            {seen.contact.client_id for seen in self.changed if seen.contact.client_id is not None}
        ):
            sync.enqueue_sync(self.session, client_id)

    def _act(self, event: Event, seen: Sighting | None, received_at: datetime) -> str:
        if event.name == "message_updated":
            return self._report(event, received_at)
        if event.name != "message_created":
            return "seen" if seen is not None else "ignored"
        message = incoming_message(event.raw)
        if message is None:
            return self._overheard(event, seen)
        if seen is None or message.message_id is None or message.conversation_id is None:
            return "incomplete"
        at = message.created_at or received_at
        return self._incoming(message, seen, Place(self.account_ref, message.conversation_id, message.message_id, at))

    def _incoming(self, message: IncomingMessage, seen: Sighting, place: Place) -> str:
        spoken = self._note(place, "in", seen, text=message.text)
        if spoken is None:
            return "known"
        if seen.conversation is not None:
            last = seen.conversation.last_incoming_at
            seen.conversation.last_incoming_at = place.at if last is None else max(last, place.at)
        who = sightings.match(self.session, self.account, seen)
        if who.outcome == "unknown" and who.trust == "proven" and self.account.create_clients:
            self._welcome(seen, message)
            who = sightings.match(self.session, self.account, seen)
        spoken.client_id = seen.contact.client_id
        self._tell_staff(seen, who)
        if who.outcome == "ambiguous" and who.rule == "phone":
            reply.note_shared_phone(self.session, place, seen.contact, who.candidates, self.account.branch_id)
        if who.trust != "proven":
            return who.outcome
        outcome = answer(self.session, place, message, who)
        spoken.intent, spoken.action = outcome.intent, outcome.action
        spoken.notification_id = outcome.notification.id if outcome.notification else None
        rests = self.account.rest_answered and resting.is_settled(outcome)
        if outcome.reply is not None and may_reply(self.session, place):
            spoken.reply_key = outcome.reply_key
            reply.enqueue_reply(self.session, place, outcome, self.account.branch_id, rests=rests)
        elif rests:
            reply.enqueue_rest(self.session, place, self.account.branch_id)
        return f"{who.outcome} {outcome.action}"

    def _tell_staff(self, seen: Sighting, who: Match) -> None:
        """A person has to say who wrote."""
        subject = f"{self.account_ref}/{seen.contact.contact_id}"
        name = as_text(seen.contact.known.get("name")).strip()
        branch = self.account.branch_id
        if who.outcome == "unknown":
            alert_staff(self.session, "contact_unknown", subject=subject, branch_id=branch, contactName=name)
        elif who.outcome == "ambiguous":
            names = "\n".join(f"- {client.name}" for client in who.candidates)
            alert_staff(
                self.session,
                "contact_ambiguous",
                subject=subject,
                branch_id=branch,
                contactName=name,
                candidates=names,
            )

    def _welcome(self, seen: Sighting, message: IncomingMessage) -> None:
        """Make a client of a stranger, if their address then surely tells that it is them."""
        self.session.get_one(Tenant, current_tenant(), with_for_update={"key_share": True}, populate_existing=True)
        sightings.relink(self.session, self.account, seen.contact)
        for address in (message.source_id, seen.contact.known.get("phone_number")):
            phone = parse_phone(as_text(address))
            if seen.contact.client_id is not None or phone is None or phone.confidence == "low" or phone.extension:
                continue
            name = as_text(seen.contact.known.get("name")).strip()
            first, _, last = name.partition(" ") if any(map(str.isalpha, name)) else (phone.e164, "", "")
            attempt = self.session.begin_nested()
            create_client(self.session, first_name=first, last_name=last, phones=[phone.e164])
            if sightings.relink(self.session, self.account, seen.contact):
                attempt.commit()
            else:
                attempt.rollback()

    def _overheard(self, event: Event, seen: Sighting | None) -> str:
        """Note that a person of the business wrote; what we and other programs write starts nothing."""
        sender = as_object(event.raw.get("sender"))
        attributes = as_object(event.raw.get("content_attributes"))
        person = as_text(sender.get("type")) == "user" or (not sender and attributes.get("external_echo") is True)
        public = event.raw.get("message_type") in ("outgoing", 1) and event.raw.get("private") in (None, False)
        if marker_of(event.raw) is not None:
            return "own"
        if not (person and public) or seen is None or event.object_id is None or event.conversation_id is None:
            return "ignored"
        at = as_time(event.raw.get("created_at")) or utcnow()
        place = Place(self.account_ref, event.conversation_id, event.object_id, at)
        if self._note(place, "agent", seen, text=None) is None:
            return "known"
        if seen.contact.client_id is not None:
            pause_messages(
                self.session, seen.contact.client_id, min(at, utcnow()) + AGENT_PAUSE, "an agent writes with them"
            )
        return "agent"

    def _note(self, place: Place, direction: str, seen: Sighting, *, text: str | None) -> ChatwootInteraction | None:
        """Keep a message; None when it was kept before."""
        insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
        unique = ["tenant_id", "account_ref", "message_id"]
        statement = insert(ChatwootInteraction).on_conflict_do_nothing(index_elements=unique)
        values = {
            "account_ref": place.account_ref,
            "message_id": place.message_id,
            "conversation_id": place.conversation_id,
            "contact_id": seen.contact.contact_id,
            "client_id": seen.contact.client_id,
            "direction": direction,
            "text": text,
            "at": place.at,
        }
        row_id = self.session.execute(statement.returning(ChatwootInteraction.id), [values]).scalar()
        return None if row_id is None else self.session.get_one(ChatwootInteraction, row_id)

    def _report(self, event: Event, received_at: datetime) -> str:
        """Take what the provider says of a message of ours: delivered, read or failed."""
        last = next(iter(as_list(conversation_of(event.raw).get("messages"))), None)
        item = as_object(last) if as_id(as_object(last).get("id")) == event.object_id else {}
        error = as_text(as_object(event.raw.get("content_attributes")).get("external_error")).strip()
        status = FAILED if error else _REPORTS.get(as_text(item.get("status")))
        if status is None or event.object_id is None:
            return "ignored"
        at = as_time(item.get("updated_at")) or received_at
        message_id = f"{KEY}-{event.object_id}"
        if advance(self.session, KEY, message_id, status, at=at, error=error or None) is not None:
            return status.lower()
        marker = marker_of(event.raw) or ""
        if marker.endswith(f"-{KEY}") and self.attempt <= EARLY_ATTEMPTS:
            raise Retry("the message is not known to be sent yet", after=1)
        return "not_ours"
