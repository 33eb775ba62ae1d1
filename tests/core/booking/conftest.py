"""A business ready to book, and what was published."""

import pytest
from flask import Flask

from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import AppointmentEvent
from tests.core.booking.support import Desk, open_desk


@pytest.fixture
def desk(tenant: int) -> Desk:
    """Ids to book with."""
    return open_desk(tenant)


@pytest.fixture
def events(app: Flask) -> list[AppointmentEvent]:
    """The events published from now on."""
    published: list[AppointmentEvent] = []
    registry().core_listeners.append(lambda _session, event: published.append(event))
    return published
