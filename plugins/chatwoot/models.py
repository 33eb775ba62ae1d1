"""The plugin's tables: accounts, who is who, conversations, stored events, what was said.

`account_ref` names a Chatwoot account across servers: `<base url>#<account id>`.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Dialect, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from citaplanner_core.crypto import EncryptedText
from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key, utcnow


class StoredBody(TypeDecorator[Any]):
    """A JSON body as it came, byte for byte: given as its text, or as an object; read as an object.

    A text column takes all of JSON, such as the `\\u0000` that PostgreSQL's own JSON types refuse.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class ChatwootConfig(TenantScoped, Base):
    """A tenant's Chatwoot account, or what a branch has of its own.

    Empty fields are inherited (see `accounts.effective`). `inbox_trust` maps an inbox id to `proven` or `claimed`.
    Three secrets may sign what Chatwoot sends: the account webhook's, the one before it while it is replaced, and
    the one of the inbox's own webhook, which an API inbox has.
    """

    __tablename__ = "chatwoot_config"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        whole = text("branch_id IS NULL")
        return (
            tenant_key("branch_id", "branch", ondelete="CASCADE"),
            Index("uq_chatwoot_config_branch", "tenant_id", "branch_id", unique=True),
            Index("uq_chatwoot_config_tenant", "tenant_id", unique=True, postgresql_where=whole, sqlite_where=whole),
            Index(None, "webhook_key_hash", unique=True),
            Index(None, "account_id"),
        )

    branch_id: Mapped[int | None] = mapped_column(BigId)
    base_url: Mapped[str | None]
    account_id: Mapped[int | None]
    inbox_id: Mapped[int | None]
    api_access_token: Mapped[str | None] = mapped_column(EncryptedText)
    webhook_key: Mapped[str] = mapped_column(EncryptedText)
    webhook_key_hash: Mapped[str]
    webhook_id: Mapped[int | None]
    webhook_secret: Mapped[str | None] = mapped_column(EncryptedText)
    previous_webhook_secret: Mapped[str | None] = mapped_column(EncryptedText)
    inbox_webhook_secret: Mapped[str | None] = mapped_column(EncryptedText)
    allow_unsigned: Mapped[bool] = mapped_column(default=False)
    enable_notifications: Mapped[bool] = mapped_column(default=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    inbox_trust: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    website_token: Mapped[str | None]
    widget_position: Mapped[str | None]
    widget_locale: Mapped[str | None]
    widget_color: Mapped[str | None]
    identity_key: Mapped[str | None] = mapped_column(EncryptedText)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class ChatwootContact(TenantScoped, Base):
    """A Chatwoot contact, and the client it is linked to, if any.

    `rule` says how it was matched, `trust` how sure the writer is that person. `pushed` holds the attributes last
    written, `noted` what the agents were told last, so that neither is repeated. `known` is what Chatwoot last said
    of the contact, `as_of` when that was true, by Chatwoot's clock: events come in any order.
    """

    __tablename__ = "chatwoot_contact"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "account_ref", "contact_id"),
            tenant_key("client_id", "client", ondelete="CASCADE"),
            Index(None, "tenant_id", "client_id"),
        )

    account_ref: Mapped[str]
    contact_id: Mapped[int] = mapped_column(BigId)
    client_id: Mapped[int | None] = mapped_column(BigId)
    rule: Mapped[str] = mapped_column(default="none")
    trust: Mapped[str] = mapped_column(default="claimed")
    pushed: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    noted: Mapped[str | None]
    known: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    as_of: Mapped[datetime | None]
    linked_at: Mapped[datetime | None]
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)


class ChatwootConversation(TenantScoped, Base):
    """A conversation we know of; `conversation_id` is the display id that Chatwoot's paths use.

    `known` is what webhooks last said of it that tells who writes, `as_of` when that was true.
    """

    __tablename__ = "chatwoot_conversation"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "account_ref", "conversation_id"),
            Index(None, "tenant_id", "account_ref", "contact_id", "inbox_id"),
        )

    account_ref: Mapped[str]
    conversation_id: Mapped[int] = mapped_column(BigId)
    contact_id: Mapped[int] = mapped_column(BigId)
    inbox_id: Mapped[int] = mapped_column(BigId)
    channel_type: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="open")
    known: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    as_of: Mapped[datetime | None]
    last_incoming_at: Mapped[datetime | None]
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)


