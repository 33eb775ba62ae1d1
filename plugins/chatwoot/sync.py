"""Keeping the attributes on Chatwoot's contacts as the booking side has them.

Only differences to what was written last are written, and only on contacts that surely are the client. What belongs
to somebody else by now is taken away. A contact's name, e-mail and phone are the agents' and never touched.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import find_by_match_key
from citaplanner_core.booking.models import Client, ClientPhone
from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.types import AppointmentEvent, JobContext, Retry
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.phones import parse_phone
from plugins.chatwoot import contacts, identity
from plugins.chatwoot.accounts import Account, IncompleteAccount, client_for, effective
from plugins.chatwoot.api import ChatwootClient, NotFound, OutcomeUnknown, RateLimited, Unavailable
from plugins.chatwoot.attributes import attributes_of
from plugins.chatwoot.models import ChatwootConfig, ChatwootContact

SYNC = "sync_contact"
DEBOUNCE = timedelta(seconds=1)


def enqueue_sync(session: Session, client_id: int) -> None:
    """Have the contacts of a client written soon; what happens until then is written in one go."""
    due = database_now(session) + DEBOUNCE
    key = f"{SYNC}:{client_id}"
    enqueue(session, SYNC, {"client_id": client_id}, plugin="chatwoot", due=due, dedupe_key=key)


def enqueue_contact_sync(session: Session, row: ChatwootContact) -> None:
    """Have one contact written soon; to be called after its link was changed or taken away."""
    key = f"{SYNC}:contact:{row.id}"
    enqueue(session, SYNC, {"contact": row.id}, plugin="chatwoot", dedupe_key=key)


def on_appointment(event: AppointmentEvent) -> None:
    """Have the client's contacts written after a change of an appointment, if there are any."""
    with work(event.tenant_id) as session:
        linked = select(ChatwootContact.id).where(ChatwootContact.client_id == event.client_id).limit(1)
        if session.scalar(linked) is not None:
            enqueue_sync(session, event.client_id)


def sync_contact(context: JobContext) -> None:
    """Job: write the contacts of a client (`client_id` in the payload), or one contact (`contact`, the id of our row).

    Asks to come again when Chatwoot cannot be reached or has enough; ends quietly where the account is not connected.
    """
    with work(context.tenant_id, write=False) as session:
        if "contact" in context.payload:
            rows = [int(context.payload["contact"])]
        else:
            client_id = int(context.payload["client_id"])
            rows = list(session.scalars(select(ChatwootContact.id).where(ChatwootContact.client_id == client_id)))
    for row_id in rows:
        try:
            push(context.tenant_id, row_id)
        except RateLimited as error:
            raise Retry(str(error), after=error.retry_after) from error
        except (Unavailable, OutcomeUnknown) as error:
            raise Retry(str(error)) from error


def push(tenant_id: int, row_id: int, api: ChatwootClient | None = None) -> bool:
    """Write what differs on one contact, outside any unit of work; return whether something was written.

    In: the id of our row; `api` when the caller has the account's client. Raises the client's errors.
    """
    with work(tenant_id, write=False) as session:
        row: ChatwootContact | None = session.get(ChatwootContact, row_id)
        if row is None:
            return False
        ref, contact_id, client_id = row.account_ref, row.contact_id, row.client_id
        client = _certain_client(session, row)
        shared = client is not None and row.rule != identity.AGENT and _shares_a_number(session, client)
        wanted = attributes_of(session, client) if client else {}
        changes = _differences(wanted, row.pushed)
        account = _account_of(session, ref) if changes and api is None else None
    if not changes or (api is None and account is None):
        return False
    own = client_for(account) if account else None
    used = own or api
    assert used is not None
    try:
        if shared and _is_anothers(tenant_id, used, contact_id, client_id):
            with work(tenant_id) as session:
                identity.unlink(session, account_ref=ref, contact_id=contact_id)
                changes = _differences({}, session.get_one(ChatwootContact, row_id).pushed)
        if changes:
            used.update_contact(contact_id, custom_attributes=changes)
    except NotFound:
        with work(tenant_id) as session:
            contacts.forget(session, account_ref=ref, contact_id=contact_id)
        return False
    finally:
        if own is not None:
            own.close()
    with work(tenant_id) as session:
        _remember(session, row_id, changes)
    return bool(changes)


def _certain_client(session: Session, row: ChatwootContact) -> Client | None:
    if row.client_id is None or row.trust != "proven":
        return None
    client: Client | None = session.get(Client, row.client_id)
    return client if client is not None and client.active else None


def _differences(wanted: dict[str, Any], pushed: dict[str, Any]) -> dict[str, Any]:
    """Return what to write; None takes a value away, since Chatwoot merges and never removes a key."""
    return {key: wanted.get(key) for key in {**pushed, **wanted} if wanted.get(key) != pushed.get(key)}


def _shares_a_number(session: Session, client: Client) -> bool:
    keys = [phone.match_key for phone in client.phones]
    other = (
        select(ClientPhone.id)
        .join(Client, Client.id == ClientPhone.client_id)
        .where(ClientPhone.match_key.in_(keys), ClientPhone.client_id != client.id, Client.active)
    )
    return session.scalar(other.limit(1)) is not None


def _is_anothers(tenant_id: int, api: ChatwootClient, contact_id: int, client_id: int | None) -> bool:
    """Tell whether the contact's number is another client's too, or instead, by now."""
    number = parse_phone(str(api.get_contact(contact_id).get("phone_number") or ""))
    if number is None:
        return False
    with work(tenant_id, write=False) as session:
        return [client.id for client in find_by_match_key(session, number.match_key)] != [client_id]


def _account_of(session: Session, ref: str) -> Account | None:
    """Return the tenant's account of this name, whichever branch it serves; None when it is not connected any more."""
    branches = session.scalars(select(ChatwootConfig.branch_id).where(ChatwootConfig.is_active)).all()
    for branch_id in dict.fromkeys([None, *branches]):
        try:
            account = effective(session, branch_id)
        except IncompleteAccount:
            continue
        if account.ref == ref:
            return account
    return None


def _remember(session: Session, row_id: int, changes: dict[str, Any]) -> None:
    row: ChatwootContact | None = session.get(ChatwootContact, row_id)
    if row is None:
        return
    row.pushed = {key: value for key, value in {**row.pushed, **changes}.items() if value is not None}
    start = changes.get("next_appointment")
    if start and row.client_id is not None:
        # At that time it becomes the last appointment, though nothing happens to it.
        enqueue(
            session,
            SYNC,
            {"client_id": row.client_id},
            plugin="chatwoot",
            due=datetime.fromisoformat(start),
            dedupe_key=f"{SYNC}:{row.client_id}:{start}",
        )
