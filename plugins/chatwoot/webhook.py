"""The way in: `/api/webhooks/chatwoot[/<key>]` checks what Chatwoot sends, stores it once, and answers.

Everything else happens later, in a worker: Chatwoot waits five seconds, and sends most webhooks only once
(chatwoot#15920). An event that interests nobody is answered like any other: on API inboxes a refusal marks the
message as failed. Signature: HMAC-SHA256 over `<timestamp>.<body>` (chatwoot#13573).
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, Protocol

import structlog
from flask import Blueprint, Response, request
from prometheus_client import Counter
from sqlalchemy import bindparam, text
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import RequestEntityTooLarge

from citaplanner_core.database import UTCDateTime, system_connection, utcnow
from plugins.chatwoot import receivers
from plugins.chatwoot.events import Event, as_id, as_text, contact_of, is_noise, parse_event
from plugins.chatwoot.receivers import Receiver

LARGEST_BODY = 1024 * 1024
"""Bytes. Far above any chat message; a longer body is refused unread."""

TOLERANCE_SECONDS = 300
_LONGEST_DELIVERY_ID = 200

log = structlog.get_logger()
blueprint = Blueprint("chatwoot_webhook", __name__, url_prefix="/api/webhooks/chatwoot")
received = Counter("citaplanner_chatwoot_webhook", "Webhooks that Chatwoot sent, by what became of them", ["outcome"])

_DONE = {"success": True, "message": "Evento procesado"}
_ANSWERS: dict[str, tuple[int, dict[str, Any]]] = {
    "stored": (200, _DONE),
    "duplicate": (200, _DONE),
    "noise": (200, _DONE),
    "unknown_account": (200, {**_DONE, "ignored": "unknown_account"}),
    "switched_off": (200, {**_DONE, "ignored": "switched_off"}),
    "not_json": (400, {"success": False, "error": "El cuerpo no es JSON"}),
    "no_event": (400, {"success": False, "error": "Evento no especificado"}),
    "bad_signature": (401, {"success": False, "error": "Firma ausente, incorrecta o caducada"}),
    "unknown_key": (404, {"success": False, "error": "Dirección de webhook desconocida"}),
    "too_large": (413, {"success": False, "error": "Cuerpo demasiado grande"}),
    "trouble": (503, {"success": False, "error": "No disponible por ahora, inténtelo de nuevo"}),
}
_BODIES = {outcome: json.dumps(body, ensure_ascii=False).encode() for outcome, (_, body) in _ANSWERS.items()}


_Check = tuple[str, Callable[[Receiver], bool]]


class _Find(Protocol):
    def __call__(self, *, fresh: bool) -> Receiver | None: ...


class _Refused(Exception):
    """Ends the handling of a webhook; the argument is the outcome."""


@blueprint.get("")
@blueprint.get("/<key>")
def alive(key: str | None = None) -> dict[str, Any]:
    """Tell that webhooks are received here."""
    now = utcnow().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"success": True, "message": "Webhook de Chatwoot activo", "timestamp": now}


@blueprint.post("")
@blueprint.post("/<key>")
def receive(key: str | None = None) -> Response:
    """Check a webhook, store it once, answer. Without a key its body says which account it is for."""
    try:
        outcome = _receive(key)
    except _Refused as refused:
        outcome = str(refused)
        log.info("chatwoot_webhook_refused", outcome=outcome)
    except Exception as error:
        outcome = "trouble"
        log.error("chatwoot_webhook_trouble", error=type(error).__name__)
    received.labels(outcome).inc()
    return Response(_BODIES[outcome], _ANSWERS[outcome][0], mimetype="application/json")


def _receive(key: str | None) -> str:
    body = _body()
    signed = ("bad_signature", lambda receiver: _is_signed(body, receiver))
    switched_on = ("switched_off", lambda receiver: receiver.switched_on)
    find: _Find
    if key is None:
        event, written = _read(body)
        find, missing = partial(receivers.by_body, event), "unknown_account"
        receiver = _admit(find, missing, signed, switched_on)
    else:
        find, missing = partial(receivers.by_key, key), "unknown_key"
        _admit(find, missing, signed)
        event, written = _read(body)
        receiver = _admit(find, missing, ("unknown_account", lambda receiver: receiver.owns(event)), switched_on)
    if is_noise(event):
        return "noise"
    delivery_id = as_text(request.headers.get("X-Chatwoot-Delivery")).strip()[:_LONGEST_DELIVERY_ID] or None
    try:
        stored = store(receiver, event, written, delivery_id)
    except IntegrityError:  # its configuration was deleted while we still knew it
        current = find(fresh=True)
        if current is None:
            raise _Refused(missing) from None
        stored = store(current, event, written, delivery_id)
    return "stored" if stored else "duplicate"


def _body() -> bytes:
    request.max_content_length = LARGEST_BODY + 1  # of a body without Content-Length no more is read, silently
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise _Refused("too_large") from None
    if len(body) > LARGEST_BODY:
        raise _Refused("too_large")
    return body


def _admit(find: _Find, missing: str, *checks: _Check) -> Receiver:
    """Return the receiver when all checks let it pass; nobody is refused for what was only remembered."""
    refusal = missing
    for fresh in (False, True):
        receiver = find(fresh=fresh)
        if receiver is None:
            refusal = missing
            continue
        failed = next((outcome for outcome, passes in checks if not passes(receiver)), None)
        if failed is None:
            return receiver
        refusal = failed
    raise _Refused(refusal)


def _is_signed(body: bytes, receiver: Receiver) -> bool:
    signature = request.headers.get("X-Chatwoot-Signature", "")
    timestamp = request.headers.get("X-Chatwoot-Timestamp", "")
    if receiver.allow_unsigned and not (signature and receiver.secrets):
        return True
    return any(verify(secret, timestamp, body, signature) for secret in receiver.secrets)


def verify(secret: bytes, timestamp: str, body: bytes, signature: str, *, now: float | None = None) -> bool:
    """Tell whether Chatwoot signed these raw bytes with this secret, at most five minutes from `now` (seconds)."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    expected = "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def _read(body: bytes) -> tuple[Event, str]:
    try:
        written = body.decode()
        payload = json.loads(written, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _Refused("not_json") from None
    event = parse_event(payload)
    if event is None:
        raise _Refused("no_event")
    return event, written


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_EVENT = """
INSERT INTO chatwoot_event
    (tenant_id, config_id, account_ref, event, delivery_id, object_key, contact_id, payload, received_at)
VALUES
    (:tenant_id, :config_id, :account_ref, :event, :delivery_id, :object_key, :contact_id, :payload, :now)
ON CONFLICT DO NOTHING RETURNING id
"""
_JOB = "INSERT INTO job (tenant_id, kind, plugin, payload, due, status, attempt, created_at)"
_SQLITE_JOB = f"""
{_JOB} VALUES (:tenant_id, 'event', 'chatwoot', json_object('event_id', :event_id), :now, 'PENDING', 0, :now)
"""
_POSTGRESQL = text(f"""
WITH stored AS ({_EVENT})
{_JOB} SELECT :tenant_id, 'event', 'chatwoot', json_build_object('event_id', id), now(), 'PENDING', 0, now() FROM stored
RETURNING id
""").bindparams(bindparam("now", type_=UTCDateTime()))  # noqa: S608  # all its parts are constants


def store(receiver: Receiver, event: Event, body: str, delivery_id: str | None) -> bool:
    """Store an event and the job that will handle it, in one transaction; False when it is stored already.

    In: the body as text. Raises `IntegrityError` when the receiver's configuration is gone. Written out in SQL, and on
    PostgreSQL as one statement, because half of the time to answer is spent here.
    """
    now = utcnow()
    values = {
        "tenant_id": receiver.tenant_id,
        "config_id": receiver.config_of(event),
        "account_ref": receiver.account_ref,
        "event": event.name,
        "delivery_id": delivery_id,
        "object_key": event.object_key,
        "contact_id": as_id(contact_of(event.raw).get("id")),
        "payload": body,
        "now": now,
    }
    with system_connection("store a webhook", wakes=True) as connection:
        if connection.dialect.name == "postgresql":
            return connection.execute(_POSTGRESQL, values).first() is not None
        values["now"] = now.replace(tzinfo=None).isoformat(" ", "microseconds")  # as `UTCDateTime` writes it
        event_id = connection.exec_driver_sql(_EVENT, values).scalar()
        if event_id is None:
            return False
        job = {"tenant_id": receiver.tenant_id, "event_id": event_id, "now": values["now"]}
        connection.exec_driver_sql(_SQLITE_JOB, job)
        return True
