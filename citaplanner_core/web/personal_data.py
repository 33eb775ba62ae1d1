"""All that is kept of one person, in the core and in plugins: as one document, or removed.

The client's row and their appointments stay when a person is erased, without anything that says who it was, so that
figures stay true.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, Table, cast, delete, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from citaplanner_core.booking.clients import hold_leaving
from citaplanner_core.booking.errors import NotAllowed, find
from citaplanner_core.booking.models import (
    LIVE_STATES,
    Appointment,
    AppointmentChange,
    Client,
    ClientMerge,
    ClientPhone,
    Tenant,
)
from citaplanner_core.database import Base, current_tenant, database_now, utcnow
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import ErasedClient
from citaplanner_core.jobs.models import PENDING, Job
from citaplanner_core.notifications import replanning
from citaplanner_core.notifications.merging import require_all_loaded
from citaplanner_core.notifications.models import CANCELLED, ClientLink, Delivery, Notification
from citaplanner_core.notifications.opt_outs import OptOut, address_key, opt_outs_of
from citaplanner_core.notifications.policy_models import Consent
from citaplanner_core.notifications.staff_models import StaffNotice
from citaplanner_core.replies.models import ReceivedMessage
from citaplanner_core.web.idempotency import IdempotencyKey

NAMELESS = {"es": "Cliente borrado", "en": "Erased client"}
SHORTEST = 4
"""A name of fewer letters is not looked for inside other texts: it would be found everywhere."""
_QUIET = {"synchronize_session": False}


def export_client(session: Session, client_id: int) -> dict[str, Any]:
    """Return all that is kept of a client as one document of JSON values.

    Raises `NotFound`, and `NotAllowed` when a plugin cannot say what it keeps: a part is not passed off as the whole.
    """
    client = find(session, Client, client_id, "client_id")
    require_all_loaded(session)
    known = _known(session, client)
    appointments = session.scalars(
        select(Appointment).where(Appointment.client_id == client_id).order_by(Appointment.start, Appointment.id)
    ).all()
    ids = [one.id for one in appointments]
    told = session.scalars(
        select(Notification).where(Notification.recipient_id == client_id).order_by(Notification.id)
    ).all()
    changes = _rows_by(session, AppointmentChange.appointment_id, ids)
    deliveries = _rows_by(session, Delivery.notification_id, [one.id for one in told])
    return {
        "made_at": utcnow().isoformat(),
        "business": session.get_one(Tenant, current_tenant()).name,
        "client": _row(client),
        "phones": [_row(one) for one in client.phones],
        "merged_from": _rows(session, select(ClientMerge).where(ClientMerge.into_id == client_id)),
        "consents": _rows(session, select(Consent).where(Consent.client_id == client_id).order_by(Consent.id)),
        "opt_outs": [_row(one) for one in opt_outs_of(session, client_id)],
        "appointments": [
            _row(one)
            | {
                "branch": one.branch.name,
                "professional": one.professional.name,
                "service": one.service.name,
                "changes": changes[one.id],
            }
            for one in appointments
        ],
        "notifications": [_row(one) | {"deliveries": deliveries[one.id]} for one in told],
        "messages_received": _rows(session, _received(client_id, ids, known).order_by(ReceivedMessage.id)),
        "plugins": {name: found for name, found in _ask(session, "client_exported", client_id=client_id) if found},
    }


def erase_client(session: Session, client_id: int) -> Client:
    """Remove all that says who a client was, in the core and in plugins; return the nameless row that stays.

    Numbers that other clients have too stay theirs. May be called again. Raises `NotFound`, and `NotAllowed` while
    they have appointments to come, or when a plugin could not do its part: then nothing is changed.
    """
    require_all_loaded(session)
    hold_leaving(session, client_id=client_id)
    client = find(session, Client, client_id, "client_id")
    mine = select(Appointment.id).where(Appointment.client_id == client_id)
    ids = session.scalars(mine.order_by(Appointment.id)).all()
    coming = session.scalars(
        mine.where(Appointment.status.in_(LIVE_STATES), Appointment.end > database_now(session))
    ).all()
    if coming:
        raise NotAllowed(f"they have {len(coming)} appointments to come (first: {coming[0]}): cancel them, then erase")
    known = _known(session, client)
    earlier = _with_earlier_addresses(session, client, known)
    wards = session.scalars(select(Client.id).where(Client.responsible_id == client_id)).all()
    session.execute(update(Client).where(Client.id.in_(wards)).values(responsible_id=None), execution_options=_QUIET)
    _clear_appointments(session, ids)
    _clear_messages(session, client_id, ids, earlier)
    _clear_elsewhere(session, client_id, ids, earlier)
    _ask(session, "client_erased", client_id=client_id, known=known)
    _clear_plugin_rows(session, client_id)
    _clear_client(session, client, earlier)
    session.expire_all()
    for ward in wards:
        replanning.replan_client(session, ward)
    return find(session, Client, client_id, "client_id")


def _ask(session: Session, hook: str, **given: Any) -> list[tuple[str, Any]]:
    try:
        return dispatch.each_must(session, hook, **given)
    except dispatch.PluginFailed as error:
        raise NotAllowed(f"nothing was done: {error}") from error


def _known(session: Session, client: Client) -> ErasedClient:
    shared = _others_numbers(session, client)
    own = [phone for phone in client.phones if phone.match_key not in shared]
    spellings = (one for phone in own for one in (phone.raw, phone.e164, phone.match_key))
    return ErasedClient(
        names=(client.name,),
        email=client.email,
        phones=tuple(dict.fromkeys(spellings)),
        match_keys=tuple(sorted({phone.match_key for phone in own})),
    )


def _with_earlier_addresses(session: Session, client: Client, known: ErasedClient) -> ErasedClient:
    """Add the numbers and addresses that they were written to at and no longer have; nor has anybody else now."""
    written = (
        select(Delivery.address_key)
        .join(Notification, Notification.id == Delivery.notification_id)
        .where(Notification.recipient_id == client.id, Delivery.address_key.is_not(None))
    )
    found = {one for one in session.scalars(written.distinct()) if one}
    found -= set(session.scalars(select(ClientPhone.match_key).where(ClientPhone.match_key.in_(found))))
    found -= {(one or "").lower() for one in session.scalars(select(Client.email).where(Client.email.in_(found)))}
    keys = tuple(sorted(found))
    return replace(known, phones=(*known.phones, *keys), match_keys=(*known.match_keys, *keys))


def _others_numbers(session: Session, client: Client) -> set[str]:
    """Return those of a client's numbers that another client has, too."""
    keys = [phone.match_key for phone in client.phones]
    others = ClientPhone.match_key.in_(keys), ClientPhone.client_id != client.id
    return set(session.scalars(select(ClientPhone.match_key).where(*others)))


