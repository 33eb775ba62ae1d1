"""`/b/<tenant>`: where anybody books: a service, a time, who one is; no account and no script needed.

Reading changes nothing. Whoever types a phone learns nothing about the person it belongs to: a booking joins a known
client only when the name agrees, too, and the page then shows what was typed, never what was known.
"""

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, current_app, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.appointments import book
from citaplanner_core.booking.availability import givers, nearest_slots
from citaplanner_core.booking.clients import create_client, find_by_match_key
from citaplanner_core.booking.errors import BookingError, SlotTaken, ValidationFailed, Wanted
from citaplanner_core.booking.models import (
    LIVE_STATES,
    Appointment,
    AppointmentChange,
    Branch,
    Client,
    ClientPhone,
    Professional,
    Service,
    Tenant,
)
from citaplanner_core.database import system_work, utcnow, work
from citaplanner_core.notifications.catalogue import known_language
from citaplanner_core.notifications.consent_texts import current_texts, record_booking
from citaplanner_core.notifications.links import new_link
from citaplanner_core.phones import PhoneNumber, parse_phone
from citaplanner_core.web.addresses import Lately, client_address, household
from citaplanner_core.web.errors import message_page
from citaplanner_core.web.offers import make_offer, name_zone, read_day, read_start, say_moment
from citaplanner_core.web.pages import HEADERS
from citaplanner_core.web.snippets import policy, snippets_of
from citaplanner_core.web.words import asked_language, page, words

blueprint = Blueprint("booking_page", __name__, url_prefix="/b")

MOST_UPCOMING = 4
"""Bookings to come that one phone may have from here: more is a person's call, or a prank."""

MOST_AT_ONCE = 60
MOST_FROM_ONE = 15
"""From one address, so that nobody alone keeps all others out. Telephone companies let many people share one."""

BUSY = timedelta(minutes=10)
"""So many bookings of clients in that time, and the page asks to come back later."""


NAME_LENGTH, TEXT_LENGTH = 80, 500


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the visitor chose so far, out of the address or the form; only rows that are active here."""

    branch: Branch | None
    service: Service | None
    professional: Professional | None


@blueprint.get("/<slug>")
def show(slug: str) -> ResponseReturnValue:
    """Show the next step: service (and branch), then time, then the form."""
    tenant_id = _tenant(slug)
    if tenant_id is None:
        return message_page("not_found", status=404)
    with work(tenant_id, write=False) as session:
        tenant = session.get_one(Tenant, tenant_id)
        code = asked_language(known_language(tenant.language))
        choice = _chosen(session, request.args)
        if choice.branch is None or choice.service is None:
            return _services(session, tenant, code, choice.branch)
        start = read_start(request.args.get("start"))
        if start is None or choice.professional is None:
            return _times(session, tenant, code, choice)
        return _form(session, tenant, code, choice, {"start": start.isoformat()}, {})


@blueprint.post("/<slug>")
def book_here(slug: str) -> ResponseReturnValue:
    """Book what the form says, and go to the appointment's own page; else show the form, or other times, and why."""
    tenant_id = _tenant(slug)
    if tenant_id is None:
        return message_page("not_found", status=404)
    given = {
        name: " ".join(request.form.get(name, "").split()) for name in ("name", "phone", "email", "start", "marketing")
    }
    try:
        with work(tenant_id) as session:
            return _book(session, session.get_one(Tenant, tenant_id), given)
    except (SlotTaken, ValidationFailed) as error:  # what may no longer be had
        with work(tenant_id) as session:
            tenant = session.get_one(Tenant, tenant_id)
            choice = _chosen(session, request.form)
            before = _same_booking(session, tenant, choice, given)
            if before is not None:
                return _done(session, before)
            code = asked_language(known_language(tenant.language))
            if choice.branch is None or choice.service is None:
                return _services(session, tenant, code, choice.branch)
            return _times(session, tenant, code, choice, gone=True, wanted=getattr(error, "wanted", None)), 409


def _tenant(slug: str) -> int | None:
    with system_work("a booking page names its tenant") as session:
        found: int | None = session.scalar(select(Tenant.id).where(Tenant.slug == slug, Tenant.active))
        return found


