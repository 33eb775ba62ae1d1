"""Campaigns: made, estimated, started, paused, resumed, cancelled.

A campaign becomes ordinary notifications of type PROMOTION, spaced so that they leave at its pace. A durable job writes
them in chunks, so that a large audience neither holds up the booking nor is lost in a crash.
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, insert, literal, select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import NotAllowed, ValidationFailed, find, plain_text
from citaplanner_core.booking.models import Client, Tenant
from citaplanner_core.database import current_tenant, database_now, wake, work
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.notifications import audience as audiences
from citaplanner_core.notifications.audience import Audience, Survey, survey
from citaplanner_core.notifications.campaign_models import (
    CALLED_OFF,
    CANCELLED,
    DRAFT,
    HELD,
    PAUSED,
    RUNNING,
    Campaign,
    CampaignBudget,
)
from citaplanner_core.notifications.models import DELIVERED, READ, SENT, Notification
from citaplanner_core.notifications.service import NotificationResult, find_channel, send_notification
from citaplanner_core.notifications.sms import count_segments
from citaplanner_core.notifications.templates import TemplateError, names_in, render_words, validate_template
from citaplanner_core.notifications.variables import CLIENT_NAMES, client_variables
from citaplanner_core.notifications.wording import say

PROMOTION = "PROMOTION"
PLAN = "campaign"
SAMPLES = 200
"""Of how many clients a text message is written out to know its segments."""
LEFT = (SENT, DELIVERED, READ)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a campaign would do: clients in and out, by channel and reason, and what it costs.

    `unpriced` are channels without a price: they count as free. `spent` and `cap` are of this month.
    """

    survey: Survey
    messages: dict[str, Decimal]
    cost: Decimal
    unpriced: tuple[str, ...]
    spent: Decimal
    cap: Decimal | None


def create(session: Session, *, name: str, message: str, **values: Any) -> Campaign:
    """Make a draft; raise `ValidationFailed` naming the field. `values`: what `change` takes."""
    campaign = Campaign(name="", message="", audience={})
    change(session, campaign, name=name, message=message, **values)
    session.add(campaign)
    session.flush()
    return campaign


def change(
    session: Session,
    campaign: Campaign,
    *,
    name: str,
    message: str,
    channel: str | None = None,
    valid_until: date | None = None,
    booking_url: str = "",
    audience: Audience | None = None,
    per_minute: int = 60,
) -> None:
    """Write a draft anew. `message` may hold the client's variables; `per_minute` is the pace.

    Raises `ValidationFailed`, `NotificationRefused` for an unknown channel, `NotAllowed` once it has started.
    """
    if campaign.status not in (None, DRAFT):
        raise NotAllowed("status: the campaign has started; cancel it and make another")
    name, message = plain_text("name", name), plain_text("message", message)
    if not name:
        raise ValidationFailed("name", "give it a name")
    if not message:
        raise ValidationFailed("message", "write what you want to tell")
    if problems := validate_template(message):
        raise ValidationFailed("message", str(TemplateError(*problems)))
    if others := names_in(message) - set(CLIENT_NAMES):
        raise ValidationFailed(
            "message", f"{', '.join(sorted(others))}: a campaign knows only {', '.join(CLIENT_NAMES)}"
        )
    if booking_url and not booking_url.startswith(("https://", "http://")):
        raise ValidationFailed("booking_url", "write the whole address, such as https://citas.example/b/clinic")
    if per_minute < 1:
        raise ValidationFailed("per_minute", "must be at least 1")
    campaign.name, campaign.message, campaign.per_minute = name, message, per_minute
    campaign.channel = find_channel(channel) if channel else None
    campaign.valid_until, campaign.booking_url = valid_until, booking_url
    campaign.audience = asdict(audience or Audience())


def variables_for(campaign: Campaign, client: Client, tenant: Tenant) -> dict[str, Any]:
    """Return the variables of the message to a client: the words with their name in, and what the text adds."""
    values: dict[str, Any] = {"promotionMessage": render_words(campaign.message, client_variables(client, tenant))}
    if campaign.valid_until:
        values["promotionValidUntil"] = campaign.valid_until.isoformat()
    return values | ({"bookingUrl": campaign.booking_url} if campaign.booking_url else {})


def send_test(session: Session, campaign: Campaign, client_id: int) -> NotificationResult:
    """Send the message to one client now, whatever the campaign's state. Who agreed to no marketing gets none."""
    client = find(session, Client, client_id, "client_id")
    tenant = session.get_one(Tenant, current_tenant())
    return send_notification(
        type=PROMOTION,
        recipient_id=client.id,
        channel=campaign.channel,
        variables=variables_for(campaign, client, tenant),
        idempotency_key=f"campaign-test:{campaign.id}:{uuid.uuid4()}",
    )


