"""`/metrics`: figures of the whole deployment for Prometheus, of no tenant and no person."""

import time
from collections.abc import Iterable, Sequence
from threading import Lock

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, system_work
from citaplanner_core.jobs.heartbeat import alive_workers
from citaplanner_core.jobs.models import PENDING, Claimable, Job
from citaplanner_core.notifications.models import Notification

REST_SECONDS = 5.0
"""Counting reads whole tables, and anybody may ask: until this has passed everybody gets what was counted last."""


class Figures(Collector):
    """What the database says of the deployment: notifications by status, what waits and how long, workers."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counted: Sequence[Metric] = ()
        self._at = float("-inf")

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if time.monotonic() - self._at >= REST_SECONDS:
                self._counted = self._count()
                self._at = time.monotonic()
            return self._counted

    def _count(self) -> Sequence[Metric]:
        up = GaugeMetricFamily("citaplanner_database_up", "1 when the database answered, else 0.")
        try:
            with system_work("figures of the deployment") as session:
                figures = _figures(session)
        except SQLAlchemyError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *figures]


def _figures(session: Session) -> Sequence[Metric]:
    notifications = GaugeMetricFamily("citaplanner_notifications", "Notifications by status.", labels=["status"])
    for status, count in session.execute(
        select(Notification.status, func.count(Notification.id)).group_by(Notification.status)
    ):
        notifications.add_metric([status], count)
    jobs = GaugeMetricFamily(
        "citaplanner_jobs_waiting",
        "Jobs to be run now or later.",
        value=session.scalar(select(func.count(Job.id)).where(Job.status == PENDING)),
    )
    oldest = GaugeMetricFamily(
        "citaplanner_oldest_due_seconds",
        "How long the row that has waited longest has been due; 0 when nothing is due.",
        labels=["queue"],
    )
    oldest.add_metric(["notifications"], _oldest_due(session, Notification))
    oldest.add_metric(["jobs"], _oldest_due(session, Job))
    workers = GaugeMetricFamily(
        "citaplanner_workers_alive", "Workers seen within the last seconds.", value=alive_workers(session)
    )
    return [notifications, jobs, oldest, workers]


def _oldest_due(session: Session, model: type[Claimable]) -> float:
    first = session.scalar(select(func.min(model.due)).where(model.status == PENDING))
    return max(0.0, (database_now(session) - first).total_seconds()) if first else 0.0


def make_blueprint() -> Blueprint:
    """Return the page for one app; besides the figures it tells of this process: memory, processor time, files."""
    found = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=found)
    found.register(Figures())
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        """Show the figures. Open to everybody: they name no tenant and no person."""
        return Response(generate_latest(found), content_type=CONTENT_TYPE_LATEST)

    return blueprint
