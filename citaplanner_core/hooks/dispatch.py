"""Calling plugins: one at a time, contained, and only those the tenant switched on.

Nobody calls pluggy directly. `collect` gathers, `target` calls one, `publish` runs inside the booking transaction.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from citaplanner_core.database import db, in_work, work
from citaplanner_core.hooks.models import TenantPlugin
from citaplanner_core.hooks.registry import Registry, registry
from citaplanner_core.hooks.types import AppointmentEvent, Channel, Retry

COMMITTED = "appointment_committed"
SLOW_SECONDS = 0.2
STATEMENT_TIMEOUT_MS = 2000
_EVENT = TypeAdapter(AppointmentEvent)


class PluginFailed(Exception):
    """The plugin called by `target` raised, or does not implement the hook; the text names it."""


def _arguments(names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def enabled_plugins(session: Session) -> frozenset[str]:
    """Return the names of the loaded plugins that this session's tenant switched on."""
    return loaded(session.scalars(select(TenantPlugin.plugin).where(TenantPlugin.enabled)))


def loaded(plugins: Iterable[str]) -> frozenset[str]:
    """Return those of some plugins that this app has loaded."""
    return frozenset(plugins) & frozenset(registry().manifests)


def _switched_on(tenant_id: int | None) -> frozenset[str]:
    if tenant_id is None:
        return frozenset(registry().manifests)
    if in_work():
        return enabled_plugins(db.session())
    with work(tenant_id, write=False) as session:
        return enabled_plugins(session)


def collect(hook: str, *, for_tenant: int | None = None, **given: Any) -> list[tuple[str, Any]]:
    """Call a hook of every plugin (of `for_tenant`, when given) and return (plugin, result) of those that gave one.

    A plugin that raises is recorded and left out. None results are left out too.
    """
    found = registry()
    implementations = found.implementations(hook)
    if not implementations:
        return []
    allowed = _switched_on(for_tenant)
    results = []
    for name, function, arguments in implementations:
        if name not in allowed:
            continue
        try:
            result = function(**_arguments(arguments, given))
        except Exception as error:
            found.record(name, hook, _describe(error))
            continue
        if result is not None:
            results.append((name, result))
    return results


def collect_items(hook: str, kind: type | tuple[type, ...], **given: Any) -> list[tuple[str, Any]]:
    """Like `collect` for hooks that return a sequence: (plugin, item) for each item of the right type.

    A plugin that returns anything else is recorded and left out as a whole.
    """
    return _items(hook, kind, collect(hook, **given))


