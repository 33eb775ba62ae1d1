"""Finding plugins without importing them, and loading those the operator listed."""

import importlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pluggy
import structlog
from flask import Flask, current_app
from sqlalchemy import ForeignKeyConstraint, Table
from sqlalchemy.orm import Session

from citaplanner_core import __version__
from citaplanner_core.database import Base, is_tenant_table, utcnow
from citaplanner_core.hooks import hookspecs
from citaplanner_core.hooks.manifest import Manifest, ManifestError, read_manifest
from citaplanner_core.hooks.types import AppointmentEvent, Channel, Setting

GROUP = "citaplanner.plugins"
EXTENSION = "citaplanner.registry"
log = structlog.get_logger()


class PluginError(Exception):
    """A plugin cannot be used; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """A plugin found on this machine: its manifest, or the problem that keeps it from being used."""

    name: str
    entry_point: EntryPoint
    manifest: Manifest | None
    problem: str | None


@dataclass(slots=True)
class Trouble:
    """What a plugin did wrong in one hook of this process, how often, and when last."""

    error: str
    count: int = 0
    last_at: datetime = field(default_factory=utcnow)


def _nobody_to_tell(session: Session, plugins: Sequence[str], event: dict[str, Any]) -> None:
    raise PluginError("the app was made without a job queue")


@dataclass(slots=True)
class Registry:
    """The plugins of one app. Fixed once the app is made."""

    manager: pluggy.PluginManager
    manifests: dict[str, Manifest] = field(default_factory=dict)
    core_channels: list[Channel] = field(default_factory=list)
    core_listeners: list[Callable[[Session, AppointmentEvent], None]] = field(default_factory=list)
    enqueue_committed: Callable[[Session, Sequence[str], dict[str, Any]], None] = _nobody_to_tell
    troubles: dict[tuple[str, str], Trouble] = field(default_factory=dict)
    channels: dict[str, tuple[str | None, Channel]] = field(default_factory=dict)
    settings: dict[str, tuple[Setting, ...]] = field(default_factory=dict)

    def implementations(self, hook: str) -> list[tuple[str, Callable[..., Any], tuple[str, ...]]]:
        """Return (plugin, function, its argument names) for a hook, in dependency order."""
        caller = getattr(self.manager.hook, hookspecs.PREFIX + hook)
        found = {impl.plugin_name: impl for impl in caller.get_hookimpls()}
        return [(name, found[name].function, tuple(found[name].argnames)) for name in self.manifests if name in found]

    def record(self, plugin: str, hook: str, error: str) -> None:
        """Remember that a plugin failed in a hook."""
        trouble = self.troubles.setdefault((plugin, hook), Trouble(error))
        trouble.error, trouble.count, trouble.last_at = error, trouble.count + 1, utcnow()
        log.warning("plugin_trouble", plugin=plugin, hook=hook, error=error)


def registry() -> Registry:
    """Return the current app's registry."""
    found: Registry = current_app.extensions[EXTENSION]
    return found


def discover() -> dict[str, Discovered]:
    """Return every plugin that an installed distribution offers, by name. Imports no plugin."""
    found: dict[str, Discovered] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        manifest, problem = None, None
        try:
            manifest = read_manifest(_folder(entry))
            if manifest.name != entry.name:
                problem = f"the manifest says {manifest.name!r}, the entry point {entry.name!r}"
            elif not manifest.fits(__version__):
                problem = f"works with core {manifest.core}, this is {__version__}"
        except (ManifestError, PluginError) as error:
            problem = str(error)
        if entry.name in found:
            problem = f"offered twice, by {_dist(found[entry.name].entry_point)} and {_dist(entry)}"
        found[entry.name] = Discovered(entry.name, entry, manifest, problem)
    return found


