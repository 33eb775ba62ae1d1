from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from citaplanner_core.web import logins


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash with little work: these tests are not about how hard it is."""
    monkeypatch.setattr(logins, "_hasher", PasswordHasher(memory_cost=64, time_cost=1, parallelism=1))
    logins._nobodys_hash.cache_clear()
    yield
    logins._nobodys_hash.cache_clear()
