"""A migrated database with one tenant connected to a Chatwoot account."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from flask import Flask

from benchmarks.databases import KEY
from citaplanner_core.app import create_app
from citaplanner_core.cli.supervisor import free_port
from citaplanner_core.crypto import new_token
from citaplanner_core.database import close_database, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.testing.factories import make_tenant
from plugins.chatwoot.models import ChatwootConfig

PLUGINS = ("chatwoot",)


def app_on(url: str, folder: Path) -> Flask:
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
        close_database()
    return key


def environment(url: str, folder: Path) -> dict[str, str]:
    """Return what a process over this database sees."""
    return {
        **os.environ,
        "CITAPLANNER_DATABASE_URL": url,
        "CITAPLANNER_SECRET_KEY": KEY,
        "CITAPLANNER_PLUGINS": ",".join(PLUGINS),
        "CITAPLANNER_INSTANCE_PATH": str(folder / "instance"),
        "CITAPLANNER_ALLOWED_PRIVATE_HOSTS": "127.0.0.1",
        "CITAPLANNER_LOG_LEVEL": "ERROR",
    }


@contextmanager
def stand_in() -> Iterator[str]:
    """Run the stand-in Chatwoot server; yield its address."""
    port = free_port("127.0.0.1", 0)
    process = subprocess.Popen([sys.executable, "-m", "plugins.chatwoot.sandbox", "--port", str(port)])
    try:
        until(lambda: requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok, seconds=30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def start_worker(url: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start a worker process."""
    return subprocess.Popen([sys.executable, "-m", "citaplanner_core", "worker"], env=environment(url, folder))


def until(look: Callable[[], bool], *, seconds: float) -> None:
    """Look until it is so; raise TimeoutError after a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if look():
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise TimeoutError("what was waited for did not come")
