"""The agenda of a day, and times as staff types them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import event, select

from citaplanner_core.booking.hours import WorkingHours
from citaplanner_core.booking.models import CANCELLED, Branch
from citaplanner_core.booking.timetable import close, set_hours, take_off
from citaplanner_core.database import db, work
from citaplanner_core.testing.factories import (
    make_appointment,
    make_branch,
    make_client,
    make_professional,
    make_service,
    make_tenant,
)
from citaplanner_core.web.admin.diary import Diary, read_diary
from citaplanner_core.web.admin.moments import Moments, UnreadTime
from citaplanner_core.web.admin.week import read_week
from tests.core.web.admin.support import desk_of

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"])
MEXICO, NEW_YORK = ZoneInfo("America/Mexico_City"), "America/New_York"
MONDAY = date(2031, 3, 3)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2031, 3, 3, hour, minute, tzinfo=MEXICO)


def open_hours(*blocks: tuple[int, int]) -> list[WorkingHours]:
    return [WorkingHours(weekday=0, from_minute=opens * 60, until_minute=closes * 60) for opens, closes in blocks]


def told(diary: Diary, name: str) -> list[str]:
    """What a professional's day is, in short."""
    column = next(column for column in diary.columns if column.name == name)
    clock = Moments("America/Mexico_City", "en").local
    return [f"{piece.kind} {clock(piece.start):%H:%M}-{clock(piece.end):%H:%M}" for piece in column.pieces]


@on_sqlite
def test_a_day_is_what_follows_what_for_each_professional(app: Flask, tenant: int) -> None:
    with work(tenant) as session:
        branch = session.scalars(select(Branch)).one()
        set_hours(session, open_hours((9, 14), (16, 19)), branch_id=branch.id)
        laura, marco = make_professional(session, name="Laura"), make_professional(session, name="Marco")
        make_professional(session, name="Ida", active=False)
        away = make_professional(session, name="Sofía")
        take_off(session, professional_id=away.id, start=at(0), end=at(0) + timedelta(days=1))
        take_off(session, professional_id=marco.id, start=at(9), end=at(11))
        facial = make_service(session, duration_minutes=60, buffer_after_minutes=15)
        make_appointment(session, start=at(10), professional=laura, service=facial)
        make_appointment(session, start=at(12), professional=laura, status=CANCELLED)
        make_appointment(session, start=at(20), professional=laura)
        elsewhere = make_branch(session)
        make_appointment(session, start=at(17), professional=marco, service=facial, branch=elsewhere)
        diary = read_diary(session, branch, MONDAY)
        only = read_diary(session, branch, MONDAY, marco.id)
        sunday = read_diary(session, branch, date(2031, 3, 2))
        close(session, first_day=MONDAY, name="Feriado")
        closed = read_diary(session, branch, MONDAY)
    assert told(diary, "Laura") == [
        "free 09:00-10:00",
        "appointment 10:00-11:00",
        "kept 11:00-11:15",
        "free 11:15-14:00",
        "closed 14:00-16:00",
        "free 16:00-19:00",
        "closed 19:00-20:00",
        "appointment 20:00-20:30",
    ]
    assert told(diary, "Marco") == [
        "away 09:00-11:00",
        "free 11:00-14:00",
        "closed 14:00-16:00",
        "free 16:00-17:00",
        "elsewhere 17:00-18:00",
        "kept 18:00-18:15",
        "free 18:15-19:00",
        "closed 19:00-20:30",
    ]
    assert (list(diary.off), len(diary.cancelled), diary.closed) == (["Sofía"], 1, None)
    assert [column.name for column in only.columns] == ["Marco"]
    assert (sunday.is_open, list(sunday.columns)) == (False, [])
    assert (closed.closed, closed.is_open) == ("Feriado", False)
    assert told(closed, "Laura")[0] == "appointment 10:00-11:00", "what is booked stays to be seen"


@on_sqlite
def test_a_week_is_seven_days_of_all_or_of_one(app: Flask, tenant: int) -> None:
    said: list[str] = []
    with work(tenant) as session:
        branch = session.scalars(select(Branch)).one()
        set_hours(session, open_hours((9, 14)), branch_id=branch.id)
        laura, marco = make_professional(session, name="Laura"), make_professional(session, name="Marco")
        close(session, first_day=MONDAY + timedelta(days=2), name="Feriado")
        facial = make_service(session, duration_minutes=60)
        empty = count_queries(said, lambda: read_week(session, branch, MONDAY))
        client = make_client(session, first_name="Rosa", last_name="Mar")
        for day, hour, who in ((0, 10, laura), (0, 9, marco), (6, 23, laura), (7, 10, laura), (-1, 10, marco)):
            start = at(hour) + timedelta(days=day)
            make_appointment(session, start=start, professional=who, service=facial, client=client)
        make_appointment(session, start=at(12), professional=laura, status=CANCELLED)
        assert count_queries(said, lambda: read_week(session, branch, MONDAY)) == empty <= 8
        week = read_week(session, branch, MONDAY + timedelta(days=4))
        only = read_week(session, branch, MONDAY, laura.id)
        marco_id = marco.id
    assert [one.day for one in week.days] == [MONDAY + timedelta(days=number) for number in range(7)]
    assert [one.visits for one in week.days] == [2, 0, 0, 0, 0, 0, 1]
    assert [one.works for one in week.days] == [True, *[False] * 6]
    assert [one.closed for one in week.days] == [None, None, "Feriado", *[None] * 4]
    assert [piece.kind for piece in only.days[0].pieces] == ["free", "appointment", "free"]
    assert [name for _, name in only.people] == ["Laura", "Marco"]
    desk = desk_of(app, tenant, "read-only")
    page = desk.get(f"/admin/week?day={MONDAY}").text
    for shown in ("Semana: lun 3 mar", "Rosa Mar", "Marco · ", "2 citas", "Día cerrado: Feriado", "day=2031-03-10"):
        assert shown in page, shown
    assert f'href="/admin/?day={MONDAY}"' in page
    assert f'href="/admin/week?day={MONDAY}"' in desk.get(f"/admin/?day={MONDAY}").text
    alone = desk.get(f"/admin/week?day={MONDAY}&professional={marco_id}&lang=en").text
    assert ("No appointments" in alone, "Not working" in alone, "Laura · " in alone) == (False, True, False)
    assert desk.get("/admin/week?day=9999-99-99&branch=x&professional=x").status_code == 200


