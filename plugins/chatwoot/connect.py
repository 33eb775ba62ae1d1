"""Connecting a tenant or a branch to a Chatwoot account, step by step, and undoing it.

Used by the command line and the demo.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Tenant
from citaplanner_core.config import Config
from citaplanner_core.crypto import new_token
from citaplanner_core.database import work
from plugins.chatwoot.accounts import Account, account_ref
from plugins.chatwoot.api import JSON, ChatwootClient, ChatwootError, NotFound
from plugins.chatwoot.attributes import NAMES
from plugins.chatwoot.conversations import WINDOWED
from plugins.chatwoot.inspection import Found, Problem, inspect, opened
from plugins.chatwoot.matcher import trust_of
from plugins.chatwoot.models import ChatwootConfig
from plugins.chatwoot.whatsapp import WHATSAPP, templates_in

PATH = "/api/webhooks/chatwoot"
WEBHOOK_NAME = "CitaPlanner"
SUBSCRIPTIONS = (
    "message_created",
    "message_updated",
    "conversation_created",
    "conversation_updated",
    "conversation_status_changed",
    "contact_created",
    "contact_updated",
)
API_INBOX = "Channel::Api"
STEP_OF = {"api_url": "address", "api_token": "token", "account_id": "account", "inbox_id": "inbox"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of connecting: what it was, whether it is done, and what was found or what to do about it."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What to connect: an account and inbox for a tenant, or for one of its branches.

    `trust` says whether the inbox vouches for who writes in it; None leaves what stands. `public_url` is where
    Chatwoot reaches us; None is the deployment's address.
    """

    tenant_id: int
    base_url: str
    account_id: int
    inbox_id: int
    access_token: str = field(repr=False)
    branch_id: int | None = None
    trust: Literal["proven", "claimed"] | None = None
    public_url: str | None = None


def connect(wish: Wish) -> Iterator[Step]:
    """Connect, outside any unit of work, giving each step as it is done; may be repeated without making doubles.

    Stops after a step without which the others make no sense. What is left undone says how to do it by hand.
    """
    account = Account(
        base_url=wish.base_url.strip().rstrip("/"),
        account_id=wish.account_id,
        inbox_id=wish.inbox_id,
        access_token=wish.access_token.strip(),
        inbox_trust={str(wish.inbox_id): wish.trust} if wish.trust else {},
        enabled=True,
        sources={},
    )
    try:
        with opened(account) as api:
            yield from _steps(wish, account, api)
    except Problem as problem:
        yield Step(STEP_OF[problem.field], False, problem.english)


def _steps(wish: Wish, account: Account, api: ChatwootClient) -> Iterator[Step]:
    found = inspect(api, account.base_url, account.account_id, account.inbox_id)
    yield Step("address", True, f"{account.base_url} is a Chatwoot {found.version}")
    role = "an administrator" if found.administrator else "an agent"
    yield Step("account", True, f"{found.user} is {role} of account {account.account_id}")
    with work(wish.tenant_id) as session:
        row = _store(session, wish, account, found.inbox)
        account = replace(account, inbox_trust=row.inbox_trust)
        key, config_id, webhook_id = row.webhook_key, row.id, row.webhook_id
        shared = _served_elsewhere(session, row, account)
    yield Step("inbox", True, about_inbox(account, found.inbox))
    if not found.administrator:
        url = f"{_public_url(wish)}{PATH}/{key}"
        yield Step(
            "webhook",
            False,
            f"only an administrator may make it: have one add {url} under Settings > Integrations > Webhooks,"
            f" with {', '.join(SUBSCRIPTIONS)}, or connect with an administrator's token",
        )
        yield Step("attributes", False, "only an administrator may name them; agents see them without names")
        return
    if shared:
        yield Step("webhook", True, "the one of the tenant serves this account")
    else:
        yield _webhook(wish, account, api, found, config_id, key, webhook_id)
    yield _definitions(wish.tenant_id, api)


def _store(session: Session, wish: Wish, account: Account, inbox: JSON) -> ChatwootConfig:
    row = _row(session, wish.branch_id)
    if row is None:
        key, key_hash = new_token()
        row = ChatwootConfig(branch_id=wish.branch_id, webhook_key=key, webhook_key_hash=key_hash, inbox_trust={})
        session.add(row)
    if (row.base_url, row.account_id) != (account.base_url, account.account_id):
        row.webhook_id = row.webhook_secret = row.previous_webhook_secret = None
        row.inbox_trust = {}
    row.base_url, row.account_id, row.inbox_id = account.base_url, account.account_id, account.inbox_id
    row.api_access_token, row.is_active = account.access_token, True
    row.inbox_webhook_secret = str(inbox["secret"]) if inbox.get("secret") else None
    row.inbox_trust = {**row.inbox_trust, **account.inbox_trust}
    session.flush()
    return row


def _row(session: Session, branch_id: int | None) -> ChatwootConfig | None:
    return session.scalar(select(ChatwootConfig).where(ChatwootConfig.branch_id.is_not_distinct_from(branch_id)))


