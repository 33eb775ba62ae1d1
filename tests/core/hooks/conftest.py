from pathlib import Path

import pytest

from tests.core.hooks.toy import Deployment


@pytest.fixture
def deployment(tmp_path: Path, database_url: str) -> Deployment:
    """An empty deployment on SQLite or PostgreSQL."""
    return Deployment(tmp_path, database_url)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Deployment:
    """An empty deployment on SQLite, where the database does not matter."""
    return Deployment(tmp_path, f"sqlite:///{tmp_path / 'test.db'}")
