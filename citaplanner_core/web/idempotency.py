"""The same request with the same `Idempotency-Key` is answered again instead of done again.

After draft-ietf-httpapi-idempotency-key-header-07: a key that stood for another request is 422, one whose request is
still being worked on 409. Keys belong to the tenant and are kept for 24 hours.

The key is written before the request is worked on, and marked in the very transaction that does the work, so that
nothing can be done twice: a request that broke off before that transaction may be sent again, one that broke off after
it is told that it was done and its answer lost. A request that failed here (5xx) or was throttled leaves no key.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from flask import Response, g, has_request_context, make_response, request
from sqlalchemy import Index, Text, UniqueConstraint, delete, event, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.errors import ValidationFailed
from citaplanner_core.database import Base, TenantScoped, TenantSession, utcnow, work
from citaplanner_core.web.errors import problem

HEADER = "Idempotency-Key"
METHODS = ("POST", "PATCH")
MAX_LENGTH = 200
KEPT = timedelta(hours=24)
LONGEST = timedelta(minutes=2)
"""No request is worked on for longer: after that it broke off."""

OTHER_REQUEST = "stood for another request before; a new request needs a new key"
IN_PROGRESS = "the request with this key is still being worked on; send it again in a moment"
ANSWER_LOST = (
    "the request with this key was carried out, but its answer was lost; look before you send it with a new key"
)


class IdempotencyKey(TenantScoped, Base):
    """A key, the fingerprint of its request, whether its work is committed (`done`), and what was answered."""

    __tablename__ = "idempotency_key"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (UniqueConstraint("tenant_id", "key"), Index(None, "tenant_id", "created_at"))

    key: Mapped[str]
    fingerprint: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


def begin() -> Response | None:
    """Take the request's key, or return the answer it has had; raise `ValidationFailed` for a key that cannot be."""
    g.pop("idempotency_row", None)
    key = request.headers.get(HEADER)
    if key is None or request.method not in METHODS:
        return None
    if not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise ValidationFailed(HEADER, f"give 1 to {MAX_LENGTH} printable ASCII characters, such as a UUID")
    asked = f"{request.method} {request.path}\n".encode() + request.get_data()
    fingerprint = hashlib.sha256(asked).hexdigest()
    try:
        with work(g.tenant_id) as session:
            found, mine = _take(session, key, fingerprint)
            row, answer = found.id, None if mine else _answer(found, fingerprint)
    except IntegrityError:  # another process took it between our look and our row
        return _conflict(IN_PROGRESS)
    if mine:
        g.idempotency_row = row
    return answer


def _take(session: Session, key: str, fingerprint: str) -> tuple[IdempotencyKey, bool]:
    """Return the key's row, and whether the request that holds it is ours."""
    now = utcnow()
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEPT))
    found = session.scalar(select(IdempotencyKey).where(IdempotencyKey.key == key).with_for_update())
    if found is None:
        found = IdempotencyKey(key=key, fingerprint=fingerprint)
        session.add(found)
    elif found.fingerprint != fingerprint or found.done or found.status or found.created_at > now - LONGEST:
        return found, False
    found.created_at = now
    session.flush()
    return found, True


def _answer(found: IdempotencyKey, fingerprint: str) -> Response:
    if found.fingerprint != fingerprint:
        return problem(422, f"{HEADER}: {OTHER_REQUEST}", code="idempotency_key_reused", field=HEADER)
    if found.status is not None:
        kind = "application/json" if found.status < 400 else "application/problem+json"
        return make_response(found.body or "", found.status, {"Content-Type": kind})
    if found.done and found.created_at <= utcnow() - LONGEST:
        return _conflict(ANSWER_LOST, code="answer_lost")
    return _conflict(IN_PROGRESS)


def _conflict(detail: str, code: str = "in_progress") -> Response:
    return problem(409, f"{HEADER}: {detail}", code=code, field=HEADER)


@event.listens_for(TenantSession, "before_commit")
def _mark(session: TenantSession) -> None:
    if has_request_context() and "idempotency_row" in g and session.info.get("tenant") == g.tenant_id:
        session.execute(update(IdempotencyKey).where(IdempotencyKey.id == g.idempotency_row).values(done=True))


def finish(answer: Response) -> Response:
    """Keep the answer with the key that `begin` took."""
    row = g.pop("idempotency_row", None)
    if row is not None:
        _keep(row, answer)
    return answer


def _keep(row: int, answer: Response) -> None:
    with work(g.tenant_id) as session:
        if answer.status_code >= 500 or answer.status_code == 429:
            session.execute(delete(IdempotencyKey).where(IdempotencyKey.id == row, ~IdempotencyKey.done))
        else:
            values = {"status": answer.status_code, "body": answer.get_data(as_text=True)}
            session.execute(update(IdempotencyKey).where(IdempotencyKey.id == row).values(**values))
