"""A plugin's life: install, upgrade, uninstall for the deployment; enable, disable for a tenant."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import delete, func, inspect, select, table, text

from citaplanner_core.database import system_work, work
from citaplanner_core.hooks import migrations, settings
from citaplanner_core.hooks.manifest import Manifest
from citaplanner_core.hooks.models import INSTALLED, KEPT, InstalledPlugin, PluginSetting, TenantPlugin
from citaplanner_core.hooks.registry import PluginError, discover, registry


@dataclass(frozen=True, slots=True)
class Status:
    """One line of `plugins list`. `state` is `not installed`, `installed`, `kept`, `behind` or `broken`."""

    name: str
    title: str
    version: str
    listed: bool
    state: str
    note: str


def _usable(name: str) -> Manifest:
    found = discover().get(name)
    if found is None:
        raise PluginError(f"there is no plugin {name!r} here; known: {', '.join(discover()) or 'none'}")
    if found.manifest is None or found.problem:
        raise PluginError(f"plugin {name!r}: {found.problem}")
    return found.manifest


def _rows() -> dict[str, InstalledPlugin]:
    with system_work("installed plugins belong to the deployment") as session:
        rows = {row.name: row for row in session.scalars(select(InstalledPlugin))}
        session.expunge_all()
        return rows


def statuses() -> list[Status]:
    """Return every plugin that is offered here or has left something in the database."""
    found, rows = discover(), _rows()
    listed = set(registry().manifests) | set(current_app.config["CITAPLANNER"].plugins or ())
    result = []
    for name in sorted(set(found) | set(rows)):
        manifest = found[name].manifest if name in found else None
        row = rows.get(name)
        state, note = row.status if row else "not installed", ""
        if name not in found:
            state, note = (
                "broken",
                "its package is gone: install it again, then uninstall the plugin properly",
            )
        elif problem := found[name].problem:
            state, note = "broken", problem
        elif row and row.status == INSTALLED and _is_behind(name, manifest):
            state, note = "behind", f"run `citaplanner plugins upgrade {name}`"
        title, version = (manifest.title, manifest.version) if manifest else (name, row.version if row else "?")
        result.append(Status(name, title, version, name in listed, state, note))
    return result


def _is_behind(name: str, manifest: Manifest | None) -> bool:
    return bool(manifest and manifest.migrations) and migrations.current(name) != migrations.heads(name)


def install(name: str) -> list[str]:
    """Bring a plugin's tables to their newest state and record it as installed; return what was done, line by line.

    Works again after `uninstall --keep-data`: kept tables are taken over. Raises `PluginError` or `MigrationFailed`.
    """
    manifest = _usable(name)
    rows = _rows()
    for needed in manifest.depends:
        if needed not in rows or rows[needed].status != INSTALLED:
            raise PluginError(f"plugin {name!r} needs {needed!r}: run `citaplanner plugins install {needed}` first")
    core = migrations.current(migrations.CORE)
    if core is None:
        raise PluginError("the core has no tables yet: run `citaplanner migrate` first")
    if manifest.core_revision and not migrations.is_known(migrations.CORE, manifest.core_revision):
        raise PluginError(
            f"plugin {name!r} needs core revision {manifest.core_revision}, which this core does not have"
        )
    done = []
    if manifest.migrations:
        before = migrations.current(name)
        migrations.upgrade(name)
        after = migrations.current(name)
        done.append(f"{name}: schema {after}" + ("" if before != after else " (already there)"))
    with system_work("installed plugins belong to the deployment", write=True) as session:
        row = session.scalar(select(InstalledPlugin).where(InstalledPlugin.name == name))
        if row is None:
            row = InstalledPlugin(name=name)
            session.add(row)
        elif row.status == KEPT:
            done.append(f"{name}: kept data taken over")
        row.version, row.status = manifest.version, INSTALLED
    return [*done, f"{name}: installed {manifest.version}"]


def upgrade(name: str) -> list[str]:
    """Bring an installed plugin's tables to their newest state. Raises `PluginError` when it is not installed."""
    row = _rows().get(name)
    if row is None or row.status != INSTALLED:
        raise PluginError(f"plugin {name!r} is not installed: run `citaplanner plugins install {name}`")
    return install(name)


