"""What stands in deploy/: back-up and restore are carried out, the rest is checked where there are programs for it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from citaplanner_core.booking.models import Client
from citaplanner_core.config import Config
from citaplanner_core.database import work
from citaplanner_core.testing.factories import make_client, make_tenant

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CITAPLANNER = re.compile(r"CITAPLANNER_[A-Z_]+")


def run(program: str, *arguments: str | Path, url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CITAPLANNER_DATABASE_URL": url.replace("+psycopg", "")}
    return subprocess.run([DEPLOY / program, *arguments], env=environment, capture_output=True, text=True)


def clients(url: str) -> list[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = list(connection.scalars(text("SELECT first_name FROM client")))
    engine.dispose()
    return found


def test_a_back_up_is_restored_and_the_copy_is_silent(
    app: Flask, migrated_url: str, database_url: str, tmp_path: Path
) -> None:
    tenant = make_tenant("clinic")
    with work(tenant) as session:
        make_client(session, first_name="Nuria")
    file, settings = tmp_path / "back-up", tmp_path / "production.env"
    copy = database_url.replace("test.db", "copy.db")
    written = run("backup", file, url=migrated_url)
    assert written.returncode == 0, written.stderr
    assert file.stat().st_mode & 0o077 == 0
    settings.write_text("CITAPLANNER_DELIVERY=live\nCITAPLANNER_PLUGINS=email\n")
    restored = run("restore", file, settings, url=copy)
    assert restored.returncode == 0, restored.stderr
    assert clients(copy) == ["Nuria"]
    assert settings.read_text() == "CITAPLANNER_PLUGINS=email\nCITAPLANNER_DELIVERY=off\n"
    again = run("restore", file, settings, url=copy)
    assert again.returncode == 1
    assert "exists" in again.stderr or "empty one" in again.stderr
    with work(tenant, write=False) as session:
        assert session.query(Client).count() == 1


def test_a_back_up_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    failed = run("backup", tmp_path / "back-up", url="postgresql://nobody@127.0.0.1:1/nothing")
    assert failed.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_the_settings_that_are_named_exist() -> None:
    known = {f"CITAPLANNER_{name.upper()}" for name in Config.model_fields}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert set(CITAPLANNER.findall(path.read_text())) <= known, path


@pytest.mark.parametrize("kind", ["service", "timer"])
def test_units_are_whole(kind: str, tmp_path: Path) -> None:
    units = sorted((DEPLOY / "systemd").glob(f"*.{kind}"))
    assert units
    for unit in units:
        sections = re.findall(r"^\[(\w+)\]$", unit.read_text(), re.MULTILINE)
        assert sections[0] == "Unit"
        assert {"service": "Service", "timer": "Timer"}[kind] in sections
    if shutil.which("systemd-analyze") is None:
        return
    for unit in units:  # programs at their places on this machine, so that only the unit itself can be wrong
        (tmp_path / unit.name).write_text(re.sub(r"/opt/citaplanner/\S+", "/bin/true", unit.read_text()))
    for unit in (DEPLOY / "systemd").glob("*.service"):
        (tmp_path / unit.name).write_text(re.sub(r"/opt/citaplanner/\S+", "/bin/true", unit.read_text()))
    names = [str(tmp_path / unit.name) for unit in units]
    checked = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True)
    said = [line for line in checked.stderr.splitlines() if "citaplanner" in line]
    assert said == []
