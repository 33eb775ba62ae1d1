"""Bringing what waits in line with changed rules: idempotent, in pieces, as a durable job."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import LIVE_STATES, Appointment
from citaplanner_core.database import database_now, work
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.notifications.models import CANCELLED, PLANNED_KEY, SKIPPED, SUPERSEDED, Notification
from citaplanner_core.notifications.planner import PENDING, PER_SECOND, Planner, Visit, insert_rows, serves
from citaplanner_core.notifications.rules import EVENTS, active_rules

REPLAN = "replan_notifications"
CHUNK = 500
LONGEST_SPREAD = timedelta(minutes=10)
"""The most that a message leaves later than its wall clock says, so that not all leave in one second."""
SECOND_LOOK = timedelta(seconds=15)
"""A booking that read the old rules may be committed after the first look: by then it is."""


def replan(session: Session, appointment_ids: Sequence[int], *, spread: float = 0) -> None:
    """Bring what waits for some appointments in line with the rules as they are now; also the way to plan many at once.

    What still applies stays, what does not is SUPERSEDED, what is missing is written. A rule whose message for this
    schedule version was sent, or is being sent, sends no other. Messages of events that have been are not made up
    for. `spread` is over how many seconds those of one wall-clock moment are spaced.
    """
    held = select(Appointment.id).where(Appointment.id.in_(appointment_ids)).order_by(Appointment.id)
    session.execute(held.with_for_update(key_share=True))
    rules = active_rules(session)
    planner = Planner(session, rules, spread)
    visits = planner.visits(appointment_ids)
    earlier = _earlier(session, visits)
    rows: list[dict[str, Any]] = []
    stale: set[int] = set()
    replacements: dict[int, list[dict[str, Any]]] = {}
    for visit in visits:
        known = earlier.get(visit.id, {})
        wanted = {row["rule"]: row for row in planner.by_time(visit)}
        for name in known.keys() - wanted.keys():
            rule = rules.get(name)
            if rule is None or rule.trigger not in EVENTS or not serves(rule, visit):
                stale.update(row.id for row in known[name] if row.status == PENDING)
            elif any(row.recipient_id != visit.recipient_id for row in known[name]):
                _readdress(session, [row.id for row in known[name]], visit.recipient_id)
        for name, row in wanted.items():
            before = known.get(name, ())
            if any(_answers(one, row) for one in before):
                continue
            taken = {one.dedupe_key for one in before}
            row["dedupe_key"] = _free_key(row["dedupe_key"], taken)
            waiting = [one.id for one in before if one.status == PENDING]
            stale.update(waiting)
            if waiting:
                replacements.setdefault(waiting[0], []).append(row)
            else:
                rows.append(row)
    taken_back = _supersede(session, stale)
    insert_rows(session, [*rows, *(row for first, news in replacements.items() if first in taken_back for row in news)])


def _earlier(session: Session, visits: Sequence[Visit]) -> Mapping[int, Mapping[str, list[Any]]]:
    """Return by appointment and rule what was planned for the schedule as it is."""
    versions = {visit.id: visit.schedule_version for visit in visits}
    found: dict[int, dict[str, list[Any]]] = {}
    statement = select(
        Notification.id,
        Notification.appointment_id,
        Notification.schedule_version,
        Notification.rule,
        Notification.status,
        Notification.reason,
        Notification.error,
        Notification.attempt,
        Notification.due,
        Notification.type,
        Notification.template,
        Notification.variables,
        Notification.recipient_id,
        Notification.dedupe_key,
    ).where(
        Notification.appointment_id.in_(versions),
        Notification.dedupe_key.startswith(PLANNED_KEY),
    )
    for row in session.execute(statement.order_by(Notification.id)):
        if versions[row.appointment_id] == row.schedule_version:
            found.setdefault(row.appointment_id, {}).setdefault(row.rule, []).append(row)
    return found


def _answers(earlier: Any, wanted: Mapping[str, Any]) -> bool:
    """Tell whether an earlier row of a rule makes the wanted one needless."""
    if earlier.status in (SUPERSEDED, CANCELLED):
        return False
    same_offset: bool = earlier.dedupe_key.partition("#")[0] == wanted["dedupe_key"]
    if earlier.status == SKIPPED and earlier.reason == "too_late":
        return same_offset and wanted["status"] == SKIPPED
    if earlier.status != PENDING:
        return True
    touched: bool = earlier.attempt > 0 or earlier.error is not None  # delivery has moved it
    on_time = touched or timedelta(0) <= earlier.due - wanted["due"] <= LONGEST_SPREAD
    same_words = all(getattr(earlier, name) == wanted[name] for name in ("type", "template", "variables"))
    return same_offset and on_time and same_words


def _readdress(session: Session, ids: Sequence[int], recipient_id: int) -> None:
    """Let what waits of an event go to another person."""
    session.execute(
        update(Notification)
        .where(Notification.id.in_(ids), Notification.status == PENDING)
        .values(recipient_id=recipient_id)
    )


def _free_key(key: str, taken: set[str]) -> str:
    number = 2
    free = key
    while free in taken:
        free, number = f"{key}#{number}", number + 1
    return free


def _supersede(session: Session, ids: Iterable[int]) -> set[int]:
    """Take back rows that still wait; return which: a worker may have taken one meanwhile."""
    done: set[int] = set()
    every = sorted(ids)
    for first in range(0, len(every), CHUNK):
        statement = (
            update(Notification)
            .where(Notification.id.in_(every[first : first + CHUNK]), Notification.status == PENDING)
            .values(status=SUPERSEDED, reason="superseded")
            .returning(Notification.id)
        )
        done.update(session.scalars(statement, execution_options={"synchronize_session": False}))
    return done


def request_replan(session: Session) -> None:
    """Have all appointments of the tenant follow the rules as this unit leaves them; done by a worker, in pieces."""
    count = session.scalar(select(func.count(Appointment.id)).where(*_concerned(database_now(session)))) or 0
    payload = {"after": 0, "spread": _spread(count)}
    enqueue(session, REPLAN, payload, dedupe_key=REPLAN)
    enqueue(session, REPLAN, payload, dedupe_key=f"{REPLAN}:again", due=database_now(session) + SECOND_LOOK)


def _spread(count: int) -> float:
    seconds = min(count / PER_SECOND, LONGEST_SPREAD.total_seconds())
    return seconds if seconds > 10 else 0


def run_replan(context: JobContext) -> None:
    """Re-plan a piece, and ask for the next one in the same transaction."""
    after, spread = context.payload["after"], context.payload["spread"]
    with work(context.tenant_id) as session:
        ids = session.scalars(
            select(Appointment.id)
            .where(Appointment.id > after, *_concerned(database_now(session)))
            .order_by(Appointment.id)
            .limit(CHUNK)
        ).all()
        if not ids:
            return
        replan(session, ids, spread=spread)
        if len(ids) == CHUNK:
            enqueue(session, REPLAN, {"after": ids[-1], "spread": spread}, dedupe_key=f"{REPLAN}:{ids[-1]}")


def replan_all(session: Session) -> None:
    """Re-plan all appointments at once, in this unit: for looking what would be, not for many thousands."""
    plan_many(
        session, session.scalars(select(Appointment.id).where(*_concerned(database_now(session)))).all(), spread=0
    )


def plan_many(session: Session, appointment_ids: Sequence[int], *, spread: float | None = None) -> None:
    """Plan any number of appointments in this unit, in pieces; `spread` as many messages need it, unless given."""
    if spread is None:
        spread = _spread(len(appointment_ids))
    for first in range(0, len(appointment_ids), CHUNK):
        replan(session, appointment_ids[first : first + CHUNK], spread=spread)


def _concerned(now: datetime) -> tuple[Any, ...]:
    """Appointments that are to come, or for which something waits."""
    waiting = select(Notification.appointment_id).where(
        Notification.status == PENDING, Notification.appointment_id.is_not(None)
    )
    return (or_(Appointment.status.in_(LIVE_STATES) & (Appointment.end > now), Appointment.id.in_(waiting)),)


def replan_client(session: Session, client_id: int) -> None:
    """Plan a client's appointments to come anew: somebody else is responsible for them now."""
    replan(
        session,
        session.scalars(
            select(Appointment.id).where(
                Appointment.client_id == client_id,
                Appointment.status.in_(LIVE_STATES),
                Appointment.end > database_now(session),
            )
        ).all(),
    )
