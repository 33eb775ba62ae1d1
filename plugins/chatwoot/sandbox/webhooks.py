"""Webhook delivery: who hears of an event, one signed attempt, and the record of it.

Source: Chatwoot v4.15.1, ``lib/webhooks/trigger.rb`` and the webhook and agent-bot listeners;
signatures since v4.11.2 (PR 13573), for API inboxes and bots since v4.13.0 (PR 13892).
"""

from __future__ import annotations

import hashlib
import hmac
import queue
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.client import responses
from urllib.parse import urljoin, urlsplit

import requests

from .payloads.common import encode, iso
from .payloads.hooks import NEWEST, Generation, event_body
from .store.channels import API
from .store.records import Json
from .store.state import Event, State

BOT_ATTEMPTS = 3
BOT_RETRIES = (429, 500)
REDIRECTS = (301, 302, 303, 307, 308)
SHUFFLE_WAIT = 0.2
_BOT_EVENTS = ("message_created", "message_updated")
_BOT_EVENTS_413 = ("conversation_status_changed", "conversation_updated")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of ``X-Chatwoot-Signature``: HMAC-SHA256 over ``timestamp.body`` with the secret's text."""
    mac = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={mac.hexdigest()}"


def parse_generation(text: str) -> Generation:
    """``"4.15.1"`` as numbers. Raises ValueError for anything else."""
    if not re.fullmatch(r"\d+(\.\d+){0,2}", text):
        raise ValueError("generation is a Chatwoot version such as 4.15.1")
    return tuple(int(part) for part in text.split("."))


@dataclass
class Mode:
    """How webhooks behave: Chatwoot's generation, and the two troubles a receiver must survive."""

    duplicate: bool = False
    shuffle: bool = False
    generation: Generation = NEWEST


@dataclass(frozen=True)
class Target:
    """One receiver of an event."""

    kind: str
    id: int
    url: str
    secret: str | None


@dataclass
class Delivery:
    """One delivery with what was sent, byte for byte, and what came of it."""

    number: int
    id: str
    event: Event
    target: Target
    body: bytes
    summary: Json
    attempts: int = 0
    status: int | None = None
    error: str | None = None
    at: float = field(default_factory=time.time)

    def as_json(self) -> Json:
        parts = urlsplit(self.target.url)
        path = "/".join("…" if len(p) >= 16 else p for p in parts.path.split("/"))
        return {
            "number": self.number,
            "delivery_id": self.id,
            "event": self.summary["event"],
            "kind": self.target.kind,
            "url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}",
            "object_id": self.summary["id"],
            "attempts": self.attempts,
            "signed": self.target.secret is not None,
            "status": self.status,
            "error": self.error,
            "at": iso(self.at),
        }


