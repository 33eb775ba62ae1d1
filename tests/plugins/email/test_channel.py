"""Mail over a real SMTP server process: what arrives, and what each refusal means."""

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from flask import Flask

from citaplanner_core.cli.supervisor import free_port
from citaplanner_core.hooks.types import Ambiguous, AuthFailed, Message, Permanent, Recipient, Retry
from plugins.email.catcher import Box
from plugins.email.channel import EmailChannel

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
SENDER = "Clínica Sol <citas@clinica.example>"


class Answers(Box):
    """A server whose answers to RCPT and DATA a test sets."""

    rcpt: str | None = None
    data: str | None = None

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data == "drop":
            server.transport.close()
            return "250 OK"
        return self.data or await super().handle_DATA(server, session, envelope)


class Server:
    """A running SMTP server and the settings that reach it."""

    def __init__(self, **options: Any) -> None:
        self.box = Answers()
        self.port = free_port("127.0.0.1", 0)
        self.controller = Controller(self.box, hostname="127.0.0.1", port=self.port, **options)
        self.controller.start()

    def settings(self, **more: Any) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "security": "none", "from": SENDER, **more}


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def make(**options: Any) -> Server:
        running.append(Server(**options))
        return running[-1]

    yield make
    for server in running:
        server.controller.stop()


def message(**more: Any) -> Message:
    recipient = Recipient(1, "Íñigo Peña", "Íñigo", "inigo@example.com", (), "es")
    values: dict[str, Any] = {
        "tenant_id": 1,
        "branch_id": None,
        "notification_id": 7,
        "attempt": 1,
        "key": "1-7-email",
        "type": "APPOINTMENT_CONFIRMATION",
        "recipient": recipient,
        "address": "inigo@example.com",
        "subject": "Tu cita en Clínica Sol: mañana",
        "body": "Hola, Íñigo:\n\n¿Nos acompañas?",
    }
    return Message(**values | more)


def test_a_mail_arrives_as_written(app: Flask, start: Callable[..., Server]) -> None:
    server = start()
    receipt = EmailChannel().send(message(), server.settings())
    mail = server.box.mails[0]
    assert mail["subject"] == "Tu cita en Clínica Sol: mañana"
    assert mail["text"].strip() == "Hola, Íñigo:\n\n¿Nos acompañas?"
    assert mail["to"] == "Íñigo Peña <inigo@example.com>"
    assert mail["from"] == SENDER
    assert mail["message-id"] == receipt.message_id == "<1-7-email@clinica.example>"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"rcpt": "550 no such user"}, Permanent),
        ({"rcpt": "451 try later"}, Retry),
        ({"data": "554 content refused"}, Permanent),
        ({"data": "452 disk full"}, Retry),
        ({"data": "drop"}, Ambiguous),
    ],
)
def test_what_a_refusal_means(
    app: Flask, start: Callable[..., Server], answers: dict[str, str], expected: type[Exception]
) -> None:
    server = start()
    for name, value in answers.items():
        setattr(server.box, name, value)
    with pytest.raises(expected):
        EmailChannel().send(message(), server.settings())


def test_nobody_listens(app: Flask) -> None:
    settings = {"host": "127.0.0.1", "port": free_port("127.0.0.1", 0), "security": "none", "from": SENDER}
    with pytest.raises(Retry, match="no connection"):
        EmailChannel().send(message(), settings)
    assert list(EmailChannel().check(settings)) == ["port"]


def test_a_wrong_password_is_an_auth_failure_and_never_shown(app: Flask, start: Callable[..., Server]) -> None:
    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    server = start(authenticator=authenticate, auth_require_tls=False)
    channel = EmailChannel()
    with pytest.raises(AuthFailed) as failure:
        channel.send(message(), server.settings(user="u", password="wrong-s3cret"))
    assert "wrong-s3cret" not in str(failure.value)
    assert list(channel.check(server.settings(user="u", password="wrong-s3cret"))) == ["password"]
    assert channel.check(server.settings(user="u", password="right")) == {}
    channel.send(message(), server.settings(user="u", password="right"))
    assert len(server.box.mails) == 1


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    argv += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    subprocess.run(argv.split(), check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encrypted_and_verified(
    app: Flask,
    start: Callable[..., Server],
    certificate: tuple[Path, Path],
    security: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = start(**{"tls_context" if security == "starttls" else "ssl_context": context})
    channel = EmailChannel()
    assert list(channel.check(server.settings(security=security))) == ["security"]
    with pytest.raises(Retry):
        channel.send(message(), server.settings(security=security))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    channel.send(message(), server.settings(security=security))
    assert len(server.box.mails) == 1


def test_a_server_without_starttls_gets_nothing_in_clear(app: Flask, start: Callable[..., Server]) -> None:
    server = start()
    with pytest.raises(Retry):
        EmailChannel().send(message(), server.settings(security="starttls", user="u", password="p"))
    assert not server.box.mails


def test_a_private_server_is_refused_unless_the_operator_allows_it(app: Flask) -> None:
    settings = {"host": "10.0.0.7", "port": 25, "security": "none", "from": SENDER}
    with pytest.raises(Permanent, match="CITAPLANNER_ALLOWED_PRIVATE_HOSTS"):
        EmailChannel().send(message(), settings)


@pytest.mark.parametrize("address", ["not-an-address", "a@b@c", "a\r\nBcc: x@example.com", ""])
def test_an_address_that_is_none(app: Flask, start: Callable[..., Server], address: str) -> None:
    server = start()
    with pytest.raises(Permanent) as failure:
        EmailChannel().send(message(address=address), server.settings())
    assert failure.value.reason == "no_address"
    assert not server.box.mails


def test_headers_cannot_be_smuggled_in(app: Flask, start: Callable[..., Server]) -> None:
    server = start()
    nasty = Recipient(1, "Ana\r\nBcc: x@example.com", "Ana", "ana@example.com", (), "es")
    with pytest.raises(Permanent):
        EmailChannel().send(message(recipient=nasty), server.settings())
    assert not server.box.mails


def test_missing_settings_are_named(app: Flask) -> None:
    with pytest.raises(Permanent, match="host, from") as failure:
        EmailChannel().send(message(), {})
    assert failure.value.reason == "channel_off"