def _items(hook: str, kind: type | tuple[type, ...], results: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for name, result in results:
        if not isinstance(result, Sequence) or not all(isinstance(item, kind) for item in result):
            registry().record(name, hook, "returned something else than the sequence the hook asks for")
            continue
        items.extend((name, item) for item in result)
    return items


def collect_items_inside(
    session: Session, hook: str, kind: type | tuple[type, ...], allowed: frozenset[str], **given: Any
) -> list[tuple[str, Any]]:
    """Like `collect_items` for a hook that reads through the open session, called as `each_in_savepoint` does."""
    return _items(hook, kind, each_in_savepoint(session, hook, allowed, **given))


def target(plugin: str, hook: str, **given: Any) -> Any:
    """Call a hook of one plugin and return what it returns.

    Raises `PluginFailed` when it raises or lacks the hook; its `Retry` passes as it is.
    """
    for name, function, arguments in registry().implementations(hook):
        if name != plugin:
            continue
        try:
            return function(**_arguments(arguments, given))
        except Retry:
            raise
        except Exception as error:
            registry().record(plugin, hook, _describe(error))
            raise PluginFailed(f"plugin {plugin!r} failed in {hook}: {_describe(error)}") from error
    raise PluginFailed(f"plugin {plugin!r} does not implement {hook}")


def implements(plugin: str, hook: str) -> bool:
    """Tell whether a loaded plugin implements a hook."""
    return any(name == plugin for name, _, _ in registry().implementations(hook))


def each_in_savepoint(session: Session, hook: str, allowed: frozenset[str], **given: Any) -> list[tuple[str, Any]]:
    """Call a hook inside the open transaction, each plugin in its own savepoint and bounded by a time-out.

    Returns (plugin, result) of those that gave one. A plugin that raises is recorded and what it wrote undone; one that
    takes over 200 ms is recorded.
    """
    found = registry()
    results: list[tuple[str, Any]] = []
    for name, function, arguments in found.implementations(hook):
        if name not in allowed:
            continue
        started = time.monotonic()
        try:
            with session.begin_nested(), _bounded(session):
                result = function(**_arguments(arguments, {**given, "session": session}))
                session.flush()
            if result is not None:
                results.append((name, result))
        except Exception as error:
            found.record(name, hook, _describe(error))
        if (spent := time.monotonic() - started) > SLOW_SECONDS:
            found.record(name, hook, f"took {spent * 1000:.0f} ms inside the core's transaction")
    return results


def each_must(session: Session, hook: str, **given: Any) -> list[tuple[str, Any]]:
    """Call a hook of every loaded plugin, whatever the tenant switched on, as `each_in_savepoint` does.

    For what is not done before all have: raises `PluginFailed` naming the first that raised.
    """
    results: list[tuple[str, Any]] = []
    for name, function, arguments in registry().implementations(hook):
        try:
            with session.begin_nested(), _bounded(session):
                result = function(**_arguments(arguments, {**given, "session": session}))
                session.flush()
        except Exception as error:
            registry().record(name, hook, _describe(error))
            raise PluginFailed(f"plugin {name!r} failed in {hook}: {_describe(error)}") from error
        results.append((name, result))
    return results


class _bounded:
    """Bounds statements and lock waits on PostgreSQL until the block ends well; a rollback resets them too."""

    def __init__(self, session: Session) -> None:
        self.session = session if db.engine.dialect.name == "postgresql" else None

    def _execute(self, *statements: str) -> None:
        if self.session is not None:
            for statement in statements:
                Session.connection(self.session).execute(text(statement))

    def __enter__(self) -> None:
        limit = f"{STATEMENT_TIMEOUT_MS}ms"
        self._execute(f"SET LOCAL statement_timeout = '{limit}'", f"SET LOCAL lock_timeout = '{limit}'")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._execute("RESET statement_timeout", "RESET lock_timeout")


def event_to_json(event: AppointmentEvent) -> dict[str, Any]:
    """Return the event as JSON values; times as ISO 8601 UTC."""
    data: dict[str, Any] = _EVENT.dump_python(event, mode="json")
    return data


def event_from_json(data: Mapping[str, Any]) -> AppointmentEvent:
    """Return the event that `event_to_json` was given."""
    return _EVENT.validate_python(data)


def publish(session: Session, event: AppointmentEvent) -> None:
    """Tell everybody of a change of an appointment, inside its transaction.

    First the core's listeners (an error undoes the booking: it is ours), then plugins in savepoints, then one durable
    job for each plugin that wants to know after the commit.
    """
    found = registry()
    for listener in found.core_listeners:
        listener(session, event)
    if not found.manifests:
        return
    allowed = enabled_plugins(session)
    each_in_savepoint(session, "appointment_event", allowed, event=event)
    wanted = [name for name in found.manifests if name in allowed and implements(name, COMMITTED)]
    if wanted:
        found.enqueue_committed(session, wanted, event_to_json(event))


def channels() -> dict[str, tuple[str | None, Channel]]:
    """Return every channel of this app by key, with the plugin that registered it (None for the core's own)."""
    return registry().channels


def gather_channels(found: Registry) -> None:
    """Fill the registry's channels from the core and the plugins. Keys must be those of the manifest."""
    found.channels = {channel.key: (None, channel) for channel in found.core_channels}
    for name, channel in collect_items("notification_channels", object):
        key = getattr(channel, "key", None)
        if key not in found.manifests[name].channels:
            found.record(name, "notification_channels", f"channel {key!r} is not named in the manifest")
        elif key in found.channels:
            found.record(name, "notification_channels", f"channel {key!r} exists already")
        else:
            found.channels[key] = (name, channel)
