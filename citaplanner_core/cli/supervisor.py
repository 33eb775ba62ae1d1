"""Keeps a few processes running together: starts them, restarts those that end, ends all on a signal."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import click
import requests

from citaplanner_core.cli.common import Failure

START_SECONDS = 30
STOP_SECONDS = 15
FAST_DEATHS = 5


@dataclass(slots=True)
class Child:
    """One supervised process. `url` answers 200 once it is ready; None = ready at once."""

    name: str
    argv: tuple[str, ...]
    url: str | None = None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    fast_deaths: int = 0


@dataclass(slots=True)
class Supervisor:
    """Runs children until a signal or `stop()`. Children get their own sessions: only the supervisor sees Ctrl-C."""

    environment: Mapping[str, str]
    children: list[Child] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str, argv: Sequence[str], url: str | None = None) -> None:
        """Start a child and wait until it is ready; raise `Failure` when it ends or takes too long."""
        child = Child(name, tuple(argv), url)
        self.children.append(child)
        self._spawn(child)
        deadline = time.monotonic() + START_SECONDS
        while url and not self.stopping.is_set() and not _answers(url):
            if child.process is not None and child.process.poll() is not None:
                raise Failure(f"{name} ended with exit code {child.process.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise Failure(f"{name} was not ready within {START_SECONDS} s")
            self.stopping.wait(0.05)

    def _spawn(self, child: Child) -> None:
        child.started = time.monotonic()
        child.process = subprocess.Popen(
            child.argv, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def watch(self) -> None:
        """Restart children that end, until asked to stop; raise `Failure` when one keeps ending at once."""
        while not self.stopping.wait(0.2):
            for child in self.children:
                if child.process is None or child.process.poll() is None:
                    continue
                quick = time.monotonic() - child.started < 5
                child.fast_deaths = child.fast_deaths + 1 if quick else 0
                if child.fast_deaths >= FAST_DEATHS:
                    raise Failure(f"{child.name} keeps ending with exit code {child.process.returncode}")
                click.echo(f"{child.name} ended with exit code {child.process.returncode}: starting it again", err=True)
                self._spawn(child)

    def stop(self) -> None:
        """End all children, the last started first; kill those that do not end in time."""
        self.stopping.set()
        alive = [child.process for child in reversed(self.children) if child.process and child.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and in any case end all children at the end."""

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.stopping.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1, allow_redirects=False).status_code < 500
    except requests.RequestException:
        return False


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str, wanted: int) -> int:
    """Return the wanted port if it is free, else one of the next fifty, else any the system gives."""
    for port in range(wanted, min(wanted + 50, 65536)) if wanted else ():
        if is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
