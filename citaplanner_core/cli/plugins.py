"""`citaplanner migrate`, `citaplanner plugins …`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from flask import current_app

from citaplanner_core.cli import skeleton
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
from citaplanner_core.database import work
from citaplanner_core.hooks import dispatch, lifecycle, migrations, settings
from citaplanner_core.hooks.registry import discover, registry, resolve
from citaplanner_core.notifications.policy import upcoming


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when a schema is behind.")
@in_app(maintenance=True, ready=False)
def migrate(check: bool) -> int:
    """Bring the core's tables, then those of the plugins in CITAPLANNER_PLUGINS, to their newest state."""
    names = [manifest.name for manifest in resolve(current_app.config["CITAPLANNER"].plugins or (), discover())]
    if not check:
        for line in lifecycle.migrate_all(names):
            click.echo(line)
        return 0
    behind = 0
    for owner in (migrations.CORE, *names):
        manifest = discover()[owner].manifest if owner != migrations.CORE else None
        if manifest and not manifest.migrations:
            continue
        have, want = migrations.current(owner), migrations.heads(owner)
        behind += have != want
        click.echo(f"{owner}: has {have or 'none'}, code needs {want}")
    return 1 if behind else 0


@click.group()
def plugins() -> None:
    """Install, enable and look after plugins."""


@plugins.command("list")
@json_option
@in_app(maintenance=True)
def list_plugins(as_json: bool) -> None:
    """Show every plugin offered here or left in the database."""
    found = lifecycle.statuses()
    lines = [
        f"{s.name:12} {s.version:8} {s.state:14} {'listed' if s.listed else 'not listed':11} {s.title}"
        + (f"  ({s.note})" if s.note else "")
        for s in found
    ] or ["no plugins here"]
    report([asdict(status) for status in found], lines, as_json=as_json)


@plugins.command()
@click.argument("name")
@in_app(maintenance=True)
def install(name: str) -> None:
    """Put a plugin's tables into the database."""
    click.echo("\n".join(lifecycle.install(name)))


@plugins.command()
@click.argument("name")
@in_app(maintenance=True)
def upgrade(name: str) -> None:
    """Bring an installed plugin's tables to their newest state."""
    click.echo("\n".join(lifecycle.upgrade(name)))


@plugins.command()
@click.argument("name")
@click.option("--keep-data/--drop-data", "keep", default=None, help="Whether its tables and settings stay.")
@click.option("--yes", is_flag=True, help="Drop without asking.")
@in_app(maintenance=True)
def uninstall(name: str, keep: bool | None, yes: bool) -> None:
    """Take a plugin out. Say --keep-data or --drop-data."""
    if keep is None:
        raise click.UsageError("say --keep-data or --drop-data")
    if not keep:
        for table, count in lifecycle.rows_to_drop(name).items():
            click.echo(f"  {table}: {count} rows")
        if not yes:
            click.confirm("Drop all of this for good?", abort=True)
    click.echo("\n".join(lifecycle.uninstall(name, drop_data=not keep)))


@plugins.command()
@click.argument("name")
@tenant_option
@yes_option
@in_app()
def enable(name: str, slug: str, yes: bool) -> None:
    """Switch a plugin on for a tenant; asks first when messages would leave soon."""
    tenant = tenant_id(slug)
    manifest = registry().manifests.get(name)
    if manifest is not None and manifest.channels:
        with work(tenant, write=False) as session:
            off = name not in dispatch.enabled_plugins(session)
            counts = upcoming(session) if off else {}
        require_go_ahead(counts, yes=yes)
    lifecycle.enable(name, tenant)
    click.echo(f"{name}: on for {slug}")


@plugins.command()
@click.argument("name")
@tenant_option
@in_app(maintenance=True)
def disable(name: str, slug: str) -> None:
    """Switch a plugin off for a tenant; its data and settings stay."""
    lifecycle.disable(name, tenant_id(slug))
    click.echo(f"{name}: off for {slug}")


@plugins.command()
@click.argument("name")
@tenant_option
@json_option
@in_app()
def check(name: str, slug: str, as_json: bool) -> int:
    """Try a plugin's settings of a tenant against the real provider."""
    if name not in registry().manifests:
        raise Failure(f"plugin {name!r} is not in CITAPLANNER_PLUGINS")
    found = lifecycle.check(name, tenant_id(slug))
    report(
        found, [f"{field}: {problem}" for field, problem in found.items()] or [f"{name}: all is well"], as_json=as_json
    )
    return 1 if found else 0


@plugins.command()
@click.argument("name")
def new(name: str) -> None:
    """Make ./NAME-plugin with a plugin that works at once, to start from."""
    if problem := skeleton.name_problem(name):
        raise click.BadParameter(f"{name!r} {problem}", param_hint="NAME")
    folder, made = Path(f"{name}-plugin"), skeleton.skeleton(name)
    try:
        skeleton.write(folder, made)
    except FileExistsError:
        raise Failure(f"{folder} exists already: nothing was written") from None
    except OSError as error:
        raise Failure(f"{folder} cannot be written: {error.strerror}") from None
    lines = [*(f"  {folder / place}" for place in made), *NEXT_STEPS]
    click.echo("\n".join(["made", *(line.format(name=name, folder=folder) for line in lines)]))


NEXT_STEPS = (
    "next",
    "  pip install -e ./{folder}",
    "  add {name} to CITAPLANNER_PLUGINS",
    "  citaplanner migrate",
    "  citaplanner plugins enable {name} --tenant T",
    "  python -m pytest {folder}",
)


@plugins.command("settings")
@click.argument("name")
@tenant_option
@click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="Empty takes it away; KEY alone asks, unseen.")
@json_option
@in_app()
def show_settings(name: str, slug: str, given: tuple[str, ...], as_json: bool) -> None:
    """Show a tenant's settings of a plugin and where each comes from, after changing some."""
    if name not in registry().manifests:
        raise Failure(f"plugin {name!r} is not in CITAPLANNER_PLUGINS")
    values = {}
    for text in given:
        key, equals, value = text.partition("=")
        values[key.strip()] = value if equals else click.prompt(key.strip(), hide_input=True)
    tenant = tenant_id(slug)
    if values:
        with work(tenant) as session:
            settings.write(session, name, values)
    with work(tenant, write=False) as session:
        found = settings.read(session, name)
    lines = [
        f"{key:16} {'' if value is None else value!s:40} {found.sources[key]}" for key, value in found.masked().items()
    ]
    report(found.masked(), lines or [f"{name} has no settings"], as_json=as_json)


COMMANDS: tuple[Any, ...] = (migrate, plugins)
