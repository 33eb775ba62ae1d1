"""Our own plugins use of the core what docs/writing-plugins.md promises to everybody, and the promise is true."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from citaplanner_core.cli.skeleton import skeleton
from tests.core.hooks.page import names, rows, shown_files

ROOT = Path(__file__).parents[3]
CORE = "citaplanner_core"
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/manifest.toml"))


def promised() -> dict[str, set[str]]:
    """Module -> names."""
    cells = [(names(module)[0], names(listed)) for module, listed, _ in rows(f"module of `{CORE}`")]
    return {module if module == CORE else f"{CORE}.{module}": set(listed) for module, listed in cells}


def used(source: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for all a source takes from the core, also through a module it imports."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == CORE:
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                if isinstance(getattr(module, alias.name, None), ModuleType):
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                else:
                    yield str(node.module), alias.name
        elif isinstance(node, ast.Import):
            # `import citaplanner_core.x` binds the whole package: nobody could say what is used of it.
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == CORE)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module_name = modules[node.value.id]
            # A parameter may have the module's name: `settings.get` is not of the module `settings`.
            if hasattr(importlib.import_module(module_name), node.attr):
                yield module_name, node.attr


def unpromised(source: str) -> set[str]:
    promise = promised()
    return {f"{module}: {name}" for module, name in used(source) if name not in promise.get(module, ())}


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_our_plugins_use_what_everybody_may_use(folder: Path) -> None:
    broken = {
        str(path.relative_to(ROOT)): found
        for path in folder.rglob("*.py")
        if (found := unpromised(path.read_text(encoding="utf-8")))
    }
    assert not broken, "do without, or promise it in the table of docs/writing-plugins.md"


def test_so_does_what_we_show() -> None:
    sources = [*skeleton("pager").items(), *shown_files()]
    assert [place for place, text in sources if place.endswith(".py") and unpromised(text)] == []


def test_what_is_promised_exists() -> None:
    missing = [
        f"{module}: {name}"
        for module, listed in promised().items()
        for name in listed
        if name.startswith("_") or not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "source",
    [
        "from citaplanner_core.cli.common import Failure",
        "from citaplanner_core.hooks import settings\nsettings.parse",
        "from citaplanner_core.hooks import settings as s\ns.schema",
        "import citaplanner_core.database",
        "def late():\n    from citaplanner_core.database import init_database",
    ],
)
def test_more_than_that_is_noticed(source: str) -> None:
    assert unpromised(source)
