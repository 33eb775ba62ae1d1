"""An app of its own for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from citaplanner_core.app import create_app
from citaplanner_core.database import close_database, db
from citaplanner_core.hooks import lifecycle


@contextmanager
def migrated_app(folder: Path, *plugins: str, **config: Any) -> Iterator[Flask]:
    """Yield an app with the named plugins and all tables, on a new SQLite database in `folder`; its context is open.

    `config` are further fields of `Config`, such as `allowed_private_hosts=("127.0.0.1",)`. The plugins must be
    installed, `pip install -e .` will do. A process can have one set of plugins only: name the same in every test.
    """
    app = create_app(
        {
            "database_url": f"sqlite:///{folder / 'test.db'}",
            "instance_path": folder / "instance",
            "secret_key": "a-key-for-tests-only-0123456789",
            "plugins": plugins,
            **config,
        }
    )
    with app.app_context():
        try:
            lifecycle.migrate_all(plugins)
            yield app
        finally:
            db.session.remove()
            close_database()
