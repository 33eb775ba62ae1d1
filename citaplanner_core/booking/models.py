"""The tables of the booking core."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, select, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key, utcnow

PENDING = "PENDING"
CONFIRMED = "CONFIRMED"
COMPLETED = "COMPLETED"
CANCELLED = "CANCELLED"
NO_SHOW = "NO_SHOW"
APPOINTMENT_STATES = (PENDING, CONFIRMED, COMPLETED, CANCELLED, NO_SHOW)
LIVE_STATES = (PENDING, CONFIRMED)
ANSWERS = ("none", "yes", "no", "move")
ACTORS = ("client", "staff", "system")
CONFIRMATIONS = ("automatic", "staff", "client")
"""What confirms a booking: at once, a member of staff, or the client's own answer."""

TONES = ("tu", "usted")

BLOCKING = "status IN ('PENDING', 'CONFIRMED')"


def _one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=name)


def _backwards(context: Any) -> str:
    key: str = context.get_current_parameters()["match_key"]
    return key.removeprefix("+")[::-1]


class Tenant(Base):
    """A business. The one table that defines tenants, and so has no tenant_id.

    Clients book at least `minimum_notice_minutes` before the start, at most `horizon_days` days ahead (None: as far as
    they like), at times of the branch's clock that `slot_step_minutes` divides.

    Within `cancel_notice_minutes` of the start a client neither cancels nor moves: they are asked to call. 0: never.

    Between `quiet_from` and `quiet_until` (wall clock of the branch, `HH:MM`; None = never) automatic messages wait.
    `daily_limit` is how many of them one person gets in a day of the branch (None = any number). `feedback_url` is
    where clients are asked what they think; without it nobody is asked.

    `tone` is how it addresses its clients; `folds_sms`: text messages are written in the GSM alphabet.
    """

    __tablename__ = "tenant"
    __table_args__ = (
        UniqueConstraint("slug"),
        _one_of("confirmation", CONFIRMATIONS, "confirmation"),
        _one_of("tone", TONES, "tone"),
    )

    slug: Mapped[str]
    name: Mapped[str]
    country: Mapped[str] = mapped_column(default="MX")
    language: Mapped[str] = mapped_column(default="es")
    zone: Mapped[str] = mapped_column(default="America/Mexico_City")
    confirmation: Mapped[str] = mapped_column(default="client")
    minimum_notice_minutes: Mapped[int] = mapped_column(default=0)
    horizon_days: Mapped[int | None]
    slot_step_minutes: Mapped[int] = mapped_column(default=15)
    cancel_notice_minutes: Mapped[int] = mapped_column(default=0)
    quiet_from: Mapped[str | None] = mapped_column(default="21:00")
    quiet_until: Mapped[str | None] = mapped_column(default="08:00")
    daily_limit: Mapped[int | None] = mapped_column(default=6)
    feedback_url: Mapped[str | None]
    tone: Mapped[str] = mapped_column(default="tu")
    folds_sms: Mapped[bool] = mapped_column(default=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Branch(TenantScoped, Base):
    """A place of a tenant; its IANA zone decides what "10:00" means."""

    __tablename__ = "branch"

    name: Mapped[str]
    zone: Mapped[str]
    address: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    active: Mapped[bool] = mapped_column(default=True)


class Professional(TenantScoped, Base):
    """Somebody who gives services."""

    __tablename__ = "professional"

    name: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)


class Service(TenantScoped, Base):
    """Something a client books. Durations and buffers in minutes. A discreet one is not named in messages."""

    __tablename__ = "service"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (CheckConstraint("duration_minutes > 0", name="duration"),)

    name: Mapped[str]
    duration_minutes: Mapped[int]
    buffer_before_minutes: Mapped[int] = mapped_column(default=0)
    buffer_after_minutes: Mapped[int] = mapped_column(default=0)
    is_discreet: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)


class Client(TenantScoped, Base):
    """A person who books, or comes. Phones stand in `client_phone`.

    `responsible_id` is the client who gets this one's messages instead, such as a mother. `do_not_message` stops
    everything; automatic messages wait until `paused_until`, for the reason in `paused_why`.
    """

    __tablename__ = "client"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("responsible_id", "client"),
            Index(None, "tenant_id", "email"),
            Index(None, "tenant_id", "responsible_id"),
        )

    first_name: Mapped[str]
    last_name: Mapped[str] = mapped_column(default="")
    email: Mapped[str | None]
    birthday: Mapped[date | None]
    language: Mapped[str | None]
    preferred_channel: Mapped[str | None]
    do_not_message: Mapped[bool] = mapped_column(default=False)
    responsible_id: Mapped[int | None] = mapped_column(BigId)
    paused_until: Mapped[datetime | None]
    paused_why: Mapped[str | None]
    notes: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    phones: Mapped[list["ClientPhone"]] = relationship(
        primaryjoin="Client.id == foreign(ClientPhone.client_id)",
        order_by="ClientPhone.id",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    @property
    def name(self) -> str:
        """First and last name, as one writes them."""
        return f"{self.first_name} {self.last_name}".strip()

    @classmethod
    def moved_to(cls, session: Session, client_id: int) -> int | None:
        """Return the client that one who is no more was merged into; None when that is not what happened."""
        return session.scalar(select(ClientMerge.into_id).where(ClientMerge.merged_id == client_id))


class ClientMerge(TenantScoped, Base):
    """Who merged whom into whom. `merged_id` is the client who is no more; `into_id` follows later merges."""

    __tablename__ = "client_merge"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            UniqueConstraint("tenant_id", "merged_id"),
            tenant_key("into_id", "client", ondelete="CASCADE"),
            Index(None, "tenant_id", "into_id"),
        )

    merged_id: Mapped[int] = mapped_column(BigId)
    into_id: Mapped[int] = mapped_column(BigId)
    by: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=utcnow)