class Dispatcher:
    """Sends events to their receivers, each receiver in its own thread and in order.

    ``on_failure(kind, event, error)`` is called with the lock held after a message event failed for
    good; ``timeout`` and ``retry_delay`` are seconds.
    """

    def __init__(
        self,
        state: State,
        on_failure: Callable[[str, Event, str], None],
        *,
        timeout: float = 5.0,
        retry_delay: float = 3.0,
    ) -> None:
        self.mode = Mode()
        self.deliveries: deque[Delivery] = deque(maxlen=5000)
        self._state = state
        self._on_failure = on_failure
        self._timeout = timeout
        self._retry_delay = retry_delay
        self._queues: dict[tuple[str, int], queue.Queue[tuple[Target, Event] | None]] = {}
        self._pending = 0
        self._settled = threading.Condition(state.lock)
        self._numbers = 0

    # --- who hears of it ------------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        """Queue an event for everybody who listens; bots come first, as their queue is faster."""
        for target, told in self._targets(event):
            key = (target.kind, target.id)
            if key not in self._queues:
                self._queues[key] = queue.Queue()
                threading.Thread(
                    target=self._work, args=(self._queues[key],), name=f"sandbox-{key}", daemon=True
                ).start()
            self._pending += 1
            self._queues[key].put((target, told))

    def _targets(self, event: Event) -> Iterator[tuple[Target, Event]]:
        state = self._state
        if event.kind != "contact":
            row = state.messages[event.id] if event.kind == "message" else state.conversations[event.id]
            inbox = state.inboxes[row.inbox_id]
            conversation_id = event.id if event.kind != "message" else state.messages[event.id].conversation_id
            assigned = state.conversations[conversation_id].assignee_agent_bot_id
            for bot_id in dict.fromkeys((inbox.agent_bot_id, assigned)):
                bot = state.bots.get(bot_id) if bot_id is not None else None
                if bot is not None and bot.outgoing_url:
                    for told in self._for_bots(event):
                        yield Target("bot", bot.id, bot.outgoing_url, bot.secret), told
            if inbox.channel_type == API and inbox.webhook_url:
                yield Target("inbox", inbox.id, inbox.webhook_url, inbox.secret), event
        for hook in list(state.webhooks.values()):
            if hook.account_id == event.account_id and event.name in hook.subscriptions:
                yield Target("account", hook.id, hook.url, hook.secret), event

    def _for_bots(self, event: Event) -> Iterator[Event]:
        if event.name == "conversation_status_changed":
            status = self._state.conversations[event.id].status
            if status in ("open", "resolved"):
                yield replace(event, name="conversation_opened" if status == "open" else "conversation_resolved")
        if event.name in _BOT_EVENTS or (event.name in _BOT_EVENTS_413 and self.mode.generation >= (4, 13)):
            yield event

    # --- sending ----------------------------------------------------------------------------------

    def _work(self, jobs: queue.Queue[tuple[Target, Event] | None]) -> None:
        while True:
            batch = [jobs.get()]
            if self.mode.shuffle:
                time.sleep(SHUFFLE_WAIT)
                while not jobs.empty():
                    batch.insert(0, jobs.get())
            for job in batch:
                if job is None:
                    return
                try:
                    for _ in range(2 if self.mode.duplicate else 1):
                        self._deliver(*job)
                finally:
                    with self._settled:
                        self._pending -= 1
                        self._settled.notify_all()

    def _deliver(self, target: Target, event: Event) -> None:
        with self._state.lock:
            body = event_body(self._state, event, self.mode.generation)
        if body is None:
            return
        summary = {"event": event.name, "id": body.get("id")}
        delivery = self._record(str(uuid.uuid4()), event, target, encode(body), summary)
        attempts = BOT_ATTEMPTS if target.kind == "bot" and self.mode.generation >= (4, 14) else 1
        while True:
            self._attempt(delivery)
            if delivery.attempts >= attempts or delivery.status not in BOT_RETRIES:
                break
            time.sleep(self._retry_delay)
        if delivery.error is not None:
            with self._state.lock:
                self._on_failure(target.kind, event, delivery.error)

    def _record(self, id_: str, event: Event, target: Target, body: bytes, summary: Json) -> Delivery:
        with self._state.lock:
            self._numbers += 1
            delivery = Delivery(self._numbers, id_, event, target, body, summary)
            self.deliveries.append(delivery)
        return delivery

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        generation, kind = self.mode.generation, delivery.target.kind
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "Ruby" if generation >= (4, 14) else "rest-client/2.1.0",
        }
        if generation >= ((4, 13) if kind == "bot" else (4, 11, 2)):
            headers["X-Chatwoot-Delivery"] = delivery.id
        if delivery.target.secret and generation >= ((4, 11, 2) if kind == "account" else (4, 13)):
            timestamp = str(int(time.time()))
            headers["X-Chatwoot-Timestamp"] = timestamp
            headers["X-Chatwoot-Signature"] = sign(delivery.target.secret, timestamp, delivery.body)
        return headers

    def _attempt(self, delivery: Delivery) -> None:
        """Send once; only 2xx is success. From 4.14 redirects are followed with the same POST."""
        delivery.attempts += 1
        url, hops = delivery.target.url, 10 if self.mode.generation >= (4, 14) else 0
        headers = self._headers(delivery)
        try:
            with requests.Session() as session:
                session.trust_env = False
                while True:
                    answer = session.post(
                        url,
                        data=delivery.body,
                        headers=headers,
                        timeout=self._timeout,
                        allow_redirects=False,
                    )
                    if answer.status_code not in REDIRECTS or "Location" not in answer.headers or not hops:
                        break
                    url, hops = urljoin(url, answer.headers["Location"]), hops - 1
        except requests.Timeout:
            delivery.status, delivery.error = None, "Timed out reading data from server"
        except requests.RequestException:
            delivery.status, delivery.error = None, "Failed to open TCP connection"
        else:
            good = 200 <= answer.status_code < 300
            delivery.status = answer.status_code
            reason = responses.get(answer.status_code, "")
            delivery.error = None if good else f"{answer.status_code} {reason}".strip()

    def redeliver(self, delivery_id: str) -> Delivery | None:
        """Send an earlier delivery again: same body and delivery id, fresh timestamp and signature.

        ``None`` when no such delivery is remembered.
        """
        with self._state.lock:
            old = next((d for d in self.deliveries if d.id == delivery_id), None)
        if old is None:
            return None
        again = self._record(old.id, old.event, old.target, old.body, old.summary)
        self._attempt(again)
        return again

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is queued or being sent; False when that took longer than ``seconds``."""
        with self._settled:
            return self._settled.wait_for(lambda: self._pending == 0, timeout=seconds)

    def reset(self) -> None:
        """Forget the record and what is still queued, and behave as the newest generation again."""
        with self._settled:
            for jobs in self._queues.values():
                while not jobs.empty():
                    jobs.get()
                    self._pending -= 1
            self.deliveries.clear()
            self.mode = Mode()
            self._settled.notify_all()

    def stop(self) -> None:
        """End the senders once what they do now is done; what is queued is lost, as with a killed job."""
        self.reset()
        for jobs in self._queues.values():
            jobs.put(None)
        self._queues.clear()
