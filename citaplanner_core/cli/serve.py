"""`citaplanner worker`, `citaplanner run`, `citaplanner demo`."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

import click

from citaplanner_core.cli.common import Failure, full_app, in_app
from citaplanner_core.cli.data import make_demo
from citaplanner_core.cli.supervisor import Supervisor, free_port, is_free
from citaplanner_core.config import Config, load_config, secret_keys
from citaplanner_core.database import close_database, utcnow
from citaplanner_core.hooks import dispatch, lifecycle
from citaplanner_core.hooks.migrations import require_ready
from citaplanner_core.hooks.registry import discover, registry
from citaplanner_core.hooks.types import Process
from citaplanner_core.worker import make_worker

LOCK_FILE = "run.lock"
COMMAND = (sys.executable, "-m", "citaplanner_core")


@click.command()
@click.option("--queues", default="", metavar="A,B", help="With Celery: serve only these queues.")
@in_app()
def worker(queues: str) -> int:
    """Send notifications and do the plugins' work, until stopped."""
    made = make_worker(full_app(), queues=[name.strip() for name in queues.split(",") if name.strip()])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: made.stop())
    return made.run_forever()


@click.command()
@click.option("--demo", is_flag=True, help="Migrate, seed a demo business, start stand-ins for the providers.")
@click.option("--without-worker", is_flag=True, hidden=True)
def run(demo: bool, without_worker: bool) -> int:
    """Start web and worker together, until Ctrl-C."""
    if demo:
        _demo_environment()
    os.environ["PORT"] = str(_port(load_config()))
    config = load_config()
    web = f"http://{config.host}:{config.port}"
    supervisor = Supervisor({})
    with _only_one(config, web), supervisor.running():
        with full_app().app_context():
            made = _prepare_demo(config, supervisor) if demo else {}
            require_ready()
            supervisor.start("web", _web_argv(config), f"{web}/healthz")
            addresses: dict[str, str] = {"web": web, **made.get("addresses", {})}
            if demo:
                dispatch.collect("demo_seed", tenant_id=made["tenant_id"], addresses=addresses)
                _show_troubles()
            close_database()
        if not without_worker:
            supervisor.start("worker", (*COMMAND, "worker"))
        if not supervisor.stopping.is_set():
            _announce(config, addresses, made)
        supervisor.watch()
    return 0


def _demo_environment() -> None:
    if "CITAPLANNER_PLUGINS" not in os.environ:
        os.environ["CITAPLANNER_PLUGINS"] = ",".join(name for name, found in discover().items() if not found.problem)
    os.environ["CITAPLANNER_SECRET_KEY"] = ",".join(secret_keys(load_config())[0])
    hosts = {*os.environ.get("CITAPLANNER_ALLOWED_PRIVATE_HOSTS", "").split(","), "127.0.0.1", "localhost"}
    os.environ["CITAPLANNER_ALLOWED_PRIVATE_HOSTS"] = ",".join(sorted(filter(None, hosts)))


def _port(config: Config) -> int:
    if "PORT" not in os.environ:
        return free_port(config.host, config.port)
    if config.port and not is_free(config.host, config.port):
        raise Failure(
            f"PORT {config.port} is taken on {config.host}: choose another, for example PORT={config.port + 1}"
        )
    return config.port or free_port(config.host, 0)


@contextlib.contextmanager
def _only_one(config: Config, web: str) -> Iterator[None]:
    """Hold the instance folder's lock: two runs over one folder would fight for the same stand-ins."""
    config.instance_path.mkdir(parents=True, exist_ok=True)
    with (config.instance_path / LOCK_FILE).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            where = handle.read().strip() or "somewhere"
            raise Failure(f"it runs already at {where}: use that one, or stop it with Ctrl-C first") from None
        _write(handle, web)
        try:
            yield
        finally:
            _write(handle, "")


def _write(handle: TextIO, text: str) -> None:
    handle.seek(0)
    handle.truncate()
    handle.write(text)
    handle.flush()


def _prepare_demo(config: Config, supervisor: Supervisor) -> dict[str, Any]:
    """Migrate, seed, start the plugins' stand-ins; return what `make_demo` made, and the stand-ins' addresses."""
    lifecycle.migrate_all(list(registry().manifests))
    made = make_demo()
    addresses = {}
    for _, process in dispatch.collect_items("development_processes", Process):
        port = free_port("127.0.0.1", process.default_port if config.port else 0)
        fill = {"port": str(port), "instance": str(config.instance_path.resolve())}
        argv = tuple(part.format(**fill) for part in process.argv)
        supervisor.start(process.name, argv, process.ready_url.format(**fill))
        addresses[process.name] = f"http://127.0.0.1:{port}"
    return {**made, "addresses": addresses}


