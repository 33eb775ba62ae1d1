"""A provider that counts what arrives, the channel that talks to it, and workers that know this channel.

`python -m benchmarks.receiver serve PORT [--delay S] [--faults SHARE] [--seed N]`: `POST /send` takes `{"key": …}`,
`GET /count?key=` says how often it came, `GET /counts` all, `GET /pace` how many in how many seconds. With faults it
accepts and then breaks off, or answers 500, or lets the answer drip, or refuses with 429 before accepting. `Nursery`
starts workers.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from flask import Flask

from citaplanner_core.app import create_app
from citaplanner_core.cli.supervisor import free_port
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import (
    Ambiguous,
    Limited,
    Message,
    Permanent,
    Receipt,
    Recipient,
    Retry,
    TextFamily,
)
from citaplanner_core.jobs import celery_app
from citaplanner_core.jobs.engine import Worker
from citaplanner_core.notifications import gate
from citaplanner_core.notifications.delivery import NotificationSource

KEY = "a-key-for-benchmarks-0123456789"
CHANNEL = "receiver"
LEASE_SECONDS, DEADLINE_SECONDS = 8.0, 7.0
TIMEOUT_SECONDS = 1.5


class Receiver:
    """The stand-in provider."""

    def __init__(self, *, delay: float, faults: float, seed: int) -> None:
        self.delay, self.faults = delay, faults
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.first = self.last = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        if method == "GET":
            place = urlsplit(target)
            key = parse_qs(place.query).get("key", [""])[0]
            found: Any = self.counts[key]
            if place.path == "/counts":
                found = self.counts
            elif place.path == "/pace":
                found = {"total": self.counts.total(), "seconds": self.last - self.first}
            _write(writer, 200, json.dumps(found).encode())
            return True
        return await self._receive(json.loads(body)["key"], writer)

    async def _receive(self, key: str, writer: asyncio.StreamWriter) -> bool:
        fault = self.chance.choice(("500", "break", "hang", "drip", "429")) if self._strikes() else ""
        if fault == "429":
            _write(writer, 429, b"{}")
            return True
        self.counts[key] += 1
        self.last = time.perf_counter()
        self.first = self.first or self.last
        await asyncio.sleep(self.delay)
        if fault == "break":
            return False
        if fault == "hang":
            await asyncio.sleep(2 * TIMEOUT_SECONDS)
            return False
        answer = json.dumps({"id": f"{key}:{self.counts[key]}"}).encode()
        if fault == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
            for byte in answer:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.2)
            return False
        _write(writer, 500 if fault == "500" else 200, answer)
        return True

    def _strikes(self) -> bool:
        return self.chance.random() < self.faults


def _write(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


_local = threading.local()


def call(port: int, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    """Ask the receiver over the thread's own connection to it; return status and JSON."""
    connection = getattr(_local, "connection", None)
    if connection is None or connection.port != port:
        connection = _local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except BaseException:
        connection.close()
        _local.connection = None
        raise


