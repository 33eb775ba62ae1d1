"""Setting hours, closed days, time off and who gives what. What is booked already stays as it is.

These functions take the session of an open `work(tenant)` and never commit.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import ValidationFailed, find, short_text, utc
from citaplanner_core.booking.hours import DAY_MINUTES, WEEK, Closure, ProfessionalService, TimeOff, WorkingHours
from citaplanner_core.booking.models import Branch, Professional, Service

MOST_BLOCKS = 500


def hours_of(
    session: Session, *, branch_id: int | None = None, professional_id: int | None = None
) -> list[WorkingHours]:
    """Return a branch's opening hours, or a professional's at all branches, by weekday; raise `NotFound`."""
    if professional_id is not None:
        find(session, Professional, professional_id, "professional_id")
        whose = WorkingHours.professional_id == professional_id
    else:
        find(session, Branch, branch_id or 0, "branch_id")
        whose = (WorkingHours.branch_id == branch_id) & WorkingHours.professional_id.is_(None)
    ordered = select(WorkingHours).where(whose).order_by(WorkingHours.weekday, WorkingHours.from_minute)
    return list(session.scalars(ordered))


def set_hours(
    session: Session,
    blocks: Sequence[WorkingHours],
    *,
    branch_id: int | None = None,
    professional_id: int | None = None,
) -> list[WorkingHours]:
    """Put these blocks in the place of a branch's opening hours, or of a professional's hours at all branches.

    A branch's blocks get its id; a professional's name theirs. No block: always open, or whenever the branch is.
    Raises `NotFound`, and `ValidationFailed` naming the block.
    """
    if len(blocks) > MOST_BLOCKS:
        raise ValidationFailed("blocks", f"give {MOST_BLOCKS} at most")
    for old in hours_of(session, branch_id=branch_id, professional_id=professional_id):
        session.delete(old)
    branches = set()
    for number, block in enumerate(blocks):
        block.professional_id = professional_id
        if professional_id is None and branch_id is not None:
            block.branch_id = branch_id
        elif block.branch_id not in branches:
            branches.add(find(session, Branch, block.branch_id, f"blocks.{number}.branch_id").id)
        _check(block, f"blocks.{number}")
        session.add(block)
    session.flush()
    return hours_of(session, branch_id=branch_id, professional_id=professional_id)


def _check(block: WorkingHours, where: str) -> None:
    if not 0 <= block.weekday < WEEK:
        raise ValidationFailed(f"{where}.weekday", "give 0 (Monday) to 6 (Sunday)")
    if not 0 <= block.from_minute < block.until_minute <= DAY_MINUTES:
        raise ValidationFailed(f"{where}.until", "must come after `from`; a night is two blocks, split at 0:00")
    if block.valid_from and block.valid_until and block.valid_until < block.valid_from:
        raise ValidationFailed(f"{where}.valid_until", "must not come before `valid_from`")


def close(
    session: Session, *, first_day: date, last_day: date | None = None, branch_id: int | None = None, name: str = ""
) -> Closure:
    """Close a branch, or all of them, on these days (both included; one day without `last_day`) and return the row.

    Raises `NotFound` or `ValidationFailed`.
    """
    last_day = last_day or first_day
    if last_day < first_day:
        raise ValidationFailed("last_day", "must not come before `first_day`")
    if branch_id is not None:
        find(session, Branch, branch_id, "branch_id")
    closure = Closure(first_day=first_day, last_day=last_day, branch_id=branch_id, name=short_text("name", name))
    session.add(closure)
    session.flush()
    return closure


def reopen(session: Session, closure_id: int) -> None:
    """Take a closure away; raise `NotFound`."""
    session.delete(find(session, Closure, closure_id, "closure_id"))
    session.flush()


def take_off(session: Session, *, professional_id: int, start: datetime, end: datetime, reason: str = "") -> TimeOff:
    """Note that a professional is away from `start` until `end` (aware); raise `NotFound` or `ValidationFailed`."""
    start, end = utc("start", start), utc("end", end)
    if end <= start:
        raise ValidationFailed("end", "must come after `start`")
    find(session, Professional, professional_id, "professional_id")
    away = TimeOff(professional_id=professional_id, start=start, end=end, reason=short_text("reason", reason))
    session.add(away)
    session.flush()
    return away


def come_back(session: Session, time_off_id: int) -> None:
    """Take time off away; raise `NotFound`."""
    session.delete(find(session, TimeOff, time_off_id, "time_off_id"))
    session.flush()


def givers_of(session: Session, service_id: int) -> list[ProfessionalService]:
    """Return who is named for a service, at one branch or (None) all; nobody named: everybody. Raises `NotFound`."""
    find(session, Service, service_id, "service_id")
    named = select(ProfessionalService).where(ProfessionalService.service_id == service_id)
    return list(session.scalars(named.order_by(ProfessionalService.professional_id, ProfessionalService.id)))


def set_givers(session: Session, service_id: int, who: Iterable[tuple[int, int | None]]) -> list[ProfessionalService]:
    """Name those who give a service, as (professional, branch or None for all), instead of those named before.

    Raises `NotFound` naming the entry.
    """
    find(session, Service, service_id, "service_id")
    session.execute(delete(ProfessionalService).where(ProfessionalService.service_id == service_id))
    for number, (professional, branch) in enumerate(dict.fromkeys(who)):
        find(session, Professional, professional, f"items.{number}.professional_id")
        if branch is not None:
            find(session, Branch, branch, f"items.{number}.branch_id")
        session.add(ProfessionalService(service_id=service_id, professional_id=professional, branch_id=branch))
    session.flush()
    return givers_of(session, service_id)
