"""A stand-in Chatwoot for the plugin's tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask

from citaplanner_core.hooks import lifecycle
from plugins.chatwoot.sandbox.server import Options
from tests.plugins.chatwoot.loop import Loop, looped
from tests.plugins.chatwoot.sandbox.conftest import API, Chatwoot, running
from tests.plugins.chatwoot.support import Desk, connected

Connect = Callable[..., Desk]
Begin = Callable[..., Loop]


@pytest.fixture(scope="session")
def stand_in() -> Iterator[Chatwoot]:
    """One stand-in for all tests; see `chatwoot`."""
    with running(Options(report_delay=0.01, webhook_timeout=0.5)) as chatwoot:
        yield chatwoot


@pytest.fixture
def chatwoot(stand_in: Chatwoot) -> Chatwoot:
    """The stand-in as it is after its start."""
    stand_in.control("POST", "reset")
    return stand_in


@pytest.fixture
def connect(chatwoot: Chatwoot, tenant: int) -> Connect:
    """Connects the tenant to an inbox of the stand-in."""

    def make(inbox: int = API, **values: Any) -> Desk:
        return connected(chatwoot, tenant, inbox, **values)

    return make


@pytest.fixture
def desk(connect: Connect) -> Desk:
    """The tenant, connected to the API inbox."""
    return connect()


@pytest.fixture
def switched_on(desk: Desk) -> Desk:
    """The tenant, connected and with the plugin switched on."""
    lifecycle.enable("chatwoot", desk.tenant)
    return desk


@pytest.fixture
def begin(app: Flask, chatwoot: Chatwoot, tenant: int) -> Iterator[Begin]:
    """Starts the loop in an inbox."""
    with ExitStack() as stack:
        yield lambda inbox=API, trust=None: stack.enter_context(looped(app, chatwoot, tenant, inbox, trust))


@pytest.fixture
def loop(begin: Begin) -> Loop:
    """The loop in an API inbox that a WhatsApp bridge feeds, as in the demo."""
    return begin(API, "proven")