def _dist(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"


def _folder(entry: EntryPoint) -> Path:
    """Find the package that holds the plugin's module, and check that it is the installed one."""
    top, *inner = entry.module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise PluginError(f"package {top!r} is not installed as a folder")
    base = Path(next(iter(spec.submodule_search_locations))).resolve()
    roots = _roots(entry)
    if roots and not any(base.is_relative_to(root) for root in roots):
        raise PluginError(f"a folder named {top!r} hides the installed package: start from another folder")
    return base.joinpath(*inner[:-1])


def _roots(entry: EntryPoint) -> list[Path]:
    if entry.dist is None:
        return []
    roots = [Path(str(entry.dist.locate_file(""))).resolve()]
    try:
        origin = json.loads(distribution(entry.dist.name).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    if origin.get("dir_info", {}).get("editable"):
        roots.append(Path(unquote(urlparse(origin["url"]).path)).resolve())
    return roots


def resolve(names: Iterable[str], found: dict[str, Discovered]) -> list[Manifest]:
    """Return the manifests of the listed plugins in dependency order; raise `PluginError` naming plugin and cure."""
    listed = list(dict.fromkeys(names))
    for name in listed:
        if name not in found:
            known = ", ".join(found) or "none"
            raise PluginError(f"plugin {name!r} in CITAPLANNER_PLUGINS is not installed here; known: {known}")
        if found[name].problem:
            raise PluginError(f"plugin {name!r}: {found[name].problem}")
    ordered: list[Manifest] = []

    def place(name: str, path: tuple[str, ...]) -> None:
        manifest = found[name].manifest
        if manifest is None or manifest in ordered:
            return
        if name in path:
            raise PluginError(f"plugins depend on each other in a circle: {' > '.join((*path, name))}")
        for needed in sorted(manifest.depends):
            if needed not in listed:
                raise PluginError(f"plugin {name!r} needs {needed!r}: add it to CITAPLANNER_PLUGINS")
            place(needed, (*path, name))
        ordered.append(manifest)

    for name in sorted(listed):
        place(name, ())
    return ordered


_loaded: tuple[str, ...] | None = None


def load(manifests: Sequence[Manifest], found: dict[str, Discovered]) -> Registry:
    """Import and register the plugins. One set per process: mappers are global. Raises `PluginError`."""
    global _loaded
    names = tuple(manifest.name for manifest in manifests)
    if _loaded is not None and _loaded != names:
        raise PluginError(f"this process has plugins {list(_loaded)} loaded and cannot also be one with {list(names)}")
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    result = Registry(manager)
    for manifest in manifests:
        before = set(Base.metadata.tables)
        try:
            plugin = found[manifest.name].entry_point.load()
            if isinstance(plugin, type):
                raise PluginError("the entry point names a class: name an instance or a module")
            manager.register(plugin, manifest.name)
            _check_hooks(manager, plugin)
            _check_tables(manifest.name, [Base.metadata.tables[name] for name in set(Base.metadata.tables) - before])
        except Exception as error:
            reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            raise PluginError(f"plugin {manifest.name!r} is broken: {reason}") from error
        result.manifests[manifest.name] = manifest
    _loaded = names
    return result


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    for caller in manager.get_hookcallers(plugin) or ():
        if caller.spec is None:
            raise PluginError(f"there is no hook {caller.name!r}")
        for impl in caller.get_hookimpls():
            if impl.plugin is plugin and (impl.hookwrapper or impl.wrapper):
                raise PluginError(f"{caller.name}: hook wrappers are not supported")


def _check_tables(plugin: str, added: Sequence[Table]) -> None:
    for table in added:
        if not table.name.startswith(plugin + "_"):
            raise PluginError(f"table {table.name!r} must be named {plugin}_…")
        if not is_tenant_table(table):
            raise PluginError(f"table {table.name!r} needs tenant_id: derive it from TenantScoped")
        for constraint in table.foreign_key_constraints:
            _check_reference(plugin, table, constraint)


def _check_reference(plugin: str, table: Table, constraint: ForeignKeyConstraint) -> None:
    target = constraint.elements[0].target_fullname.split(".")[0]
    if target.startswith(plugin + "_"):
        return
    if constraint.ondelete != "CASCADE":
        raise PluginError(f"{table.name}: the reference to {target} needs ondelete='CASCADE'")
    if target != "tenant" and "tenant_id" not in constraint.column_keys:
        raise PluginError(f"{table.name}: the reference to {target} must include tenant_id")


def attach(app: Flask, result: Registry) -> None:
    """Give the app its registry."""
    app.extensions[EXTENSION] = result
