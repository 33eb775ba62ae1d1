"""`/admin/hours`: when branches are open, and when professionals work there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from flask import Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import find
from citaplanner_core.booking.hours import DAY_MINUTES, WEEK, WorkingHours
from citaplanner_core.booking.models import Branch, Professional
from citaplanner_core.booking.timetable import hours_of, set_hours
from citaplanner_core.database import work
from citaplanner_core.web.admin.base import code, go, page, route, staff, tell, words
from citaplanner_core.web.admin.day import active_branches
from citaplanner_core.web.admin.moments import Moments

BLOCKS = 2
"""So many blocks of a day a form has room for, and one more than there are."""
Cells = dict[int, list[tuple[str, str]]]
"""Weekday -> what the fields hold: from and until, `HH:MM` or empty."""


@dataclass(frozen=True, slots=True)
class _BadDay(Exception):
    """A weekday's blocks cannot be read."""

    weekday: int


@route("/hours", may="read")
def branches() -> ResponseReturnValue:
    """Show when each branch is open."""
    with work(staff().tenant_id, write=False) as session:
        found = []
        for branch in active_branches(session):
            says = Moments(branch.zone, code())
            found.append((branch, says, summary(hours_of(session, branch_id=branch.id), says)))
        return page("branches.html", found=found)


@route("/hours/<int:branch_id>", may="manage")
def branch_hours(branch_id: int) -> ResponseReturnValue:
    """Ask when a branch is open."""
    with work(staff().tenant_id, write=False) as session:
        return _form(session, branch_id, None, _cells(_rows(session, branch_id, None)))


@route("/hours/<int:branch_id>", may="manage", method="POST")
def change_branch_hours(branch_id: int) -> ResponseReturnValue:
    """Say when a branch is open, instead of what was said before."""
    return _save(branch_id, None)


@route("/people/<int:professional_id>/hours/<int:branch_id>", may="manage")
def person_hours(professional_id: int, branch_id: int) -> ResponseReturnValue:
    """Ask when a professional works at a branch."""
    with work(staff().tenant_id, write=False) as session:
        return _form(session, branch_id, professional_id, _cells(_rows(session, branch_id, professional_id)))


@route("/people/<int:professional_id>/hours/<int:branch_id>", may="manage", method="POST")
def change_person_hours(professional_id: int, branch_id: int) -> ResponseReturnValue:
    """Say when a professional works at a branch, instead of what was said of it before."""
    return _save(branch_id, professional_id)


def summary(rows: Iterable[WorkingHours], says: Moments) -> list[tuple[str, str]]:
    """Return the weekdays that have hours, each with its blocks in words."""
    by_day: dict[int, list[str]] = {}
    for row in rows:
        text = f"{says.minute(row.from_minute)}–{says.minute(row.until_minute)}"
        if row.valid_from or row.valid_until:
            ends = (says.short(day) if day else "…" for day in (row.valid_from, row.valid_until))
            text += f" ({' – '.join(ends)})"
        by_day.setdefault(row.weekday, []).append(text)
    return [(says.weekday(number), ", ".join(blocks)) for number, blocks in sorted(by_day.items())]


def _rows(session: Session, branch_id: int, professional_id: int | None) -> list[WorkingHours]:
    if professional_id is None:
        return hours_of(session, branch_id=branch_id)
    find(session, Branch, branch_id, "branch_id")
    return [row for row in hours_of(session, professional_id=professional_id) if row.branch_id == branch_id]


def _dated(row: WorkingHours) -> bool:
    return bool(row.valid_from or row.valid_until)


def _cells(rows: Sequence[WorkingHours]) -> Cells:
    cells: Cells = {weekday: [] for weekday in range(WEEK)}
    for row in rows:
        if not _dated(row):
            cells[row.weekday].append((_clock(row.from_minute), _clock(row.until_minute)))
    return cells


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def _typed() -> Cells:
    return {
        weekday: [
            (since.strip(), until.strip())
            for since, until in zip(
                request.form.getlist(f"from-{weekday}"), request.form.getlist(f"until-{weekday}"), strict=False
            )
            if since.strip() or until.strip()
        ]
        for weekday in range(WEEK)
    }


def _read(cells: Cells, branch_id: int) -> list[WorkingHours]:
    blocks = []
    for weekday, pairs in cells.items():
        ends = 0
        for since, until in sorted(pairs):
            try:
                begins, closes = _minute(since), _minute(until) or DAY_MINUTES
            except ValueError:
                raise _BadDay(weekday) from None
            if not ends <= begins < closes:
                raise _BadDay(weekday)
            ends = closes
            blocks.append(WorkingHours(branch_id=branch_id, weekday=weekday, from_minute=begins, until_minute=closes))
    return blocks


def _minute(text: str) -> int:
    found = time.fromisoformat(text)
    return found.hour * 60 + found.minute


def _save(branch_id: int, professional_id: int | None) -> Response:
    cells = _typed()
    with work(staff().tenant_id) as session:
        find(session, Branch, branch_id, "branch_id")
        try:
            blocks = _read(cells, branch_id)
        except _BadDay as bad:
            return _form(session, branch_id, professional_id, cells, {bad.weekday: words()["errors"]["blocks"]})
        if professional_id is None:
            kept = [_copy(row) for row in hours_of(session, branch_id=branch_id) if _dated(row)]
            set_hours(session, [*blocks, *kept], branch_id=branch_id)
        else:
            theirs = hours_of(session, professional_id=professional_id)
            kept = [_copy(row) for row in theirs if row.branch_id != branch_id or _dated(row)]
            set_hours(session, [*blocks, *kept], professional_id=professional_id)
    tell("saved")
    return go("branches") if professional_id is None else go("person", professional_id=professional_id)


def _copy(row: WorkingHours) -> WorkingHours:
    names = ("branch_id", "weekday", "from_minute", "until_minute", "valid_from", "valid_until")
    return WorkingHours(**{name: getattr(row, name) for name in names})


def _form(
    session: Session,
    branch_id: int,
    professional_id: int | None,
    cells: Cells,
    errors: Mapping[int, str] | None = None,
) -> Response:
    branch = find(session, Branch, branch_id, "branch_id")
    person = find(session, Professional, professional_id, "professional_id") if professional_id else None
    says = Moments(branch.zone, code())
    dated = [row for row in _rows(session, branch_id, professional_id) if _dated(row)]
    return page(
        "hours.html",
        status=422 if errors else 200,
        branch=branch,
        person=person,
        says=says,
        days=[
            (number, says.weekday(number), pairs + [("", "")] * max(1, BLOCKS - len(pairs)))
            for number, pairs in cells.items()
        ],
        errors=errors or {},
        dated=summary(dated, says),
    )
