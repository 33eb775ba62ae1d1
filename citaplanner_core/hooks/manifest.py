"""A plugin's manifest: read from `manifest.toml` without importing the plugin."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

FILE = "manifest.toml"
NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
RESERVED = frozenset(
    "api appointment branch citaplanner client core delivery installed job log login notification opt plugin"
    " professional public service staff system tenant worker".split()
)
"""First words of core tables and namespaces: a plugin of this name could not be told from the core."""


class ManifestError(Exception):
    """The manifest is missing, unreadable or says something impossible; the text names the key and the cure."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plugin says of itself.

    `core` is the range of core versions it works with; `core_revision` the core migration its tables need (None
    when it has no tables); `depends` are names of plugins; `channels` the keys of the channels it registers.
    """

    name: str
    title: str
    version: str
    summary: str
    core: str
    depends: tuple[str, ...]
    channels: tuple[str, ...]
    core_revision: str | None
    folder: Path

    @property
    def migrations(self) -> Path | None:
        """The folder of this plugin's revisions, None when it has no tables."""
        folder = self.folder / "migrations" / "versions"
        return folder if folder.is_dir() else None

    def fits(self, core_version: str) -> bool:
        """Tell whether the plugin says it works with this core."""
        return SpecifierSet(self.core).contains(Version(core_version), prereleases=True)


def read_manifest(folder: Path) -> Manifest:
    """Read and check `manifest.toml` in a plugin's folder; raise `ManifestError`."""
    path = folder / FILE
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{FILE} is missing beside the plugin's code") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{FILE} cannot be read: {error}") from None
    known = {"name", "title", "version", "summary", "core", "depends", "channels", "core_revision"}
    if unknown := sorted(set(data) - known):
        raise ManifestError(f"{FILE}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
    texts = {key: _text(data, key) for key in ("name", "title", "version", "summary", "core")}
    if not NAME.fullmatch(texts["name"]) or texts["name"] in RESERVED:
        raise ManifestError(
            f"{FILE}: name {texts['name']!r} must be 2-31 lower-case letters or digits, and not a word of the core"
        )
    try:
        Version(texts["version"])
        SpecifierSet(texts["core"])
    except (InvalidVersion, InvalidSpecifier) as error:
        raise ManifestError(f"{FILE}: {error}") from None
    manifest = Manifest(
        **texts,
        depends=_names(data, "depends"),
        channels=_names(data, "channels"),
        core_revision=_text(data, "core_revision") if "core_revision" in data else None,
        folder=folder,
    )
    if manifest.migrations and not manifest.core_revision:
        raise ManifestError(f"{FILE}: core_revision is missing, but the plugin has migrations")
    return manifest


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ManifestError(f"{FILE}: {key} is missing or not a text")
    return value.strip()


def _names(data: dict[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and NAME.fullmatch(item) for item in value):
        raise ManifestError(f"{FILE}: {key} must be a list of lower-case names")
    return tuple(value)