def estimate(session: Session, campaign: Campaign) -> Estimate:
    """Return whom a campaign would reach now and what that costs. Reads the whole audience."""
    tenant = session.get_one(Tenant, current_tenant())
    found = survey(session, Audience(**campaign.audience), campaign.channel, samples=SAMPLES)
    budget = budget_of(session)
    messages = {
        key: count * _messages_each(session, campaign, key, found.samples[key], tenant)
        for key, count in found.channels.items()
    }
    prices = {key: Decimal(price) for key, price in budget.prices.items()}
    cost = sum((count * prices.get(key, Decimal(0)) for key, count in messages.items()), Decimal(0))
    unpriced = tuple(sorted(key for key in messages if key not in prices))
    return Estimate(found, messages, cost, unpriced, spent_this_month(session, tenant), budget.monthly_cap)


def _messages_each(
    session: Session, campaign: Campaign, channel: str, samples: list[Client], tenant: Tenant
) -> Decimal:
    """Return how many paid messages one client needs, on average: segments of a text message, else one."""
    family = dispatch.channels()[channel][1].text_family
    if family != "short":
        return Decimal(1)
    counted = 0
    for client in samples:
        said = say(
            session,
            PROMOTION,
            tenant=tenant,
            channel=channel,
            family=family,
            language=client.language or tenant.language,
            client=client,
            more=variables_for(campaign, client, tenant),
        )
        counted += count_segments(said.body).segments
    return Decimal(counted) / len(samples)


def budget_of(session: Session) -> CampaignBudget:
    """Return the tenant's prices and cap; an empty one, not kept, when nothing was set."""
    return session.scalar(select(CampaignBudget)) or CampaignBudget(prices={}, monthly_cap=None)


def set_budget(session: Session, *, prices: Mapping[str, Decimal], monthly_cap: Decimal | None) -> CampaignBudget:
    """Keep what messages cost over each channel, and what campaigns may cost in a month (None = no cap)."""
    budget = session.scalar(select(CampaignBudget).with_for_update())
    if budget is None:
        budget = CampaignBudget()
        session.add(budget)
    for name, amount in prices.items():
        if not 0 <= amount < 10_000:
            raise ValidationFailed(f"prices.{name}", "must be an amount from 0 to 9999.9999")
    budget.prices = {find_channel(name): str(amount) for name, amount in prices.items()}
    budget.monthly_cap = monthly_cap
    session.flush()
    return budget


def spent_this_month(session: Session, tenant: Tenant) -> Decimal:
    """Return what the campaigns started in this calendar month, in the tenant's zone, were estimated at."""
    now = database_now(session).astimezone(ZoneInfo(tenant.zone))
    since = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return session.scalar(select(func.sum(Campaign.cost)).where(Campaign.started_at >= since)) or Decimal(0)


def start(session: Session, campaign_id: int, expected: Estimate) -> Campaign:
    """Start a draft as estimated just before; the worker writes the notifications.

    Raises `NotAllowed` when it has started, nobody is in, a price is missing under a cap, or it would pass this
    month's cap.
    """
    campaign = find(session, Campaign, campaign_id, "campaign_id", lock=True)
    if campaign.status != DRAFT:
        raise NotAllowed(f"status: the campaign is {campaign.status}; only a DRAFT can be started")
    if not expected.survey.members:
        raise NotAllowed("audience: nobody is in it; the estimate says why", field="audience")
    session.scalar(select(CampaignBudget.id).with_for_update())  # one start at a time: each sees what others spend
    cap = budget_of(session).monthly_cap
    if cap is not None:
        if expected.unpriced:
            unpriced = ", ".join(expected.unpriced)
            raise NotAllowed(f"prices: there is a monthly cap: set a price for {unpriced}", field="prices")
        spent = spent_this_month(session, session.get_one(Tenant, current_tenant()))
        if spent + expected.cost > cap:
            raise NotAllowed(
                f"monthly_cap: it would cost {expected.cost:.2f}, and {spent:.2f} of this month's {cap:.2f} are used; "
                "raise the cap, wait for next month, or choose fewer clients",
                field="monthly_cap",
            )
    now = database_now(session)
    campaign.status, campaign.started_at, campaign.cost = RUNNING, now, expected.cost
    _go_on(session, campaign, now)
    return campaign


def pause(session: Session, campaign_id: int) -> Campaign:
    """Let what has not left wait; raise `NotAllowed` unless it runs."""
    campaign = _locked(session, campaign_id, RUNNING)
    campaign.status = PAUSED
    session.execute(_waiting(campaign).values(due=HELD), execution_options={"synchronize_session": False})
    return campaign


