"""Make `.venv/` from the pinned requirements, and install the project into it.

`make install`, `make run` and `make test` start with this. It needs nothing but a Python; when the one that
runs it is too old for the project it looks for a newer one (`PYTHON=` names another). A stamp in the
environment tells that nothing changed, so that the next start is quick and asks no network. An environment
without a stamp was interrupted, one whose Python is gone cannot run: both are made again.
Whatever goes wrong is one line with the cure, and exit 1.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
NEEDED = (3, 11)
SEARCHED = ("python3.13", "python3.12", "python3.11", "python3.14")
DESCRIPTION = ("setup.cfg", "pyproject.toml", "requirements/run.txt", "requirements/dev.txt")
NOT_OURS = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV")
PROBE = """\
import sys
try:
    import ensurepip, venv
except ImportError:
    complete = 0
else:
    complete = 1
print(sys.version_info[0], sys.version_info[1], complete, getattr(sys, "_base_executable", sys.executable))
"""
UNREACHABLE = re.compile(
    r"from versions: none|NewConnectionError|NameResolution|Failed to establish|timed? ?out|ProxyError"
    r"|SSLError|Connection (refused|reset|broken)|Network is unreachable|Temporary failure"
)


class SetUpFailed(Exception):
    """The set-up cannot go on; the text is the line the user reads."""


class Python(NamedTuple):
    """An interpreter that answered: its version, whether it can make environments, its own file."""

    version: tuple[int, int]
    complete: bool
    path: str

    def __str__(self) -> str:
        return "{}.{}".format(*self.version)


def probe(command: str) -> Python | None:
    """Ask an interpreter who it is; None if it does not run."""
    try:
        answer = subprocess.run([command, "-I", "-c", PROBE], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    fields = re.fullmatch(r"(\d+) (\d+) ([01]) (.+)\n", answer.stdout)
    if answer.returncode or not fields:
        return None
    return Python((int(fields[1]), int(fields[2])), fields[3] == "1", fields[4])


def choose(asked: str) -> Python:
    """The interpreter to build with: the one asked for, else the running one, else a newer one on the path.

    Raises `SetUpFailed` when there is none, naming what was found and what is needed.
    """
    candidates = [asked] if asked else [sys.executable, *SEARCHED]
    found = [python for python in map(probe, filter(None, map(shutil.which, candidates))) if python]
    recent = [python for python in found if python.version >= NEEDED]
    for python in recent:
        if python.complete:
            return python
    if recent:
        raise SetUpFailed(
            f"Python {recent[0]} lacks its venv module: install it"
            f" (Debian, Ubuntu: apt install python{recent[0]}-venv) and run the same command again."
        )
    if asked and not found:
        raise SetUpFailed(f"PYTHON={asked} does not run: name a Python 3.11 or newer.")
    raise SetUpFailed(
        f"Python 3.11 or newer is needed, this is {found[0]}: install one"
        " (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13),"
        " or name it, as in make install PYTHON=python3.13"
    )


class Environment:
    """The virtual environment of this checkout in `folder`; `asked` names a Python, or is empty."""

    def __init__(self, folder: Path, asked: str) -> None:
        self.folder = folder
        self.asked = asked
        self.python = str(folder / "bin" / "python")
        self.stamp = folder / "set-up.json"
        self.log = folder / "set-up.log"

    def state(self) -> str:
        """`ready`, `behind` (sound, but what to install changed) or `broken` (missing, half made, moved)."""
        try:
            stamp = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return "broken"
        now = self._description()
        same_place = stamp.get("root") == now["root"] and stamp.get("folder") == now["folder"]
        if not same_place or now["python"] is None or stamp.get("python") != now["python"]:
            return "broken"
        if self.asked and str(choose(self.asked)) != now["python"]:
            return "broken"
        return "ready" if stamp == now else "behind"

    def build(self) -> None:
        """Bring the environment up to date, from nothing if it is broken. Raises `SetUpFailed`, `OSError`."""
        if self.state() == "broken":
            python = choose(self.asked)
            say(f"Making {shown(self.folder)} with Python {python}")
            if self.folder.is_symlink():
                self.folder.unlink()
            elif self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
            self._run(python.path, "-I", "-m", "venv", str(self.folder))
        self.stamp.unlink(missing_ok=True)
        say("Installing the pinned packages (only when they changed; about a minute)")
        self._pip("--only-binary", ":all:", "--requirement", str(ROOT / "requirements" / "dev.txt"))
        self._pip("--no-build-isolation", "--no-deps", "--editable", str(ROOT))
        self.stamp.write_text(json.dumps(self._description()))

    def _description(self) -> dict[str, str | None]:
        digest = hashlib.sha256()
        for name in DESCRIPTION:
            digest.update((ROOT / name).read_bytes())
        python = probe(self.python)
        return {
            "root": str(ROOT),
            "folder": str(self.folder),
            "python": str(python) if python else None,
            "description": digest.hexdigest(),
        }

    def _pip(self, *arguments: str) -> None:
        quick_to_give_up = ("--retries", "2", "--no-input", "--disable-pip-version-check")
        self._run(self.python, "-I", "-m", "pip", "install", *quick_to_give_up, *arguments)

    def _run(self, *command: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        with open(self.log, "w+") as log:
            step = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=ROOT)
            log.seek(0)
            if step.returncode:
                raise SetUpFailed(f"{meaning(log.read())} Details: {shown(self.log)}")


def meaning(output: str) -> str:
    """What the output of a failed step comes down to, in a sentence with the cure."""
    if "No space left" in output:
        return "The disk is full: make room and run the same command again."
    if UNREACHABLE.search(output):
        return (
            "The packages could not be fetched: the first set-up needs the network and a package index."
            " Connect and run the same command again."
        )
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        return (
            f"There is no ready-made {missing.group(1)} for this Python on this system:"
            " try another Python, as in make install PYTHON=python3.13."
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return f"The set-up failed with: {(errors or lines or ['no output'])[-1]}."


def shown(path: Path) -> str:
    """The path as one writes it in the project's folder."""
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


def say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one set-up of this checkout run, the others wait for it."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another set-up of this folder to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Set up CitaPlanner's environment.")
    parser.add_argument("--into", default=str(ROOT / ".venv"), help="folder of the environment")
    folder = Path(os.path.abspath(parser.parse_args(arguments).into))
    environment = Environment(folder, os.environ.get("PYTHON", ""))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    try:
        if environment.state() != "ready":
            with one_at_a_time():
                if environment.state() != "ready":
                    environment.build()
                    say(f"Done in {time.monotonic() - started:.0f} s")
    except SetUpFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"Cannot write {error.filename or ROOT}: {error.strerror}."
            " The project's folder must be one you may write to.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command starts again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
