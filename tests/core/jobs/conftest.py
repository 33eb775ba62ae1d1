"""Throw-away until tests/conftest.py exists."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import db, system_work
from tests.core.jobs.support import make_app

SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432/"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.db"
        return
    name = f"jobs_{uuid4().hex[:12]}"
    server = create_engine(SERVER + "postgres", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield SERVER + name
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def app(database_url: str) -> Iterator[Flask]:
    app = make_app(database_url)
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def tenant(app: Flask) -> int:
    with app.app_context(), system_work("test", write=True) as session:
        session.add(row := Tenant(slug="clinic", name="Clinic"))
        session.flush()
        return row.id
