"""On which days a business works."""

from collections.abc import Callable
from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.hours import Closure, WorkingHours

IsWorkingDay = Callable[[date], bool]


def monday_to_friday(day: date) -> bool:
    """Tell whether people work on a day where nobody said when."""
    return day.weekday() < 5


def working_days(session: Session, branch_id: int) -> IsWorkingDay:
    """Return what tells whether a branch works on a day (of its own calendar).

    It does on the days of its opening hours, without any from Monday to Friday, and never on its closed days.
    """
    hours = session.execute(
        select(WorkingHours.weekday, WorkingHours.valid_from, WorkingHours.valid_until).where(
            WorkingHours.branch_id == branch_id, WorkingHours.professional_id.is_(None)
        )
    ).all()
    closed = session.execute(
        select(Closure.first_day, Closure.last_day).where(
            or_(Closure.branch_id.is_(None), Closure.branch_id == branch_id)
        )
    ).all()

    def works(day: date) -> bool:
        if any(first <= day <= last for first, last in closed):
            return False
        if not hours:
            return monday_to_friday(day)
        return any(
            day.weekday() == weekday and (since or day) <= day <= (until or day) for weekday, since, until in hours
        )

    return works
