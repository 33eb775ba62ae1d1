"""What the API takes and gives about rules, policy and what clients want of messages."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from citaplanner_core.web.api.schemas import ClientShown, Given, Id, Shown, Time, date_text


class ConsentGiven(Given):
    given: Annotated[bool, Field(description="Whether they agreed or refused.")]
    source: Annotated[str, Field(min_length=1, description="Where they said so, such as booking form.")]
    purpose: Literal["service", "marketing"] = "marketing"
    channel: Annotated[str, Field(min_length=1, description="In any case; * is all of them.")] = "*"


class ConsentShown(Shown):
    purpose: str
    channel: str
    given: bool
    source: str
    version: Annotated[int | None, Field(description="Which consent text they read; 0 = the built-in one.")]
    at: Time


class Preferences(Given):
    """Fields that are not given stay."""

    do_not_message: Annotated[bool, Field(description="Tell this client nothing at all.")] = False
    preferred_channel: Annotated[str | None, Field(description="Tried first; in any case.")] = None
    responsible_id: Annotated[
        Id | None, Field(description="The client who gets this one's messages, such as a mother.")
    ] = None
    consents: Annotated[
        list[ConsentGiven], Field(default_factory=list, max_length=50, description="The latest word holds.")
    ]


class ClientChange(Preferences):
    """Fields that are not given stay."""

    first_name: str = ""
    last_name: str = ""
    email: str | None = None
    language: str | None = None
    birthday: Annotated[date, BeforeValidator(date_text)] | None = None
    notes: str = ""
    active: bool = True


class MergeGiven(Given):
    merged_id: Annotated[Id, Field(description="The client who is the same person, and is no more afterwards.")]


class ClientDetails(ClientShown):
    do_not_message: bool
    preferred_channel: str | None
    responsible_id: int | None
    paused_until: Annotated[Time | None, Field(description="Automatic messages wait until then.")]
    consents: list[ConsentShown]


class ConsentTextsGiven(Given):
    """Texts by language, es or en; where there is none the built-in one is shown."""

    service: Annotated[
        dict[str, str],
        Field(default_factory=dict, description="What booking includes: messages about the appointment, by language."),
    ]
    marketing: Annotated[
        dict[str, str], Field(default_factory=dict, description="What stands beside the box to tick, by language.")
    ]
    privacy_url: Annotated[str | None, Field(description="Where your privacy notice is.")] = None


class ConsentTextsShown(Shown):
    version: Annotated[int, Field(description="Each change is a new version; 0 = nothing of your own yet.")]
    service: dict[str, str]
    marketing: dict[str, str]
    privacy_url: str | None


class RuleGiven(Given):
    type: Annotated[str, Field(description="Such as APPOINTMENT_REMINDER.")]
    trigger: Annotated[
        str,
        Field(
            description="An event: booked, rescheduled, cancelled, completed or no_show; or before_start, days_before,"
            " working_day_before, after_end."
        ),
    ]
    minutes: Annotated[int, Field(strict=True, description="Before the start, after the end, or after the event.")] = 0
    days: Annotated[int, Field(strict=True, description="For days_before; 0 is the day itself.")] = 0
    at: Annotated[
        str | None, Field(description="For days_before and working_day_before, the branch's clock: 18:00.")
    ] = None
    channels: Annotated[
        list[str],
        Field(
            default_factory=list,
            max_length=20,
            description="Tried in turn; empty = all that are on.",
        ),
    ]
    template: Annotated[str | None, Field(description="The key of another text than the type's.")] = None
    services: Annotated[
        list[Id], Field(default_factory=list, max_length=500, description="For these; empty = for all.")
    ]
    language: Annotated[str | None, Field(description="Instead of the recipient's.")] = None
    enabled: bool = True


class RuleShown(RuleGiven):
    name: str
    active: Annotated[bool, Field(description="Plans messages now: enabled, and has what it needs.")]


class RulesShown(BaseModel):
    items: list[RuleShown]


class PolicyGiven(Given):
    """Fields that are not given stay."""

    quiet_from: Annotated[str | None, Field(description="The branch's clock, such as 21:00; null = no quiet.")] = None
    quiet_until: str | None = None
    daily_limit: Annotated[
        int | None, Field(strict=True, description="Automatic messages to one person in a day; null = any number.")
    ] = None
    feedback_url: Annotated[
        str | None, Field(description="Where clients say what they think; null = they are not asked.")
    ] = None


class PolicyShown(BaseModel):
    quiet_from: str | None
    quiet_until: str | None
    daily_limit: int | None
    feedback_url: str | None


class UpcomingShown(BaseModel):
    hours: int
    total: int
    by_type: dict[str, int]