def count_queries(said: list[str], deed: Callable[[], object]) -> int:
    """How many statements it takes."""
    said.clear()

    def note(*arguments: Any) -> None:
        said.append(arguments[2])

    event.listen(db.engine, "before_cursor_execute", note)
    deed()
    event.remove(db.engine, "before_cursor_execute", note)
    return len(said)


@on_sqlite
def test_a_full_day_takes_no_more_queries_than_an_empty_one(app: Flask, tenant: int) -> None:
    said: list[str] = []

    def count(*arguments: Any) -> None:
        said.append(arguments[2])

    event.listen(db.engine, "before_cursor_execute", count)
    counts, columns = [], []
    for people in (1, 12):
        with work(tenant) as session:
            for _ in range(people):
                laura, cut = make_professional(session), make_service(session)
                for hour in range(9, 15):
                    make_appointment(session, start=at(hour), professional=laura, service=cut)
        with work(tenant, write=False) as session:
            branch = session.scalars(select(Branch)).one()
            said.clear()
            columns.append(len(read_diary(session, branch, MONDAY).columns))
            counts.append(len(said))
    event.remove(db.engine, "before_cursor_execute", count)
    assert columns == [1, 13]
    assert counts[0] == counts[1] <= 8


@on_sqlite
@pytest.mark.parametrize(("day", "hours"), [(date(2031, 3, 9), 23), (date(2031, 11, 2), 25), (date(2031, 3, 10), 24)])
def test_days_on_which_clocks_change_are_as_long_as_they_are(app: Flask, tenant: int, day: date, hours: int) -> None:
    with work(tenant) as session:
        branch = make_branch(session, zone=NEW_YORK)
        whole = [WorkingHours(weekday=weekday, from_minute=0, until_minute=1440) for weekday in range(7)]
        set_hours(session, whole, branch_id=branch.id)
        make_professional(session, name="Laura")
        column = read_diary(session, branch, day).columns[0]
    assert [(piece.kind, piece.end - piece.start) for piece in column.pieces] == [("free", hours * 3600)]


def test_typed_times_are_those_of_the_branch() -> None:
    says = Moments(NEW_YORK, "es")
    assert says.read("2031-03-09", "03:30") == datetime(2031, 3, 9, 7, 30, tzinfo=UTC)
    assert says.read("2031-11-02", "01:30") == datetime(2031, 11, 2, 5, 30, tzinfo=UTC), "the first of the two"
    for day, clock, wrong in (
        ("2031-03-09", "02:30", "gap"),
        ("2031-02-30", "10:00", "day"),
        ("", "10:00", "day"),
        ("2031-03-09", "", "time"),
        ("2031-03-09", "25:00", "time"),
        ("2031-03-09", "10:00+01:00", "time"),
    ):
        with pytest.raises(UnreadTime, match=wrong):
            says.read(day, clock)


@on_sqlite
def test_the_page_shows_a_day_and_leads_on(app: Flask, tenant: int) -> None:
    with work(tenant) as session:
        branch = session.scalars(select(Branch)).one()
        set_hours(session, open_hours((9, 14)), branch_id=branch.id)
        laura = make_professional(session, name="Laura")
        ana = make_client(session, first_name="<b>Ana", last_name="Pérez")
        make_appointment(
            session, start=at(10), professional=laura, client=ana, service=make_service(session, name="Corte")
        )
        other = make_branch(session, name="Norte", zone="America/Tijuana").id
        free = f"branch={branch.id}&amp;professional={laura.id}&amp;start=2031-03-03T09"
    desk = desk_of(app, tenant, "staff")
    text = desk.get("/admin/?day=2031-03-03").text
    for words in (
        "Lunes, 3 de marzo de 2031",
        "&lt;b&gt;Ana Pérez",
        "Corte · Confirmada",
        "10:00 a.m.–10:30 a.m.",
        "1 cita",
    ):
        assert words in text
    assert f"/admin/appointments/new?{free}" in text
    assert "Hora local de Tijuana" in desk.get(f"/admin/?branch={other}").text
    assert "Monday, March 3, 2031" in desk.get("/admin/?day=2031-03-03&lang=en").text
    assert "Laura" in desk.get("/admin/?day=nonsense&branch=x&professional=²").text, "what is nonsense is left out"


@on_sqlite
def test_an_empty_business_is_told_what_to_do_next(app: Flask) -> None:
    tenant = make_tenant("new")
    text = desk_of(app, tenant).get("/admin/").text
    assert "Agrega a quienes atienden" in text
    assert "Aún no dices a qué horas abres" in text
    with work(tenant) as session:
        session.scalars(select(Branch)).one().active = False
    assert "ninguna sucursal activa" in desk_of(app, tenant, "staff").get("/admin/").text
