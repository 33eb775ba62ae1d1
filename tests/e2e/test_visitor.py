"""A visitor in a real browser, with and without script: book, move, cancel, on pages that can be used by ear."""

import pytest
from selenium.webdriver.common.by import By
from sqlalchemy import select

from citaplanner_core.booking.models import Appointment, AppointmentChange
from citaplanner_core.database import work
from citaplanner_core.testing.factories import make_professional, make_service, make_tenant
from tests.e2e.conftest import PHONE, Browser, Site

pytestmark = pytest.mark.slow


@pytest.fixture
def tenant(site: Site) -> int:
    tenant = make_tenant("luna", name="Estética Luna")
    with work(tenant) as session:
        make_service(session, name="Corte")
        make_professional(session, name="Laura Ríos")
    return tenant


USED = """
const shown = one => one.type != 'hidden' && one.offsetParent !== null
const behind = one => {
    while (one && getComputedStyle(one).backgroundColor == 'rgba(0, 0, 0, 0)') one = one.parentElement
    return one ? getComputedStyle(one).backgroundColor : 'rgb(255, 255, 255)'
}
return [...document.querySelectorAll('a, button, input, select, textarea')].filter(shown).map(one => [
    one.ariaLabel || (one.labels && one.labels.length ? one.labels[0] : one).textContent.trim(),
    getComputedStyle(one).color, behind(one), one.outerHTML])
"""


def look(browser: Browser) -> None:
    """A language, a title, one heading and main part, and on all that is used a name that can be read."""
    assert browser.find("html").get_attribute("lang") in ("es", "en")
    assert browser.driver.title
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, "h1, main")) == 2
    for name, ink, paper, source in browser.driver.execute_script(USED):
        assert name, source
        assert contrast(ink, paper) >= 4.5, source


def contrast(one: str, other: str) -> float:
    """The contrast of two colours of CSS, as WCAG 2 has it."""
    lights = sorted(_light(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = [float(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_visitor_books_moves_and_cancels(site: Site, browser: Browser, tenant: int, script: bool) -> None:
    browser.size(PHONE)
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    try:
        browser.open(f"{site.url}/b/luna")
        look(browser)
        browser.follow("Corte")
        look(browser)
        day = browser.driver.find_elements(By.CSS_SELECTOR, ".days a")[2].text
        browser.follow(day)
        look(browser)
        browser.follow("10:00 a.m.")
        browser.fill("Nombre", "Rosa Luna")
        browser.fill("Celular", "55 1234 5678")
        look(browser)
        browser.press("Reservar")
        look(browser)
        assert "/r/" in browser.address
        browser.follow("Cambiar de horario")
        browser.follow(day)
        look(browser)
        browser.press("4:30 p.m.")
        look(browser)
        assert "4:30 p.m." in browser.text
        browser.follow("Cancelar cita")
        look(browser)
        browser.press("Sí, cancelar la cita")
        assert "cancelada" in browser.heading
        look(browser)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    with work(tenant, write=False) as session:
        assert session.scalars(select(Appointment.status)).one() == "CANCELLED"
        told = session.scalars(select(AppointmentChange.event).order_by(AppointmentChange.id)).all()
        assert told == ["booked", "rescheduled", "cancelled"]
