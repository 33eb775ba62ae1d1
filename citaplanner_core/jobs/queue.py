"""Jobs: writing them in the transaction that wants them done, and running them.

A job runs at least once: after a crash it runs again, so a handler must bear that.
"""

import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import literal, select, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, db, system_work, wake, work
from citaplanner_core.hooks.types import JobContext, JobHandler, PeriodicJob, Retry
from citaplanner_core.jobs.loop import Claim, backoff, release, settle
from citaplanner_core.jobs.models import DONE, FAILED, PENDING, RUNNING, Job

PERIODIC = "periodic"
MAX_ATTEMPTS = 10
HANDLER_MISSING = timedelta(minutes=15)
FIRST_PERIODIC_SECONDS = 5

Resolve = Callable[[str, str], JobHandler | None]
ListPeriodic = Callable[[], Iterable[tuple[str | None, PeriodicJob, int]]]

log = structlog.get_logger()


def enqueue(
    session: Session,
    kind: str,
    payload: Mapping[str, Any],
    *,
    plugin: str | None = None,
    due: datetime | None = None,
    dedupe_key: str | None = None,
) -> bool:
    """Write a job of the open unit's tenant, to run after the commit, from `due` on (aware; default now).

    False: a job with this `dedupe_key` waits already and will do. It is kept from starting before this unit
    ends, so that it sees what this unit wrote. `payload` must be JSON; it is all the handler gets.
    """
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    statement = (
        insert(Job)
        .on_conflict_do_nothing(index_elements=["tenant_id", "dedupe_key"], index_where=text("status = 'PENDING'"))
        .returning(Job.id)
    )
    row = {
        "kind": kind,
        "plugin": plugin,
        "payload": dict(payload),
        "due": due or database_now(session),
        "dedupe_key": dedupe_key,
    }
    waiting = select(Job.id).where(Job.dedupe_key == dedupe_key, Job.status == PENDING)
    wake(session)
    while True:
        if session.execute(statement, [row]).first() is not None:
            return True
        if session.execute(waiting.with_for_update(read=True)).first() is not None:
            return False  # else it was claimed between the two statements


def _describe(error: BaseException) -> str:
    """Type and first line: the lines after it, of database errors, hold the values that were written."""
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}"[:500].removesuffix(": ")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


