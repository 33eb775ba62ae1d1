"""Which times a business offers: the one set of rules that slots are made from and clients' bookings are held against.

A time is offered when the whole service fits into hours in which the branch is open and the professional works, the
buffers around it meet no live appointment of the professional, and it keeps the tenant's notice and horizon. Buffers
may reach beyond the hours: getting ready before opening is no booking. Staff may overrule all but the appointments.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import NotOffered, Reason, ValidationFailed, Wanted, utc
from citaplanner_core.booking.hours import DAY_MINUTES, Clock, Hours, ProfessionalService, Span
from citaplanner_core.booking.models import LIVE_STATES, Appointment, Branch, Professional, Service, Tenant
from citaplanner_core.booking.schedule import find_active
from citaplanner_core.columns import seconds, seconds_up
from citaplanner_core.database import current_tenant, utcnow

MOST_DAYS = 62
NEAREST = 3
NEAREST_DAYS = 14
MANY = 2**31
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_YEAR = 9998
"""Dates are reckoned with a day on either side."""
CURES: dict[Reason, tuple[str, str]] = {
    "too_soon": ("start", "is too soon for this business, which takes bookings {notice} minutes ahead; choose later"),
    "too_far": ("start", "is too far ahead for this business, which takes bookings {horizon} days ahead"),
    "not_given": ("professional_id", "does not give this service at this branch; choose another professional"),
    "closed": ("start", "the branch is closed at that time; choose another"),
    "away": ("start", "the professional does not work at that time; choose another time or professional"),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that may be booked with a professional. Aware UTC."""

    start: datetime
    end: datetime
    professional_id: int


@dataclass(frozen=True, slots=True)
class _Window:
    """What the tenant lets clients book now: from (included) until (not included), in seconds since 1970."""

    opens: float
    closes: float


