"""Writes what can be read off the code: docs/hooks.md, docs/settings.md, .env.example.

`python -m tools.generate` writes, `--check` only compares and exits 1 naming what is out of date.
"""

import inspect
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from citaplanner_core.app import create_app
from citaplanner_core.config import Config, variable
from citaplanner_core.hooks import hookspecs
from citaplanner_core.hooks.registry import discover, registry
from citaplanner_core.hooks.settings import environment_names
from citaplanner_core.hooks.types import Setting

ROOT = Path(__file__).parent.parent
MADE = "Made by `python -m tools.generate` from the code; a test compares."


def hooks() -> str:
    """The hook reference: every hook with its arguments, as `hookspecs.py` says it."""
    lines = ["# Hooks", "", MADE, "", inspect.cleandoc(hookspecs.__doc__ or ""), ""]
    for name, function in vars(hookspecs).items():
        if name.startswith(hookspecs.PREFIX):
            arguments = ", ".join(inspect.signature(function).parameters)
            lines += [f"## {name}({arguments})", "", inspect.cleandoc(function.__doc__ or ""), ""]
    return "\n".join(lines)


def settings() -> str:
    """The settings reference: the deployment's, then each plugin's."""
    lines = ["# Settings", "", MADE, "", "## Deployment", "", "| variable | default | meaning |", "|---|---|---|"]
    for name, default, meaning in _deployment():
        lines.append(f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |")
    for plugin, found in _plugins():
        lines += ["", f"## Plugin {plugin}", "", "| setting | type | default | from the environment | meaning |"]
        lines.append("|---|---|---|---|---|")
        for setting in found:
            names = ", ".join(f"`{name}`" for name in environment_names(plugin, setting))
            kind = f"{setting.type}, secret" if setting.secret else setting.type
            default = "" if setting.default is None else f"`{setting.default}`"
            lines.append(f"| `{setting.key}` | {kind} | {default} | {names} | {setting.help} |")
    return "\n".join([*lines, ""])


def environment() -> str:
    """The example of an environment file; every line is a comment with its default."""
    lines = ["# Copy what you need to .env. Every line shows the default; docs/settings.md says more.", ""]
    for name, default, meaning in _deployment():
        lines += [f"# {meaning}", f"# {name}={default}", ""]
    for plugin, found in _plugins():
        for setting in found:
            if names := environment_names(plugin, setting):
                default = "" if setting.default is None else setting.default
                lines += [f"# {plugin}: {setting.help}", f"# {names[0]}={default}", ""]
    return "\n".join(lines)


def _deployment() -> Iterator[tuple[str, str, str]]:
    for name, field in Config.model_fields.items():
        default = field.default
        shown = "" if default in (None, "", ()) else str(default)
        yield variable(name), shown, " ".join((field.description or "").split())


def _plugins() -> Iterator[tuple[str, tuple[Setting, ...]]]:
    yield from sorted(registry().settings.items())


def outputs() -> dict[Path, str]:
    """Return {file: what it should hold}."""
    ours = tuple(name for name in discover() if name in ("chatwoot", "email"))
    with tempfile.TemporaryDirectory() as folder:
        key = "only-to-read-the-schemas"
        app = create_app({"instance_path": folder, "plugins": ours, "secret_key": key})
        with app.app_context():
            return {
                ROOT / "docs" / "hooks.md": hooks(),
                ROOT / "docs" / "settings.md": settings(),
                ROOT / ".env.example": environment(),
            }


def main(arguments: list[str]) -> int:
    """Write, or compare."""
    stale = [path for path, text in outputs().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is out of date: run `python -m tools.generate`")
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(outputs()[path])
        print(f"{path.relative_to(ROOT)} written")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
