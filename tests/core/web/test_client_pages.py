"""The page behind the link in a message: what a client reads there, and what their answer does."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask
from icalendar import Calendar
from sqlalchemy import select
from structlog.testing import capture_logs

from citaplanner_core.booking import appointments
from citaplanner_core.booking.clients import delete_client
from citaplanner_core.booking.models import Appointment, AppointmentChange, Tenant
from citaplanner_core.database import utcnow, work
from citaplanner_core.notifications.links import new_link
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import (
    make_appointment,
    make_branch,
    make_client,
    make_professional,
    make_service,
    make_tenant,
)
from citaplanner_core.web import client_pages
from tests.core.web.browser import Browser, Form, Page

START = datetime(2026, 12, 1, 17, 30, tzinfo=UTC)
"""11:30 in Mexico City, 9:30 in Tijuana."""

CONFIRM, MOVE, CANCEL = "Confirmar que asistiré", "Cambiar de horario", "Cancelar cita"
ASK = "Ninguno me queda: que me contacten"
YES, NO = "Sí, cancelar la cita", "No, conservarla"


class Visit:
    """An appointment, the link its client got, and a browser."""

    def __init__(self, app: Flask, *, tenant: dict[str, Any] | None = None, **appointment: Any) -> None:
        language = appointment.pop("language", None)
        self.tenant = make_tenant("clinic", name="Clínica Sonrisa", **(tenant or {}))
        with work(self.tenant) as session:
            made = make_appointment(
                session,
                client=make_client(session, first_name="Laura", language=language),
                professional=make_professional(session, name="Dra. Ana Ruiz"),
                service=make_service(session, name="Limpieza <dental>"),
                branch=make_branch(
                    session,
                    name="Centro",
                    zone=appointment.pop("zone", "America/Mexico_City"),
                    address="Av. Ejemplo 123",
                    phone="55 5555 0100",
                ),
                start=START,
                **{"status": "PENDING"} | appointment,
            )
            self.id, self.client = made.id, made.client_id
            self.path = urlsplit(new_link(session, made)).path
        self.browser = Browser(app)

    def open(self, *, query: str = "") -> Page:
        return self.browser.open(self.path + query)

    def press(self, button: str) -> Page:
        return self.browser.press(self.open(), button)

    def times(self) -> Page:
        return self.browser.follow(self.open(), MOVE)

    def ask(self) -> Page:
        return self.browser.press(self.times(), ASK)

    def cancel(self) -> Page:
        return self.browser.press(self.browser.follow(self.open(), CANCEL), YES)

    def now(self) -> tuple[str, str, int]:
        """Status, answer and version."""
        with work(self.tenant, write=False) as session:
            found = session.get_one(Appointment, self.id)
            return found.status, found.answer, found.version

    def changes(self) -> list[tuple[str, str]]:
        with work(self.tenant, write=False) as session:
            return [(row.event, row.by) for row in session.scalars(select(AppointmentChange))]

    def set(self, **columns: Any) -> None:
        with work(self.tenant) as session:
            for name, value in columns.items():
                setattr(session.get_one(Appointment, self.id), name, value)


@pytest.fixture(autouse=True)
def _the_day_before() -> Iterator[None]:
    with time_machine.travel(START - timedelta(days=1), tick=True):
        yield


@pytest.fixture
def visit(app: Flask) -> Visit:
    return Visit(app)


# What is read


def test_the_page_says_what_where_and_when(visit: Visit) -> None:
    page = visit.open()
    assert page.status == 200
    assert (page.language, page.heading) == ("es", "Confirma tu cita")
    assert page.title == "Confirma tu cita · Clínica Sonrisa"
    for said in (
        *("Clínica Sonrisa", "Martes 1 de diciembre", "11:30 a.m.", "Hora local de Ciudad de México"),
        *("Limpieza <dental>", "Dra. Ana Ruiz", "Centro", "Av. Ejemplo 123"),
    ):
        assert said in page.text
    assert page.buttons == [CONFIRM]
    assert page.links[MOVE] == f"{visit.path}/times"
    assert page.links[CANCEL] == f"{visit.path}/cancel"
    assert page.links["55 5555 0100"] == "tel:+525555550100"
    assert "Laura" not in page.text


def test_the_time_is_that_of_the_branch(app: Flask) -> None:
    page = Visit(app, zone="America/Tijuana").open()
    assert "9:30 a.m. Hora local de Tijuana" in page.text


def test_it_speaks_the_clients_language_and_any_other_of_ours(app: Flask) -> None:
    visit = Visit(app, language="en")
    page = visit.open()
    assert (page.language, page.heading) == ("en", "Confirm your appointment")
    assert "Tuesday, December 1" in page.text
    assert "11:30 AM" in page.text
    assert visit.open(query="?lang=fr").language == "en"
    spanish = visit.browser.follow(page, "Español")
    assert (spanish.language, spanish.heading) == ("es", "Confirma tu cita")
    done = visit.browser.press(spanish, CONFIRM)
    assert (done.language, done.heading) == ("es", "Tu cita está confirmada")
    asked = visit.browser.follow(done, CANCEL)
    assert (asked.language, asked.heading) == ("es", "¿Cancelar tu cita?")
    assert visit.browser.press(asked, YES).heading == "Tu cita está cancelada"


def test_the_tenants_language_serves_who_has_none(app: Flask) -> None:
    assert Visit(app, tenant={"language": "en"}).open().language == "en"


def test_opening_it_changes_nothing(visit: Visit) -> None:
    before = visit.now()
    for path in (visit.path, f"{visit.path}/cancel", f"{visit.path}?lang=en"):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert visit.browser.open(path, method).status == 200
    for choice in ("confirm", "move"):
        assert visit.browser.open(f"{visit.path}/{choice}").status == 405
    assert visit.now() == before
    assert visit.changes() == []


# What is answered


def test_to_confirm(visit: Visit) -> None:
    old = visit.open()
    page = visit.browser.press(old, CONFIRM)
    assert (page.status, page.heading) == (200, "Tu cita está confirmada")
    assert page.buttons == []
    assert MOVE in page.links
    assert visit.now()[:2] == ("CONFIRMED", "yes")
    assert visit.changes() == [("confirmed", "client")]
    settled = visit.now()
    again = visit.browser.press(old, CONFIRM)
    assert (again.heading, visit.now()) == (page.heading, settled)


def test_to_confirm_what_staff_confirms(app: Flask) -> None:
    visit = Visit(app, tenant={"confirmation": "staff"})
    page = visit.press(CONFIRM)
    assert page.heading == "Recibimos tu respuesta"
    assert "Clínica Sonrisa todavía tiene que confirmar" in page.text
    assert page.buttons == []
    assert MOVE in page.links
    assert visit.now()[:2] == ("PENDING", "yes")


def test_to_confirm_what_is_confirmed_already(app: Flask) -> None:
    visit = Visit(app, status="CONFIRMED")
    page = visit.open()
    assert (page.heading, page.buttons) == ("Tu cita está confirmada", [CONFIRM])
    assert visit.browser.press(page, CONFIRM).buttons == []
    assert visit.now()[:2] == ("CONFIRMED", "yes")


def test_to_ask_for_another_time(visit: Visit) -> None:
    page = visit.ask()
    assert page.heading == "Pediste otro horario"
    assert "Clínica Sonrisa se pondrá en contacto contigo" in page.text
    assert "Martes 1 de diciembre" in page.text
    assert visit.now()[:2] == ("PENDING", "move")
    assert visit.browser.press(page, CONFIRM).heading == "Tu cita está confirmada"
    assert visit.now()[:2] == ("CONFIRMED", "yes")


def test_to_cancel_is_asked_once_more(visit: Visit) -> None:
    asked = visit.browser.follow(visit.open(), CANCEL)
    assert (asked.heading, asked.buttons) == ("¿Cancelar tu cita?", [YES])
    assert "Martes 1 de diciembre" in asked.text
    assert visit.browser.follow(asked, NO).heading == "Confirma tu cita"
    assert visit.now()[0] == "PENDING"
    page = visit.browser.press(asked, YES)
    assert (page.heading, page.buttons) == ("Tu cita está cancelada", [])
    assert CANCEL not in page.links
    assert visit.now()[:2] == ("CANCELLED", "no")
    assert visit.changes() == [("cancelled", "client")]
    settled = visit.now()
    assert visit.browser.press(asked, YES).heading == page.heading
    assert visit.browser.open(f"{visit.path}/cancel").heading == page.heading
    assert visit.now() == settled


def test_who_cancels_is_not_told_again_and_not_reminded(app: Flask, visit: Visit) -> None:
    with work(visit.tenant) as session:
        first = session.get_one(Appointment, visit.id)
        booked = appointments.book(
            session,
            client_id=first.client_id,
            service_id=first.service_id,
            professional_id=first.professional_id,
            branch_id=first.branch_id,
            start=START + timedelta(days=3),
        )
        visit.id, visit.path = booked.id, urlsplit(new_link(session, booked)).path
    visit.cancel()
    with work(visit.tenant, write=False) as session:
        rows = session.scalars(select(Notification).where(Notification.appointment_id == visit.id)).all()
        assert {row.status for row in rows} == {"CANCELLED"}
        assert "APPOINTMENT_CANCELLATION" not in {row.type for row in rows}


def test_pressing_twice_at_once_counts_once(app: Flask, visit: Visit) -> None:
    form = visit.open().form(CONFIRM)
    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(lambda _: Browser(app).send(form), range(2)))
    assert [page.heading for page in pages] == ["Tu cita está confirmada"] * 2
    assert visit.changes() == [("confirmed", "client")]


# What cannot be answered any more


@pytest.mark.parametrize(
    ("columns", "heading"),
    [
        ({"status": "CANCELLED"}, "Tu cita está cancelada"),
        ({"status": "COMPLETED"}, "Esta cita ya terminó"),
        ({"status": "NO_SHOW"}, "Esta cita ya terminó"),
        ({"start": START - timedelta(days=1, minutes=5)}, "Tu cita ya empezó"),
    ],
)
def test_what_is_settled_elsewhere_is_said_and_stays(app: Flask, columns: dict[str, Any], heading: str) -> None:
    visit = Visit(app)
    old = visit.open()
    asked = visit.browser.follow(old, CANCEL)
    visit.set(**columns, **({"blocked_from": columns["start"]} if "start" in columns else {}))
    before = visit.now()
    assert (visit.open().heading, visit.open().buttons) == (heading, [])
    for form in (*old.forms, *asked.forms):
        page = visit.browser.send(form)
        assert (page.status, page.heading) == (200, heading)
    assert visit.now() == before


def test_nobody_agrees_to_a_time_they_did_not_see(visit: Visit) -> None:
    old = visit.open()
    asked = visit.browser.follow(old, CANCEL)
    with work(visit.tenant) as session:
        appointments.reschedule(session, visit.id, start=START + timedelta(days=2), by="staff")
    before = visit.now()
    pages = [visit.browser.send(form) for form in (*old.forms, *asked.forms)]
    for page in pages:
        assert page.status == 409
        assert "Tu cita cambió" in page.text
        assert "Jueves 3 de diciembre" in page.text
    assert visit.now() == before
    assert visit.browser.press(pages[0], CONFIRM).heading == "Tu cita está confirmada"
    assert visit.browser.follow(pages[0], "English").heading == "Your appointment is confirmed"


def test_a_form_without_its_fields_does_nothing(app: Flask, visit: Visit) -> None:
    before = visit.now()
    for choice in ("confirm", "move", "cancel"):
        assert app.test_client().post(f"{visit.path}/{choice}").status_code == 409
    assert app.test_client().post(f"{visit.path}/delete").status_code == 404
    assert visit.now() == before


def test_a_link_ends_with_its_appointment(app: Flask, visit: Visit) -> None:
    with work(visit.tenant) as session:
        gone = make_appointment(session, start=utcnow() + timedelta(days=2))
        erased, client = urlsplit(new_link(session, gone)).path, gone.client_id
    with work(visit.tenant) as session:
        delete_client(session, client)
    visit.set(
        start=utcnow() - timedelta(hours=2), end=utcnow() - timedelta(hours=1), blocked_from=START - timedelta(days=3)
    )
    wrong = [visit.path, erased, "/r/unknown", f"{visit.path}x", "/r/%00", "/r/" + "x" * 3000, "/r/ñ"]
    texts = set()
    for path in wrong:
        for page in (visit.browser.open(path), visit.browser.open(f"{path}/cancel")):
            assert (page.status, page.heading) == (404, "Este enlace ya no sirve")
            texts.add(page.text)
        assert app.test_client().post(f"{path}/confirm").status_code == 404
    assert len(texts) == 1
    assert (
        visit.browser.follow(visit.browser.open("/r/unknown"), "English").heading == "This link does not work any more"
    )


# What a page is made of


def test_the_link_stays_between_us_and_the_client(visit: Visit) -> None:
    for page in (
        visit.open(),
        visit.browser.open(f"{visit.path}/cancel"),
        visit.ask(),
        visit.browser.open("/r/x"),
    ):
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Robots-Tag"] == "noindex"
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert "Set-Cookie" not in page.headers
        addresses = re.findall(r'(?:href|src|action)="([^"]*)"', page.source)
        assert all(address.startswith(("/", "?", "tel:", "data:,")) for address in addresses), addresses


def test_it_can_be_read_by_everybody(visit: Visit) -> None:
    for page in (visit.open(), visit.browser.open(f"{visit.path}/cancel"), visit.browser.open("/r/x")):
        names = [tag for tag, _ in page.tags]
        assert names.count("h1") == names.count("main") == 1
        assert page.title
        assert all(page.links)
        assert all(form.button and form.method == "post" for form in page.forms)
        assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
        assert not {"script", "style"} & set(names)
        assert not any("style" in given or any(name.startswith("on") for name in given) for _, given in page.tags)
        assert all(given["type"] == "hidden" for tag, given in page.tags if tag == "input")


def test_a_failure_of_ours_does_not_write_the_link_down(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(token: str, **_: object) -> None:
        raise RuntimeError(f"cannot look for {token}")

    monkeypatch.setattr(client_pages, "find_link", broken)
    with capture_logs() as lines:
        page = visit.open()
    assert (page.status, page.heading) == (500, "Algo falló de nuestro lado")
    assert [(line["event"], line["endpoint"], line["error"]) for line in lines] == [
        ("request_failed", "client_pages.show", "RuntimeError")
    ]
    assert visit.path.removeprefix("/r/") not in f"{lines} {caplog.text} {page.source}"


# Moving to a time that is free


def choose_time(visit: Visit, page: Page, start: datetime) -> Page:
    form = next(form for form in page.forms if form.action.endswith("/times"))
    form.fields["start"] = start.isoformat()
    return visit.browser.send(form)


def test_to_move(visit: Visit) -> None:
    page = visit.times()
    assert (page.status, page.heading) == (200, "Elige otro horario")
    assert "martes 1 de diciembre, 11:30 a.m." in page.text
    page = choose_time(visit, visit.browser.follow(page, "Jue 3 dic"), START + timedelta(days=2))
    assert (page.status, page.heading) == (200, "Confirma tu cita")
    assert "Listo, movimos tu cita." in page.text
    assert "Jueves 3 de diciembre" in page.text
    assert visit.changes() == [("rescheduled", "client")]


def test_a_time_that_went_meanwhile_is_said_and_others_are_offered(visit: Visit) -> None:
    page = visit.times()
    with work(visit.tenant) as session:
        mine = session.get_one(Appointment, visit.id)
        make_appointment(session, professional=mine.professional, start=START + timedelta(days=2))
    page = choose_time(visit, page, START + timedelta(days=2))
    assert (page.status, page.heading) == (409, "Elige otro horario")
    assert "Ese horario se acaba de ocupar" in page.text
    assert visit.changes() == []


def test_an_old_page_moves_nothing(visit: Visit) -> None:
    page = visit.times()
    with work(visit.tenant) as session:
        appointments.reschedule(session, visit.id, start=START + timedelta(days=1), by="staff")
    page = choose_time(visit, page, START + timedelta(days=2))
    assert page.status == 409
    assert "Tu cita cambió mientras" in page.text
    assert visit.changes() == [("rescheduled", "staff")]


def test_what_is_over_cannot_be_moved(visit: Visit) -> None:
    page = visit.times()
    visit.cancel()
    before = visit.now()
    assert choose_time(visit, page, START + timedelta(days=2)).heading == "Tu cita está cancelada"
    assert visit.browser.open(f"{visit.path}/times").heading == "Tu cita está cancelada"
    assert visit.now() == before


@pytest.mark.parametrize("start", ["", "mañana", "2026-12-03T17:30", "2020-01-01T10:00:00+00:00"])
def test_a_time_that_is_none_moves_nothing(visit: Visit, start: str) -> None:
    form = next(form for form in visit.times().forms if form.action.endswith("/times"))
    form.fields["start"] = start
    assert visit.browser.send(form).status in (200, 409, 422)
    assert visit.changes() == []


# The client's own calendar


def test_so_close_to_the_appointment_that_one_must_call(app: Flask) -> None:
    visit = Visit(app, tenant={"cancel_notice_minutes": 2 * 1440})
    page = visit.open()
    assert (page.buttons, MOVE in page.links, CANCEL in page.links) == ([CONFIRM], False, False)
    assert "para cambiarla o cancelarla, llama al" in page.text
    for path in ("cancel", "times"):
        old = {"version": "1", "start": (START + timedelta(days=1)).isoformat()}
        visit.browser.send(Form(f"{visit.path}/{path}", "POST", old))
    assert visit.now() == ("PENDING", "none", 1)
    assert visit.press(CONFIRM).heading == "Tu cita está confirmada"
    with work(visit.tenant) as session:
        session.get_one(Tenant, visit.tenant).cancel_notice_minutes = 1440 - 1
    assert CANCEL in visit.open().links


def test_the_calendar_gets_one_entry_that_moves_with_the_appointment(visit: Visit) -> None:
    def event() -> Any:
        answer = visit.browser.open(f"{visit.path}.ics")
        assert answer.headers["Content-Type"].startswith("text/calendar")
        return Calendar.from_ical(answer.source).events[0]

    first = event()
    assert (first["SUMMARY"], first.start, first["SEQUENCE"]) == ("Limpieza <dental> · Clínica Sonrisa", START, 0)
    with work(visit.tenant) as session:
        appointments.reschedule(session, visit.id, start=START + timedelta(days=1), by="staff")
    second = event()
    assert (second["UID"], second.start, second["SEQUENCE"]) == (first["UID"], START + timedelta(days=1), 1)


def test_no_calendar_for_an_unknown_link(visit: Visit) -> None:
    assert visit.browser.open("/r/nobody.ics").status == 404
