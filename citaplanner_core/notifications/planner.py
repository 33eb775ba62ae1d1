"""What an appointment's change, or a rule's, means for messages: planned in the transaction that makes the change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresqlinsert_rows
from sqlalchemy.dialects.sqlite import insert as sqliteinsert_rows
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Appointment, Branch, Client, Tenant
from citaplanner_core.booking.working_days import IsWorkingDay, monday_to_friday, working_days
from citaplanner_core.database import current_tenant, database_now, db, wake
from citaplanner_core.hooks.types import AppointmentEvent
from citaplanner_core.notifications.models import (
    CANCELLED,
    FEEDBACK_REQUEST,
    PLANNED_KEY,
    SKIPPED,
    SUPERSEDED,
    Notification,
)
from citaplanner_core.notifications.rules import AFTER_END, BEFORE, EVENTS, STATES, Rule, active_rules
from citaplanner_core.notifications.timing import bring_forward, due_of, quiet_hours

log = structlog.get_logger()
PENDING = "PENDING"
FOLLOW_UP_DAYS = 3
"""How long a message about what has been may be late."""
PER_SECOND = 20
"""How many messages of a tenant leave in a second, where a wall clock would have many leave in the same one."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What planning needs of an appointment. `recipient_id` is the client, or who is responsible for them."""

    id: int
    recipient_id: int
    service_id: int
    branch_id: int
    zone: str
    start: datetime
    end: datetime
    status: str
    schedule_version: int


def plan(session: Session, event: AppointmentEvent) -> None:
    """Write the notifications that an appointment event asks for, and take back those it makes untrue.

    Rescheduled: what waits is superseded and planned anew. Cancelled, completed, no-show: what waits is cancelled,
    but for what follows the end of an appointment that took place. A client who cancels is not told so. One key per
    (appointment, schedule version, rule, offset, recipient): planning twice writes once.
    """
    rules = active_rules(session)
    if event.name == "rescheduled":
        _take_back(session, event, SUPERSEDED, "superseded")
    elif event.name == "cancelled":
        _take_back(session, event, CANCELLED, "appointment_cancelled")
    elif event.name in ("completed", "no_show"):
        kept = [rule.name for rule in rules.values() if rule.trigger == AFTER_END and event.name == "completed"]
        _take_back(session, event, CANCELLED, "appointment_past", kept)
    planner = Planner(session, rules)
    visit = planner.visits([event.appointment_id])[0]
    rows = [] if event.name == "cancelled" and event.by == "client" else list(planner.for_event(visit, event))
    if event.name in ("booked", "rescheduled"):
        rows += planner.by_time(visit)
    insert_rows(session, rows)
    log.info(
        "notifications_planned",
        tenant_id=event.tenant_id,
        appointment=event.appointment_id,
        change=event.name,
        rules=[row["rule"] for row in rows],
    )


def _take_back(
    session: Session, event: AppointmentEvent, status: str, reason: str, kept_rules: Sequence[str] = ()
) -> None:
    session.execute(
        update(Notification)
        .where(
            Notification.appointment_id == event.appointment_id,
            Notification.status == PENDING,
            Notification.dedupe_key.startswith(PLANNED_KEY),
            Notification.rule.not_in(kept_rules),
        )
        .values(status=status, reason=reason)
    )


