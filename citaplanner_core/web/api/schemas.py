"""What the API takes and gives. Times are ISO 8601 with an offset; answers are in UTC."""

from datetime import UTC, date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from citaplanner_core.booking.errors import LARGEST_ID


def date_text(value: object) -> object:
    """Refuse numbers: pydantic takes them for seconds since 1970."""
    if isinstance(value, str) and "-" in value:
        return value
    raise ValueError("write it like 2030-05-01, a time like 2030-05-01T10:00:00-06:00")


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError("give a text or a number")


Time = Annotated[
    AwareDatetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str, when_used="json"
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Start = Annotated[
    AwareDatetime, BeforeValidator(date_text), Field(description="With its zone, such as 2030-05-01T10:00:00-06:00.")
]
Id = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]
Value = Annotated[Any, AfterValidator(_plain), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]


class Given(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Query(BaseModel):
    """What stands behind the `?`: unknown names are refused too."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """An answer, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class SlotShown(Shown):
    """A time that may be booked, with whom."""

    start: Time
    end: Time
    professional_id: int


class Availability(BaseModel):
    """`zone` is the branch's: its clock is what the business goes by."""

    zone: str
    items: list[SlotShown]


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str | None = None
    field: str | None = None
    errors: list[dict[str, str]] | None = None
    nearest: Annotated[
        list[SlotShown] | None, Field(description="Times near the one that could not be had, which may be booked.")
    ] = None


class NewAppointment(Given):
    client_id: Id
    service_id: Id
    professional_id: Id
    branch_id: Id
    start: Start
    booked_by: Literal["client", "staff"] = "client"
    notes: str = ""


class Change(Given):
    """Who changes an appointment and why."""

    by: Literal["client", "staff"] = "staff"
    reason: str | None = None
    expected_version: Annotated[
        int | None, Field(strict=True, description="Refuses the change when the appointment is at another version.")
    ] = None


class Move(Change):
    start: Start
    professional_id: Id | None = None
    service_id: Id | None = None
    branch_id: Id | None = None


class AppointmentShown(Shown):
    id: int
    status: str
    answer: str
    answered_at: Time | None
    client_id: int
    service_id: int
    professional_id: int
    branch_id: int
    start: Time
    end: Time
    booked_by: str
    cancel_reason: str | None
    notes: str
    version: int
    schedule_version: int


class TimelineQuery(Query):
    after: Annotated[str | None, Field(min_length=1, description="The answer's `next` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    language: Annotated[
        Literal["es", "en"] | None, Field(description="Of the words; without it that of the business.")
    ] = None


class TimelineEntry(Shown):
    at: Time
    kind: Literal["change", "answer", "planned", "waiting", "delivery", "delivered", "read", "outcome", "message"]
    what: str
    why: str | None
    cure: str | None
    reason: Annotated[str | None, Field(description="The code behind `why`.")]
    detail: Annotated[str | None, Field(description="What the provider or a program said.")]
    text: Annotated[str | None, Field(description="What the client, or the business, said.")]
    by: str | None
    appointment_id: int | None
    notification_id: int | None
    type: str | None
    status: str | None
    channel: str | None
    attempt: int | None


class TimelinePage(BaseModel):
    items: list[TimelineEntry]
    next: str | None


class PhoneShown(Shown):
    id: int
    raw: str
    e164: str
    confidence: str
    label: str


class NewPhone(Given):
    phone: Annotated[str, Field(description="As people type it, in the tenant's country.")]
    label: Annotated[str, Field(description="Such as work or mother.")] = ""


PhoneGiven = Annotated[
    NewPhone,
    BeforeValidator(lambda given: {"phone": given} if isinstance(given, str) else given),
    WithJsonSchema({"anyOf": [{"type": "string"}, NewPhone.model_json_schema()]}),
]


class NewClient(Given):
    first_name: str
    last_name: str = ""
    email: str | None = None
    phones: Annotated[
        list[PhoneGiven], Field(max_length=20, description="As people type them, in the tenant's country.")
    ] = []
    language: str | None = None
    birthday: Annotated[date, BeforeValidator(date_text)] | None = None
    notes: str = ""


class ClientShown(Shown):
    id: int
    first_name: str
    last_name: str
    email: str | None
    language: str | None
    birthday: date | None
    phones: list[PhoneShown]
    active: bool


class NewNotification(Given):
    type: Annotated[str, Field(description="Such as APPOINTMENT_REMINDER.")]
    recipient_id: Annotated[Id, Field(description="The client who is written to.")]
    channel: Annotated[
        str | None, Field(min_length=1, description="In any case; without it the client's channels are tried in turn.")
    ] = None
    message: Annotated[str | None, Field(min_length=1, description="These words instead of the type's text.")] = None
    template: Annotated[str | None, Field(min_length=1, description="The key of another text than the type's.")] = None
    variables: Annotated[dict[str, Value], Field(description="Values for the text, by name.")] = {}
    appointment_id: Annotated[Id | None, Field(description="The appointment that the text speaks of.")] = None


class Wait(Query):
    wait: Annotated[
        float, Field(ge=0, le=30, description="How many seconds to wait until the notification is settled.")
    ] = 0


class NotificationShown(Shown):
    success: bool
    notification_id: int
    status: str
    message_id: str | None
    error: str | None


class Page(Query):
    after: Annotated[int, Field(ge=0, le=LARGEST_ID, description="The answer's `next` of the page before.")] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class AppointmentsPage(BaseModel):
    items: list[AppointmentShown]
    next: int | None


class ClientsPage(BaseModel):
    items: list[ClientShown]
    next: int | None
