"""Whose a webhook is: the tenant's account it is for, and what it must be signed with.

Finding that takes several queries and decrypting, so it is kept for some seconds. Only good news may be old: whoever
is about to refuse a webhook asks again with `fresh=True`, so that a new account or secret counts at once.
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Tenant
from citaplanner_core.crypto import hash_token
from citaplanner_core.database import system_work, work
from citaplanner_core.hooks import settings
from citaplanner_core.hooks.dispatch import enabled_plugins
from citaplanner_core.hooks.models import PluginSetting
from plugins.chatwoot import accounts
from plugins.chatwoot.events import Event, as_id
from plugins.chatwoot.models import ChatwootConfig

PLUGIN = "chatwoot"
SIGNING_VARIABLE = "CHATWOOT_WEBHOOK_SECRET"
UNSIGNED_VARIABLE = "CHATWOOT_ALLOW_UNSIGNED"
KEPT_SECONDS = 3.0
_MOST_KEPT = 1000
_MOST_TENANTS = 20
_EXTENSION = "citaplanner.chatwoot.receivers"


@dataclass(frozen=True, slots=True)
class Receiver:
    """One account of one tenant, whoever of the tenant's branches share it.

    `inboxes` maps the inboxes they use to the configuration each belongs to: None, as in `config_id`, is an account
    given by settings or the environment. No inbox at all stands for all of the account's.
    """

    tenant_id: int
    account_ref: str
    account_id: int | None
    config_id: int | None
    config_ids: frozenset[int]
    inboxes: Mapping[int, int | None]
    secrets: tuple[bytes, ...] = field(repr=False)
    allow_unsigned: bool
    switched_on: bool

    def owns(self, event: Event) -> bool:
        """Tell whether an event is of this account and its inboxes, as far as it says."""
        if self.account_id is None or event.account_id not in (None, self.account_id):
            return False
        return event.inbox_id is None or not self.inboxes or event.inbox_id in self.inboxes

    def config_of(self, event: Event) -> int | None:
        """Return the id of the configuration an event belongs to."""
        return self.config_id if event.inbox_id is None else self.inboxes.get(event.inbox_id, self.config_id)


def by_key(key: str, *, fresh: bool = False) -> Receiver | None:
    """Return the receiver named by the key in a webhook's address, None for an unknown key."""
    key_hash = hash_token(key)
    return _kept(("key", key_hash), lambda: _find_by_key(key_hash), fresh=fresh)


def by_body(event: Event, *, fresh: bool = False) -> Receiver | None:
    """Return the receiver that owns an event's account and inbox; None when nobody does, or several do."""
    place = ("body", event.account_id, event.inbox_id)
    return _kept(place, lambda: _find_by_body(event), fresh=fresh)


def _kept(place: tuple[Any, ...], find: Callable[[], Receiver | None], *, fresh: bool) -> Receiver | None:
    kept: dict[tuple[Any, ...], tuple[float, Receiver]] = current_app.extensions.setdefault(_EXTENSION, {})
    now = time.monotonic()
    entry = None if fresh else kept.get(place)
    if entry is not None:
        if now - entry[0] < KEPT_SECONDS:
            return entry[1]
        kept[place] = (now, entry[1])  # one asks again, those who come meanwhile need not wait
    found = find()
    if found is None:
        kept.pop(place, None)
        return None
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[place] = (now, found)
    return found


def _find_by_key(key_hash: str) -> Receiver | None:
    with system_work("whose webhook key this is") as session:
        row = session.execute(
            select(ChatwootConfig.tenant_id, ChatwootConfig.id)
            .join(Tenant, Tenant.id == ChatwootConfig.tenant_id)
            .where(ChatwootConfig.webhook_key_hash == key_hash, ChatwootConfig.is_active, Tenant.active)
        ).first()
    if row is None:
        return None
    return next((one for one in of_tenant(row.tenant_id) if row.id in one.config_ids), None)


def _find_by_body(event: Event) -> Receiver | None:
    if event.account_id is None and event.inbox_id is None:
        return None
    with system_work("whose Chatwoot account this is") as session:
        tenants = _candidates(session, event)
    if len(tenants) > _MOST_TENANTS:
        return None
    found = [one for tenant_id in tenants for one in of_tenant(tenant_id) if one.owns(event)]
    return found[0] if len(found) == 1 else None