class JobSource:
    """Runs jobs. `handlers` are the core's, by kind; `resolve(plugin, kind)` finds a plugin's, or None.

    `list_periodic` names all periodic work there should be now, as (plugin or None, job, tenant id). Call
    `ensure_periodic` every few seconds.
    """

    model = Job
    lease_seconds = 30.0
    deadline_seconds = 300.0

    def __init__(
        self,
        handlers: Mapping[str, JobHandler],
        resolve: Resolve = lambda plugin, kind: None,
        list_periodic: ListPeriodic = lambda: (),
    ) -> None:
        self.handlers = handlers
        self.resolve = resolve
        self.list_periodic = list_periodic
        self._periodic: dict[tuple[int, str], PeriodicJob] | None = None

    def run(self, claim: Claim) -> None:
        """Run the claimed job and settle it.

        Success ends in DONE. `Retry` waits and tries again, as long as it takes. Another exception too, up to
        10 attempts, then FAILED; a job that ended its worker 10 times is not run again. A job nobody here knows
        waits. Periodic work is not settled: its row waits for the next turn, until it is not listed any more.
        """
        with work(claim.tenant_id, write=False) as session:
            job: Job | None = session.get(Job, claim.id)
            if job is None or job.lease_token != claim.token:
                return
            plugin, kind, key = job.plugin, job.kind, job.dedupe_key
            context = JobContext(claim.tenant_id, claim.id, claim.attempt, job.payload)
        logger = log.bind(tenant_id=claim.tenant_id, job_id=claim.id, plugin=plugin, kind=kind, attempt=claim.attempt)
        try:
            if kind == PERIODIC:
                self._run_periodic(claim, context, key or "", logger)
            else:
                self._run_once(claim, context, plugin, kind, logger)
        except _Lost:
            logger.warning("job_lost_its_lease")

    def _run_once(self, claim: Claim, context: JobContext, plugin: str | None, kind: str, logger: Any) -> None:
        if claim.attempt > MAX_ATTEMPTS:
            logger.error("job_failed", error="worker died")
            self._settle(claim, FAILED, f"the worker died with it {MAX_ATTEMPTS} times")
            return
        try:
            handler = self.handlers.get(kind) if plugin is None else self.resolve(plugin, kind)
            if handler is None:
                trouble = (
                    f"no handler for {kind}"
                    if plugin is None
                    else f"plugin {plugin} is not loaded, or has no handler for {kind}"
                )
                logger.warning("job_handler_missing")
                self._wait(claim, HANDLER_MISSING, trouble, attempt=claim.attempt - 1)
                return
            handler(context)
        except Retry as error:
            logger.info("job_waits", error=type(error).__name__)
            # Waiting for the other side does not use up the attempts that faults and crashes have.
            attempt = min(claim.attempt, MAX_ATTEMPTS - 2)
            self._wait(claim, backoff(claim.attempt, after=error.after), _describe(error), attempt=attempt)
        except Exception as error:
            final = claim.attempt >= MAX_ATTEMPTS
            logger.error("job_failed" if final else "job_waits", error=type(error).__name__, at=_place(error))
            if final:
                self._settle(claim, FAILED, _describe(error))
            else:
                self._wait(claim, backoff(claim.attempt), _describe(error), attempt=claim.attempt)
        else:
            self._settle(claim, DONE, None)

    def _settle(self, claim: Claim, status: str, error: str | None) -> None:
        with work(claim.tenant_id) as session:
            now = database_now(session)
            if not settle(session, Job, claim, status, error=error, finished_at=now):
                raise _Lost

    def _wait(self, claim: Claim, delay: timedelta, error: str | None, *, attempt: int) -> None:
        """Let the job wait. When an equal one was written meanwhile, that one does the work; ours is done."""
        with work(claim.tenant_id) as session:
            now = database_now(session)
            try:
                with session.begin_nested():
                    ours = release(session, Job, claim, due=now + delay, error=error, attempt=attempt)
            except IntegrityError:
                ours = settle(session, Job, claim, DONE, error=error, finished_at=now)
            if not ours:
                raise _Lost

    def _run_periodic(self, claim: Claim, context: JobContext, key: str, logger: Any) -> None:
        if self._periodic is None:
            self.ensure_periodic()
        job = (self._periodic or {}).get((claim.tenant_id, key))
        if job is None:
            logger.info("periodic_job_ended")
            self._settle(claim, DONE, None)
            return
        if claim.attempt > MAX_ATTEMPTS:
            logger.error("job_waits", error="worker died")
            pause = timedelta(seconds=max(job.seconds, 3600))
            self._wait(claim, pause, "the worker died with it", attempt=MAX_ATTEMPTS - 1)
            return
        error: str | None = None
        pause = timedelta(seconds=job.seconds)
        try:
            job.run(context)
        except Exception as raised:
            logger.error("job_waits", error=type(raised).__name__, at=_place(raised))
            error = _describe(raised)
            if isinstance(raised, Retry) and raised.after:
                pause = max(pause, timedelta(seconds=raised.after))
        self._wait(claim, pause, error, attempt=0)

    def ensure_periodic(self) -> None:
        """Write the missing rows of periodic work: one for each (job, tenant), which a dedupe key sees to.

        A new row is due a few seconds later, so that what another worker wrote at the same time still waits
        and the two cannot both run.
        """
        wanted = {(tenant, _periodic_key(plugin, job)): (plugin, job) for plugin, job, tenant in self.list_periodic()}
        self._periodic = {place: job for place, (_, job) in wanted.items()}
        if not wanted:
            return
        with system_work("look for periodic jobs") as session:
            present = {
                (tenant, key)
                for status in (PENDING, RUNNING)
                for tenant, key in session.execute(
                    select(Job.tenant_id, Job.dedupe_key).where(
                        Job.status == literal(status, literal_execute=True), Job.kind == PERIODIC
                    )
                )
            }
        for (tenant, key), (plugin, _) in wanted.items():
            if (tenant, key) not in present:
                with work(tenant) as session:
                    due = database_now(session) + timedelta(seconds=FIRST_PERIODIC_SECONDS)
                    enqueue(session, PERIODIC, {}, plugin=plugin, due=due, dedupe_key=key)


class _Lost(Exception):
    """The row is another worker's now; whatever we did, the outcome is theirs to write."""


def _periodic_key(plugin: str | None, job: PeriodicJob) -> str:
    return f"{PERIODIC}:{plugin or 'core'}:{job.name}"
