"""What the forms for a new appointment and for another time of one have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.availability import overruled
from citaplanner_core.booking.errors import BookingError, NotFound, SlotTaken, ValidationFailed, Wanted
from citaplanner_core.booking.models import Branch, Professional, Service
from citaplanner_core.database import utcnow
from citaplanner_core.web.admin.base import code, words
from citaplanner_core.web.admin.day import active_branches, chosen
from citaplanner_core.web.admin.moments import Moments, UnreadTime
from citaplanner_core.web.offers import read_start

LATE = timedelta(hours=1)
"""An appointment may have begun so long ago without being asked about: somebody walked in."""
KEPT = ("branch", "professional", "service", "day", "time", "start")
"""What travels along while a client is looked for."""


class Refused(Exception):
    """The form is to be shown again, with these errors by field; `taken` is the time that could not be had."""

    def __init__(self, errors: Mapping[str, str], *, status: int = 422, taken: Wanted | None = None) -> None:
        super().__init__()
        self.errors, self.status, self.taken = errors, status, taken


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form offers: rows that are active, and the branch it is about."""

    branches: list[Branch]
    branch: Branch
    services: list[Service]
    professionals: list[Professional]

    @property
    def says(self) -> Moments:
        """The branch's clock."""
        return Moments(self.branch.zone, code())


def choices(session: Session, branch: str | None) -> Choices:
    """Read what can be booked; `branch` is the id of the branch that was chosen, if one was. Raises `NotFound`."""
    branches = active_branches(session)
    if not branches:
        raise NotFound("branch_id", 0)
    return Choices(branches, chosen(branches, branch), _active(session, Service), _active(session, Professional))


def _active(session: Session, model: Any) -> list[Any]:
    return list(session.scalars(select(model).where(model.active).order_by(model.name, model.id)))


def read_wish(session: Session, given: Mapping[str, str]) -> Wanted:
    """Read service, professional, branch and start out of a form; raise `Refused`.

    A button may send one of the nearest times as `slot`; else what stands in `day` and `time` counts, which is the
    moment `was` as long as nobody has changed it (a time may come twice in a night).
    """
    offered = choices(session, given.get("branch"))
    says, said = offered.says, words()["errors"]
    slot, _, slot_professional = given.get("slot", "").partition("|")
    professional = number(slot_professional or given.get("professional", ""))
    service = number(given.get("service", ""))
    errors = {}
    if professional not in {one.id for one in offered.professionals}:
        errors["professional"] = said["choose"]
    if service not in {one.id for one in offered.services}:
        errors["service"] = said["choose"]
    start = read_start(slot) or _unchanged(given, says)
    if start is None:
        try:
            start = says.read(given.get("day", ""), given.get("time", ""))
        except UnreadTime as error:
            errors["day" if str(error) == "day" else "time"] = said[str(error)]
    if errors or start is None or professional is None or service is None:
        raise Refused(errors)
    return Wanted(service, offered.branch.id, professional, start)


def _unchanged(given: Mapping[str, str], says: Moments) -> datetime | None:
    was = read_start(given.get("was"))
    same = was is not None and says.fields(was) == {name: given.get(name, "") for name in ("day", "time")}
    return was if same else None


def require_meant(session: Session, wanted: Wanted, given: Mapping[str, str], *, before: Wanted | None = None) -> None:
    """Raise `Refused` for a time outside of what the business offers, or long past, unless `anyway` was ticked.

    `before` is what the appointment has already: what stays is not asked about.
    """
    if given.get("anyway") or wanted == before:
        return
    reason = "past" if wanted.start < utcnow() - LATE else overruled(session, wanted)
    if reason is not None:
        raise Refused({"anyway": words()["errors"][reason]})


def refused_by(error: BookingError) -> Refused:
    """Turn what a booking verb raised into what the form shows."""
    said = words()["errors"]
    if isinstance(error, SlotTaken):
        return Refused({"time": said["taken"]}, status=409, taken=error.wanted)
    field = {"start": "time", "notes": "notes"}.get(error.field or "", "form")
    return Refused({field: said["unusable"]}, status=422 if isinstance(error, ValidationFailed) else 409)


def given_values() -> dict[str, str]:
    """Return what the address or the form holds, without outer spaces."""
    return {name: value.strip() for name, value in request.values.items()}


def kept(given: Mapping[str, str]) -> dict[str, str]:
    """Return what has been chosen of an appointment so far, for addresses."""
    return {name: given[name] for name in KEPT if given.get(name)}


def number(text: str | None) -> int | None:
    """Read an id or another whole number; None for what is none."""
    return int(text) if text and text.isdecimal() and text.isascii() and len(text) < 19 else None
