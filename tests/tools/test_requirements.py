"""The pinned requirements are what setup.cfg and the packages themselves ask for, no less and no more."""

import ast
import configparser
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def pinned(name: str) -> dict[str, str]:
    """Version by name of a requirements file, of the lines that count on this machine."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]
    here = [requirement for requirement in requirements if not requirement.marker or requirement.marker.evaluate()]
    assert all(re.fullmatch(r"==[^*,]+", str(requirement.specifier)) for requirement in here)
    return {canonicalize_name(item.name): str(item.specifier).removeprefix("==") for item in here}


def asked_for(*extras: str) -> list[Requirement]:
    """What setup.cfg names, with these extras."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    texts = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in extras)]
    return [Requirement(line) for text in texts for line in text.split("\n") if line]


def closure(requirements: list[Requirement]) -> set[str]:
    """Names of these packages and of all they need here."""
    seen: set[tuple[str, str]] = set()
    waiting = [(item, extra) for item in requirements for extra in ("", *item.extras)]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in installed(name).requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed, of) for of in ("", *needed.extras)]
    return {name for name, _ in seen}


def installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise AssertionError(f"{name} is needed and not installed") from error


def test_run_is_the_closure_of_what_runs() -> None:
    assert set(pinned("run")) == closure(asked_for("postgres", "demo"))


def test_dev_adds_the_closure_of_what_tests_and_checks() -> None:
    assert set(pinned("run")) | set(pinned("dev")) == closure(asked_for("postgres", "demo", "dev"))
    assert not set(pinned("run")) & set(pinned("dev"))


def test_pins_satisfy_setup_cfg_and_are_what_is_installed() -> None:
    pins = pinned("run") | pinned("dev")
    for requirement in asked_for("postgres", "demo", "dev"):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier
    assert {name: distribution(name).version for name in pins} == pins


def imported(tree: str) -> set[str]:
    """Top-level names that the Python files below a folder import, our own and the standard library's left out."""
    names = set()
    for path in (ROOT / tree).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"_typeshed", "citaplanner_core", "plugins"}


def test_what_is_imported_by_name_is_asked_for_by_name() -> None:
    providers = packages_distributions()
    needed = {
        canonicalize_name(providers[name][0])
        for tree in ("citaplanner_core", "plugins", "migrations")
        for name in imported(tree)
    }
    assert needed <= {canonicalize_name(item.name) for item in asked_for("postgres", "demo", "dev")}
