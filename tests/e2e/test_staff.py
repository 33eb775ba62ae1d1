"""Staff at work in a real browser: sign in, book, move, cancel."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from citaplanner_core.booking.models import Appointment, AppointmentChange
from citaplanner_core.database import work
from citaplanner_core.testing.factories import make_client, make_professional, make_service, make_tenant
from citaplanner_core.web.logins import create_login
from tests.e2e.conftest import PHONE, Browser, Site

pytestmark = pytest.mark.slow
PASSWORD = "una frase bastante larga"


@pytest.fixture
def tenant(site: Site) -> int:
    tenant = make_tenant("clinic", name="Estética Luna")
    with work(tenant) as session:
        create_login(session, email="ana@luna.example", name="Ana Ruiz", password=PASSWORD, role="staff")
        make_service(session, name="Corte")
        make_professional(session, name="Laura Ríos")
        make_client(session, first_name="María", last_name="Ñáñez", phone="55 1200 4321")
    return tenant


def test_staff_books_moves_and_cancels(site: Site, browser: Browser, tenant: int) -> None:
    day = datetime.now(ZoneInfo("America/Mexico_City")).date() + timedelta(days=2)
    browser.open(f"{site.url}/admin/")
    browser.fill("Correo", "ana@luna.example")
    browser.fill("Contraseña", PASSWORD)
    browser.press("Entrar")
    browser.follow("Siguiente")
    browser.follow("Siguiente")
    assert "Laura Ríos" in browser.text

    browser.follow("Nueva cita")
    browser.fill("Buscar cliente", "+52 1 (55) 1200-4321")
    browser.press("Buscar")
    browser.follow("María Ñáñez")
    browser.fill("Servicio", "Corte")
    browser.fill("Con", "Laura Ríos")
    browser.fill("Hora", "10:00")
    browser.press("Agendar")
    assert browser.heading == "María Ñáñez"
    assert "Cita agendada." in browser.text
    assert "10:00 a.m.–10:30 a.m." in browser.text

    browser.follow("Cambiar horario")
    browser.fill("Hora", "16:30")
    browser.press("Cambiar cita")
    assert "Cita cambiada." in browser.text
    assert "4:30 p.m.–5:00 p.m." in browser.text

    browser.size(PHONE)
    browser.find("summary").click()
    browser.fill("Motivo", "Se enfermó")
    browser.press("Cancelar la cita")
    assert "Cita cancelada." in browser.text
    assert browser.sticks_out() == 0
    browser.follow("←")
    assert "Canceladas (1)" in browser.text
    assert browser.sticks_out() == 0

    with work(tenant, write=False) as session:
        made = session.scalars(select(Appointment)).one()
        assert (made.status, made.booked_by, made.cancel_reason) == ("CANCELLED", "staff", "Se enfermó")
        assert made.start.astimezone(ZoneInfo("America/Mexico_City")).date() == day
        events = [
            (row.event, row.by) for row in session.scalars(select(AppointmentChange).order_by(AppointmentChange.id))
        ]
    assert events == [("booked", "staff"), ("rescheduled", "staff"), ("cancelled", "staff")]
    browser.press("Salir")
    assert browser.heading == "Entrar"


def test_it_works_with_the_keyboard_alone(site: Site, browser: Browser, tenant: int) -> None:
    browser.open(f"{site.url}/admin/sign-in")
    browser.type("ana@luna.example")  # the first field has the focus
    browser.tab()
    browser.type(PASSWORD)
    browser.enter()
    assert "Laura Ríos" in browser.text
    browser.tab()
    assert browser.focused == "Ir al contenido"
    browser.tab(2)
    assert browser.focused == "Clientes"
    browser.enter()
    assert browser.heading == "Clientes"
    browser.type("maria")
    browser.enter()
    assert "Encontramos" in browser.text
