"""Plugins' settings: validated by their schema, stored per tenant, secrets encrypted and never shown."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from citaplanner_core.crypto import key_ring
from citaplanner_core.database import current_tenant
from citaplanner_core.hooks.models import PluginSetting
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import Setting

TRUE = frozenset({"1", "true", "yes", "on", "si", "sí"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class SettingsError(Exception):
    """One or more settings are wrong: `problems` maps each key to what is wrong and the cure."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {problem}" for key, problem in problems.items()))
        self.problems = dict(problems)


class Settings(Mapping[str, Any]):
    """The settings in force for one plugin and tenant (`tenant_id`). Secrets are masked in repr."""

    def __init__(
        self, values: Mapping[str, Any], secrets: frozenset[str], sources: Mapping[str, str], *, tenant_id: int
    ) -> None:
        self._values, self._secrets, self.sources = dict(values), secrets, dict(sources)
        self.tenant_id = tenant_id

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Settings({self.masked()!r})"

    def masked(self) -> dict[str, Any]:
        """Return the values with every given secret as `***`."""
        return {k: "***" if k in self._secrets and v is not None else v for k, v in self._values.items()}


def schema(plugin: str) -> tuple[Setting, ...]:
    """Return a plugin's settings schema; empty when it has none."""
    return registry().settings.get(plugin, ())


def parse(setting: Setting, value: Any) -> Any:
    """Return the value in the setting's type, None for an empty one; raise ValueError saying what is expected."""
    if value is None or (isinstance(value, str) and not value.strip() and setting.type != "bool"):
        return None
    if setting.type == "bool":
        word = str(value).strip().lower()
        if word in TRUE | FALSE:
            return word in TRUE
        raise ValueError("must be yes or no")
    if setting.type == "int":
        try:
            return int(str(value).strip())
        except ValueError:
            raise ValueError("must be a whole number") from None
    value = str(value).strip()
    if setting.type == "choice" and value not in setting.choices:
        raise ValueError(f"must be one of {', '.join(setting.choices)}")
    if setting.type == "url":
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address such as https://chat.example.com")
    return value


def environment_names(plugin: str, setting: Setting) -> tuple[str, ...]:
    """Return the variables that give this setting to the whole deployment, first match wins."""
    if setting.env is None:
        return ()
    return (*setting.env, f"CITAPLANNER_{plugin.upper()}_{setting.key.upper()}")


def from_environment(plugin: str, setting: Setting) -> tuple[Any, str] | None:
    """Return (value, variable) when the environment gives this setting; raise `SettingsError` when it is wrong."""
    for name in environment_names(plugin, setting):
        if os.environ.get(name, "").strip():
            try:
                return parse(setting, os.environ[name]), name
            except ValueError as error:
                raise SettingsError({name: str(error)}) from None
    return None


def read(session: Session, plugin: str) -> Settings:
    """Return what is in force for the session's tenant: its own values, else the environment's, else defaults."""
    rows = session.scalars(select(PluginSetting).where(PluginSetting.plugin == plugin))
    return _in_force(plugin, {row.key: (row.value, row.secret) for row in rows})


def of_rows(plugin: str, rows: Mapping[str, tuple[str | None, str | None]]) -> Settings:
    """Return what `read` does, where the tenant's rows were read already: (value as JSON, secret as stored) by key."""
    opened = {
        key: (json.loads(value) if value else None, key_ring().decrypt(secret) if secret else None)
        for key, (value, secret) in rows.items()
    }
    return _in_force(plugin, opened)


def _in_force(plugin: str, rows: Mapping[str, tuple[Any, str | None]]) -> Settings:
    definitions = schema(plugin)
    values, sources = {}, {}
    for setting in definitions:
        row = rows.get(setting.key)
        if row is not None and setting.scope == "tenant":
            values[setting.key], sources[setting.key] = row[1] if setting.secret else row[0], "tenant"
        elif given := from_environment(plugin, setting):
            values[setting.key], sources[setting.key] = given
        else:
            values[setting.key], sources[setting.key] = setting.default, "default"
    secrets = frozenset(setting.key for setting in definitions if setting.secret)
    return Settings(values, secrets, sources, tenant_id=current_tenant())


def missing(plugin: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return {key: problem} for required settings that have no value."""
    return {s.key: "is required" for s in schema(plugin) if s.required and values.get(s.key) in (None, "")}


def write(session: Session, plugin: str, values: Mapping[str, Any]) -> None:
    """Store settings of the session's tenant. None or an empty text takes one away.

    Raises `SettingsError` for unknown keys, wrong values and settings of the deployment; then nothing is stored.
    """
    definitions = {setting.key: setting for setting in schema(plugin)}
    problems, parsed = {}, {}
    for key, value in values.items():
        setting = definitions.get(key)
        if setting is None:
            problems[key] = f"unknown setting; known are {', '.join(definitions) or 'none'}"
        elif setting.scope == "deployment":
            problems[key] = f"is given by the operator, in {environment_names(plugin, setting)[0]}"
        else:
            try:
                parsed[key] = parse(setting, value)
            except ValueError as error:
                problems[key] = str(error)
    if problems:
        raise SettingsError(problems)
    rows = {row.key: row for row in session.scalars(select(PluginSetting).where(PluginSetting.plugin == plugin))}
    for key, value in parsed.items():
        if value is None:
            session.execute(delete(PluginSetting).where(PluginSetting.plugin == plugin, PluginSetting.key == key))
            continue
        row = rows.get(key) or PluginSetting(plugin=plugin, key=key)
        if definitions[key].secret:
            row.secret = value
        else:
            row.value = value
        session.add(row)
