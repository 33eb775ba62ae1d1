"""Reading docs/writing-plugins.md: the files it shows and the tables it holds."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "writing-plugins.md"
_FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown_files() -> list[tuple[str, str]]:
    """Return (path below the plugin's folder, text) in the order of the page; a later one replaces an earlier one."""
    return _FILE.findall(PAGE.read_text(encoding="utf-8"))


def rows(first_heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, without the heading."""
    lines = iter(PAGE.read_text(encoding="utf-8").splitlines())
    found: list[list[str]] = []
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    return found
                found.append([cell.strip() for cell in row.strip("|").split("|")])
    raise AssertionError(f"the page has no table of {first_heading!r}")


def names(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)
