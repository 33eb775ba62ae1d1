"""`/metrics`: figures of the whole deployment for Prometheus, of no tenant and no person."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from threading import Lock

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now, system_work, utcnow
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import Figure
from citaplanner_core.jobs.heartbeat import alive_workers
from citaplanner_core.jobs.models import PENDING, Claimable, Job
from citaplanner_core.notifications.models import SENDING, SETTLED, ChannelState, Notification

REST_SECONDS = 5.0
"""Anybody may ask: until this has passed everybody gets what was counted last."""
MOST_COUNTED = 100_000
LAG_ROWS = 2_000
QUANTILES = (0.5, 0.95, 0.99, 1)


class Figures(Collector):
    """What the database says of the deployment: what became of notifications, what waits and how long, workers."""

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
                figures = [*_figures(session)]
        except SQLAlchemyError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *figures]


def _figures(session: Session) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "citaplanner_notifications_planned",
        "Notifications ever planned: the highest number given, so that bookings taken back count too.",
        value=session.scalar(select(func.max(Notification.id))) or 0,
    )
    yield _settled(session)
    yield _lag(session)
    waiting = GaugeMetricFamily(
        "citaplanner_notifications_waiting", "Notifications that are due now, or that are being sent.", labels=["when"]
    )
    now = database_now(session)
    waiting.add_metric(["due"], _count(session, Notification, Notification.due <= now))
    waiting.add_metric(["sending"], _count(session, Notification, status=SENDING))
    yield waiting
    yield GaugeMetricFamily(
        "citaplanner_jobs_waiting", "Jobs to be run now or later.", value=_count(session, Job, Job.due.is_not(None))
    )
    oldest = GaugeMetricFamily(
        "citaplanner_oldest_due_seconds",
        "How long the row that has waited longest has been due; 0 when nothing is due.",
        labels=["queue"],
    )
    oldest.add_metric(["notifications"], oldest_due(session, Notification))
    oldest.add_metric(["jobs"], oldest_due(session, Job))
    yield oldest
    yield _held(session)
    yield GaugeMetricFamily(
        "citaplanner_workers_alive", "Workers seen within the last seconds.", value=alive_workers(session)
    )
    yield from _of_plugins(session)


def _settled(session: Session) -> Metric:
    """Through the index of settled rows, newest first: costs what an hour's traffic costs, however long the history."""
    found = GaugeMetricFamily(
        "citaplanner_notifications_last_hour",
        "Notifications that came to their present status within the last hour.",
        labels=["status", "channel", "reason"],
    )
    rows = session.execute(
        select(Notification.status, Notification.channel, Notification.reason, func.count(Notification.id))
        .where(SETTLED, Notification.changed_at > utcnow() - timedelta(hours=1))
        .group_by(Notification.status, Notification.channel, Notification.reason)
    )
    for status, channel, reason, count in rows:
        found.add_metric([status, channel or "", reason or ""], count)
    return found


def _lag(session: Session) -> Metric:
    found = GaugeMetricFamily(
        "citaplanner_notification_lag_seconds",
        f"From due (for the last attempt) to sent, of the newest {LAG_ROWS} of the last hour.",
        labels=["quantile"],
    )
    rows = session.execute(
        select(Notification.due, Notification.sent_at)
        .where(SETTLED, Notification.changed_at > utcnow() - timedelta(hours=1), Notification.sent_at.is_not(None))
        .order_by(Notification.changed_at.desc())
        .limit(LAG_ROWS)
    )
    lags = sorted(max(0.0, (sent_at - due).total_seconds()) for due, sent_at in rows if sent_at is not None)
    for quantile in QUANTILES if lags else ():
        found.add_metric([f"{quantile:g}"], lags[min(int(len(lags) * quantile), len(lags) - 1)])
    return found


def _held(session: Session) -> Metric:
    found = GaugeMetricFamily(
        "citaplanner_channels_held",
        "Tenants whose messages over a channel wait because the breaker is open or the provider asked for a pause.",
        labels=["channel", "reason"],
    )
    rows = session.execute(
        select(ChannelState.channel, ChannelState.reason, func.count(ChannelState.id))
        .where(ChannelState.open_until.is_not(None))
        .group_by(ChannelState.channel, ChannelState.reason)
    )
    for channel, reason, count in rows:
        found.add_metric([channel, reason or ""], count)
    return found


def _count(session: Session, model: type[Claimable], *which: ColumnElement[bool], status: str = PENDING) -> int:
    """Count rows, but not beyond `MOST_COUNTED`: what is longer than that is long."""
    same = model.status == literal(status, literal_execute=True)
    counted = select(model.id).where(same, *which).limit(MOST_COUNTED).subquery()
    return session.scalar(select(func.count(counted.c.id))) or 0


def oldest_due(session: Session, model: type[Claimable]) -> float:
    """Return for how many seconds the row that has waited longest has been due; 0 when none is."""
    waits = model.status == literal(PENDING, literal_execute=True)
    first = session.scalar(select(func.min(model.due)).where(waits))
    return max(0.0, (database_now(session) - first).total_seconds()) if first else 0.0


def _of_plugins(session: Session) -> Iterator[Metric]:
    loaded = frozenset(registry().manifests)
    families: dict[str, Metric] = {}
    for plugin, figure in dispatch.collect_items_inside(session, "figures", Figure, loaded):
        name = f"citaplanner_{plugin}_{figure.name}"
        family = families.get(name) or Metric(name, figure.help, figure.kind)
        families[name] = family
        family.add_sample(name + ("_total" if figure.kind == "counter" else ""), dict(figure.labels), figure.value)
    yield from families.values()


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
