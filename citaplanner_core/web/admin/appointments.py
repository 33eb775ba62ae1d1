"""`/admin/appointments`: making an appointment, looking at one, moving, cancelling and settling it."""

from collections.abc import Callable
from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.availability import nearest_slots
from citaplanner_core.booking.errors import BookingError, NotAllowed, StaleVersion, Wanted, find
from citaplanner_core.booking.models import LIVE_STATES, Appointment, Client
from citaplanner_core.database import utcnow, work
from citaplanner_core.notifications import timeline
from citaplanner_core.web.admin.base import code, go, page, route, staff, tell
from citaplanner_core.web.admin.booking_forms import (
    Refused,
    choices,
    given_values,
    kept,
    number,
    read_wish,
    refused_by,
    require_meant,
)
from citaplanner_core.web.admin.moments import Moments
from citaplanner_core.web.offers import read_start

VERBS: dict[str, Callable[..., Appointment]] = {
    "confirm": verbs.confirm,
    "complete": verbs.complete,
    "no-show": verbs.mark_no_show,
    "cancel": verbs.cancel,
}
MOST_HISTORY = 100


@route("/appointments/new", may="book")
def new_appointment() -> ResponseReturnValue:
    """Ask for whom, then for what and when."""
    given = given_values()
    if number(given.get("client")) is None:
        return go("clients", booking=1, **kept(given))
    return _new(given)


@route("/appointments", may="book", method="POST")
def make_appointment() -> ResponseReturnValue:
    """Book, and show the appointment; else the form with what was given, why not, and the nearest free times."""
    given = given_values()
    try:
        with work(staff().tenant_id) as session:
            client = find(session, Client, number(given.get("client")) or 0, "client_id")
            wanted = read_wish(session, given)
            require_meant(session, wanted, given)
            try:
                made = verbs.book(
                    session,
                    client_id=client.id,
                    service_id=wanted.service_id,
                    professional_id=wanted.professional_id,
                    branch_id=wanted.branch_id,
                    start=wanted.start,
                    booked_by="staff",
                    notes=given.get("notes", ""),
                ).id
            except BookingError as error:
                raise refused_by(error) from None
    except Refused as refused:
        before = _same(refused.taken, given) if refused.taken else None
        if before is None:
            return _new(given, refused)
        tell("booked_before")
        return go("appointment", appointment_id=before)
    tell("booked")
    return go("appointment", appointment_id=made)


def _same(taken: Wanted, given: dict[str, str]) -> int | None:
    """Find what this very form booked just before: a double click, or the page sent once more."""
    wanted = select(Appointment.id).where(
        Appointment.client_id == number(given.get("client")),
        Appointment.professional_id == taken.professional_id,
        Appointment.service_id == taken.service_id,
        Appointment.branch_id == taken.branch_id,
        Appointment.start == taken.start,
        Appointment.status.in_(LIVE_STATES),
    )
    with work(staff().tenant_id, write=False) as session:
        return session.scalar(wanted)


def _new(given: dict[str, str], refused: Refused | None = None) -> Response:
    with work(staff().tenant_id, write=False) as session:
        client = find(session, Client, number(given.get("client")) or 0, "client_id")
        offered = choices(session, given.get("branch"))
        start = read_start(given.get("slot", "").partition("|")[0]) or read_start(given.get("start"))
        if start is not None:
            given |= offered.says.fields(start) | {"was": start.isoformat()}
        return _form(session, "new_appointment.html", given, refused, offered=offered, client=client)


def _form(session: Session, template: str, given: dict[str, str], refused: Refused | None, **values: Any) -> Response:
    refused = refused or Refused({}, status=200)
    nearest = nearest_slots(session, refused.taken) if refused.taken else []
    return page(template, status=refused.status, given=given, errors=refused.errors, nearest=nearest, **values)


@route("/appointments/<int:appointment_id>", may="read")
def appointment(appointment_id: int) -> ResponseReturnValue:
    """Show an appointment, what can be done with it and what happened."""
    return _show(appointment_id)


