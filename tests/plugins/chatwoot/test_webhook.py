"""What Chatwoot is answered, what is stored, and that nothing is lost or half done on bad days."""

import json
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import psycopg
import pytest
from flask import Flask
from prometheus_client import REGISTRY
from sqlalchemy import delete, event, select, text, update
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from citaplanner_core.booking.models import Tenant
from citaplanner_core.crypto import init_crypto
from citaplanner_core.database import close_database, db, system_work, work
from citaplanner_core.hooks import lifecycle, settings
from citaplanner_core.jobs.models import Job
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.jobs.wake import listen
from citaplanner_core.testing.factories import make_branch, make_tenant
from plugins.chatwoot.models import ChatwootConfig, ChatwootEvent
from plugins.chatwoot.webhook import LARGEST_BODY, verify
from tests.conftest import TEST_KEY
from tests.plugins.chatwoot import payloads
from tests.plugins.chatwoot.payloads import ACCOUNT, CONTACT, INBOX, JSON, MESSAGE, PHONE, SECRET, encode, sign
from tests.plugins.chatwoot.support import config

PLAIN = "/api/webhooks/chatwoot"
SERVER = "https://chat.example"
DONE = {"success": True, "message": "Evento procesado"}
IGNORED = {**DONE, "ignored": "unknown_account"}
Stored = tuple[str, str | None, str | None]


class Site:
    """Our web server, as Chatwoot sees it."""

    def __init__(self, app: Flask, tenant: int) -> None:
        self.app, self.tenant = app, tenant
        self.url = self.connected(tenant)

    def connected(self, tenant: int, **values: Any) -> str:
        """Connect a tenant, and return the webhook address of the connection."""
        given = {"inbox_id": INBOX, "account_id": ACCOUNT, "webhook_secret": SECRET, "base_url": SERVER}
        row = config(**{**given, **values})
        with work(tenant) as session:
            session.add(row)
            session.flush()
            url = f"{PLAIN}/{row.webhook_key}"
        lifecycle.enable("chatwoot", tenant)
        return url

    def change(self, **values: Any) -> None:
        """Change the tenant's configuration."""
        with work(self.tenant) as session:
            session.execute(update(ChatwootConfig).values(**values))

    def send(self, body: object, url: str | None = None, **headers: str | None) -> TestResponse:
        """Send a body, signed unless `headers` (None leaves one out) say otherwise."""
        data = body if isinstance(body, bytes) else encode(body)
        given: dict[str, str | None] = {
            **sign(data),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in given.items() if value is not None}
        return self.app.test_client().post(url or self.url, data=data, headers=sent)

    def unsigned(self, body: object, url: str | None = None) -> TestResponse:
        """Send a body as Chatwoot did before it signed anything."""
        return self.send(body, url, X_Chatwoot_Signature=None, X_Chatwoot_Timestamp=None)

    def stored(self, tenant: int | None = None) -> list[Stored]:
        """What is stored for a tenant, each with its job, or the test fails: (event, delivery id, object key)."""
        with work(tenant or self.tenant, write=False) as session:
            rows = session.scalars(select(ChatwootEvent).order_by(ChatwootEvent.id)).all()
            jobs = session.scalars(select(Job).where(Job.plugin == "chatwoot")).all()
            assert sorted(job.payload["event_id"] for job in jobs) == [row.id for row in rows]
            return [(row.event, row.delivery_id, row.object_key) for row in rows]


@pytest.fixture
def site(app: Flask, tenant: int) -> Site:
    return Site(app, tenant)


@pytest.fixture
def other(site: Site) -> int:
    """A second tenant, connected to nothing."""
    return make_tenant("other")


def _count(outcome: str) -> float:
    return REGISTRY.get_sample_value("citaplanner_chatwoot_webhook_total", {"outcome": outcome}) or 0.0


