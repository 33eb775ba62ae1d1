"""`/admin/clients`: finding a client, and what is kept about one."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import add_phone, create_client, find_by_match_key, remove_phone, update_client
from citaplanner_core.booking.errors import BookingError, find
from citaplanner_core.booking.models import (
    LIVE_STATES,
    Appointment,
    Branch,
    Client,
    Professional,
    Service,
    Tenant,
)
from citaplanner_core.booking.search import find_clients
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import dispatch
from citaplanner_core.notifications import consents, timeline
from citaplanner_core.notifications.catalogue import languages
from citaplanner_core.phones import parse_phone
from citaplanner_core.web.admin.base import code, go, page, route, staff, tell, words
from citaplanner_core.web.admin.booking_forms import given_values, kept, number
from citaplanner_core.web.admin.moments import Moments
from citaplanner_core.web.admin.panels import panels_of

SHOWN = 20
MOST_PAST = 20
MOST_HISTORY = 100


@route("/clients", may="read")
def clients() -> ResponseReturnValue:
    """Find clients by name, e-mail or phone; without a word, show the newest. With `booking`, to book for one."""
    given = given_values()
    text, after = given.get("q", "")[:200], number(given.get("after"))
    with work(staff().tenant_id, write=False) as session:
        if text:
            found = list(find_clients(session, text, limit=SHOWN + 1, after=after))
        else:
            newest = select(Client).where(Client.active).order_by(Client.id.desc())
            found = list(session.scalars(newest.limit(SHOWN)))
        return page(
            "clients.html",
            found=found[:SHOWN],
            more=found[SHOWN - 1].id if len(found) > SHOWN else None,
            text=text,
            booking=bool(given.get("booking")) and staff().may("book"),
            kept=kept(given),
        )


@route("/clients/new", may="book")
def new_client() -> ResponseReturnValue:
    """Ask for a new client's name and phone."""
    given = given_values()
    text = given.get("q", "")
    phone = text if any(character.isdecimal() for character in text) else ""
    first, _, last = ("" if phone else text).partition(" ")
    return _new({"first_name": first, "last_name": last, "phone": phone} | given)


@route("/clients", may="book", method="POST")
def make_client() -> ResponseReturnValue:
    """Add a client; one whose phone others have already only when that is meant. Then their page, or a booking."""
    given = given_values()
    with work(staff().tenant_id) as session:
        holders = _holders(session, given.get("phone", ""))
        if holders and not given.get("anyway"):
            return _new(given, holders=holders, status=409)
        try:
            with session.begin_nested():
                made = create_client(
                    session,
                    first_name=given.get("first_name", ""),
                    last_name=given.get("last_name", ""),
                    email=given.get("email") or None,
                    phones=[given["phone"]] if given.get("phone") else [],
                ).id
        except BookingError as error:
            return _new(given, errors=_errors(error), status=422)
    if given.get("booking"):
        return go("new_appointment", client=made, **kept(given))
    tell("client_made")
    return go("client", client_id=made)


