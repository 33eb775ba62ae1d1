"""`/admin/`: the agenda of a day."""

from datetime import timedelta

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Branch
from citaplanner_core.database import utcnow, work
from citaplanner_core.web.admin.base import code, page, route, staff
from citaplanner_core.web.admin.diary import read_diary
from citaplanner_core.web.admin.moments import Moments
from citaplanner_core.web.offers import read_day


@route("/", may="read")
def day() -> ResponseReturnValue:
    """Show a day of a branch: a column for each professional, a list on a phone."""
    with work(staff().tenant_id, write=False) as session:
        branches = active_branches(session)
        if not branches:
            return page("no_branch.html")
        branch = chosen(branches, request.args.get("branch"))
        says = Moments(branch.zone, code())
        shown = read_day(request.args.get("day")) or says.today
        only = chosen_person()
        diary = read_diary(session, branch, shown, only)
        return page(
            "day.html",
            branches=branches,
            branch=branch,
            diary=diary,
            says=says,
            only=only or "",
            before=(shown - timedelta(days=1)).isoformat(),
            after=(shown + timedelta(days=1)).isoformat(),
            now=utcnow(),
        )


def chosen_person() -> int | None:
    """Return the id of the professional that the address asks for; None for all."""
    text = request.args.get("professional", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def active_branches(session: Session) -> list[Branch]:
    """Return the active branches, by name."""
    return list(session.scalars(select(Branch).where(Branch.active).order_by(Branch.name, Branch.id)))


def chosen(branches: list[Branch], text: str | None) -> Branch:
    """Return the branch whose id `text` is, else the first one."""
    return next((one for one in branches if str(one.id) == text), branches[0])
