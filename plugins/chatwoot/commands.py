"""`citaplanner chatwoot …`: connecting a real Chatwoot, looking at the connection, bringing contacts up to date."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from citaplanner_core.database import work
from citaplanner_core.hooks import settings
from plugins.chatwoot import accounts, catch_up, connect, full_sync, inspection
from plugins.chatwoot.api import ChatwootError
from plugins.chatwoot.connect import Step, Wish
from plugins.chatwoot.full_sync import Totals
from plugins.chatwoot.options import branch_option, find_branch, find_tenant, json_option, ready, tenant_option
from plugins.chatwoot.template_commands import templates

TOKEN_VARIABLE = accounts.VARIABLES["access_token"]


def show(steps: Iterable[Step], *, as_json: bool) -> int:
    """Print each step as it is done, or all as JSON; return 1 when one failed."""
    done = []
    for step in steps:
        done.append(step)
        if not as_json:
            click.echo(f"{'ok' if step.ok else 'FAILED':7} {step.name:11} {step.detail}")
    if as_json:
        click.echo(json.dumps([asdict(step) for step in done], ensure_ascii=False))
    return 0 if all(step.ok for step in done) else 1


@click.group()
def chatwoot() -> None:
    """Connect a tenant to Chatwoot, and look after the connection."""


chatwoot.add_command(templates)


@chatwoot.command("connect")
@tenant_option
@branch_option
@click.option("--url", required=True, help="Chatwoot's address, such as https://app.chatwoot.com.")
@click.option("--account", "account_id", required=True, type=int, help="The number after /accounts/ in its address.")
@click.option("--inbox", "inbox_id", required=True, type=int, help="The number after /inbox/ in its address.")
@click.option(
    "--trust",
    type=click.Choice(("proven", "claimed")),
    help="Whether the inbox vouches for who writes: proven for an API inbox that a WhatsApp bridge feeds.",
)
@json_option
@ready
def connect_command(
    slug: str,
    branch: str | None,
    url: str,
    account_id: int,
    inbox_id: int,
    trust: Literal["proven", "claimed"] | None,
    as_json: bool,
) -> int:
    """Connect an account and inbox; may be repeated.

    The token is taken from CHATWOOT_API_ACCESS_TOKEN, else asked for: it is on the profile page of an administrator.
    """
    tenant_id = find_tenant(slug)
    branch_id = find_branch(tenant_id, branch)
    token = os.environ.get(TOKEN_VARIABLE, "").strip() or click.prompt("Token", hide_input=True, err=True)
    wish = Wish(
        tenant_id=tenant_id,
        branch_id=branch_id,
        base_url=url,
        account_id=account_id,
        inbox_id=inbox_id,
        access_token=str(token),
        trust=trust,
    )
    return show(connect.connect(wish), as_json=as_json)


@chatwoot.command()
@tenant_option
@branch_option
@json_option
@ready
def disconnect(slug: str, branch: str | None, as_json: bool) -> int:
    """Take the webhook out of Chatwoot and forget token and secrets; links to contacts stay."""
    tenant_id = find_tenant(slug)
    return show(connect.disconnect(tenant_id, find_branch(tenant_id, branch)), as_json=as_json)


@chatwoot.command()
@tenant_option
@branch_option
@json_option
@ready
def check(slug: str, branch: str | None, as_json: bool) -> int:
    """Try the account that serves a tenant or branch: address, token, account, inbox."""
    tenant_id = find_tenant(slug)
    branch_id = find_branch(tenant_id, branch)
    try:
        with work(tenant_id, write=False) as session:
            account = accounts.effective(session, branch_id)
        with inspection.opened(account) as api:
            found = inspection.inspect(api, account.base_url, account.account_id, account.inbox_id)
    except accounts.IncompleteAccount as error:
        return show([Step("account", False, str(error))], as_json=as_json)
    except inspection.Problem as problem:
        return show([Step(connect.STEP_OF[problem.field], False, problem.english)], as_json=as_json)
    steps = [Step("address", True, f"{account.base_url} is a Chatwoot {found.version}")]
    if found.administrator:
        steps.append(Step("account", True, f"{found.user} is an administrator of account {account.account_id}"))
    else:
        detail = f"{found.user} is no administrator of account {account.account_id}: only one can set up the webhook"
        steps.append(Step("account", False, detail))
    steps.append(Step("inbox", True, connect.about_inbox(account, found.inbox)))
    return show(steps, as_json=as_json)


@chatwoot.command()
@tenant_option
@json_option
@ready
def sync(slug: str, as_json: bool) -> int:
    """Bring the contacts of all clients up to date; Ctrl-C stops it, the same command goes on there."""
    tenant_id = find_tenant(slug)
    columns = (TextColumn("clients"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = as_json or not sys.stderr.isatty()
    try:
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
            task = bar.add_task("clients", total=None)

            def progress(totals: Totals) -> None:
                bar.update(task, completed=totals.done, total=totals.total)

            totals = full_sync.sync_all(tenant_id, progress)
    except KeyboardInterrupt:
        raise click.ClickException("stopped; the same command goes on from here") from None
    except accounts.IncompleteAccount as error:
        raise click.ClickException(str(error)) from None
    except ChatwootError as error:
        raise click.ClickException(f"{error}; the same command goes on from here") from None
    result = {name: getattr(totals, name) for name in ("total", "synced", "skipped", "errors")}
    if as_json:
        click.echo(json.dumps(result))
    else:
        resumed = " (an interrupted run was finished)" if totals.resumed else ""
        click.echo(f"{', '.join(f'{name} {number}' for name, number in result.items())}{resumed}")
    return 1 if totals.errors else 0


@chatwoot.command("catch-up")
@tenant_option
@json_option
@ready
def catch_up_command(slug: str, as_json: bool) -> int:
    """Look for messages whose webhooks never came; the worker does so every few minutes."""
    try:
        totals = catch_up.catch_up(find_tenant(slug))
    except ChatwootError as error:
        raise click.ClickException(f"{error}; the same command goes on from here") from None
    if as_json:
        click.echo(json.dumps(asdict(totals)))
    else:
        more = "" if totals.finished else "; there is more: the same command goes on from here"
        click.echo(
            f"{totals.conversations} conversations, {totals.known} messages known, {totals.recovered} recovered{more}"
        )
    return 0


@chatwoot.group()
def config() -> None:
    """The configuration in force."""


@config.command("show")
@tenant_option
@branch_option
@json_option
@ready
def show_config(slug: str, branch: str | None, as_json: bool) -> int:
    """Show each value and where it comes from; the token masked."""
    tenant_id = find_tenant(slug)
    branch_id = find_branch(tenant_id, branch)
    with work(tenant_id, write=False) as session:
        found, enabled = accounts.layers(session, branch_id)
        values, sources = accounts.merge(found)
        switched = settings.read(session, "chatwoot").sources["enabled"]
    values["access_token"] = masked(values["access_token"])
    rows: dict[str, dict[str, Any]] = {
        name: {"value": values[name], "source": sources.get(name)} for name in accounts.FIELDS
    }
    rows["inbox_trust"] = {"value": values["inbox_trust"], "source": None}
    rows["enabled"] = {"value": enabled, "source": switched}
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
    else:
        for name, row in rows.items():
            value = "missing" if row["value"] is None else row["value"]
            click.echo(f"{name:13} {value!s:40} {row['source'] or ''}".rstrip())
    return 0 if all(values[name] is not None for name in accounts.FIELDS) else 1


def masked(token: str | None) -> str | None:
    """Return a token so that one can recognise it, but not use it."""
    if token is None:
        return None
    return f"…{token[-4:]}" if len(token) >= 16 else "…"


@chatwoot.command()
@click.option("--port", type=int, required=True, help="0 takes any free port.")
def sandbox(port: int) -> int:
    """Run the stand-in Chatwoot server on this machine, for trying things out."""
    from plugins.chatwoot.sandbox.__main__ import main  # never loaded otherwise

    return main(["--port", str(port)])
