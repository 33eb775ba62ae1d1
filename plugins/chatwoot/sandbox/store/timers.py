"""Things that happen a little later, such as delivery reports."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from .state import State


class Timers:
    """Runs work after a delay, in one thread, with the state's lock held."""

    def __init__(self, state: State) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition(state.lock)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="sandbox-timers", daemon=True)
        self._thread.start()

    def later(self, delay: float, work: Callable[[], None]) -> None:
        """Run ``work`` in ``delay`` seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), work))
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is due any more; False when that took longer than ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._due, timeout=seconds)

    def clear(self) -> None:
        """Forget everything that was to come."""
        with self._changed:
            self._due.clear()
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread; what was to come is lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closing:
                if not self._due:
                    self._changed.wait()
                    continue
                moment, _, work = self._due[0]
                if moment > time.monotonic():
                    self._changed.wait(moment - time.monotonic())
                    continue
                work()
                if self._due and self._due[0][2] is work:
                    heapq.heappop(self._due)
                self._changed.notify_all()
