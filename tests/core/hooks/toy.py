"""Third-party plugins made on the spot: a folder with a package and the metadata of an installed distribution.

Each runs in a process of its own, since the plugin set of a process is fixed.
"""

import os
import subprocess
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from tests.core.hooks.forked import run_module

ROOT = Path(__file__).parents[3]
MANIFEST = """
name = "{name}"
title = "{name}"
version = "1.0"
summary = "A plugin for tests."
core = ">=0.1"
"""
PRELUDE = """
from citaplanner_core import create_app
from citaplanner_core.database import close_database, db, system_work, work
from citaplanner_core.hooks import dispatch, lifecycle, migrations
from citaplanner_core.hooks.registry import registry
from citaplanner_core.testing import factories
app = create_app()
app.app_context().push()
"""


@dataclass
class Deployment:
    """A throw-away deployment with plugins of its own."""

    folder: Path
    database_url: str
    plugins: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        code: str = "class Plugin:\n    pass\nplugin = Plugin()\n",
        *,
        manifest: str = "",
        revisions: dict[str, str] | None = None,
        listed: bool = True,
    ) -> None:
        """Install a plugin: package `<name>_plugin`, with `manifest` lines after the usual ones."""
        package = self.folder / "site" / f"{name}_plugin"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "plugin.py").write_text(textwrap.dedent(code))
        (package / "manifest.toml").write_text(MANIFEST.format(name=name) + textwrap.dedent(manifest))
        for file, text in (revisions or {}).items():
            (package / "migrations" / "versions").mkdir(parents=True, exist_ok=True)
            (package / "migrations" / "versions" / file).write_text(textwrap.dedent(text))
        info = self.folder / "site" / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[citaplanner.plugins]\n{name} = {name}_plugin.plugin:plugin\n")
        if listed:
            self.plugins.append(name)

    def environment(self, **more: str) -> dict[str, str]:
        """What a process of this deployment sees."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": f"{self.folder / 'site'}{os.pathsep}{ROOT}",
            "CITAPLANNER_DATABASE_URL": self.database_url,
            "CITAPLANNER_INSTANCE_PATH": str(self.folder / "instance"),
            "CITAPLANNER_SECRET_KEY": "a-key-for-tests-only-0123456789",
            "CITAPLANNER_PLUGINS": ",".join(self.plugins),
            **more,
        }

    def python(self, code: str, **more: str) -> str:
        """Run code in an app of this deployment and return what it printed; fails when it fails."""
        source = PRELUDE + textwrap.dedent(code) + "\nclose_database()\n"
        done = run_module("", code=source, environment=self.environment(**more), folder=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `citaplanner …`."""
        return run_module("citaplanner_core", *arguments, environment=self.environment(**more), folder=self.folder)

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `flask --app citaplanner_core …`."""
        arguments = ("--app", "citaplanner_core", *arguments)
        return run_module("flask", *arguments, environment=self.environment(), folder=self.folder)
