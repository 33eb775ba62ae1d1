"""The staff is told: at once or in a daily digest, each person of what they asked for, the same thing once."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Appointment, Branch, Tenant
from citaplanner_core.database import database_now, system_work, wake, work
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.types import AppointmentEvent, JobContext, PeriodicJob
from citaplanner_core.notifications.explaining import explainer
from citaplanner_core.notifications.models import STAFF_ALERT, ChannelState, Notification
from citaplanner_core.notifications.shapes import Business, Visit
from citaplanner_core.notifications.staff_models import DIGEST, NOW, StaffContact, StaffNotice
from citaplanner_core.notifications.templates import render
from citaplanner_core.notifications.variables import appointment_variables, business_variables

AlertKind = Literal[
    "appointment_booked",
    "client_cancelled",
    "client_moved",
    "client_wants_move",
    "client_wants_cancel",
    "client_late",
    "client_needs_person",
    "wrong_number",
    "contact_unknown",
    "contact_ambiguous",
    "channel_down",
    "webhook_silent",
]
ALERTS: Mapping[AlertKind, timedelta | None] = {
    "appointment_booked": None,
    "client_cancelled": None,
    "client_moved": None,
    "client_wants_move": timedelta(minutes=10),
    "client_wants_cancel": timedelta(minutes=10),
    "client_late": timedelta(minutes=10),
    "client_needs_person": timedelta(hours=1),
    "wrong_number": timedelta(hours=12),
    "contact_unknown": timedelta(hours=12),
    "contact_ambiguous": timedelta(hours=12),
    "channel_down": timedelta(hours=6),
    "webhook_silent": timedelta(hours=24),
}
"""Every kind of alert, and for how long the same about the same `subject` is not told again; None: it happens once."""
WORTH_TELLING = timedelta(hours=24)
WATCH_SECONDS = 60
MOST_LINES = 50
LASTING_OPENINGS = 3
"""So many times in a row a provider did not answer again: some minutes."""

log = structlog.get_logger()


def text_key(kind: str) -> str:
    """Return the key of an alert's text."""
    return f"STAFF_{kind.upper()}"


def alert_staff(
    session: Session,
    kind: AlertKind,
    *,
    subject: str | None = None,
    appointment_id: int | None = None,
    branch_id: int | None = None,
    **facts: str,
) -> int:
    """Have everybody told who asked for this kind of alert, in the caller's writing unit; return how many are.

    `subject` is what it is about (a channel, a contact's id): the same again within the kind's time is only counted.
    `facts` are values for the text, beside those of the appointment. With a branch, people of other branches are left
    out. Cheap where nobody asked: one query.
    """
    again_after = ALERTS[kind]
    told = 0
    for contact in _contacts(session):
        elsewhere = None not in (branch_id, contact.branch_id) and branch_id != contact.branch_id
        if kind not in contact.alerts or elsewhere:
            continue
        if again_after is not None and _count_repeat(session, contact, kind, subject, again_after):
            continue
        notice = StaffNotice(
            staff_contact_id=contact.id, kind=kind, subject=subject, appointment_id=appointment_id, facts=facts
        )
        session.add(notice)
        session.flush()
        if contact.alerts[kind] == NOW:
            key = f"staff:{notice.id}"
            notice.notification_id = _tell(session, contact, text_key(kind), key, facts, appointment_id)
        told += 1
    return told


def _contacts(session: Session) -> list[StaffContact]:
    return list(session.scalars(select(StaffContact).where(StaffContact.active).order_by(StaffContact.id)))


def _count_repeat(
    session: Session, contact: StaffContact, kind: str, subject: str | None, again_after: timedelta
) -> bool:
    """Count what was told already; True when it was. Two that tell the same at once wait for each other."""
    session.get_one(StaffContact, contact.id, with_for_update=True, populate_existing=True)
    now = database_now(session)
    same = (StaffNotice.subject == subject) if subject is not None else StaffNotice.subject.is_(None)
    repeated = session.execute(
        update(StaffNotice)
        .where(
            StaffNotice.staff_contact_id == contact.id,
            StaffNotice.kind == kind,
            same,
            StaffNotice.at > now - again_after,
        )
        .values(times=StaffNotice.times + 1, last_at=now)
        .returning(StaffNotice.id)
    )
    return repeated.first() is not None


def _tell(
    session: Session,
    contact: StaffContact,
    template: str,
    key: str,
    variables: Mapping[str, str],
    appointment_id: int | None = None,
) -> int:
    now = database_now(session)
    notification = Notification(
        type=STAFF_ALERT,
        template=template,
        staff_contact_id=contact.id,
        appointment_id=appointment_id,
        variables=dict(variables),
        dedupe_key=key,
        due=now,
        expires_at=now + WORTH_TELLING,
    )
    session.add(notification)
    session.flush()
    wake(session)
    return notification.id


