"""Sessions of staff: rows in the database, so that they can be ended. Only a hash of each token is stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, delete, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.models import Tenant
from citaplanner_core.crypto import hash_token, new_token
from citaplanner_core.database import Base, BigId, TenantScoped, system_work, tenant_key, utcnow, work
from citaplanner_core.web import roles
from citaplanner_core.web.logins import Login

IDLE = timedelta(hours=8)
ABSOLUTE = timedelta(days=7)
NOTED_EVERY = timedelta(minutes=1)


class StaffSession(TenantScoped, Base):
    """Somebody is signed in, in one browser, until signing out, `IDLE` without a look or `ABSOLUTE` in all."""

    __tablename__ = "staff_session"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("login_id", "login", ondelete="CASCADE"),
            Index(None, "token_hash", unique=True),
            Index(None, "tenant_id", "login_id"),
        )

    login_id: Mapped[int] = mapped_column(BigId)
    token_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_seen_at: Mapped[datetime] = mapped_column(default=utcnow)


@dataclass(frozen=True, slots=True)
class Staff:
    """Who is signed in, and to which business. `language` is the tenant's."""

    session_id: int
    login_id: int
    tenant_id: int
    email: str
    name: str
    role: str
    business: str
    slug: str
    language: str

    def may(self, ability: str) -> bool:
        """Tell whether this role may do something, see `roles.ROLES`."""
        return roles.may(self.role, ability)


def begin(tenant_id: int, login_id: int) -> str:
    """Sign a login in and return the token for the browser. Sessions of the business that have lapsed go."""
    token, token_hash = new_token()
    now = utcnow()
    with work(tenant_id) as session:
        lapsed = or_(StaffSession.last_seen_at <= now - IDLE, StaffSession.created_at <= now - ABSOLUTE)
        session.execute(delete(StaffSession).where(lapsed))
        session.add(StaffSession(login_id=login_id, token_hash=token_hash))
    return token


def staff_of(token: str) -> Staff | None:
    """Return who a token stands for; None for an unknown or lapsed one, or a business that is not active."""
    now = utcnow()
    found = (
        select(StaffSession, Login, Tenant)
        .join(Login, Login.id == StaffSession.login_id)
        .join(Tenant, Tenant.id == StaffSession.tenant_id)
        .where(
            StaffSession.token_hash == hash_token(token),
            StaffSession.last_seen_at > now - IDLE,
            StaffSession.created_at > now - ABSOLUTE,
            Tenant.active,
        )
    )
    with system_work("a session of staff names its tenant") as session:
        row = session.execute(found).one_or_none()
        if row is None:
            return None
        held, login, tenant = row
        staff = Staff(
            session_id=held.id,
            login_id=login.id,
            tenant_id=tenant.id,
            email=login.email,
            name=login.name,
            role=login.role,
            business=tenant.name,
            slug=tenant.slug,
            language=tenant.language,
        )
        last_seen_at = held.last_seen_at
    if last_seen_at < now - NOTED_EVERY:
        with work(staff.tenant_id) as session:
            session.execute(update(StaffSession).where(StaffSession.id == staff.session_id).values(last_seen_at=now))
    return staff


def end(session: Session, session_id: int) -> None:
    """End a session of the tenant."""
    session.execute(delete(StaffSession).where(StaffSession.id == session_id))


def end_others(session: Session, login_id: int, *, but: int | None = None) -> None:
    """End all sessions of a login, `but` one."""
    session.execute(delete(StaffSession).where(StaffSession.login_id == login_id, StaffSession.id != (but or 0)))
