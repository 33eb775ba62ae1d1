"""Finding what clients and agents wrote while webhooks did not reach us.

Chatwoot tries most webhooks once (chatwoot#15920). Every few minutes, and so soon after an outage, conversations with
activity since the last look are read, and messages that never came are stored as the webhooks that were missed: by the
same door, so one that comes after all is known already.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks.types import JobContext, Retry
from plugins.chatwoot import receivers, webhook
from plugins.chatwoot.accounts import Account, IncompleteAccount, client_for, effective
from plugins.chatwoot.api import JSON, ChatwootClient, ChatwootError, NotFound, RateLimited, marker_of
from plugins.chatwoot.events import as_id, as_list, as_object, as_time, channel_of, parse_event
from plugins.chatwoot.locks import Busy, exclusive
from plugins.chatwoot.models import ChatwootConfig, ChatwootCursor, ChatwootEvent, ChatwootInteraction
from plugins.chatwoot.receivers import Receiver

CURSOR = "catch_up:"
LOOK_SECONDS = 300
OVERLAP = timedelta(minutes=5)
"""Looked at again each time: the clocks differ, and a webhook may be under way."""
FARTHEST = timedelta(hours=72)
"""Answers older than that decide nothing any more."""
MOST_SECONDS = 60.0
"""One look at an account ends then, and the next one goes on: a worker's thread and its lock are not held for long."""
PAGE = 20

log = structlog.get_logger()


@dataclass(slots=True)
class Totals:
    """What one look found: conversations looked at, messages that were known, and those that had been missed."""

    conversations: int = 0
    known: int = 0
    recovered: int = 0
    finished: bool = True


def look(context: JobContext) -> None:
    """Job: recover what a tenant's accounts did not tell us. Raises `Retry` while Chatwoot cannot be asked."""
    try:
        catch_up(context.tenant_id)
    except RateLimited as error:
        raise Retry(str(error), after=error.retry_after) from error
    except ChatwootError as error:
        raise Retry(str(error), after=LOOK_SECONDS) from error


def catch_up(tenant_id: int) -> Totals:
    """Look at every account of a tenant, outside any unit of work; return what was found.

    The first look at an account only notes the time: what was written before it was connected is not acted on. Raises
    `ChatwootError` where an account cannot be asked; what was found until then is kept, the rest is found next time.
    """
    totals = Totals()
    for receiver in receivers.of_tenant(tenant_id):
        account = _account(receiver)
        if account is None or not receiver.switched_on:
            continue
        try:
            with exclusive(tenant_id, f"{CURSOR}{receiver.account_ref}"):
                _look_at(receiver, account, totals)
        except Busy:
            totals.finished = False
    return totals


def recovered(session: Session) -> int:
    """Return how many messages were recovered in all. In: a unit that crosses tenants."""
    rows = session.scalars(select(ChatwootCursor.position).where(ChatwootCursor.name.startswith(CURSOR)))
    return sum(int(position.get("recovered", 0)) for position in rows)


def _account(receiver: Receiver) -> Account | None:
    with work(receiver.tenant_id, write=False) as session:
        config = session.get(ChatwootConfig, receiver.config_id) if receiver.config_id is not None else None
        try:
            account = effective(session, config.branch_id if config else None)
        except IncompleteAccount:
            return None
    return account if account.ref == receiver.account_ref else None


def _look_at(receiver: Receiver, account: Account, totals: Totals) -> None:
    begun, ends = utcnow(), time.monotonic() + MOST_SECONDS
    since = _since(receiver)
    if since is None:
        _move(receiver, begun)
        return
    since = max(since, begun - FARTHEST) - OVERLAP
    api = client_for(account)
    try:
        seconds = int((begun - since).total_seconds()) + 1
        talks = [one for one in api.list_conversations_updated_within(seconds) if _is_ours(receiver, one)]
        for talk in sorted(talks, key=_touched):
            if time.monotonic() > ends:
                totals.finished = False
                return
            totals.conversations += 1
            found = _recover(receiver, api, talk, since, totals)
            touched = as_time(_touched(talk))
            _move(receiver, min(touched or begun, begun), recovered=found)
        _move(receiver, begun)
    finally:
        api.close()


def _is_ours(receiver: Receiver, talk: JSON) -> bool:
    return not receiver.inboxes or as_id(talk.get("inbox_id")) in receiver.inboxes


def _touched(talk: JSON) -> float:
    seconds = talk.get("updated_at") or talk.get("last_activity_at")
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def _recover(receiver: Receiver, api: ChatwootClient, talk: JSON, since: datetime, totals: Totals) -> int:
    """Store what was missed of one conversation, oldest first; return how many messages that were."""
    try:
        messages = list(_written_since(api, talk["id"], since))
    except NotFound:
        return 0
    unknown = _unknown(receiver, [message["id"] for message in messages])
    totals.known += len(messages) - len(unknown)
    missed = sorted((message for message in messages if message["id"] in unknown), key=lambda message: message["id"])
    if not missed:
        return 0
    contact = _contact(api, talk)
    stored = 0
    for message in missed:
        body = _body(receiver, talk, contact, message)
        event = parse_event(body)
        if event is not None and webhook.store(receiver, event, json.dumps(body), None):
            stored += 1
    totals.recovered += stored
    log.warning("chatwoot_recovered", conversation=talk["id"], messages=stored)
    return stored


