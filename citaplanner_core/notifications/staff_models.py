"""Who of the staff is told of what, and what they were told."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key, utcnow

NOW = "now"
DIGEST = "digest"


class StaffContact(TenantScoped, Base):
    """Somebody of the staff who wants to be told things: over which address, and which things.

    `phone` is E.164. `channel` is the one to try first. With a branch, they hear of that one only. `alerts` says for
    each kind `now` or `digest`; what is not in it they are not told. `digest_at` is `HH:MM` of the branch's clock (the
    tenant's without one), `digested_on` the day there on which the last digest was made.
    """

    __tablename__ = "staff_contact"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (tenant_key("branch_id", "branch", ondelete="CASCADE"),)

    name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    language: Mapped[str | None]
    channel: Mapped[str | None]
    branch_id: Mapped[int | None] = mapped_column(BigId)
    alerts: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    digest_at: Mapped[str] = mapped_column(default="08:00")
    digested_on: Mapped[date | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class StaffNotice(TenantScoped, Base):
    """One thing that one of the staff is to hear of. `notification_id` is what told them, None while a digest waits.

    `subject` is what it is about, such as a channel: the same again within the kind's time only counts `times`.
    """

    __tablename__ = "staff_notice"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("staff_contact_id", "staff_contact", ondelete="CASCADE"),
            tenant_key("appointment_id", "appointment", ondelete="CASCADE"),
            tenant_key("notification_id", "notification", ondelete="CASCADE"),
            Index(None, "tenant_id", "staff_contact_id", "kind", "subject"),
            Index(None, "tenant_id", "staff_contact_id", "notification_id"),
            Index(None, "tenant_id", "appointment_id"),
            Index(None, "tenant_id", "notification_id"),
        )

    staff_contact_id: Mapped[int] = mapped_column(BigId)
    kind: Mapped[str]
    subject: Mapped[str | None]
    appointment_id: Mapped[int | None] = mapped_column(BigId)
    facts: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    last_at: Mapped[datetime] = mapped_column(default=utcnow)
    times: Mapped[int] = mapped_column(default=1)
    notification_id: Mapped[int | None] = mapped_column(BigId)
