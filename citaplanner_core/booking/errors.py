"""What the booking core refuses, and the checks of plain values that refuse it.

Every refusal carries a machine `code`, the `field` at fault where there is one, and a text that says what to do.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal, TypeVar

from sqlalchemy.orm import Session

from citaplanner_core.database import Base

Row = TypeVar("Row", bound=Base)
LARGEST_ID = 2**63 - 1
_LOCKS: Mapping[bool | str, dict[str, bool]] = {  # PostgreSQL: FOR NO KEY UPDATE, FOR KEY SHARE, FOR UPDATE
    True: {"key_share": True},
    "stays": {"key_share": True, "read": True},
    "goes": {},
}
TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


class BookingError(Exception):
    """Base of every refusal. `str()` is a whole sentence for a person, with the cure."""

    code: ClassVar[str] = "booking_error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(BookingError):
    """This tenant has no such row; whether another one has is not told."""

    code = "not_found"

    def __init__(self, field: str, value: object) -> None:
        super().__init__(f"{field}: there is no {value!r} here; list what exists and use one of those ids", field=field)


class Merged(NotFound):
    """The row was merged into another one, `into`."""

    code = "merged"

    def __init__(self, field: str, value: object, into: int) -> None:
        BookingError.__init__(self, f"{field}: {value!r} was merged into {into}; use that id", field=field)
        self.into = into


@dataclass(frozen=True, slots=True)
class Wanted:
    """The time that could not be had, for `availability.nearest_slots` to offer others like it. `start` is UTC."""

    service_id: int
    branch_id: int
    professional_id: int
    start: datetime


class SlotTaken(BookingError):
    """The professional has another live appointment, buffers included, in that time."""

    code = "slot_taken"

    def __init__(self, wanted: Wanted | None = None) -> None:
        super().__init__(
            "start: the professional is taken at that time; choose another time or professional", field="start"
        )
        self.wanted = wanted


class NotAllowed(BookingError):
    """The appointment's state does not permit the verb."""

    code = "not_allowed"


class StaleVersion(BookingError):
    """The appointment changed since the caller read it."""

    code = "stale_version"

    def __init__(self, *, expected: int, found: int) -> None:
        super().__init__(
            f"expected_version: the appointment is at version {found}, not {expected}; read it again and decide anew",
            field="expected_version",
        )


class ValidationFailed(BookingError):
    """A value cannot be used; `cure` says what to give instead."""

    code = "validation_failed"

    def __init__(self, field: str, cure: str) -> None:
        super().__init__(f"{field}: {cure}", field=field)


Reason = Literal["too_soon", "too_far", "not_given", "closed", "away"]


class NotOffered(ValidationFailed):
    """The business does not offer that time to clients; `reason` says which of its rules is in the way."""

    code = "not_offered"

    def __init__(self, field: str, cure: str, *, reason: Reason, wanted: Wanted) -> None:
        super().__init__(field, cure)
        self.reason = reason
        self.wanted = wanted


def find(
    session: Session, model: type[Row], row_id: int, field: str, *, lock: bool | Literal["stays", "goes"] = False
) -> Row:
    """Return the tenant's row of this id, or raise `NotFound` naming `field` (`Merged`, where one knows into which).

    With `lock` it is read afresh and held until the unit ends: True, nobody else changes it, while rows that refer to
    it may be written; "stays", nobody deletes it; "goes", nobody writes what refers to it either. SQLite needs no
    lock, its writing unit is alone.
    """
    row = None
    if 0 < row_id <= LARGEST_ID:
        row = (
            session.get(model, row_id, populate_existing=True, with_for_update=_LOCKS[lock])
            if lock and session.get_bind().dialect.name != "sqlite"
            else session.get(model, row_id)
        )
    if row is None:
        moved_to = getattr(model, "moved_to", None)
        into = moved_to(session, row_id) if moved_to and 0 < row_id <= LARGEST_ID else None
        raise NotFound(field, row_id) if into is None else Merged(field, row_id, into)
    return row


def utc(field: str, value: datetime) -> datetime:
    """Return an aware datetime in UTC; raise `ValidationFailed` for a naive one."""
    if value.utcoffset() is None:
        raise ValidationFailed(field, "give the time with its zone, such as 2030-05-01T10:00:00-06:00")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValidationFailed(field, "give a date between the years 1 and 9999") from None


def one_of(field: str, value: str, allowed: Collection[str]) -> str:
    """Return `value`; raise `ValidationFailed` naming the allowed ones when it is not among them."""
    if value not in allowed:
        raise ValidationFailed(field, f"must be one of {', '.join(allowed)}")
    return value


def plain_text(field: str, value: str) -> str:
    """Return `value` without outer spaces; raise `ValidationFailed` for characters that no database stores."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationFailed(field, "leave out the NUL and half characters")
    return value.strip()


def short_text(field: str, value: str, most: int = 200) -> str:
    """Return `value` as `plain_text` does; raise `ValidationFailed` also when it is longer than `most` characters.

    Marks that turn the direction of what follows are left out: they would turn the text it is put into.
    """
    value = plain_text(field, value.translate(TURNING))
    if len(value) > most:
        raise ValidationFailed(field, f"give {most} characters at most, this has {len(value)}")
    return value
