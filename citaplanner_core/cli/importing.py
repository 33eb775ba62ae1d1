"""`citaplanner import …`: what a business kept elsewhere."""

import contextlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import BookingError
from citaplanner_core.booking.importing import Outcome, import_clients
from citaplanner_core.booking.original import SOURCE, Moved, import_original
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
from citaplanner_core.notifications import replanning
from citaplanner_core.notifications.policy import upcoming

Result = TypeVar("Result")
WRITTEN = {
    True: "written",
    False: "nothing was written: this is a preview, do it again with --apply",
}
SHOWN = 20
"""So many refused lines are printed for people; `--json` has all."""


class _Undone(Exception):
    """Ends the unit of work so that nothing is kept but what would have come of it."""


@click.group("import")
def import_group() -> None:
    """Bring in what a business kept elsewhere. Nobody is told that they were."""


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
        WRITTEN[applies],
    ]


def bring_in(tenant: int, data: bytes, *, applies: bool) -> Outcome:
    """Import clients in a unit of its own and return what came of it; only look when not `applies`."""
    return _done(tenant, lambda session: import_clients(session, data), applies=applies)


@import_group.command(SOURCE)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@tenant_option
@click.option("--apply", "applies", is_flag=True, help="Write it; without, only what would be is shown.")
@yes_option
@json_option
@in_app()
def original(file: Path, slug: str, applies: bool, yes: bool, as_json: bool) -> None:
    """Bring in what the original CitaPlanner holds, from its tables as JSON: docs/moving.md says how to make the file.

    All or nothing: it is one transaction. Rows with a mistake are left out and listed. The same file again makes no
    doubles, and changes nothing that was brought in. What has been becomes history; appointments to come get their
    reminders once you have seen how many leave in the next 48 hours, and agreed.
    """
    tenant, data = tenant_id(slug), file.read_bytes()
    try:
        moved, counts = _done(tenant, lambda session: _move(session, data), applies=False)
        if applies:
            require_go_ahead(counts, yes=yes)
            moved, counts = _done(tenant, lambda session: _move(session, data), applies=True)
    except BookingError as error:
        raise Failure(str(error)) from None
    shown = asdict(moved) | {"to_plan": len(moved.to_plan), "leave_in_48_hours": counts, "applied": applies}
    report(shown, _say_moved(moved, counts, applies=applies), as_json=as_json)


def _move(session: Session, data: bytes) -> tuple[Moved, dict[str, int]]:
    """Import, plan what is to come, and count by type what thereby leaves in the next 48 hours."""
    before = upcoming(session)
    moved = import_original(session, data)
    replanning.plan_many(session, moved.to_plan)
    after = upcoming(session)
    return moved, {kind: more for kind in after if (more := after[kind] - before.get(kind, 0)) > 0}


def _say_moved(moved: Moved, counts: dict[str, int], *, applies: bool) -> list[str]:
    named = {"users": "professionals"}
    leave = ", ".join(f"{number} {kind}" for kind, number in counts.items()) or "none"
    return [
        *([f"not read: {', '.join(moved.ignored)}"] if moved.ignored else []),
        *[
            f"{named.get(table, table)}: {added} new, {moved.there[table]} there already"
            for table, added in moved.added.items()
        ],
        f"appointments to come that get their messages: {len(moved.to_plan)}; leave in the next 48 hours: {leave}",
        f"refused: {len(moved.refused)}",
        *[f"  {one.table} {one.id}, {one.field}: {one.cure}" for one in moved.refused[:SHOWN]],
        *([f"  … and {len(moved.refused) - SHOWN} more: see --json"] if len(moved.refused) > SHOWN else []),
        WRITTEN[applies],
    ]


def _done(tenant: int, deed: Callable[[Session], Result], *, applies: bool) -> Result:
    """Do it in a unit of its own and return what came of it; undo it when not `applies`."""
    results: list[Result] = []
    with contextlib.suppress(_Undone), work(tenant) as session:
        results.append(deed(session))
        if not applies:
            raise _Undone
    return results[0]


COMMANDS: tuple[Any, ...] = (import_group,)
