"""What the API takes and gives. Times are ISO 8601 with an offset; answers are in UTC."""

from datetime import UTC, date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

Time = Annotated[AwareDatetime, PlainSerializer(lambda at: at.astimezone(UTC).isoformat().replace("+00:00", "Z"))]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Given(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Shown(BaseModel):
    """An answer, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str | None = None
    field: str | None = None
    errors: list[dict[str, str]] | None = None


class NewAppointment(Given):
    client_id: Id
    service_id: Id
    professional_id: Id
    branch_id: Id
    start: AwareDatetime
    booked_by: Literal["client", "staff"] = "client"
    notes: str = ""


class Change(Given):
    """Who changes an appointment and why. `expected_version` refuses the change when somebody else was first."""

    by: Literal["client", "staff"] = "staff"
    reason: str | None = None
    expected_version: int | None = None


class Move(Change):
    start: AwareDatetime
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


class TimelineEntry(BaseModel):
    at: Time
    kind: Literal["change", "notification"]
    what: str
    why: str | None
    notification_id: int | None = None
    type: str | None = None
    status: str | None = None
    channel: str | None = None


class PhoneShown(Shown):
    raw: str
    e164: str
    confidence: str
    label: str


class NewClient(Given):
    first_name: str
    last_name: str = ""
    email: str | None = None
    phones: list[str] = []
    language: str | None = None
    birthday: date | None = None
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


class Named(Shown):
    id: int
    name: str
    active: bool


class ServiceShown(Named):
    duration_minutes: int


class BranchShown(Named):
    zone: str
    address: str
    phone: str


class NewNotification(Given):
    type: str
    recipient_id: Id
    channel: str | None = None
    message: str | None = None
    template: str | None = None
    variables: dict[str, Any] = {}
    appointment_id: Id | None = None


class Wait(BaseModel):
    """`wait` is in seconds: how long to wait until the notification is settled."""

    wait: Annotated[float, Field(ge=0, le=30)] = 0


class NotificationShown(Shown):
    success: bool
    notification_id: int
    status: str
    message_id: str | None
    error: str | None


class Page(BaseModel):
    """`after` is the last id of the page before; the answer's `next` is None on the last page."""

    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class AppointmentsPage(BaseModel):
    items: list[AppointmentShown]
    next: int | None


class ClientsPage(BaseModel):
    items: list[ClientShown]
    next: int | None


class ServicesPage(BaseModel):
    items: list[ServiceShown]
    next: int | None


class BranchesPage(BaseModel):
    items: list[BranchShown]
    next: int | None


class ProfessionalsPage(BaseModel):
    items: list[Named]
    next: int | None