def on_appointment(session: Session, event: AppointmentEvent) -> None:
    """Tell of what clients did by themselves: booked, cancelled or moved. Runs inside the booking's transaction."""
    kinds: Mapping[str, AlertKind] = {
        "booked": "appointment_booked",
        "cancelled": "client_cancelled",
        "rescheduled": "client_moved",
    }
    if event.by != "client" or event.name not in kinds:
        return
    facts = {}
    if event.old_start is not None:
        facts["oldStart"] = event.old_start.isoformat()
    if event.name == "cancelled":
        words = session.get_one(Appointment, event.appointment_id).answer_words
        facts |= {"replyText": words} if words else {}
    alert_staff(session, kinds[event.name], appointment_id=event.appointment_id, branch_id=event.branch_id, **facts)


def watched_tenants() -> Iterable[tuple[str | None, PeriodicJob, int]]:
    """Name the periodic work of tenants that have somebody to tell: (None, job, tenant)."""
    with system_work("which tenants tell their staff") as session:
        tenants = session.scalars(
            select(StaffContact.tenant_id)
            .join(Tenant, Tenant.id == StaffContact.tenant_id)
            .where(StaffContact.active, Tenant.active)
            .distinct()
        ).all()
    return [(None, PeriodicJob("staff", WATCH_SECONDS, watch), tenant) for tenant in tenants]


def watch(context: JobContext) -> None:
    """Job: tell of channels that are down, and make the digests whose time has come."""
    with work(context.tenant_id) as session:
        tenant = session.get_one(Tenant, context.tenant_id)
        _tell_of_channels(session, tenant)
        for contact in _contacts(session):
            if DIGEST in contact.alerts.values():
                _digest(session, contact, tenant, database_now(session))


def _tell_of_channels(session: Session, tenant: Tenant) -> None:
    """Refused credentials are told at once, a provider that does not answer if it stays so; limits mend themselves."""
    down = select(ChannelState).where(
        ChannelState.open_until.is_not(None),
        or_(
            ChannelState.reason == "auth_failed",
            and_(ChannelState.reason == "unreachable", ChannelState.openings >= LASTING_OPENINGS),
        ),
    )
    for state in session.scalars(down).all():
        known = dispatch.channels().get(state.channel)
        why, _ = explainer(tenant.language, tenant.zone).reason(state.reason)
        label = known[1].label if known else state.channel
        alert_staff(session, "channel_down", subject=state.channel, channelName=label, problem=why or "")


def _digest(session: Session, contact: StaffContact, tenant: Tenant, now: datetime) -> None:
    branch = session.get(Branch, contact.branch_id) if contact.branch_id is not None else None
    local = now.astimezone(ZoneInfo(branch.zone if branch else tenant.zone))
    session.refresh(contact, with_for_update=True)
    if contact.digested_on == local.date() or f"{local:%H:%M}" < contact.digest_at:
        return
    contact.digested_on = local.date()
    waiting = session.scalars(
        select(StaffNotice)
        .where(StaffNotice.staff_contact_id == contact.id, StaffNotice.notification_id.is_(None))
        .order_by(StaffNotice.id)
    ).all()
    if not waiting:
        return
    lines = [_line(session, notice, contact, tenant, now) for notice in waiting[:MOST_LINES]]
    facts = {"alertCount": str(len(waiting)), "alertLines": "\n".join(f"- {line}" for line in lines)}
    key = f"staff-digest:{contact.id}:{local.date()}"
    told = _tell(session, contact, "STAFF_DIGEST", key, facts)
    for notice in waiting:
        notice.notification_id = told
    log.info("staff_digest_planned", tenant_id=tenant.id, staff_contact=contact.id, notices=len(waiting))


def _line(session: Session, notice: StaffNotice, contact: StaffContact, tenant: Tenant, now: datetime) -> str:
    appointment: Appointment | None = (
        session.get(Appointment, notice.appointment_id) if notice.appointment_id is not None else None
    )
    language = contact.language or tenant.language
    values = staff_variables(notice.facts, appointment, tenant, language, now)
    text = render(text_key(notice.kind), family="chat", language=language, variables=values).body
    return " ".join(text.split()) + (f" (×{notice.times})" if notice.times > 1 else "")


def staff_variables(
    facts: Mapping[str, str], appointment: Visit | None, tenant: Business, language: str, now: datetime
) -> dict[str, str]:
    """Return the values for a staff alert's text: the business, the appointment, the facts. No link of the client's."""
    old = facts.get("oldStart")
    values = business_variables(tenant)
    if appointment is not None:
        old_start = datetime.fromisoformat(old) if old else None
        values |= appointment_variables(
            appointment, tenant, language_code=language, now=now, old_start=old_start, manage_url=""
        )
    return values | {name: value for name, value in facts.items() if name != "oldStart"}