class Planner:
    """Turns appointments into rows, with what is the same for all of a tenant read once."""

    def __init__(self, session: Session, rules: Mapping[str, Rule], spread: float = 0) -> None:
        self.session, self.rules, self.spread = session, rules, spread
        self.tenant = session.get_one(Tenant, current_tenant())
        self.now = database_now(session)
        self.timed = [rule for rule in rules.values() if rule.trigger not in EVENTS]
        self._calendars: dict[int, IsWorkingDay] = {}
        self._zones: dict[str, tuple[ZoneInfo, Any]] = {}

    def visits(self, appointment_ids: Sequence[int]) -> list[Visit]:
        """Return what planning needs of these appointments, by id."""
        statement = (
            select(
                Appointment.id,
                func.coalesce(Client.responsible_id, Client.id),
                Appointment.service_id,
                Appointment.branch_id,
                Branch.zone,
                Appointment.start,
                Appointment.end,
                Appointment.status,
                Appointment.schedule_version,
            )
            .join(Client, Client.id == Appointment.client_id)
            .join(Branch, Branch.id == Appointment.branch_id)
            .where(Appointment.id.in_(appointment_ids))
            .order_by(Appointment.id)
        )
        return [Visit(*row) for row in self.session.execute(statement)]

    def for_event(self, visit: Visit, event: AppointmentEvent) -> Iterator[dict[str, Any]]:
        """Give the rows of the rules that wait for this event."""
        variables = {"oldStart": event.old_start.isoformat()} if event.old_start else {}
        for rule in self.rules.values():
            if rule.trigger == event.name and serves(rule, visit):
                prompted = event.by == "client" and rule.minutes == 0
                due = self.now + timedelta(minutes=rule.minutes)
                yield self._row(visit, rule, due, variables=variables, prompted=prompted)

    def by_time(self, visit: Visit) -> list[dict[str, Any]]:
        """Return the rows of the rules that go by the appointment's time."""
        return [
            self._timed_row(visit, rule)
            for rule in self.timed
            if visit.status in STATES[rule.trigger] and serves(rule, visit)
        ]

    def _timed_row(self, visit: Visit, rule: Rule) -> dict[str, Any]:
        zone, quiet = self._zone(visit.zone)
        works = self._works(visit.branch_id) if rule.trigger == "working_day_before" else monday_to_friday
        due = due_of(rule, visit.start, visit.end, zone, works)
        late = due <= self.now
        if rule.trigger in BEFORE:
            due = bring_forward(due, visit.start, quiet)
            late = due <= self.now or due >= visit.start
        if self.spread and rule.at is not None:
            due += timedelta(seconds=visit.id / PER_SECOND % self.spread)
        return self._row(visit, rule, due, late=late)

    def _zone(self, name: str) -> tuple[ZoneInfo, Any]:
        if name not in self._zones:
            zone = ZoneInfo(name)
            self._zones[name] = zone, quiet_hours(self.tenant.quiet_from, self.tenant.quiet_until, zone)
        return self._zones[name]

    def _works(self, branch_id: int) -> IsWorkingDay:
        if branch_id not in self._calendars:
            self._calendars[branch_id] = working_days(self.session, branch_id)
        return self._calendars[branch_id]

    def _row(
        self,
        visit: Visit,
        rule: Rule,
        due: datetime,
        *,
        late: bool = False,
        variables: dict[str, str] | None = None,
        prompted: bool = False,
    ) -> dict[str, Any]:
        version = visit.schedule_version
        announces = rule.trigger in ("booked", "rescheduled", *BEFORE)
        variables = variables or {}
        if rule.type == FEEDBACK_REQUEST:
            variables = variables | {"feedbackUrl": self.tenant.feedback_url or ""}
        return {
            "type": rule.type,
            "rule": rule.name,
            "template": rule.text_key,
            "recipient_id": visit.recipient_id,
            "appointment_id": visit.id,
            "schedule_version": version,
            "variables": variables,
            "dedupe_key": f"{PLANNED_KEY}{visit.id}:v{version}:{rule.name}:{rule.offset}:{visit.recipient_id}",
            "due": due,
            "expires_at": visit.start if announces else due + timedelta(days=FOLLOW_UP_DAYS),
            "status": SKIPPED if late else PENDING,
            "reason": "too_late" if late else None,
            "prompted": prompted,
            "created_at": self.now,
        }


def serves(rule: Rule, visit: Visit) -> bool:
    """Tell whether a rule is for the service of an appointment."""
    return not rule.services or visit.service_id in rule.services


def insert_rows(session: Session, rows: list[dict[str, Any]]) -> None:
    """Write planned rows; those whose key is there already change nothing."""
    if not rows:
        return
    insert = postgresqlinsert_rows if db.engine.dialect.name == "postgresql" else sqliteinsert_rows
    session.execute(insert(Notification).on_conflict_do_nothing(index_elements=["tenant_id", "dedupe_key"]), rows)
    wake(session)
