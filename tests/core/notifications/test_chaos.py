"""Workers killed while a receiver misbehaves: the small form of `make chaos`."""

from pathlib import Path

import pytest

from benchmarks.storm import storm


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("asks", [True, False], ids=["who can be asked", "who cannot"])
def test_killed_workers_lose_nothing_and_double_nothing_unseen(database_url: str, tmp_path: Path, asks: bool) -> None:
    rows, kills = (1000, 20) if asks else (200, 6)
    found = storm(database_url, str(tmp_path), seed=7, kills=kills, rows=rows, asks=asks, faults=0.03)
    assert found.whole, found
    assert found.doubled == 0 or not asks
