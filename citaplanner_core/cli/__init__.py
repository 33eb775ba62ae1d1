"""The `citaplanner` command: exit 0 good, 1 failed, 2 wrong use; a failure is one plain line, never a traceback."""

import os
import sys
from collections.abc import Sequence

import click

from citaplanner_core.cli.common import Failure, full_app, open_app
from citaplanner_core.config import ConfigError
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.migrations import MigrationFailed, NotReady
from citaplanner_core.hooks.registry import PluginError
from citaplanner_core.hooks.settings import SettingsError

EXPECTED = (Failure, ConfigError, PluginError, MigrationFailed, NotReady, SettingsError)


class Commands(click.Group):
    """The core's commands, then those of the plugins in CITAPLANNER_PLUGINS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_plugin_commands(quiet=True)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        core = super().get_command(ctx, cmd_name)
        if core is not None:
            return core
        found = _plugin_commands(quiet=False).get(cmd_name)
        if found is not None:
            ctx.with_resource(open_app())
        return found


def _plugin_commands(*, quiet: bool) -> dict[str, click.Command]:
    try:
        with full_app().app_context():
            found = dispatch.collect_items("commands", click.Command)
    except EXPECTED:
        if quiet:
            return {}
        raise
    return {str(command.name): command for _, command in found}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citaplanner")
def commands() -> None:
    """CitaPlanner: books appointments, and tells and understands clients through plugins."""


def _register() -> None:
    from citaplanner_core.cli import clients, data, doctor, feeds, importing, notifications, plugins, serve

    for command in (
        *clients.COMMANDS,
        *data.COMMANDS,
        *doctor.COMMANDS,
        *feeds.COMMANDS,
        *importing.COMMANDS,
        *notifications.COMMANDS,
        *plugins.COMMANDS,
        *serve.COMMANDS,
    ):
        commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    _register()
    try:
        code = commands.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EXPECTED as error:
        click.echo(f"citaplanner: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