def find_slots(
    session: Session,
    *,
    service_id: int,
    branch_id: int,
    start: datetime,
    end: datetime,
    professional_id: int | None = None,
) -> list[Slot]:
    """Return the slots that begin from `start` (aware, included) to `end` (not included, 62 days later at most).

    Without a professional there is one slot for each start, with the one of those free who has the fewest live
    appointments that day of the branch, the lower id among equals. What has passed is never offered. Raises `NotFound`,
    and `ValidationFailed` for what is inactive, a naive time or a longer stretch. Nobody to give the service, or no
    hours then, is an empty list. The number of queries does not depend on what there is.
    """
    tenant = session.get_one(Tenant, current_tenant())
    service = find_active(session, Service, service_id, "service_id")
    branch = find_active(session, Branch, branch_id, "branch_id")
    if professional_id is not None:
        find_active(session, Professional, professional_id, "professional_id")
    start, end = utc("start", start), utc("end", end)
    if end - start > timedelta(days=MOST_DAYS):
        raise ValidationFailed("end", f"ask for {MOST_DAYS} days at most at a time")
    if end.year > LAST_YEAR or start.year < EPOCH.year:
        raise ValidationFailed("end", f"give dates between the years {EPOCH.year} and {LAST_YEAR}")
    offered = _window(tenant, branch)
    first, last = max(start.timestamp(), offered.opens), min(end.timestamp(), offered.closes)
    if first >= last:
        return []
    people = givers(session, service_id, branch_id)
    if professional_id is not None:
        people = [person for person in people if person == professional_id]
    if not people:
        return []
    length = service.duration_minutes * 60
    hours = Hours(session, branch, int(first), int(last) + length)
    moments = hours.clock.marks(-int(-first // 1), -int(-last // 1), tenant.slot_step_minutes * 60)
    chosen = _choose(hours, moments, service, _diaries(session, people, hours, service))
    duration = timedelta(seconds=length)
    return [
        Slot(begins := datetime.fromtimestamp(moment, UTC), begins + duration, person)
        for moment, person in zip(moments, chosen, strict=True)
        if person is not None
    ]


def nearest_slots(session: Session, wanted: Wanted) -> list[Slot]:
    """Return the offered slots nearest to a time that could not be had, three at most, in order.

    They are within two weeks of it, with the professional who was wanted, else with whoever is free. An empty list
    when there are none, also when the service or branch is no longer active.
    """
    reach = timedelta(days=NEAREST_DAYS)
    begin = max(wanted.start - min(reach, wanted.start - EPOCH), utcnow())
    try:
        for professional in (wanted.professional_id, None):
            slots = find_slots(
                session,
                service_id=wanted.service_id,
                branch_id=wanted.branch_id,
                start=begin,
                end=max(wanted.start, begin) + reach,
                professional_id=professional,
            )
            if slots:
                nearest = sorted(slots, key=lambda slot: (abs(slot.start - wanted.start), slot.start))[:NEAREST]
                return sorted(nearest, key=lambda slot: slot.start)
    except (ValidationFailed, OverflowError):
        pass
    return []


def require_offered(session: Session, wanted: Wanted) -> None:
    """Raise `NotOffered` unless the business offers clients this time, other appointments apart."""
    tenant = session.get_one(Tenant, current_tenant())
    service = find_active(session, Service, wanted.service_id, "service_id")
    branch = find_active(session, Branch, wanted.branch_id, "branch_id")
    reason = _reason(session, wanted, _window(tenant, branch), branch, service.duration_minutes * 60)
    if reason is not None:
        field, cure = CURES[reason]
        cure = cure.format(notice=tenant.minimum_notice_minutes, horizon=tenant.horizon_days)
        raise NotOffered(field, cure, reason=reason, wanted=wanted)


def overruled(session: Session, wanted: Wanted) -> Reason | None:
    """Return which rule staff overrules by booking this time, notice and horizon apart; None for none.

    Raises `NotFound`, and `ValidationFailed` for what is inactive.
    """
    service = find_active(session, Service, wanted.service_id, "service_id")
    branch = find_active(session, Branch, wanted.branch_id, "branch_id")
    always = _Window(float("-inf"), float("inf"))
    return _reason(session, wanted, always, branch, service.duration_minutes * 60)


def _reason(session: Session, wanted: Wanted, offered: _Window, branch: Branch, length: int) -> Reason | None:
    begins = wanted.start.timestamp()
    if begins < offered.opens:
        return "too_soon"
    if begins >= offered.closes or wanted.start.year > LAST_YEAR:
        return "too_far"
    if wanted.professional_id not in givers(session, wanted.service_id, wanted.branch_id, wanted.professional_id):
        return "not_given"
    hours = Hours(session, branch, int(begins), int(begins) + length + 1)
    if not _fits(hours.opening, begins, begins + length):
        return "closed"
    return None if _fits(hours.working(wanted.professional_id), begins, begins + length) else "away"


def _fits(spans: Sequence[Span], begins: float, ends: float) -> bool:
    return any(opens <= begins and ends <= closes for opens, closes in spans)


def _window(tenant: Tenant, branch: Branch) -> _Window:
    now = utcnow()
    opens = (now + timedelta(minutes=tenant.minimum_notice_minutes)).timestamp()
    if tenant.horizon_days is None:
        return _Window(opens, float("inf"))
    clock = Clock(branch.zone)
    return _Window(opens, clock.moment(clock.day(now.timestamp()) + timedelta(days=tenant.horizon_days + 1)))


def givers(session: Session, service_id: int, branch_id: int, only: int | None = None) -> list[int]:
    """Return the ids of the active professionals who give a service at a branch, lowest first; `only` looks at one."""
    named = select(ProfessionalService.id).where(ProfessionalService.service_id == service_id)
    here = (
        select(ProfessionalService.id)
        .where(
            ProfessionalService.service_id == service_id,
            ProfessionalService.professional_id == Professional.id,
            or_(ProfessionalService.branch_id.is_(None), ProfessionalService.branch_id == branch_id),
        )
        .correlate(Professional)
    )
    people = select(Professional.id).where(Professional.active, or_(~named.exists(), here.exists()))
    if only is not None:
        people = people.where(Professional.id == only)
    return list(session.scalars(people.order_by(Professional.id)))


@dataclass(frozen=True, slots=True)
class _Diary:
    """A professional's live appointments: what each blocks, and how many begin on each of the days."""

    blocked: list[Span]
    booked: list[int]


def _diaries(session: Session, people: Sequence[int], hours: Hours, service: Service) -> dict[int, _Diary]:
    midnights = [hours.clock.moment(day) for day in hours.days]
    ends = hours.clock.moment(hours.days[-1], DAY_MINUTES)
    reach = 60 * (service.duration_minutes + service.buffer_before_minutes + service.buffer_after_minutes)
    diaries = {person: _Diary([], [0] * len(midnights)) for person in people}
    rows = session.execute(
        select(
            Appointment.professional_id,
            seconds(Appointment.blocked_from),
            seconds_up(Appointment.blocked_until),
            seconds(Appointment.start),
        )
        .where(
            Appointment.professional_id.in_(people),
            Appointment.status.in_(LIVE_STATES),
            Appointment.blocked_until > datetime.fromtimestamp(midnights[0] - reach, UTC),
            Appointment.blocked_from < datetime.fromtimestamp(ends + reach, UTC),
        )
        .order_by(Appointment.blocked_from)
    )
    for person, blocked_from, blocked_until, begins in rows:
        diary = diaries[person]
        diary.blocked.append((blocked_from, blocked_until))
        if midnights[0] <= begins < ends:
            diary.booked[bisect_right(midnights, begins) - 1] += 1
    return diaries


def _choose(hours: Hours, moments: Sequence[int], service: Service, diaries: dict[int, _Diary]) -> list[int | None]:
    """For each moment the professional to offer, None where nobody can. People come lowest id first, and stay first."""
    midnights = [hours.clock.moment(day) for day in hours.days]
    day_of = [bisect_right(midnights, moment) - 1 for moment in moments]
    chosen: list[int | None] = [None] * len(moments)
    fewest = [MANY] * len(moments)
    for person, diary in diaries.items():
        for first, last in _starts(hours.working(person), diary.blocked, service):
            for number in range(bisect_left(moments, first), bisect_right(moments, last)):
                booked = diary.booked[day_of[number]]
                if booked < fewest[number]:
                    fewest[number], chosen[number] = booked, person
    return chosen


def _starts(working: Sequence[Span], blocked: Sequence[Span], service: Service) -> Iterator[Span]:
    """Give the earliest and latest start of each stretch in which the service fits; both may be."""
    length = service.duration_minutes * 60
    before, after = service.buffer_before_minutes * 60, service.buffer_after_minutes * 60
    number = 0
    for opens, closes in working:
        first, last = opens, closes - length
        while number < len(blocked) and blocked[number][1] + before <= first:
            number += 1
        for taken, free in islice(blocked, number, None):
            if taken - after - length >= last:
                break
            if first <= taken - after - length:
                yield first, taken - after - length
            first = max(first, free + before)
        if first <= last:
            yield first, last
