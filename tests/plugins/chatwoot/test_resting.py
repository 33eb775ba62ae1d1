"""What was answered without a person leaves the agents' queue; what needs one stays in it."""

from typing import Any

import pytest

from citaplanner_core.database import work
from citaplanner_core.hooks import settings
from tests.plugins.chatwoot.loop import Loop

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def talk(loop: Loop, conversation: int) -> Any:
    return loop.chatwoot.ok("GET", f"/conversations/{conversation}")


def status(loop: Loop, conversation: int) -> str:
    return str(talk(loop, conversation)["status"])


def test_what_was_answered_leaves_the_queue_and_comes_back_for_a_person(loop: Loop) -> None:
    appointment, question = loop.asked()
    conversation = question["conversation"]
    assert status(loop, conversation) == "open"
    loop.write("sí, confirmo")
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    assert status(loop, conversation) == "snoozed"
    loop.write("gracias")
    assert status(loop, conversation) == "snoozed"
    loop.write("quiero hablar con una persona")
    assert status(loop, conversation) == "open"


@on_sqlite
@pytest.mark.parametrize("text", ["no puedo", "azul turquesa"])
def test_what_was_asked_back_stays(loop: Loop, text: str) -> None:
    _, question = loop.asked()
    loop.write(text)
    assert status(loop, question["conversation"]) == "open"


@on_sqlite
def test_what_an_agent_has_or_a_later_message_opened_stays(loop: Loop) -> None:
    _, question = loop.asked()
    conversation = question["conversation"]
    (agent, *_) = loop.chatwoot.ok("GET", "/agents")
    loop.chatwoot.ok("POST", f"/conversations/{conversation}/assignments", {"assignee_id": agent["id"]})
    loop.write("1")
    assert status(loop, conversation) == "open"


@on_sqlite
def test_a_business_may_keep_everything_in_its_queue(loop: Loop) -> None:
    with work(loop.tenant) as session:
        settings.write(session, "chatwoot", {"rest_answered": False})
    _, question = loop.asked()
    loop.write("1")
    assert status(loop, question["conversation"]) == "open"


@on_sqlite
def test_trouble_is_tried_again_and_a_conversation_that_is_gone_is_let_be(loop: Loop) -> None:
    _, question = loop.asked()
    conversation = question["conversation"]
    loop.fault(f"/conversations/{conversation}/toggle_status", method="POST", status=503)
    loop.write("1")
    loop.settle(within=180)
    assert status(loop, conversation) == "snoozed"
    loop.fault(f"/conversations/{conversation}", method="GET", status=404)
    loop.write("gracias")
    assert status(loop, conversation) == "open"
