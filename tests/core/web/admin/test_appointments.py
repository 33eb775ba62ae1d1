"""Making, moving and settling appointments as staff."""

import html
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.booking.models import Appointment, Branch, Client
from citaplanner_core.booking.timetable import set_givers
from citaplanner_core.database import utcnow, work
from citaplanner_core.testing.factories import (
    make_appointment,
    make_branch,
    make_client,
    make_professional,
    make_service,
)
from tests.core.web.admin.support import Desk, desk_of
from tests.core.web.support import Business

MEXICO = ZoneInfo("America/Mexico_City")
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"])
"""For what does not depend on the database."""


@pytest.fixture
def desk(app: Flask, business: Business) -> Desk:
    return desk_of(app, business.tenant, "staff")


def wish(business: Business, **other: Any) -> dict[str, str]:
    """The booking form, for 2031-03-03 at 10:00."""
    given = {name: str(getattr(business, name)) for name in ("client", "branch", "service", "professional")}
    return given | {"day": "2031-03-03", "time": "10:00"} | other


def newest(business: Business) -> Appointment:
    with work(business.tenant, write=False) as session:
        found = session.scalars(select(Appointment).order_by(Appointment.id.desc()).limit(1)).one()
        session.expunge(found)
        return found


def version(business: Business) -> str:
    with work(business.tenant, write=False) as session:
        return str(session.get_one(Appointment, business.appointment).version)


def test_staff_books_and_it_is_confirmed(business: Business, desk: Desk) -> None:
    answer = desk.post("/admin/appointments", wish(business, notes="Trae foto"))
    assert "Cita agendada." in answer.text
    made = newest(business)
    assert (made.status, made.booked_by, made.notes) == ("CONFIRMED", "staff", "Trae foto")
    assert made.start.astimezone(MEXICO) == datetime(2031, 3, 3, 10, tzinfo=MEXICO)
    assert answer.request.path == f"/admin/appointments/{made.id}"


def test_a_taken_time_offers_the_nearest_and_loses_nothing(business: Business, desk: Desk) -> None:
    desk.post("/admin/appointments", wish(business))
    with work(business.tenant) as session:
        other = str(make_client(session).id)
    answer = desk.post("/admin/appointments", wish(business, client=other, notes="Trae <foto>"))
    assert answer.status_code == 409
    assert "ya está ocupado" in answer.text
    assert "Trae &lt;foto&gt;" in answer.text
    slots = [html.unescape(slot) for slot in re.findall(r'name="slot" value="([^"]+)"', answer.text)]
    assert len(slots) == 3
    booked = desk.post("/admin/appointments", wish(business, client=other, notes="Trae foto", slot=slots[0]))
    assert "Cita agendada." in booked.text
    assert newest(business).start == datetime.fromisoformat(slots[0].partition("|")[0])


def test_a_double_click_books_once(business: Business, desk: Desk) -> None:
    first = desk.post("/admin/appointments", wish(business))
    again = desk.post("/admin/appointments", wish(business))
    assert "ya estaba agendada" in again.text
    assert again.request.path == first.request.path


@on_sqlite
def test_what_is_overruled_is_asked_about_first(business: Business, desk: Desk) -> None:
    with work(business.tenant) as session:
        set_givers(session, business.service, [(make_professional(session).id, None)])
    answer = desk.post("/admin/appointments", wish(business))
    assert (answer.status_code, "no da este servicio" in answer.text) == (422, True)
    assert "Cita agendada." in desk.post("/admin/appointments", wish(business, anyway="1")).text
    past = wish(business, day="2020-03-03")
    assert "ya pasó" in desk.post("/admin/appointments", past).text
    assert "Cita agendada." in desk.post("/admin/appointments", past | {"anyway": "1"}).text


@on_sqlite
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"day": ""}, "Escribe una fecha"),
        ({"day": "9999-12-31"}, "Escribe una fecha"),
        ({"time": "diez"}, "Escribe una hora"),
        ({"service": ""}, "Elige de la lista"),
        ({"professional": "999"}, "Elige de la lista"),
        ({"notes": "a\x00b"}, "de otra manera"),
    ],
)
def test_bad_input_is_named_and_nothing_is_booked(
    business: Business, desk: Desk, wrong: dict[str, str], said: str
) -> None:
    before = newest(business).id
    answer = desk.post("/admin/appointments", wish(business) | wrong)
    assert answer.status_code == 422
    assert said in answer.text
    assert newest(business).id == before


@on_sqlite
def test_an_hour_that_clocks_skip_is_refused_and_one_that_comes_twice_stays_as_it_is(
    business: Business, desk: Desk
) -> None:
    second = datetime(2031, 11, 2, 6, 30, tzinfo=ZoneInfo("UTC"))
    with work(business.tenant) as session:
        branch = make_branch(session, zone="America/New_York")
        found = make_appointment(session, start=second, branch=branch)
        given = {name: str(getattr(found, f"{name}_id")) for name in ("branch", "service")} | {"version": "1"}
        made, branch_id = found.id, branch.id
        other = str(make_professional(session).id)
    gap = desk.post("/admin/appointments", wish(business, branch=str(branch_id), day="2031-03-09", time="02:30"))
    assert "no existe ese día" in gap.text
    page = desk.get(f"/admin/appointments/{made}/move").text
    was = html.unescape(re.findall(r'name="was" value="([^"]+)"', page)[0])
    form = given | {"professional": other, "day": "2031-11-02", "time": "01:30", "was": was}
    assert "Cita cambiada." in desk.post(f"/admin/appointments/{made}/move", form).text
    with work(business.tenant, write=False) as session:
        assert session.get_one(Appointment, made).start == second


