"""Workers killed while a receiver misbehaves: a short form of `make chaos`, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ON_POSTGRESQL

ROOT = Path(__file__).parents[3]
CODE = """
import sys
from benchmarks.storm import storm
found = storm(sys.argv[1], sys.argv[2], seed=7, kills=5, rows=150, asks=sys.argv[3] == "True", faults=0.03)
assert found.whole, found
assert found.doubled == 0 or sys.argv[3] == "False", found
print(found)
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ON_POSTGRESQL, indirect=True)
@pytest.mark.parametrize("asks", [True, False], ids=["who can be asked", "who cannot"])
def test_killed_workers_lose_nothing_and_double_nothing_unseen(database_url: str, tmp_path: Path, asks: bool) -> None:
    command = [sys.executable, "-c", CODE, database_url, str(tmp_path), str(asks)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
