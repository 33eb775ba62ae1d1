"""The page on which anybody books, without script: service, time, who one is, and then one's own appointment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from citaplanner_core.booking import schedule
from citaplanner_core.booking.models import Appointment, Client
from citaplanner_core.database import work
from citaplanner_core.notifications.consents import consented, record_consent
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import make_branch, make_client, make_professional, make_service, make_tenant
from citaplanner_core.web import booking_page
from citaplanner_core.web.logins import create_token
from tests.core.web.browser import Browser, Form, Page
from tests.core.web.support import Api

NOW = datetime(2026, 12, 1, 15, 2, tzinfo=UTC)
"""Tuesday, 9:02 in Mexico City."""

CUT, BOOK = "Corte", "Reservar"


class Shop:
    """A business with one service and two professionals, open always, and a visitor of its page."""

    def __init__(self, app: Flask, **tenant: Any) -> None:
        self.tenant = make_tenant("shop", name="Barbería Luz", **tenant)
        with work(self.tenant) as session:
            self.service = make_service(session, name="Corte", duration_minutes=45).id
            self.people = [make_professional(session, name=name).id for name in ("Eva", "Noé")]
        self.browser = Browser(app)

    def form(self, start: str = "4:00 p.m.") -> Page:
        page = self.browser.follow(self.browser.open("/b/shop"), CUT)
        return self.browser.follow(page, start)

    def send(self, page: Page, **given: str) -> Page:
        form = page.form(BOOK)
        form.fields |= {"name": "Rosa Luna", "phone": "55 1234 5678", "email": ""} | given
        return self.browser.send(form)

    def appointments(self) -> list[tuple[str, str, datetime]]:
        with work(self.tenant, write=False) as session:
            rows = session.scalars(select(Appointment).order_by(Appointment.id))
            return [(row.client.name, row.status, row.start) for row in rows]

    def clients(self) -> int:
        with work(self.tenant, write=False) as session:
            return session.scalar(select(func.count(Client.id))) or 0


@pytest.fixture(autouse=True)
def _tuesday_morning() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def shop(app: Flask) -> Shop:
    return Shop(app)


def test_to_book(shop: Shop) -> None:
    page = shop.browser.open("/b/shop")
    assert (page.status, page.language, page.heading) == (200, "es", "¿Qué te gustaría reservar?")
    page = shop.browser.follow(page, CUT)
    assert page.heading == "Elige un horario"
    assert "Hora local de Ciudad de México" in page.text
    assert {"Mar 1 dic", "Mié 2 dic", "Eva", "Noé", "9:15 a.m."} <= page.links.keys()
    assert "9:00 a.m." not in page.links
    page = shop.browser.follow(shop.browser.follow(page, "Mié 2 dic"), "10:30 a.m.")
    assert page.heading == "Tus datos"
    for said in ("Miércoles 2 de diciembre", "10:30 a.m.", "Corte", "Eva"):
        assert said in page.text
    page = shop.send(page)
    assert (page.status, page.heading) == (200, "Confirma tu cita")
    assert page.address.startswith("/r/")
    assert "¡Listo! Tu cita quedó apartada." in page.text
    assert shop.appointments() == [("Rosa Luna", "PENDING", datetime(2026, 12, 2, 16, 30, tzinfo=UTC))]
    with work(shop.tenant, write=False) as session:
        assert set(session.scalars(select(Notification.rule))) >= {"confirmation", "reminder:60"}


def test_in_english_all_the_way(shop: Shop) -> None:
    page = shop.browser.follow(shop.browser.open("/b/shop"), "English")
    assert (page.language, page.heading) == ("en", "What would you like to book?")
    page = shop.browser.follow(shop.browser.follow(page, CUT), "4:00 PM")
    form = page.form("Book")
    form.fields |= {"name": "Ann Hill", "phone": "+1 212 555 0123"}
    page = shop.browser.send(form)
    assert (page.language, page.heading) == ("en", "Confirm your appointment")
    with work(shop.tenant, write=False) as session:
        assert session.scalars(select(Client.language)).all() == ["en"]


def test_with_somebody_in_particular(shop: Shop) -> None:
    page = shop.browser.follow(shop.browser.follow(shop.browser.open("/b/shop"), CUT), "Noé")
    page = shop.browser.follow(shop.browser.follow(page, "Jue 3 dic"), "11:00 a.m.")
    shop.send(page)
    with work(shop.tenant, write=False) as session:
        assert session.scalars(select(Appointment.professional_id)).all() == [shop.people[1]]


def test_opening_pages_changes_nothing(shop: Shop) -> None:
    shop.form()
    assert (shop.appointments(), shop.clients()) == ([], 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "  "}, "Escribe tu nombre y apellido"),
        ({"name": "x" * 10_000}, "Escribe tu nombre y apellido"),
        ({"phone": "55 1234 5678 / 55 8765 4321"}, "Escribe un solo número completo"),
        ({"phone": "1234"}, "Escribe un solo número completo"),
        ({"email": "rosa"}, "Escríbelo como ana@ejemplo.com"),
        ({"email": "rosa luna@example.com"}, "escríbelo de otra manera"),
        ({"name": "Rosa\x00"}, "escríbelo de otra manera"),
    ],
)
def test_what_cannot_be_used_is_said_beside_its_field_and_nothing_is_written(
    shop: Shop, given: dict[str, str], said: str
) -> None:
    page = shop.send(shop.form(), **given)
    assert page.status == 422
    assert said in page.text
    assert (shop.appointments(), shop.clients()) == ([], 0)
    fixed = shop.send(page)
    assert (fixed.status, len(shop.appointments())) == (200, 1)


def test_a_time_that_went_meanwhile_offers_the_nearest(shop: Shop) -> None:
    first, second = shop.form(), shop.form()
    shop.send(first)
    page = shop.send(second, name="Otra", phone="55 1234 0000")
    assert page.status == 409
    assert "Ese horario se acaba de ocupar" in page.text
    assert "Martes 1 de diciembre, 4:45 p.m." in page.links
    assert [name for name, *_ in shop.appointments()] == ["Rosa Luna"]
    assert shop.clients() == 1
    again = shop.send(shop.browser.follow(page, "Martes 1 de diciembre, 4:45 p.m."), name="Otra", phone="55 1234 0000")
    assert (again.status, len(shop.appointments())) == (200, 2)


def test_a_double_click_books_once(app: Flask, shop: Shop) -> None:
    form = shop.form().form(BOOK)
    form.fields |= {"name": "Rosa Luna", "phone": "55 1234 5678"}
    with ThreadPoolExecutor(3) as pool:
        pages = list(pool.map(lambda _: Browser(app).send(form), range(3)))
    assert [(page.status, page.heading) for page in pages] == [(200, "Confirma tu cita")] * 3
    assert len(shop.appointments()) == 1


def test_a_known_client_is_joined_only_when_the_name_agrees_and_nothing_is_told(shop: Shop) -> None:
    with work(shop.tenant) as session:
        known = make_client(session, first_name="Rosa", last_name="Luna", phone="55 1234 5678", email=None).id
    page = shop.send(shop.form(), name="ROSA  lúna", phone="+52 1 55 1234 5678")
    stranger = shop.send(shop.form("5:00 p.m."), name="Curiosa Ajena", email="ajena@example.com")
    assert "Rosa" not in page.text + stranger.text
    with work(shop.tenant, write=False) as session:
        assert [row.client_id == known for row in session.scalars(select(Appointment).order_by(Appointment.id))] == [
            True,
            False,
        ]
        assert session.get_one(Client, known).email is None
    assert shop.clients() == 2


def test_one_phone_cannot_fill_the_calendar(shop: Shop) -> None:
    for hour in range(1, 1 + booking_page.MOST_UPCOMING):
        assert shop.send(shop.form(f"{hour}:00 p.m.")).status == 200
    page = shop.send(shop.form("8:00 p.m."), name="Otro nombre")
    assert page.status == 422
    assert "ya hay varias citas por venir" in page.text
    assert len(shop.appointments()) == booking_page.MOST_UPCOMING


def test_a_script_cannot_either(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking_page, "MOST_AT_ONCE", 2)
    for number in (1, 2):
        shop.send(shop.form(f"{number}:00 p.m."), phone=f"55 1234 000{number}")
    page = shop.send(shop.form("5:00 p.m."), phone="55 1234 0009")
    assert page.status == 422
    assert "Inténtalo de nuevo en unos minutos" in page.text
    with time_machine.travel(NOW + timedelta(minutes=20)):
        assert shop.send(page).status == 200


def test_one_address_alone_does_not_keep_the_others_out(
    shop: Shop, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking_page, "MOST_FROM_ONE", 2)

    def book(number: int, **where: Any) -> int:
        form = shop.form(f"{number}:00 p.m.").form(BOOK)
        fields = form.fields | {"name": "Rosa Luna", "phone": f"55 1234 000{number}", "email": ""}
        return app.test_client().post(form.action, data=fields, **where).status_code

    def proxied(address: str) -> dict[str, Any]:
        return {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}, "headers": {"X-Forwarded-For": f"1.1.1.1, {address}"}}

    assert [book(1, **proxied("9.9.9.9")), book(2, **proxied("9.9.9.9"))] == [303, 303]
    assert book(3, **proxied("9.9.9.9")) == 422
    direct = {"environ_base": {"REMOTE_ADDR": "9.9.9.9"}, "headers": {"X-Forwarded-For": "203.0.113.1"}}
    assert book(3, **direct) == 422, "a header that no proxy of ours wrote is not believed"
    assert book(3, **proxied("9.9.9.8")) == 303
    assert [book(number, **proxied(f"2001:db8::{number}")) for number in (4, 5, 6)] == [303, 303, 422], "one household"
    with time_machine.travel(NOW + timedelta(minutes=20)):
        assert book(7, **proxied("9.9.9.9")) == 303


@pytest.mark.parametrize("way", ["page", "api"])
def test_a_database_that_is_away_is_said_in_plain_words(
    shop: Shop, app: Flask, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """In the middle of a booking, after what was written so far: nothing of it stays."""
    page = shop.form()

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, Exception("server closed the connection"), connection_invalidated=True)

    with monkeypatch.context() as patched:
        patched.setattr(schedule, "find_active", gone)
        if way == "page":
            answer = shop.send(page)
            assert "No se guardó nada" in answer.text
            assert "INSERT" not in answer.source
            assert answer.headers["Retry-After"] == "30"
            assert answer.status == 503
        else:
            with work(shop.tenant) as session:
                token = create_token(session, "test")
                client = make_client(session).id
            ids = {"client_id": client, "service_id": shop.service, "professional_id": shop.people[0], "branch_id": 1}
            said = Api(app, token).post("/appointments", ids | {"start": "2026-12-03T10:00:00-06:00"})
            assert (said.status_code, said.json["code"]) == (503, "service_unavailable")
    assert shop.appointments() == []
    if way == "page":
        assert shop.clients() == 0
        assert shop.send(page).status == 200


def test_names_of_any_length_and_direction_and_two_phones_in_a_field(shop: Shop) -> None:
    page = shop.form()
    assert "80 letras" in shop.send(page, name="x" * 10_000).text
    for two in ("55 1234 5678 / 55 8765 4321", "55 1234 5678 y 55 8765 4321"):
        refused = shop.send(page, phone=two)
        assert refused.status == 422
        assert "un solo número" in refused.text
    assert shop.clients() == 0
    for name in ("محمد علي", "\u202eRosa\u202c Luna"):
        page = shop.send(page if name.startswith("م") else shop.form("5:00 p.m."), name=name)
        assert page.status == 200
    assert [name for name, *_ in shop.appointments()] == ["محمد علي", "Rosa Luna"], "no letter turns the page around"


def test_several_branches_are_chosen_among(app: Flask) -> None:
    shop = Shop(app)
    with work(shop.tenant) as session:
        north = make_branch(session, name="Norte", zone="America/Tijuana").id
    page = shop.browser.open("/b/shop")
    assert "Norte" in page.text
    page = shop.browser.open(f"/b/shop?branch={north}&service={shop.service}")
    assert "Hora local de Tijuana" in page.text
    assert "7:15 a.m." in page.links


def test_another_businesss_rows_are_no_choice(app: Flask, shop: Shop) -> None:
    other = make_tenant("other")
    with work(other) as session:
        service = make_service(session, name="Ajeno").id
    page = shop.browser.open(f"/b/shop?service={service}")
    assert (page.status, page.heading) == (200, "¿Qué te gustaría reservar?")
    assert "Ajeno" not in page.text


@pytest.mark.parametrize(
    "address",
    [
        "?day=hoy",
        "?day=0001-01-01",
        "?day=9999-12-31",
        "?from=9998-12-31",
        "?start=ayer",
        "?start=2026-12-02",
        "?branch=x",
    ],
)
def test_addresses_that_make_no_sense_still_show_a_page(shop: Shop, address: str) -> None:
    page = shop.browser.open(f"/b/shop{address}&service={shop.service}&professional={shop.people[0]}")
    assert page.status == 200


def test_who_is_not_there_or_not_active(app: Flask) -> None:
    make_tenant("closed", active=False)
    for slug in ("closed", "nobody", "CLOSED"):
        assert Browser(app).open(f"/b/{slug}").status == 404
        assert Browser(app).send(Form(f"/b/{slug}", "post", {"name": "x"})).status == 404


def test_a_form_without_a_choice_begins_anew(shop: Shop) -> None:
    page = shop.browser.send(Form("/b/shop", "post", {"name": "x", "phone": "55 1234 5678"}))
    assert (page.status, page.heading) == (200, "¿Qué te gustaría reservar?")


def test_a_time_that_has_passed_offers_others(shop: Shop) -> None:
    page = shop.form()
    page.form(BOOK).fields["start"] = (NOW - timedelta(days=1)).isoformat()
    page = shop.send(page)
    assert (page.status, page.heading) == (409, "Elige un horario")
    assert (shop.appointments(), shop.clients()) == ([], 0)


def test_who_books_reads_the_businesss_words_and_ticks_advertising_themselves(app: Flask) -> None:
    shop = Shop(app)
    with work(shop.tenant) as session:
        api = Api(app, create_token(session, "test"))
    assert api.get("/consent-texts").json == {"version": 0, "service": {}, "marketing": {}, "privacy_url": None}
    page = shop.form()
    assert "Usaremos tus datos para esta cita" in page.text
    assert "promociones y novedades de Barbería Luz" in page.text
    assert "Aviso de privacidad" not in page.links
    shop.send(page)
    ours = {"service": {"es": "Cuidamos tus datos."}, "privacy_url": "https://luz.example/aviso"}
    for _ in range(2):  # the same again is no new version
        assert api.put("/consent-texts", ours).json["version"] == 1
    for field, wrong in {
        "privacy_url": {"privacy_url": "luz.example"},
        "service.fr": {"service": {"fr": "Bonjour"}},
        "marketing.es": {"marketing": {"es": "x" * 2001}},
    }.items():
        refused = api.put("/consent-texts", wrong)
        assert (refused.status_code, refused.json["field"]) == (422, field)
    page = shop.form("4:45 p.m.")
    assert "Cuidamos tus datos." in page.text
    assert page.links["Aviso de privacidad"] == "https://luz.example/aviso"
    assert "marketing" not in page.form(BOOK).fields
    shop.send(page, marketing="yes")
    (client,) = api.get("/clients?q=rosa luna").json["items"]
    said = api.get(f"/clients/{client['id']}").json["consents"]
    assert [(one["purpose"], one["channel"], one["given"], one["source"], one["version"]) for one in said] == [
        ("service", "*", True, "booking page", 1),
        ("marketing", "*", True, "booking page", 1),
    ]


def test_booking_undoes_no_refusal(app: Flask) -> None:
    shop = Shop(app)
    shop.send(shop.form())
    with work(shop.tenant) as session:
        client = session.scalars(select(Client.id)).one()
        record_consent(session, client, given=False, source="phone call", purpose="service")
        record_consent(session, client, given=True, source="phone call", channel="email")
    shop.send(shop.form("4:45 p.m."))
    with work(shop.tenant) as session:
        assert consented(session, client, ["email", "log"], marketing=False) == []
        assert consented(session, client, ["email", "log"], marketing=True) == []