def _chosen(session: Session, given: Any) -> _Choice:
    branches = _active(session, Branch)
    return _Choice(
        branch=branches[0] if len(branches) == 1 else _row(branches, given.get("branch")),
        service=_row(_active(session, Service), given.get("service")),
        professional=_row(_active(session, Professional), given.get("professional")),
    )


def _active(session: Session, model: Any) -> list[Any]:
    return list(session.scalars(select(model).where(model.active).order_by(model.name, model.id)))


def _row(rows: list[Any], text: str | None) -> Any:
    return next((row for row in rows if str(row.id) == text), None)


def _services(session: Session, tenant: Tenant, code: str, branch: Branch | None) -> Response:
    branches = _active(session, Branch)
    given = {one.id: [s for s in _active(session, Service) if givers(session, s.id, one.id)] for one in branches}
    return _page(
        session,
        "booking_services.html",
        tenant,
        code,
        branches=[one for one in branches if branch is None or one.id == branch.id],
        services=given,
    )


def _times(
    session: Session,
    tenant: Tenant,
    code: str,
    choice: _Choice,
    *,
    gone: bool = False,
    wanted: Wanted | None = None,
) -> Response:
    branch, service, person = choice.branch, choice.service, choice.professional
    assert branch is not None
    assert service is not None
    people = {one.id: one.name for one in _active(session, Professional)}
    able = [person_id for person_id in givers(session, service.id, branch.id) if person_id in people]
    offer = make_offer(
        session,
        zone=branch.zone,
        language_code=code,
        service_id=service.id,
        branch_id=branch.id,
        professional_id=None if person is None or gone else person.id,
        first=read_day(request.args.get("from")),
        day=read_day(request.args.get("day")),
    )
    nearest = nearest_slots(session, wanted) if wanted else []
    return _page(
        session,
        "booking_times.html",
        tenant,
        code,
        branch=branch,
        service=service,
        person=person,
        people=[(person_id, people[person_id]) for person_id in able],
        offer=offer,
        place=name_zone(branch.zone, code),
        gone=gone,
        nearest=[(slot, *say_moment(slot.start, branch.zone, code)) for slot in nearest],
    )


def _form(
    session: Session, tenant: Tenant, code: str, choice: _Choice, given: dict[str, str], errors: dict[str, str]
) -> Response:
    assert choice.branch is not None
    start = read_start(given["start"])
    assert start is not None
    date, time = say_moment(start, choice.branch.zone, code)
    place = name_zone(choice.branch.zone, code)
    values = {"choice": choice, "given": given, "errors": errors, "date": date, "time": time, "place": place}
    texts, said = current_texts(session), words(code)["booking"]
    consent = {
        "service": texts.service.get(code) or said["consent"],
        "marketing": texts.marketing.get(code) or said["marketing"].format(business=tenant.name),
        "privacy_url": texts.privacy_url,
        "version": texts.version,
    }
    return _page(session, "booking_form.html", tenant, code, consent=consent, **values)


def _page(session: Session, template: str, tenant: Tenant, code: str, **values: Any) -> Response:
    snippets = snippets_of(session, tenant.id)
    values |= {"tenant": tenant, "slug": tenant.slug, "snippets": snippets}
    answer = make_response(page(template, language=code, lang=request.args.get("lang"), **values))
    answer.headers["Content-Security-Policy"] = policy(HEADERS["Content-Security-Policy"], snippets)
    return answer


def _book(session: Session, tenant: Tenant, given: dict[str, str]) -> ResponseReturnValue:
    code = asked_language(known_language(tenant.language))
    choice, start = _chosen(session, request.form), read_start(given["start"])
    if choice.branch is None or choice.service is None or choice.professional is None or start is None:
        return redirect(url_for("booking_page.show", slug=tenant.slug, lang=request.args.get("lang")), 303)
    said = words(code)["booking"]
    phone = parse_phone(given["phone"], region=tenant.country)
    errors = _errors(given, phone, said)
    if not errors and phone is not None:
        before = _same_booking(session, tenant, choice, given)
        if before is not None:
            return _done(session, before)
        errors = _limits(session, tenant, phone, said)
    if errors or phone is None:
        return _form(session, tenant, code, choice, given, errors), 422
    try:
        with session.begin_nested():
            client = _client(session, given, phone, code if code != tenant.language else None)
    except BookingError as error:  # what only the core's own checks find
        return _form(
            session,
            tenant,
            code,
            choice,
            given,
            {error.field if error.field in ("phone", "email") else "name": said["unusable"]},
        ), 422
    appointment = book(
        session,
        client_id=client.id,
        service_id=choice.service.id,
        professional_id=choice.professional.id,
        branch_id=choice.branch.id,
        start=start,
        booked_by="client",
    )
    _booked_lately().note(_here(tenant))
    record_booking(session, client.id, version=_version_read(session), marketing=bool(given["marketing"]))
    return _done(session, appointment)


