"""Wrong passwords are counted, and make whoever guesses wait: a little longer each time, never for good.

An attempt is counted before the password is looked at and taken back when it was right, so that many at once gain
nothing. Attempts during a wait are not looked at and do not lengthen it. What is counted: the e-mail address that was
typed, known or not, and the address the browser comes from; a browser that has signed in with that e-mail before is
counted by itself alone, so that nobody keeps its owner out by guessing elsewhere.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Index, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.crypto import hash_token
from citaplanner_core.database import Base, system_work, utcnow

FREE = {"login": 5, "browser": 5, "password": 5, "address": 30}
"""What is counted -> how many wrong passwords cost no wait. Many people may share an address."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN = timedelta(days=1)


class SignInGuess(Base):
    """Wrong passwords in a row for one thing that is counted, named by a hash. Guessing is before any tenant."""

    __tablename__ = "sign_in_guess"
    __table_args__ = (Index(None, "key", unique=True), Index(None, "last_at"))

    key: Mapped[str]
    failures: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime] = mapped_column(default=utcnow)
    wait_until: Mapped[datetime | None]


Counted = tuple[str, str]
"""What is counted (a name of `FREE`), and which."""


def count(counted: Sequence[Counted]) -> timedelta | None:
    """Count an attempt and return None; while somebody has to wait, return for how long and count nothing."""
    now = utcnow()
    with system_work("somebody signs in", write=True) as session:
        session.execute(delete(SignInGuess).where(SignInGuess.last_at < now - FORGOTTEN))
        rows = [(kind, _row(session, kind, which)) for kind, which in sorted(counted)]
        waits = [row.wait_until - now for _, row in rows if row.wait_until is not None and row.wait_until > now]
        if waits:
            return max(waits)
        for kind, row in rows:
            row.failures += 1
            row.last_at = now
            over = row.failures - FREE[kind]
            if over >= 0:
                row.wait_until = now + min(FIRST_WAIT * 2 ** min(over, 10), LONGEST_WAIT)
        return None


def forgive(counted: Sequence[Counted]) -> None:
    """Take back the attempt just counted, which was right. What was wrong before from the same address still counts."""
    with system_work("somebody signed in", write=True) as session:
        for kind, which in sorted(counted):
            row = _row(session, kind, which)
            row.failures = max(row.failures - 1, 0) if kind == "address" else 0
            row.wait_until = None


def _row(session: Session, kind: str, which: str) -> SignInGuess:
    key = hash_token(f"{kind}:{which}")
    found = select(SignInGuess).where(SignInGuess.key == key).with_for_update()
    row = session.scalar(found)
    if row is None:
        try:
            with session.begin_nested():
                row = SignInGuess(key=key, failures=0)
                session.add(row)
        except IntegrityError:  # another process has just made it
            row = session.scalars(found).one()
    return row
