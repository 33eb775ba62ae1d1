"""`citaplanner notifications send|why|retry`."""

from dataclasses import asdict
from typing import Any

import click

from citaplanner_core.cli.common import Failure, in_app, json_option, report, tenant_id, tenant_option
from citaplanner_core.database import work
from citaplanner_core.notifications import service


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
@tenant_option
@click.option("--appointment", "appointment_id", type=int, required=True)
@json_option
@in_app()
def why(slug: str, appointment_id: int, as_json: bool) -> None:
    """Show everything sent, waiting and not sent for an appointment, with the reasons."""
    with work(tenant_id(slug), write=False) as session:
        entries = service.timeline(session, appointment_id)
    lines = [
        f"{entry['at']:%Y-%m-%d %H:%M} UTC  {entry['what']}" + (f"  ({entry['why']})" if entry["why"] else "")
        for entry in entries
    ] or ["nothing is known of this appointment"]
    report(entries, lines, as_json=as_json)


@notifications.command()
@tenant_option
@click.argument("notification_id", type=int)
@in_app()
def retry(slug: str, notification_id: int) -> None:
    """Send a failed or skipped notification again."""
    try:
        with work(tenant_id(slug)) as session:
            again = service.retry(session, notification_id).id
    except service.NotificationRefused as error:
        raise Failure(str(error)) from None
    click.echo(f"notification {again} waits")


COMMANDS: tuple[Any, ...] = (notifications,)