def _candidates(session: Session, event: Event) -> list[int]:
    """Every active tenant that has the event's account or inbox in one place or other; `of_tenant` tells for sure."""
    if event.account_id is not None:
        named = ChatwootConfig.account_id == event.account_id
    else:
        named = ChatwootConfig.inbox_id == event.inbox_id
    inboxes: dict[int, set[int | None]] = defaultdict(set)
    for tenant_id, inbox_id, trust in session.execute(
        select(ChatwootConfig.tenant_id, ChatwootConfig.inbox_id, ChatwootConfig.inbox_trust).where(
            ChatwootConfig.is_active, ChatwootConfig.tenant_id.in_(select(ChatwootConfig.tenant_id).where(named))
        )
    ):
        inboxes[tenant_id] |= {inbox_id, *map(as_id, trust or ())}
    wanted = event.inbox_id
    found = {tenant for tenant, its in inboxes.items() if wanted is None or wanted in its or its == {None}}
    values = {"account_id": event.account_id, "inbox_id": wanted, "use_environment": True}
    layer = accounts.environment_layer()
    in_environment = event.account_id == layer.account_id if event.account_id is not None else wanted == layer.inbox_id
    for tenant_id, key, value in session.execute(
        select(PluginSetting.tenant_id, PluginSetting.key, PluginSetting.value).where(
            PluginSetting.plugin == PLUGIN, PluginSetting.key.in_(values)
        )
    ):
        if value is not None and value == values[key] and (in_environment or key != "use_environment"):
            found.add(tenant_id)
    active = select(Tenant.id).where(Tenant.active)
    if in_environment:
        everybody = session.scalars(active.limit(2)).all()
        found |= set(everybody) if len(everybody) == 1 else set()
    return list(session.scalars(active.where(Tenant.id.in_(found)).limit(_MOST_TENANTS + 1)))


def of_tenant(tenant_id: int) -> list[Receiver]:
    """Every account of a tenant."""
    with work(tenant_id, write=False) as session:
        switched_on = PLUGIN in enabled_plugins(session)
        rows = {row.branch_id: row for row in session.scalars(select(ChatwootConfig).where(ChatwootConfig.is_active))}
        found: dict[str, Receiver] = {}
        for branch_id in sorted({None, *rows}, key=lambda branch_id: branch_id or 0):
            row = rows.get(branch_id)
            values, _ = accounts.merge(accounts.layers(session, branch_id)[0])
            if row is None and values["account_id"] is None:
                continue
            one = _receiver(tenant_id, row, values, switched_on=switched_on)
            known = found.get(one.account_ref)
            found[one.account_ref] = one if known is None else _together(known, one)
    return list(found.values())


def _receiver(tenant_id: int, row: ChatwootConfig | None, values: Mapping[str, Any], *, switched_on: bool) -> Receiver:
    base_url, account_id = values["base_url"], values["account_id"]
    secrets, allow_unsigned, inboxes = [], False, [values["inbox_id"]]
    if row is not None:
        secrets += [row.webhook_secret, row.previous_webhook_secret, row.inbox_webhook_secret]
        allow_unsigned = row.allow_unsigned
        inboxes += map(as_id, row.inbox_trust or ())
    if accounts.environment_speaks_of(base_url, account_id):
        secrets.append(os.environ.get(SIGNING_VARIABLE, "").strip())
        allow_unsigned |= os.environ.get(UNSIGNED_VARIABLE, "").strip().lower() in settings.TRUE
    config_id = row.id if row is not None else None
    return Receiver(
        tenant_id=tenant_id,
        account_ref=accounts.account_ref(base_url, account_id) if account_id else f"incomplete#{config_id}",
        account_id=account_id,
        config_id=config_id,
        config_ids=frozenset() if config_id is None else frozenset({config_id}),
        inboxes={inbox: config_id for inbox in inboxes if inbox},
        secrets=tuple(secret.encode() for secret in secrets if secret),
        allow_unsigned=allow_unsigned,
        switched_on=switched_on,
    )


def _together(first: Receiver, other: Receiver) -> Receiver:
    return replace(
        first,
        config_ids=first.config_ids | other.config_ids,
        inboxes={**other.inboxes, **first.inboxes},
        secrets=(*first.secrets, *(secret for secret in other.secrets if secret not in first.secrets)),
        allow_unsigned=first.allow_unsigned or other.allow_unsigned,
    )
