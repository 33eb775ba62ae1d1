"""`/api/v1/campaigns`, and how a business writes: `/api/v1/message-settings`."""

from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from flask import g
from pydantic import BaseModel, BeforeValidator, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import work
from citaplanner_core.notifications import audience as audiences
from citaplanner_core.notifications import campaigns
from citaplanner_core.notifications.audience import Audience
from citaplanner_core.notifications.campaign_models import Campaign, CampaignBudget
from citaplanner_core.notifications.campaign_results import results_of, state_of
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.schemas import Given, Id, NotificationShown, Page, Time, date_text

TAG = "campaigns"
Money = Annotated[
    Decimal, Field(ge=0, le=10**9, decimal_places=4, description="In the business's own money, as a number or text.")
]


class AudienceGiven(Given):
    language: Annotated[Literal["es", "en"] | None, Field(description="Only those who read this language.")] = None
    no_visit_months: Annotated[
        int | None,
        Field(strict=True, ge=1, le=120, description="Did not come in so many months, and has no appointment ahead."),
    ] = None
    min_visits: Annotated[int | None, Field(strict=True, ge=1, le=10_000, description="Came at least so often.")] = None
    birthday: Annotated[Literal["month", "today"] | None, Field(description="This month, or today.")] = None


class CampaignGiven(Given):
    name: Annotated[str, Field(max_length=200)]
    message: Annotated[str, Field(description="What you tell them; {{clientFirstName}} and {cliente} are filled in.")]
    channel: Annotated[
        str | None, Field(min_length=1, description="Without it, the client's channel or the first one they agreed to.")
    ] = None
    valid_until: Annotated[date, BeforeValidator(date_text)] | None = None
    booking_url: Annotated[str, Field(max_length=500)] = ""
    per_minute: Annotated[int, Field(strict=True, ge=1, le=6000, description="How many leave in a minute.")] = 60
    audience: AudienceGiven = AudienceGiven()


class ChannelShown(BaseModel):
    waiting: int
    sent: int
    delivered: int
    read: int
    cancelled: int
    failed: Annotated[dict[str, int], Field(description="By reason.")]
    skipped: Annotated[dict[str, int], Field(description="By reason.")]


class CampaignShown(BaseModel):
    id: int
    name: str
    state: str
    message: str
    channel: str | None
    valid_until: date | None
    booking_url: str
    per_minute: int
    audience: AudienceGiven
    created_at: Time
    started_at: Time | None
    cost: str | None
    results: Annotated[dict[str, ChannelShown], Field(description="By channel; empty name: not decided yet.")]
    opted_out: Annotated[int, Field(description="Clients who stopped such messages after this one.")]


class CampaignsPage(BaseModel):
    items: list[CampaignShown]
    next: int | None


class EstimateShown(BaseModel):
    members: int
    channels: dict[str, int]
    out: Annotated[dict[str, int], Field(description="Who is not in, by the first reason.")]
    messages: Annotated[dict[str, str], Field(description="Paid messages by channel: of text messages, segments.")]
    cost: str
    unpriced: Annotated[list[str], Field(description="Channels without a price, counted as free.")]
    spent_this_month: str
    monthly_cap: str | None


class Member(BaseModel):
    id: int
    name: str
    is_in: bool
    channel: str | None
    reasons: list[str]


class MembersPage(BaseModel):
    items: list[Member]
    next: int | None


class TestGiven(Given):
    client_id: Id


class MessageSettings(Given):
    """All of it; what is left out goes back to what it is without being set."""

    tone: Annotated[Literal["tu", "usted"], Field(description="How clients are addressed in Spanish.")] = "tu"
    folds_sms: Annotated[bool, Field(strict=True, description="Text messages in the GSM alphabet.")] = True
    prices: Annotated[dict[str, Money], Field(default_factory=dict, description="Of a message, by channel.")]
    monthly_cap: Annotated[Money | None, Field(description="What campaigns may cost in a month.")] = None


class SettingsShown(BaseModel):
    tone: str
    folds_sms: bool
    prices: dict[str, str]
    monthly_cap: str | None


def _shown(session: Session, campaign: Campaign) -> dict[str, Any]:
    results = results_of(session, campaign)
    return CampaignShown(
        id=campaign.id,
        name=campaign.name,
        state=state_of(session, campaign),
        message=campaign.message,
        channel=campaign.channel,
        valid_until=campaign.valid_until,
        booking_url=campaign.booking_url,
        per_minute=campaign.per_minute,
        audience=AudienceGiven(**campaign.audience),
        created_at=campaign.created_at,
        started_at=campaign.started_at,
        cost=_money(campaign.cost),
        results={key: ChannelShown(**asdict(one)) for key, one in results.channels.items()},
        opted_out=results.opted_out,
    ).model_dump(mode="json")


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.4f}"


def _values(json: CampaignGiven) -> dict[str, Any]:
    return {**json.model_dump(exclude={"audience"}), "audience": Audience(**json.audience.model_dump())}


@blueprint.get("/campaigns")
@operation(TAG, CampaignsPage)
def list_campaigns(query: Page) -> Any:
    """List campaigns with their results."""
    statement = select(Campaign).where(Campaign.id > query.after).order_by(Campaign.id).limit(query.limit + 1)
    with work(g.tenant_id, write=False) as session:
        rows = session.scalars(statement).all()
        items = [_shown(session, row) for row in rows[: query.limit]]
    return {"items": items, "next": items[-1]["id"] if len(rows) > query.limit else None}