def _web_argv(config: Config) -> tuple[str, ...]:
    bind = f"[{config.host}]:{config.port}" if ":" in config.host else f"{config.host}:{config.port}"
    options = ("--worker-class", "gthread", "--workers", "1", "--threads", str(config.worker_threads))
    return (
        *(sys.executable, "-m", "gunicorn", "--bind", bind, *options),
        *("--log-level", "warning", "citaplanner_core.wsgi:app"),
    )


def _show_troubles() -> None:
    for (plugin, hook), trouble in registry().troubles.items():
        click.echo(f"plugin {plugin}: {hook} failed: {trouble.error}", err=True)


def _announce(config: Config, addresses: Mapping[str, str], made: Mapping[str, Any]) -> None:
    if made:
        lines = [
            "",
            f"Web      {addresses['web']}   (API: /api/v1/docs, health: /readyz)",
            *(f"{name.capitalize():8} {url}" for name, url in addresses.items() if name != "web"),
            f"Booking  {addresses['web']}/b/demo",
            f"Login    {made['email']} / {made['password']}",
            f"Token    {made['token']}",
            "",
            "Try: book a visit for Ana, then answer as her on the sandbox's page (channel API, phone 5215512345678):",
            f"  curl -s -X POST {addresses['web']}/api/v1/appointments -H 'Authorization: Bearer {made['token']}' \\",
            "    -H 'Content-Type: application/json' -d '"
            '{"client_id": 1, "service_id": 1, "professional_id": 1, "branch_id": 1, "start": "'
            f"{_soon()}\"}}'",
            "Ctrl-C ends everything; the data stays in the instance folder.",
        ]
        click.echo("\n".join(lines))
    click.echo("READY " + " ".join(f"{name}={url}" for name, url in addresses.items()))
    sys.stdout.flush()


def _soon() -> str:
    start = (utcnow() + timedelta(days=2)).replace(hour=17, minute=0, second=0, microsecond=0)
    return start.isoformat().replace("+00:00", "Z")


@click.command()
@click.option("--story", is_flag=True, required=True, help="Play the whole loop without a person, step by step.")
@click.option("--without-worker", is_flag=True, hidden=True)
def demo(story: bool, without_worker: bool) -> int:
    """Play the story on processes and a database of its own, and say what was seen."""
    with tempfile.TemporaryDirectory(prefix="citaplanner-story-") as folder:
        _throw_away(folder)
        _demo_environment()
        with full_app().app_context():
            stories = dispatch.collect("demo_story")
            close_database()
        if not stories:
            raise Failure("no plugin in CITAPLANNER_PLUGINS has a story to play")
        with _running_demo(without_worker) as (addresses, token):
            scene = {"addresses": addresses, "token": token, "echo": click.echo}
            return max(int(play(scene)) for _, play in stories)


def _throw_away(folder: str) -> None:
    """Settle everything that could reach the operator's own deployment, or a port that is taken."""
    os.environ.update(
        CITAPLANNER_INSTANCE_PATH=folder,
        CITAPLANNER_DATABASE_URL=f"sqlite:///{Path(folder) / 'story.db'}",
        CITAPLANNER_PUBLIC_URL="",
        CITAPLANNER_DELIVERY="live",
        CITAPLANNER_LOG_LEVEL=os.environ.get("CITAPLANNER_LOG_LEVEL", "ERROR"),
        HOST="127.0.0.1",
        PORT="0",
    )


@contextlib.contextmanager
def _running_demo(without_worker: bool) -> Iterator[tuple[dict[str, str], str]]:
    """Run a whole demo; yield the addresses of its READY line, and the token it printed."""
    extra = ("--without-worker",) if without_worker else ()
    process = subprocess.Popen(
        (*COMMAND, "run", "--demo", *extra), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    output, token = process.stdout, ""
    assert output is not None
    try:
        for line in output:
            if line.startswith("Token "):
                token = line.split()[1]
            if line.startswith("READY "):
                yield dict(part.split("=", 1) for part in line.split()[1:]), token
                break
        else:
            raise Failure("the demo did not start; what it said stands above")
    finally:
        process.terminate()
        process.wait()
        output.close()


COMMANDS: tuple[Any, ...] = (run, worker, demo)
