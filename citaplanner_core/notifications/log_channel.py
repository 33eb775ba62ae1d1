"""The core's own channel: it writes that a message would go out, never its text, into the log."""

from collections.abc import Mapping
from typing import Any, Literal

import structlog

from citaplanner_core.hooks.types import Message, Receipt, Recipient

log = structlog.get_logger()


class LogChannel:
    """Used when asked for by name, for trying things out."""

    key = "log"
    label = "Log"
    on_unknown: Literal["resend", "hold"] = "resend"
    text_family: Literal["chat", "short", "mail", "push"] = "chat"

    def address_of(self, recipient: Recipient) -> str | None:
        """Everybody is reached in the log."""
        who = recipient.client_id
        return f"client-{who}" if who is not None else f"staff-{recipient.staff_contact_id}"

    def check(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Nothing can be wrong."""
        return {}

    def send(self, message: Message, settings: Mapping[str, Any]) -> Receipt:
        """Write one line with ids only."""
        log.info("notification_logged", notification=message.notification_id, type=message.type)
        return Receipt(f"log-{message.notification_id}-{message.attempt}")