def resume(session: Session, campaign_id: int) -> Campaign:
    """Let what waits leave at the campaign's pace from now on; raise `NotAllowed` unless it is paused."""
    campaign = _locked(session, campaign_id, PAUSED)
    campaign.status = RUNNING
    _go_on(session, campaign, database_now(session))
    return campaign


def cancel(session: Session, campaign_id: int) -> Campaign:
    """End it: what has not left never does, and counts no more for the month. Raises `NotAllowed` when it is ended."""
    campaign = _locked(session, campaign_id, DRAFT, RUNNING, PAUSED)
    campaign.status = CANCELLED
    session.execute(
        _waiting(campaign).values(status="CANCELLED", error=CALLED_OFF),
        execution_options={"synchronize_session": False},
    )
    if campaign.cost:
        rows = select(func.count(), func.sum(case((Notification.status.in_(LEFT), 1), else_=0)))
        planned, left = session.execute(rows.where(Notification.campaign_id == campaign.id)).one()
        campaign.cost = campaign.cost * (left or 0) / planned if planned else Decimal(0)
    return campaign


def _locked(session: Session, campaign_id: int, *states: str) -> Campaign:
    campaign = find(session, Campaign, campaign_id, "campaign_id", lock=True)
    if campaign.status not in states:
        raise NotAllowed(f"status: the campaign is {campaign.status}; this needs {' or '.join(states)}")
    return campaign


def _waiting(campaign: Campaign) -> Any:
    return update(Notification).where(
        Notification.campaign_id == campaign.id,
        Notification.status == literal("PENDING", literal_execute=True),
    )


def _go_on(session: Session, campaign: Campaign, now: datetime) -> None:
    campaign.next_due = now
    enqueue(session, PLAN, {"campaign_id": campaign.id}, dedupe_key=f"campaign:{campaign.id}")


def plan(context: JobContext) -> None:
    """Write a running campaign's notifications, chunk by chunk; each chunk is kept, so a crash goes on from there."""
    while True:
        with work(context.tenant_id) as session:
            campaign = session.get(Campaign, int(context.payload["campaign_id"]), with_for_update={"key_share": True})
            if campaign is None or campaign.status != RUNNING:
                return
            if not (_release_held(session, campaign) or _plan_more(session, campaign)):
                return


def _release_held(session: Session, campaign: Campaign) -> bool:
    """Give the next of what a pause held its time; False when nothing is held."""
    ids = session.scalars(
        select(Notification.id)
        .where(
            Notification.campaign_id == campaign.id,
            Notification.status == literal("PENDING", literal_execute=True),
            Notification.due == HELD,
        )
        .order_by(Notification.id)
        .limit(audiences.CHUNK)
    ).all()
    if not ids:
        return False
    times = [literal(due, Notification.due.type) for due in _times(session, campaign, len(ids))]
    due = case(dict(zip(ids, times, strict=True)), value=Notification.id)
    session.execute(
        _waiting(campaign).where(Notification.id.in_(ids)).values(due=due),
        execution_options={"synchronize_session": False},
    )
    return True


def _plan_more(session: Session, campaign: Campaign) -> bool:
    """Write the notifications of the next clients; False when all have theirs."""
    if campaign.planned:
        return False
    tenant = session.get_one(Tenant, current_tenant())
    chunk = audiences.candidates(
        session, Audience(**campaign.audience), campaign.channel, after=campaign.planned_until, limit=audiences.CHUNK
    )
    members = [one.client for one in chunk if not one.reasons]
    rows = [
        {
            "type": PROMOTION,
            "rule": f"campaign:{campaign.id}",
            "template": PROMOTION,
            "campaign_id": campaign.id,
            "recipient_id": client.id,
            "channel": campaign.channel,
            "variables": variables_for(campaign, client, tenant),
            "dedupe_key": f"campaign:{campaign.id}:{client.id}",
            "due": due,
        }
        for client, due in zip(members, _times(session, campaign, len(members)), strict=True)
    ]
    if rows:
        session.execute(insert(Notification), rows)
        wake(session)
    if chunk:
        campaign.planned_until = chunk[-1].client.id
    campaign.planned = len(chunk) < audiences.CHUNK
    return not campaign.planned


def _times(session: Session, campaign: Campaign, count: int) -> list[datetime]:
    """Return when the next so many leave, one after the other at the campaign's pace."""
    now = database_now(session)
    start_at = max(campaign.next_due or now, now)
    apart = timedelta(minutes=1) / campaign.per_minute
    campaign.next_due = start_at + count * apart
    return [start_at + place * apart for place in range(count)]