def test_moving_keeps_what_was_typed_when_somebody_was_quicker(business: Business, desk: Desk) -> None:
    address = f"/admin/appointments/{business.appointment}/move"
    form = wish(business, version=version(business), reason="Se lo pidió a Luis")
    with work(business.tenant) as session:
        verbs.reschedule(session, business.appointment, start=utcnow() + timedelta(days=9), by="client")
    late = desk.post(address, form)
    assert late.status_code == 409
    assert "Alguien cambió esta cita" in late.text
    assert 'value="2031-03-03"' in late.text
    assert "Se lo pidió a Luis" in late.text
    assert "Cita cambiada." in desk.post(address, form | {"version": version(business)}).text
    with work(business.tenant, write=False) as session:
        assert session.get_one(Appointment, business.appointment).start.astimezone(MEXICO).hour == 10


def test_moving_onto_another_appointment_offers_the_nearest(business: Business, desk: Desk) -> None:
    desk.post("/admin/appointments", wish(business))
    address = f"/admin/appointments/{business.appointment}/move"
    answer = desk.post(address, wish(business, version=version(business)))
    assert (answer.status_code, answer.text.count('name="slot"')) == (409, 3)


@on_sqlite
@pytest.mark.parametrize(
    ("verb", "status", "said"),
    [
        ("confirm", "CONFIRMED", "Cita confirmada."),
        ("complete", "COMPLETED", "Cita marcada como atendida."),
        ("no-show", "NO_SHOW", "Anotado: no asistió."),
        ("cancel", "CANCELLED", "Cita cancelada."),
    ],
)
def test_an_appointment_is_settled_once(business: Business, desk: Desk, verb: str, status: str, said: str) -> None:
    address = f"/admin/appointments/{business.appointment}"
    form = {"version": version(business), "reason": "Porque sí"}
    assert said in desk.post(f"{address}/{verb}", form).text
    with work(business.tenant, write=False) as session:
        assert session.get_one(Appointment, business.appointment).status == status
    assert said in desk.post(f"{address}/{verb}", form).text, "a double click is no conflict"
    assert "Porque sí" in desk.get(address).text
    if verb != "confirm":
        stale = desk.post(f"{address}/{'cancel' if verb != 'cancel' else 'complete'}", form)
        assert (stale.status_code, "Alguien cambió esta cita" in stale.text) == (409, True)
        assert "ya no se puede cambiar" in desk.get(f"{address}/move").text


def test_who_cancels_after_somebody_else_keeps_the_reason_typed(business: Business, desk: Desk) -> None:
    form = {"version": version(business), "reason": "Llamó por teléfono"}
    with work(business.tenant) as session:
        verbs.record_answer(session, business.appointment, answer="yes", words="sí")
    answer = desk.post(f"/admin/appointments/{business.appointment}/cancel", form)
    assert answer.status_code == 409
    assert "respondió que sí viene" in answer.text
    assert "Llamó por teléfono" in answer.text


@on_sqlite
def test_whom_an_appointment_is_for_is_asked_first(business: Business, desk: Desk) -> None:
    start = "start=2031-03-03T10:00:00-06:00".replace(":", "%3A")
    picking = desk.get(f"/admin/appointments/new?branch={business.branch}&professional={business.professional}&{start}")
    assert "¿Para quién es la cita?" in picking.text
    kept = {"booking": "1", "branch": str(business.branch), "start": "2031-03-03T10:00:00-06:00"}
    new = {"first_name": "Eva", "last_name": "Luna", "phone": "55 1200 9999"} | kept
    form = desk.post("/admin/clients", new)
    assert "Eva Luna" in form.text
    assert ('value="2031-03-03"' in form.text, 'value="10:00"' in form.text) == (True, True)
    again = desk.post("/admin/clients", new | {"phone": "+52 (55) 1200-9999"})
    assert (again.status_code, "Este teléfono ya es de" in again.text) == (409, True)
    assert "Eva Luna" in again.text
    desk.post("/admin/clients", new | {"anyway": "1"})
    with work(business.tenant, write=False) as session:
        assert len(session.scalars(select(Client).where(Client.first_name == "Eva")).all()) == 2


@on_sqlite
def test_branches_and_buffers_are_those_of_the_form(app: Flask, business: Business, desk: Desk) -> None:
    with work(business.tenant) as session:
        branch = session.scalars(select(Branch).where(Branch.id != business.branch)).one()
        service = make_service(session, duration_minutes=60, buffer_after_minutes=30)
        ids = {"branch": str(branch.id), "service": str(service.id)}
    desk.post("/admin/appointments", wish(business, **ids))
    made = newest(business)
    assert (made.branch_id, made.blocked_until - made.end) == (int(ids["branch"]), timedelta(minutes=30))
