"""The tables that say who may be told what: a tenant's rules, and what clients agreed to."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key, utcnow

SERVICE = "service"
MARKETING = "marketing"
ANY_CHANNEL = "*"


class NotificationRule(TenantScoped, Base):
    """A tenant's own rule, in place of the default one of the same name. What the columns mean: `rules.Rule`."""

    __tablename__ = "notification_rule"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    type: Mapped[str]
    trigger: Mapped[str]
    minutes: Mapped[int]
    days: Mapped[int]
    at: Mapped[str | None]
    channels: Mapped[list[str]] = mapped_column(JSON)
    template: Mapped[str | None]
    services: Mapped[list[int]] = mapped_column(JSON)
    language: Mapped[str | None]
    enabled: Mapped[bool]


class Consent(TenantScoped, Base):
    """What a client said about being told things: the latest row of a purpose and channel holds. Never updated.

    `channel` may be `*`; `purpose` is `service` or `marketing`; `source` says where they said so, `version` which
    `ConsentText` they were shown there (0: the built-in one; None: none).
    """

    __tablename__ = "consent"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("client_id", "client", ondelete="CASCADE"),
            Index(None, "tenant_id", "client_id"),
            CheckConstraint("purpose IN ('service', 'marketing')", name="purpose"),
        )

    client_id: Mapped[int] = mapped_column(BigId)
    channel: Mapped[str]
    purpose: Mapped[str]
    given: Mapped[bool]
    source: Mapped[str]
    version: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(default=utcnow)


class ConsentText(TenantScoped, Base):
    """What a business says, in its own words, to those who book about their data; the highest version holds.

    `service` and `marketing` hold a text by language; where one is missing the built-in one is shown. Never updated:
    consents name the version that was read.
    """

    __tablename__ = "consent_text"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "version"),)

    version: Mapped[int]
    service: Mapped[dict[str, str]] = mapped_column(JSON)
    marketing: Mapped[dict[str, str]] = mapped_column(JSON)
    privacy_url: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
