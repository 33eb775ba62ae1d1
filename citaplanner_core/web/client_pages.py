"""`/r/<token>`: where the link in a message leads. The client sees the appointment and answers without signing in.

Reading never changes anything, since mail and chat programs open links on their own; what is decided is a POST.
There is no limit on wrong tokens: each is 72 random bits, a million guesses a second would take millions of years.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_location
from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import cancel, record_answer
from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import CANCELLED, LIVE_STATES, PENDING, Appointment, Tenant
from citaplanner_core.database import current_tenant, utcnow, work
from citaplanner_core.notifications.catalogue import known_language, language
from citaplanner_core.notifications.links import find_link
from citaplanner_core.notifications.variables import appointment_variables
from citaplanner_core.phones import parse_phone
from citaplanner_core.web.errors import message_page
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


def _read(template: str, token: str) -> ResponseReturnValue:
    now = utcnow()
    found = find_link(token, now=now)
    if found is None:
        return message_page("link_unknown", status=404)
    tenant_id, appointment_id = found
    with work(tenant_id, write=False) as session:
        view = _view(session, find(session, Appointment, appointment_id, "appointment_id"), now)
    return _page(template if "cancel" in view.choices else "appointment.html", token, view)


def _page(template: str, token: str, view: View, *, changed: bool = False) -> str:
    return page(
        template, language=view.language, lang=request.args.get("lang"), view=view, token=token, changed=changed
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


def _view(session: Session, appointment: Appointment, now: datetime) -> View:
    tenant = session.get_one(Tenant, current_tenant())
    code = asked_language(known_language(appointment.client.language or tenant.language))
    said = appointment_variables(appointment, tenant, language_code=code, now=now)
    state = _state(appointment, now)
    choices = CHOICES.get(state, ())
    if state == "confirmed" and appointment.answer == "yes":
        choices = tuple(choice for choice in choices if choice != "confirm")
    phone = parse_phone(said["branchPhone"], tenant.country)
    zone = get_timezone_location(
        ZoneInfo(appointment.branch.zone), locale=language(code).wording.locale, return_city=True
    )
    return View(
        state=state,
        choices=choices,
        language=code,
        version=appointment.schedule_version,
        business=said["businessName"],
        service=said["serviceName"],
        professional=said["professionalName"],
        date=said["appointmentDate"],
        time=said["appointmentTime"],
        zone=zone.rpartition("/")[2],
        branch=said["branchName"],
        address=said["branchAddress"],
        phone=said["branchPhone"],
        dial=phone.e164 if phone else None,
    )