def _written_since(api: ChatwootClient, conversation_id: int, since: datetime) -> Iterator[JSON]:
    """Yield what clients and agents wrote, and we did not."""
    before: int | None = None
    while page := api.list_messages(conversation_id, before=before):
        for message in page:
            at = as_time(message.get("created_at"))
            if at is not None and at >= since and _is_somebodys(message):
                yield message
        first = min(page, key=lambda message: message["id"])
        at = as_time(first.get("created_at"))
        if len(page) < PAGE or first["id"] == before or at is None or at < since:
            return
        before = first["id"]


def _is_somebodys(message: JSON) -> bool:
    kind, sender = message.get("message_type"), as_object(message.get("sender")).get("type")
    if message.get("private") or marker_of(message) is not None:
        return False
    return kind == 0 or (kind == 1 and sender == "user")


def _unknown(receiver: Receiver, ids: list[int]) -> set[int]:
    with work(receiver.tenant_id, write=False) as session:
        keys = {f"message_created:{message_id}": message_id for message_id in ids}
        stored = session.scalars(
            select(ChatwootEvent.object_key).where(
                ChatwootEvent.account_ref == receiver.account_ref, ChatwootEvent.object_key.in_(keys)
            )
        )
        noted = session.scalars(
            select(ChatwootInteraction.message_id).where(
                ChatwootInteraction.account_ref == receiver.account_ref, ChatwootInteraction.message_id.in_(ids)
            )
        )
        return set(ids) - {keys[key] for key in stored if key in keys} - set(noted)


def _contact(api: ChatwootClient, talk: JSON) -> JSON:
    """Return the conversation's contact with its addresses: the API's conversation does not tell the `source_id`."""
    sender = as_object(as_object(talk.get("meta")).get("sender"))
    contact_id = as_id(sender.get("id"))
    try:
        return sender if contact_id is None else {**sender, **api.get_contact(contact_id)}
    except NotFound:
        return sender


def _body(receiver: Receiver, talk: JSON, contact: JSON, message: JSON) -> dict[str, Any]:
    """Return the webhook that was missed, of what the API tells."""
    inbox_id = talk.get("inbox_id")
    links = [one for one in map(as_object, as_list(contact.get("contact_inboxes"))) if _inbox_of(one) == inbox_id]
    writer = {name: value for name, value in contact.items() if name != "contact_inboxes"}
    conversation = {
        "id": talk["id"],
        "inbox_id": inbox_id,
        "channel": channel_of(talk),
        "status": talk.get("status"),
        "can_reply": talk.get("can_reply"),
        "updated_at": talk.get("updated_at"),
        "labels": talk.get("labels"),
        "contact_inbox": {
            "inbox_id": inbox_id,
            "contact_id": contact.get("id"),
            "source_id": links[-1].get("source_id") if links else None,
        },
        "meta": {"sender": writer, "assignee": as_object(talk.get("meta")).get("assignee")},
        "messages": [message],
    }
    incoming = message.get("message_type") == 0
    return {
        "event": "message_created",
        "id": message["id"],
        "account": {"id": receiver.account_id},
        "inbox": {"id": inbox_id},
        "content": message.get("content"),
        "content_type": message.get("content_type"),
        "content_attributes": message.get("content_attributes"),
        "message_type": "incoming" if incoming else "outgoing",
        "private": False,
        "created_at": message.get("created_at"),
        "source_id": message.get("source_id"),
        "attachments": as_list(message.get("attachments")),
        "sender": writer if incoming else message.get("sender"),
        "conversation": conversation,
    }


def _inbox_of(link: JSON) -> Any:
    return as_object(link.get("inbox")).get("id")


def _since(receiver: Receiver) -> datetime | None:
    with work(receiver.tenant_id, write=False) as session:
        row = _row(session, receiver)
        return None if row is None else as_time(row.position.get("at"))


def _move(receiver: Receiver, at: datetime, *, recovered: int = 0) -> None:
    with work(receiver.tenant_id) as session:
        row = _row(session, receiver)
        if row is None:
            row = ChatwootCursor(name=f"{CURSOR}{receiver.account_ref}", position={})
            session.add(row)
        before = row.position.get("at")
        later = at.isoformat() if before is None or datetime.fromisoformat(before) < at else before
        row.position = {"at": later, "recovered": int(row.position.get("recovered", 0)) + recovered}


def _row(session: Session, receiver: Receiver) -> ChatwootCursor | None:
    return session.scalar(select(ChatwootCursor).where(ChatwootCursor.name == f"{CURSOR}{receiver.account_ref}"))
