"""The tables of durable work."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import JSON, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from citaplanner_core.database import Base, TenantScoped, utcnow

PENDING = "PENDING"
RUNNING = "RUNNING"
DONE = "DONE"
FAILED = "FAILED"


class Claimable(TenantScoped):
    """A row that a worker takes with a lease when it is due, and settles.

    `due` and `lease_until` are compared with the database's clock. `attempt` counts claims. `labels` are
    columns that a log line may show; rows that agree in the first one never take all threads of a worker. With
    `logged`, a word for it, every claim and outcome is a log line.
    """

    claimed_status: ClassVar[str] = RUNNING
    labels: ClassVar[tuple[str, ...]] = ()
    logged: ClassVar[str] = ""

    if TYPE_CHECKING:
        id: Mapped[int]

    status: Mapped[str] = mapped_column(default=PENDING)
    due: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[str | None]

    @classmethod
    def claim_indexes(cls, table: str) -> tuple[Any, ...]:
        """The two partial indexes that keep claiming flat, whatever the number of settled rows."""
        pending, claimed = text("status = 'PENDING'"), text(f"status = '{cls.claimed_status}'")
        return (
            Index(f"ix_{table}_due", "due", "id", postgresql_where=pending, sqlite_where=pending),
            Index(f"ix_{table}_lease", "lease_until", postgresql_where=claimed, sqlite_where=claimed),
        )


class Job(Claimable, Base):
    """Work of the core (`plugin` is None) or of a plugin, written in the transaction that wants it done.

    Of the waiting jobs of a tenant, one has a given `dedupe_key`: writing it again while it waits changes
    nothing.
    """

    __tablename__ = "job"
    labels: ClassVar[tuple[str, ...]] = ("plugin", "kind")

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        waiting = text("status = 'PENDING'")
        return (
            *cls.claim_indexes("job"),
            Index(
                "uq_job_waiting",
                "tenant_id",
                "dedupe_key",
                unique=True,
                postgresql_where=waiting,
                sqlite_where=waiting,
            ),
        )

    kind: Mapped[str]
    plugin: Mapped[str | None]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    dedupe_key: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None]


class Worker(Base):
    """A worker process that is, or was, alive. Belongs to the deployment, not to a tenant."""

    __tablename__ = "worker"
    __table_args__ = (UniqueConstraint("name"),)

    name: Mapped[str]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