def _new(
    given: dict[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    holders: list[Client] | None = None,
    status: int = 200,
) -> Response:
    return page(
        "new_client.html", status=status, given=given, errors=errors or {}, holders=holders or [], kept=kept(given)
    )


def _holders(session: Session, text: str) -> list[Client]:
    phone = parse_phone(text, region=session.get_one(Tenant, staff().tenant_id).country)
    return find_by_match_key(session, phone.match_key) if phone else []


def _errors(error: BookingError) -> dict[str, str]:
    field = error.field or "form"
    return {field: words()["errors"].get(field, words()["errors"]["unusable"])}


@route("/clients/<int:client_id>", may="read")
def client(client_id: int) -> ResponseReturnValue:
    """Show a client: phones, wishes, notes, appointments, and what plugins know."""
    with work(staff().tenant_id, write=False) as session:
        return _show(session, client_id)


def _show(
    session: Session,
    client_id: int,
    *,
    given: dict[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    found = find(session, Client, client_id, "client_id")
    tenant = session.get_one(Tenant, staff().tenant_id)
    return page(
        "client.html",
        status=status,
        client=found,
        given=given if given is not None else _as_it_is(found),
        errors=errors or {},
        upcoming=_appointments(session, found.id, upcoming=True),
        past=_appointments(session, found.id, upcoming=False),
        live=LIVE_STATES,
        responsible=session.get(Client, found.responsible_id) if found.responsible_id else None,
        consents=consents.list_consents(session, found.id),
        panels=panels_of(session, found.id, code()),
        languages=languages(),
        channels=[(key, channel.label) for key, (_, channel) in sorted(dispatch.channels().items())],
        says=Moments(tenant.zone, code()),
    )


def _as_it_is(found: Client) -> dict[str, Any]:
    names = ("first_name", "last_name", "email", "birthday", "language", "preferred_channel", "do_not_message", "notes")
    return {name: getattr(found, name) for name in (*names, "active")}


def _appointments(session: Session, client_id: int, *, upcoming: bool) -> list[tuple[Appointment, str, str, Moments]]:
    """The next ones, or the latest, with service, professional and the branch's clock."""
    rows = (
        select(Appointment, Service.name, Professional.name, Branch.zone)
        .join(Service, Service.id == Appointment.service_id)
        .join(Professional, Professional.id == Appointment.professional_id)
        .join(Branch, Branch.id == Appointment.branch_id)
        .where(Appointment.client_id == client_id)
        .limit(MOST_PAST)
    )
    now = utcnow()
    if upcoming:
        rows = rows.where(Appointment.end > now).order_by(Appointment.start, Appointment.id)
    else:
        rows = rows.where(Appointment.end <= now).order_by(Appointment.start.desc(), Appointment.id.desc())
    return [(row, service, person, Moments(zone, code())) for row, service, person, zone in session.execute(rows)]


@route("/clients/<int:client_id>", may="book", method="POST")
def change_client(client_id: int) -> ResponseReturnValue:
    """Change what is kept about a client, and what they want of messages."""
    given: dict[str, Any] = {**given_values()}
    given |= {"do_not_message": "do_not_message" in given, "active": "active" in given}
    try:
        with work(staff().tenant_id) as session:
            update_client(
                session,
                client_id,
                first_name=given.get("first_name", ""),
                last_name=given.get("last_name", ""),
                email=given.get("email") or None,
                birthday=_birthday(given.get("birthday", "")),
                language=given.get("language") if given.get("language") in languages() else None,
                notes=given.get("notes", ""),
                active=given["active"],
            )
            preferred = given.get("preferred_channel")
            consents.set_preferences(
                session,
                client_id,
                given=("do_not_message", "preferred_channel"),
                do_not_message=given["do_not_message"],
                preferred_channel=preferred if preferred in dispatch.channels() else None,
            )
    except BookingError as error:
        if error.field == "client_id":
            raise
        with work(staff().tenant_id, write=False) as session:
            return _show(session, client_id, given=given, errors=_errors(error), status=422)
    tell("saved")
    return go("client", client_id=client_id)


def _birthday(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


@route("/clients/<int:client_id>/phones", may="book", method="POST")
def make_phone(client_id: int) -> ResponseReturnValue:
    """Give a client one more phone."""
    given = given_values()
    try:
        with work(staff().tenant_id) as session:
            add_phone(
                session,
                find(session, Client, client_id, "client_id"),
                given.get("phone", ""),
                label=given.get("label", ""),
            )
    except BookingError as error:
        if error.field == "client_id":
            raise
        with work(staff().tenant_id, write=False) as session:
            found = find(session, Client, client_id, "client_id")
            typed = {"phone": given.get("phone", ""), "label": given.get("label", "")}
            return _show(session, client_id, given=_as_it_is(found) | typed, errors=_errors(error), status=422)
    tell("saved")
    return go("client", client_id=client_id)


@route("/clients/<int:client_id>/phones/<int:phone_id>/remove", may="book", method="POST")
def drop_phone(client_id: int, phone_id: int) -> ResponseReturnValue:
    """Take a phone from a client."""
    with work(staff().tenant_id) as session:
        remove_phone(session, client_id, phone_id)
    tell("saved")
    return go("client", client_id=client_id)


@route("/clients/<int:client_id>/history", may="read")
def client_history(client_id: int) -> ResponseReturnValue:
    """Show everything that happened with a client, oldest first: what was booked, sent, answered, and why not."""
    after = given_values().get("after")
    with work(staff().tenant_id, write=False) as session:
        found = find(session, Client, client_id, "client_id")
        place = timeline.read_cursor(after) if after else None
        scope = timeline.of_client(client_id)
        entries, more = timeline.read(session, scope, after=place, limit=MOST_HISTORY, language=code())
        zone = session.get_one(Tenant, staff().tenant_id).zone
        return page("history.html", client=found, entries=entries, more=more, says=Moments(zone, code()))
