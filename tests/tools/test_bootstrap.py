"""`make install` on good and bad days, in a folder with a space and without any network."""

import ast
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import bootstrap

SOURCE = Path(bootstrap.__file__)
BACKEND = """\
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/toy-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: toy\\nVersion: 1\\n")
        wheel.writestr("toy-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("toy-1.dist-info/RECORD", "")
    return "toy-1-py3-none-any.whl"
"""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with nothing of pip and no index to be reached."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return {**inherited, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/", **changes}


def make_checkout(root: Path) -> Path:
    """A project like ours to the set-up, with a build that needs nothing."""
    for folder in ("tools", "requirements"):
        (root / folder).mkdir(parents=True)
    shutil.copy(SOURCE, root / "tools" / "bootstrap.py")
    (root / "setup.cfg").write_text("")
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "toy"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (root / "requirements" / "run.txt").write_text("# nothing\n")
    (root / "requirements" / "dev.txt").write_text("-r run.txt\n")
    return root


def set_up(root: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "tools" / "bootstrap.py")]
    return subprocess.run(command, env=environment(**changes), capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that was set up once."""
    root = make_checkout(tmp_path_factory.mktemp("set up") / "the project")
    first = set_up(root)
    assert first.returncode == 0, first.stderr
    return root


@pytest.fixture
def checkout(made: Path) -> Iterator[Path]:
    """The same, as good as new after each test."""
    kept = {path: path.read_bytes() for path in [*made.glob("requirements/*"), made / ".venv" / "set-up.json"]}
    yield made
    for path, content in kept.items():
        path.write_bytes(content)


def state(root: Path, monkeypatch: pytest.MonkeyPatch, asked: str = "") -> str:
    monkeypatch.setattr(bootstrap, "ROOT", root)
    return bootstrap.Environment(root / ".venv", asked).state()


def test_the_environment_holds_the_project(checkout: Path) -> None:
    listed = subprocess.run(
        [checkout / ".venv" / "bin" / "pip", "list", "--format=freeze"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert "toy==1" in listed.stdout


def test_a_second_set_up_changes_nothing_says_nothing_and_is_quick(checkout: Path) -> None:
    before = (checkout / ".venv" / "set-up.json").stat().st_mtime_ns
    started = time.monotonic()
    second = set_up(checkout)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert time.monotonic() - started < 2
    assert (checkout / ".venv" / "set-up.json").stat().st_mtime_ns == before


def test_an_interrupted_set_up_is_made_again(tmp_path: Path) -> None:
    root = make_checkout(tmp_path / "half made")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (root / ".venv" / "left over").touch()
    assert set_up(root).returncode == 0
    assert not (root / ".venv" / "left over").exists()
    assert set_up(root).stdout == ""


def test_what_cannot_be_trusted_is_made_again(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = checkout / ".venv" / "set-up.json"
    assert state(checkout, monkeypatch) == "ready"

    moved = tmp_path / "moved"
    shutil.copytree(checkout, moved, symlinks=True)
    assert state(moved, monkeypatch) == "broken"

    good = json.loads(stamp.read_text())
    for bad in ("", "{", json.dumps({**good, "python": "3.10"})):
        stamp.write_text(bad)
        assert state(checkout, monkeypatch) == "broken"

    stamp.write_text(json.dumps({**good, "root": str(moved), "folder": str(moved / ".venv")}))
    (moved / ".venv" / "set-up.json").write_text(stamp.read_text())
    assert state(moved, monkeypatch) == "ready"
    python = moved / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "removed" / "python3")
    assert state(moved, monkeypatch) == "broken"


def test_other_requirements_are_installed_into_what_is_there(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "requirements" / "run.txt").write_text("# other\n")
    assert state(checkout, monkeypatch) == "behind"
    done = set_up(checkout)
    assert done.returncode == 0
    assert "Making" not in done.stdout
    assert state(checkout, monkeypatch) == "ready"


def test_without_a_network_one_line_says_what_to_do(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "requirements" / "run.txt").write_text("not-to-be-had==1\n")
    failed = set_up(checkout, PIP_RETRIES="0")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "network" in failed.stderr
    assert ".venv/set-up.log" in failed.stderr
    assert state(checkout, monkeypatch) == "broken"


def test_two_at_once_wait_for_each_other(checkout: Path) -> None:
    (checkout / "requirements" / "run.txt").write_text("# for two\n")
    handle = os.open(checkout, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    command = [sys.executable, str(checkout / "tools" / "bootstrap.py")]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline().startswith("Waiting for another set-up")
        os.close(handle)
        assert "Done" in second.stdout.read()
    assert second.returncode == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    root = make_checkout(tmp_path / "project")
    (root / ".venv").write_text("a file in the way")
    failed = set_up(root)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"Cannot write {root / '.venv'}: ")
    assert failed.stderr.count("\n") == 1


def python_that_says(path: Path, answer: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("3 8 1 /usr/bin/python3", "Python 3.11 or newer is needed, this is 3.8"),
        ("3 12 0 /usr/bin/python3", "apt install python3.12-venv"),
        ("what?", "does not run: name a Python 3.11 or newer"),
    ],
)
def test_an_unfit_python_is_refused_in_one_line(tmp_path: Path, answer: str, words: str) -> None:
    root = make_checkout(tmp_path / "project")
    failed = set_up(root, PYTHON=python_that_says(tmp_path / "bin" / "python3", answer))
    assert failed.returncode == 1
    assert words in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_newer_python_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = python_that_says(tmp_path / "old" / "python3", "3 9 1 /old/python3")
    python_that_says(tmp_path / "bin" / "python3.13", "shim without a python")
    python_that_says(tmp_path / "bin" / "python3.12", "3 12 1 /usr/bin/python3.12")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", old)
    assert bootstrap.choose("").path == "/usr/bin/python3.12"


def test_a_python_that_was_asked_for_replaces_another(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state(checkout, monkeypatch, python_that_says(tmp_path / "python3", "3 99 1 /usr/bin/x")) == "broken"
    assert state(checkout, monkeypatch, sys.executable) == "ready"


def test_python_3_8_understands_the_script() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "ERROR: No matching distribution found for cryptography==50.0.2",
            "no ready-made cryptography==50.0.2",
        ),
        ("WARNING: Retrying after NewConnectionError", "needs the network"),
        ("ERROR: something else\nhint: none", "The set-up failed with: ERROR: something else"),
    ],
)
def test_what_went_wrong_is_said_in_a_sentence(output: str, words: str) -> None:
    assert words in bootstrap.meaning(output)
