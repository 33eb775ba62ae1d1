"""The command line as an operator meets it: one plain line for each trouble, and what it prints is true."""

import fcntl
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.core.hooks.toy import Deployment

pytestmark = pytest.mark.slow


@pytest.fixture
def deployment(tmp_path: Path, migrated: Callable[[str], str]) -> Deployment:
    """A migrated deployment with our plugins."""
    shutil.copy(make_url(migrated("sqlite")).database or "", tmp_path / "test.db")
    return Deployment(tmp_path, f"sqlite:///{tmp_path / 'test.db'}", plugins=["chatwoot", "email"])


def test_a_tenant_from_nothing_to_a_message(deployment: Deployment) -> None:
    run = deployment.command
    assert run("tenants", "create", "sol", "--name", "Clínica Sol", "--zone", "Europe/Madrid").returncode == 0
    assert "already" in run("tenants", "create", "sol", "--name", "x").stderr
    assert "no time zone" in run("tenants", "create", "luna", "--name", "x", "--zone", "Mexico").stderr
    token = json.loads(run("tokens", "create", "--tenant", "sol", "--json").stdout)["token"]
    assert token.startswith("cp_")
    made = run(
        *("users", "create", "--tenant", "sol", "--email", "Ana@Example.com", "--name", "Ana"),
        CITAPLANNER_NEW_PASSWORD="a-long-password",
    )
    assert made.stdout == "login ana@example.com made\n", made.stderr
    short = run(
        *("users", "create", "--tenant", "sol", "--email", "b@example.com", "--name", "B"),
        CITAPLANNER_NEW_PASSWORD="short",
    )
    assert "at least 10" in short.stderr
    client = deployment.python(
        "from citaplanner_core.booking.clients import create_client\n"
        "with work(1) as session:\n    print(create_client(session, first_name='Ana').id)"
    )
    refused = run("notifications", "send", "--tenant", "sol", "--type", "PROMO", "--recipient", client)
    assert "known are" in refused.stderr
    off = run(
        *("notifications", "send", "--tenant", "sol", "--type", "PAYMENT_REMINDER", "--recipient", client),
        *("--channel", "EMAIL", "--message", "Hola", "--json"),
    )
    assert json.loads(off.stdout)["error"] == "channel_off"
    assert off.returncode == 1
    told = run("notifications", "why", "1", "--language", "en")
    assert "Payment reminder: not sent" in told.stdout, told.stderr
    assert "is not on for this business" in told.stdout
    assert "> Switch it on" in told.stdout
    outcome = json.loads(run("notifications", "why", "1", "--json").stdout)[-1]
    assert (outcome["status"], outcome["reason"]) == ("SKIPPED", "channel_off")
    assert "no hay ninguno activo" in outcome["why"]
    assert "no notification 99" in run("notifications", "why", "99").stderr
    assert "no appointment 99 of sol" in run("notifications", "why", "--appointment", "99", "--tenant", "sol").stderr
    assert run("notifications", "why").returncode == 2
    assert run("plugins", "enable", "email", "--tenant", "sol").returncode == 0
    sent = run(
        *("notifications", "send", "--tenant", "sol", "--type", "PAYMENT_REMINDER", "--recipient", client),
        *("--channel", "email", "--message", "Hola", "--json"),
    )
    assert json.loads(sent.stdout)["status"] == "PENDING"
    assert run("notifications", "retry", "--tenant", "sol", "1").returncode == 0
    assert "only FAILED" in run("notifications", "retry", "--tenant", "sol", "2").stderr


