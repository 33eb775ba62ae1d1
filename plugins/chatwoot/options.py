"""What the commands of `citaplanner chatwoot` share: their options, and whom these name."""

import functools
from collections.abc import Callable
from typing import Any

import click
from sqlalchemy import select

from citaplanner_core.booking.models import Branch, Tenant
from citaplanner_core.database import system_work, work
from citaplanner_core.hooks.migrations import require_ready

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
tenant_option = click.option("--tenant", "slug", required=True, metavar="T", help="The tenant's short name.")
branch_option = click.option("--branch", metavar="B", help="One of its branches, by name or number.")


def ready(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command on a migrated database only. The core has opened the app's context."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        require_ready()
        return function(*args, **kwargs)

    return run


def find_tenant(slug: str) -> int:
    """Return the id of the tenant with this short name; end the command when there is none."""
    with system_work("the operator names a tenant") as session:
        found = session.scalar(select(Tenant.id).where(Tenant.slug == slug))
        if found is None:
            known = ", ".join(session.scalars(select(Tenant.slug).order_by(Tenant.slug).limit(20))) or "none"
            raise click.ClickException(f"there is no tenant {slug!r}; known: {known}")
        return found


def find_branch(tenant_id: int, text: str | None) -> int | None:
    """Return the id of a branch given by name or number, None for None; end the command when there is none."""
    if text is None:
        return None
    with work(tenant_id, write=False) as session:
        branches = {branch.id: branch.name for branch in session.scalars(select(Branch).order_by(Branch.id))}
    for branch_id, name in branches.items():
        if text in (str(branch_id), name):
            return branch_id
    known = ", ".join(f"{branch_id} {name}" for branch_id, name in branches.items())
    raise click.ClickException(f"there is no branch {text!r}; known: {known}")