def _received(client_id: int, appointments: Sequence[int], known: ErasedClient) -> Select[Any]:
    told = select(Notification.id).where(
        or_(Notification.recipient_id == client_id, Notification.appointment_id.in_(appointments))
    )
    addresses = [*known.match_keys, *([address_key(known.email)] if known.email else [])]
    return select(ReceivedMessage).where(
        or_(ReceivedMessage.address.in_(addresses), ReceivedMessage.notification_id.in_(told))
    )


def _clear_appointments(session: Session, ids: Sequence[int]) -> None:
    words = {"notes": "", "answer_words": None, "cancel_reason": None}
    session.execute(update(Appointment).where(Appointment.id.in_(ids)).values(words), execution_options=_QUIET)
    changes = update(AppointmentChange).where(AppointmentChange.appointment_id.in_(ids)).values(reason=None)
    session.execute(changes, execution_options=_QUIET)
    session.execute(delete(ClientLink).where(ClientLink.appointment_id.in_(ids)), execution_options=_QUIET)


def _clear_messages(session: Session, client_id: int, ids: Sequence[int], known: ErasedClient) -> None:
    """Empty what was said to them, and to the staff about them; that and when it was said stays."""
    received = _received(client_id, ids, known).with_only_columns(ReceivedMessage.id)
    session.execute(
        delete(ReceivedMessage).where(ReceivedMessage.id.in_(session.scalars(received).all())),
        execution_options=_QUIET,
    )
    to_staff = Notification.staff_contact_id.is_not(None)
    bodies = select(Delivery.notification_id).join(Notification, Notification.id == Delivery.notification_id)
    mentioned = bodies.where(to_staff, _mentions(known, Delivery.body, Delivery.subject))
    notices = or_(StaffNotice.appointment_id.in_(ids), _mentions(known, StaffNotice.facts, StaffNotice.subject))
    digests = select(StaffNotice.notification_id).where(notices, StaffNotice.notification_id.is_not(None))
    named = select(Notification.id).where(to_staff, _mentions(known, Notification.variables, Notification.message))
    about = or_(
        Notification.recipient_id == client_id,
        Notification.appointment_id.in_(ids),
        Notification.id.in_(session.scalars(mentioned).all()),
        Notification.id.in_(session.scalars(named).all()),
        Notification.id.in_(session.scalars(digests).all()),  # also under a name they had before
    )
    told = session.scalars(select(Notification.id).where(about)).all()
    waiting = update(Notification).where(
        Notification.id.in_(told), Notification.recipient_id == client_id, Notification.status == PENDING
    )
    session.execute(waiting.values(status=CANCELLED, reason="do_not_message"), execution_options=_QUIET)
    texts: dict[str, Any] = {"message": None, "variables": {}, "error": None}
    session.execute(update(Notification).where(Notification.id.in_(told)).values(texts), execution_options=_QUIET)
    said = {"body": "", "subject": None, "address_key": None, "error": None}
    session.execute(update(Delivery).where(Delivery.notification_id.in_(told)).values(said), execution_options=_QUIET)
    told_of = update(StaffNotice).where(notices).values(facts={}, subject=None)
    session.execute(told_of, execution_options=_QUIET)


