"""What a worker process does: notifications, the plugins' jobs, periodic work."""

from collections.abc import Iterator

from flask import Flask
from sqlalchemy import select

from citaplanner_core.booking.models import Tenant
from citaplanner_core.config import Config
from citaplanner_core.database import system_work
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.models import TenantPlugin
from citaplanner_core.hooks.types import JobContext, JobHandler, PeriodicJob
from citaplanner_core.jobs.engine import Worker
from citaplanner_core.jobs.queue import JobSource
from citaplanner_core.notifications.delivery import NotificationSource


def make_worker(app: Flask) -> Worker:
    """Return a worker over the app's database; it does not run yet."""
    config: Config = app.config["CITAPLANNER"]
    jobs = JobSource({}, resolve=find_handler, list_periodic=periodic_jobs)
    return Worker(app, [NotificationSource(), jobs], threads=config.worker_threads, chores=[jobs.ensure_periodic])


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
    """Name the periodic work there should be now: each plugin's, for each active tenant that switched it on."""
    found = dispatch.collect_items("periodic_jobs", PeriodicJob)
    if not found:
        return
    with system_work("which tenants have periodic work") as session:
        switches = session.execute(
            select(TenantPlugin.plugin, TenantPlugin.tenant_id)
            .join(Tenant, Tenant.id == TenantPlugin.tenant_id)
            .where(TenantPlugin.enabled, Tenant.active)
        ).all()
    for plugin, job in found:
        yield from ((plugin, job, tenant_id) for name, tenant_id in switches if name == plugin)
