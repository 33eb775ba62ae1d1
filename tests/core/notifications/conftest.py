"""The scene of most tests here."""

from collections.abc import Iterator

import pytest
from flask import Flask

from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.registry import registry
from tests.core.notifications.support import FakeChannel, Scene


@pytest.fixture
def scene(app: Flask, tenant: int) -> Iterator[Scene]:
    first, second = FakeChannel("chatwoot"), FakeChannel("email", text_family="mail")
    before = dict(registry().channels)
    registry().channels = {"log": before["log"], "chatwoot": ("chatwoot", first), "email": ("email", second)}
    for name in ("chatwoot", "email"):
        lifecycle.enable(name, tenant)
    yield Scene(app, tenant, first, second)
    registry().channels = before
