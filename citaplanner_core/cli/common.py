"""What several commands need: the app, the tenant named on the command line, output for people and for programs."""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from flask import Flask
from sqlalchemy import select

from citaplanner_core.app import create_app
from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import close_database, system_work
from citaplanner_core.hooks.migrations import CORE, current, require_ready


class Failure(Exception):
    """A command could not do its work; the text is for the operator."""


@functools.cache
def full_app() -> Flask:
    """Return the app with the listed plugins loaded, one per process."""
    return create_app()


@functools.cache
def maintenance_app() -> Flask:
    """Return the app with no plugin imported, for what must work when a plugin is broken."""
    return create_app(load_plugins=False)


@contextlib.contextmanager
def open_app() -> Iterator[None]:
    """Open the context of the app with plugins, for as long as a command runs."""
    with full_app().app_context():
        try:
            yield
        finally:
            close_database()


def in_app(*, maintenance: bool = False, ready: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a command inside the app's context; `ready` = only on a migrated database."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            app = maintenance_app() if maintenance else full_app()
            with app.app_context():
                try:
                    if ready and maintenance and current(CORE) is None:
                        raise Failure("the database has no tables yet: run `citaplanner migrate`")
                    if ready and not maintenance:
                        require_ready()
                    return function(*args, **kwargs)
                finally:
                    close_database()

        return run

    return decorate


def tenant_id(slug: str) -> int:
    """Return the id of the tenant with this slug; raise `Failure` naming those that exist."""
    with system_work("the operator names a tenant") as session:
        found = session.scalar(select(Tenant.id).where(Tenant.slug == slug))
        if found is None:
            known = ", ".join(session.scalars(select(Tenant.slug).order_by(Tenant.slug).limit(20))) or "none"
            raise Failure(f"there is no tenant {slug!r}; known: {known}")
        return found


def require_go_ahead(counts: Mapping[str, int], *, yes: bool) -> None:
    """Say what leaves in the next 48 hours, and go on only when the operator agrees; nothing to say is agreement.

    `counts` is by type, see `notifications.policy.upcoming`. Where nobody can be asked, refuses (exit 2).
    """
    if not counts:
        return
    listed = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    click.echo(f"{sum(counts.values())} messages will leave in the next 48 hours: {listed}", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: look at the number above, then say --yes")
    click.confirm("Go on?", abort=True, err=True)


def report(value: Any, lines: list[str], *, as_json: bool) -> None:
    """Print lines for people, or the value as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str) if as_json else "\n".join(lines))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
tenant_option = click.option("--tenant", "slug", required=True, metavar="T", help="The tenant's short name.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask before messages leave.")