def test_tokens_are_listed_and_revoked_and_never_shown_again(deployment: Deployment) -> None:
    run = deployment.command
    run("tenants", "create", "sol", "--name", "Sol")
    token = run("tokens", "create", "--tenant", "sol", "--name", "kiosk", "--scope", "book", "--scope", "read").stdout
    assert run("tokens", "create", "--tenant", "sol", "--scope", "all").returncode == 2
    listed = run("tokens", "list", "--tenant", "sol", "--json").stdout
    (row,) = json.loads(listed)["tokens"]
    assert (row["name"], row["scopes"], row["last_used_at"], row["revoked_at"]) == ("kiosk", "read book", None, None)
    assert token.strip() not in listed
    assert run("tokens", "revoke", "--tenant", "sol", str(row["id"])).returncode == 0
    assert "revoked_at: 20" in run("tokens", "list", "--tenant", "sol").stdout
    assert "tokens list" in run("tokens", "revoke", "--tenant", "sol", "99").stderr


def test_before_messages_leave_by_a_new_channel_or_rule_the_command_asks(deployment: Deployment) -> None:
    run = deployment.command
    run("tenants", "create", "sol", "--name", "Sol")
    assert run("plugins", "enable", "email", "--tenant", "sol").returncode == 0  # nothing would leave
    run("plugins", "disable", "email", "--tenant", "sol")
    deployment.python(BOOK)
    counts = json.loads(run("notifications", "upcoming", "--tenant", "sol", "--json").stdout)
    assert counts == {"APPOINTMENT_REMINDER": 2, "APPOINTMENT_CONFIRMATION": 1}
    refused = run("plugins", "enable", "email", "--tenant", "sol")
    assert refused.returncode == 2
    assert "3 messages will leave in the next 48 hours: 2 APPOINTMENT_REMINDER, 1" in refused.stderr
    assert "--yes" in refused.stderr
    assert run("plugins", "enable", "email", "--tenant", "sol", "--yes").returncode == 0
    assert run("plugins", "enable", "email", "--tenant", "sol").returncode == 0  # on already
    assert run("notifications", "rules", "--tenant", "sol", "--off", "reminder:60").returncode == 0
    deployment.python(
        "from citaplanner_core.testing.worker import run_due\nimport flask\n"
        "run_due(flask.current_app._get_current_object())"
    )
    refused = run("notifications", "rules", "--tenant", "sol", "--on", "reminder:60")
    assert (refused.returncode, "1 messages will leave" in refused.stderr) == (2, True)
    shown = json.loads(run("notifications", "rules", "--tenant", "sol", "--json").stdout)
    assert {rule["name"]: rule["active"] for rule in shown}["reminder:60"] is False
    on = run("notifications", "rules", "--tenant", "sol", "--on", "reminder:60", "--yes")
    assert "on  reminder:60" in on.stdout
    assert "known: confirmation" in run("notifications", "rules", "--tenant", "sol", "--off", "nope").stderr


BOOK = """
from datetime import timedelta
from sqlalchemy import select
from citaplanner_core.booking.appointments import book
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import utcnow
with work(1) as session:
    make = factories
    book(session, client_id=make.make_client(session).id, service_id=make.make_service(session).id,
         professional_id=make.make_professional(session).id, branch_id=session.scalars(select(Branch.id)).one(),
         start=utcnow() + timedelta(hours=40), booked_by="staff")
"""


def test_settings_are_checked_masked_and_explained(deployment: Deployment) -> None:
    run = deployment.command
    run("tenants", "create", "sol", "--name", "Sol")
    wrong = run("plugins", "settings", "email", "--tenant", "sol", "--set", "port=many", "--set", "nope=1")
    assert wrong.returncode == 1
    assert "port: must be a whole number" in wrong.stderr
    assert "nope: unknown setting; known are" in wrong.stderr
    shown = run("plugins", "settings", "email", "--tenant", "sol", "--set", "password=s3cret-word", SMTP_HOST="smtp.x")
    assert "s3cret-word" not in shown.stdout
    assert "***" in shown.stdout
    assert "SMTP_HOST" in shown.stdout
    missing = run("plugins", "check", "email", "--tenant", "sol")
    assert (missing.returncode, "host: is required" in missing.stdout) == (1, True)


