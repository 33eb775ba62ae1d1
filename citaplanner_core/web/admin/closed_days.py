"""`/admin/closed-days`: holidays of the business, and time off of its people."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from flask import Response
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import BookingError, find
from citaplanner_core.booking.hours import DAY_MINUTES, Clock, Closure, TimeOff
from citaplanner_core.booking.models import LIVE_STATES, Appointment, Branch, Professional, Tenant
from citaplanner_core.booking.timetable import close, come_back, reopen, take_off
from citaplanner_core.database import utcnow, work
from citaplanner_core.web.admin.base import code, go, page, route, staff, tell, words
from citaplanner_core.web.admin.booking_forms import given_values, number
from citaplanner_core.web.admin.day import active_branches
from citaplanner_core.web.admin.moments import Moments, UnreadTime
from citaplanner_core.web.offers import read_day


@route("/closed-days", may="read")
def closed_days() -> ResponseReturnValue:
    """List closed days and time off to come, with forms for more."""
    with work(staff().tenant_id, write=False) as session:
        return _show(session, {}, {})


def _says(session: Session) -> Moments:
    return Moments(session.get_one(Tenant, staff().tenant_id).zone, code())


def _show(session: Session, given: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    says = _says(session)
    closures = session.execute(
        select(Closure, Branch.name)
        .outerjoin(Branch, Branch.id == Closure.branch_id)
        .where(Closure.last_day >= says.today)
        .order_by(Closure.first_day, Closure.id)
    ).all()
    away = session.execute(
        select(TimeOff, Professional.name)
        .join(Professional, Professional.id == TimeOff.professional_id)
        .where(TimeOff.end > utcnow())
        .order_by(TimeOff.start, TimeOff.id)
    ).all()
    people = session.scalars(select(Professional).where(Professional.active).order_by(Professional.name)).all()
    return page(
        "closed_days.html",
        status=422 if errors else 200,
        closures=closures,
        away=away,
        branches=active_branches(session),
        people=people,
        given=given,
        errors=errors,
        says=says,
    )


@route("/closed-days", may="manage", method="POST")
def make_closure() -> ResponseReturnValue:
    """Close a branch, or all, for days; tell how many appointments stand in them."""
    given = given_values()
    first, last = read_day(given.get("first_day")), read_day(given.get("last_day") or given.get("first_day"))
    with work(staff().tenant_id) as session:
        said = words()["errors"]
        if first is None or last is None:
            return _show(session, given, {"first_day" if first is None else "last_day": said["day"]})
        if last < first:
            return _show(session, given, {"last_day": said["last_day"]})
        branch_id = number(given.get("branch"))
        try:
            close(session, first_day=first, last_day=last, branch_id=branch_id, name=given.get("name", ""))
        except BookingError as error:
            if error.field == "branch_id":
                raise
            return _show(session, given, {"name": said["unusable"]})
        standing = sum(
            _standing(session, *_ends(branch, first, last), Appointment.branch_id == branch.id)
            for branch in session.scalars(select(Branch))
            if branch_id in (None, branch.id)
        )
    tell("closed_some" if standing else "saved", number=standing)
    return go("closed_days")


def _ends(branch: Branch, first: date, last: date) -> tuple[datetime, datetime]:
    clock = Clock(branch.zone)
    return (
        datetime.fromtimestamp(clock.moment(first), UTC),
        datetime.fromtimestamp(clock.moment(last, DAY_MINUTES), UTC),
    )


def _standing(session: Session, start: datetime, end: datetime, *conditions: ColumnElement[bool]) -> int:
    count = select(func.count(Appointment.id)).where(
        Appointment.status.in_(LIVE_STATES),
        Appointment.start > start - timedelta(minutes=DAY_MINUTES),
        Appointment.start < end,
        Appointment.end > start,
        *conditions,
    )
    return session.scalar(count) or 0


@route("/closed-days/<int:closure_id>/remove", may="manage", method="POST")
def drop_closure(closure_id: int) -> ResponseReturnValue:
    """Open again on days that were closed."""
    with work(staff().tenant_id) as session:
        reopen(session, closure_id)
    tell("saved")
    return go("closed_days")


@route("/time-off", may="manage", method="POST")
def make_time_off() -> ResponseReturnValue:
    """Note that somebody is away, for days or from time to time; tell how many appointments stand in it."""
    given = given_values()
    with work(staff().tenant_id) as session:
        says, said = _says(session), words()["errors"]
        professional = number(given.get("professional"))
        if professional is None:
            return _show(session, given, {"professional": said["choose"]})
        find(session, Professional, professional, "professional_id")
        try:
            start = says.read(given.get("from_day", ""), given.get("from_time") or "00:00")
        except UnreadTime as error:
            return _show(session, given, {"from_day" if str(error) == "day" else "from_time": said[str(error)]})
        try:
            end = _until(given, says)
        except UnreadTime as error:
            return _show(session, given, {"until_day" if str(error) == "day" else "until_time": said[str(error)]})
        if end <= start:
            return _show(session, given, {"until_day": said["end"]})
        try:
            take_off(session, professional_id=professional, start=start, end=end, reason=given.get("reason", ""))
        except BookingError:
            return _show(session, given, {"reason": said["unusable"]})
        standing = _standing(session, start, end, Appointment.professional_id == professional)
    tell("away_some" if standing else "saved", number=standing)
    return go("closed_days")


def _until(given: Mapping[str, str], says: Moments) -> datetime:
    """The end that was given; without a time the end of that day, without a day that of the first."""
    day, clock = given.get("until_day") or given.get("from_day", ""), given.get("until_time", "")
    if clock:
        return says.read(day, clock)
    last = read_day(day)
    if last is None:
        raise UnreadTime("day")
    return datetime.fromtimestamp(Clock(says.zone).moment(last, DAY_MINUTES), UTC)


@route("/time-off/<int:time_off_id>/remove", may="manage", method="POST")
def drop_time_off(time_off_id: int) -> ResponseReturnValue:
    """Take time off away."""
    with work(staff().tenant_id) as session:
        come_back(session, time_off_id)
    tell("saved")
    return go("closed_days")
