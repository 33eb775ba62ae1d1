"""`/admin/services`: what clients book, how long it takes, and who gives it."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.directory import create_service, update_service
from citaplanner_core.booking.errors import BookingError, find
from citaplanner_core.booking.models import Professional, Service
from citaplanner_core.booking.timetable import givers_of, set_givers
from citaplanner_core.database import work
from citaplanner_core.web.admin.base import go, page, route, staff, tell, words
from citaplanner_core.web.admin.booking_forms import given_values, number

MINUTES = ("duration_minutes", "buffer_before_minutes", "buffer_after_minutes")


@route("/services", may="read")
def services() -> ResponseReturnValue:
    """List services, those in use first."""
    with work(staff().tenant_id, write=False) as session:
        found = session.scalars(select(Service).order_by(Service.active.desc(), Service.name, Service.id)).all()
        return page("services.html", found=found)


@route("/services/new", may="manage")
def new_service() -> ResponseReturnValue:
    """Ask what the service is."""
    with work(staff().tenant_id, write=False) as session:
        usual = {"duration_minutes": 30, "buffer_before_minutes": 0, "buffer_after_minutes": 0, "active": True}
        return _form(session, None, usual | {"givers": set()})


@route("/services", may="manage", method="POST")
def make_service() -> ResponseReturnValue:
    """Add a service."""
    return _save(None)


@route("/services/<int:service_id>", may="read")
def service(service_id: int) -> ResponseReturnValue:
    """Show a service, to be changed by who may."""
    with work(staff().tenant_id, write=False) as session:
        found = find(session, Service, service_id, "service_id")
        values = {name: getattr(found, name) for name in ("name", *MINUTES, "is_discreet", "active")}
        givers = {row.professional_id for row in givers_of(session, service_id)}
        return _form(session, service_id, values | {"givers": givers})


@route("/services/<int:service_id>", may="manage", method="POST")
def change_service(service_id: int) -> ResponseReturnValue:
    """Change a service. Appointments that exist stay as they are."""
    return _save(service_id)


def _save(service_id: int | None) -> Response:
    given: dict[str, Any] = {**given_values()}
    given |= {name: name in request.form for name in ("is_discreet", "active")}
    given["givers"] = {one for one in map(number, request.form.getlist("giver")) if one is not None}
    minutes = {name: number(given.get(name)) for name in MINUTES}
    errors = {name: words()["errors"][name] for name, value in minutes.items() if value is None}
    try:
        if not errors:
            with work(staff().tenant_id) as session:
                values = {name: given[name] for name in ("name", "is_discreet", "active")} | minutes
                if service_id is None:
                    service_id = create_service(session, **values).id
                else:
                    update_service(session, service_id, **values)
                _give(session, service_id, given["givers"])
            tell("saved")
            return go("services")
    except BookingError as error:
        if error.field == "service_id":
            raise
        field = error.field if error.field in (*MINUTES, "name") else "form"
        errors = {field: words()["errors"].get(field, words()["errors"]["unusable"])}
    with work(staff().tenant_id, write=False) as session:
        return _form(session, service_id, given, errors)


def _give(session: Session, service_id: int, givers: set[int]) -> None:
    """Name those who give it. Who was named for one branch only, by the API, stays so while they are ticked."""
    before = [(row.professional_id, row.branch_id) for row in givers_of(session, service_id)]
    named = {professional for professional, _ in before}
    if givers != named:
        stay = [(professional, branch) for professional, branch in before if professional in givers]
        set_givers(session, service_id, [*stay, *((one, None) for one in sorted(givers - named))])


def _form(
    session: Session, service_id: int | None, given: Mapping[str, Any], errors: Mapping[str, str] | None = None
) -> Response:
    people = session.scalars(select(Professional).where(Professional.active).order_by(Professional.name)).all()
    status = 422 if errors else 200
    return page("service.html", status=status, service_id=service_id, given=given, errors=errors or {}, people=people)
