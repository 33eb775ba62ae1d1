"""On which days a business works, as reminders of the last working day before need to know."""

from datetime import date, timedelta

from citaplanner_core.booking.hours import Closure, WorkingHours
from citaplanner_core.booking.working_days import working_days
from citaplanner_core.database import work
from tests.core.booking.support import Desk

MONDAY = date(2035, 3, 5)


def week(desk: Desk, first: date = MONDAY) -> str:
    """The seven days from then on: + works, - does not."""
    with work(desk.tenant, write=False) as session:
        works = working_days(session, desk.branch_id)
    return "".join("+" if works(first + timedelta(days=number)) else "-" for number in range(7))


def test_without_hours_monday_to_friday_closed_days_excepted(desk: Desk) -> None:
    assert week(desk) == "+++++--"
    with work(desk.tenant) as session:
        session.add(Closure(first_day=MONDAY + timedelta(days=1), last_day=MONDAY + timedelta(days=2)))
    assert week(desk) == "+--++--"
    assert week(desk, MONDAY + timedelta(days=7)) == "+++++--"


def test_with_hours_the_days_that_have_some(desk: Desk) -> None:
    with work(desk.tenant) as session:
        hours = {"branch_id": desk.branch_id, "from_minute": 600, "until_minute": 900}
        session.add_all(
            [
                WorkingHours(weekday=1, **hours),
                WorkingHours(weekday=5, valid_from=MONDAY + timedelta(days=7), **hours),
                WorkingHours(weekday=6, professional_id=desk.professional_id, **hours),
            ]
        )
    assert week(desk) == "-+-----"
    assert week(desk, MONDAY + timedelta(days=7)) == "-+---+-"
