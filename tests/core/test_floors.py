"""The core knows no plugin: not one is named in its code, texts or migrations. (Imports: `make lint`.)"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGINS = {path.parent.name for path in (ROOT / "plugins").glob("*/manifest.toml")}
ALSO_A_WORD = {"email"}
"""Plugins whose name the core needs for something else: clients have an e-mail address. Their imports are found."""
PROVIDERS = {"evolution", "smtp", "telegram", "twilio", "vapid", "whatsapp"}
WORDS = sorted((PLUGINS | PROVIDERS) - ALSO_A_WORD | {f"plugins.{name}" for name in PLUGINS})

ALLOWED = {
    ("citaplanner_core/phones.py", "whatsapp"): "how numbers are written in ids of that network",
    ("citaplanner_core/replies/words.toml", "whatsapp"): "a word that clients write",
    ("citaplanner_core/booking/importing.py", "whatsapp"): "what people call the column with the phone",
    ("citaplanner_core/cli/notifications.py", "chatwoot"): "an example in a help text",
}


def files() -> Iterator[Path]:
    for tree in ("citaplanner_core", "migrations"):
        for path in sorted((ROOT / tree).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def code(source: str) -> str:
    """Return a Python source without comments and docstrings, which may name examples."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        # A text that stands alone says something and does nothing.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = ""
    return ast.unparse(tree)


@functools.cache
def named() -> set[tuple[str, str]]:
    """Return (file, word) for each of the words that stands in a file of the core."""
    found = set()
    for path in files():
        text = path.read_text(encoding="utf-8")
        text = (code(text) if path.suffix == ".py" else text).lower()
        found |= {(path.relative_to(ROOT).as_posix(), word) for word in WORDS if word in text}
    return found


def test_the_core_names_no_plugin() -> None:
    assert named() - ALLOWED.keys() == set()


def test_every_exception_is_still_needed() -> None:
    assert ALLOWED.keys() - named() == set()


def test_names_in_code_are_found_and_words_about_it_are_not() -> None:
    source = '"""As in chatwoot."""\nx = "chatwoot"  # twilio\n\ndef f():\n    """Vapid."""\n    return "smtp"\n'
    assert [word for word in WORDS if word in code(source).lower()] == ["chatwoot", "smtp"]


def test_a_core_migration_is_named_as_one() -> None:
    revisions = [path.name for path in (ROOT / "migrations" / "versions").glob("*.py") if path.name != "__init__.py"]
    assert revisions
    assert [name for name in revisions if not name.startswith("core_")] == []
