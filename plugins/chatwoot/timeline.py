"""What was written in conversations, for the timeline of a client or an appointment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import String, and_, cast, exists, or_, select
from sqlalchemy.orm import Session

from citaplanner_core.hooks.types import TimelineEntry
from citaplanner_core.notifications.models import Delivery, Notification
from plugins.chatwoot.channel import KEY
from plugins.chatwoot.models import ChatwootInteraction as Spoken

_WRITERS: dict[str, Literal["client", "staff", "system"]] = {"in": "client", "agent": "staff", "out": "system"}


def entries(
    session: Session,
    client_id: int | None,
    appointment_id: int | None,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[TimelineEntry]:
    """Return what they wrote, what agents wrote and our replies; the notifications themselves are the core's."""
    is_notification = exists().where(
        Delivery.notification_id == Spoken.notification_id,
        Delivery.channel == KEY,
        Delivery.provider_id == f"{KEY}-" + cast(Spoken.message_id, String),
    )
    wanted = (
        select(Spoken, Notification.appointment_id)
        .outerjoin(Notification, Notification.id == Spoken.notification_id)
        .where(Spoken.direction.in_(_WRITERS), ~is_notification)
        .order_by(Spoken.at, Spoken.id)
        .limit(limit)
    )
    if appointment_id is not None:
        wanted = wanted.where(Notification.appointment_id == appointment_id)
    else:
        wanted = wanted.where(Spoken.client_id == client_id)
    if after is not None:
        at, after_id = after
        wanted = wanted.where(or_(Spoken.at > at, and_(Spoken.at == at, Spoken.id > after_id)))
    return [_entry(spoken, about) for spoken, about in session.execute(wanted)]


def _entry(spoken: Spoken, appointment_id: int | None) -> TimelineEntry:
    understood = " ".join(word for word in (spoken.intent, spoken.action) if word)
    return TimelineEntry(
        at=spoken.at,
        id=spoken.id,
        by=_WRITERS[spoken.direction],
        channel=KEY,
        text=spoken.text,
        detail=understood or spoken.reply_key,
        appointment_id=appointment_id,
        notification_id=spoken.notification_id,
    )
