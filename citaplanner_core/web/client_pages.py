"""`/r/<token>`: where the link in a message leads. The client sees the appointment and answers without signing in.

Reading never changes anything, since mail and chat programs open links on their own; what is decided is a POST.
There is no limit on wrong tokens: each is 72 random bits, a million guesses a second would take millions of years.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, Response, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import cancel, is_too_late_to_cancel, record_answer, reschedule
from citaplanner_core.booking.errors import SlotTaken, ValidationFailed, find
from citaplanner_core.booking.models import CANCELLED, LIVE_STATES, PENDING, Appointment, Tenant
from citaplanner_core.database import current_tenant, utcnow, work
from citaplanner_core.notifications.catalogue import known_language
from citaplanner_core.notifications.links import find_link
from citaplanner_core.notifications.variables import appointment_variables
from citaplanner_core.phones import parse_phone
from citaplanner_core.web.calendar import make_event
from citaplanner_core.web.errors import message_page
from citaplanner_core.web.offers import make_offer, name_zone, read_day, read_start
from citaplanner_core.web.words import asked_language, page, words

blueprint = Blueprint("client_pages", __name__, url_prefix="/r")

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "pending": ("confirm", "move", "cancel"),
    "answered": ("move", "cancel"),
    "confirmed": ("confirm", "move", "cancel"),
    "move": ("confirm", "cancel"),
}
"""What a client may choose in which state; in the other states nothing."""


@dataclass(frozen=True, slots=True)
class View:
    """An appointment as its client sees it, in a language and in the branch's zone."""

    state: str
    choices: tuple[str, ...]
    must_call: bool
    language: str
    version: int
    business: str
    service: str
    professional: str
    date: str
    time: str
    zone: str
    branch: str
    address: str
    phone: str
    dial: str | None


@blueprint.get("/<token>")
def show(token: str) -> ResponseReturnValue:
    """Show the appointment with what can be chosen now."""
    return _read("appointment.html", token)


@blueprint.get("/<token>/cancel")
def ask(token: str) -> ResponseReturnValue:
    """Ask once more before cancelling; where that is not possible any more, show the appointment."""
    return _read("cancel.html", token)


@blueprint.get("/<token>/times")
def offer(token: str) -> ResponseReturnValue:
    """Show the times the appointment could be moved to; where it cannot be moved any more, show the appointment."""
    return _read("move.html", token)


@blueprint.get("/<token>.ics")
def calendar(token: str) -> ResponseReturnValue:
    """Return the appointment for the client's own calendar."""
    found = find_link(token, now=utcnow())
    if found is None:
        return message_page("link_unknown", status=404)
    tenant_id, appointment_id = found
    with work(tenant_id, write=False) as session:
        appointment = find(session, Appointment, appointment_id, "appointment_id")
        event = make_event(
            appointment, session.get_one(Tenant, tenant_id), url=url_for(".show", token=token, _external=True)
        )
    return Response(event, mimetype="text/calendar", headers={"Content-Disposition": "attachment; filename=cita.ics"})


@blueprint.post("/<token>/times")
def move(token: str) -> ResponseReturnValue:
    """Move the appointment to the chosen time, then show it; a time that went meanwhile is said, with those left."""
    now = utcnow()
    found = find_link(token, now=now)
    if found is None:
        return message_page("link_unknown", status=404)
    tenant_id, appointment_id = found
    start = read_start(request.form.get("start"))
    moved = False
    try:
        with work(tenant_id) as session:
            appointment = find(session, Appointment, appointment_id, "appointment_id", lock=True)
            view = _view(session, appointment, now)
            if _is_movable(view):
                if request.form.get("version") != str(view.version):
                    return _page("appointment.html", token, view, changed=True), 409
                if start is not None:
                    reschedule(session, appointment_id, start=start, by="client")
                    moved = True
    except (SlotTaken, ValidationFailed):
        answer = _read("move.html", token, gone=True)
        answer.status_code = 409
        return answer
    return redirect(
        url_for("client_pages.show", token=token, lang=request.args.get("lang"), moved=1 if moved else None), 303
    )


