"""`/api/v1/branches/{id}/hours`, `professionals/{id}/hours`, `closures`, `time-off`, `services/{id}/professionals`."""

from collections.abc import Iterable
from typing import Any

from flask import g

from citaplanner_core.booking import timetable
from citaplanner_core.booking.directory import update_policy
from citaplanner_core.booking.hours import Closure, ProfessionalService, TimeOff, WorkingHours
from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import work
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.paging import page_of
from citaplanner_core.web.api.schemas import Page
from citaplanner_core.web.api.timetable_schemas import (
    BlockGiven,
    BlockShown,
    BookingPolicyGiven,
    BookingPolicyShown,
    ClosureShown,
    ClosuresPage,
    Giver,
    Givers,
    HoursGiven,
    HoursShown,
    NewClosure,
    NewTimeOff,
    OwnHoursGiven,
    TimeOffShown,
    TimesOffPage,
    TimesOffQuery,
    clock_of,
    minutes_of,
)


def _rows(blocks: Iterable[BlockGiven]) -> list[WorkingHours]:
    return [
        WorkingHours(
            **block.model_dump(exclude={"since", "until"}),
            from_minute=minutes_of(block.since),
            until_minute=minutes_of(block.until),
        )
        for block in blocks
    ]


def _shown(rows: Iterable[WorkingHours]) -> dict[str, Any]:
    blocks = [
        BlockShown(
            branch_id=row.branch_id,
            weekday=row.weekday,
            since=clock_of(row.from_minute),
            until=clock_of(row.until_minute),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
        )
        for row in rows
    ]
    return HoursShown(blocks=blocks).model_dump(mode="json", by_alias=True)


@blueprint.get("/branches/<int:branch_id>/hours")
@operation("branches", HoursShown, 404)
def show_branch_hours(branch_id: int) -> Any:
    """Show when a branch is open. No blocks: always."""
    with work(g.tenant_id, write=False) as session:
        return _shown(timetable.hours_of(session, branch_id=branch_id))


@blueprint.put("/branches/<int:branch_id>/hours")
@operation("branches", HoursShown, 404)
def put_branch_hours(branch_id: int, json: HoursGiven) -> Any:
    """Say when a branch is open, instead of what was said before. Appointments that exist stay."""
    with work(g.tenant_id) as session:
        return _shown(timetable.set_hours(session, _rows(json.blocks), branch_id=branch_id))


@blueprint.get("/professionals/<int:professional_id>/hours")
@operation("professionals", HoursShown, 404)
def show_professional_hours(professional_id: int) -> Any:
    """Show when a professional works, and where. No blocks: whenever a branch is open."""
    with work(g.tenant_id, write=False) as session:
        return _shown(timetable.hours_of(session, professional_id=professional_id))


@blueprint.put("/professionals/<int:professional_id>/hours")
@operation("professionals", HoursShown, 404)
def put_professional_hours(professional_id: int, json: OwnHoursGiven) -> Any:
    """Say when and where a professional works, instead of what was said before. Appointments that exist stay."""
    with work(g.tenant_id) as session:
        return _shown(timetable.set_hours(session, _rows(json.blocks), professional_id=professional_id))


@blueprint.get("/closures")
@operation("closures", ClosuresPage)
def list_closures(query: Page) -> Any:
    """List closed days, such as holidays."""
    return page_of(Closure, ClosureShown, query)


@blueprint.post("/closures")
@operation("closures", ClosureShown, 404, status=201)
def make_closure(json: NewClosure) -> Any:
    """Close a branch, or all, for whole days. Appointments that exist stay."""
    with work(g.tenant_id) as session:
        closure = timetable.close(session, **json.model_dump())
        return ClosureShown.model_validate(closure).model_dump(mode="json"), 201


@blueprint.delete("/closures/<int:closure_id>")
@operation("closures", None, 404)
def delete_closure(closure_id: int) -> Any:
    """Open again on days that were closed."""
    with work(g.tenant_id) as session:
        timetable.reopen(session, closure_id)
    return "", 204


@blueprint.get("/time-off")
@operation("time off", TimesOffPage)
def list_time_off(query: TimesOffQuery) -> Any:
    """List when professionals are away."""
    conditions = () if query.professional_id is None else (TimeOff.professional_id == query.professional_id,)
    return page_of(TimeOff, TimeOffShown, query, *conditions)


@blueprint.post("/time-off")
@operation("time off", TimeOffShown, 404, status=201)
def make_time_off(json: NewTimeOff) -> Any:
    """Note that a professional is away. Appointments that exist stay."""
    with work(g.tenant_id) as session:
        away = timetable.take_off(session, **json.model_dump())
        return TimeOffShown.model_validate(away).model_dump(mode="json"), 201


@blueprint.delete("/time-off/<int:time_off_id>")
@operation("time off", None, 404)
def delete_time_off(time_off_id: int) -> Any:
    """Take time off away."""
    with work(g.tenant_id) as session:
        timetable.come_back(session, time_off_id)
    return "", 204


@blueprint.get("/services/<int:service_id>/professionals")
@operation("services", Givers, 404)
def show_givers(service_id: int) -> Any:
    """Show who gives a service, and where. Nobody named: everybody, everywhere."""
    with work(g.tenant_id, write=False) as session:
        return _givers(timetable.givers_of(session, service_id))


@blueprint.put("/services/<int:service_id>/professionals")
@operation("services", Givers, 404)
def put_givers(service_id: int, json: Givers) -> Any:
    """Name those who give a service, instead of those named before."""
    who = [(giver.professional_id, giver.branch_id) for giver in json.items]
    with work(g.tenant_id) as session:
        return {
            "items": [Giver.model_validate(row).model_dump() for row in timetable.set_givers(session, service_id, who)]
        }


def _givers(rows: Iterable[ProfessionalService]) -> dict[str, Any]:
    return {"items": [Giver.model_validate(row).model_dump() for row in rows]}


@blueprint.get("/booking-policy")
@operation("booking policy", BookingPolicyShown)
def show_booking_policy() -> Any:
    """Show how late and how far ahead clients may book, at which times, and what confirms it."""
    with work(g.tenant_id, write=False) as session:
        return BookingPolicyShown.model_validate(session.get_one(Tenant, g.tenant_id)).model_dump(mode="json")


@blueprint.patch("/booking-policy")
@operation("booking policy", BookingPolicyShown)
def change_booking_policy(json: BookingPolicyGiven) -> Any:
    """Change it. Appointments that exist stay."""
    with work(g.tenant_id) as session:
        tenant = update_policy(session, **json.model_dump(exclude_unset=True))
        return BookingPolicyShown.model_validate(tenant).model_dump(mode="json")