@pytest.mark.parametrize("path", [PLAIN, f"{PLAIN}/any-key"])
def test_a_look_at_the_address_says_it_is_alive(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    assert answer.status_code == 200
    said = answer.get_json()
    stamp = said.pop("timestamp")
    assert said == {"success": True, "message": "Webhook de Chatwoot activo"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)


@pytest.mark.parametrize("keyed", [True, False])
def test_an_event_is_stored_as_it_came_with_the_job_that_handles_it(site: Site, keyed: bool) -> None:
    body = encode(payloads.message(content="<b>ñ</b> \0 &"))
    before = _count("stored")
    answer = site.send(body, None if keyed else PLAIN, X_Chatwoot_Delivery="d-1")
    assert (answer.status_code, answer.json) == (200, DONE)
    assert _count("stored") == before + 1
    assert site.stored() == [("message_created", "d-1", f"message_created:{MESSAGE}")]
    with work(site.tenant, write=False) as session:
        row = session.scalars(select(ChatwootEvent)).one()
        assert row.config_id == session.scalars(select(ChatwootConfig.id)).one()
        assert (row.account_ref, row.processed_at) == (f"{SERVER}#{ACCOUNT}", None)
        assert row.payload == json.loads(body)


def test_the_job_is_what_the_queue_itself_would_write(site: Site) -> None:
    site.send(payloads.message())
    with work(site.tenant) as session:
        ours = session.scalars(select(Job)).one()
        enqueue(session, "event", ours.payload, plugin="chatwoot")
        other = session.scalars(select(Job).where(Job.id != ours.id)).one()
        for column in Job.__table__.columns:
            mine, theirs = getattr(ours, column.key), getattr(other, column.key)
            if column.key in ("due", "created_at"):
                assert abs((mine - theirs).total_seconds()) < 60
            elif column.key != "id":
                assert mine == theirs, column.key


def test_the_worker_is_woken(site: Site) -> None:
    listening, woken, closing = threading.Event(), threading.Event(), threading.Event()

    def hear() -> None:
        (woken if listening.is_set() else listening).set()

    listener = threading.Thread(target=listen, args=(db.engine, hear, closing))
    listener.start()
    try:
        deadline = time.monotonic() + 10
        while not woken.is_set() and time.monotonic() < deadline:
            site.send(payloads.message("message_updated"))
            woken.wait(0.2)
        assert woken.is_set()
    finally:
        closing.set()
        listener.join()


# Refusals, in their order

BIG = b"x" * 2_000_000


REFUSALS: list[tuple[str, object, str | None, dict[str, str | None], int, str]] = [
    ("too large first", BIG, f"{PLAIN}/unknown", {}, 413, "Cuerpo demasiado grande"),
    ("unknown key second", b"no", f"{PLAIN}/unknown", {"X_Chatwoot_Signature": "x"}, 404, ""),
    ("wrong signature third", b"no", None, {"X_Chatwoot_Signature": "sha256=0"}, 401, ""),
    ("no signature", b"no", None, {"X_Chatwoot_Signature": None}, 401, ""),
    ("no time", b"{}", None, {"X_Chatwoot_Timestamp": None}, 401, ""),
    ("not JSON", b"no", None, {}, 400, "El cuerpo no es JSON"),
    ("empty", b"", None, {}, 400, "El cuerpo no es JSON"),
    ("no event", b"{}", None, {}, 400, "Evento no especificado"),
    ("plain: too large first", BIG, PLAIN, {}, 413, "Cuerpo demasiado grande"),
    ("plain: not JSON", b"no", PLAIN, {"X_Chatwoot_Signature": "x"}, 400, "El cuerpo no es JSON"),
    ("plain: no event", b"[]", PLAIN, {"X_Chatwoot_Signature": "x"}, 400, "Evento no especificado"),
    ("plain: signature last", payloads.message(), PLAIN, {"X_Chatwoot_Signature": "x"}, 401, ""),
]


def test_refusals(site: Site, subtests: pytest.Subtests) -> None:
    for why, body, url, headers, status, error in REFUSALS:
        with subtests.test(why):
            answer = site.send(body, url, **headers)
            assert answer.status_code == status
            said = answer.get_json()
            assert said["success"] is False
            assert said["error"]
            assert error in ("", said["error"])
    assert site.stored() == []


NO_JSON: dict[str, Any] = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "NaN": b'{"event": "message_created", "id": NaN}',
    "infinity": b'{"event": "message_created", "id": -Infinity}',
    "endless number": b'{"event": "message_created", "id": ' + b"9" * 5000 + b"}",
    "UTF-16": '{"event": "message_created"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"event": "message_created"}',
    "not UTF-8": b'{"event": "message_created", "content": "\xff"}',
    "bare NUL": b'{"event": "message_created", "content": "\x00"}',
}


