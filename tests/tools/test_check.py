"""`make test` says what it cannot do before it does anything."""

import os
import subprocess
import sys

from tests import services

NOWHERE = "postgresql+psycopg://postgres@127.0.0.1:9/postgres"


def check(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools.check", *arguments]
    return subprocess.run(command, env={**os.environ, **changes}, capture_output=True, text=True, timeout=60)


def test_a_required_service_that_is_missing_is_a_failure() -> None:
    done = check("test", CITAPLANNER_TEST_REQUIRE="postgresql", CITAPLANNER_TEST_POSTGRESQL_URL=NOWHERE)
    assert done.returncode == 1
    assert done.stdout.startswith("postgresql is required: no PostgreSQL answers")
    assert "CITAPLANNER_TEST_POSTGRESQL_URL=" in done.stdout
    assert done.stdout.count("\n") == 1


def test_an_unknown_service_is_wrong_use_and_names_the_known_ones() -> None:
    done = check("test", CITAPLANNER_TEST_REQUIRE="postgresql,mysql")
    assert done.returncode == 2
    assert done.stdout == "CITAPLANNER_TEST_REQUIRE names mysql; known are postgresql, redis, rabbitmq, chromium\n"


def test_what_was_left_out_is_said_at_the_end() -> None:
    changes = {"CITAPLANNER_TEST_REQUIRE": "", "CITAPLANNER_TEST_POSTGRESQL_URL": NOWHERE}
    done = check("test", "--collect-only", "-q", "tests/tools/test_check.py", **changes)
    assert done.returncode == 0, done.stdout
    assert any(line.startswith("Left out: everything on PostgreSQL") for line in done.stdout.splitlines())


def test_every_service_that_may_be_required_has_a_probe() -> None:
    assert set(services.PROBES) == {"postgresql", "redis", "rabbitmq", "chromium"}
    for probe in services.PROBES.values():
        assert bool(probe().address) != bool(probe().trouble)
