"""What the API takes and gives about hours, closed days, time off and what clients may book."""

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from citaplanner_core.booking.hours import DAY_MINUTES
from citaplanner_core.web.api.schemas import Given, Id, Page, Shown, Start, Time, date_text


def _clock(text: str) -> str:
    found = re.fullmatch(r"(\d\d):(\d\d)", text)
    if not found or int(found[2]) > 59 or minutes_of(text) > DAY_MINUTES:
        raise ValueError("write the branch's clock like 09:30, the end of the day 24:00")
    return text


def minutes_of(clock: str) -> int:
    """The minutes since midnight of a time such as 09:30."""
    return int(clock[:2]) * 60 + int(clock[3:])


def clock_of(minutes: int) -> str:
    """The time such as 09:30 of minutes since midnight."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


Clock = Annotated[str, AfterValidator(_clock), Field(description="The branch's clock, 00:00 to 24:00.")]
Day = Annotated[date, BeforeValidator(date_text)]
Weekday = Annotated[int, Field(strict=True, ge=0, le=6, description="Monday is 0, Sunday 6.")]
Reach = Literal["automatic", "staff", "client"]


class BlockGiven(Given):
    weekday: Weekday
    since: Annotated[Clock, Field(alias="from")]
    until: Clock
    valid_from: Annotated[Day | None, Field(description="The first day on which it holds.")] = None
    valid_until: Annotated[Day | None, Field(description="The last day on which it holds.")] = None


class OwnBlockGiven(BlockGiven):
    branch_id: Id


class HoursGiven(Given):
    blocks: list[BlockGiven]


class OwnHoursGiven(Given):
    blocks: list[OwnBlockGiven]


class BlockShown(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    branch_id: int
    weekday: int
    since: Annotated[str, Field(alias="from")]
    until: str
    valid_from: date | None
    valid_until: date | None


class HoursShown(BaseModel):
    blocks: list[BlockShown]


class NewClosure(Given):
    first_day: Day
    last_day: Annotated[Day | None, Field(description="Included; the first day without it.")] = None
    branch_id: Annotated[Id | None, Field(description="All branches without it.")] = None
    name: str = ""


class ClosureShown(Shown):
    id: int
    first_day: date
    last_day: date
    branch_id: int | None
    name: str


class ClosuresPage(BaseModel):
    items: list[ClosureShown]
    next: int | None


class NewTimeOff(Given):
    professional_id: Id
    start: Start
    end: Start
    reason: str = ""


class TimeOffShown(Shown):
    id: int
    professional_id: int
    start: Time
    end: Time
    reason: str


class TimesOffPage(BaseModel):
    items: list[TimeOffShown]
    next: int | None


class TimesOffQuery(Page):
    professional_id: Annotated[Id | None, Field(strict=False)] = None


class Giver(Given):
    model_config = ConfigDict(extra="forbid", from_attributes=True)

    professional_id: Id
    branch_id: Annotated[Id | None, Field(description="At all branches without it.")] = None


class Givers(Given):
    items: Annotated[list[Giver], Field(max_length=1000, description="Nobody named: everybody gives it.")]


class BookingPolicyGiven(Given):
    """Fields that are not given stay."""

    minimum_notice_minutes: Annotated[int, Field(strict=True, ge=0)] = 0
    cancel_notice_minutes: Annotated[
        int, Field(strict=True, ge=0, description="So close to the start a client must call to cancel or move.")
    ] = 0
    horizon_days: Annotated[int | None, Field(strict=True, description="null: as far ahead as one likes.")] = None
    slot_step_minutes: Annotated[int, Field(strict=True, ge=5, description="Divides the day, such as 15.")] = 15
    confirmation: Annotated[Reach, Field(description="What confirms a client's booking.")] = "client"


class BookingPolicyShown(Shown):
    minimum_notice_minutes: int
    cancel_notice_minutes: int
    horizon_days: int | None
    slot_step_minutes: int
    confirmation: str
