"""`citaplanner notifications send|why|retry|upcoming|rules`."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import BookingError
from citaplanner_core.booking.models import Appointment, Tenant
from citaplanner_core.cli.common import (
    Failure,
    in_app,
    json_option,
    report,
    require_go_ahead,
    tenant_id,
    tenant_option,
    yes_option,
)
from citaplanner_core.database import system_work, work
from citaplanner_core.notifications import policy, repeats, replanning, rules, service, timeline
from citaplanner_core.notifications.catalogue import languages
from citaplanner_core.notifications.models import Notification


@click.group()
def notifications() -> None:
    """Send, explain and repeat notifications."""


@notifications.command()
@tenant_option
@click.option("--type", "kind", required=True, help="Such as PROMOTION or PAYMENT_REMINDER.")
@click.option("--recipient", "recipient_id", type=int, required=True, help="The client's id.")
@click.option("--channel", help="Such as chatwoot or email; unset = the client's preferred one.")
@click.option("--message", help="The text; unset = the type's own template.")
@click.option("--appointment", "appointment_id", type=int)
@click.option("--key", "idempotency_key", help="The same key never sends twice.")
@click.option("--wait", type=float, default=0, show_default=True, help="Seconds to wait until it is settled.")
@json_option
@in_app()
def send(slug: str, kind: str, as_json: bool, **given: Any) -> int:
    """Accept a notification for a client."""
    try:
        result = service.send_notification(type=kind, tenant_id=tenant_id(slug), **given)
    except service.NotificationRefused as error:
        raise Failure(str(error)) from None
    line = f"notification {result.notification_id}: {result.status}" + (f" ({result.error})" if result.error else "")
    report(asdict(result), [line], as_json=as_json)
    return 0 if result.success else 1


@notifications.command()
@click.argument("notification_id", type=int, required=False)
@click.option("--appointment", "appointment_id", type=int, help="Everything about an appointment instead.")
@click.option("--tenant", "slug", metavar="T", help="Only look at this tenant's.")
@click.option("--language", type=click.Choice(languages()), help="Of the words; unset = the tenant's.")
@json_option
@in_app()
def why(
    notification_id: int | None, appointment_id: int | None, slug: str | None, language: str | None, as_json: bool
) -> None:
    """Tell why a notification was sent or not: what was tried, what came of it, and the cure."""
    if (notification_id is None) == (appointment_id is None):
        raise click.UsageError("give the ID of a notification, or --appointment ID")
    tenant = _owner(Notification if appointment_id is None else Appointment, notification_id or appointment_id, slug)
    scope = (
        timeline.of_appointment(appointment_id)
        if appointment_id is not None
        else timeline.of_notification(notification_id or 0)
    )
    with work(tenant, write=False) as session:
        zone = ZoneInfo(session.get_one(Tenant, tenant).zone)
        entries = list(timeline.read_all(session, scope, language=language))
    lines = [f"({zone.key})", *(line for entry in entries for line in _lines(entry, zone))]
    report([asdict(entry) for entry in entries], lines, as_json=as_json)


def _owner(model: type[Notification | Appointment], row_id: int | None, slug: str | None) -> int:
    tenant = None if slug is None else tenant_id(slug)
    with system_work("whose the row is that the operator names") as session:
        found = session.scalar(select(model.tenant_id).where(model.id == row_id))
    if found is None or tenant not in (None, found):
        raise Failure(f"there is no {model.__tablename__} {row_id}" + (f" of {slug}" if slug else ""))
    return found


def _lines(entry: timeline.Entry, zone: ZoneInfo) -> Iterator[str]:
    yield f"{entry.at.astimezone(zone):%Y-%m-%d %H:%M:%S}  {entry.what}"
    for mark, text in (("?", entry.why), ("!", entry.detail), (">", entry.cure), ("|", entry.text)):
        for line in (text or "").splitlines():
            yield f"    {mark} {line}" + (f"  [{entry.reason}]" if mark == "?" and entry.reason else "")


@notifications.command()
@tenant_option
@click.argument("notification_id", type=int)
@in_app()
def retry(slug: str, notification_id: int) -> None:
    """Send a failed or skipped notification again."""
    try:
        with work(tenant_id(slug)) as session:
            again = repeats.retry(session, notification_id).id
    except service.NotificationRefused as error:
        raise Failure(str(error)) from None
    click.echo(f"notification {again} waits")


@notifications.command()
@tenant_option
@click.option("--hours", type=click.IntRange(1), default=policy.UPCOMING_HOURS, show_default=True)
@json_option
@in_app()
def upcoming(slug: str, hours: int, as_json: bool) -> None:
    """Show how many notifications wait to leave soon, by type."""
    with work(tenant_id(slug), write=False) as session:
        counts = policy.upcoming(session, hours)
    lines = [f"{number:6} {kind}" for kind, number in counts.items()] or [f"nothing leaves within {hours} hours"]
    report(counts, lines, as_json=as_json)


@notifications.command("rules")
@tenant_option
@click.option("--on", "on", multiple=True, metavar="NAME", help="Switch a rule on; appointments to come follow it.")
@click.option("--off", "off", multiple=True, metavar="NAME", help="Switch a rule off; what it planned is taken back.")
@yes_option
@json_option
@in_app()
def switch_rules(slug: str, on: tuple[str, ...], off: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Show a tenant's rules, after switching some; asks first when messages would leave soon."""
    tenant = tenant_id(slug)
    switches = dict.fromkeys(on, True) | dict.fromkeys(off, False)
    try:
        if on:
            require_go_ahead(_would_leave(tenant, switches), yes=yes)
        with work(tenant) as session:
            _switch(session, switches)
            if switches:
                replanning.request_replan(session)
            found = rules.list_rules(session)
            active = rules.active_rules(session)
    except BookingError as error:
        raise Failure(str(error)) from None
    lines = [f"{'on ' if rule.name in active else 'off'} {rule.name:16} {rule.type}" for rule in found]
    report([asdict(rule) | {"active": rule.name in active} for rule in found], lines, as_json=as_json)


def _switch(session: Session, switches: Mapping[str, bool]) -> None:
    known = {rule.name: rule for rule in rules.list_rules(session)}
    for name, enabled in switches.items():
        if name not in known:
            raise Failure(f"there is no rule {name!r}; known: {', '.join(known)}")
        rules.save_rule(session, replace(known[name], enabled=enabled))


class _Undone(Exception):
    """Takes back what was only tried."""


def _would_leave(tenant: int, switches: Mapping[str, bool]) -> dict[str, int]:
    counts: dict[str, int] = {}
    with contextlib.suppress(_Undone), work(tenant) as session:
        before = policy.upcoming(session)
        _switch(session, switches)
        replanning.replan_all(session)
        after = policy.upcoming(session)
        counts = {kind: more for kind in after if (more := after[kind] - before.get(kind, 0)) > 0}
        raise _Undone
    return counts


COMMANDS: tuple[Any, ...] = (notifications,)
