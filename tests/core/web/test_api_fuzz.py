"""A short run of the fuzzer that `python -m benchmarks fuzz` runs long: see `benchmarks/fuzz.py`."""

import pytest
from flask import Flask

from benchmarks.fuzz import furnish, fuzz


@pytest.mark.slow  # some seconds: two calls to each of seventy operations
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_whatever_is_asked_is_answered_as_the_document_says(app: Flask) -> None:
    found = fuzz(app, furnish(), examples=2, seed=1, phases=("fuzzing",))
    assert not found.wrong
    assert found.calls["fuzzing"] > 120
    assert found.statuses[200] > 20
    assert max(found.statuses) < 500
