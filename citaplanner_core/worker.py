"""What a worker process does: notifications, the plugins' jobs, periodic work."""

from collections.abc import Iterator, Sequence

from flask import Flask
from sqlalchemy import select

from citaplanner_core.booking.models import Tenant
from citaplanner_core.config import Config, ConfigError
from citaplanner_core.database import system_work
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.models import TenantPlugin
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import JobContext, JobHandler, PeriodicJob
from citaplanner_core.jobs import housekeeping
from citaplanner_core.jobs.engine import Worker
from citaplanner_core.jobs.queue import JobSource
from citaplanner_core.notifications import campaigns, repeats, replanning, staff
from citaplanner_core.notifications.delivery import NotificationSource
from citaplanner_core.replies import ageing

CORE_PERIODIC = (housekeeping.JOB, ageing.JOB)


def make_worker(app: Flask, *, queues: Sequence[str] = ()) -> Worker:
    """Return a worker of the deployment's engine; it does not run yet.

    `queues` are those of Celery to serve, all by default. Raises `ConfigError` for one there is not, for queues without
    Celery, and when Celery is not installed.
    """
    config: Config = app.config["CITAPLANNER"]
    handlers = {
        replanning.REPLAN: replanning.run_replan,
        repeats.FALL_BACK: repeats.fall_back,
        campaigns.PLAN: campaigns.plan,
    }
    jobs = JobSource(handlers, resolve=find_handler, list_periodic=periodic_jobs)
    sources = (NotificationSource(), jobs)
    if config.engine == "embedded":
        if queues:
            raise ConfigError("queues are Celery's: set CITAPLANNER_ENGINE=celery, or leave them out")
        return Worker(app, sources, threads=config.worker_threads, chores=[jobs.ensure_periodic])
    try:
        from citaplanner_core.jobs.celery_app import CeleryWorker  # an extra, not always installed
    except ImportError as error:
        raise ConfigError(f"CITAPLANNER_ENGINE: {error.name} is missing: pip install 'citaplanner[celery]'") from None
    with app.app_context():
        lanes = {"notification": list(dispatch.channels()), "job": list(registry().manifests)}
    try:
        return CeleryWorker(
            app,
            sources,
            broker_url=config.broker_url.get_secret_value(),
            lanes=lanes,
            queues=queues,
            threads=config.worker_threads,
            chores=[jobs.ensure_periodic],
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def find_handler(plugin: str, kind: str) -> JobHandler | None:
    """Return what runs a plugin's job of this kind, None when the plugin is not loaded or does not know it."""
    if kind == dispatch.COMMITTED:
        if not dispatch.implements(plugin, dispatch.COMMITTED):
            return None

        def committed(context: JobContext) -> None:
            dispatch.target(plugin, dispatch.COMMITTED, event=dispatch.event_from_json(context.payload))

        return committed
    if not dispatch.implements(plugin, "job_handlers"):
        return None
    handlers: dict[str, JobHandler] = dispatch.target(plugin, "job_handlers")
    return handlers.get(kind)


def periodic_jobs() -> Iterator[tuple[str | None, PeriodicJob, int]]:
    """Name the periodic work there should be now: the core's, and each plugin's for tenants that have it on."""
    yield from staff.watched_tenants()
    found = dispatch.collect_items("periodic_jobs", PeriodicJob)
    with system_work("which tenants have periodic work") as session:
        tenants = session.scalars(select(Tenant.id)).all()
        switches = session.execute(
            select(TenantPlugin.plugin, TenantPlugin.tenant_id)
            .join(Tenant, Tenant.id == TenantPlugin.tenant_id)
            .where(TenantPlugin.enabled, Tenant.active)
        ).all()
    yield from ((None, job, tenant_id) for job in CORE_PERIODIC for tenant_id in tenants)
    for plugin, job in found:
        yield from ((plugin, job, tenant_id) for name, tenant_id in switches if name == plugin)
