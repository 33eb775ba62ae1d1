"""What clients wrote while webhooks did not reach us is found, acted on once, and counted."""

import json

import pytest
from sqlalchemy import select

from citaplanner_core.database import system_work, work
from citaplanner_core.hooks.types import JobContext, Retry
from plugins.chatwoot import catch_up, watch
from plugins.chatwoot.events import parse_event
from plugins.chatwoot.models import ChatwootCursor, ChatwootEvent
from plugins.chatwoot.receivers import of_tenant
from plugins.chatwoot.webhook import store
from tests.plugins.chatwoot.loop import OTHER_FORM, WRITER, Loop
from tests.plugins.chatwoot.sandbox.conftest import API

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def look(loop: Loop) -> catch_up.Totals:
    with loop.app.app_context():
        return catch_up.catch_up(loop.tenant)


def deafen(loop: Loop) -> None:
    """Chatwoot's webhooks go nowhere from now on."""
    for hook in loop.chatwoot.ok("GET", "/webhooks")["payload"]["webhooks"]:
        loop.chatwoot.ok("PATCH", f"/webhooks/{hook['id']}", {"url": "http://127.0.0.1:9/lost"})


def cursor(loop: Loop) -> str:
    with work(loop.tenant, write=False) as session:
        row = session.scalars(select(ChatwootCursor).where(ChatwootCursor.name.startswith(catch_up.CURSOR))).one()
        return str(row.position["at"])


def test_what_was_written_meanwhile_is_found_once_and_acted_on(loop: Loop) -> None:
    appointment, _ = loop.asked()
    assert look(loop) == catch_up.Totals()
    before = len(loop.rows(ChatwootEvent))
    deafen(loop)
    for text in [f"mensaje {number}" for number in range(24)]:
        loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text=text)
    loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text="sí, confirmo")
    loop.chatwoot.incoming(inbox_id=API, phone="5213312345670", text="hola")
    loop.settle()
    assert len(loop.rows(ChatwootEvent)) == before
    found = look(loop)
    assert (found.conversations, found.recovered, found.finished) == (2, 26, True)
    loop.settle()
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    again = look(loop)
    assert (again.recovered, again.known) == (0, 26)
    events = loop.rows(ChatwootEvent)
    assert len({event.object_key for event in events[before:]}) == 26
    with system_work("figures") as session:
        figures = {figure.name: figure.value for figure in watch.figures(session)}
    assert figures["messages_recovered"] == 26


@on_sqlite
def test_a_webhook_that_comes_after_all_changes_nothing(loop: Loop) -> None:
    loop.asked()
    look(loop)
    deafen(loop)
    wrote = loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text="1")
    assert look(loop).recovered == 1
    (late,) = [one for one in loop.rows(ChatwootEvent) if one.object_key == f"message_created:{wrote['message_id']}"]
    event = parse_event(late.payload)
    assert event is not None
    with loop.app.app_context():
        (receiver,) = of_tenant(loop.tenant)
        assert store(receiver, event, json.dumps(late.payload), "its-own-delivery") is False


@on_sqlite
def test_an_agent_who_wrote_meanwhile_is_noticed_and_what_we_wrote_is_not(loop: Loop) -> None:
    _, question = loop.asked()
    look(loop)
    deafen(loop)
    loop.chatwoot.control(
        "POST", "agent", {"conversation_id": question["conversation"], "action": "reply", "text": "Hola Ana"}
    )
    loop.chatwoot.control(
        "POST", "agent", {"conversation_id": question["conversation"], "action": "note", "text": "nota"}
    )
    assert look(loop).recovered == 1
    loop.settle()
    assert loop.outcomes()[-1] == "agent"


@on_sqlite
def test_trouble_leaves_the_cursor_where_it_was(loop: Loop) -> None:
    loop.asked()
    look(loop)
    at = cursor(loop)
    deafen(loop)
    loop.chatwoot.incoming(inbox_id=API, phone=OTHER_FORM, text="hola")
    for status in (429, 503, 401):
        loop.fault("/conversations", method="GET", status=status)
        with loop.app.app_context(), pytest.raises(Retry):
            catch_up.look(JobContext(loop.tenant, 1, 1, {}))
        assert cursor(loop) == at
    assert look(loop).recovered == 1


@on_sqlite
def test_the_first_look_acts_on_nothing_old(loop: Loop) -> None:
    loop.asked()
    deafen(loop)
    loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text="3")
    with loop.calls() as made:
        assert look(loop).recovered == 0
    assert made == []
