"""The engine for those who outgrow one machine: Celery carries ids of due rows to workers, and nothing else.

The database stays the only truth. Each worker looks for due rows like the embedded engine, woken by commits, and claims
them for whoever comes first; a message with a row's id goes to the queue of its lane; whoever gets it takes the row
over. A message that comes twice, or late, finds nothing to do. A row whose message was lost is claimed again when its
lease lapses: the broker may be emptied at any time. Nothing is given to Celery to keep: no ETA, no retry, no result.
"""

from collections.abc import Mapping, Sequence
from threading import Thread
from time import monotonic
from typing import Any

import structlog
from celery import Celery
from celery.exceptions import OperationalError
from celery.worker import WorkController, state
from flask import Flask

from citaplanner_core.database import database_now, system_work
from citaplanner_core.jobs.engine import SHORTEST_PAUSE, WATCH_SECONDS, Source, Worker, _Row
from citaplanner_core.jobs.heartbeat import alive_workers
from citaplanner_core.jobs.loop import Claim, claim, count_handed_over, release, seconds_until_due, take_over

PREFIX = "citaplanner"
OTHER = "other"
TASK = f"{PREFIX}.run"
HANDED_SECONDS = 120.0
"""How long a message may be under way before its row is given to another."""

BACKLOG = 4
"""Messages under way for each thread of all workers: enough that none waits, few enough that all come in time."""

BROKER_PAUSE_SECONDS = 5

log = structlog.get_logger()


def make_celery(broker_url: str) -> Celery:
    """Return the Celery app: JSON messages, acknowledged when the row is settled, one taken at a time."""
    celery = Celery(PREFIX, broker=broker_url, set_as_current=False)
    celery.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"visibility_timeout": 3600, "socket_timeout": 10, "socket_connect_timeout": 5},
        broker_connection_timeout=5,
        enable_utc=True,
    )
    return celery


class CeleryWorker(Worker):
    """Like `Worker`, but the rows it finds are run by whichever worker of the deployment gets their messages.

    `lanes` lists for each table the lanes that have a queue of their own; rows of others share one. `queues` are the
    ones to serve (`notification.email`, …), all by default.
    """

    def __init__(
        self,
        app: Flask,
        sources: Sequence[Source],
        *,
        broker_url: str,
        lanes: Mapping[str, Sequence[str]],
        queues: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        super().__init__(app, sources, **settings)
        self._by_table = {_table(source): source for source in sources}
        self._lanes = lanes
        known = [f"{table}.{lane}" for table in self._by_table for lane in (*lanes.get(table, ()), OTHER)]
        if unknown := sorted(set(queues) - set(known)):
            raise ValueError(f"no queue is called {', '.join(unknown)}; there are {', '.join(known)}")
        self.celery = make_celery(broker_url)
        self.celery.set_default()  # its pool looks tasks up there
        self.celery.task(name=TASK, shared=False)(self._receive)
        self._consumed = [f"{PREFIX}.{name}" for name in (queues or known)]

    def _pool(self) -> list[Thread]:
        state.should_stop = None
        return [self._thread("celery", self._consume)]

    def _consume(self) -> None:
        controller = WorkController(
            app=self.celery,
            hostname=f"{self.name}@{PREFIX}",
            queues=self._consumed,
            pool_cls="threads",
            concurrency=self.threads,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        if controller.hub is not None:  # it looks at `should_stop` when something happens
            controller.hub.call_repeatedly(WATCH_SECONDS, lambda: None)
        controller.start()
        if not self._closing.is_set():
            log.error("celery_ended", worker=self.name, code=controller.exitcode)
            self.stop()

    def _end_pool(self) -> None:
        state.should_stop = 0  # how Celery's own signal handlers ask its loop to end

    def _feed(self) -> float:
        """Hand over what is due, as far as those who run it keep up; return how long to wait unless woken."""
        pause = self.poll_seconds
        with system_work("count workers") as session:
            most = BACKLOG * self.threads * max(1, alive_workers(session))
        share = max(1, most - most // 4)
        for source in self.sources:
            while True:
                under_way = count_handed_over(source.model)
                full = [lane for lane, count in under_way.items() if count >= share]
                fullest = max((count for count in under_way.values() if count < share), default=0)
                room = min(most - sum(under_way.values()), share - fullest)
                if room <= 0:
                    pause = SHORTEST_PAUSE
                    break
                claims = claim(source.model, limit=room, lease_seconds=HANDED_SECONDS, skip=full, handed_over=True)
                if not self._send(source, claims):
                    return BROKER_PAUSE_SECONDS
                if len(claims) < room:
                    due = seconds_until_due(source.model, skip=full)
                    pause = pause if due is None else min(pause, max(due, SHORTEST_PAUSE))
                    break
        return pause

    def _send(self, source: Source, claims: Sequence[Claim]) -> bool:
        """Send a message for each; what the broker does not take waits on in the database."""
        table = _table(source)
        for number, taken in enumerate(claims):
            lane = taken.lane if taken.lane in self._lanes.get(table, ()) else OTHER
            try:
                self.celery.send_task(TASK, args=(table, taken.id), queue=f"{PREFIX}.{table}.{lane}", retry=False)
            except (OperationalError, OSError) as error:
                log.warning("broker_unreachable", worker=self.name, error=type(error).__name__)
                with system_work("take back what the broker did not take", write=True) as session:
                    now = database_now(session)
                    for left in claims[number:]:
                        release(session, source.model, left, due=now)
                return False
        return True

    def _receive(self, table: str, row_id: int) -> None:
        source = self._by_table.get(table)
        if source is None or self._closing.is_set():
            return
        with self.app.app_context():
            taken = take_over(source.model, row_id, lease_seconds=source.lease_seconds)
        if taken is None:
            return
        row = _Row(source, taken, monotonic())
        with self._lock:
            self._running.add(row)
        self._run(row)


def _table(source: Source) -> str:
    return str(source.model.__tablename__)  # type: ignore[attr-defined]  # every mapped class has it
