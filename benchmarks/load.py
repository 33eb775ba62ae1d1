"""Servers to measure, load to put on them, and what came of it."""

import http.client
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from citaplanner_core.cli.supervisor import free_port

Request = tuple[str, bytes, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Result:
    """Latencies in milliseconds and the rate reached, of one round."""

    latencies: tuple[float, ...]
    rate: float
    errors: int

    def percentile(self, share: float) -> float:
        """Return the latency that this share of requests stayed under."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


@contextmanager
def gunicorn(target: str, environment: dict[str, str], ready: str) -> Iterator[int]:
    """Serve a WSGI app with one process of 8 threads; yield its port."""
    port = free_port("127.0.0.1", 0)
    argv = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    argv += ["--threads", "8", "--workers", "1", "--log-level", "error", target]
    process = subprocess.Popen(argv, env={**os.environ, **environment})
    try:
        for _ in range(300):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                connection.request("GET", ready)
                connection.getresponse().read()
                connection.close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def drive(port: int, make: Callable[[int], Request], *, seconds: float, rate: float | None, connections: int) -> Result:
    """POST for a while over kept connections: at a fixed rate (late starts count as latency), or as fast as it goes."""
    latencies: list[float] = []
    errors = [0]
    lock = threading.Lock()
    counter = iter(range(10**9))
    begin = time.perf_counter() + 0.05
    end = begin + seconds

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        mine: list[float] = []
        while True:
            with lock:
                number = next(counter)
            planned = begin + number / rate if rate else time.perf_counter()
            if planned >= end:
                break
            if (pause := planned - time.perf_counter()) > 0:
                time.sleep(pause)
            path, body, headers = make(number)
            try:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status >= 400:
                    errors[0] += 1
            except (OSError, http.client.HTTPException):
                errors[0] += 1
                connection.close()
            mine.append((time.perf_counter() - planned) * 1000)
        connection.close()
        with lock:
            latencies.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Result(tuple(latencies), len(latencies) / seconds, errors[0])
