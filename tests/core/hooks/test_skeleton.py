"""`citaplanner plugins new` makes a plugin that works at once, or says why not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.hooks.toy import Deployment

SEND = """
from citaplanner_core.hooks import settings
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.service import send_notification
from citaplanner_core.testing.worker import run_due
from sqlalchemy import select
from citaplanner_core.booking.models import Tenant
with system_work("the only tenant") as session:
    tenant = session.scalars(select(Tenant.id)).one()
with work(tenant) as session:
    client = factories.make_client(session)
    sent = send_notification(type="PROMOTION", recipient_id=client.id, channel="pager", message="Hola")
    print(sorted(settings.read(session, "pager")))
run_due(app)
with work(tenant, write=False) as session:
    print(session.get_one(Notification, sent.notification_id).status, registry().troubles)
"""


def run(*argv: str | Path, deployment: Deployment) -> str:
    done = subprocess.run(
        argv, env=deployment.environment(), cwd=deployment.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_what_it_makes_is_installed_enabled_and_sends(on_sqlite: Deployment) -> None:
    made = on_sqlite.command("plugins", "new", "pager")
    assert made.returncode == 0, made.stderr
    assert "pip install -e ./pager-plugin" in made.stdout
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", "--no-deps")
    run(*pip, "--target", on_sqlite.folder / "site", on_sqlite.folder / "pager-plugin", deployment=on_sqlite)
    on_sqlite.plugins.append("pager")

    assert "pager: installed 0.1.0" in on_sqlite.command("migrate").stdout
    listed = next(line for line in on_sqlite.command("plugins", "list").stdout.splitlines() if "pager" in line)
    assert listed.split() == ["pager", "0.1.0", "installed", "listed", "Pager"]
    assert on_sqlite.command("tenants", "create", "clinic", "--name", "Clinic").returncode == 0
    assert on_sqlite.command("plugins", "enable", "pager", "--tenant", "clinic").returncode == 0
    assert on_sqlite.python(SEND).splitlines()[-2:] == ["['sender', 'token']", "SENT {}"]

    own = (sys.executable, "-W", "error", "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert "1 passed" in run(*own, "pager-plugin", deployment=on_sqlite)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Pager", "lower-case"),
        ("p", "2-31"),
        ("sms-two", "lower-case"),
        ("client", "a word of the core"),
        ("email", "offered here already"),
    ],
)
def test_a_bad_name_is_refused_with_the_reason(on_sqlite: Deployment, name: str, reason: str) -> None:
    done = on_sqlite.command("plugins", "new", name)
    assert done.returncode == 2
    assert repr(name) in done.stderr
    assert reason in done.stderr
    assert list(on_sqlite.folder.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(on_sqlite: Deployment) -> None:
    (on_sqlite.folder / "pager-plugin").mkdir()
    done = on_sqlite.command("plugins", "new", "pager")
    assert (done.returncode, done.stderr) == (1, "citaplanner: pager-plugin exists already: nothing was written\n")
    assert list((on_sqlite.folder / "pager-plugin").iterdir()) == []
