"""Services, team, hours, closed days and time off."""

from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from citaplanner_core.booking.hours import Closure, ProfessionalService, TimeOff, WorkingHours
from citaplanner_core.booking.models import Professional, Service
from citaplanner_core.booking.timetable import set_givers, set_hours
from citaplanner_core.database import utcnow, work
from tests.core.web.admin.support import Desk, desk_of
from tests.core.web.support import Business

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])
SERVICE = {
    "name": "Corte",
    "duration_minutes": "45",
    "buffer_before_minutes": "0",
    "buffer_after_minutes": "10",
    "active": "1",
}


@pytest.fixture
def desk(app: Flask, business: Business) -> Desk:
    return desk_of(app, business.tenant)


def rows(business: Business, model: Any, *names: str) -> list[tuple[Any, ...]]:
    with work(business.tenant, write=False) as session:
        return [
            tuple(getattr(row, name) for name in names) for row in session.scalars(select(model).order_by(model.id))
        ]


def test_services_are_added_and_changed(business: Business, desk: Desk) -> None:
    made = desk.post("/admin/services", SERVICE | {"is_discreet": "1", "giver": str(business.professional)})
    assert "Guardado." in made.text
    assert "Corte" in made.text
    columns = ("name", "duration_minutes", "buffer_after_minutes", "is_discreet", "active")
    assert rows(business, Service, *columns)[-1] == ("Corte", 45, 10, True, True)
    assert rows(business, ProfessionalService, "professional_id", "branch_id") == [(business.professional, None)]
    service = rows(business, Service, "id")[-1][0]
    assert "checked" in desk.get(f"/admin/services/{service}").text
    desk.post(f"/admin/services/{service}", SERVICE | {"name": "Corte largo", "active": ""})
    assert rows(business, ProfessionalService, "id") == []
    assert rows(business, Service, *columns)[-1] == ("Corte largo", 45, 10, False, True)


def test_who_gives_a_service_at_one_branch_stays_so(business: Business, desk: Desk) -> None:
    with work(business.tenant) as session:
        set_givers(session, business.service, [(business.professional, business.branch)])
    desk.post(f"/admin/services/{business.service}", SERVICE | {"giver": str(business.professional)})
    assert rows(business, ProfessionalService, "branch_id") == [(business.branch,)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "Escribe un nombre"),
        ({"name": "x" * 10_000}, "Escribe un nombre"),
        ({"duration_minutes": "0"}, "1 a 1440"),
        ({"duration_minutes": "media hora"}, "1 a 1440"),
        ({"buffer_after_minutes": "1000"}, "0 a 480"),
    ],
)
def test_a_bad_service_is_shown_again(business: Business, desk: Desk, wrong: dict[str, str], said: str) -> None:
    before = rows(business, Service, "name")
    answer = desk.post("/admin/services", SERVICE | wrong)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert 'value="10"' in answer.text or "buffer_after_minutes" in wrong
    assert rows(business, Service, "name") == before


def test_the_team_grows_and_rests(business: Business, desk: Desk) -> None:
    assert "Escribe un nombre" in desk.post("/admin/people", {"name": ""}).text
    made = desk.post("/admin/people", {"name": "Ida Sol"})
    assert "Siempre que la sucursal abre" in made.text
    person = made.request.path
    assert desk.post(person, {"name": "", "active": "1"}).status_code == 422
    assert "No se ofrece" in desk.post(person, {"name": "Ida Sol"}).text
    assert rows(business, Professional, "name", "active")[-1] == ("Ida Sol", False)


