"""The job `reply`: a reply to a client, or a note to the agents, is posted once into a conversation.

The job `rest` follows where nobody has to look at the conversation any more.

What is said was true when it was decided; it is left unsaid when that is long ago or the appointment has changed.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Appointment, Client, Tenant
from citaplanner_core.config import Config
from citaplanner_core.database import current_tenant, db, utcnow, work
from citaplanner_core.hooks.dispatch import enabled_plugins
from citaplanner_core.hooks.types import JobContext, Retry
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.templates import render
from citaplanner_core.phones import parse_phone
from citaplanner_core.replies.outcome import Outcome
from plugins.chatwoot.accounts import Account, IncompleteAccount, client_for, effective
from plugins.chatwoot.answers import Place
from plugins.chatwoot.api import (
    JSON,
    MARKER,
    ChatwootClient,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from plugins.chatwoot.channel import STILL_AT_WORK
from plugins.chatwoot.models import ChatwootContact, ChatwootConversation, ChatwootInteraction

REPLY = "reply"
REST = "rest"
PLUGIN = "chatwoot"
WORTH_SAYING = timedelta(hours=1)

log = structlog.get_logger()


def enqueue_reply(session: Session, place: Place, outcome: Outcome, branch_id: int | None, *, rests: bool) -> None:
    """Have the reply of an outcome posted where the message came from; then the conversation `rests`, or not."""
    assert outcome.reply is not None
    appointment, notification = outcome.appointment, outcome.notification
    about = {"id": appointment.id, "version": appointment.version} if appointment else None
    _enqueue(
        session,
        place,
        f"reply-{current_tenant()}-{place.message_id}",
        outcome.reply.body,
        branch_id,
        question=outcome.reply.question,
        notification_id=notification.id if notification else None,
        client_id=notification.recipient_id if notification else None,
        schedule_version=appointment.schedule_version if appointment else None,
        about=about,
        choice=outcome.choice.stored() if outcome.choice else None,
        rests=rests,
        answered=place.message_id,
    )


def enqueue_rest(session: Session, place: Place, branch_id: int | None) -> None:
    """Have the conversation rest, unless something comes after this message."""
    payload = {
        "account_ref": place.account_ref,
        "branch_id": branch_id,
        "conversation_id": place.conversation_id,
        "answered": place.message_id,
        "decided_at": utcnow().isoformat(),
    }
    _enqueue_rest(session, payload)


def _enqueue_rest(session: Session, payload: Mapping[str, Any]) -> None:
    key = f"{REST}:{payload['account_ref']}:{payload['conversation_id']}:{payload['answered']}"
    enqueue(session, REST, payload, plugin=PLUGIN, dedupe_key=key)


def note_shared_phone(
    session: Session, place: Place, contact: ChatwootContact, candidates: Sequence[Client], branch_id: int | None
) -> None:
    """Tell the agents, once, that the number is several clients' and who they are."""
    said = "shared_phone:" + ",".join(str(client.id) for client in candidates)
    if contact.noted == said:
        return
    contact.noted = said
    tenant = session.get_one(Tenant, current_tenant())
    names = "\n".join(f"- {client.name} (#{client.id})" for client in candidates)
    text = render("AGENT_NOTE_SHARED_PHONE", family="chat", language=tenant.language, variables={"candidates": names})
    _enqueue(session, place, f"note-{tenant.id}-{place.message_id}", text.body, branch_id, private=True)


def _enqueue(
    session: Session, place: Place, marker: str, body: str, branch_id: int | None, *, private: bool = False, **more: Any
) -> None:
    payload = {
        "account_ref": place.account_ref,
        "branch_id": branch_id,
        "conversation_id": place.conversation_id,
        "marker": marker,
        "body": body,
        "private": private,
        "decided_at": utcnow().isoformat(),
        **more,
    }
    enqueue(session, REPLY, payload, plugin=PLUGIN, dedupe_key=f"{REPLY}:{marker}")


