"""`citaplanner plugins new` makes a plugin that works at once, or says why not."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from citaplanner_core.cli.common import Failure
from citaplanner_core.cli.plugins import plugins
from tests.core.hooks.toy import Deployment

LIVE = """
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.service import send_notification
from citaplanner_core.testing.worker import run_due
lifecycle.migrate_all(["pager"])
tenant = factories.make_tenant()
lifecycle.enable("pager", tenant)
with work(tenant) as session:
    client = factories.make_client(session)
    sent = send_notification(type="PAYMENT_REMINDER", recipient_id=client.id, channel="pager", message="Hola")
run_due(app)
with work(tenant, write=False) as session:
    print(session.get_one(Notification, sent.notification_id).status, registry().troubles)
print([(plugin.state, plugin.listed, plugin.title) for plugin in lifecycle.statuses() if plugin.name == "pager"])
print([setting.key for setting in registry().settings["pager"]])
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

    printed = on_sqlite.python(LIVE).splitlines()[-3:]
    assert printed == ["SENT {}", "[('installed', True, 'Pager')]", "['sender', 'token']"]
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
def test_a_bad_name_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(plugins, ["new", name])
    assert done.exit_code == 2
    assert repr(name) in done.stderr
    assert reason in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pager-plugin").mkdir()
    with pytest.raises(Failure, match="pager-plugin exists already: nothing was written"):
        CliRunner().invoke(plugins, ["new", "pager"], catch_exceptions=False)
    assert list(Path("pager-plugin").iterdir()) == []