def test_what_is_no_json_of_today(site: Site, subtests: pytest.Subtests) -> None:
    for what, body in NO_JSON.items():
        with subtests.test(what):
            assert site.send(body).status_code == 400
    assert site.stored() == []


ODD: dict[str, Any] = {
    "odd values": b'{"event": "message_created", "content": "\\u0000 \\ud800", "n": 1e999}',
    "odd event": b'{"event": "m\\u0000\\udfff", "id": {}, "account": [], "inbox": 3}',
    "long event": b'{"event": "' + b"e" * 10_000 + b'", "id": 99999999999999999999}',
    "nested": b'{"event": "message_created", "c": ' + b"[" * 400 + b"]" * 400 + b"}",
}


def test_odd_bodies_are_stored_and_can_be_read_again(site: Site, subtests: pytest.Subtests) -> None:
    for what, body in ODD.items():
        with subtests.test(what):
            assert site.send(body).json == DONE
            with work(site.tenant, write=False) as session:
                newest = session.scalars(select(ChatwootEvent).order_by(ChatwootEvent.id.desc()).limit(1)).one()
                assert newest.payload == json.loads(body)
    assert len(site.stored()) == len(ODD)


def test_the_size_limit_counts_bytes_also_without_a_stated_length(site: Site) -> None:
    padding = LARGEST_BODY - len(encode(payloads.message(content="")))
    fits = encode(payloads.message(content="a" * padding))
    assert len(fits) == LARGEST_BODY
    assert site.send(fits).status_code == 200
    assert site.send(fits + b" ").status_code == 413

    def chunked(data: bytes) -> int:
        return (
            site.app.test_client()
            .post(
                site.url,
                input_stream=BytesIO(data),
                environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
                headers=sign(data),
            )
            .status_code
        )

    assert chunked(encode(payloads.message(id=2))) == 200
    assert chunked(fits + b" ") == 413


# Signatures


def test_the_signature_of_a_known_example() -> None:
    body = (
        '{"account":{"id":1,"name":"Clínica Acme"},"content":"Olá \\u003cb\\u003e","event":"message_created","id":9001}'
    ).encode()
    secret, at = b"whsec_demo_0123456789abcd", 1781712000
    good = "sha256=206590b2b328fbebbf4a70af71ca3dba0c7328b8aaea6c14eb185910ad04d68a"
    assert len(body) == 110
    assert verify(secret, str(at), body, good, now=at)
    assert verify(secret, str(at), body, good, now=at + 300)
    assert verify(secret, str(at), body, good, now=at - 300)
    assert not verify(secret, str(at), body, good, now=at + 301)
    assert not verify(secret, str(at), body, good, now=at - 301)
    assert not verify(secret, str(at), body + b" ", good, now=at)
    assert not verify(b"other", str(at), body, good, now=at)
    for timestamp in ("", "abc", "-1", "1" * 40, "१७८१७१२०००", f" {at}", f"{at}.0"):
        assert not verify(secret, timestamp, body, good, now=at)
    for signature in ("", good.upper(), good[7:], good[:-1], "sha256=é"):
        assert not verify(secret, str(at), body, signature, now=at)


@pytest.mark.parametrize("seconds", [-3600, -310, 310, 3600])
def test_an_old_or_future_time_is_refused(site: Site, seconds: float) -> None:
    body = encode(payloads.message())
    headers = {name.replace("-", "_"): value for name, value in sign(body, at=time.time() + seconds).items()}
    assert site.send(body, **headers).status_code == 401
    assert site.stored() == []


@pytest.mark.parametrize("place", ["webhook_secret", "previous_webhook_secret", "inbox_webhook_secret"])
def test_each_of_an_accounts_secrets_is_good(site: Site, place: str) -> None:
    site.change(**{"webhook_secret": "the-account-s", place: SECRET})
    assert site.send(payloads.message()).status_code == 200