class ClientPhone(TenantScoped, Base):
    """One number of a client. One person may have several, and several people may share one.

    `raw` is what was typed, `e164` what one dials, `match_key` what one compares, `backwards` its digits from the last
    to the first: people remember how a number ends.
    """

    __tablename__ = "client_phone"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("client_id", "client", ondelete="CASCADE"),
            Index(None, "tenant_id", "match_key"),
            Index(None, "tenant_id", "backwards"),
            Index(None, "tenant_id", "client_id"),
        )

    client_id: Mapped[int] = mapped_column(BigId)
    raw: Mapped[str]
    e164: Mapped[str]
    match_key: Mapped[str]
    backwards: Mapped[str] = mapped_column(default=_backwards)
    confidence: Mapped[str]
    extension: Mapped[str | None]
    label: Mapped[str] = mapped_column(default="")


class Appointment(TenantScoped, Base):
    """A service given by a professional to a client at a branch, from `start` until `end` (UTC).

    `blocked_from` and `blocked_until` include the service's buffers: that range excludes other live
    appointments of the professional. `schedule_version` grows when start, professional, service or branch
    change; `version` with every change. `answer` is what the client said, apart from the business's `status`.
    """

    __tablename__ = "appointment"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("branch_id", "branch"),
            tenant_key("professional_id", "professional"),
            tenant_key("service_id", "service"),
            tenant_key("client_id", "client", ondelete="CASCADE"),
            CheckConstraint('blocked_from <= start AND start < "end" AND "end" <= blocked_until', name="range"),
            _one_of("status", APPOINTMENT_STATES, "status"),
            _one_of("answer", ANSWERS, "answer"),
            Index(None, "tenant_id", "professional_id", "blocked_until"),
            Index(None, "tenant_id", "client_id", "start"),
            Index(None, "tenant_id", "start"),
            ExcludeConstraint(
                (text("int8range(tenant_id, tenant_id, '[]')"), "&&"),
                (text("int8range(professional_id, professional_id, '[]')"), "&&"),
                (text("tstzrange(blocked_from, blocked_until, '[)')"), "&&"),
                using="gist",
                where=text(BLOCKING),
                name="ex_appointment_professional_blocked",
            ).ddl_if(dialect="postgresql"),
        )

    branch_id: Mapped[int] = mapped_column(BigId)
    professional_id: Mapped[int] = mapped_column(BigId)
    service_id: Mapped[int] = mapped_column(BigId)
    client_id: Mapped[int] = mapped_column(BigId)
    start: Mapped[datetime]
    end: Mapped[datetime]
    blocked_from: Mapped[datetime]
    blocked_until: Mapped[datetime]
    status: Mapped[str] = mapped_column(default=PENDING)
    booked_by: Mapped[str] = mapped_column(default="client")
    schedule_version: Mapped[int] = mapped_column(default=1)
    version: Mapped[int] = mapped_column(default=1)
    answer: Mapped[str] = mapped_column(default="none")
    answered_at: Mapped[datetime | None]
    answer_words: Mapped[str | None] = mapped_column(Text)
    cancel_reason: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    branch: Mapped[Branch] = relationship(primaryjoin="Branch.id == foreign(Appointment.branch_id)", viewonly=True)
    professional: Mapped[Professional] = relationship(
        primaryjoin="Professional.id == foreign(Appointment.professional_id)", viewonly=True
    )
    service: Mapped[Service] = relationship(primaryjoin="Service.id == foreign(Appointment.service_id)", viewonly=True)
    client: Mapped[Client] = relationship(primaryjoin="Client.id == foreign(Appointment.client_id)", viewonly=True)


class AppointmentChange(TenantScoped, Base):
    """Who did what to an appointment, when and why. Never updated."""

    __tablename__ = "appointment_change"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("appointment_id", "appointment", ondelete="CASCADE"),
            Index(None, "tenant_id", "appointment_id"),
            _one_of("by", ACTORS, "by"),
        )

    appointment_id: Mapped[int] = mapped_column(BigId)
    event: Mapped[str]
    by: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)
    old_start: Mapped[datetime | None]
    new_start: Mapped[datetime | None]
    at: Mapped[datetime] = mapped_column(default=utcnow)


class ImportedRow(TenantScoped, Base):
    """What became of a row of another system, so that importing it again makes no double.

    `source` names the system, `kind` is the table of ours and `row_id` the row there, also when it is gone since.
    """

    __tablename__ = "imported_row"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "source", "kind", "original_id"),)

    source: Mapped[str]
    kind: Mapped[str]
    original_id: Mapped[str]
    row_id: Mapped[int] = mapped_column(BigId)
