"""What plugins, pages and the API call to tell somebody something, and to learn what became of it."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import NotFound, find
from citaplanner_core.booking.models import Appointment, Client
from citaplanner_core.database import current_tenant, database_now, in_work, joined_work, wake, work
from citaplanner_core.hooks import dispatch, settings
from citaplanner_core.notifications.models import (
    FAILED,
    NOTIFICATION_TYPES,
    SKIPPED,
    Delivery,
    Notification,
)

POLL_SECONDS = 0.05
UNSETTLED = ("PENDING", "SENDING")


class NotificationRefused(Exception):
    """A notification cannot be accepted: `field` is what is wrong, the text says why and what would do."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field, self.detail = field, detail


@dataclass(frozen=True, slots=True)
class NotificationResult:
    """What became of `send_notification`.

    `success` = accepted, or with `wait` > 0 really sent. `message_id` is the provider's id once it is known.
    """

    success: bool
    notification_id: int
    status: str
    message_id: str | None
    error: str | None


def find_channel(name: str) -> str:
    """Return the key of a registered channel, whatever the case; raise `NotificationRefused` naming the known ones."""
    key = name.strip().lower()
    if key not in dispatch.channels():
        raise NotificationRefused("channel", f"{name!r} is not known here; known are {', '.join(dispatch.channels())}")
    return key


def enabled_channels(session: Session) -> list[str]:
    """Return the channels of plugins that this tenant switched on, in the order they are tried."""
    on = dispatch.enabled_plugins(session)
    return [
        key
        for key, (plugin, _) in dispatch.channels().items()
        if plugin in on and settings.read(session, plugin).get("enabled", True)
    ]


def is_channel_enabled(channel: str, tenant_id: int | None = None) -> bool:
    """Tell whether a tenant's notifications may use a channel: plugin loaded, tenant switch on, not disabled.

    `tenant_id` comes from the open unit, else it is required. An unknown channel is not enabled.
    """
    key = channel.strip().lower()
    if key not in dispatch.channels():
        return False
    if dispatch.channels()[key][0] is None:
        return True
    if in_work():
        with joined_work(tenant_id or current_tenant()) as session:
            return key in enabled_channels(session)
    with work(_required(tenant_id), write=False) as session:
        return key in enabled_channels(session)


def _required(tenant_id: int | None) -> int:
    if tenant_id is None:
        raise NotificationRefused("tenant_id", "is required outside a unit of work")
    return tenant_id


def send_notification(
    *,
    type: str,
    recipient_id: int,
    channel: str | None = None,
    message: str | None = None,
    template: str | None = None,
    variables: Mapping[str, Any] | None = None,
    tenant_id: int | None = None,
    appointment_id: int | None = None,
    idempotency_key: str | None = None,
    wait: float = 0,
) -> NotificationResult:
    """Accept a notification for a client; the worker sends it.

    It joins the open unit of work, else opens one; `tenant_id` comes from that unit, else it is required. The same
    `idempotency_key` gives the first notification's result again. `wait` is in seconds: how long to wait until it is
    settled, impossible inside a unit. Raises `NotificationRefused`; a channel that is switched off is no error: the
    row says so (SKIPPED, `channel_off`).
    """
    if in_work():
        if wait > 0:
            raise NotificationRefused("wait", "cannot wait inside a unit of work: the worker sees it after the commit")
        tenant = tenant_id or current_tenant()
    else:
        tenant = _required(tenant_id)
    kind = type.strip().upper()
    if kind not in NOTIFICATION_TYPES:
        raise NotificationRefused("type", f"{type!r} is not known; known are {', '.join(NOTIFICATION_TYPES)}")
    key = find_channel(channel) if channel else None
    with joined_work(tenant) as session:
        notification = _accept(
            session,
            kind=kind,
            recipient_id=recipient_id,
            channel=key,
            message=message,
            template=template,
            variables=dict(variables or {}),
            appointment_id=appointment_id,
            idempotency_key=idempotency_key,
        )
        answer = result_of(session, notification)
    return _settled(tenant, answer.notification_id, wait) if wait > 0 else answer


def _accept(
    session: Session,
    *,
    kind: str,
    recipient_id: int,
    channel: str | None,
    message: str | None,
    template: str | None,
    variables: dict[str, Any],
    appointment_id: int | None,
    idempotency_key: str | None,
) -> Notification:
    dedupe_key = f"key:{idempotency_key}" if idempotency_key else f"manual:{uuid.uuid4()}"
    if idempotency_key:
        earlier = session.scalar(select(Notification).where(Notification.dedupe_key == dedupe_key))
        if earlier:
            return earlier
    try:
        find(session, Client, recipient_id, "recipient_id", lock="stays")
    except NotFound:
        raise NotificationRefused("recipient_id", f"there is no client {recipient_id}") from None
    appointment = session.get(Appointment, appointment_id) if appointment_id is not None else None
    if appointment_id is not None and appointment is None:
        raise NotificationRefused("appointment_id", f"there is no appointment {appointment_id}")
    off = channel is not None and not is_channel_enabled(channel)
    notification = Notification(
        type=kind,
        recipient_id=recipient_id,
        channel=channel,
        message=message,
        template=template or kind,
        variables=variables,
        appointment_id=appointment_id,
        schedule_version=appointment.schedule_version if appointment else None,
        dedupe_key=dedupe_key,
        due=database_now(session),
        status=SKIPPED if off else "PENDING",
        reason="channel_off" if off else None,
    )
    try:
        with session.begin_nested():
            session.add(notification)
            session.flush()
    except IntegrityError:
        earlier = session.scalar(select(Notification).where(Notification.dedupe_key == dedupe_key))
        if earlier is None:
            raise
        return earlier
    wake(session)
    return notification


def result_of(session: Session, notification: Notification) -> NotificationResult:
    """Return what is known of a notification now."""
    message_id = session.scalar(
        select(Delivery.provider_id)
        .where(Delivery.notification_id == notification.id, Delivery.provider_id.is_not(None))
        .order_by(Delivery.id.desc())
        .limit(1)
    )
    failed = notification.status in (FAILED, SKIPPED, "CANCELLED", "SUPERSEDED")
    error = (notification.error or notification.reason) if failed else None
    return NotificationResult(not failed, notification.id, notification.status, message_id, error)


def _settled(tenant: int, notification_id: int, wait: float) -> NotificationResult:
    deadline = time.monotonic() + wait
    while True:
        with work(tenant, write=False) as session:
            answer = result_of(session, session.get_one(Notification, notification_id))
        if answer.status not in UNSETTLED:
            return answer
        if time.monotonic() >= deadline:
            return NotificationResult(False, notification_id, answer.status, None, f"not sent within {wait:g} s")
        time.sleep(POLL_SECONDS)