def _clear_elsewhere(session: Session, client_id: int, ids: Sequence[int], known: ErasedClient) -> None:
    """Delete jobs that carry their data, and answers of the API that are kept for a day."""
    payload = cast(Job.payload, String())
    of_them = [payload.like(f'%"client_id": {client_id}{end}%') for end in (",", "}")]
    of_theirs = [payload.like(f'%"appointment_id": {one}{end}%') for one in ids for end in (",", "}")]
    session.execute(
        delete(Job).where(or_(*of_them, *of_theirs, _mentions(known, Job.payload, Job.error))), execution_options=_QUIET
    )
    session.execute(delete(IdempotencyKey).where(_mentions(known, IdempotencyKey.body)), execution_options=_QUIET)


def _clear_plugin_rows(session: Session, client_id: int) -> None:
    """Delete what a plugin's tables still have of them: it did not say otherwise."""
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        assert isinstance(table, Table)
        if not any(table.name.startswith(f"{plugin}_") for plugin in registry().manifests):
            continue
        for constraint in table.foreign_key_constraints:
            if constraint.referred_table.name == "client":
                column = getattr(mapper.class_, constraint.column_keys[-1])
                session.execute(delete(mapper.class_).where(column == client_id), execution_options=_QUIET)


def _clear_client(session: Session, client: Client, known: ErasedClient) -> None:
    stops = [stop.id for stop in opt_outs_of(session, client.id)]
    others = _others_numbers(session, client)
    session.execute(
        delete(OptOut).where(OptOut.id.in_(stops), or_(OptOut.address.is_(None), OptOut.address.not_in(others))),
        execution_options=_QUIET,
    )
    session.execute(delete(OptOut).where(OptOut.address.in_(known.match_keys)), execution_options=_QUIET)
    session.execute(delete(Consent).where(Consent.client_id == client.id), execution_options=_QUIET)
    client.phones.clear()
    language = session.get_one(Tenant, current_tenant()).language
    client.first_name, client.last_name, client.notes = NAMELESS.get(language, NAMELESS["en"]), "", ""
    client.email = client.birthday = client.language = client.preferred_channel = client.paused_why = None
    client.paused_until = client.responsible_id = None
    client.do_not_message, client.active = True, False
    session.flush()


def _mentions(known: ErasedClient, *columns: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    """The condition that one of these columns holds their name, a number of theirs or their address in its text."""
    sought = [one for one in (*known.names, *known.phones, known.email or "") if len(one) >= SHORTEST]
    found = [
        cast(column, String()).icontains(form, autoescape=True)
        for column in columns
        for one in sought
        for form in {one, json.dumps(one)[1:-1]}  # as it is, and as JSON columns write it
    ]
    return or_(False, *found)


def _rows(session: Session, statement: Select[Any]) -> list[dict[str, Any]]:
    return [_row(row) for row in session.scalars(statement)]


def _rows_by(session: Session, column: InstrumentedAttribute[int], ids: Sequence[int]) -> dict[int, list[Any]]:
    """Return the rows that refer to each of these ids by `column`, in the order they were written."""
    found: dict[int, list[Any]] = defaultdict(list)
    for row in session.scalars(select(column.class_).where(column.in_(ids)).order_by(column.class_.id)):
        found[getattr(row, column.key)].append(_row(row))
    return found


def _row(row: Base) -> dict[str, Any]:
    """Return a row's columns as JSON values."""
    values = {
        column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs if column.key != "tenant_id"
    }
    return {key: value.isoformat() if isinstance(value, date | datetime) else value for key, value in values.items()}