@blueprint.post("/campaigns")
@operation(TAG, CampaignShown, status=201)
def make_campaign(json: CampaignGiven) -> Any:
    """Make a draft. Nothing leaves before it is started."""
    with work(g.tenant_id) as session:
        return _shown(session, campaigns.create(session, **_values(json))), 201


@blueprint.get("/campaigns/<int:campaign_id>")
@operation(TAG, CampaignShown, 404)
def show_campaign(campaign_id: int) -> Any:
    """Show a campaign and what became of it."""
    with work(g.tenant_id, write=False) as session:
        return _shown(session, find(session, Campaign, campaign_id, "campaign_id"))


@blueprint.put("/campaigns/<int:campaign_id>")
@operation(TAG, CampaignShown, 404, 409)
def change_campaign(campaign_id: int, json: CampaignGiven) -> Any:
    """Write a draft anew."""
    with work(g.tenant_id) as session:
        campaign = find(session, Campaign, campaign_id, "campaign_id", lock=True)
        campaigns.change(session, campaign, **_values(json))
        return _shown(session, campaign)


@blueprint.get("/campaigns/<int:campaign_id>/estimate")
@operation(TAG, EstimateShown, 404)
def estimate_campaign(campaign_id: int) -> Any:
    """Tell how many clients it would reach now, how many not and why, and what it costs."""
    with work(g.tenant_id, write=False) as session:
        found = campaigns.estimate(session, find(session, Campaign, campaign_id, "campaign_id"))
    return {
        "members": found.survey.members,
        "channels": dict(found.survey.channels),
        "out": dict(found.survey.out),
        "messages": {key: f"{count:.1f}" for key, count in found.messages.items()},
        "cost": _money(found.cost),
        "unpriced": list(found.unpriced),
        "spent_this_month": _money(found.spent),
        "monthly_cap": _money(found.cap),
    }


@blueprint.get("/campaigns/<int:campaign_id>/audience")
@operation(TAG, MembersPage, 404)
def list_audience(campaign_id: int, query: Page) -> Any:
    """List clients, who would be in now and who not and why."""
    with work(g.tenant_id, write=False) as session:
        campaign = find(session, Campaign, campaign_id, "campaign_id")
        meant = Audience(**campaign.audience)
        rows = audiences.candidates(session, meant, campaign.channel, after=query.after, limit=query.limit + 1)
        items = [
            {
                "id": one.client.id,
                "name": one.client.name,
                "is_in": not one.reasons,
                "channel": one.channel,
                "reasons": list(one.reasons),
            }
            for one in rows[: query.limit]
        ]
    return {"items": items, "next": rows[query.limit - 1].client.id if len(rows) > query.limit else None}


@blueprint.post("/campaigns/<int:campaign_id>/test")
@operation(TAG, NotificationShown, 404, status=202)
def test_campaign(campaign_id: int, json: TestGiven) -> Any:
    """Send it to one client now, who must have agreed to marketing."""
    with work(g.tenant_id) as session:
        campaign = find(session, Campaign, campaign_id, "campaign_id")
        return asdict(campaigns.send_test(session, campaign, json.client_id)), 202


@blueprint.post("/campaigns/<int:campaign_id>/start")
@operation(TAG, CampaignShown, 404, 409)
def start_campaign(campaign_id: int) -> Any:
    """Start it: its messages leave one after the other, at its pace."""
    with work(g.tenant_id, write=False) as session:
        expected = campaigns.estimate(session, find(session, Campaign, campaign_id, "campaign_id"))
    with work(g.tenant_id) as session:
        return _shown(session, campaigns.start(session, campaign_id, expected))


@blueprint.post("/campaigns/<int:campaign_id>/pause")
@operation(TAG, CampaignShown, 404, 409)
def pause_campaign(campaign_id: int) -> Any:
    """Let what has not left wait."""
    with work(g.tenant_id) as session:
        return _shown(session, campaigns.pause(session, campaign_id))


@blueprint.post("/campaigns/<int:campaign_id>/resume")
@operation(TAG, CampaignShown, 404, 409)
def resume_campaign(campaign_id: int) -> Any:
    """Go on where it was paused."""
    with work(g.tenant_id) as session:
        return _shown(session, campaigns.resume(session, campaign_id))


@blueprint.post("/campaigns/<int:campaign_id>/cancel")
@operation(TAG, CampaignShown, 404, 409)
def cancel_campaign(campaign_id: int) -> Any:
    """End it: what has not left never does."""
    with work(g.tenant_id) as session:
        return _shown(session, campaigns.cancel(session, campaign_id))


@blueprint.get("/message-settings")
@operation("message settings", SettingsShown)
def show_message_settings() -> Any:
    """Show how the business writes and what its messages cost."""
    with work(g.tenant_id, write=False) as session:
        return _settings(session.get_one(Tenant, g.tenant_id), campaigns.budget_of(session))


@blueprint.put("/message-settings")
@operation("message settings", SettingsShown)
def change_message_settings(json: MessageSettings) -> Any:
    """Set how the business writes and what its messages cost."""
    with work(g.tenant_id) as session:
        tenant = session.get_one(Tenant, g.tenant_id)
        tenant.tone, tenant.folds_sms = json.tone, json.folds_sms
        return _settings(tenant, campaigns.set_budget(session, prices=json.prices, monthly_cap=json.monthly_cap))


def _settings(tenant: Tenant, budget: CampaignBudget) -> dict[str, Any]:
    cap = _money(budget.monthly_cap)
    return {"tone": tenant.tone, "folds_sms": tenant.folds_sms, "prices": budget.prices, "monthly_cap": cap}
