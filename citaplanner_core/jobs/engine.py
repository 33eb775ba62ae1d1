"""The engine: threads that take durable rows when they are due and run them.

One feeder claims, and only for threads that are free. A pool runs the rows, each in an app context of its own.
A keeper tells that we live and renews leases. The calling thread watches deadlines, without the database.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from secrets import token_hex
from threading import Event, Lock, Thread
from typing import Any, Protocol

import structlog
from flask import Flask

from citaplanner_core.database import db
from citaplanner_core.jobs import heartbeat
from citaplanner_core.jobs.loop import Claim, claim, renew, seconds_until_due
from citaplanner_core.jobs.models import Claimable
from citaplanner_core.jobs.wake import listen

OVERDUE_EXIT = 70
WATCH_SECONDS = 0.25
SHORTEST_PAUSE = 0.05

log = structlog.get_logger()


class Source(Protocol):
    """A kind of durable row and what is done with it.

    A lease is renewed while the row runs, up to the deadline. `run` settles the row itself, and is called in
    an app context, outside any unit of work.
    """

    @property
    def model(self) -> type[Claimable]: ...

    @property
    def lease_seconds(self) -> float: ...

    @property
    def deadline_seconds(self) -> float: ...

    def run(self, claim: Claim) -> None: ...


@dataclass(eq=False, slots=True)
class _Row:
    source: Source
    claim: Claim
    started: float
    lane: str = field(init=False)

    def __post_init__(self) -> None:
        self.lane = self.claim.lane

    def overdue(self) -> bool:
        return time.monotonic() - self.started > self.source.deadline_seconds

    def facts(self) -> dict[str, Any]:
        model = self.source.model
        return {
            "table": model.__tablename__,  # type: ignore[attr-defined]  # every mapped class has it
            "row_id": self.claim.id,
            "tenant_id": self.claim.tenant_id,
            "attempt": self.claim.attempt,
            **dict(zip(model.labels, self.claim.labels, strict=True)),
        }


class Worker:
    """Runs the rows of `sources` with `threads` threads until told to stop.

    `chores` are called at the start and then about every `beat_seconds`, in a thread of their own. `name` shows
    in the table `worker`; by default host:pid:random. Several workers may serve one database.
    """

    poll_seconds = 1.0
    beat_seconds = 5.0
    grace_seconds = 10.0

    def __init__(
        self,
        app: Flask,
        sources: Sequence[Source],
        *,
        threads: int,
        name: str | None = None,
        chores: Sequence[Callable[[], None]] = (),
    ) -> None:
        self.app = app
        self.sources = list(sources)
        self.threads = threads
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{token_hex(3)}"
        self.chores = chores
        self._turn = 0
        self._share = max(1, threads - max(1, threads // 4))
        self._tasks: SimpleQueue[_Row | None] = SimpleQueue()
        self._orders: SimpleQueue[None] = SimpleQueue()
        self._running: set[_Row] = set()
        self._lock = Lock()
        self._woken = Event()
        self._closing = Event()
        self._silent = Event()

    def stop(self) -> None:
        """Ask `run_forever` to end in good order. Any thread and any signal handler may call it."""
        self._orders.put(None)  # the one primitive that a signal handler may use

    def run_forever(self) -> int:
        """Work until `stop()` (returns 0), or until a row exceeds its deadline (returns 70).

        Claims nothing more then, and gives running rows `grace_seconds`. What still runs keeps its lease, and
        is taken by another worker once that has lapsed; its thread cannot be ended, so end the process.
        """
        log.info("worker_started", worker=self.name, threads=self.threads)
        helpers = [
            self._thread("keep", self._keep),
            feeder := self._thread("feed", self._feed_on),
            self._thread("wake", self._listen),
            *([self._thread("chores", self._do_chores)] if self.chores else []),
        ]
        pool = self._pool()
        for thread in (*helpers, *pool):
            thread.start()
        overdue = self._watch()
        if overdue:
            self._silent.set()
        self._closing.set()
        self._woken.set()
        log.info("worker_stopping", worker=self.name, running=len(self._running))
        feeder.join(self.grace_seconds)
        left = self._drain(overdue)
        self._silent.set()
        self._end_pool()
        for thread in (*helpers, *(() if left else pool)):
            thread.join(2)
        if overdue:
            log.error("worker_gave_up", worker=self.name, left=left)
            return OVERDUE_EXIT
        self._guarded("worker_leaves", lambda: heartbeat.leave(self.name))
        log.info("worker_stopped", worker=self.name, left=left)
        return 0

    def _pool(self) -> list[Thread]:
        """Return the threads, not started yet, in which rows are run."""
        return [self._thread(f"run-{number}", self._work) for number in range(self.threads)]

    def _end_pool(self) -> None:
        for _ in range(self.threads):
            self._tasks.put(None)

    def _thread(self, name: str, target: Callable[[], None]) -> Thread:
        return Thread(target=target, name=f"{self.name}:{name}", daemon=True)

    def _guarded(self, what: str, do: Callable[[], Any]) -> Any:
        """Do something in an app context; whatever it raises is logged, and None comes back."""
        try:
            with self.app.app_context():
                return do()
        except Exception as error:
            log.error(f"{what}_failed", worker=self.name, error=type(error).__name__)
            return None

    def _watch(self) -> list[_Row]:
        """Wait for the order to stop, or for rows that exceed their deadline; return those."""
        while True:
            try:
                self._orders.get(timeout=WATCH_SECONDS)
            except Empty:
                with self._lock:
                    overdue = [row for row in self._running if row.overdue()]
                for row in overdue:
                    log.error("row_exceeds_deadline", seconds=row.source.deadline_seconds, **row.facts())
                if overdue:
                    return overdue
            else:
                return []

    def _drain(self, hopeless: Sequence[_Row]) -> int:
        """Wait for running rows, not for hopeless ones, at most the grace; return how many still run."""
        end = time.monotonic() + self.grace_seconds
        while True:
            self._woken.clear()
            with self._lock:
                left = len(self._running)
                waiting = self._running.difference(hopeless)
            remaining = end - time.monotonic()
            if not waiting or remaining <= 0:
                return left
            self._woken.wait(remaining)

    def _listen(self) -> None:
        with self.app.app_context():
            engine = db.engine
        listen(engine, self._woken.set, self._closing)

    def _do_chores(self) -> None:
        while True:
            for chore in self.chores:
                self._guarded("chore", chore)
            if self._closing.wait(self.beat_seconds):
                return

    def _keep(self) -> None:
        pause = min([self.beat_seconds, *(source.lease_seconds / 3 for source in self.sources)])
        while True:
            self._guarded("heartbeat", lambda: heartbeat.beat(self.name))
            if self._silent.wait(pause):
                return
            self._guarded("lease_renewal", self._renew)

    def _renew(self) -> None:
        for source in self.sources:
            with self._lock:
                claims = [row.claim for row in self._running if row.source is source]
            if claims and not self._silent.is_set():
                renew(source.model, claims, lease_seconds=source.lease_seconds)

    def _feed_on(self) -> None:
        while not self._closing.is_set():
            self._woken.clear()
            pause = self._guarded("claim", self._feed)
            self._woken.wait(self.poll_seconds if pause is None else pause)

    def _feed(self) -> float:
        """Claim for the threads that are free; return how long to wait unless woken."""
        pause = self.poll_seconds
        self._turn = (self._turn + 1) % len(self.sources)  # who asks first takes turns
        for source in self.sources[self._turn :] + self.sources[: self._turn]:
            while not self._closing.is_set():
                room, busy = self._room(source)
                if room == 0:
                    break
                claims = claim(source.model, limit=room, lease_seconds=source.lease_seconds, skip=busy)
                for taken in claims:
                    self._start(_Row(source, taken, time.monotonic()))
                if len(claims) < room:
                    due = seconds_until_due(source.model, skip=busy)
                    pause = pause if due is None else min(pause, max(due, SHORTEST_PAUSE))
                    break
        return pause

    def _room(self, source: Source) -> tuple[int, list[str]]:
        """Return how many rows may be claimed, and the lanes that have their share of the threads already.

        A lane never has more than three quarters of the threads (but at least one), so that one slow plugin
        does not hold up everything else.
        """
        with self._lock:
            free = self.threads - len(self._running)
            lanes = Counter(row.lane for row in self._running if row.source is source)
        busy = [lane for lane, count in lanes.items() if count >= self._share]
        fullest = max((count for count in lanes.values() if count < self._share), default=0)
        return min(free, self._share - fullest), busy

    def _join(self, row: _Row, lane: str) -> bool:
        if lane == row.lane:
            return True
        with self._lock:
            others = sum(other.lane == lane and other.source is row.source for other in self._running if other != row)
            if others >= self._share:
                return False
            row.lane = lane
            return True

    def _start(self, row: _Row) -> None:
        with self._lock:
            self._running.add(row)
        self._tasks.put(row)

    def _work(self) -> None:
        while (row := self._tasks.get()) is not None:
            self._run(row)

    def _run(self, row: _Row) -> None:
        try:
            with self.app.app_context():
                row.source.run(replace(row.claim, join=partial(self._join, row)))
        except BaseException as error:  # a plugin's SystemExit must not take a thread away
            log.error("row_broke", error=type(error).__name__, **row.facts())
        finally:
            with self._lock:
                self._running.discard(row)
            self._woken.set()
