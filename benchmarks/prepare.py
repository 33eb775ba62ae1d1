"""A migrated database with one tenant connected to a Chatwoot account."""

from pathlib import Path

from benchmarks.databases import KEY
from citaplanner_core.app import create_app
from citaplanner_core.crypto import new_token
from citaplanner_core.database import db, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.testing.factories import make_tenant
from plugins.chatwoot.models import ChatwootConfig

PLUGINS = ("chatwoot",)


def app_on(url: str, folder: Path):  # type: ignore[no-untyped-def]  # Flask, for scripts only
    """Return an app on a database."""
    return create_app(
        {
            "database_url": url,
            "secret_key": KEY,
            "plugins": PLUGINS,
            "instance_path": folder / "instance",
            "allowed_private_hosts": ("127.0.0.1",),
            "log_level": "ERROR",
        }
    )


def prepared(url: str, folder: Path, *, secret: str, base_url: str = "https://chat.example") -> str:
    """Migrate, make a tenant connected to account 1 with inbox 1, and return its webhook key."""
    key, key_hash = new_token()
    app = app_on(url, folder)
    with app.app_context():
        lifecycle.migrate_all(PLUGINS)
        tenant = make_tenant("bench")
        lifecycle.enable("chatwoot", tenant)
        with work(tenant) as session:
            session.add(
                ChatwootConfig(
                    base_url=base_url,
                    account_id=1,
                    inbox_id=1,
                    api_access_token="token",  # of nobody
                    webhook_key=key,
                    webhook_key_hash=key_hash,
                    webhook_secret=secret,
                )
            )
        db.engine.dispose()
    return key