@blueprint.post("/<token>/<any(confirm, move, cancel):choice>")
def choose(token: str, choice: str) -> ResponseReturnValue:
    """Do what the client chose, then show the appointment.

    What is done already, or not possible any more, changes nothing: the page tells how things stand. A page that was
    opened before the appointment moved is shown anew instead, so that nobody agrees to a time they did not see.
    """
    now = utcnow()
    found = find_link(token, now=now)
    if found is None:
        return message_page("link_unknown", status=404)
    tenant_id, appointment_id = found
    with work(tenant_id) as session:
        appointment = find(session, Appointment, appointment_id, "appointment_id", lock=True)
        view = _view(session, appointment, now)
        if choice in view.choices and request.form.get("version") != str(view.version):
            return _page("appointment.html", token, view, changed=True), 409
        if choice in view.choices:
            _do(session, appointment, choice, words(view.language)["appointment"][choice])
    return redirect(url_for("client_pages.show", token=token, lang=request.args.get("lang")), 303)


def _do(session: Session, appointment: Appointment, choice: str, label: str) -> None:
    if choice == "cancel":
        record_answer(session, appointment.id, answer="no", words=label)
        cancel(session, appointment.id, by="client")
    else:
        record_answer(session, appointment.id, answer="yes" if choice == "confirm" else "move", words=label)


def _read(template: str, token: str, *, gone: bool = False) -> Response:
    """Show a page about the appointment, `gone` with the news that a time was taken meanwhile."""
    now = utcnow()
    found = find_link(token, now=now)
    if found is None:
        return message_page("link_unknown", status=404)
    tenant_id, appointment_id = found
    with work(tenant_id, write=False) as session:
        appointment = find(session, Appointment, appointment_id, "appointment_id")
        view = _view(session, appointment, now)
        if template == "move.html" and _is_movable(view):
            offered = make_offer(
                session,
                zone=appointment.branch.zone,
                language_code=view.language,
                service_id=appointment.service_id,
                branch_id=appointment.branch_id,
                professional_id=appointment.professional_id,
                first=read_day(request.args.get("from")),
                day=read_day(request.args.get("day")),
            )
            return make_response(_page(template, token, view, offer=offered, gone=gone))
    shown = template if template == "cancel.html" and "cancel" in view.choices else "appointment.html"
    return make_response(_page(shown, token, view))


def _page(template: str, token: str, view: View, **values: object) -> str:
    news = next((name for name in ("booked", "moved") if request.args.get(name)), None)
    return page(
        template, language=view.language, lang=request.args.get("lang"), view=view, token=token, news=news, **values
    )


def _state(appointment: Appointment, now: datetime) -> str:
    if appointment.status == CANCELLED:
        return "cancelled"
    if appointment.status not in LIVE_STATES:
        return "over"
    if appointment.start <= now:
        return "begun"
    if appointment.answer == "move":
        return "move"
    if appointment.status == PENDING:
        return "answered" if appointment.answer == "yes" else "pending"
    return "confirmed"


def _is_movable(view: View) -> bool:
    return "move" in view.choices or (view.state == "move" and not view.must_call)


def _view(session: Session, appointment: Appointment, now: datetime) -> View:
    tenant = session.get_one(Tenant, current_tenant())
    code = asked_language(known_language(appointment.client.language or tenant.language))
    said = appointment_variables(appointment, tenant, language_code=code, now=now, name_zone=False)
    state = _state(appointment, now)
    choices = CHOICES.get(state, ())
    if state == "confirmed" and appointment.answer == "yes":
        choices = tuple(choice for choice in choices if choice != "confirm")
    must_call = bool(choices) and is_too_late_to_cancel(tenant, appointment, now)
    if must_call:
        choices = tuple(choice for choice in choices if choice == "confirm")
    phone = parse_phone(said["branchPhone"], tenant.country)
    return View(
        state=state,
        choices=choices,
        must_call=must_call,
        language=code,
        version=appointment.schedule_version,
        business=said["businessName"],
        service=said["serviceName"],
        professional=said["professionalName"],
        date=said["appointmentDate"],
        time=said["appointmentTime"],
        zone=name_zone(appointment.branch.zone, code),
        branch=said["branchName"],
        address=said["branchAddress"],
        phone=said["branchPhone"],
        dial=phone.e164 if phone else None,
    )
