"""The page for plugin authors shows what works: its files are installed and run, its tables compared with the code."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from citaplanner_core.cli.skeleton import skeleton, write
from citaplanner_core.hooks.manifest import Manifest
from citaplanner_core.hooks.types import (
    Ambiguous,
    AuthFailed,
    Channel,
    ChannelError,
    Message,
    Permanent,
    Recipient,
    Retry,
    Setting,
)
from tests.core.hooks.page import PAGE, names, rows, shown_files
from tests.core.hooks.toy import Deployment

NAME = "pager"


def finished() -> dict[str, str]:
    """The plugin as the page leaves it."""
    return {**skeleton(NAME), **dict(shown_files())}


def install(deployment: Deployment) -> Path:
    """Put the finished plugin where an installed distribution would be; return its folder."""
    site = deployment.folder / "site"
    write(site, finished())
    info = site / f"citaplanner_{NAME}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: citaplanner-{NAME}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[citaplanner.plugins]\n{NAME} = citaplanner_{NAME}.plugin:plugin\n")
    deployment.plugins.append(NAME)
    return site


def test_the_page_begins_with_what_the_command_makes() -> None:
    made, shown = skeleton(NAME), shown_files()
    first = {place: text for place, text in reversed(shown) if place in made}
    assert first == {place: text for place, text in made.items() if place in first}
    assert set(made) - set(first) == {f"citaplanner_{NAME}/__init__.py"}


def test_the_finished_plugin_comes_and_goes(deployment: Deployment) -> None:
    install(deployment)
    code = f"""
    lifecycle.migrate_all(["{NAME}"])
    print(migrations.differences("core"), migrations.differences("{NAME}"), registry().troubles)
    lifecycle.uninstall("{NAME}", drop_data=True)
    lifecycle.install("{NAME}")
    lifecycle.uninstall("{NAME}", drop_data=True)
    from sqlalchemy import inspect
    print([name for name in inspect(db.engine).get_table_names() if "{NAME}" in name])
    """
    assert deployment.python(code).splitlines() == ["[] [] {}", "[]"]


@pytest.mark.slow
def test_the_finished_plugins_own_test_passes(on_sqlite: Deployment) -> None:
    tests = install(on_sqlite) / "tests"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tests],
        env=on_sqlite.environment(),
        cwd=on_sqlite.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CITAPLANNER_ALLOWED_PRIVATE_HOSTS", "localhost")
    namespace: dict[str, Any] = {}
    exec(finished()[f"citaplanner_{NAME}/channel.py"], namespace)
    return namespace["PagerChannel"]()


MESSAGE = Message(
    tenant_id=1,
    branch_id=None,
    notification_id=7,
    attempt=1,
    key="1-7-pager",
    type="APPOINTMENT_CONFIRMATION",
    recipient=Recipient(1, "Ana Prueba", "Ana", None, ("+525512345678",), "es"),
    address="+525512345678",
    subject=None,
    body="Hola",
)


@pytest.mark.parametrize(
    ("status", "expected"), [(401, AuthFailed), (429, Retry), (422, Permanent), (503, Ambiguous), (302, Permanent)]
)
def test_the_shown_channel_raises_what_the_table_says(
    channel: Any, httpserver: HTTPServer, status: int, expected: type[ChannelError]
) -> None:
    httpserver.expect_request("/pages").respond_with_data(status=status)
    with pytest.raises(expected):
        channel.send(MESSAGE, {"url": httpserver.url_for("").rstrip("/"), "token": "secret"})


def test_the_shown_channel_knows_that_nothing_was_sent(channel: Any) -> None:
    settings = {"url": "http://localhost:1", "token": "secret"}
    with pytest.raises(Retry):
        channel.send(MESSAGE, settings)
    assert list(channel.check(settings)) == ["url"]


def test_the_shown_channel_sends(channel: Any, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/pages", headers={"Authorization": "Bearer secret"}).respond_with_json({"id": 7})
    assert channel.address_of(MESSAGE.recipient) == "+525512345678"
    sent = channel.send(MESSAGE, {"url": httpserver.url_for("").rstrip("/"), "token": "secret"})
    assert sent.message_id == "pager-7"
    [(request, _)] = httpserver.log
    assert request.get_json() == {"to": "+525512345678", "text": "Hola", "key": "1-7-pager"}


def _methods(protocol: type) -> set[str]:
    return {name for name, value in vars(protocol).items() if callable(value) and not name.startswith("_")}


@pytest.mark.parametrize(
    ("heading", "known"),
    [
        ("key", {field.name for field in fields(Manifest)} - {"folder"}),
        ("field", {field.name for field in fields(Setting)}),
        ("name", {*Channel.__annotations__, *_methods(Channel)}),
        ("raise", {kind.__name__ for kind in (*ChannelError.__subclasses__(), *Retry.__subclasses__())}),
    ],
)
def test_the_tables_are_complete(heading: str, known: set[str]) -> None:
    assert {names(row[0])[0] for row in rows(heading)} == known


def test_links_lead_somewhere() -> None:
    linked = [part.partition(")")[0] for part in PAGE.read_text(encoding="utf-8").split("](")[1:]]
    assert [name for name in linked if "://" not in name and not (PAGE.parent / name).exists()] == []
