"""The table of what clients wrote, and of what we asked back."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key, utcnow


class ReceivedMessage(TenantScoped, Base):
    """A message that came in over a channel, what it led to, and what its reply asks.

    `address` is as `address_key` gives it; `notification_id` the message of ours it answers. Of our reply, `reply_id`
    is the provider's id once it is posted, `question` what it asks (see `parse`), `schedule_version` the time of the
    appointment it speaks of, and `choice` what its numbers mean (see `which.Choice`).
    """

    __tablename__ = "received_message"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "channel", "provider_id"),
            tenant_key("notification_id", "notification", ondelete="CASCADE"),
            Index(None, "tenant_id", "channel", "address"),
            Index(None, "tenant_id", "notification_id"),
        )

    channel: Mapped[str]
    address: Mapped[str]
    provider_id: Mapped[str]
    text: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(default=utcnow)
    notification_id: Mapped[int | None] = mapped_column(BigId)
    intent: Mapped[str | None]
    action: Mapped[str | None]
    reply_key: Mapped[str | None]
    reply_id: Mapped[str | None]
    question: Mapped[str | None]
    schedule_version: Mapped[int | None]
    choice: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
