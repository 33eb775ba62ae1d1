"""`citaplanner import …`: what a business kept elsewhere."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from citaplanner_core.booking.errors import BookingError
from citaplanner_core.booking.importing import Outcome, import_clients
from citaplanner_core.cli.common import Failure, in_app, json_option, report, tenant_id, tenant_option
from citaplanner_core.database import work

SHOWN = 20
"""So many refused lines are printed for people; `--json` has all."""


class _Preview(Exception):
    """Ends the unit of work so that nothing is kept but what would have come of it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("a preview")
        self.outcome = outcome


@click.group("import")
def import_group() -> None:
    """Bring in what a business kept elsewhere. Nobody is written to."""


@import_group.command("clients")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@tenant_option
@click.option("--apply", "applies", is_flag=True, help="Write it; without, only what would be is shown.")
@json_option
@in_app()
def clients(file: Path, slug: str, applies: bool, as_json: bool) -> None:
    """Bring in clients from a table with a first line that names the columns (CSV: comma, semicolon or tab).

    All or nothing: it is one transaction. Lines with a mistake are left out and listed. The same file again makes no
    doubles: who is there, by phone and name, is filled up.
    """
    try:
        outcome = bring_in(tenant_id(slug), file.read_bytes(), applies=applies)
    except BookingError as error:
        raise Failure(str(error)) from None
    report({"applied": applies, **asdict(outcome)}, say(outcome, applies=applies), as_json=as_json)


def say(outcome: Outcome, *, applies: bool) -> list[str]:
    """Return what came of an import, or would, in lines for a person."""
    return [
        "columns: " + ", ".join(f"{name} = {what}" for name, what in outcome.columns.items()),
        *([f"columns that were not read: {', '.join(outcome.ignored)}"] if outcome.ignored else []),
        f"new: {outcome.added}  filled up: {outcome.completed}  there already: {outcome.unchanged}"
        f"  refused: {len(outcome.refused)}",
        *[f"  line {one.line}, {one.field}: {one.cure}" for one in outcome.refused[:SHOWN]],
        *([f"  … and {len(outcome.refused) - SHOWN} more: see --json"] if len(outcome.refused) > SHOWN else []),
        "written" if applies else "nothing was written: this is a preview, do it again with --apply",
    ]


def bring_in(tenant: int, data: bytes, *, applies: bool) -> Outcome:
    """Import clients in a unit of its own and return what came of it; only look when not `applies`."""
    try:
        with work(tenant) as session:
            outcome = import_clients(session, data)
            if not applies:
                raise _Preview(outcome)
            return outcome
    except _Preview as preview:
        return preview.outcome


COMMANDS: tuple[Any, ...] = (import_group,)
