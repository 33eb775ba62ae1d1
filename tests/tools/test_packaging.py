"""What is listed in setup.cfg is what there is, and the wheel holds all of it."""

import configparser
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import venv
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = {"citaplanner_core": "citaplanner_core", "plugins": "plugins", "migrations": "citaplanner_core/migrations"}
"""The folders that are delivered, with their place in the wheel."""


def delivered(root: Path = ROOT) -> dict[str, Path]:
    """Every file of the delivered folders by its name in the wheel."""
    files = {}
    for tree, place in TREES.items():
        for path in sorted((root / tree).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[f"{place}/{path.relative_to(root / tree).as_posix()}"] = path
    return files


def test_every_folder_with_code_is_listed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {name.rpartition("/")[0] for name in delivered() if name.endswith(".py")}
    assert set(setup["options"]["packages"].split()) == {folder.replace("/", ".") for folder in folders}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built in a copy of it without a network."""
    source = tmp_path_factory.mktemp("a copy")
    for tree in TREES:
        shutil.copytree(ROOT / tree, source / tree, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-index", "--no-build-isolation", "--no-deps", "-w"]
    built = subprocess.run([*command, source / "dist", source], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next((source / "dist").glob("citaplanner-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_file(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == set(delivered())


@pytest.mark.slow
def test_the_installed_wheel_migrates_elsewhere(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", "-q"]
    subprocess.run([*pip, str(wheel)], check=True)
    # The dependencies come from this environment; its .pth files, and so this checkout, do not count there.
    packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    database = tmp_path / "elsewhere.db"
    settings = {
        "CITAPLANNER_DATABASE_URL": f"sqlite:///{database}",
        "CITAPLANNER_PLUGINS": "chatwoot,email",
        "CITAPLANNER_SECRET_KEY": "a-key-for-tests-only-0123456789",
    }
    migrated = subprocess.run(
        [tmp_path / "venv" / "bin" / "citaplanner", "migrate"],
        env={**inherited, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    with closing(sqlite3.connect(database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"appointment", "alembic_version", "chatwoot_contact", "alembic_version_chatwoot"} <= tables
