"""The first files of a new plugin, written from `templates/`."""

from pathlib import Path
from string import Template

from packaging.version import Version

from citaplanner_core import __version__
from citaplanner_core.hooks.manifest import NAME, RESERVED
from citaplanner_core.hooks.registry import discover

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".tmpl"


def name_problem(name: str) -> str | None:
    """Return why a new plugin cannot have this name, None when it can."""
    if not NAME.fullmatch(name):
        return "must be 2-31 lower-case letters or digits, a letter first"
    if name in RESERVED:
        return "is a word of the core: its tables could not be told from the plugin's"
    if name in discover():
        return "is the name of a plugin that is offered here already"
    return None


def skeleton(name: str) -> dict[str, str]:
    """Return the files of a plugin that works at once: {path below its folder: text}."""
    now = Version(__version__)
    values = {
        "name": name,
        "title": name.capitalize(),
        "core": f">={now.major}.{now.minor},<{now.major}.{now.minor + 1}",
    }
    made = {}
    for path in sorted(TEMPLATES.rglob(f"*{SUFFIX}")):
        place = path.relative_to(TEMPLATES).as_posix().removesuffix(SUFFIX)
        text = Template(path.read_text(encoding="utf-8")).substitute(values)
        made[place.replace("package/", f"citaplanner_{name}/")] = text
    return made


def write(folder: Path, made: dict[str, str]) -> None:
    """Write the files into a new folder; raise `FileExistsError` when it exists, or another OSError."""
    folder.mkdir()
    for place, text in made.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
