"""`citaplanner feeds …`: professionals' appointments in their own calendars."""

from typing import Any

import click

from citaplanner_core.booking.errors import BookingError
from citaplanner_core.cli.common import Failure, in_app, tenant_id, tenant_option
from citaplanner_core.database import work
from citaplanner_core.web.feeds import make_feed, revoke_feed


@click.group()
def feeds() -> None:
    """Secret addresses at which a calendar program reads a professional's appointments."""


@feeds.command("create")
@click.argument("professional_id", type=int)
@tenant_option
@in_app()
def create(professional_id: int, slug: str) -> None:
    """Make an address and print it once; the one before stops working."""
    try:
        with work(tenant_id(slug)) as session:
            url = make_feed(session, professional_id)
    except BookingError as error:
        raise Failure(str(error)) from None
    click.echo(url)


@feeds.command("revoke")
@click.argument("professional_id", type=int)
@tenant_option
@in_app()
def revoke(professional_id: int, slug: str) -> None:
    """Take an address back."""
    try:
        with work(tenant_id(slug)) as session:
            revoke_feed(session, professional_id)
    except BookingError as error:
        raise Failure(str(error)) from None
    click.echo("revoked")


COMMANDS: tuple[Any, ...] = (feeds,)
