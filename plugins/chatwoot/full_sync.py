"""Writing the attributes of all clients, and linking those whose contact is not known yet: slow, and interruptible."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Client
from citaplanner_core.database import work
from plugins.chatwoot import contacts, identity, matcher
from plugins.chatwoot.accounts import Account, client_for, effective
from plugins.chatwoot.api import (
    JSON,
    ChatwootClient,
    ChatwootError,
    RateLimited,
    Unauthorized,
    Unavailable,
    WrongServer,
)
from plugins.chatwoot.contacts import Address, parse_address
from plugins.chatwoot.locks import Busy, exclusive
from plugins.chatwoot.models import ChatwootContact, ChatwootCursor
from plugins.chatwoot.sync import push

CURSOR = "sync_all"
PAGE = 50
CALLS_PER_MINUTE = 1500
"""Half of what Chatwoot takes from one address (`RACK_ATTACK_LIMIT`), so that messages get through meanwhile."""
_BURST_SECONDS = 2.0
_CARRIERS = frozenset({"Channel::Whatsapp", "Channel::Sms", "Channel::TwilioSms"})


@dataclass(slots=True)
class Totals:
    """What a full sync did. `skipped` are clients without a contact that surely is theirs; `after` is where it is."""

    total: int = 0
    synced: int = 0
    skipped: int = 0
    errors: int = 0
    after: int = 0
    resumed: bool = False

    @property
    def done(self) -> int:
        """How many clients were looked at."""
        return self.synced + self.skipped + self.errors


@dataclass(slots=True)
class _Pace:
    """Keeps calls below the limit, with a short burst at the start."""

    sleep: Callable[[float], None]
    free_at: float = field(default_factory=time.monotonic)

    def spend(self, calls: int) -> None:
        now = time.monotonic()
        self.free_at = max(self.free_at, now - _BURST_SECONDS) + calls * 60 / CALLS_PER_MINUTE
        if self.free_at > now:
            self.sleep(self.free_at - now)


@dataclass(frozen=True, slots=True)
class _Run:
    tenant_id: int
    account: Account
    api: ChatwootClient
    may_create: bool
    pace: _Pace


def sync_all(
    tenant_id: int,
    progress: Callable[[Totals], None] = lambda totals: None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Totals:
    """Bring the contacts of all active clients up to date, outside any unit of work; return what was done.

    Contacts that hold a number which surely is one client's alone are linked, and made where the inbox vouches for
    numbers. An interrupted run goes on where it stopped. A full minute is waited for when Chatwoot has enough; what
    concerns one client counts as an error and the others go on. `progress` is called after each client. Raises
    `IncompleteAccount`, and `Unauthorized`, `Unavailable` or `WrongServer` when going on makes no sense.
    """
    with work(tenant_id, write=False) as session:
        account = effective(session)
        totals = _load(session)
        totals.total = session.scalars(select(func.count(Client.id)).where(Client.active)).one()
    api = client_for(account)
    try:
        run = _Run(tenant_id, account, api, _vouches(account, api), _Pace(sleep))
        while page := _page(tenant_id, totals.after):
            for client_id in page:
                _one(run, client_id, totals, sleep)
                totals.after = client_id
                progress(totals)
            _save(tenant_id, totals)
    except BaseException:
        _save(tenant_id, totals)
        raise
    finally:
        api.close()
    with work(tenant_id) as session:
        session.execute(delete(ChatwootCursor).where(ChatwootCursor.name == CURSOR))
    return totals


def _load(session: Session) -> Totals:
    row = session.scalar(select(ChatwootCursor).where(ChatwootCursor.name == CURSOR))
    return Totals(**{**row.position, "resumed": True}) if row else Totals()


def _save(tenant_id: int, totals: Totals) -> None:
    with work(tenant_id) as session:
        row = session.scalar(select(ChatwootCursor).where(ChatwootCursor.name == CURSOR))
        if row is None:
            row = ChatwootCursor(name=CURSOR)
            session.add(row)
        row.position = asdict(totals)


def _page(tenant_id: int, after: int) -> list[int]:
    with work(tenant_id, write=False) as session:
        wanted = select(Client.id).where(Client.active, Client.id > after).order_by(Client.id).limit(PAGE)
        return list(session.scalars(wanted))


def _vouches(account: Account, api: ChatwootClient) -> bool:
    """Tell whether the inbox we write from is there and vouches for the numbers of those who write in it."""
    inboxes = [inbox for inbox in api.list_inboxes() if inbox["id"] == account.inbox_id]
    return bool(inboxes) and _trust_in(account, inboxes[0]) == "proven"


def _trust_in(account: Account, inbox: JSON) -> matcher.Trust:
    return matcher.trust_of(account, {"inbox_id": inbox.get("id"), "channel": inbox.get("channel_type")})


def _one(run: _Run, client_id: int, totals: Totals, sleep: Callable[[float], None]) -> None:
    while True:
        try:
            done = _bring_up_to_date(run, client_id)
        except RateLimited as error:
            sleep(error.retry_after)
            continue
        except Busy:
            sleep(1)
            continue
        except (Unauthorized, Unavailable, WrongServer):
            raise
        except ChatwootError:
            totals.errors += 1
            return
        totals.synced += done
        totals.skipped += not done
        return


def _bring_up_to_date(run: _Run, client_id: int) -> bool:
    with work(run.tenant_id, write=False) as session:
        linked = session.execute(
            select(ChatwootContact.id, ChatwootContact.account_ref).where(
                ChatwootContact.client_id == client_id, ChatwootContact.trust == "proven"
            )
        ).all()
        address = None if linked else _certain_address(session, client_id)
    if address is not None and (row_id := _find_and_link(run, client_id, address)) is not None:
        run.pace.spend(push(run.tenant_id, row_id, run.api))
        return True
    for row_id, ref in linked:
        run.pace.spend(push(run.tenant_id, row_id, run.api if ref == run.account.ref else None))
    return bool(linked)


def _certain_address(session: Session, client_id: int) -> Address | None:
    """Return the client's first number that is surely theirs alone."""
    for phone in session.get_one(Client, client_id).phones:
        address = parse_address(phone.e164)
        if address is not None and contacts.is_only_theirs(session, client_id, address):
            return address
    return None


