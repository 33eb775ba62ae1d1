"""`citaplanner clients …`: what one person may ask for."""

import json
from typing import Any

import click

from citaplanner_core.booking.errors import BookingError
from citaplanner_core.cli.common import Failure, in_app, tenant_id, tenant_option
from citaplanner_core.database import work
from citaplanner_core.web.personal_data import erase_client, export_client


@click.group()
def clients() -> None:
    """One client's data."""


@clients.command("export")
@click.argument("client_id", type=int)
@tenant_option
@in_app()
def export(client_id: int, slug: str) -> None:
    """Print all that is kept of a client, by the core and by plugins, as one JSON document."""
    try:
        with work(tenant_id(slug), write=False) as session:
            document = export_client(session, client_id)
    except BookingError as error:
        raise Failure(str(error)) from None
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


@clients.command("erase")
@click.argument("client_id", type=int)
@tenant_option
@click.option("--yes", is_flag=True, help="Do not ask; where nobody can be asked it is needed.")
@in_app()
def erase(client_id: int, slug: str, yes: bool) -> None:
    """Remove all that says who a client was. Their appointments stay, nameless; it cannot be undone."""
    try:
        if not yes:
            click.confirm(f"Erase client {client_id} for good?", abort=True, err=True)
        with work(tenant_id(slug)) as session:
            erase_client(session, client_id)
    except BookingError as error:
        raise Failure(str(error)) from None
    click.echo(f"client {client_id} erased")


COMMANDS: tuple[Any, ...] = (clients,)
