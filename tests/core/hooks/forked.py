"""Processes of a deployment, forked from one that has imported the core: fresh, without two seconds of imports each.

What is tried is the same as `python -m MODULE ARGUMENTS`; that this itself works is for tests/e2e.
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
TIMEOUT = 120
PRELOADED = (
    "flask.cli",
    "flask_migrate.cli",
    *(f"citaplanner_core.cli.{name}" for name in ("data", "doctor", "notifications", "plugins", "serve")),
    *(f"citaplanner_core.web.{name}" for name in ("api", "booking_page", "client_pages", "metrics", "pages")),
    "citaplanner_core.testing.factories",
)


@functools.cache
def _server() -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.core.hooks.forked"]
    server = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server


def run_module(
    module: str, *arguments: str, environment: dict[str, str], folder: Path, code: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a module, or `code`, as a program of its own, and return how it ended and what it printed.

    Raises `subprocess.TimeoutExpired` after two minutes.
    """
    argv = [module, *arguments]
    with tempfile.TemporaryDirectory() as outputs:
        out, err = Path(outputs) / "out", Path(outputs) / "err"
        asked = {"argv": argv, "code": code, "environment": environment, "folder": str(folder)}
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps({**asked, "outputs": [str(out), str(err)]}) + "\n")
        server.stdin.flush()
        late = threading.Timer(TIMEOUT, server.kill)
        late.start()
        answer = server.stdout.readline()
        late.cancel()
        if not answer:
            _server.cache_clear()
            raise subprocess.TimeoutExpired(argv, TIMEOUT)
        return subprocess.CompletedProcess(argv, int(answer), out.read_text(), err.read_text())


def _serve() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(_ended(json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _ended(asked: dict[str, Any]) -> int:
    """Become the program that was asked for, and return its exit code, as the interpreter itself finds it."""
    try:
        _become(asked["argv"], asked["code"], asked["environment"], asked["folder"], asked["outputs"])
    except SystemExit as left:
        if not isinstance(left.code, str):
            return left.code or 0
        print(left.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _become(argv: list[str], code: str, environment: dict[str, str], folder: str, outputs: list[str]) -> None:
    for target, path in enumerate([os.devnull, *outputs]):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, target)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = ["", *environment["PYTHONPATH"].split(os.pathsep)]
    warnings.simplefilter("error", ResourceWarning)
    if code:
        exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = argv
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
