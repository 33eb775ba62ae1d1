"""The start page, error pages, headers and figures."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, Response, abort
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from structlog.testing import capture_logs

from citaplanner_core.app import create_app
from citaplanner_core.database import close_database, utcnow, work
from citaplanner_core.jobs import heartbeat
from citaplanner_core.jobs.models import Job
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.notifications.models import ChannelState, Notification
from citaplanner_core.testing.worker import run_due
from citaplanner_core.web import metrics
from tests.conftest import PLUGINS, TEST_KEY
from tests.core.web.browser import Browser
from tests.core.web.support import Business


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Flask]:
    """An app whose database is empty: not even tables."""
    made = create_app(
        {
            "database_url": f"sqlite:///{tmp_path / 'empty.db'}",
            "plugins": PLUGINS,
            "secret_key": TEST_KEY,
            "instance_path": tmp_path,
        }
    )
    with made.app_context():
        yield made
        close_database()


def test_the_start_page_says_what_this_is_in_two_languages(bare: Flask) -> None:
    browser = Browser(bare)
    page = browser.open("/")
    assert (page.status, page.language, page.heading) == (200, "es", "CitaPlanner")
    assert "Agenda de citas" in page.text
    assert "CITAPLANNER_DELIVERY" not in page.text
    assert browser.follow(page, "Documentación de la API").status == 200
    english = browser.follow(page, "English")
    assert english.language == "en"
    assert english.links.keys() > {"API documentation", "Health of the system", "Español"}


@pytest.mark.parametrize(("delivery", "said"), [("off", "no salen"), ("allowlist", "Solo salen")])
def test_the_start_page_warns_when_not_everything_is_sent(tmp_path: Path, delivery: str, said: str) -> None:
    app = create_app({"plugins": PLUGINS, "secret_key": TEST_KEY, "instance_path": tmp_path, "delivery": delivery})
    with app.app_context():
        assert said in Browser(app).open("/").text
        close_database()


def test_an_unknown_page_says_so(bare: Flask) -> None:
    for address in ("/nothing", "/nothing?lang=es", "/static/core/nothing.css"):
        page = Browser(bare).open(address)
        assert (page.status, page.heading) == (404, "No encontramos esta página")
    assert Browser(bare).open("/nothing?lang=en").heading == "There is no such page"


def test_what_is_refused_says_so_and_keeps_its_headers(bare: Flask) -> None:
    page = Browser(bare).open("/", "DELETE")
    assert (page.status, page.heading) == (405, "No se pudo hacer eso")
    assert "GET" in page.headers["Allow"]
    assert page.links == {}


def test_a_failure_says_nothing_of_what_failed(bare: Flask, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/fails", "/api/fails"):
        bare.add_url_rule(path, path[1:], view_func=fail)
    with capture_logs() as lines:
        page = Browser(bare).open("/fails")
        answer = bare.test_client().get("/api/fails")
    assert (page.status, page.heading) == (500, "Algo falló de nuestro lado")
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert answer.json is not None
    assert answer.json["code"] == "internal_server_error"
    assert [(line["event"], line["error"]) for line in lines] == [("request_failed", "ValueError")] * 2
    assert all("test_pages.py" in line["where"][-1] for line in lines)
    assert "ana@example.com" not in f"{lines} {caplog.text} {page.source} {answer.text}"


def fail() -> str:
    raise ValueError("ana@example.com is not somebody we know")


def test_every_answer_carries_the_headers(bare: Flask) -> None:
    bare.add_url_rule("/fails", "fails", view_func=fail)
    bare.add_url_rule("/aborts", "aborts", view_func=lambda: abort(418))
    for path in ("/", "/healthz", "/metrics", "/nothing", "/fails", "/aborts", "/api/v1/clients", "/api/v1/docs"):
        answer = bare.test_client().get(path)
        for name in ("Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options", "X-Robots-Tag"):
            assert name in answer.headers, (path, name)
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_view_may_say_otherwise(bare: Flask) -> None:
    bare.add_url_rule("/framed", "framed", view_func=lambda: Response("x", headers={"Cache-Control": "max-age=60"}))
    assert bare.test_client().get("/framed").headers["Cache-Control"] == "max-age=60"


def test_the_style_sheet_is_there(bare: Flask) -> None:
    page = Browser(bare).open("/")
    sheet = next(given["href"] for tag, given in page.tags if tag == "link" and given["rel"] == "stylesheet")
    with bare.test_client().get(sheet or "") as answer:
        assert (answer.status_code, answer.mimetype) == (200, "text/css")
        assert answer.headers["Cache-Control"] == "no-cache"


# Figures


def figures(app: Flask) -> dict[str, float]:
    text = app.test_client().get("/metrics").text
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def _counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "REST_SECONDS", 0.0)


@pytest.mark.usefixtures("_counted_anew")
def test_figures_tell_what_waits_and_who_works(app: Flask, business: Business) -> None:
    run_due(app)
    quiet = figures(app)
    assert quiet["citaplanner_database_up"] == 1
    assert quiet["citaplanner_workers_alive"] == 0
    assert quiet["citaplanner_jobs_waiting"] == 0
    assert quiet["citaplanner_notifications_last_hour log  SENT"] == 1
    assert quiet["citaplanner_notifications_last_hour  channel_off SKIPPED"] >= 1
    assert quiet["citaplanner_notifications_planned_total"] >= 4
    assert (
        0 <= quiet["citaplanner_notification_lag_seconds 0.5"] <= quiet["citaplanner_notification_lag_seconds 1"] < 60
    )
    assert quiet["citaplanner_notifications_waiting due"] == quiet["citaplanner_notifications_waiting sending"] == 0
    assert not [name for name in quiet if name.startswith("citaplanner_channels_held")]
    assert quiet["citaplanner_chatwoot_events_waiting"] == quiet["citaplanner_chatwoot_events_received_total"] == 0
    assert quiet["citaplanner_oldest_due_seconds notifications"] == 0
    assert quiet["citaplanner_oldest_due_seconds jobs"] == 0
    heartbeat.beat("w1")
    business.api.post("/notifications", business.message())
    with work(business.tenant) as session:
        enqueue(session, "later", {}, due=utcnow() + timedelta(hours=1))
        session.execute(
            update(Notification).where(Notification.rule == "manual").values(due=utcnow() - timedelta(minutes=5))
        )
        session.add(ChannelState(channel="email", open_until=utcnow(), reason="auth_failed"))
    busy = figures(app)
    assert busy["citaplanner_channels_held email auth_failed"] == 1
    assert busy["citaplanner_workers_alive"] == 1
    assert busy["citaplanner_jobs_waiting"] == 1
    assert busy["citaplanner_notifications_waiting due"] == 1
    assert busy["citaplanner_notifications_planned_total"] == quiet["citaplanner_notifications_planned_total"] + 1
    assert 300 <= busy["citaplanner_oldest_due_seconds notifications"] < 360
    assert busy["citaplanner_oldest_due_seconds jobs"] == 0
    with work(business.tenant) as session:
        session.execute(update(Job).where(Job.kind == "later").values(due=utcnow() - timedelta(minutes=1)))
    assert 60 <= figures(app)["citaplanner_oldest_due_seconds jobs"] < 120


def test_figures_tell_of_the_process_and_name_nobody(app: Flask, business: Business) -> None:
    answer = app.test_client().get("/metrics")
    assert answer.mimetype == "text/plain"
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= figures(app).keys()
    for secret in ("clinic", "Clinic", "Ana", "55 5555 0100", "Professional", "tenant"):
        assert secret not in answer.text


def test_figures_are_not_counted_for_each_who_asks(app: Flask, business: Business) -> None:
    before = figures(app)["citaplanner_notifications_planned_total"]
    business.api.post("/notifications", business.message())
    assert figures(app)["citaplanner_notifications_planned_total"] == before


def test_without_a_database_the_figures_say_so(bare: Flask) -> None:
    found = figures(bare)
    assert found["citaplanner_database_up"] == 0
    assert "process_cpu_seconds_total" in found
    assert "citaplanner_workers_alive" not in found