def _find_and_link(run: _Run, client_id: int, address: Address) -> int | None:
    """Return our row of the client's contact, linked; None when no contact surely is theirs."""
    found = contacts.holders(run.api, address)
    run.pace.spend(1)
    if not found and not run.may_create:
        return None
    contact = next((one for one in found if _is_proven(run.account, one, address)), None)
    if found and contact is None:
        return None
    if contact is None:
        with work(run.tenant_id, write=False) as session:
            name = session.get_one(Client, client_id).name
        identifier = identity.client_identifier(run.tenant_id, client_id)
        with exclusive(run.tenant_id, f"{run.account.ref} {address.key}"):
            contact = next(iter(contacts.holders(run.api, address)), None) or contacts.make(
                run.api, address, inbox_id=run.account.inbox_id, name=name, identifier=identifier
            )
        run.pace.spend(3)
    with work(run.tenant_id) as session:
        row = identity.contact_row(session, account_ref=run.account.ref, contact_id=contact["id"])
        if row.client_id not in (None, client_id):
            return None
        return identity.link(
            session, account_ref=run.account.ref, contact_id=contact["id"], client_id=client_id, rule="phone"
        ).id


def _is_proven(account: Account, contact: JSON, address: Address) -> bool:
    """Tell whether one of the contact's inboxes vouches for this number: the channel's address is it."""
    for link in contact.get("contact_inboxes") or []:
        inbox = link.get("inbox") or {}
        if _trust_in(account, inbox) != "proven":
            continue
        source = parse_address(str(link.get("source_id") or ""))
        if inbox.get("channel_type") not in _CARRIERS or (source is not None and source.key == address.key):
            return True
    return False
