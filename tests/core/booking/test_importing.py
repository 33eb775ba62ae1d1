"""Clients out of tables as people really have them."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from citaplanner_core.booking.errors import ValidationFailed
from citaplanner_core.booking.importing import import_clients
from citaplanner_core.booking.models import Client, ClientPhone
from citaplanner_core.booking.search import find_clients
from citaplanner_core.cli import importing as command
from citaplanner_core.database import work
from citaplanner_core.jobs.models import Job
from citaplanner_core.notifications.models import Notification
from citaplanner_core.testing.factories import make_client

GOOD = """Nombre;Apellidos;Celular;Teléfono 2;Correo;Fecha de nacimiento;Notas;Color
José;Peña;55 1234 5678;+1 201-555-0123;jose@example.com;28/02/1990;"alergia; polen";rojo
ana;Solís;5215598765432;;;;;
Eva;Sin Teléfono;;;eva@example.com;;;
"""


def bring(tenant: int, data: bytes) -> Any:
    with work(tenant) as session:
        return import_clients(session, data)


def count(tenant: int, model: Any) -> int:
    with work(tenant, write=False) as session:
        return session.scalar(select(func.count(model.id))) or 0


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode(),
        b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(),
        GOOD.encode("cp1252"),
        GOOD.encode("utf-16"),
        GOOD.replace("alergia; polen", "alergia, polen").replace(";", "\t").encode(),
        GOOD.replace(";", ",").replace("alergia, polen", "alergia, polen").encode(),
    ],
    ids=["semicolon", "mark and CRLF", "Windows-1252", "UTF-16", "tab", "comma"],
)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_any_encoding_and_separator(tenant: int, data: bytes) -> None:
    outcome = bring(tenant, data)
    assert (outcome.added, outcome.refused, outcome.ignored) == (3, [], ["Color"])
    with work(tenant, write=False) as session:
        (jose,) = find_clients(session, "jose pena", limit=5)
        assert [phone.match_key for phone in jose.phones] == ["+525512345678", "+12015550123"]
        assert (str(jose.birthday), jose.email, jose.notes[:7]) == ("1990-02-28", "jose@example.com", "alergia")
        (ana,) = find_clients(session, "98765432", limit=5)
        assert ana.name == "ana Solís"


def test_the_same_again_makes_no_doubles_and_fills_up(tenant: int) -> None:
    with work(tenant) as session:
        make_client(session, first_name="JOSE", last_name="Peña", phone="+52 1 55 1234 5678", email=None)
        make_client(session, first_name="Luis", last_name="Peña", phone="55 1234 5678")
    outcomes = [bring(tenant, (GOOD + "Ana;Solís;55 9876 5432;;ana@example.com;;;\n").encode()) for _ in range(2)]
    assert [(one.added, one.completed, one.unchanged) for one in outcomes] == [(2, 1, 1), (0, 0, 4)]
    assert (count(tenant, Client), count(tenant, ClientPhone)) == (4, 4)
    with work(tenant, write=False) as session:
        (jose,) = find_clients(session, "jose", limit=5)
        assert (jose.first_name, jose.email, len(jose.phones)) == ("JOSE", "jose@example.com", 2)
        (ana,) = find_clients(session, "ana solis", limit=5)
        assert ana.email == "ana@example.com"
    assert (count(tenant, Notification), count(tenant, Job)) == (0, 0)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_cannot_be_read_is_said_by_line_and_field(tenant: int) -> None:
    table = (
        "first_name,phone,email,birthday\n"
        "Ana,5.215512E+11,,\n"
        'Ana,"5,21551E+11",,\n'
        ",55 1234 5678,,\n"
        "Ana,123,,\n"
        "Ana,55 1234 5678 / 55 8765 4321,,\n"
        "Ana,,no tiene,\n"
        "Ana,,,\n"
        "Ana,55 1234 5678,,31/02/1990\n"
        "Ana,55 1234 5678,,,x\n" + "A" * 201 + ",55 1234 5678,,\n"
        "\n"
        "Ana,55 1234 5678,,\n"
    )
    outcome = bring(tenant, table.encode())
    assert [(one.line, one.field) for one in outcome.refused] == [
        *((2, "phone"), (3, "phone"), (4, "first_name"), (5, "phone"), (6, "phone"), (7, "email")),
        *((8, "phone"), (9, "birthday"), (10, "line"), (11, "first_name")),
    ]
    assert "format the column as text" in outcome.refused[0].cure
    assert outcome.added == 1
    for nothing in (b"", b"\n\n", b"telefono;correo\n55 1234 5678;\n", b"\x00\x01\x02"):
        with pytest.raises(ValidationFailed, match="file: "):
            bring(tenant, nothing)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_command_shows_first_and_writes_when_told(
    tenant: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clients.csv"
    file.write_text(GOOD + "Beto;;12;;;;;\n")
    for applies, kept in ((False, 0), (True, 3)):
        outcome = command.bring_in(tenant, file.read_bytes(), applies=applies)
        assert (outcome.added, len(outcome.refused), count(tenant, Client)) == (3, 1, kept)
        lines = "\n".join(command.say(outcome, applies=applies))
        assert "line 5, phone: '12' is no single whole number" in lines
        assert ("--apply" in lines) is not applies
    refused = CliRunner().invoke(command.import_group, ["clients", "nowhere.csv", "--tenant", "clinic"])
    assert refused.exit_code == 2
