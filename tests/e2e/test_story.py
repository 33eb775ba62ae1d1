"""The whole loop, played by the command on real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def _story(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CITAPLANNER_")}
    return subprocess.run(
        [sys.executable, "-m", "citaplanner_core", "demo", "--story", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_every_step_is_observed(tmp_path: Path) -> None:
    done = _story(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5215512345678 > sí, confirmo" in done.stdout
    assert "CONFIRMED, answer yes" in done.stdout
    assert done.stdout.rstrip().endswith("All 7 steps were observed.")
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_without_a_worker_it_fails_and_says_at_which_step(tmp_path: Path) -> None:
    done = _story(tmp_path, "--without-worker")
    assert done.returncode == 1
    assert "FAILED at step 2" in done.stdout
    assert "Traceback" not in done.stderr
