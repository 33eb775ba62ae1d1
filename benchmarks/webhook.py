"""Webhook answer: p99 at most 2 times, throughput at least 0.6 of a bare view with one INSERT; under 100 ms."""

import hashlib
import hmac
import json
import time
import uuid
from pathlib import Path

from benchmarks.databases import KEY, checkpoints, fresh, settle
from benchmarks.load import Request, Result, drive, gunicorn, median
from benchmarks.prepare import prepared

ROUNDS = 5
SECONDS = 5.0
RATE = 200.0
SECRET = "whsec-for-benchmarks"  # of a throw-away database


def body_of(number: int) -> bytes:
    """Return a message_created as Chatwoot 4.15 sends it, with ids of its own."""
    contact = {"id": 7, "name": "Ana", "phone_number": "+5215512345678", "email": None, "identifier": None}
    contact |= {"custom_attributes": {}, "additional_attributes": {}, "thumbnail": "", "blocked": False}
    now = int(time.time())
    item = {"id": number, "content": "hola", "message_type": 0, "created_at": now, "private": False, "status": "sent"}
    conversation = {
        "id": 5, "inbox_id": 1, "channel": "Channel::Whatsapp", "status": "open", "can_reply": True, "labels": [],
        "contact_inbox": {"id": 3, "contact_id": 7, "inbox_id": 1, "source_id": "5215512345678"},
        "messages": [item], "meta": {"sender": contact | {"type": "contact"}, "assignee": None, "team": None},
        "custom_attributes": {}, "additional_attributes": {}, "unread_count": 1, "updated_at": now + 0.5,
    }  # fmt: skip
    payload = {
        "account": {"id": 1, "name": "Bench"}, "additional_attributes": {}, "content_attributes": {},
        "content_type": "text", "content": "hola", "conversation": conversation,
        "created_at": "2026-06-20T12:00:00.000Z",
        "id": number, "inbox": {"id": 1, "name": "WhatsApp"}, "message_type": "incoming", "private": False,
        "sender": contact, "source_id": f"wamid.{number}", "event": "message_created",
    }  # fmt: skip
    return json.dumps(payload).encode()


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    lines = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind, folder) as url:
            lines.append(_measure(kind, url, folder) if url else f"webhook {kind}: left out, no server")
    return lines


def _measure(kind: str, url: str, folder: Path) -> str:
    key = prepared(url, folder, secret=SECRET)
    ours = {"CITAPLANNER_DATABASE_URL": url, "CITAPLANNER_SECRET_KEY": KEY, "CITAPLANNER_PLUGINS": "chatwoot"}
    ours |= {"CITAPLANNER_INSTANCE_PATH": str(folder / "instance"), "CITAPLANNER_LOG_LEVEL": "ERROR"}
    numbers = iter(range(1, 10**9))

    def webhook(_number: int) -> Request:
        body, stamp = body_of(next(numbers)), str(int(time.time()))
        mac = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Chatwoot-Timestamp": stamp}
        headers |= {"X-Chatwoot-Signature": f"sha256={mac}", "X-Chatwoot-Delivery": str(uuid.uuid4())}
        return f"/api/webhooks/chatwoot/{key}", body, headers

    def bare(_number: int) -> Request:
        return "/", body_of(next(numbers)), {"Content-Type": "application/json"}

    paced: dict[str, list[Result]] = {"ours": [], "bare": []}
    full: dict[str, list[Result]] = {"ours": [], "bare": []}
    with (
        gunicorn("citaplanner_core.wsgi:app", ours, "/healthz") as our_port,
        gunicorn("benchmarks.bare:app", {"BENCH_DATABASE_URL": url}, "/") as bare_port,
        checkpoints(url),
    ):
        sides = {"ours": (our_port, webhook), "bare": (bare_port, bare)}
        for port, make in sides.values():
            drive(port, make, seconds=1, rate=RATE, connections=8)
        for _ in range(ROUNDS):
            for name, (port, make) in sides.items():
                settle(url)
                paced[name].append(drive(port, make, seconds=SECONDS, rate=RATE, connections=16))
            for name, (port, make) in sides.items():
                settle(url)
                full[name].append(drive(port, make, seconds=SECONDS / 2, rate=None, connections=8))
    p99 = {name: median([one.percentile(0.99) for one in results]) for name, results in paced.items()}
    p50 = {name: median([one.percentile(0.50) for one in results]) for name, results in paced.items()}
    rate = {name: median([one.rate for one in results]) for name, results in full.items()}
    errors = sum(one.errors for results in (*paced.values(), *full.values()) for one in results)
    return (
        f"webhook {kind}: at {RATE:g}/s p50 {p50['ours']:.1f} ms, p99 {p99['ours']:.1f} ms"
        f" (bare {p50['bare']:.1f}, {p99['bare']:.1f}; p99 ratio {p99['ours'] / p99['bare']:.2f}, wanted ≤ 2);"
        f" throughput {rate['ours']:.0f}/s (bare {rate['bare']:.0f}; ratio {rate['ours'] / rate['bare']:.2f},"
        f" wanted ≥ 0.6); errors {errors}"
    )
