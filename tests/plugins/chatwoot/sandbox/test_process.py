"""The command: its one line, its end, its state file."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugins.chatwoot.sandbox import __main__ as command
from plugins.chatwoot.sandbox.store.seed import Seed
from plugins.chatwoot.sandbox.store.state import State

from .conftest import API, WHATSAPP, Chatwoot, Start


@contextmanager
def process(*arguments: str, end: signal.Signals = signal.SIGTERM) -> Iterator[tuple[Chatwoot, list[str]]]:
    """The stand-in in a process of its own, and what it said on stderr once it ended with exit code 0."""
    errors: list[str] = []
    line = [sys.executable, "-m", "plugins.chatwoot.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            said = child.stdout.readline()
            assert said.startswith("SANDBOX http://127.0.0.1:"), child.stderr.read()
            chatwoot = Chatwoot(said.removeprefix("SANDBOX ").strip())
            yield chatwoot, errors
            chatwoot.session.close()
            child.send_signal(end)
            assert child.wait(timeout=10) == 0
            assert child.stdout.read() == ""
            errors.append(child.stderr.read())
        finally:
            child.kill()


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "deep" / "state.json")]
    with process(*state) as (chatwoot, _):
        came = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", name="Eva", text="Hola")
        hook = chatwoot.ok("POST", "/webhooks", {"url": "http://127.0.0.1:1/x"})["payload"]["webhook"]
        before = chatwoot.control("GET", "messages")
    with process(*state, "--administrator-token", "another", end=signal.SIGINT) as (chatwoot, errors):
        assert chatwoot.control("GET", "messages") == before
        assert chatwoot.call("GET", "/webhooks").status_code == 401
        kept = chatwoot.ok("GET", "/webhooks", token="another")
        assert kept == {"payload": {"webhooks": [hook]}}
        again = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="¿Hola?")
        assert again["conversation_id"] == came["conversation_id"]
        assert again["message_id"] > came["message_id"]
    assert errors == [""]


def test_a_broken_state_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"format": 1, "accounts": [{"id"')
    with process("--state", str(path)) as (chatwoot, errors):
        assert chatwoot.control("GET", "messages") == []
    [said] = errors
    assert said.count("\n") == 1
    assert "could not be read" in said
    [aside] = tmp_path.glob("state.json.broken-*")
    assert aside.read_text().startswith('{"format": 1, "accounts"')
    assert json.loads(path.read_text())["format"] == 1


def test_a_taken_port_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command.main(["--port", str(port)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"Cannot listen on 127.0.0.1:{port}: Address already in use.\n"


def test_a_state_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")

    assert command.main(["--port", "0", "--state", str(tmp_path / "file" / "state.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_changes_are_written_a_moment_later_all_or_nothing(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "state.json"
    chatwoot = start(state_file=path)
    for number in range(20):
        chatwoot.incoming(inbox_id=API, source_id=f"b-{number}", text="Hola")

    written = State(lambda state: None, path=path)
    pause = threading.Event()
    for _ in range(200):
        assert written.load() is None
        if len(written.messages) == 20:
            break
        pause.wait(0.02)
    assert len(written.messages) == 20
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_the_seed_can_be_given() -> None:
    with process("--account-name", "Clínica Uno", "--agent-token", "t-1", "--report-delay", "0") as (chatwoot, _):
        headers = {"Api-Access-Token": "t-1"}
        profile = chatwoot.raw("GET", "/api/v1/profile", headers=headers).json()
        assert (profile["accounts"][0]["name"], profile["role"]) == ("Clínica Uno", "agent")
        talk = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", text="Hola")["conversation_id"]
        chatwoot.say(talk)
        chatwoot.settle()
        assert chatwoot.messages(talk)[-1]["status"] == "read"
    assert Seed().account_name == "Estética Demo"
