"""`/admin/people`: who gives services. Not logins: those are made by `citaplanner users create`."""

from flask import Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.directory import create_professional, update_professional
from citaplanner_core.booking.errors import ValidationFailed, find
from citaplanner_core.booking.hours import TimeOff
from citaplanner_core.booking.models import Professional, Tenant
from citaplanner_core.booking.timetable import hours_of
from citaplanner_core.database import utcnow, work
from citaplanner_core.web.admin.base import code, go, page, route, staff, tell, words
from citaplanner_core.web.admin.day import active_branches
from citaplanner_core.web.admin.hours import summary
from citaplanner_core.web.admin.moments import Moments


@route("/people", may="read")
def people() -> ResponseReturnValue:
    """List professionals, those who work here first."""
    with work(staff().tenant_id, write=False) as session:
        return _people(session)


def _people(session: Session, *, typed: str = "", error: str = "") -> Response:
    found = session.scalars(
        select(Professional).order_by(Professional.active.desc(), Professional.name, Professional.id)
    ).all()
    return page("people.html", status=422 if error else 200, found=found, typed=typed, error=error)


@route("/people", may="manage", method="POST")
def make_person() -> ResponseReturnValue:
    """Add a professional."""
    name = request.form.get("name", "")
    try:
        with work(staff().tenant_id) as session:
            made = create_professional(session, name=name).id
    except ValidationFailed:
        with work(staff().tenant_id, write=False) as session:
            return _people(session, typed=name, error=words()["errors"]["name"])
    tell("saved")
    return go("person", professional_id=made)


@route("/people/<int:professional_id>", may="read")
def person(professional_id: int) -> ResponseReturnValue:
    """Show a professional: name, hours at each branch, time off to come."""
    with work(staff().tenant_id, write=False) as session:
        return _person(session, professional_id)


def _person(session: Session, professional_id: int, *, typed: str | None = None, error: str = "") -> Response:
    found = find(session, Professional, professional_id, "professional_id")
    says = Moments(session.get_one(Tenant, staff().tenant_id).zone, code())
    rows = hours_of(session, professional_id=professional_id)
    away = session.scalars(
        select(TimeOff)
        .where(TimeOff.professional_id == professional_id, TimeOff.end > utcnow())
        .order_by(TimeOff.start)
    ).all()
    return page(
        "person.html",
        status=422 if error else 200,
        person=found,
        typed=found.name if typed is None else typed,
        error=error,
        own=bool(rows),
        hours=[
            (branch, summary([row for row in rows if row.branch_id == branch.id], says))
            for branch in active_branches(session)
        ],
        away=away,
        says=says,
    )


@route("/people/<int:professional_id>", may="manage", method="POST")
def change_person(professional_id: int) -> ResponseReturnValue:
    """Rename a professional, or let them be booked no more (and again)."""
    name = request.form.get("name", "")
    try:
        with work(staff().tenant_id) as session:
            update_professional(session, professional_id, name=name, active="active" in request.form)
    except ValidationFailed:
        with work(staff().tenant_id, write=False) as session:
            return _person(session, professional_id, typed=name, error=words()["errors"]["name"])
    tell("saved")
    return go("people")
