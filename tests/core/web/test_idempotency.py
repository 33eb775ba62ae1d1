"""The same request with the same key is done once, whatever happens to it on the way."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select

from citaplanner_core.booking import appointments
from citaplanner_core.booking.models import Client
from citaplanner_core.database import utcnow, work
from citaplanner_core.web.idempotency import IdempotencyKey
from tests.core.web.support import Answer, Api, Business, refusal, tomorrow

KEY = {"Idempotency-Key": "5b0c7c1e"}


def clients(business: Business) -> int:
    with work(business.tenant, write=False) as session:
        return session.scalar(select(func.count()).select_from(Client)) or 0


def make(api: Api, name: str = "Ana", **given: Any) -> Answer:
    return api.post("/clients", {"first_name": name}, headers=KEY, **given)


def test_the_first_answer_is_given_again(business: Business) -> None:
    first, second = make(business.api), make(business.api)
    assert first.status_code == second.status_code == 201
    assert first.json == second.json
    assert clients(business) == 2
    with_key = business.api.post("/appointments", business.booking(), headers={"Idempotency-Key": "b"})
    assert (
        business.api.post("/appointments", business.booking(), headers={"Idempotency-Key": "b"}).json == with_key.json
    )
    assert business.api.post("/appointments", business.booking()).status_code == 409


def test_a_refusal_is_the_first_answer_too(business: Business) -> None:
    taken = business.booking(start=tomorrow().isoformat())
    first = business.api.post("/appointments", taken, headers=KEY)
    with work(business.tenant) as session:
        appointments.cancel(session, business.appointment, by="staff")
    second = business.api.post("/appointments", taken, headers=KEY)
    assert (first.status_code, first.text) == (second.status_code, second.text) == (409, first.text)
    assert business.api.post("/appointments", taken).status_code == 201


def test_a_key_stands_for_one_request(business: Business, other: Business) -> None:
    make(business.api)
    reused = make(business.api, "Eva")
    assert (reused.json["code"], refusal(reused)) == ("idempotency_key_reused", (422, "Idempotency-Key"))
    path = f"/appointments/{business.appointment}/confirm"
    assert refusal(business.api.post(path, {}, headers=KEY)) == (422, "Idempotency-Key")
    assert clients(business) == 2
    assert make(other.api, "Eva").status_code == 201


def test_a_key_that_cannot_be_kept_is_refused(business: Business) -> None:
    for key in ("", "k" * 201, "clé"):
        answer = business.api.post("/clients", {"first_name": "Ana"}, headers={"Idempotency-Key": key})
        assert refusal(answer) == (422, "Idempotency-Key")
    assert clients(business) == 1


def test_at_the_same_time_it_is_done_once(business: Business) -> None:
    barrier = threading.Barrier(6)

    def ask(_: int) -> Answer:
        barrier.wait()
        with business.api.app.app_context():
            return make(business.api)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {201, 409}
    assert statuses[201] >= 1
    assert {answer.json["code"] for answer in answers if answer.status_code == 409} <= {"in_progress"}
    assert clients(business) == 2
    assert make(business.api).status_code == 201


def test_in_progress_is_a_conflict_until_it_must_have_broken_off(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before the work is committed: later the request may be sent again."""
    with monkeypatch.context() as patched:
        patched.setattr("citaplanner_core.web.api.clients.create_client", _die)
        with pytest.raises(SystemExit):
            make(business.api)
    assert make(business.api).json["code"] == "in_progress"
    with time_machine.travel(utcnow() + timedelta(minutes=3), tick=False):
        assert make(business.api).status_code == 201
        assert make(business.api).status_code == 201
    assert clients(business) == 2


def _die(*_: object, **__: object) -> None:
    raise SystemExit


def test_what_was_committed_is_never_done_again(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after the work is committed, before the answer is kept."""
    with monkeypatch.context() as patched:
        patched.setattr("citaplanner_core.web.idempotency._keep", _die)
        with pytest.raises(SystemExit):
            make(business.api)
    assert clients(business) == 2
    assert make(business.api).json["code"] == "in_progress"
    with time_machine.travel(utcnow() + timedelta(minutes=3), tick=False):
        assert make(business.api).json["code"] == "answer_lost"
    assert clients(business) == 2


def test_a_failure_of_ours_leaves_no_key(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("citaplanner_core.web.api.clients.create_client", fail)
        answer = business.api.app.test_client().post(
            "/api/v1/clients", json={"first_name": "Ana"}, headers={**business.api.headers, **KEY}
        )
        assert answer.status_code == 500
    assert make(business.api).status_code == 201


def test_keys_are_kept_for_a_day(business: Business) -> None:
    make(business.api)
    with time_machine.travel(utcnow() + timedelta(hours=25), tick=False):
        assert make(business.api, "Eva").status_code == 201
    with work(business.tenant, write=False) as session:
        assert len(session.scalars(select(IdempotencyKey)).all()) == 1