def _show(appointment_id: int, *, status: int = 200, changed: bool = False, reason: str = "") -> Response:
    with work(staff().tenant_id, write=False) as session:
        found = find(session, Appointment, appointment_id, "appointment_id")
        says = Moments(found.branch.zone, code())
        scope = timeline.of_appointment(found.id)
        entries, more = timeline.read(session, scope, limit=MOST_HISTORY, language=code())
        return page(
            "appointment.html",
            status=status,
            appointment=found,
            client=found.client,
            says=says,
            live=found.status in LIVE_STATES,
            begun=found.start <= utcnow(),
            entries=entries,
            more=more,
            changed=changed,
            reason=reason,
        )


@route(f"/appointments/<int:appointment_id>/<any({', '.join(map(repr, VERBS))}):verb>", may="book", method="POST")
def settle(appointment_id: int, verb: str) -> ResponseReturnValue:
    """Confirm, complete or cancel an appointment, or note that nobody came, as long as it is as it was shown."""
    given = given_values()
    reason = given.get("reason", "")
    try:
        with work(staff().tenant_id) as session:
            VERBS[verb](
                session,
                appointment_id,
                by="staff",
                reason=reason or None,
                expected_version=_version(given),
            )
    except (StaleVersion, NotAllowed):
        return _show(appointment_id, status=409, changed=True, reason=reason)
    tell(verb.replace("-", "_"))
    return go("appointment", appointment_id=appointment_id)


@route("/appointments/<int:appointment_id>/move", may="book")
def other_time(appointment_id: int) -> ResponseReturnValue:
    """Ask for another time, professional, service or branch."""
    with work(staff().tenant_id, write=False) as session:
        found = find(session, Appointment, appointment_id, "appointment_id")
        if found.status not in LIVE_STATES:
            return _show_closed(appointment_id)
        return _move(session, found, _as_it_is(found) | given_values())


@route("/appointments/<int:appointment_id>/move", may="book", method="POST")
def move(appointment_id: int) -> ResponseReturnValue:
    """Move an appointment, as long as it is as it was shown; else the form again, with what was given and why."""
    given = given_values()
    try:
        with work(staff().tenant_id) as session:
            found = find(session, Appointment, appointment_id, "appointment_id")
            wanted = read_wish(session, given)
            require_meant(session, wanted, given, before=_wanted(found))
            try:
                verbs.reschedule(
                    session,
                    appointment_id,
                    start=wanted.start,
                    professional_id=wanted.professional_id,
                    service_id=wanted.service_id,
                    branch_id=wanted.branch_id,
                    by="staff",
                    reason=given.get("reason") or None,
                    expected_version=_version(given),
                )
            except (StaleVersion, NotAllowed):
                raise
            except BookingError as error:
                raise refused_by(error) from None
    except NotAllowed:
        return _show(appointment_id, status=409, changed=True)
    except StaleVersion:
        refused, changed = Refused({}, status=409), True
    except Refused as error:
        refused, changed = error, False
    else:
        tell("moved")
        return go("appointment", appointment_id=appointment_id)
    with work(staff().tenant_id, write=False) as session:
        found = find(session, Appointment, appointment_id, "appointment_id")
        return _move(session, found, given, refused, changed=changed)


def _show_closed(appointment_id: int) -> Response:
    tell("closed")
    return go("appointment", appointment_id=appointment_id)


def _as_it_is(found: Appointment) -> dict[str, str]:
    says = Moments(found.branch.zone, code())
    ids = {name: str(getattr(found, f"{name}_id")) for name in ("branch", "professional", "service")}
    return ids | says.fields(found.start) | {"was": found.start.isoformat()}


def _wanted(found: Appointment) -> Wanted:
    return Wanted(found.service_id, found.branch_id, found.professional_id, found.start)


def _move(
    session: Session,
    found: Appointment,
    given: dict[str, str],
    refused: Refused | None = None,
    *,
    changed: bool = False,
) -> Response:
    offered = choices(session, given.get("branch"))
    start = read_start(given.get("slot", "").partition("|")[0])
    if start is not None:
        given |= offered.says.fields(start) | {"was": start.isoformat()}
    now = Moments(found.branch.zone, code())
    values = {"appointment": found, "client": found.client, "now": now, "offered": offered, "changed": changed}
    return _form(session, "move_appointment.html", given, refused, **values)


def _version(given: dict[str, str]) -> int:
    shown = number(given.get("version"))
    return -1 if shown is None else shown
