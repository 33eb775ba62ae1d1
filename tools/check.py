"""What `make test` and `make lint` run.

python -m tools.check test [pytest's arguments]
python -m tools.check lint
"""

import os
import subprocess
import sys
from pathlib import Path

from tests import services

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LINTERS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",), ("lint-imports", "--no-cache"))
USED_BY_TESTS = {
    "postgresql": "everything on PostgreSQL (SQLite was tested)",
    "redis": "the engine Celery on Redis",
    "rabbitmq": "the engine Celery on RabbitMQ",
    "chromium": "the pages in a real browser",
}
"""Services that tests use where they are found, with what is left out where they are not."""


def test(arguments: list[str]) -> int:
    """Run the tests on what there is and tell what was left out; not 0 if they fail or a service is missing."""
    try:
        required = services.required()
    except services.ServiceMissingError as error:
        return _say(str(error), status=2)
    troubles = {name: services.PROBES[name]().trouble for name in sorted(required | USED_BY_TESTS.keys())}
    missing = [f"{name} is required: {troubles[name]}" for name in sorted(required) if troubles[name]]
    if missing:
        return _say(*missing, status=1)
    workers = max(4, os.cpu_count() or 1)  # tests that wait for a process leave room for others
    status = _run("pytest", f"--numprocesses={workers}", "--dist=worksteal", *arguments)
    left_out = [f"Left out: {what}: {troubles[name]}" for name, what in USED_BY_TESTS.items() if troubles[name]]
    return _say(*left_out, status=status)


def lint(arguments: list[str]) -> int:
    """Run every linter, also after one has failed; 1 if any failed."""
    failed = []
    for command in LINTERS:
        print("==", *command, flush=True)
        if _run(*command):
            failed.append(" ".join(command))
    return _say("Failed: " + ", ".join(failed), status=1) if failed else 0


def _run(name: str, *arguments: str) -> int:
    # Tests start a hundred processes: each would compile the project anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([BIN / name, *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL).returncode


def _say(*lines: str, status: int) -> int:
    print(*lines, sep="\n", end="\n" if lines else "", flush=True)
    return status


COMMANDS = {"test": test, "lint": lint}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        return _say(f"usage: python -m tools.check {'|'.join(COMMANDS)}", status=2)
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