def post(context: JobContext) -> None:
    """Job: post what the payload says, unless an earlier attempt did or it is not to be said any more.

    Raises `Retry` while Chatwoot cannot be reached, has enough, or leaves the outcome open.
    """
    said = context.payload
    with work(context.tenant_id, write=False) as session:
        account, reason = may_say(session, said)
    if account is None:
        log.warning("chatwoot_reply_dropped", marker=said["marker"], reason=reason)
        return
    api = client_for(account)
    try:
        message = _post_once(api, said, first=context.attempt == 1)
    except NotFound:
        log.warning("chatwoot_reply_dropped", marker=said["marker"], reason="conversation_gone")
        return
    except RateLimited as error:
        raise Retry(str(error), after=error.retry_after) from error
    except OutcomeUnknown as error:
        # Only then may "not found" be believed.
        raise Retry(str(error), after=STILL_AT_WORK.total_seconds()) from error
    except Unavailable as error:
        raise Retry(str(error)) from error
    finally:
        api.close()
    with work(context.tenant_id) as session:
        _record(session, said, message["id"])
        if said.get("rests"):
            names = ("account_ref", "branch_id", "conversation_id", "answered", "decided_at")
            _enqueue_rest(session, {name: said[name] for name in names})


def _post_once(api: ChatwootClient, said: Mapping[str, Any], *, first: bool) -> JSON:
    conversation_id, marker = said["conversation_id"], said["marker"]
    if not first:
        found = api.find_message_by_marker(conversation_id, marker, since=_decided_at(said))
        if found is not None:
            return found
    return api.send_message(conversation_id, said["body"], private=said["private"], content_attributes={MARKER: marker})


def may_say(session: Session, said: Mapping[str, Any]) -> tuple[Account | None, str]:
    """Return the account to act through, or None and why nothing is done there."""
    if utcnow() - _decided_at(said) > WORTH_SAYING:
        return None, "too_old"
    if PLUGIN not in enabled_plugins(session):
        return None, "switched_off"
    about = said.get("about")
    if about is not None:
        appointment: Appointment | None = session.get(Appointment, about["id"])
        if appointment is None or appointment.version != about["version"]:
            return None, "appointment_changed"
    try:
        account = effective(session, said["branch_id"])
    except IncompleteAccount:
        return None, "not_connected"
    if account.ref != said["account_ref"]:
        return None, "account_changed"
    if not account.enabled:
        return None, "channel_off"
    return (account, "") if _may_leave(session, said) else (None, "delivery_off")


def _may_leave(session: Session, said: Mapping[str, Any]) -> bool:
    """Tell whether this deployment may write to this person, as for notifications."""
    config: Config = current_app.config["CITAPLANNER"]
    if config.delivery != "allowlist":
        return config.delivery == "live"
    known = session.scalar(
        select(ChatwootContact.known)
        .join(
            ChatwootConversation,
            (ChatwootConversation.account_ref == ChatwootContact.account_ref)
            & (ChatwootConversation.contact_id == ChatwootContact.contact_id),
        )
        .where(
            ChatwootConversation.account_ref == said["account_ref"],
            ChatwootConversation.conversation_id == said["conversation_id"],
        )
    )
    phone = parse_phone(str((known or {}).get("phone_number") or ""))
    return phone is not None and phone.e164 in config.delivery_allowlist


def _decided_at(said: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(said["decided_at"]).astimezone(UTC)


def _record(session: Session, said: Mapping[str, Any], message_id: int) -> None:
    unique = ["tenant_id", "account_ref", "message_id"]
    insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    notification_id = said.get("notification_id")
    if notification_id is not None and session.get(Notification, notification_id) is None:
        return
    row = {
        "account_ref": said["account_ref"],
        "message_id": message_id,
        "conversation_id": said["conversation_id"],
        "client_id": said.get("client_id"),
        "notification_id": notification_id,
        "direction": "note" if said["private"] else "out",
        "text": said["body"],
        "question": said.get("question"),
        "schedule_version": said.get("schedule_version"),
        "choice": said.get("choice"),
    }
    session.execute(insert(ChatwootInteraction).on_conflict_do_nothing(index_elements=unique), [row])
