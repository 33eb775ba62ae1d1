"""Delivery to a provider that takes 100 ms: at least 0.9 of a bare loop of posts, at most 3 ms of processor a message.

And two workers of 4 threads at least 1.7 times one; own overhead under 10 ms a message.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.databases import fresh
from benchmarks.load import median
from benchmarks.receiver import Nursery, call, make_app, serving
from benchmarks.storm import fill, statuses_of
from citaplanner_core.database import close_database
from citaplanner_core.hooks import lifecycle

ROUNDS = 3
DELAY_SECONDS = 0.1
THREADS = 16
MESSAGES = 480
FEW = 120


def run(folder: Path) -> list[str]:
    """Measure on each database; return report lines."""
    lines = []
    for kind in ("postgresql", "sqlite"):
        lines += _measure(kind, folder)
    return lines


def _measure(kind: str, folder: Path) -> list[str]:
    bare: list[float] = []
    ours: list[float] = []
    processor: list[float] = []
    one: list[float] = []
    two: list[float] = []
    alone: list[float] = []
    alone_bare: list[float] = []
    for _ in range(ROUNDS):
        with serving(delay=DELAY_SECONDS) as port:
            _post(port, THREADS, MESSAGES)
            bare.append(_rate(port))
        rate, used = _deliver(kind, folder, workers=1, threads=THREADS, messages=MESSAGES)
        ours.append(rate)
        processor.append(used)
        one.append(_deliver(kind, folder, workers=1, threads=4, messages=FEW)[0])
        two.append(_deliver(kind, folder, workers=2, threads=4, messages=2 * FEW)[0])
        with serving() as port:
            _post(port, 1, FEW)
            alone_bare.append(1000 / _rate(port))
        alone.append(1000 / _deliver(kind, folder, workers=1, threads=1, messages=FEW, delay=0.0)[0])
    if not any(ours):
        return [f"delivery {kind}: left out, no server"]
    return [
        f"delivery {kind}: {median(ours):.0f}/s with {THREADS} threads at 100 ms (bare {median(bare):.0f}; ratio"
        f" {median(ours) / median(bare):.2f}, wanted ≥ 0.9); processor {median(processor):.2f} ms a message"
        " (wanted ≤ 3)",
        f"delivery {kind}: two workers of 4 threads {median(two):.1f}/s, one {median(one):.1f}/s; ratio"
        f" {median(two) / median(one):.2f} (wanted ≥ 1.7)",
        f"delivery {kind}: own overhead {median(alone) - median(alone_bare):.1f} ms a message in one thread"
        " (wanted < 10)",
    ]


def _rate(port: int) -> float:
    found = call(port, "GET", "/pace")[1]
    return float((found["total"] - 1) / found["seconds"])


def _post(port: int, threads: int, messages: int) -> None:
    numbers = iter(range(messages))
    lock = threading.Lock()

    def loop() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            call(port, "POST", "/send", {"key": str(number)})

    _all([loop] * threads)


def _all(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _deliver(
    kind: str, folder: Path, *, workers: int, threads: int, messages: int, delay: float = DELAY_SECONDS
) -> tuple[float, float]:
    """Return messages a second as the provider saw them, and the workers' processor time of one in milliseconds."""
    with fresh(kind, folder) as url, serving(delay=delay) as port:
        if url is None:
            return 0.0, 0.0
        app = make_app(url, str(folder), port, asks=True, threads=threads)
        with app.app_context():
            lifecycle.migrate_all(())
            tenant = fill(messages)
            nursery = Nursery(url, str(folder), port, asks=True, threads=threads)
            try:
                started = [nursery.start() for _ in range(workers)]
                while call(port, "GET", "/pace")[1]["total"] < messages:
                    time.sleep(0.2)
                while statuses_of(tenant) != {"SENT": messages}:
                    time.sleep(0.05)
                used = sum(nursery.stop(worker) for worker in started)
                return _rate(port), used * 1000 / messages
            finally:
                nursery.close()
                close_database()
