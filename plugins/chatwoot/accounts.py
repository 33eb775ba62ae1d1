"""Which Chatwoot account serves a tenant or a branch: one resolver, the most specific value wins.

Order: the branch's configuration, the tenant's notification settings, the tenant's configuration, the environment.
A lower layer lends a field only to its own server and account, so that a token never reaches another server.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Tenant
from citaplanner_core.config import Config
from citaplanner_core.hooks import settings
from citaplanner_core.hooks.settings import SettingsError
from citaplanner_core.http import outbound
from plugins.chatwoot.api import ChatwootClient
from plugins.chatwoot.models import ChatwootConfig

DEFAULT_URL = "https://app.chatwoot.com"
VARIABLES = {
    "base_url": "CHATWOOT_API_URL",
    "access_token": "CHATWOOT_API_ACCESS_TOKEN",
    "account_id": "CHATWOOT_ACCOUNT_ID",
    "inbox_id": "CHATWOOT_INBOX_ID",
}
FIELDS = tuple(VARIABLES)


class IncompleteAccount(Exception):
    """No complete Chatwoot account serves this tenant or branch; `fields` are the missing ones."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(
            f"Chatwoot is not connected: {', '.join(fields)} missing (see `citaplanner chatwoot config show`)"
        )
        self.fields = tuple(fields)


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place gives; None = not given here. `source` is shown to people, `inbox_trust` is `ChatwootConfig`'s."""

    source: str
    base_url: str | None = None
    account_id: int | None = None
    inbox_id: int | None = None
    access_token: str | None = field(default=None, repr=False)
    inbox_trust: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """A complete Chatwoot account with the inbox to write from. `sources` tells where each field came from.

    `inbox_trust` says of this account's inboxes, by id, what the configuration says.
    """

    base_url: str
    account_id: int
    inbox_id: int
    access_token: str = field(repr=False)
    inbox_trust: Mapping[str, str]
    enabled: bool
    sources: dict[str, str]

    @property
    def ref(self) -> str:
        """The account's name across servers, as stored in `account_ref`."""
        return account_ref(self.base_url, self.account_id)


def account_ref(base_url: str, account_id: int) -> str:
    """Name an account across servers."""
    return f"{base_url.rstrip('/')}#{account_id}"


def environment_layer() -> Layer:
    """Return what the environment gives; its server is the hosted one unless it names another."""
    values = {name: os.environ.get(variable, "").strip() for name, variable in VARIABLES.items()}
    for name in ("account_id", "inbox_id"):
        if values[name] and not values[name].isdigit():
            raise SettingsError({VARIABLES[name]: "must be a whole number"})
    given = any(values[name] for name in FIELDS)
    return Layer(
        "environment",
        base_url=(values["base_url"] or DEFAULT_URL).rstrip("/") if given else None,
        account_id=int(values["account_id"]) if values["account_id"] else None,
        inbox_id=int(values["inbox_id"]) if values["inbox_id"] else None,
        access_token=values["access_token"] or None,
    )


def environment_speaks_of(base_url: str | None, account_id: int | None, inbox_id: int | None = None) -> bool:
    """Tell whether what the environment says applies here: each of server, account and inbox that it names is this.

    A part that is None here is not compared.
    """
    layer = environment_layer()
    pairs = (
        (layer.base_url, base_url.rstrip("/") if base_url else None),
        (layer.account_id, account_id),
        (layer.inbox_id, inbox_id),
    )
    return all(theirs is None or ours is None or theirs == ours for theirs, ours in pairs)


def _config_layer(row: ChatwootConfig, source: str) -> Layer:
    return Layer(
        source,
        base_url=row.base_url.rstrip("/") if row.base_url else None,
        account_id=row.account_id,
        inbox_id=row.inbox_id,
        access_token=row.api_access_token,
        inbox_trust=row.inbox_trust,
    )


def environment_serves(session: Session) -> bool:
    """Tell whether the environment's account is this tenant's: it is the only one here, or opted in."""
    if settings.read(session, "chatwoot").get("use_environment"):
        return True
    return session.scalar(select(func.count()).select_from(Tenant).where(Tenant.active)) == 1


def layers(session: Session, branch_id: int | None = None) -> tuple[list[Layer], bool]:
    """Return the layers for the session's tenant, most specific first, and whether notifications are on."""
    rows = {row.branch_id: row for row in session.scalars(select(ChatwootConfig).where(ChatwootConfig.is_active))}
    found: list[Layer] = []
    own = rows.get(branch_id) if branch_id is not None else None
    if own is not None:
        found.append(_config_layer(own, "branch configuration"))
    given = settings.read(session, "chatwoot")
    found.append(
        Layer(
            "notification settings",
            base_url=(given["api_url"] or "").rstrip("/") or None,
            account_id=given["account_id"],
            inbox_id=given["inbox_id"],
            access_token=given["api_token"],
        )
    )
    whole = rows.get(None)
    if whole is not None:
        found.append(_config_layer(whole, "tenant configuration"))
    if environment_serves(session):
        found.append(environment_layer())
    used = own or whole
    return found, bool(given["enabled"]) and (used is None or used.enable_notifications)


def merge(found: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Merge layers, most specific first: ({field: value or None, "inbox_trust": …}, {field: source}).

    Each layer speaks of a server and account: its own, else those of the layer below it. Only layers that speak of the
    same server and account as the first lend it anything.
    """
    speaks_of: list[tuple[tuple[str | None, str], tuple[int | None, str]]] = []
    for layer in reversed(found):
        below = speaks_of[-1] if speaks_of else ((DEFAULT_URL, "default"), (None, ""))
        server = (layer.base_url, layer.source) if layer.base_url else below[0]
        same = server[0] == below[0][0]
        account = (layer.account_id, layer.source) if layer.account_id else below[1] if same else (None, "")
        speaks_of.append((server, account))
    speaks_of.reverse()
    server, account = speaks_of[0] if speaks_of else ((DEFAULT_URL, "default"), (None, ""))
    values: dict[str, Any] = {"base_url": server[0], "account_id": account[0], "inbox_id": None, "access_token": None}
    values["inbox_trust"] = {}
    sources = {"base_url": server[1]} | ({"account_id": account[1]} if account[0] else {})
    for layer, (its_server, its_account) in zip(found, speaks_of, strict=True):
        if (its_server[0], its_account[0]) != (server[0], account[0]):
            continue
        for name in ("inbox_id", "access_token"):
            if values[name] is None and getattr(layer, name) is not None:
                values[name], sources[name] = getattr(layer, name), layer.source
        values["inbox_trust"] = {**layer.inbox_trust, **values["inbox_trust"]}
    return values, sources


def effective(session: Session, branch_id: int | None = None) -> Account:
    """Return the account that serves the session's tenant, or its branch; raise `IncompleteAccount`."""
    found, enabled = layers(session, branch_id)
    values, sources = merge(found)
    if missing := [name for name in FIELDS if values[name] is None]:
        raise IncompleteAccount(missing)
    return Account(**values, enabled=enabled, sources=sources)


def client_for(account: Account) -> ChatwootClient:
    """Return a client of this account; one per use, never shared between tenants."""
    config: Config = current_app.config["CITAPLANNER"]
    return ChatwootClient(
        account.base_url,
        account.account_id,
        account.access_token,
        session=outbound(allowed_private_hosts=config.allowed_private_hosts),
    )
