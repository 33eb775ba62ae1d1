"""`/admin/week`: seven days of a branch, of all its people or of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.hours import DAY_MINUTES, Clock, Closure, Hours, common, joined
from citaplanner_core.booking.models import CANCELLED, Branch, Professional
from citaplanner_core.database import utcnow, work
from citaplanner_core.web.admin.base import code, page, route, staff
from citaplanner_core.web.admin.day import active_branches, chosen, chosen_person
from citaplanner_core.web.admin.diary import USUAL, Piece, Visit, has_opening_hours, pieces_of, visits_between
from citaplanner_core.web.admin.moments import Moments
from citaplanner_core.web.offers import read_day

WEEK = 7


@dataclass(frozen=True, slots=True)
class WeekDay:
    """A day of the week: its appointments, of one professional with what lies between them.

    `closed` is the name of the closed day ("" without one), None on other days; `works`: the branch opens, and the
    professional, if it is about one, works there that day.
    """

    day: date
    pieces: Sequence[Piece]
    closed: str | None
    works: bool

    @property
    def visits(self) -> int:
        """How many appointments there are here."""
        return sum(piece.kind == "appointment" for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from a Monday on; `people` are those whose week can be seen alone, by id and name."""

    days: Sequence[WeekDay]
    people: Sequence[tuple[int, str]]


def read_week(session: Session, branch: Branch, day: date, only: int | None = None) -> Week:
    """Read the week of a day by the branch's clock, of all or of `only` one. The number of queries does not grow."""
    clock = Clock(branch.zone)
    monday = day - timedelta(days=day.weekday())
    days = [monday + timedelta(days=number) for number in range(WEEK)]
    starts, ends = clock.moment(days[0]), clock.moment(days[-1], DAY_MINUTES)
    hours = Hours(session, branch, starts, ends - 1)
    visits = [one for one in visits_between(session, starts, ends - 1) if one.status != CANCELLED]
    if only is not None:
        visits = [one for one in visits if one.professional_id == only]
    people = session.execute(select(Professional.id, Professional.name, Professional.active)).all()
    here = {one.professional_id for one in visits if one.branch_id == branch.id}
    active = {person for person, _, is_active in people if is_active}
    working = hours.opening if only is None else hours.working(only) if only in active else []
    closures = session.execute(
        select(Closure.first_day, Closure.last_day, Closure.name)
        .where(
            Closure.first_day <= days[-1],
            Closure.last_day >= days[0],
            or_(Closure.branch_id.is_(None), Closure.branch_id == branch.id),
        )
        .order_by(Closure.id)
    ).all()
    has_hours = has_opening_hours(session, branch)
    found = []
    for one in days:
        span = [(clock.moment(one), clock.moment(one, DAY_MINUTES))]
        today = [visit for visit in visits if common([_span(visit)], span)]
        works = common(working, span)
        at_home = [visit for visit in today if visit.branch_id == branch.id]
        if only is None:
            pieces = [Piece("appointment", *_span(visit), visit) for visit in at_home]
        elif works or at_home:
            opening = common(hours.opening, span)
            usual = [(clock.moment(one, USUAL[0]), clock.moment(one, USUAL[1]))]
            shown = joined([*(opening if has_hours else common(opening, usual)), *map(_span, at_home)])
            pieces = list(pieces_of(shown, works, opening, today, branch.id))
        else:
            pieces = []
        closed = next((name for first, last, name in closures if first <= one <= last), None)
        found.append(WeekDay(one, pieces, closed, bool(works)))
    names = sorted(
        ((person, name) for person, name, _ in people if person in active | here), key=lambda person: person[1]
    )
    return Week(found, names)


def _span(visit: Visit) -> tuple[int, int]:
    return int(visit.start.timestamp()), int(visit.end.timestamp())


@route("/week", may="read")
def week() -> ResponseReturnValue:
    """Show a week of a branch: a column for each day, a list on a phone."""
    with work(staff().tenant_id, write=False) as session:
        branches = active_branches(session)
        if not branches:
            return page("no_branch.html")
        branch = chosen(branches, request.args.get("branch"))
        says = Moments(branch.zone, code())
        shown = read_day(request.args.get("day")) or says.today
        only = chosen_person()
        found = read_week(session, branch, shown, only)
        return page(
            "week.html",
            branches=branches,
            branch=branch,
            week=found,
            shown=shown,
            says=says,
            only=only or "",
            names=dict(found.people),
            before=(shown - timedelta(days=WEEK)).isoformat(),
            after=(shown + timedelta(days=WEEK)).isoformat(),
            now=utcnow(),
        )
