"""The hooks a plugin may implement: this file is the manual.

A plugin is an object (a module or an instance) whose methods carry `@hookimpl`. It may take any subset of a hook's
arguments, so that hooks can grow. Wrappers and `firstresult` do not exist here: each plugin is called on its own,
and one that raises or returns something of another type is recorded by name and left out; the others go on.
Plugins are called in dependency order, then by name. What runs for a tenant reaches only plugins it switched on.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pluggy
from sqlalchemy.orm import Session

from citaplanner_core.hooks.types import (
    AppointmentEvent,
    Channel,
    ErasedClient,
    Figure,
    HealthCheck,
    JobHandler,
    Panel,
    PeriodicJob,
    Process,
    Setting,
    Snippet,
    TimelineEntry,
)

if TYPE_CHECKING:
    import click
    from flask import Blueprint

PROJECT = "citaplanner"
PREFIX = "citaplanner_"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def citaplanner_notification_channels() -> "Sequence[Channel] | None":
    """Return the channels this plugin adds. Called once per process, outside a transaction.

    The keys must be those named in the manifest's `channels`. None means no channels.
    """


@hookspec
def citaplanner_appointment_event(event: AppointmentEvent, session: Session) -> None:
    """React to a change of an appointment, inside the booking's transaction.

    Runs for the event's tenant, in a savepoint of its own: what this plugin wrote is undone if it raises, the booking
    stays. No network and no commit here; the database ends statements that take too long. What takes time belongs in
    `citaplanner_appointment_committed`.
    """


@hookspec
def citaplanner_appointment_committed(event: AppointmentEvent) -> None:
    """React to a change of an appointment after it was committed.

    A durable job, written in the booking's transaction and run by a worker outside any transaction, with retries
    when it raises: it may run more than once, and must then come to the same result.
    """


@hookspec
def citaplanner_client_merged(session: Session, merged_id: int, into_id: int) -> None:
    """Move what this plugin keeps of client `merged_id` to `into_id`, inside the merge's transaction.

    Called for every tenant, also one that switched the plugin off, in a savepoint of its own and bounded in time. The
    merged client is deleted afterwards: where rows of a loaded plugin still refer to them, the merge is refused.
    """


@hookspec
def citaplanner_client_exported(session: Session, client_id: int) -> "Mapping[str, Any] | None":
    """Return all that this plugin keeps of a client, as JSON values, for the document that the person may ask for.

    Called for every tenant, also one that switched the plugin off, in a savepoint of its own and bounded in time; read
    only.
    """


@hookspec
def citaplanner_client_erased(session: Session, client_id: int, known: ErasedClient) -> None:
    """Remove what this plugin keeps of a client, inside the transaction that erases them.

    Called for every tenant, also one that switched the plugin off, in a savepoint of its own and bounded in time.
    `known` is what finds the person where no id stands. The client's row stays, nameless, so that figures stay true;
    rows of the plugin's tables that still refer to it are deleted afterwards. What is kept elsewhere, such as at a
    provider, is removed by a durable job written here. One that raises stops the erasure: nothing is half erased.
    """


@hookspec
def citaplanner_settings_schema() -> "Sequence[Setting] | None":
    """Return this plugin's settings as data. Called once per process. None means no settings."""


@hookspec
def citaplanner_job_handlers() -> "Mapping[str, JobHandler] | None":
    """Return the handlers of this plugin's own durable jobs by kind. Called once per process.

    A handler runs in a worker outside any transaction, maybe more than once. It raises `Retry` to be called later.
    """


@hookspec
def citaplanner_periodic_jobs() -> "Sequence[PeriodicJob] | None":
    """Return work to be run again and again for each tenant that switched this plugin on. Called once per process."""


@hookspec
def citaplanner_blueprints() -> "Sequence[Blueprint] | None":
    """Return Flask blueprints. Called once, when the app is made. Names must begin with the plugin's name."""


@hookspec
def citaplanner_commands() -> "Sequence[click.Command] | None":
    """Return commands for `citaplanner`. Called when a command is looked up that the core does not have."""


@hookspec
def citaplanner_health_checks() -> "Sequence[HealthCheck] | None":
    """Return the checks that `doctor` shows for this plugin. Each returns None when well, else trouble and cure."""


@hookspec
def citaplanner_timeline_entries(
    session: Session, client_id: int | None, appointment_id: int | None, after: tuple[datetime, int] | None, limit: int
) -> "Sequence[TimelineEntry] | None":
    """Return what was written by and to a client, or about an appointment, for the timeline of either (one is given).

    Only what the core does not know: notifications are there already. Oldest first, by (`at`, `id`), only what comes
    after `after` in that order, at most `limit`. Runs for the session's tenant, in a savepoint of its own, bounded in
    time; read only.
    """


@hookspec
def citaplanner_client_panel(session: Session, clients: Sequence[int], language: str) -> "Mapping[int, Panel] | None":
    """Return what this plugin knows about clients, by id, for their page: a `Panel` of texts and links each.

    Asked for several at once; leave out those of whom there is nothing to say. `language` is the reader's, such as
    `es`. Runs for the session's tenant, in a savepoint of its own, bounded in time; read only, no network.
    """


@hookspec
def citaplanner_public_page_snippets(session: Session, tenant: int) -> "Sequence[Snippet] | None":
    """Return scripts for the tenant's public booking page, such as a chat window. None means none.

    Data, never HTML: a `Snippet` each, whose shape is checked. Asked each time the page is shown; runs for the
    session's tenant, in a savepoint of its own, bounded in time; read only, no network. The page works without them.
    """


@hookspec
def citaplanner_figures(session: Session) -> "Sequence[Figure] | None":
    """Return this plugin's figures of the whole deployment for `/metrics`.

    Asked at most every few seconds, in a unit that crosses tenants, in a savepoint of its own and bounded in time: read
    only what an index answers. Figures of one name agree in help, kind and label names.
    """


@hookspec
def citaplanner_development_processes() -> "Sequence[Process] | None":
    """Return programs that `run --demo` starts beside web and worker, such as a stand-in for a provider."""


@hookspec
def citaplanner_demo_seed(tenant_id: int, addresses: Mapping[str, str]) -> None:
    """Connect the demo tenant to the programs of `citaplanner_development_processes`, outside a transaction.

    `addresses` gives the URL of each by name, and of the web process as `web`. Called at every start of the demo,
    so it must not make doubles.
    """


@hookspec
def citaplanner_demo_story() -> "Callable[[Mapping[str, Any]], int] | None":
    """Return the function behind `citaplanner demo --story`.

    It is given the running demo (`addresses` by name, `token`, `echo` to print a line) and returns an exit code.
    """
