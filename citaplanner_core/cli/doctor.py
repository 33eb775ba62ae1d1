"""`citaplanner doctor`: looks at everything this deployment stands on, and names the cure of what is wrong."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import Any, Literal

import click
from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Tenant
from citaplanner_core.cli.common import full_app, json_option, report
from citaplanner_core.config import Config
from citaplanner_core.crypto import UndecipherableSecret
from citaplanner_core.database import close_database, database_now, db, system_work, utcnow
from citaplanner_core.hooks import dispatch, migrations
from citaplanner_core.hooks.models import PluginSetting
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import HealthCheck
from citaplanner_core.jobs.heartbeat import alive_workers
from citaplanner_core.jobs.models import Job
from citaplanner_core.notifications.models import FAILED, SETTLED, ChannelState, Notification
from citaplanner_core.web.metrics import oldest_due

LATE_SECONDS = 300
CLOCK_NOTICED, CLOCK_WRONG = 2, 60
WIDE_V4, WIDE_V6 = 8, 32
STORED_SECRETS = 200
MOST_CHANNELS = 50

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found: `cure` says what to do when it is not `ok`. Only a `problem` makes the command fail."""

    name: str
    state: State
    detail: str
    cure: str | None = None


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Say what is well and what is wrong with this deployment, and the cure; exit 1 when something is wrong."""
    try:
        app = full_app()
    except Exception as error:
        return _show([Finding("configuration", "problem", str(error), "correct it and ask again")], as_json)
    with app.app_context():
        try:
            return _show(list(_examine()), as_json)
        finally:
            close_database()


def _show(found: list[Finding], as_json: bool) -> int:
    marks = {"ok": "ok", "warning": "note", "problem": "WRONG"}
    lines = []
    for one in found:
        lines.append(f"{marks[one.state]:5}  {one.name}: {one.detail}")
        if one.cure:
            lines.append(f"       > {one.cure}")
    wrong = any(one.state == "problem" for one in found)
    value = {"healthy": not wrong, "findings": [asdict(one) for one in found]}
    report(value, [*lines, "something is wrong" if wrong else "all is well"], as_json=as_json)
    return 1 if wrong else 0


def _examine() -> Iterator[Finding]:
    config: Config = current_app.config["CITAPLANNER"]
    yield from _settings(config)
    try:
        with system_work("doctor") as session:
            version = session.scalar(select(text("sqlite_version()" if _on_sqlite() else "version()")))
    except Exception as error:
        yield Finding(
            "database",
            "problem",
            f"cannot be reached: {type(error).__name__}",
            "see that the server runs, and that CITAPLANNER_DATABASE_URL names it",
        )
        return
    kind = f"SQLite {version}, for a trial or one small machine" if _on_sqlite() else str(version).split(" on ")[0]
    yield Finding("database", "ok", kind)
    schemas = list(_schemas())
    yield from schemas
    if any(one.state == "problem" for one in schemas):
        return
    for look in (_secrets, _clock, _workers, _late, _channels, _failures):
        with system_work("doctor") as session:
            yield from look(session)
    yield from _plugins()


def _on_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


def _settings(config: Config) -> Iterator[Finding]:
    if not config.secret_key:
        yield Finding(
            "secret key",
            "warning",
            "made in the instance folder; if that is lost, the providers' tokens in the database cannot be read (every"
            " tenant must connect again), everybody is signed out and sent links to pages with a login end",
            "copy it into CITAPLANNER_SECRET_KEY and keep it with your other secrets",
        )
    else:
        yield Finding(
            "secret key",
            "ok",
            "from CITAPLANNER_SECRET_KEY; without it the providers' tokens in the database cannot be read",
        )
    here = not config.public_url
    if here or not config.public_url.startswith("https://"):
        yield Finding(
            "public address",
            "warning",
            f"links and webhooks use {config.base_url}" + (", which only this machine reaches" if here else ""),
            "set CITAPLANNER_PUBLIC_URL to the https:// address clients and providers use",
        )
    else:
        yield Finding("public address", "ok", config.base_url)
    if config.delivery == "live":
        yield Finding("delivery", "ok", "live")
    else:
        yield Finding(
            "delivery",
            "warning",
            f"CITAPLANNER_DELIVERY is {config.delivery}: not everything is sent",
            "right for a copy; in production set it to live",
        )
    wide = [host for host in config.allowed_private_hosts if _is_wide(host)]
    if wide:
        yield Finding(
            "private hosts",
            "warning",
            f"{', '.join(wide)} lets tenants' settings reach nearly everything on your network",
            "name single hosts or small networks in CITAPLANNER_ALLOWED_PRIVATE_HOSTS",
        )
    else:
        yield Finding("private hosts", "ok", ", ".join(config.allowed_private_hosts) or "none may be reached")


def _is_wide(host: str) -> bool:
    try:
        network = ip_network(host, strict=False)
    except ValueError:
        return False
    return network.prefixlen <= (WIDE_V4 if network.version == 4 else WIDE_V6)


def _schemas() -> Iterator[Finding]:
    for owner in (migrations.CORE, *registry().manifests):
        if owner != migrations.CORE and not registry().manifests[owner].migrations:
            continue
        have, want = migrations.current(owner), migrations.heads(owner)
        if have == want:
            yield Finding(f"schema of {owner}", "ok", str(have))
        else:
            newer = have is not None and not migrations.is_known(owner, have)
            yield Finding(
                f"schema of {owner}",
                "warning" if newer else "problem",
                f"the database has {have or 'none'}, the code needs {want}",
                "bring the code up to date" if newer else "run `citaplanner migrate`",
            )


def _secrets(session: Session) -> Iterator[Finding]:
    ids = session.scalars(
        select(PluginSetting.id).where(PluginSetting.secret.is_not(None)).order_by(PluginSetting.id.desc())
    )
    closed = 0
    for row_id in ids.fetchmany(STORED_SECRETS):
        try:
            session.scalar(select(PluginSetting.secret).where(PluginSetting.id == row_id))
        except UndecipherableSecret:
            closed += 1
    if closed:
        yield Finding(
            "stored secrets",
            "problem",
            f"{closed} cannot be read: they were written with a key that is not in CITAPLANNER_SECRET_KEY",
            "put the old key behind the new one, comma between, or type the tokens in again",
        )
    else:
        yield Finding("stored secrets", "ok", "all can be read")


def _clock(session: Session) -> Iterator[Finding]:
    if _on_sqlite():
        yield Finding("clock", "ok", "database and program share this machine's")
        return
    before = utcnow()
    difference = (database_now(session) - before - (utcnow() - before) / 2).total_seconds()
    state: State = "ok"
    if abs(difference) >= CLOCK_NOTICED:
        state = "problem" if abs(difference) >= CLOCK_WRONG else "warning"
    detail = f"the database's is {difference:+.1f} s from this machine's"
    yield Finding("clock", state, detail, "keep both in time, such as with chrony" if state != "ok" else None)


def _workers(session: Session) -> Iterator[Finding]:
    alive = alive_workers(session)
    if alive:
        yield Finding("worker", "ok", f"{alive} alive")
    else:
        yield Finding(
            "worker",
            "problem",
            "no worker has been seen lately, nothing is sent",
            "start `citaplanner worker`, or `citaplanner run` for web and worker together",
        )


def _late(session: Session) -> Iterator[Finding]:
    for name, model in (("notifications", Notification), ("jobs", Job)):
        late = oldest_due(session, model)
        if late < LATE_SECONDS:
            yield Finding(f"waiting {name}", "ok", "none is late")
        else:
            yield Finding(
                f"waiting {name}",
                "problem",
                f"the oldest should have been taken {late / 60:.0f} minutes ago",
                "see that workers run and log no errors; more work than they manage needs more of them",
            )


def _channels(session: Session) -> Iterator[Finding]:
    rows = session.execute(
        select(Tenant.slug, ChannelState.channel, ChannelState.reason)
        .join(Tenant, Tenant.id == ChannelState.tenant_id)
        .where(ChannelState.open_until.is_not(None), ChannelState.reason != "limited", Tenant.active)
        .order_by(Tenant.slug, ChannelState.channel)
        .limit(MOST_CHANNELS)
    ).all()
    for slug, channel, reason in rows:
        plugin = dispatch.channels().get(channel, (channel, None))[0] or channel
        yield Finding(
            f"channel {channel} of {slug}",
            "problem",
            f"does not work ({reason}); its messages wait or take another channel",
            f"see `citaplanner plugins check {plugin} --tenant {slug}`",
        )
    if not rows:
        yield Finding("channels", "ok", "none is held")


def _failures(session: Session) -> Iterator[Finding]:
    """Of the last hour, by reason."""
    rows = session.execute(
        select(Notification.reason, func.count(Notification.id))
        .where(SETTLED, Notification.changed_at > utcnow() - timedelta(hours=1), Notification.status == FAILED)
        .group_by(Notification.reason)
        .order_by(func.count(Notification.id).desc())
    ).all()
    if rows:
        detail = ", ".join(f"{reason or 'unknown'} {count}" for reason, count in rows)
        cure = "ask `citaplanner notifications why ID`, and `citaplanner plugins check NAME --tenant T`"
        yield Finding("failed in the last hour", "warning", detail, cure)
    else:
        yield Finding("failed in the last hour", "ok", "none")


def _plugins() -> Iterator[Finding]:
    for name, item in dispatch.collect_items("health_checks", HealthCheck):
        said = _run(item.run)
        yield Finding(f"{name}: {item.name}", "problem" if said else "ok", said or "well")
    for (plugin, hook), trouble in registry().troubles.items():
        yield Finding(
            f"{plugin}: {hook}",
            "problem",
            trouble.error,
            "tell its author, or take it out of CITAPLANNER_PLUGINS; what it did in the web process is at /readyz",
        )


def _run(look: Callable[[], str | None]) -> str | None:
    try:
        return look()
    except Exception as error:
        return f"the check itself failed: {type(error).__name__}"


COMMANDS: tuple[Any, ...] = (doctor,)