def rows_to_drop(name: str) -> dict[str, int]:
    """Return {table: rows} of everything that uninstalling with dropped data would take away."""
    with system_work("counting what an uninstall drops") as session:
        names = set(inspect(session.connection()).get_table_names())
        counts = {
            found: session.connection().execute(select(func.count()).select_from(table(found))).scalar_one()
            for found in sorted(names)
            if migrations.owner_of(found, set(discover()) | {name}) == name
        }
        for model in (TenantPlugin, PluginSetting):
            counts[model.__tablename__] = session.scalars(
                select(func.count()).select_from(model).where(model.plugin == name)
            ).one()
    return counts


def uninstall(name: str, *, drop_data: bool) -> list[str]:
    """Take a plugin out, with or without its data, and leave the core schema as it was before it came.

    Refuses while an installed plugin depends on it. Raises `PluginError` or `MigrationFailed`.
    """
    rows = _rows()
    if name not in rows:
        raise PluginError(f"plugin {name!r} is not installed")
    for other, found in discover().items():
        if other in rows and found.manifest and name in found.manifest.depends:
            raise PluginError(f"plugin {other!r} depends on {name!r}: uninstall {other!r} first")
    done = []
    if drop_data:
        if migrations.current(name) is not None:
            migrations.downgrade(name, "base")
            done.append(f"{name}: tables dropped")
        with system_work("removing a plugin from the deployment", write=True) as session:
            session.connection().execute(text(f"DROP TABLE IF EXISTS {migrations.version_table(name)}"))
            for model in (TenantPlugin, PluginSetting):
                session.execute(delete(model).where(model.plugin == name))
            session.execute(delete(InstalledPlugin).where(InstalledPlugin.name == name))
        done.append(f"{name}: settings and switches removed")
    else:
        with system_work("removing a plugin from the deployment", write=True) as session:
            row = session.scalars(select(InstalledPlugin).where(InstalledPlugin.name == name)).one()
            row.status = KEPT
        done.append(f"{name}: uninstalled, its data kept for `citaplanner plugins install {name}`")
    if name in (current_app.config["CITAPLANNER"].plugins or ()):
        done.append(f"{name} is still in CITAPLANNER_PLUGINS: take it off the list, or nothing will start")
    return done


def enable(name: str, tenant_id: int) -> None:
    """Switch a plugin on for a tenant. Raises `PluginError` unless it is installed and loaded."""
    row = _rows().get(name)
    if row is None or row.status != INSTALLED:
        raise PluginError(f"plugin {name!r} is not installed: run `citaplanner plugins install {name}`")
    if name not in registry().manifests:
        raise PluginError(f"plugin {name!r} is not in CITAPLANNER_PLUGINS: add it, then try again")
    _switch(name, tenant_id, on=True)


def disable(name: str, tenant_id: int) -> None:
    """Switch a plugin off for a tenant. Its data and settings stay."""
    _switch(name, tenant_id, on=False)


def _switch(name: str, tenant_id: int, *, on: bool) -> None:
    with work(tenant_id) as session:
        row = session.scalar(select(TenantPlugin).where(TenantPlugin.plugin == name))
        if row is None:
            row = TenantPlugin(plugin=name)
            session.add(row)
        row.enabled = on


def check(name: str, tenant_id: int) -> dict[str, str]:
    """Try a plugin's settings of a tenant for real: {field: problem}, empty when all is well."""
    with work(tenant_id, write=False) as session:
        values = settings.read(session, name)
    if problems := settings.missing(name, values):
        return problems
    found: dict[str, str] = {}
    for plugin, channel in registry().channels.values():
        if plugin == name:
            found.update(channel.check(values))
    return found


def migrate_all(names: Sequence[str]) -> list[str]:
    """Bring the core, then the listed plugins in the order given, to their newest state."""
    before = migrations.current(migrations.CORE)
    migrations.upgrade(migrations.CORE)
    after = migrations.current(migrations.CORE)
    done = [f"core: schema {after}" + ("" if before != after else " (already there)")]
    for name in names:
        done.extend(install(name))
    return done