def test_a_new_secret_counts_at_once(site: Site) -> None:
    assert site.send(payloads.message()).status_code == 200
    body = encode(payloads.message(id=2))
    headers = {name.replace("-", "_"): value for name, value in sign(body, "the-next-one").items()}
    assert site.send(body, **headers).status_code == 401
    site.change(webhook_secret="the-next-one")
    assert site.send(body, **headers).status_code == 200


def test_the_environments_secret_is_its_own_accounts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.change(webhook_secret=None)
    assert site.send(payloads.message()).status_code == 401
    monkeypatch.setenv("CHATWOOT_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("CHATWOOT_API_URL", SERVER)
    monkeypatch.setenv("CHATWOOT_ACCOUNT_ID", "4")
    assert site.send(payloads.message()).status_code == 401
    monkeypatch.setenv("CHATWOOT_ACCOUNT_ID", str(ACCOUNT))
    assert site.send(payloads.message()).status_code == 200


def test_without_a_secret_everything_is_refused(site: Site) -> None:
    site.change(webhook_secret=None)
    assert site.send(payloads.message()).status_code == 401
    assert site.unsigned(payloads.message()).status_code == 401
    empty = {name.replace("-", "_"): value for name, value in sign(encode(payloads.message()), "").items()}
    assert site.send(payloads.message(), **empty).status_code == 401


def test_unsigned_only_where_it_is_allowed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.unsigned(payloads.message()).status_code == 401
    site.change(allow_unsigned=True)
    assert site.unsigned(payloads.message()).status_code == 200
    assert site.unsigned(payloads.about_conversation("automation_event.message_created")).status_code == 200
    assert site.send(payloads.message(id=2), X_Chatwoot_Signature="sha256=0").status_code == 401
    site.change(webhook_secret=None)
    assert site.send(payloads.message(id=3)).status_code == 200


def test_the_environment_may_allow_unsigned(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATWOOT_ALLOW_UNSIGNED", "true")
    assert site.unsigned(payloads.message()).status_code == 200


# Once


def test_the_same_delivery_twice_is_stored_once(site: Site) -> None:
    for _ in range(2):
        assert site.send(payloads.message("message_updated"), X_Chatwoot_Delivery="d-1").json == DONE
    assert site.stored() == [("message_updated", "d-1", None)]


def test_a_creation_told_by_two_webhooks_is_stored_once(site: Site) -> None:
    for url in (site.url, PLAIN):
        assert site.send(payloads.message(), url).json == DONE
    assert len(site.stored()) == 1


def test_updates_of_one_message_are_each_stored(site: Site) -> None:
    for _ in range(3):
        assert site.send(payloads.message("message_updated")).json == DONE
    assert len(site.stored()) == 3


def test_old_servers_send_no_delivery_id(site: Site) -> None:
    for _ in range(2):
        site.send(payloads.message(since=(4, 7)), X_Chatwoot_Delivery=None)
        site.send(payloads.about_conversation("conversation_updated"), X_Chatwoot_Delivery=None)
    assert Counter(name for name, _, _ in site.stored()) == {"message_created": 1, "conversation_updated": 2}


def test_the_same_from_many_at_once_is_stored_once(site: Site) -> None:
    together = threading.Barrier(8)

    def send(number: int) -> int:
        together.wait()
        return site.send(payloads.message(), X_Chatwoot_Delivery=f"d-{number % 2}").status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(send, range(8))) == {200}
    assert len(site.stored()) == 1


def test_two_tenants_each_store_their_own(site: Site, other: int) -> None:
    url = site.connected(other, base_url="https://other.example")
    for address in (site.url, url):
        assert site.send(payloads.message(), address, X_Chatwoot_Delivery="d-1").json == DONE
    assert site.stored() == site.stored(other) == [("message_created", "d-1", f"message_created:{MESSAGE}")]


def test_events_in_reverse_order_are_all_stored(site: Site) -> None:
    told = [
        payloads.about_contact("contact_updated", changed_attributes=payloads.changed(phone_number=PHONE)),
        payloads.message("message_updated"),
        payloads.message(),
        payloads.about_conversation(),
        payloads.about_contact(),
    ]
    for body in told:
        assert site.send(body).json == DONE
    assert [name for name, _, _ in site.stored()] == [body["event"] for body in told]


TAKEN: dict[str, Any] = {
    "unknown event": {"event": "something_new", "account": {"id": ACCOUNT}},
    "macro": payloads.about_conversation("macro.executed"),
    "content null": payloads.message(content=None),
    "outgoing": payloads.outgoing(),
    "private": payloads.outgoing(private=True),
    "template": payloads.message(message_type="template", sender=None),
    "our own": payloads.outgoing(content_attributes={"citaplanner_key": "1-2-chatwoot"}),
    "no phone": payloads.message(within=payloads.conversation(who=payloads.contact(phone_number=None))),
    "by hand": payloads.by_hand(),
}


def test_whatever_it_is_about_it_is_taken(site: Site, subtests: pytest.Subtests) -> None:
    cases = [(what, body, url) for what, body in TAKEN.items() for url in (site.url, PLAIN)]
    for number, (what, body, url) in enumerate(cases, 1):
        with subtests.test(what, url=url):
            answer = site.send({**body, "id": number}, url)
            assert (answer.status_code, answer.json) == (200, DONE)
    assert len(site.stored()) == len(cases)


NOISE: list[JSON] = [
    payloads.typing(),
    {"event": "webwidget_triggered", "id": 1, "account": {"id": ACCOUNT}, "inbox": {"id": INBOX}},
    {"event": "inbox_updated", "account": {"id": ACCOUNT}},
    payloads.about_contact("contact_updated", changed_attributes=payloads.changed(last_activity_at=1)),
]


def test_noise_is_answered_and_not_stored(site: Site, subtests: pytest.Subtests) -> None:
    before = _count("noise")
    for body in NOISE:
        with subtests.test(body["event"]):
            assert site.send(body).json == DONE
            assert site.unsigned(body).status_code == 401
    assert site.stored() == []
    assert _count("noise") == before + len(NOISE)


# Whose it is


FOREIGN: dict[str, Any] = {
    "another account": payloads.message(account={"id": 4}),
    "another inbox": payloads.message(inbox={"id": 4}),
    "a contact elsewhere": payloads.about_contact(account={"id": 4}),
    "only an inbox": {"event": "message_created", "inbox": {"id": 4}},
}


def test_an_account_or_inbox_nobody_owns(site: Site, subtests: pytest.Subtests) -> None:
    before = _count("unknown_account")
    for what, body in FOREIGN.items():
        with subtests.test(what):
            assert site.send(body).get_json() == site.send(body, PLAIN).get_json() == IGNORED
            # Without a key there is nobody whose signature it could be; with one, that comes first.
            assert site.unsigned(body, PLAIN).get_json() == IGNORED
            assert site.unsigned(body).status_code == 401
    assert _count("unknown_account") == before + 3 * len(FOREIGN)
    assert site.stored() == []


def test_no_account_and_no_inbox_at_all(site: Site) -> None:
    assert site.send({"event": "message_created"}, PLAIN).json == IGNORED
    assert site.send({"event": "message_created"}).json == DONE


def test_the_key_of_another_tenant_does_not_open_this_ones_inbox(site: Site, other: int) -> None:
    url = site.connected(other, inbox_id=4)
    assert site.send(payloads.message(), url).json == IGNORED
    assert site.stored() == site.stored(other) == []


def test_tenants_who_share_an_account_are_told_apart_by_inbox(site: Site, other: int) -> None:
    site.connected(other, inbox_id=4)
    assert site.send(payloads.message(), PLAIN).json == DONE
    assert site.send(payloads.message(id=2, inbox={"id": 4}), PLAIN).json == DONE
    assert site.send(payloads.about_contact(), PLAIN).json == IGNORED
    assert (len(site.stored()), len(site.stored(other))) == (1, 1)


def test_the_same_numbers_on_two_servers_are_nobodys(site: Site, other: int) -> None:
    assert site.send(payloads.message(), PLAIN).json == DONE
    site.connected(other, base_url="https://other.example")
    assert site.send(payloads.message(id=2)).json == DONE
    site.app.extensions.pop("citaplanner.chatwoot.receivers")
    assert site.send(payloads.message(id=3), PLAIN).json == IGNORED
    assert (len(site.stored()), len(site.stored(other))) == (2, 0)


def test_an_account_connected_just_now_is_known(site: Site, other: int) -> None:
    body = payloads.message(account={"id": 4}, inbox={"id": 5})
    assert site.send(body, PLAIN).json == IGNORED
    site.connected(other, account_id=4, inbox_id=5)
    assert site.send(body, PLAIN).json == DONE
    assert len(site.stored(other)) == 1


def test_an_old_conversation_that_names_no_account_is_known_by_its_inbox(site: Site) -> None:
    body = payloads.about_conversation(since=(4, 7), messages=[])
    assert site.send(body, PLAIN).json == DONE
    assert len(site.stored()) == 1


def test_a_branch_with_an_inbox_of_its_own(site: Site) -> None:
    with work(site.tenant) as session:
        branch = make_branch(session)
        row = config(None, account_id=None, inbox_id=4, api_access_token=None, branch_id=branch.id)
        session.add(row)
        session.flush()
        branch_config, url = row.id, f"{PLAIN}/{row.webhook_key}"
    for number, address in enumerate((PLAIN, site.url, url)):
        assert site.send(payloads.message(id=number + 1, inbox={"id": 4}), address).json == DONE
    assert site.send(payloads.message(id=9), url).json == DONE
    with work(site.tenant, write=False) as session:
        found = session.scalars(select(ChatwootEvent.config_id).order_by(ChatwootEvent.id)).all()
    assert found[:3] == [branch_config] * 3
    assert found[3] not in (None, branch_config)


def test_an_inbox_that_is_only_given_trust_is_the_accounts_too(site: Site) -> None:
    site.change(inbox_trust={"4": "claimed"})
    assert site.send(payloads.message(inbox={"id": 4})).json == DONE
    assert site.send(payloads.message(id=2, inbox={"id": 4}), PLAIN).json == DONE


def test_an_account_given_by_the_tenants_settings(site: Site, other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"api_url": "https://s.example", "account_id": 4, "inbox_id": 5, "api_token": "t"}
    with work(other) as session:
        settings.write(session, "chatwoot", given)
    lifecycle.enable("chatwoot", other)
    monkeypatch.setenv("CHATWOOT_WEBHOOK_SECRET", SECRET)
    body = payloads.message(account={"id": 4}, inbox={"id": 5})
    assert site.send(body, PLAIN).json == DONE
    assert len(site.stored(other)) == 1


def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("API_URL", SERVER), ("API_ACCESS_TOKEN", "t"), ("ACCOUNT_ID", "4"), ("INBOX_ID", "5")):
        monkeypatch.setenv(f"CHATWOOT_{name}", value)
    monkeypatch.setenv("CHATWOOT_WEBHOOK_SECRET", SECRET)