def test_a_wrong_tenant_names_the_known_ones(deployment: Deployment) -> None:
    deployment.command("tenants", "create", "sol", "--name", "Sol")
    done = deployment.command("tokens", "create", "--tenant", "luna")
    assert (done.returncode, done.stderr) == (1, "citaplanner: there is no tenant 'luna'; known: sol\n")


def test_doctor_says_what_is_wrong_and_the_cure(deployment: Deployment) -> None:
    done = deployment.command("doctor")
    assert done.returncode == 1
    assert "WRONG  worker: no worker has been seen lately" in done.stdout
    assert "> start `citaplanner worker`" in done.stdout
    broken = deployment.command("doctor", CITAPLANNER_PLUGINS="nothing")
    assert (broken.returncode, "'nothing'" in broken.stdout, "Traceback" in broken.stderr) == (1, True, False)
    deployment.command("tenants", "create", "sol", "--name", "Sol")
    deployment.command("plugins", "settings", "email", "--tenant", "sol", "--set", "password=s3cret-word")
    deployment.python("from citaplanner_core.jobs.heartbeat import beat\nbeat('w1')")
    well = deployment.command("doctor", "--json")
    states = {one["name"]: one["state"] for one in json.loads(well.stdout)["findings"]}
    assert (well.returncode, set(states.values())) == (0, {"ok", "warning"}), well.stdout
    assert states["public address"] == "warning"
    assert {"database", "schema of core", "schema of chatwoot", "clock", "stored secrets"} <= states.keys()
    assert {"waiting notifications", "waiting jobs", "chatwoot: webhooks", "private hosts", "delivery"} <= states.keys()
    deployment.python(
        "from datetime import timedelta\n"
        "from citaplanner_core.database import utcnow\nfrom citaplanner_core.jobs.queue import enqueue\n"
        "with work(1) as session:\n    enqueue(session, 'x', {}, due=utcnow() - timedelta(hours=2))"
    )
    ill = deployment.command(
        *("doctor", "--json"),
        CITAPLANNER_SECRET_KEY="another-key-than-before-000",
        CITAPLANNER_DELIVERY="off",
        CITAPLANNER_ALLOWED_PRIVATE_HOSTS="10.0.0.0/8",
        CITAPLANNER_PUBLIC_URL="https://citas.example",
    )
    found = {one["name"]: one for one in json.loads(ill.stdout)["findings"]}
    assert ill.returncode == 1
    assert found["stored secrets"]["state"] == "problem"
    assert "120 minutes" in found["waiting jobs"]["detail"]
    changed = [found[name]["state"] for name in ("delivery", "private hosts", "public address")]
    assert changed == ["warning", "warning", "ok"]
    assert all(one["cure"] for one in found.values() if one["state"] == "problem")
    assert "s3cret-word" not in ill.stdout + well.stdout


def test_before_migrating_everything_names_the_command(tmp_path: Path) -> None:
    fresh = Deployment(tmp_path, f"sqlite:///{tmp_path / 'test.db'}")
    for arguments in (("worker",), ("tokens", "create", "--tenant", "x"), ("plugins", "list"), ("seed", "demo")):
        done = fresh.command(*arguments)
        assert done.returncode == 1
        assert "citaplanner migrate" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_demo_is_made_once_with_a_new_token_each_time(deployment: Deployment) -> None:
    first, second = (json.loads(deployment.command("seed", "demo", "--json").stdout) for _ in range(2))
    assert (first["tenant"], first["tenant_id"]) == (second["tenant"], second["tenant_id"]) == ("demo", 1)
    assert first["token"] != second["token"]


def test_a_taken_port_and_a_second_start_are_one_plain_line(deployment: Deployment) -> None:

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        taken = deployment.command("run", PORT=port)
        assert (taken.returncode, f"PORT {port} is taken" in taken.stderr) == (1, True)
    (deployment.folder / "instance").mkdir()
    with (deployment.folder / "instance" / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = deployment.command("run")
    assert (second.returncode, "runs already" in second.stderr) == (1, True)
