"""Who may use the API and the pages: API tokens and logins of a tenant's staff."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import Index, UniqueConstraint, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.models import Tenant
from citaplanner_core.crypto import hash_token, new_token
from citaplanner_core.database import Base, TenantScoped, system_work, utcnow
from citaplanner_core.web.roles import ROLES

TOKEN_PREFIX = "cp_"  # noqa: S105  # not a secret: it tells people what a token is
SCOPES = ("read", "book", "notify", "manage")
"""What a token may do: look; book and change appointments and clients; send messages; change the set-up."""
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 1000
NOTED_EVERY = timedelta(minutes=5)
_hasher = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
"""OWASP's smallest argon2id setting: 20 ms here, against 100 ms of the library's default."""
LOOKED_AT = 2
"""So many passwords are looked at for every e-mail, known or not, so that the time tells nothing."""


class LoginError(Exception):
    """A login cannot be made; the text names the field and the cure."""


class ApiToken(TenantScoped, Base):
    """A token of the REST API. It fixes the tenant and what may be done; only its hash is stored."""

    __tablename__ = "api_token"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (Index(None, "token_hash", unique=True),)

    name: Mapped[str]
    token_hash: Mapped[str]
    scopes: Mapped[str] = mapped_column(default=" ".join(SCOPES))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Login(TenantScoped, Base):
    """A member of a tenant's staff who signs in with e-mail and password."""

    __tablename__ = "login"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "email"),)

    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


def create_token(session: Session, name: str, scopes: Collection[str] = SCOPES) -> str:
    """Make an API token for the session's tenant and return it; it cannot be shown again.

    Raises `LoginError` for an unknown scope, or none.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise LoginError(f"scope: must be one or more of {', '.join(SCOPES)}")
    token, token_hash = new_token(TOKEN_PREFIX)
    held = " ".join(scope for scope in SCOPES if scope in scopes)
    session.add(ApiToken(name=name, token_hash=token_hash, scopes=held))
    return token


def list_tokens(session: Session) -> list[ApiToken]:
    """Return the tokens of the session's tenant, revoked ones too, oldest first."""
    return list(session.scalars(select(ApiToken).order_by(ApiToken.id)))


def revoke_token(session: Session, token_id: int) -> None:
    """Let a token of the session's tenant in no more; raise `LoginError` when there is none. Twice is once."""
    token = session.get(ApiToken, token_id)
    if token is None:
        raise LoginError(f"there is no token {token_id}; `citaplanner tokens list` shows those there are")
    token.revoked_at = token.revoked_at or utcnow()


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a good token says about who calls. `name` is the token's."""

    name: str
    tenant_id: int
    scopes: frozenset[str]


def bearer_of(token: str) -> Bearer | None:
    """Return what a token stands for, None for an unknown or revoked one. Its use is noted, to a few minutes."""
    found = select(ApiToken.id, ApiToken.name, ApiToken.tenant_id, ApiToken.scopes, ApiToken.last_used_at).where(
        ApiToken.token_hash == hash_token(token), ApiToken.revoked_at.is_(None)
    )
    with system_work("an API token names its tenant") as session:
        row = session.execute(found).one_or_none()
    if row is None:
        return None
    now = utcnow()
    if row.last_used_at is None or row.last_used_at < now - NOTED_EVERY:
        with system_work("when an API token was last used", write=True) as session:
            session.execute(update(ApiToken).where(ApiToken.id == row.id).values(last_used_at=now))
    return Bearer(row.name, row.tenant_id, frozenset(row.scopes.split()))


def create_login(session: Session, *, email: str, name: str, password: str, role: str = "owner") -> Login:
    """Make a login in the session's tenant; raise `LoginError` for a bad e-mail, role, short password or a double."""
    email = email.strip().lower()
    if "@" not in email.strip("@") or any(character.isspace() for character in email):
        raise LoginError("email: write it like ana@example.com")
    if not name.strip():
        raise LoginError("name: say who it is")
    if role not in ROLES:
        raise LoginError(f"role: must be one of {', '.join(ROLES)}")
    if session.scalar(select(Login.id).where(Login.email == email)):
        raise LoginError(f"email: {email} has a login already")
    login = Login(email=email, name=name.strip(), role=role, password_hash=_hashed(password))
    session.add(login)
    session.flush()
    return login


def list_logins(session: Session) -> list[Login]:
    """Return the logins of the session's tenant, oldest first."""
    return list(session.scalars(select(Login).order_by(Login.id)))


def find_login(session: Session, email: str) -> Login:
    """Return a login of the session's tenant; raise `LoginError` when there is none."""
    email = email.strip().lower()
    login = session.scalar(select(Login).where(Login.email == email))
    if login is None:
        raise LoginError(f"email: {email} has no login here; `citaplanner users list` shows those there are")
    return login


def set_password(login: Login, password: str) -> None:
    """Give a login another password; raise `LoginError` for one that is too short or too long."""
    login.password_hash = _hashed(password)


def is_password_of(login: Login, password: str) -> bool:
    """Tell whether this is the login's password."""
    return _verified(login.password_hash, password)


def _hashed(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise LoginError(f"password: needs at least {SHORTEST_PASSWORD} characters")
    if len(password) > LONGEST_PASSWORD:
        raise LoginError(f"password: may have {LONGEST_PASSWORD} characters at most")
    return _hasher.hash(password)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")


def _verified(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password[: LONGEST_PASSWORD + 1])
    except VerifyMismatchError:
        return False


@dataclass(frozen=True, slots=True)
class Entrance:
    """A business that somebody with this e-mail and password may enter."""

    login_id: int
    tenant_id: int
    business: str


def entrances(email: str, password: str) -> list[Entrance]:
    """Return the active businesses in which this e-mail has this password, by name; none when one of them is wrong.

    An e-mail nobody has takes as long as any other.
    """
    found = (
        select(Login.id, Login.tenant_id, Login.password_hash, Tenant.name)
        .join(Tenant, Tenant.id == Login.tenant_id)
        .where(Login.email == email.strip().lower(), Tenant.active)
        .order_by(Tenant.name, Tenant.id)
    )
    with system_work("whoever signs in names no tenant") as session:
        rows = session.execute(found).all()
    for _ in range(len(rows), LOOKED_AT):
        _verified(_nobodys_hash(), password)
    return [Entrance(row.id, row.tenant_id, row.name) for row in rows if _verified(row.password_hash, password)]


def remove_login(session: Session, email: str) -> bool:
    """Take a login of the session's tenant away, with its sessions, and tell whether there was one."""
    email = email.strip().lower()
    login = session.scalar(select(Login.id).where(Login.email == email))
    session.execute(delete(Login).where(Login.email == email))
    return login is not None