def test_opening_hours_are_blocks_of_the_week(business: Business, desk: Desk) -> None:
    address = f"/admin/hours/{business.branch}"
    dated = date(2031, 12, 1)
    with work(business.tenant) as session:
        block = WorkingHours(weekday=5, from_minute=600, until_minute=700, valid_from=dated)
        set_hours(session, [block], branch_id=business.branch)
    assert "Solo en algunas fechas" in desk.get(address).text
    week = {
        "from-0": ["16:00", "09:00", ""],
        "until-0": ["00:00", "14:00", ""],
        "from-1": ["09:00"],
        "until-1": ["13:30"],
    }
    assert "Guardado." in desk.post(address, week).text
    columns = ("weekday", "from_minute", "until_minute", "valid_from")
    assert sorted(rows(business, WorkingHours, *columns), key=str) == sorted(
        [(0, 960, 1440, None), (0, 540, 840, None), (1, 540, 810, None), (5, 600, 700, dated)], key=str
    ), "those of some dates only are kept"
    for bad in (["10:00", "13:00"], ["12:00", "11:00"], ["", "11:00"], ["diez", "11:00"]):
        answer = desk.post(address, {"from-0": ["09:00", bad[0]], "until-0": ["12:00", bad[1]]})
        assert (answer.status_code, "desde y hasta" in answer.text) == (422, True)
        assert 'value="09:00"' in answer.text
    assert len(rows(business, WorkingHours, "id")) == 4


def test_working_hours_at_one_branch_leave_the_others(business: Business, desk: Desk) -> None:
    with work(business.tenant) as session:
        elsewhere = WorkingHours(branch_id=1, weekday=2, from_minute=600, until_minute=700)
        set_hours(session, [elsewhere], professional_id=business.professional)
    address = f"/admin/people/{business.professional}/hours/{business.branch}"
    answer = desk.post(address, {"from-0": ["09:00"], "until-0": ["14:00"]})
    assert "9:00 a.m.–2:00 p.m." in answer.text
    assert sorted(rows(business, WorkingHours, "branch_id", "weekday")) == [(1, 2), (business.branch, 0)]


def test_closed_days_tell_of_appointments_that_stand(business: Business, desk: Desk) -> None:
    days = [(utcnow() + timedelta(days=number)).date().isoformat() for number in (0, 3)]
    answer = desk.post("/admin/closed-days", {"first_day": days[0], "last_day": days[1], "name": "Mudanza"})
    assert "hay 1 citas" in answer.text
    assert "Mudanza" in answer.text
    closure = rows(business, Closure, "id")[-1][0]
    assert "Mudanza" not in desk.post(f"/admin/closed-days/{closure}/remove").text
    wrong = desk.post("/admin/closed-days", {"first_day": days[1], "last_day": days[0], "name": "Mudanza"})
    assert (wrong.status_code, "antes del primer día" in wrong.text, "Mudanza" in wrong.text) == (422, True, True)
    assert "Escribe una fecha" in desk.post("/admin/closed-days", {"first_day": "mañana"}).text


def test_time_off_is_whole_days_or_from_time_to_time(business: Business, desk: Desk) -> None:
    who = {"professional": str(business.professional)}
    desk.post("/admin/time-off", who | {"from_day": "2031-03-03", "reason": "Vacaciones"})
    day = {"from_day": "2031-03-04", "from_time": "10:00", "until_time": "12:00"}
    assert "Vacaciones" in desk.post("/admin/time-off", who | day).text
    found = rows(business, TimeOff, "start", "end")[1:]
    assert [(end - start).total_seconds() / 3600 for start, end in found] == [24, 2]
    for wrong, said in (
        ({"professional": ""}, "Elige de la lista"),
        ({"from_day": ""}, "Escribe una fecha"),
        ({"until_time": "09:00"}, "terminar después"),
        ({"until_day": "x", "until_time": ""}, "Escribe una fecha"),
    ):
        answer = desk.post("/admin/time-off", who | day | wrong)
        assert (answer.status_code, said in answer.text) == (422, True), wrong
    assert desk.post("/admin/time-off", who | day | {"professional": "999"}).status_code == 404
    last = rows(business, TimeOff, "id")[-1][0]
    desk.post(f"/admin/time-off/{last}/remove")
    assert len(rows(business, TimeOff, "id")) == 2


def test_who_may_only_look_sees_no_form(app: Flask, business: Business) -> None:
    reader = desk_of(app, business.tenant, "read-only")
    for path in (
        "services",
        f"services/{business.service}",
        "people",
        "hours",
        "closed-days",
        f"clients/{business.client}",
    ):
        page = reader.get(f"/admin/{path}").text
        assert page.count('<form method="post"') == (2 if path == f"services/{business.service}" else 1), path
    assert "fieldset disabled" in reader.get(f"/admin/services/{business.service}").text
