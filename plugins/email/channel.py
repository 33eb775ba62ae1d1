"""Notifications by e-mail over SMTP (RFC 5321)."""

import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime, parseaddr
from typing import Any, Literal

from flask import current_app

from citaplanner_core.config import Config
from citaplanner_core.database import utcnow
from citaplanner_core.hooks.types import (
    Ambiguous,
    AuthFailed,
    Message,
    Permanent,
    Receipt,
    Recipient,
    Retry,
    TextFamily,
)
from citaplanner_core.http import BlockedAddress, reachable_addresses

TIMEOUT_SECONDS = 15
Settings = Mapping[str, Any]


class BadAddress(ValueError):
    """A name or an address that cannot stand in a mail's header."""


class _Guarded(smtplib.SMTP):
    """Connects only to addresses the operator allows, since tenants name the server."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        config: Config = current_app.config["CITAPLANNER"]
        addresses = reachable_addresses(host, port, allowed_private_hosts=config.allowed_private_hosts)
        return socket.create_connection((addresses[0], port), timeout)


class _GuardedTLS(_Guarded):
    """The same, encrypted from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


class EmailChannel:
    """One mail per notification; nobody can be asked whether it arrived."""

    key = "email"
    label = "Correo electrónico"
    on_unknown: Literal["resend", "hold"] = "resend"
    text_family: TextFamily = "mail"

    def address_of(self, recipient: Recipient) -> str | None:
        """The client's e-mail address."""
        return recipient.email

    def check(self, settings: Settings) -> dict[str, str]:
        """Connect and sign in; {field: problem and cure}, in the words of the set-up page."""
        if problem := _from_problem(settings["from"]):
            return {"from": problem}
        try:
            _connect(settings).quit()
        except (OSError, BlockedAddress, smtplib.SMTPException) as error:
            return _explain(error)
        return {}

    def send(self, message: Message, settings: Settings) -> Receipt:
        """Hand the mail to the server; its Message-ID is made from our key, so a second copy is the same mail."""
        if missing := [key for key in ("host", "from") if not settings.get(key)]:
            raise Permanent("channel_off", f"{', '.join(missing)} missing in the e-mail settings")
        try:
            mail = compose(message, settings)
        except BadAddress as error:
            raise Permanent("no_address", str(error)) from None
        try:
            connection = _connect(settings)
        except smtplib.SMTPAuthenticationError as error:
            raise AuthFailed(f"the mail server refuses user and password ({error.smtp_code})") from None
        except BlockedAddress as error:
            raise Permanent("unreachable", str(error)) from None
        except (OSError, smtplib.SMTPException) as error:
            raise Retry(f"no connection to the mail server: {type(error).__name__}") from None
        try:
            connection.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise _refusal(code, text) from None
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError:
            raise Permanent("rejected", "the mail server cannot take an address with such letters") from None
        except (OSError, smtplib.SMTPException) as error:
            raise Ambiguous(f"the connection broke while sending: {type(error).__name__}") from None
        finally:
            connection.close()
        return Receipt(str(mail["Message-ID"]))


def compose(message: Message, settings: Settings) -> EmailMessage:
    """Return the mail. Raises `BadAddress`."""
    sender = _address(*parseaddr(settings["from"]))
    domain = sender.domain
    mail = EmailMessage(policy=POLICY)
    mail["From"] = sender
    mail["To"] = _address(message.recipient.name, message.address)
    mail["Subject"] = message.subject or ""
    mail["Date"] = format_datetime(utcnow())
    mail["Message-ID"] = f"<{message.key}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body)
    return mail


def _address(name: str, address: str) -> Address:
    try:
        return Address(name, addr_spec=address)
    except (ValueError, IndexError, MessageError):
        raise BadAddress("the name or the address cannot stand in a mail") from None


def _connect(settings: Settings) -> smtplib.SMTP:
    host, port = str(settings["host"]), int(settings.get("port") or 587)
    security = settings.get("security") or "auto"
    encrypted = security == "tls" or (security == "auto" and port == 465)
    connection = (_GuardedTLS if encrypted else _Guarded)(host, port, timeout=TIMEOUT_SECONDS)
    try:
        if not encrypted and security != "none":
            connection.starttls(context=ssl.create_default_context())
        if settings.get("user"):
            connection.login(str(settings["user"]), str(settings.get("password") or ""))
    except BaseException:
        connection.close()
        raise
    return connection


def _refusal(code: int, text: bytes | str) -> Exception:
    """4yz = try again, 5yz = never (RFC 5321, 4.2.1); what stands behind a dialogue's code is for the operator."""
    words = (text.decode(errors="replace") if isinstance(text, bytes) else text).splitlines()
    detail = f"{code} {words[0] if words else ''}".strip()[:200]
    return Permanent("rejected", detail) if code >= 500 else Retry(detail)


def _from_problem(sender: object) -> str | None:
    try:
        complete = _address(*parseaddr(str(sender or ""))).domain
    except BadAddress:
        complete = ""
    return None if complete else "Escríbelo así: Clínica Sol <citas@ejemplo.com>."


def _explain(error: Exception) -> dict[str, str]:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return {"password": "El servidor no acepta el usuario y la contraseña."}
    if isinstance(error, BlockedAddress):
        return {"host": "Es una dirección privada; el operador puede permitirla en CITAPLANNER_ALLOWED_PRIVATE_HOSTS."}
    if isinstance(error, socket.gaierror):
        return {"host": "No existe un servidor con ese nombre."}
    if isinstance(error, ssl.SSLError):
        return {"security": "El servidor no ofrece un cifrado válido en ese puerto: revisa el puerto o el certificado."}
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return {"security": "El servidor no ofrece STARTTLS: elige otro cifrado."}
    return {"port": f"No hay conexión con el servidor de correo ({type(error).__name__}): revisa servidor y puerto."}