class ChatwootEvent(TenantScoped, Base):
    """A webhook as it came, stored once. `object_key` is (event, object id) for creations.

    `contact_id` is whom it is about.
    """

    __tablename__ = "chatwoot_event"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        waiting = text("processed_at IS NULL")
        return (
            UniqueConstraint("tenant_id", "account_ref", "delivery_id"),
            UniqueConstraint("tenant_id", "account_ref", "object_key"),
            tenant_key("config_id", "chatwoot_config", ondelete="CASCADE"),
            Index(
                "ix_chatwoot_event_waiting",
                "tenant_id",
                "account_ref",
                "contact_id",
                postgresql_where=waiting,
                sqlite_where=waiting,
            ),
        )

    config_id: Mapped[int | None] = mapped_column(BigId)
    account_ref: Mapped[str]
    event: Mapped[str]
    delivery_id: Mapped[str | None]
    object_key: Mapped[str | None]
    contact_id: Mapped[int | None] = mapped_column(BigId)
    payload: Mapped[dict[str, Any]] = mapped_column(StoredBody)
    received_at: Mapped[datetime] = mapped_column(default=utcnow)
    processed_at: Mapped[datetime | None]
    outcome: Mapped[str | None]


class ChatwootInteraction(TenantScoped, Base):
    """A message in a conversation with a client: theirs, ours or an agent's, and what it led to.

    Of theirs, `notification_id` is the message it answers, `reply_key` names the text we answered with. Of ours,
    `schedule_version` is the time (see `Appointment`) it spoke of, where it is a reply, and `choice` what the numbers
    in it mean (see the core's `Choice`).
    """

    __tablename__ = "chatwoot_interaction"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "account_ref", "message_id"),
            tenant_key("client_id", "client", ondelete="CASCADE"),
            tenant_key("notification_id", "notification", ondelete="CASCADE"),
            Index(None, "tenant_id", "account_ref", "conversation_id"),
            Index(None, "tenant_id", "client_id"),
        )

    account_ref: Mapped[str]
    message_id: Mapped[int] = mapped_column(BigId)
    conversation_id: Mapped[int] = mapped_column(BigId)
    contact_id: Mapped[int | None] = mapped_column(BigId)
    client_id: Mapped[int | None] = mapped_column(BigId)
    notification_id: Mapped[int | None] = mapped_column(BigId)
    direction: Mapped[str]
    text: Mapped[str | None] = mapped_column(Text)
    question: Mapped[str | None]
    intent: Mapped[str | None]
    action: Mapped[str | None]
    reply_key: Mapped[str | None]
    schedule_version: Mapped[int | None]
    choice: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    at: Mapped[datetime] = mapped_column(default=utcnow)


class ChatwootTemplate(TenantScoped, Base):
    """The WhatsApp template that stands for a notification type in a language where the 24-hour window is closed.

    `language` is ours (`es`), `template_language` Meta's (`es_MX`). `parameters` are our variables in the order of the
    body's places. `flat`: the server knows parameters only without their part of the message.
    """

    __tablename__ = "chatwoot_template"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "account_ref", "inbox_id", "type", "language"),)

    account_ref: Mapped[str]
    inbox_id: Mapped[int] = mapped_column(BigId)
    type: Mapped[str]
    language: Mapped[str]
    name: Mapped[str]
    template_language: Mapped[str]
    category: Mapped[str]
    parameters: Mapped[list[str]] = mapped_column(JSON)
    flat: Mapped[bool] = mapped_column(default=False)


class ChatwootLock(TenantScoped, Base):
    """Something is being done that two must not do at once, see `locks.exclusive`. After `until` it counts no more."""

    __tablename__ = "chatwoot_lock"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    token: Mapped[str]
    until: Mapped[datetime]


class ChatwootCursor(TenantScoped, Base):
    """How far long work has come, by its name, so that it goes on there after an interruption."""

    __tablename__ = "chatwoot_cursor"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    position: Mapped[dict[str, Any]] = mapped_column(JSON)