def _served_elsewhere(session: Session, row: ChatwootConfig, account: Account) -> bool:
    """Tell whether the webhook of another configuration of this tenant reports the same account already."""
    others = session.scalars(select(ChatwootConfig).where(ChatwootConfig.is_active, ChatwootConfig.id != row.id))
    return any(
        other.webhook_id
        and other.base_url
        and other.account_id
        and account_ref(other.base_url, other.account_id) == account.ref
        for other in others
    )


def about_inbox(account: Account, inbox: JSON) -> str:
    kind = str(inbox.get("channel_type") or "").removeprefix("Channel::")
    text = f"{inbox['id']} {inbox.get('name')} ({kind})"
    if inbox.get("channel_type") in WINDOWED or inbox.get("medium") == "whatsapp":
        text += "; clients get messages here only within 24 hours after they wrote"
    if inbox.get("channel_type") == WHATSAPP:
        found = templates_in(inbox)
        approved = sum(one.status == "APPROVED" for one in found)
        text += f", later by template: {approved} of {len(found)} are approved, see `chatwoot templates list`"
    trust = trust_of(account, {"inbox_id": inbox["id"], "channel": inbox.get("channel_type")})
    if trust == "claimed":
        text += "; who writes here only claims to be somebody"
        if inbox.get("channel_type") == API_INBOX:
            text += ": if a WhatsApp bridge feeds it, connect again with --trust proven"
    return text


def _public_url(wish: Wish) -> str:
    config: Config = current_app.config["CITAPLANNER"]
    return (wish.public_url or config.base_url).rstrip("/")


def _webhook(
    wish: Wish, account: Account, api: ChatwootClient, found: Found, config_id: int, key: str, webhook_id: int | None
) -> Step:
    url = f"{_public_url(wish)}{PATH}/{key}"
    try:
        webhook = _make_webhook(api, url, key, webhook_id)
    except ChatwootError as error:
        return Step("webhook", False, f"{error}: Chatwoot must accept {url}; is CITAPLANNER_PUBLIC_URL right?")
    secret = str(webhook.get("secret") or "") or None
    with work(wish.tenant_id) as session:
        row = session.get_one(ChatwootConfig, config_id)
        row.webhook_id = webhook["id"]
        if row.webhook_secret and row.webhook_secret != secret:
            row.previous_webhook_secret = row.webhook_secret
        row.webhook_secret = secret
    if secret is None:
        return Step(
            "webhook",
            False,
            f"made, but this Chatwoot does not sign ({found.version}; signed since 4.11.2): update it, or allow"
            " unsigned webhooks",
        )
    return Step("webhook", True, f"Chatwoot reports to {_public_url(wish)}{PATH}/…, signed")


def _make_webhook(api: ChatwootClient, url: str, key: str, webhook_id: int | None) -> JSON:
    """Return our webhook as it should be: the one of this key, wherever it pointed, else a new one; never two."""
    ours = [one for one in api.list_webhooks() if str(one.get("url") or "").endswith(f"{PATH}/{key}")]
    ours.sort(key=lambda one: one["id"] != webhook_id)
    for spare in ours[1:]:
        api.delete_webhook(spare["id"])
    if not ours:
        return api.create_webhook(url, SUBSCRIPTIONS, name=WEBHOOK_NAME)
    webhook = ours[0]
    if webhook.get("url") == url and set(webhook.get("subscriptions") or []) >= set(SUBSCRIPTIONS):
        return webhook
    return api.update_webhook(webhook["id"], url, SUBSCRIPTIONS, name=WEBHOOK_NAME)


def _definitions(tenant_id: int, api: ChatwootClient) -> Step:
    with work(tenant_id, write=False) as session:
        spanish = session.get_one(Tenant, tenant_id).language == "es"
    try:
        for key, (display_type, in_spanish, in_english) in NAMES.items():
            api.upsert_attribute_definition(key, in_spanish if spanish else in_english, display_type=display_type)
    except ChatwootError as error:
        return Step("attributes", False, f"{error}: connect again, or name them in Chatwoot's settings")
    return Step("attributes", True, f"{len(NAMES)} contact attributes have names in Chatwoot")


def disconnect(tenant_id: int, branch_id: int | None = None) -> Iterator[Step]:
    """Undo `connect`: take the webhook away and forget token and secrets. Links and what was said stay."""
    with work(tenant_id, write=False) as session:
        row = _row(session, branch_id)
        if row is None or not row.is_active:
            yield Step("account", False, "nothing is connected here")
            return
        webhook_id = row.webhook_id
        account = Account(
            row.base_url or "", row.account_id or 0, row.inbox_id or 0, row.api_access_token or "", {}, True, {}
        )
    if webhook_id is not None:
        yield _remove_webhook(account, webhook_id)
    with work(tenant_id) as session:
        row = _row(session, branch_id)
        if row is not None:
            row.is_active, row.api_access_token, row.webhook_id = False, None, None
            row.webhook_secret = row.previous_webhook_secret = row.inbox_webhook_secret = None
    yield Step("account", True, "disconnected; token and secrets are forgotten")


def _remove_webhook(account: Account, webhook_id: int) -> Step:
    try:
        with opened(account) as api, suppress(NotFound):
            api.delete_webhook(webhook_id)
    except (ChatwootError, Problem) as error:
        return Step("webhook", False, f"{error}: remove it in Chatwoot under Settings > Integrations > Webhooks")
    return Step("webhook", True, "removed from Chatwoot")
