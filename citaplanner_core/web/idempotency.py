"""The same request with the same `Idempotency-Key` is answered again instead of done again.

After draft-ietf-httpapi-idempotency-key-header: a key used for another request is 422, one whose first request is still
being worked on 409. Keys belong to the tenant and are kept for 24 hours.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from citaplanner_core.database import Base, TenantScoped, utcnow


class IdempotencyKey(TenantScoped, Base):
    """A key, the fingerprint of its request, and the answer (None while the request is being worked on)."""

    __tablename__ = "idempotency_key"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "key"), Index(None, "tenant_id", "created_at"))

    key: Mapped[str]
    fingerprint: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