class ReceiverChannel:
    """Posts to the receiver; with `asks` one can ask it what arrived."""

    key = CHANNEL
    label = "Receiver"
    text_family: TextFamily = "chat"
    on_unknown: Literal["resend", "hold"] = "resend"

    def __init__(self, port: int) -> None:
        self.port = port

    def address_of(self, recipient: Recipient) -> str | None:
        """Everybody is reached."""
        return f"client-{recipient.client_id}"

    def check(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Nothing can be wrong."""
        return {}

    def send(self, message: Message, settings: Mapping[str, Any]) -> Receipt:
        """Post once."""
        try:
            status, answer = call(self.port, "POST", "/send", {"key": message.key})
        except ConnectionRefusedError:
            raise Retry("nobody listens") from None
        except (OSError, http.client.HTTPException) as error:
            raise Ambiguous(type(error).__name__) from None
        if status == 429:
            raise Limited("enough", after=1)
        if status >= 500:
            raise Ambiguous(f"status {status}")
        if status != 200:
            raise Permanent("rejected", f"status {status}")
        return Receipt(answer["id"])


class AskableReceiverChannel(ReceiverChannel):
    """The same, and the receiver can be asked."""

    def find_sent(self, message: Message, settings: Mapping[str, Any]) -> Receipt | None:
        """Ask how often the key came."""
        try:
            _, count = call(self.port, "GET", f"/count?key={message.key}")
        except (OSError, http.client.HTTPException) as error:
            raise Retry(type(error).__name__) from None
        return Receipt(f"{message.key}:{count}") if count else None


def make_app(url: str, folder: str, port: int, *, asks: bool, threads: int = 8) -> Flask:
    """Return an app without plugins that knows the receiver's channel."""
    app = create_app(
        {
            "database_url": url,
            "secret_key": KEY,
            "plugins": (),
            "instance_path": f"{folder}/instance",
            "worker_threads": threads,
            "log_level": "ERROR",
        }
    )
    channel = AskableReceiverChannel(port) if asks else ReceiverChannel(port)
    with app.app_context():
        registry().channels[CHANNEL] = (None, channel)
    return app


def make_worker(app: Flask, threads: int, broker: str = "", port: int = 0) -> Worker:
    """Return a worker for notifications alone, by Celery where there is a broker; a crash is noticed in seconds."""
    gate.FIRST_PAUSE_SECONDS, gate.LONGEST_PAUSE_SECONDS = 1, 5  # so that a run ends
    sources = [NotificationSource(lease_seconds=LEASE_SECONDS, deadline_seconds=DEADLINE_SECONDS)]
    if broker:
        celery_app.PREFIX, celery_app.HANDED_SECONDS = _queues(port), LEASE_SECONDS
        return celery_app.CeleryWorker(app, sources, broker_url=broker, lanes={}, threads=threads)
    worker = Worker(app, sources, threads=threads)
    worker._share = threads  # there is one channel only
    return worker


@contextmanager
def serving(*, delay: float = 0.0, faults: float = 0.0, seed: int = 1) -> Iterator[int]:
    """Run a receiver; yield its port."""
    port = free_port("127.0.0.1", 0)
    argv = ["serve", str(port), "--delay", str(delay), "--faults", str(faults), "--seed", str(seed)]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.receiver", *argv], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
    finally:
        process.kill()
        process.communicate()


class Nursery:
    """Starts workers quickly: a process that has everything loaded and is copied for each."""

    def __init__(self, url: str, folder: str, port: int, *, asks: bool, threads: int = 4, broker: str = "") -> None:
        argv = ["nurse", str(port), url, folder, str(threads), "asks" if asks else "deaf", broker]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.receiver", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.alive: list[int] = []

    def start(self) -> int:
        """Start a worker and return its process id."""
        worker = int(self._ask("start"))
        self.alive.append(worker)
        return worker

    def kill(self, worker: int) -> None:
        """Kill a worker as a power cut would."""
        os.kill(worker, signal.SIGKILL)
        self.alive.remove(worker)

    def stop(self, worker: int) -> float:
        """End a worker in good order and return the processor seconds it took since it was started."""
        self.alive.remove(worker)
        return float(self._ask(f"stop {worker}"))

    def _ask(self, order: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def close(self) -> None:
        """End all."""
        for worker in self.alive:
            os.kill(worker, signal.SIGKILL)
        self._process.kill()
        self._process.communicate()


def _queues(port: int) -> str:
    return f"citaplanner-storm-{port}"


def flush(broker: str, port: int) -> None:
    """Take every message of our workers from the broker, as its loss would."""
    celery = celery_app.make_celery(broker)
    with celery.connection_for_write() as connection, contextlib.suppress(*connection.channel_errors):
        connection.default_channel.queue_purge(f"{_queues(port)}.notification.{celery_app.OTHER}")


def _nurse(port: str, url: str, folder: str, threads: str, asks: str, broker: str) -> None:
    app = make_app(url, folder, int(port), asks=asks == "asks", threads=int(threads))
    for order in sys.stdin:
        if order.startswith("stop"):
            worker = int(order.split()[1])
            os.kill(worker, signal.SIGTERM)
            _, _, used = os.wait4(worker, 0)
            print(used.ru_utime + used.ru_stime, flush=True)
            continue
        child = os.fork()
        if child == 0:
            _work(app, int(threads), broker, int(port))
            os._exit(0)
        print(child, flush=True)


def _work(app: Flask, threads: int, broker: str, port: int) -> None:
    worker = make_worker(app, threads, broker, port)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run_forever()


async def _serve(given: argparse.Namespace) -> None:
    receiver = Receiver(delay=given.delay, faults=given.faults, seed=given.seed)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", given.port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


def main(arguments: list[str]) -> None:
    """Serve, or start workers."""
    if arguments[0] == "nurse":
        _nurse(*arguments[1:])
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(_serve(parser.parse_args(arguments[1:])))


if __name__ == "__main__":
    main(sys.argv[1:])
