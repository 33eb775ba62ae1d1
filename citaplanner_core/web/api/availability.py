"""`/api/v1/availability`."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from flask import g
from pydantic import Field, PlainValidator, WithJsonSchema

from citaplanner_core.booking.availability import LAST_YEAR, MOST_DAYS, find_slots
from citaplanner_core.booking.errors import ValidationFailed, find
from citaplanner_core.booking.hours import DAY_MINUTES, Clock
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import utcnow, work
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.schemas import Availability, Id, Query, SlotShown

DAYS = 7
DAY_LENGTH = len("2030-05-01")
FIRST_YEAR = 1971
CURE = "write a day like 2030-05-01, or a time with its zone like 2030-05-01T10:00:00-06:00"


def _when(text: object) -> date | datetime:
    """Read a day or a time with its zone. A + that was not encoded arrives as a space."""
    text = str(text)
    try:
        at = date.fromisoformat(text) if len(text) == DAY_LENGTH else datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise ValueError(CURE) from None
    if (isinstance(at, datetime) and at.tzinfo is None) or not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(CURE)
    return at


def _moment(branch: Branch, when: date | datetime, minute: int = 0) -> datetime:
    """The time, or that minute of the day at the branch."""
    if isinstance(when, datetime):
        return when
    return datetime.fromtimestamp(Clock(branch.zone).moment(when, minute), UTC)


When = Annotated[date | datetime, PlainValidator(_when), WithJsonSchema({"type": "string", "format": "date-time"})]


class AvailabilityQuery(Query):
    branch_id: Annotated[Id, Field(strict=False)]
    service_id: Annotated[Id, Field(strict=False)]
    professional_id: Annotated[
        Id | None, Field(strict=False, description="Without one, each time comes once, with whoever is least booked.")
    ] = None
    since: Annotated[
        When | None,
        Field(alias="from", description="The first start: a time with its zone, or a day of the branch. Now."),
    ] = None
    to: Annotated[
        When | None,
        Field(description=f"A time, not included, or a day, included; {MOST_DAYS} days later at most. A week."),
    ] = None


@blueprint.get("/availability")
@operation("availability", Availability, 404)
def list_slots(query: AvailabilityQuery) -> Any:
    """List the times that clients may book."""
    with work(g.tenant_id, write=False) as session:
        branch = find(session, Branch, query.branch_id, "branch_id")
        start = _moment(branch, query.since or utcnow())
        end = _moment(branch, query.to, DAY_MINUTES) if query.to else start + timedelta(days=DAYS)
        if end <= start:
            raise ValidationFailed("to", "give a time after `from`")
        if end - start > timedelta(days=MOST_DAYS):
            raise ValidationFailed("to", f"ask for {MOST_DAYS} days at most at a time")
        slots = find_slots(
            session,
            service_id=query.service_id,
            branch_id=query.branch_id,
            start=start,
            end=end,
            professional_id=query.professional_id,
        )
        shown = [SlotShown.model_validate(slot).model_dump(mode="json") for slot in slots]
        return {"zone": branch.zone, "items": shown}
