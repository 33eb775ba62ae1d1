"""The rows of the stand-in, one dataclass per Chatwoot table.

Times are Unix seconds as floats; ``None`` is Chatwoot's null. ``id`` is global except where a
``display_id`` (counted per account) stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Role = Literal["administrator", "agent"]

INCOMING, OUTGOING, ACTIVITY, TEMPLATE = 0, 1, 2, 3
MESSAGE_TYPES = ("incoming", "outgoing", "activity", "template")
MESSAGE_STATUSES = ("sent", "delivered", "read", "failed")
CONVERSATION_STATUSES = ("open", "resolved", "pending", "snoozed")
PRIORITIES = ("low", "medium", "high", "urgent")
CONTENT_TYPES = (
    "text",
    "input_text",
    "input_textarea",
    "input_email",
    "input_select",
    "cards",
    "form",
    "article",
    "incoming_email",
    "input_csat",
    "integrations",
    "sticker",
    "voice_call",
)


@dataclass
class Account:
    id: int
    name: str
    status: str = "active"
    display_ids: int = 0


@dataclass
class User:
    id: int
    account_id: int
    name: str
    available_name: str
    email: str
    role: Role
    token: str
    pubsub_token: str


@dataclass
class Bot:
    id: int
    account_id: int
    name: str
    token: str
    secret: str
    description: str = ""
    outgoing_url: str | None = None


@dataclass
class Inbox:
    id: int
    account_id: int
    name: str
    channel_type: str
    created_at: float
    phone_number: str | None = None
    provider: str | None = None
    medium: str | None = None
    email: str | None = None
    website_token: str | None = None
    webhook_url: str | None = None
    inbox_identifier: str | None = None
    secret: str | None = None
    hmac_token: str | None = None
    additional_attributes: Json = field(default_factory=dict)
    message_templates: list[Json] = field(default_factory=list)
    content_templates: Json = field(default_factory=dict)
    greeting_enabled: bool = False
    greeting_message: str | None = None
    working_hours_enabled: bool = False
    out_of_office_message: str | None = None
    timezone: str = "UTC"
    working_hours: list[Json] = field(default_factory=list)
    lock_to_single_conversation: bool = False
    allow_messages_after_resolved: bool = True
    enable_auto_assignment: bool = True
    member_ids: list[int] = field(default_factory=list)
    agent_bot_id: int | None = None


@dataclass
class Contact:
    id: int
    account_id: int
    created_at: float
    updated_at: float
    name: str = ""
    email: str | None = None
    phone_number: str | None = None
    identifier: str | None = None
    blocked: bool = False
    additional_attributes: Json = field(default_factory=dict)
    custom_attributes: Json = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    last_activity_at: float | None = None


@dataclass
class ContactInbox:
    id: int
    contact_id: int
    inbox_id: int
    source_id: str
    pubsub_token: str
    created_at: float
    updated_at: float
    hmac_verified: bool = False


@dataclass
class Conversation:
    id: int
    account_id: int
    display_id: int
    uuid: str
    inbox_id: int
    contact_id: int
    contact_inbox_id: int
    created_at: float
    updated_at: float
    last_activity_at: float
    status: str = "open"
    assignee_id: int | None = None
    assignee_agent_bot_id: int | None = None
    team_id: int | None = None
    priority: str | None = None
    label_list: list[str] = field(default_factory=list)
    custom_attributes: Json = field(default_factory=dict)
    additional_attributes: Json = field(default_factory=dict)
    snoozed_until: float | None = None
    waiting_since: float | None = None
    first_reply_created_at: float | None = None
    agent_last_seen_at: float | None = None
    assignee_last_seen_at: float | None = None
    contact_last_seen_at: float | None = None


@dataclass
class Message:
    id: int
    account_id: int
    conversation_id: int
    inbox_id: int
    message_type: int
    created_at: float
    updated_at: float
    content: str | None = None
    private: bool = False
    status: str = "sent"
    source_id: str | None = None
    content_type: str = "text"
    content_attributes: Json = field(default_factory=dict)
    additional_attributes: Json = field(default_factory=dict)
    sender_type: str | None = None
    sender_id: int | None = None
    attachments: list[Json] = field(default_factory=list)

    @property
    def public(self) -> bool:
        """True when the customer may see it: neither a note nor an activity line."""
        return not self.private and self.message_type != ACTIVITY


@dataclass
class Webhook:
    id: int
    account_id: int
    url: str
    secret: str
    subscriptions: list[str]
    name: str | None = None
    inbox_id: int | None = None


@dataclass
class Record:
    """A row of a small table (team, label, canned response, attribute definition, note, app)."""

    id: int
    account_id: int
    table: str
    created_at: float
    updated_at: float
    values: Json