def test_the_environments_account_serves_the_only_tenant(
    app: Flask, tenant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(app, tenant)
    with work(tenant) as session:
        session.execute(delete(ChatwootConfig))
    _environment(monkeypatch)
    body = payloads.message(account={"id": 4}, inbox={"id": 5})
    assert site.send(body, PLAIN).json == DONE
    assert len(site.stored()) == 1
    make_tenant("second")
    app.extensions.pop("citaplanner.chatwoot.receivers")
    assert site.send(payloads.message(id=2, account={"id": 4}, inbox={"id": 5}), PLAIN).json == IGNORED


def test_the_environments_account_serves_a_tenant_that_asked_for_it(
    site: Site, other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _environment(monkeypatch)
    body = payloads.message(account={"id": 4}, inbox={"id": 5})
    assert site.send(body, PLAIN).json == IGNORED
    with work(other) as session:
        settings.write(session, "chatwoot", {"use_environment": True})
    lifecycle.enable("chatwoot", other)
    assert site.send(body, PLAIN).json == DONE
    assert (len(site.stored()), len(site.stored(other))) == (0, 1)


@pytest.mark.parametrize("what", ["config", "tenant"])
def test_what_is_not_active_is_unknown(site: Site, what: str) -> None:
    if what == "config":
        site.change(is_active=False)
    else:
        with system_work("close a business", write=True) as session:
            session.execute(update(Tenant).values(active=False))
    assert site.send(payloads.message()).status_code == 404
    assert site.send(payloads.message(), PLAIN).json == IGNORED
    assert site.stored() == []


def test_a_tenant_that_switched_the_plugin_off_gets_nothing(site: Site) -> None:
    lifecycle.disable("chatwoot", site.tenant)
    for url in (site.url, PLAIN):
        answer = site.send(payloads.message(), url)
        assert (answer.status_code, answer.json) == (200, {**DONE, "ignored": "switched_off"})
    assert site.stored() == []
    lifecycle.enable("chatwoot", site.tenant)
    assert site.send(payloads.message()).json == DONE
    assert len(site.stored()) == 1


def test_a_configuration_deleted_while_it_was_remembered(site: Site) -> None:
    assert site.send(payloads.message()).status_code == 200
    with work(site.tenant) as session:
        session.execute(delete(ChatwootEvent))
        session.execute(delete(Job))
        session.execute(delete(ChatwootConfig))
    assert site.send(payloads.message()).status_code == 404
    assert site.stored() == []


def test_a_key_that_was_replaced_is_unknown(site: Site) -> None:
    site.change(webhook_key="another", webhook_key_hash="another")
    assert site.send(payloads.message()).status_code == 404


# Own trouble


def test_the_database_is_down(site: Site) -> None:
    def refuse(*_: object) -> None:
        raise (
            sqlite3.OperationalError("down") if db.engine.dialect.name == "sqlite" else psycopg.OperationalError("down")
        )

    db.session.remove()
    close_database()
    event.listen(db.engine, "do_connect", refuse)
    try:
        for url in (site.url, PLAIN):
            answer = site.send(payloads.message(), url)
            assert answer.status_code == 503
            assert answer.json is not None
            assert answer.json["success"] is False
    finally:
        event.remove(db.engine, "do_connect", refuse)
    assert site.send(payloads.message()).json == DONE
    assert len(site.stored()) == 1


@pytest.fixture
def locked(site: Site, migrated_url: str) -> Iterator[None]:
    """The table of events is locked by somebody else, and waiting for it ends soon."""
    site.send(payloads.message("message_updated"), X_Chatwoot_Delivery="before")
    db.session.remove()
    if db.engine.dialect.name == "sqlite":
        event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=50").close())
        close_database()
        holder = sqlite3.connect(str(db.engine.url.database), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.close()
        return
    with psycopg.connect(migrated_url.replace("+psycopg", "")) as owner:
        owner.autocommit = True
        owner.execute(f"ALTER DATABASE {db.engine.url.database} SET lock_timeout = '50ms'")
        close_database()
        with owner.transaction():
            owner.execute("LOCK TABLE chatwoot_event")
            yield


@pytest.mark.usefixtures("locked")
def test_a_lock_that_does_not_come_in_time(site: Site) -> None:
    assert site.send(payloads.message()).status_code == 503


def test_an_event_is_never_stored_without_its_job(site: Site) -> None:
    def rename(old: str, new: str) -> None:
        with system_work("hide a table", write=True) as session:
            session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    rename("job", "job_away")
    assert site.send(payloads.message()).status_code == 503
    rename("job_away", "job")
    assert site.stored() == []
    assert site.send(payloads.message()).json == DONE
    assert len(site.stored()) == 1


def test_a_secret_nobody_can_read_any_more_is_our_trouble(site: Site) -> None:
    init_crypto(site.app, ["another-key-0123456789"])
    assert site.send(payloads.message()).status_code == 503
    init_crypto(site.app, [TEST_KEY])
    assert site.send(payloads.message()).status_code == 200


def test_logs_hold_no_secret_phone_or_text(site: Site) -> None:
    with capture_logs() as lines:
        site.send(payloads.message(content="muy privado"), X_Chatwoot_Signature="sha256=0")
        site.send(payloads.message(content="muy privado", account={"id": 4}))
        site.send(b"muy privado " + PHONE.encode())
        init_crypto(site.app, ["another-key-0123456789"])
        site.app.extensions.pop("citaplanner.chatwoot.receivers", None)
        site.send(payloads.message(content="muy privado"))
    assert [line["event"] for line in lines] == ["chatwoot_webhook_refused"] * 3 + ["chatwoot_webhook_trouble"]
    for secret in ("muy privado", PHONE, SECRET, site.url.rsplit("/", 1)[1], str(CONTACT)):
        assert secret not in str(lines)
