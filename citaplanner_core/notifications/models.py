"""The tables of notifications: the intent, the attempts, the links clients get."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from citaplanner_core.booking.models import Appointment, Client
from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key, utcnow
from citaplanner_core.jobs.models import Claimable
from citaplanner_core.notifications.staff_models import StaffContact

SENDING = "SENDING"
SENT = "SENT"
DELIVERED = "DELIVERED"
READ = "READ"
FAILED = "FAILED"
SKIPPED = "SKIPPED"
CANCELLED = "CANCELLED"
SUPERSEDED = "SUPERSEDED"

APPOINTMENT_CONFIRMATION = "APPOINTMENT_CONFIRMATION"
APPOINTMENT_REMINDER = "APPOINTMENT_REMINDER"
APPOINTMENT_RESCHEDULE = "APPOINTMENT_RESCHEDULE"
APPOINTMENT_CANCELLATION = "APPOINTMENT_CANCELLATION"
APPOINTMENT_NO_SHOW = "APPOINTMENT_NO_SHOW"
FEEDBACK_REQUEST = "FEEDBACK_REQUEST"
STAFF_ALERT = "STAFF_ALERT"
NOTIFICATION_TYPES = (
    APPOINTMENT_CONFIRMATION,
    APPOINTMENT_REMINDER,
    APPOINTMENT_RESCHEDULE,
    APPOINTMENT_CANCELLATION,
    APPOINTMENT_NO_SHOW,
    FEEDBACK_REQUEST,
    "PROMOTION",
    "PAYMENT_REMINDER",
    STAFF_ALERT,
)
MARKETING_TYPES = ("PROMOTION",)
REASONS = (
    *("too_late", "no_consent", "opted_out", "no_address", "channel_off", "window_closed", "superseded"),
    *("appointment_cancelled", "appointment_past", "daily_limit", "delivery_off", "paused_by_agent", "expired"),
    *("rejected", "unreachable", "auth_failed", "do_not_message", "doubtful_number", "tenant_off"),
    *("template_error", "outcome_unknown"),
)
"""Why a notification was not sent; `why_es.toml` and `why_en.toml` explain each."""
PLANNED_KEY = "appointment:"
"""What the key of a notification begins with that a rule planned for an appointment."""

REPEATS = text("retry_of IS NOT NULL")
SETTLED = text("status NOT IN ('PENDING', 'SENDING')")
"""The condition of the index over rows that left the queue, which planning and claiming do not have to keep."""


def _first_lane(context: Any) -> str:
    return context.get_current_parameters().get("channel") or ""


class Notification(Claimable, Base):
    """What somebody is to be told: queue entry, log, and the answer to "why was this (not) sent".

    `recipient_id` is the client we write to; a staff alert goes to `staff_contact_id` instead. `dedupe_key` is unique
    per tenant, so planning twice sends once.
    `channel` is the wanted one until sending chooses; `rule` names what planned it (`reminder:1440`), `manual` else.
    `prompted`: it answers what the client just did, and so leaves at once, at any hour.
    `lane` is the channel wanted, or tried last, and empty while nobody knows: no channel takes all threads of a worker.
    """

    __tablename__ = "notification"
    claimed_status: ClassVar[str] = SENDING
    labels: ClassVar[tuple[str, ...]] = ("lane",)
    logged: ClassVar[str] = "notification"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            *cls.claim_indexes("notification"),
            UniqueConstraint("tenant_id", "dedupe_key"),
            tenant_key("recipient_id", "client", ondelete="CASCADE"),
            tenant_key("staff_contact_id", "staff_contact", ondelete="CASCADE"),
            CheckConstraint("(recipient_id IS NULL) <> (staff_contact_id IS NULL)", name="addressee"),
            tenant_key("appointment_id", "appointment", ondelete="CASCADE"),
            tenant_key("retry_of", "notification", ondelete="CASCADE"),
            tenant_key("campaign_id", "campaign", ondelete="CASCADE"),
            Index(None, "tenant_id", "appointment_id"),
            Index(None, "tenant_id", "campaign_id"),
            Index(None, "tenant_id", "recipient_id"),
            Index(None, "tenant_id", "staff_contact_id"),
            Index("ix_notification_settled", "changed_at", postgresql_where=SETTLED, sqlite_where=SETTLED),
            Index("ix_notification_repeats", "tenant_id", "retry_of", postgresql_where=REPEATS, sqlite_where=REPEATS),
        )

    type: Mapped[str]
    rule: Mapped[str] = mapped_column(default="manual")
    recipient_id: Mapped[int | None] = mapped_column(BigId)
    staff_contact_id: Mapped[int | None] = mapped_column(BigId)
    appointment_id: Mapped[int | None] = mapped_column(BigId)
    schedule_version: Mapped[int | None]
    channel: Mapped[str | None]
    lane: Mapped[str] = mapped_column(default=_first_lane)
    template: Mapped[str | None]
    message: Mapped[str | None] = mapped_column(Text)
    variables: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    dedupe_key: Mapped[str]
    expires_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)
    retry_of: Mapped[int | None] = mapped_column(BigId)
    prompted: Mapped[bool] = mapped_column(default=False)
    campaign_id: Mapped[int | None] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    changed_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)
    sent_at: Mapped[datetime | None]

    client: Mapped[Client | None] = relationship(
        primaryjoin="Client.id == foreign(Notification.recipient_id)", viewonly=True
    )
    staff_contact: Mapped[StaffContact | None] = relationship(
        primaryjoin="StaffContact.id == foreign(Notification.staff_contact_id)", viewonly=True
    )
    appointment: Mapped[Appointment | None] = relationship(
        primaryjoin="Appointment.id == foreign(Notification.appointment_id)", viewonly=True
    )

    @property
    def recipient(self) -> Client:
        """The client we write to; only for notifications that go to one."""
        assert self.client is not None, f"notification {self.id} goes to no client"
        return self.client


class Delivery(TenantScoped, Base):
    """One attempt to send a notification over one channel, with what was said and what came of it.

    `address_key` is where it went, as one compares addresses: an answer from there is about this.
    `possible_repeat`: an earlier attempt may have arrived, nobody could be asked, and it was sent again. `attempt` 0
    was not tried at all; `error` says why.
    """

    __tablename__ = "delivery"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("notification_id", "notification", ondelete="CASCADE"),
            UniqueConstraint("tenant_id", "channel", "provider_id"),
            Index(None, "tenant_id", "notification_id"),
            Index(None, "tenant_id", "channel", "address_key"),
        )

    notification_id: Mapped[int] = mapped_column(BigId)
    channel: Mapped[str]
    address_key: Mapped[str | None]
    attempt: Mapped[int]
    status: Mapped[str] = mapped_column(default=SENDING)
    possible_repeat: Mapped[bool] = mapped_column(default=False)
    provider_id: Mapped[str | None]
    question: Mapped[str | None]
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]


class ChannelState(TenantScoped, Base):
    """What is wrong with a tenant's channel, and how much of its pace is used up.

    `failures` in a row; `openings` in a row, each longer; while `open_until` is set the breaker is open, from then on
    one message at a time (`probe_until`) tries. `next_free`, `next_urgent`, `next_bulk` are the pace's places.
    """

    __tablename__ = "channel_state"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "channel"),)

    channel: Mapped[str]
    failures: Mapped[int] = mapped_column(default=0)
    openings: Mapped[int] = mapped_column(default=0)
    open_until: Mapped[datetime | None]
    probe_until: Mapped[datetime | None]
    reason: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)
    next_free: Mapped[datetime | None]
    next_urgent: Mapped[datetime | None]
    next_bulk: Mapped[datetime | None]


class ClientLink(TenantScoped, Base):
    """A link a client got in a message. Only the token's hash is stored; it works until the appointment is over."""

    __tablename__ = "client_link"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "token_hash"),
            Index(None, "token_hash", unique=True),
            tenant_key("appointment_id", "appointment", ondelete="CASCADE"),
        )

    token_hash: Mapped[str]
    appointment_id: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
