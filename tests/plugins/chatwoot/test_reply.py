"""What is said back: once, whatever Chatwoot does, and only while it is true and may be said."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from structlog.testing import capture_logs

from citaplanner_core.booking import appointments as verbs
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.jobs import queue
from citaplanner_core.jobs.models import Job
from plugins.chatwoot import inbound
from plugins.chatwoot.api import MARKER
from plugins.chatwoot.models import ChatwootConfig, ChatwootEvent, ChatwootInteraction
from tests.plugins.chatwoot.loop import PHONE, WRITER, Loop
from tests.plugins.chatwoot.sandbox.conftest import API

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
POSTS = "/conversations/.*/messages"


def answered(loop: Loop, text: str = "1") -> int:
    """Have a question answered and acted on, with the reply still to be posted; return the appointment's id."""
    appointment, _ = loop.asked()
    loop.chatwoot.incoming(inbox_id=API, phone=WRITER, text=text)
    loop.chatwoot.settle()
    for event in loop.rows(ChatwootEvent):
        if event.processed_at is None:
            inbound.handle_event(JobContext(loop.tenant, 1, 1, {"event_id": event.id}))
    assert len(loop.public()) == 1
    return appointment


def reply_job(loop: Loop) -> Job:
    job: Job
    (job,) = [job for job in loop.rows(Job) if job.kind == "reply"]
    return job


def replies(loop: Loop) -> list[str]:
    return [one["content"] for one in loop.public()[1:]]


def test_a_reply_is_marked_and_noted(loop: Loop) -> None:
    answered(loop, "no puedo")
    loop.settle()
    reply = loop.public()[-1]
    asked = next(row for row in loop.rows(ChatwootInteraction) if row.direction == "in")
    assert reply["content_attributes"][MARKER] == f"reply-{loop.tenant}-{asked.message_id}"
    noted = next(row for row in loop.rows(ChatwootInteraction) if row.message_id == reply["id"])
    assert (noted.direction, noted.question, noted.schedule_version) == ("out", "confirm", 1)
    assert (noted.notification_id, noted.text) == (asked.notification_id, reply["content"])


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500, "accept_then_fail": True},
        {"status": 500},
        {"accept_then_fail": True},
        {},
        {"status": 429},
        {"status": 503, "times": 3},
    ],
)
@on_sqlite
def test_whatever_happens_it_is_said_once(loop: Loop, trouble: dict[str, Any]) -> None:
    answered(loop)
    loop.fault(POSTS, method="POST", **trouble)
    for _ in range(5):
        loop.settle(within=180)
    (reply,) = replies(loop)
    assert "está confirmada" in reply
    assert reply_job(loop).status == "DONE"
    assert len([row for row in loop.rows(ChatwootInteraction) if row.text == reply]) == 1


@on_sqlite
def test_an_earlier_attempt_is_looked_for_before_anything_is_said(loop: Loop) -> None:
    answered(loop)
    loop.fault(POSTS, method="POST", status=500, accept_then_fail=True)
    loop.settle(within=0)
    assert len(replies(loop)) == 1
    with loop.calls() as made:
        loop.settle(within=180)
    assert [call.partition(" ")[0] for call in made if "messages" in call] == ["GET"]


def test_a_crash_after_posting_does_not_say_it_twice(loop: Loop) -> None:
    answered(loop)
    loop.settle()
    with work(loop.tenant) as session:
        job = session.scalars(select(Job).where(Job.kind == "reply")).one()
        job.status, job.due, job.finished_at = "PENDING", utcnow(), None
    loop.settle()
    assert len(replies(loop)) == 1
    assert reply_job(loop).attempt == 2


@on_sqlite
def test_a_conversation_that_is_gone_ends_it(loop: Loop) -> None:
    answered(loop)
    loop.fault(POSTS, method="POST", status=404)
    loop.settle()
    assert replies(loop) == []
    assert reply_job(loop).status == "DONE"


@on_sqlite
def test_a_refused_token_is_seen(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "backoff", lambda *_, **__: timedelta(minutes=1))  # else by chance it is over at once
    appointment = answered(loop)
    loop.fault(POSTS, method="POST", status=401)
    loop.settle(strict=False)
    assert reply_job(loop).status == "PENDING"
    assert "Unauthorized" in (reply_job(loop).error or "")
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    loop.settle(within=180)
    assert len(replies(loop)) == 1


@on_sqlite
def test_what_is_not_true_any_more_is_not_said(loop: Loop) -> None:
    appointment = answered(loop)
    with work(loop.tenant) as session:
        verbs.cancel(session, appointment, by="staff")
    loop.settle()
    assert not any("está confirmada" in one for one in replies(loop))


@on_sqlite
def test_what_was_decided_long_ago_is_not_said(loop: Loop) -> None:
    answered(loop)
    with work(loop.tenant) as session:
        job = session.scalars(select(Job).where(Job.kind == "reply")).one()
        job.payload = {**job.payload, "decided_at": (utcnow() - timedelta(hours=2)).isoformat()}
    loop.settle()
    assert replies(loop) == []


@pytest.mark.parametrize(
    "values", [{"enable_notifications": False}, {"is_active": False}, {"account_id": 2}, {"api_access_token": None}]
)
@on_sqlite
def test_an_account_that_says_nothing_still_hears(loop: Loop, values: dict[str, Any]) -> None:
    appointment = answered(loop)
    with work(loop.tenant) as session:
        session.execute(update(ChatwootConfig).values(values))
    loop.settle()
    assert loop.state(appointment) == ("CONFIRMED", "yes")
    assert replies(loop) == []


@on_sqlite
def test_a_tenant_that_switched_off_says_nothing(loop: Loop) -> None:
    answered(loop)
    lifecycle.disable("chatwoot", loop.tenant)
    loop.settle()
    assert replies(loop) == []


@pytest.mark.parametrize(
    ("delivery", "allowed", "said"), [("off", (), 0), ("allowlist", (), 0), ("allowlist", ("+525512345678",), 1)]
)
@on_sqlite
def test_a_copy_of_the_deployment_says_no_more_than_it_may(
    app: Flask, loop: Loop, delivery: str, allowed: tuple[str, ...], said: int
) -> None:
    answered(loop)
    changes = {"delivery": delivery, "delivery_allowlist": allowed}
    app.config["CITAPLANNER"] = app.config["CITAPLANNER"].model_copy(update=changes)
    loop.settle()
    assert len(replies(loop)) == said


@on_sqlite
def test_agents_are_told_once_who_shares_a_number(loop: Loop) -> None:
    for name in ("Luz", "{{contact.email}}"):
        loop.client(phone=PHONE, first_name=name, last_name="P.")
    loop.fault(POSTS, method="POST", status=500, accept_then_fail=True)
    loop.write("Hola")
    loop.settle(within=180)
    loop.write("¿Hay alguien?")
    (note,) = loop.notes()
    assert "Luz P. (#" in note["content"]
    assert "{{" not in note["content"]
    loop.client(phone=PHONE, first_name="Eva")
    loop.write("Hola")
    assert len(loop.notes()) == 2
    assert loop.public() == []


@on_sqlite
def test_neither_words_nor_numbers_are_logged(loop: Loop) -> None:
    with capture_logs() as logged:
        loop.asked(first_name="Casandra")
        loop.write("cancela mi cita por favor")
        loop.fault(POSTS, method="POST", status=404)
        loop.write("1")
    assert "chatwoot_reply_dropped" in [entry["event"] for entry in logged]
    for secret in ("Casandra", "cancela mi", WRITER[-8:], "sandbox-admin-token"):
        assert secret not in str(logged)
