"""The job `rest`: a conversation in which everything was answered leaves the agents' queue.

Chatwoot opens a conversation with whatever a client writes. Where the answer was understood and done, nobody has to
look: the conversation is snoozed until the client writes again. Snoozed and not resolved, since resolving asks for a
rating where the inbox does so, and the next message to the client would begin another conversation.
"""

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.database import work
from citaplanner_core.hooks.types import JobContext, Retry
from citaplanner_core.replies.outcome import Outcome
from plugins.chatwoot.accounts import client_for
from plugins.chatwoot.api import JSON, ChatwootError, OutcomeUnknown, RateLimited, Unavailable
from plugins.chatwoot.events import as_id, as_list, as_object
from plugins.chatwoot.models import ChatwootInteraction
from plugins.chatwoot.reply import may_say

WAITS_FOR_THE_CLIENT = ("asked", "asked_which", "not_understood")
"""A person may wonder why no answer comes."""

log = structlog.get_logger()


def is_settled(outcome: Outcome) -> bool:
    """Tell whether neither a person nor the client has to say anything more."""
    return outcome.handled and outcome.action not in WAITS_FOR_THE_CLIENT


def rest(context: JobContext) -> None:
    """Job: snooze the conversation if it is open, nobody has it, and nobody wrote after the message answered.

    Raises `Retry` while Chatwoot cannot be reached or has enough.
    """
    conversation_id, answered = context.payload["conversation_id"], context.payload["answered"]
    with work(context.tenant_id, write=False) as session:
        account, reason = may_say(session, context.payload)
        if account is None or _went_on(session, account.ref, conversation_id, answered):
            log.info("chatwoot_not_rested", conversation=conversation_id, reason=reason or "went_on")
            return
    api = client_for(account)
    try:
        if _is_left(api.get_conversation(conversation_id), answered):
            api.toggle_status(conversation_id, "snoozed")
    except RateLimited as error:
        raise Retry(str(error), after=error.retry_after) from error
    except (OutcomeUnknown, Unavailable) as error:
        raise Retry(str(error)) from error
    except ChatwootError as error:
        log.info("chatwoot_not_rested", conversation=conversation_id, reason=type(error).__name__)
    finally:
        api.close()


def _went_on(session: Session, account_ref: str, conversation_id: int, answered: int) -> bool:
    later = select(ChatwootInteraction.id).where(
        ChatwootInteraction.account_ref == account_ref,
        ChatwootInteraction.conversation_id == conversation_id,
        ChatwootInteraction.message_id > answered,
        ChatwootInteraction.direction.in_(("in", "agent")),
    )
    return session.scalar(later.limit(1)) is not None


def _is_left(conversation: JSON, answered: int) -> bool:
    if conversation.get("status") != "open" or as_object(conversation.get("meta")).get("assignee"):
        return False
    incoming = [
        as_id(message.get("id")) or 0
        for message in map(as_object, as_list(conversation.get("messages")))
        if message.get("message_type") == 0
    ]
    return all(message_id <= answered for message_id in incoming)
