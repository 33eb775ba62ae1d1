"""Campaigns: who is in and why not, what it costs, how it leaves, and what became of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from citaplanner_core.booking.errors import NotAllowed, ValidationFailed
from citaplanner_core.booking.models import Client, Tenant
from citaplanner_core.database import system_work, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import JobContext, Message, Permanent, Receipt, Recipient, TextFamily
from citaplanner_core.notifications import audience, campaigns
from citaplanner_core.notifications.audience import Audience, months_before
from citaplanner_core.notifications.campaign_models import HELD, Campaign
from citaplanner_core.notifications.campaign_results import Results, results_of, state_of
from citaplanner_core.notifications.consents import record_consent
from citaplanner_core.notifications.delivery import advance
from citaplanner_core.notifications.models import Delivery, Notification
from citaplanner_core.notifications.opt_outs import OptOut
from citaplanner_core.notifications.service import send_notification
from citaplanner_core.testing.factories import make_appointment, make_client, make_tenant
from citaplanner_core.testing.worker import run_due


@dataclass
class Post:
    """A channel that takes everything, or refuses for good."""

    key: str
    label: str = "Post"
    on_unknown: Literal["resend", "hold"] = "resend"
    text_family: TextFamily = "chat"
    refusal: str | None = None
    sent: list[Message] = field(default_factory=list)

    def address_of(self, recipient: Recipient) -> str | None:
        return recipient.email

    def check(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return {}

    def send(self, message: Message, settings: Mapping[str, Any]) -> Receipt:
        if self.refusal:
            raise Permanent(self.refusal)
        self.sent.append(message)
        return Receipt(f"{self.key}-{message.notification_id}")


@dataclass
class Scene:
    app: Flask
    tenant: int
    chat: Post
    short: Post

    def client(self, *, agrees: bool | None = True, **values: Any) -> int:
        with work(self.tenant) as session:
            client = make_client(session, **values).id
            if agrees is not None:
                record_consent(session, client, given=agrees, source="a form")
            return client

    def campaign(self, **values: Any) -> int:
        given_values: dict[str, Any] = {
            "name": "Noviembre",
            "message": "20 % para {cliente}",
            "per_minute": 60,
        } | values
        with work(self.tenant) as session:
            return campaigns.create(session, **given_values).id

    def start(self, campaign: int) -> None:
        with work(self.tenant, write=False) as session:
            expected = campaigns.estimate(session, session.get_one(Campaign, campaign))
        with work(self.tenant) as session:
            campaigns.start(session, campaign, expected)

    def reasons(self, channel: str | None = None, **asked: Any) -> dict[str, tuple[str, ...]]:
        with work(self.tenant, write=False) as session:
            found = audience.candidates(session, Audience(**asked), channel, after=0, limit=100)
            return {one.client.first_name: one.reasons for one in found}

    def results(self, campaign: int) -> tuple[str, Results]:
        with work(self.tenant, write=False) as session:
            row = session.get_one(Campaign, campaign)
            return state_of(session, row), results_of(session, row)

    def rows(self, campaign: int) -> list[Notification]:
        with work(self.tenant, write=False) as session:
            ours = select(Notification).where(Notification.campaign_id == campaign).order_by(Notification.id)
            found = list(session.scalars(ours))
            session.expunge_all()
            return found


@pytest.fixture
def scene(app: Flask, tenant: int) -> Iterator[Scene]:
    """A tenant with a chat channel and one for text messages; there are no quiet hours."""
    chat, short = Post("chatwoot"), Post("email", text_family="short")
    before = dict(registry().channels)
    registry().channels = {"log": before["log"], "chatwoot": ("chatwoot", chat), "email": ("email", short)}
    for name in ("chatwoot", "email"):
        lifecycle.enable(name, tenant)
    with system_work("always awake", write=True) as session:
        session.get_one(Tenant, tenant).quiet_from = session.get_one(Tenant, tenant).quiet_until
    yield Scene(app, tenant, chat, short)
    registry().channels = before


# Who


def test_only_who_agreed_and_can_be_reached_is_in(scene: Scene) -> None:
    scene.client(first_name="Ana")
    scene.client(first_name="Beto", agrees=None)
    scene.client(first_name="Caro", agrees=False)
    scene.client(first_name="Dani", email=None)
    scene.client(first_name="Eva", active=False)
    stopped = scene.client(first_name="Fito")
    with work(scene.tenant) as session:
        session.add_all([OptOut(client_id=stopped, channel=key) for key in ("chatwoot", "email")])
        for client in session.scalars(select(Client).where(Client.first_name == "Dani")):
            client.do_not_message = False
    assert scene.reasons() == {
        "Ana": (),
        "Beto": ("no_consent",),
        "Caro": ("no_consent",),
        "Dani": ("no_address",),
        "Eva": ("do_not_message",),
        "Fito": ("opted_out",),
    }


def test_consent_for_one_channel_is_for_that_one(scene: Scene) -> None:
    client = scene.client(first_name="Ana", agrees=None)
    with work(scene.tenant) as session:
        record_consent(session, client, given=True, source="a form", channel="email")
    assert scene.reasons("chatwoot") == {"Ana": ("no_consent",)}
    assert scene.reasons("email") == {"Ana": ()}
    with work(scene.tenant, write=False) as session:
        (one,) = audience.candidates(session, Audience(), None, after=0, limit=9)
        assert one.channel == "email"


def test_segments_are_combined(scene: Scene) -> None:
    now = utcnow()
    ids = {name: scene.client(first_name=name) for name in ("Often", "Lately", "Ahead", "Never", "New")}
    with work(scene.tenant) as session:
        for name, client in ids.items():
            row = session.get_one(Client, client)
            if name != "New":
                row.created_at = now - timedelta(days=900)
        for name, days, status in (
            ("Often", 400, "COMPLETED"),
            ("Often", 300, "CONFIRMED"),
            ("Often", 20, "CANCELLED"),
            ("Often", 10, "NO_SHOW"),
            ("Lately", 30, "COMPLETED"),
            ("Ahead", 300, "COMPLETED"),
            ("Ahead", -3, "PENDING"),
        ):
            who = session.get_one(Client, ids[name])
            make_appointment(session, client=who, start=now - timedelta(days=days), status=status)
    assert scene.reasons(no_visit_months=6) == {
        "Often": (),
        "Lately": ("visited_since",),
        "Ahead": ("appointment_ahead",),
        "Never": (),
        "New": ("new_client",),
    }
    both = scene.reasons(no_visit_months=6, min_visits=2)
    assert [name for name, why in both.items() if not why] == ["Often"]
    assert both["Never"] == ("too_few_visits",)


@pytest.mark.parametrize(
    ("birthday", "today", "month", "on_the_day"),
    [
        (date(1990, 11, 24), date(2026, 11, 24), True, True),
        (date(1990, 11, 25), date(2026, 11, 24), True, False),
        (date(1990, 12, 24), date(2026, 11, 24), False, False),
        (date(1992, 2, 29), date(2027, 2, 28), True, True),
        (date(1992, 2, 29), date(2028, 2, 28), True, False),
        (date(1992, 2, 29), date(2028, 2, 29), True, True),
        (None, date(2026, 11, 24), False, False),
    ],
)
def test_birthdays(birthday: date | None, today: date, month: bool, on_the_day: bool) -> None:
    assert audience._has_birthday(birthday, today, "month") == month
    assert audience._has_birthday(birthday, today, "today") == on_the_day


def test_a_birthday_is_the_business_s_day(scene: Scene) -> None:
    scene.client(first_name="Ana", birthday=date(1990, 11, 30))
    late = datetime(2026, 11, 30, 23, 30, tzinfo=ZoneInfo("America/Mexico_City"))
    with time_machine.travel(late.astimezone(UTC), tick=False):
        if scene.app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
            assert scene.reasons(birthday="today") == {"Ana": ()}


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 240))
def test_months_before(day: date, months: int) -> None:
    before = months_before(day, months)
    assert (day.year * 12 + day.month) - (before.year * 12 + before.month) == months
    assert before.day <= day.day
    assert before.day == day.day or (before + timedelta(days=1)).day == 1


def test_another_business_s_clients_are_not_there(scene: Scene) -> None:
    scene.client(first_name="Ana")
    with work(make_tenant("other")) as session:
        make_client(session, first_name="Otra")
    assert set(scene.reasons()) == {"Ana"}


# What it costs


def test_the_estimate_counts_segments_and_prices(scene: Scene) -> None:
    for _ in range(3):
        scene.client(first_name="Ana", last_name="")
    scene.client(agrees=None)
    long = scene.campaign(channel="email", message="Ven a vernos " * 15)
    with work(scene.tenant) as session:
        campaigns.set_budget(session, prices={"EMAIL": Decimal("0.35")}, monthly_cap=None)
        found = campaigns.estimate(session, session.get_one(Campaign, long))
    assert found.survey.members == 3
    assert dict(found.survey.out) == {"no_consent": 1}
    assert found.messages == {"email": 6}
    assert found.cost == Decimal("2.10")
    assert found.unpriced == ()


def test_a_monthly_cap_refuses_to_start(scene: Scene) -> None:
    for _ in range(4):
        scene.client()
    first, second = scene.campaign(channel="chatwoot"), scene.campaign(channel="chatwoot")
    with work(scene.tenant) as session:
        campaigns.set_budget(session, prices={}, monthly_cap=Decimal(3))
    with pytest.raises(NotAllowed, match="set a price for chatwoot"):
        scene.start(first)
    with work(scene.tenant) as session:
        campaigns.set_budget(session, prices={"chatwoot": Decimal("0.5")}, monthly_cap=Decimal(3))
    scene.start(first)
    with pytest.raises(NotAllowed, match=r"2\.00 of this month's 3\.00 are used"):
        scene.start(second)
    run_due(scene.app)
    with work(scene.tenant) as session:
        campaigns.cancel(session, first)  # one of four left: a quarter is spent
        assert session.get_one(Campaign, first).cost == Decimal("0.5")
    scene.start(second)


def test_nobody_in_is_no_campaign(scene: Scene) -> None:
    with pytest.raises(NotAllowed, match="nobody"):
        scene.start(scene.campaign())


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"message": ""}, "message"),
        ({"message": "Hola {{clientFristName}}"}, "message"),
        ({"message": "Tu cita es el {fecha}"}, "message"),
        ({"booking_url": "citas.example"}, "booking_url"),
        ({"per_minute": 0}, "per_minute"),
    ],
)
def test_a_draft_that_cannot_be_sent_is_refused(scene: Scene, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        scene.campaign(**values)
    assert caught.value.field == field


# How it leaves


def test_it_leaves_at_its_pace_and_says_who_is_meant(scene: Scene) -> None:
    for name in ("Ana", "Beto", "Caro"):
        scene.client(first_name=name, last_name="")
    campaign = scene.campaign(valid_until=date(2026, 12, 24), booking_url="https://citas.example/b/clinic")
    scene.start(campaign)
    run_due(scene.app)
    rows = scene.rows(campaign)
    assert [later.due - row.due for row, later in pairwise(rows)] == [timedelta(seconds=1)] * 2
    run_due(scene.app, within=timedelta(seconds=5))
    assert [message.body for message in scene.chat.sent][:1] == [
        "Hola, Ana. En Clinic tenemos algo para ti:\n\n20 % para Ana\n\n"
        "Válido hasta el jueves 24 de diciembre. Agenda aquí: https://citas.example/b/clinic\n\n"
        "Si ya no quieres promociones, responde NO PROMOCIONES."
    ]
    assert len(scene.chat.sent) == 3
    assert scene.results(campaign)[0] == "FINISHED"


def test_it_is_started_once(scene: Scene) -> None:
    scene.client()
    campaign = scene.campaign()
    scene.start(campaign)
    with pytest.raises(NotAllowed, match="RUNNING"):
        scene.start(campaign)
    with work(scene.tenant) as session, pytest.raises(NotAllowed, match="has started"):
        campaigns.change(session, session.get_one(Campaign, campaign), name="x", message="y")


def test_a_crash_while_planning_neither_loses_nor_doubles(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "CHUNK", 2)
    clients = [scene.client() for _ in range(5)]
    campaign = scene.campaign(per_minute=6000)
    scene.start(campaign)
    context = JobContext(scene.tenant, 0, 1, {"campaign_id": campaign})
    with work(scene.tenant) as session:
        campaigns._plan_more(session, session.get_one(Campaign, campaign))
    with pytest.raises(RuntimeError), work(scene.tenant) as session:
        campaigns._plan_more(session, session.get_one(Campaign, campaign))
        raise RuntimeError("the worker dies")
    campaigns.plan(context)
    campaigns.plan(context)
    assert [row.recipient_id for row in scene.rows(campaign)] == clients
    run_due(scene.app, within=timedelta(seconds=5))
    assert len(scene.chat.sent) == 5


def test_what_is_paused_waits_and_goes_on_in_order(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "CHUNK", 2)
    for _ in range(5):
        scene.client()
    campaign = scene.campaign(per_minute=1)
    scene.start(campaign)
    run_due(scene.app)
    assert len(scene.chat.sent) == 1
    with work(scene.tenant) as session:
        campaigns.pause(session, campaign)
    assert scene.results(campaign)[0] == "PAUSED"
    run_due(scene.app, within=timedelta(days=30))
    assert len(scene.chat.sent) == 1
    with work(scene.tenant) as session:
        campaigns.resume(session, campaign)
    run_due(scene.app)
    assert len(scene.chat.sent) == 2
    waiting = [row.due for row in scene.rows(campaign) if row.status == "PENDING"]
    assert [(later - due).total_seconds() for due, later in pairwise(waiting)] == [60, 60]
    run_due(scene.app, within=timedelta(minutes=10))
    ids = [message.notification_id for message in scene.chat.sent]
    assert ids == sorted(set(ids))
    assert len(ids) == 5


def test_a_message_that_was_about_to_be_repeated_waits_too(scene: Scene) -> None:
    """One that a worker held when the campaign was paused comes back due at once."""
    scene.client()
    campaign = scene.campaign()
    scene.start(campaign)
    campaigns.plan(JobContext(scene.tenant, 0, 1, {"campaign_id": campaign}))
    with work(scene.tenant) as session:
        campaigns.pause(session, campaign)
        for row in session.scalars(select(Notification)):
            row.due = utcnow() - timedelta(seconds=1)
    run_due(scene.app)
    assert scene.chat.sent == []
    assert [(row.status, row.due) for row in scene.rows(campaign)] == [("PENDING", HELD)]
    with work(scene.tenant) as session:
        campaigns.resume(session, campaign)
    run_due(scene.app)
    assert len(scene.chat.sent) == 1


def test_what_is_cancelled_never_leaves(scene: Scene) -> None:
    for _ in range(3):
        scene.client()
    campaign = scene.campaign(per_minute=1)
    scene.start(campaign)
    run_due(scene.app)
    with work(scene.tenant) as session:
        campaigns.cancel(session, campaign)
    run_due(scene.app, within=timedelta(days=1))
    state, results = scene.results(campaign)
    assert (state, len(scene.chat.sent), results.channels[""].cancelled) == ("CANCELLED", 1, 2)
    with work(scene.tenant) as session, pytest.raises(NotAllowed, match="CANCELLED"):
        campaigns.resume(session, campaign)


def test_who_takes_consent_back_meanwhile_is_not_written_to(scene: Scene) -> None:
    scene.client()
    client = scene.client()
    campaign = scene.campaign(per_minute=1)
    scene.start(campaign)
    run_due(scene.app)
    with work(scene.tenant) as session:
        record_consent(session, client, given=False, source="by phone")
    run_due(scene.app, within=timedelta(minutes=5))
    _, results = scene.results(campaign)
    assert results.channels[""].skipped == {"no_consent": 1}


# What became of it


def test_results_by_channel(scene: Scene) -> None:
    first, _, third = scene.client(), scene.client(), scene.client(preferred_channel="email")
    campaign = scene.campaign(per_minute=6000)
    scene.start(campaign)
    for _ in range(2):  # the second time what the campaign spaced
        run_due(scene.app, within=timedelta(seconds=5))
    with work(scene.tenant) as session:
        ids = {row.recipient_id: row.id for row in session.scalars(select(Notification))}
        advance(session, "chatwoot", f"chatwoot-{ids[first]}", "READ", at=utcnow())
        session.add(OptOut(client_id=third, channel="email", at=utcnow() + timedelta(minutes=1)))
        record_consent(session, third, given=False, source="an answer")
    _, results = scene.results(campaign)
    chat, mail = results.channels["chatwoot"], results.channels["email"]
    assert (chat.sent, chat.delivered, chat.read) == (2, 1, 1)
    assert (mail.sent, mail.delivered, mail.waiting) == (1, 0, 0)
    assert results.opted_out == 1


def test_a_closed_window_is_the_reason_that_is_kept(scene: Scene) -> None:
    scene.chat.refusal = "window_closed"
    scene.client()
    campaign = scene.campaign(channel="chatwoot")
    scene.start(campaign)
    run_due(scene.app)
    _, results = scene.results(campaign)
    assert results.channels["chatwoot"].failed == {"window_closed": 1}


def test_a_test_goes_to_one_and_is_not_counted(scene: Scene) -> None:
    client = scene.client(first_name="Ana")
    scene.client()
    campaign = scene.campaign()
    with work(scene.tenant) as session:
        campaigns.send_test(session, session.get_one(Campaign, campaign), client)
    run_due(scene.app)
    assert ["Hola, Ana. " in message.body for message in scene.chat.sent] == [True]
    assert scene.results(campaign)[1].channels == {}


# By API, without a campaign


@pytest.mark.parametrize(
    ("kind", "variables", "words"),
    [
        (
            "PAYMENT_REMINDER",
            {"amount": 1450.5, "dueDate": "2026-11-27", "paymentUrl": "https://pago.example/1"},
            ["$1,450.50", "con fecha límite el viernes 27 de noviembre", "https://pago.example/1"],
        ),
        ("PAYMENT_REMINDER", {"amount": "450 pesos"}, ["de 450 pesos con Clinic."]),
        ("PAYMENT_REMINDER", {"amount": 20, "currency": "USD"}, ["USD20.00"]),
        (
            "PROMOTION",
            {"promotionMessage": "2x1 {cliente}", "promotionValidUntil": "2026-11-27"},
            ["2x1 {cliente}\n", "Válido hasta el viernes 27 de noviembre."],
        ),
    ],
)
def test_payment_reminders_and_promotions(scene: Scene, kind: str, variables: dict[str, Any], words: list[str]) -> None:
    client = scene.client()
    send_notification(type=kind, recipient_id=client, variables=variables, tenant_id=scene.tenant)
    run_due(scene.app)
    (message,) = scene.chat.sent
    for one in words:
        assert one in message.body.replace("\u00a0", " ")


def test_without_what_it_is_about_nothing_is_sent(scene: Scene) -> None:
    client = scene.client()
    send_notification(type="PAYMENT_REMINDER", recipient_id=client, tenant_id=scene.tenant)
    run_due(scene.app)
    assert scene.chat.sent == []
    with work(scene.tenant, write=False) as session:
        assert session.scalars(select(Notification.reason)).all() == ["template_error"]
        assert session.scalar(select(func.count(Delivery.id))) == 0
