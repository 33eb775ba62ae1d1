"""Connecting the demo tenant to the stand-in server at every start."""

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from citaplanner_core.database import work
from citaplanner_core.notifications.models import Delivery
from plugins.chatwoot.accounts import Account
from plugins.chatwoot.connect import Wish, connect
from plugins.chatwoot.inspection import opened
from plugins.chatwoot.models import (
    ChatwootConfig,
    ChatwootContact,
    ChatwootConversation,
    ChatwootEvent,
    ChatwootInteraction,
)

ACCOUNT = 1
INBOX = 2
"""An API inbox, as a WhatsApp bridge feeds it: unlike WhatsApp's own it may be written to first."""
TOKEN = "sandbox-admin-token"  # noqa: S105  # the stand-in's public token


class DemoFailed(Exception):
    """The demo tenant could not be connected; the text says at which step and why."""


def connect_to_sandbox(tenant_id: int, *, sandbox: str, web: str) -> None:
    """Connect a tenant to the stand-in at `sandbox`, which reports to `web`; raise `DemoFailed` when that fails.

    When the stand-in has lost its memory and counts from the start, what we knew of it is forgotten first.
    """
    account = Account(sandbox, ACCOUNT, INBOX, TOKEN, inbox_trust={}, enabled=True, sources={})
    with work(tenant_id, write=False) as session:
        webhook_id = session.scalar(
            select(ChatwootConfig.webhook_id).where(
                ChatwootConfig.branch_id.is_(None), ChatwootConfig.base_url == sandbox
            )
        )
    if webhook_id is not None and not _remembers(account, webhook_id):
        with work(tenant_id) as session:
            _forget(session, account.ref)
    wish = Wish(tenant_id, sandbox, ACCOUNT, INBOX, TOKEN, trust="proven", public_url=web)
    for step in connect(wish):
        if not step.ok:
            raise DemoFailed(f"{step.name}: {step.detail}")


def _remembers(account: Account, webhook_id: int) -> bool:
    with opened(account) as api:
        return any(webhook["id"] == webhook_id for webhook in api.list_webhooks())


def _forget(session: Session, ref: str) -> None:
    for model in (ChatwootContact, ChatwootConversation, ChatwootInteraction, ChatwootEvent):
        session.execute(delete(model).where(model.account_ref == ref))
    session.execute(update(Delivery).where(Delivery.channel == "chatwoot").values(provider_id=None))
