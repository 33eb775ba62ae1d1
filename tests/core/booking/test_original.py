"""A file of the original's tables: what comes of each row, twice, and what leaves because of it."""

import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select

from citaplanner_core.booking.appointments import reschedule
from citaplanner_core.booking.errors import ValidationFailed
from citaplanner_core.booking.models import Appointment, AppointmentChange, Branch, Client, Professional, Service
from citaplanner_core.booking.original import import_original
from citaplanner_core.cli import common
from citaplanner_core.cli import importing as command
from citaplanner_core.database import Base, utcnow, work
from citaplanner_core.jobs.models import Job
from citaplanner_core.notifications.merging import merge_clients
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import make_client

Tables = dict[str, Any]


def moment(days: float) -> str:
    """A full hour so many days from now, as its database writes it: UTC, without saying so."""
    at = (utcnow() + timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    return at.replace(tzinfo=None).isoformat()


def visit(name: str, days: float, **other: Any) -> dict[str, Any]:
    ids = {"clientId": "c1", "serviceId": "s1", "userId": "u1", "branchId": "b1", "tenantId": "t1"}
    return {"id": name, "startTime": moment(days), "status": "CONFIRMED", "isOnline": False} | ids | other


@pytest.fixture
def tables() -> Tables:
    return {
        "branches": [{"id": "b1", "name": "Sucursal Principal", "tenantId": "t1"}],
        "users": [
            {"id": "u1", "firstName": "Laura", "lastName": "Ríos", "role": "PROFESSIONAL"},
            {"id": "u2", "firstName": "Caja", "lastName": "", "role": "RECEPTIONIST"},
        ],
        "services": [
            {"id": "s1", "name": "Corte", "duration": 45, "price": 250.0},
            {"id": "s2", "name": "Tinte", "duration": 0},
        ],
        "clients": [
            {"id": "c1", "firstName": "José", "lastName": "Peña", "phone": "5215512345678", "notes": "alergia"}
            | {"birthday": "1990-02-28T00:00:00", "address": "Av. Ejemplo 123", "tenantId": "t1"},
            {"id": "c2", "firstName": "Ana", "lastName": "Sol", "phone": "55 9876 5432", "isActive": False},
            {"id": "c3", "firstName": "Eva", "lastName": "Luz", "phone": "123"},
        ],
        "appointments": [
            visit("past", -30, status="COMPLETED", isOnline=True, createdAt=moment(-40)),
            visit("soon", 1.5, endTime=moment(1.5 + 1 / 24)),
            visit("later", 20, status="PENDING"),
            visit("twice", 20),
            visit("lost", 3, clientId="c3"),
            visit("odd", 4, status="MAYBE"),
            visit("archived", 5, clientId="c2"),
            visit("never", 6, startTime="mañana"),
        ],
        "payments": [],
    }


def bring(tenant: int, tables: Tables) -> Any:
    with work(tenant) as session:
        return import_original(session, json.dumps(tables).encode())


def test_each_row_finds_its_place_and_twice_makes_no_doubles(tenant: int, tables: Tables) -> None:
    with work(tenant) as session:
        there = make_client(session, first_name="JOSE", last_name="Peña", phone="55 1234 5678", email=None).id
    moved = bring(tenant, tables)
    assert moved.ignored == ["payments"]
    assert moved.added == {"branches": 0, "users": 1, "services": 1, "clients": 1, "appointments": 3}
    assert [(one.table, one.id, one.field) for one in moved.refused] == [
        ("services", "s2", "duration_minutes"),
        ("clients", "c3", "phone"),
        ("appointments", "twice", "startTime"),
        ("appointments", "lost", "clientId"),
        ("appointments", "odd", "status"),
        ("appointments", "archived", "clientId"),
        ("appointments", "never", "startTime"),
    ]
    with work(tenant) as session:
        assert len(session.scalars(select(Branch)).all()) == 1
        assert session.scalars(select(Professional.name)).all() == ["Laura Ríos"]
        jose = session.get_one(Client, there)
        assert (jose.first_name, str(jose.birthday), jose.notes) == ("JOSE", "1990-02-28", "alergia\nAv. Ejemplo 123")
        assert session.scalars(select(Client.active).where(Client.first_name == "Ana")).all() == [False]
        past, soon, later = session.scalars(select(Appointment).order_by(Appointment.start)).all()
        assert (past.status, past.booked_by, past.client_id) == ("COMPLETED", "client", there)
        assert (past.end - past.start, soon.end - soon.start) == (timedelta(minutes=45), timedelta(hours=1))
        assert past.start.astimezone(UTC).replace(tzinfo=None).isoformat() == moment(-30)
        changes = session.scalars(select(AppointmentChange).order_by(AppointmentChange.at)).all()
        assert [(one.event, one.at == one.new_start) for one in changes][:1] == [("booked", False)]
        assert moved.to_plan == [soon.id, later.id]
        for model in (Notification, Job):
            assert session.scalars(select(model.id)).all() == []
        reschedule(session, later.id, start=later.start + timedelta(days=1), by="staff")
        other = make_client(session).id
        merge_clients(session, other, merged_id=there, by="test")

    tables["clients"][2]["phone"] = "55 1111 2222"
    again = bring(tenant, tables)
    assert again.added == {"branches": 0, "users": 0, "services": 0, "clients": 1, "appointments": 2}
    with work(tenant, write=False) as session:
        clients = session.scalars(select(Appointment.client_id).order_by(Appointment.start)).all()
        assert len(clients) == 5
        assert clients.count(other) == 4


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_is_no_such_file_is_refused_whole(tenant: int, tables: Tables) -> None:
    for data in (b"", b"[]", b"{}", b'{"clients": {}}', b'{"clients": [1]}', b'{"other": []}', b"\xff" * 9):
        with pytest.raises(ValidationFailed, match="file: "), work(tenant) as session:
            import_original(session, data)
    tables["users"][0]["tenantId"] = "t2"
    with pytest.raises(ValidationFailed, match="2 businesses"):
        bring(tenant, tables)
    strange = {"id": {}, "firstName": [], "name": 5, "duration": True, "startTime": 3, "phone": {}}
    moved = bring(tenant, {table: [strange, strange | {"id": 1}, {"id": 1}] for table in tables})
    assert (moved.added["clients"], moved.added["appointments"], len(moved.refused) > 10) == (0, 0, True)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_command_says_what_leaves_and_asks(
    app: Flask, tenant: int, tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "full_app", lambda: app)
    file = tmp_path / "original.json"
    file.write_text(json.dumps(tables))

    def run(*options: str) -> Any:
        return CliRunner().invoke(command.import_group, ["citaplanner-1.11", str(file), "--tenant", "clinic", *options])

    def kept(model: type[Base]) -> int:
        with work(tenant, write=False) as session:
            return len(session.scalars(select(model)).all())

    shown = run()
    assert (shown.exit_code, "nothing was written" in shown.output) == (0, True), shown.output
    assert "leave in the next 48 hours: 2 APPOINTMENT_REMINDER" in shown.output
    assert "clients c3, phone: '123' is no single whole number" in shown.output
    refused = run("--apply")
    assert (refused.exit_code, "--yes" in refused.output, kept(Appointment)) == (2, True, 0)
    assert "2 messages will leave in the next 48 hours" in refused.output
    done = run("--apply", "--yes", "--json")
    assert (done.exit_code, kept(Appointment), kept(Service)) == (0, 3, 1), done.output
    assert kept(Notification) == 4
    assert run("--apply").exit_code == 0  # nothing more leaves, so nothing is asked
    assert kept(Notification) == 4
