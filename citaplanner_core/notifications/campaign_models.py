"""The tables of campaigns: what is told to whom, and what it may cost."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Dialect, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from citaplanner_core.database import Base, BigId, TenantScoped, utcnow

DRAFT = "DRAFT"
RUNNING = "RUNNING"
PAUSED = "PAUSED"
CANCELLED = "CANCELLED"
HELD = datetime(9999, 1, 1, tzinfo=UTC)
"""When the messages of a paused campaign are due."""
CALLED_OFF = "the campaign was cancelled"
PARTS = 10_000


class Amount(TypeDecorator[Decimal]):
    """An amount of the business's own money, kept in ten-thousandths: prices of text messages are that small."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int((value * PARTS).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) / PARTS


class Campaign(TenantScoped, Base):
    """Something a business tells those of its clients who agreed to hear such things.

    `message` is written like a template, with the client's names. `audience` holds the fields of `audience.Audience`.
    While it runs, clients up to `planned_until` have their notifications and `next_due` is when the next one leaves;
    `planned` = all have. `cost` is what was estimated at the start.
    """

    __tablename__ = "campaign"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            CheckConstraint("status IN ('DRAFT', 'RUNNING', 'PAUSED', 'CANCELLED')", name="status"),
            CheckConstraint("per_minute > 0", name="per_minute"),
        )

    name: Mapped[str]
    status: Mapped[str] = mapped_column(default=DRAFT)
    channel: Mapped[str | None]
    message: Mapped[str] = mapped_column(Text)
    valid_until: Mapped[date | None]
    booking_url: Mapped[str] = mapped_column(default="")
    audience: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    per_minute: Mapped[int] = mapped_column(default=60)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    cost: Mapped[Decimal | None] = mapped_column(Amount)
    planned: Mapped[bool] = mapped_column(default=False)
    planned_until: Mapped[int] = mapped_column(BigId, default=0)
    next_due: Mapped[datetime | None]


class CampaignBudget(TenantScoped, Base):
    """What a message costs over each channel (text messages: each segment), and what campaigns may cost in a month.

    `prices` holds amounts written as text, by channel.
    """

    __tablename__ = "campaign_budget"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id"),)

    prices: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    monthly_cap: Mapped[Decimal | None] = mapped_column(Amount)