def _version_read(session: Session) -> int:
    """The form says which text it showed; a newer one may hold by now, one to come cannot have been read."""
    text = request.form.get("consent", "")
    holds = current_texts(session).version
    return min(int(text), holds) if text.isascii() and text.isdecimal() and len(text) < 9 else holds


def _done(session: Session, appointment: Appointment) -> ResponseReturnValue:
    token = new_link(session, appointment).rpartition("/")[2]
    return redirect(url_for("client_pages.show", token=token, lang=request.args.get("lang"), booked=1), 303)


def _errors(given: dict[str, str], phone: PhoneNumber | None, said: Any) -> dict[str, str]:
    errors = {}
    if not given["name"] or len(given["name"]) > NAME_LENGTH:
        errors["name"] = said["name_error"]
    if phone is None or phone.confidence == "low":
        errors["phone"] = said["phone_error"]
    if len(given["email"]) > NAME_LENGTH or (given["email"] and "@" not in given["email"]):
        errors["email"] = said["email_error"]
    return errors


def _limits(session: Session, tenant: Tenant, phone: PhoneNumber, said: Any) -> dict[str, str]:
    now = utcnow()
    holders = select(ClientPhone.client_id).where(ClientPhone.match_key == phone.match_key)
    upcoming = session.scalar(
        select(func.count(Appointment.id)).where(
            Appointment.client_id.in_(holders),
            Appointment.booked_by == "client",
            Appointment.status.in_(LIVE_STATES),
            Appointment.start > now,
        )
    )
    latest = session.scalars(select(AppointmentChange).order_by(AppointmentChange.id.desc()).limit(2 * MOST_AT_ONCE))
    lately = [one for one in latest if one.event == "booked" and one.by == "client" and one.at > now - BUSY]
    if (upcoming or 0) >= MOST_UPCOMING:
        return {"phone": said["too_many"]}
    alone = _booked_lately().count(_here(tenant))
    return {"form": said["busy"]} if len(lately) >= MOST_AT_ONCE or alone >= MOST_FROM_ONE else {}


def _booked_lately() -> Lately:
    found: Lately = current_app.extensions.setdefault("citaplanner.booked_lately", Lately(BUSY))
    return found


def _here(tenant: Tenant) -> str:
    return f"{tenant.id} {household(client_address())}"


def _same_booking(session: Session, tenant: Tenant, choice: _Choice, given: dict[str, str]) -> Appointment | None:
    """Find what this very form booked just before: a double click, or the page sent once more."""
    phone, start = parse_phone(given["phone"], region=tenant.country), read_start(given["start"])
    if phone is None or start is None or choice.professional is None:
        return None
    holders = select(ClientPhone.client_id).where(ClientPhone.match_key == phone.match_key)
    found = session.scalar(
        select(Appointment).where(
            Appointment.client_id.in_(holders),
            Appointment.professional_id == choice.professional.id,
            Appointment.start == start,
            Appointment.booked_by == "client",
            Appointment.status.in_(LIVE_STATES),
            Appointment.created_at > utcnow() - BUSY,
        )
    )
    return found if found is not None and _same_name(found.client, given["name"]) else None


def _client(session: Session, given: dict[str, str], phone: PhoneNumber, language: str | None) -> Client:
    known = [one for one in find_by_match_key(session, phone.match_key) if _same_name(one, given["name"])]
    if len(known) == 1:
        return known[0]
    first, _, last = given["name"].partition(" ")
    return create_client(
        session,
        first_name=first,
        last_name=last,
        email=given["email"] or None,
        phones=[given["phone"]],
        language=language,
    )


def _same_name(client: Client, given: str) -> bool:
    return _plain(client.name) == _plain(given)


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())
