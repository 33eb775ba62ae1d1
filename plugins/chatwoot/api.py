"""The application API of a Chatwoot server, for one account, as typed calls.

Paths and bodies follow the official OpenAPI document; answers follow the server itself (4.15), which wraps
them differently from the document in several places, so both forms are understood.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict, Unpack

from citaplanner_core.phones import PhoneNumber, parse_phone, search_variants
from plugins.chatwoot.account_api import AccountCalls
from plugins.chatwoot.transport import (
    JSON,
    ChatwootError,
    Invalid,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unauthorized,
    Unavailable,
    WrongServer,
    items,
    record,
    records,
)

__all__ = [
    "JSON",
    "MARKER",
    "ChatwootClient",
    "ChatwootError",
    "Invalid",
    "NotFound",
    "OutcomeUnknown",
    "RateLimited",
    "Unauthorized",
    "Unavailable",
    "WrongServer",
    "marker_of",
    "neutralise_liquid",
]

MARKER = "citaplanner_key"
"""Where in a message's `content_attributes` we note which of our messages it is."""

_PAGES = 10
_CLOCK_DIFFERENCE = timedelta(minutes=5)


class ContactFields(TypedDict, total=False):
    """What can be written on a contact; None leaves a field alone. `phone_number` is in E.164."""

    name: str | None
    phone_number: str | None
    email: str | None
    identifier: str | None
    custom_attributes: Mapping[str, Any] | None
    additional_attributes: Mapping[str, Any] | None


def neutralise_liquid(text: str) -> str:
    """Return `text` in a form that Chatwoot shows unchanged.

    Chatwoot renders outgoing texts and notes as Liquid, with the contact's data at hand: somebody's name
    written `{{contact.email}}` would be replaced. A zero-width space after the first brace prevents it; also
    before a backtick, because Chatwoot puts `{% raw %}` in front of those.
    """
    return re.sub(r"\{(?=[{%`])", "{\u200b", text)


def marker_of(message: Mapping[str, Any]) -> str | None:
    """Return our key noted in a message (API or webhook form), None when it is not one of ours."""
    attributes = message.get("content_attributes")
    marker = attributes.get(MARKER) if isinstance(attributes, dict) else None
    return marker if isinstance(marker, str) else None


class ChatwootClient(AccountCalls):
    """One account on one server. Build one for each account and thread; it may be kept for its connections.

    In: `base_url`, whose path is kept and trailing slash dropped; `account_id`; `access_token` of a user (a
    bot's token cannot read contacts or messages); `session` from `outbound`, else a new one; `timeout` in
    seconds, else the session's. Raises ValueError for an address, account or token that cannot be right.

    Reads are tried twice when the connection breaks; writes are sent once. Every method may raise
    `Unauthorized`, `NotFound`, `Invalid`, `RateLimited`, `Unavailable` and `WrongServer`, and those that
    write also `OutcomeUnknown`. No error, repr or log line holds the token or a text that was sent.
    """

    # Contacts

    def find_contact(self, phone: PhoneNumber | str) -> JSON | None:
        """Return the oldest contact whose number is the same as `phone`, None when there is none."""
        return next(iter(self.find_contacts(phone)), None)

    def find_contacts(self, phone: PhoneNumber | str) -> list[JSON]:
        """Return the contacts whose number is the same as `phone`, oldest first.

        Every form the number may be stored in is asked for in one request, such as +52 55… and +52 1 55…:
        Chatwoot itself compares texts (chatwoot#14048, chatwoot#5840). What is no number finds nothing.
        """
        number = parse_phone(phone) if isinstance(phone, str) else phone
        if number is None:
            return []

        def same(contact: JSON) -> bool:
            held = parse_phone(str(contact.get("phone_number") or ""))
            return held is not None and held.match_key == number.match_key

        found = filter(same, self._filter("phone_number", search_variants(number)))
        return sorted(found, key=lambda contact: contact["id"])

    def find_contact_by_email(self, email: str) -> JSON | None:
        """Return the contact with this e-mail address, None when there is none."""
        for contact in self._filter("email", [email]):
            if str(contact.get("email") or "").lower() == email.lower():
                return contact
        return None

    def find_contact_by_identifier(self, identifier: str) -> JSON | None:
        """Return the contact with exactly this `identifier`, None when there is none."""
        for contact in self._filter("identifier", [identifier]):
            if contact.get("identifier") == identifier:
                return contact
        return None

    def get_contact(self, contact_id: int) -> JSON:
        """Return one contact with its `contact_inboxes`."""
        return record(self._http.read(f"contacts/{contact_id}"), "payload")

    def create_contact(self, *, inbox_id: int, **fields: Unpack[ContactFields]) -> JSON:
        """Create a contact and link it to the inbox; return it with `contact_inbox` = `{source_id, inbox}`.

        Raises `Invalid` with `phone_number`, `email` or `identifier` in `attributes` when another contact
        holds it; which one is not told (chatwoot#15917), so look it up.
        """
        payload = record(self._http.write("POST", "contacts", inbox_id=inbox_id, **fields), "payload", needs=None)
        contact = record(payload, "contact")
        links = [payload.get("contact_inbox"), *(contact.get("contact_inboxes") or [])]
        return {**contact, "contact_inbox": next(filter(None, links), None)}

    def update_contact(self, contact_id: int, **fields: Unpack[ContactFields]) -> JSON:
        """Change the fields given and return the contact; attributes are merged key by key, never removed."""
        answer = self._http.write("PUT", f"contacts/{contact_id}", **fields)
        return self.get_contact(contact_id) if answer is None else record(answer, "payload")

    def contact_conversations(self, contact_id: int) -> list[JSON]:
        """Return the contact's conversations, at most 20, latest activity first, in every inbox and state."""
        return records(self._http.read(f"contacts/{contact_id}/conversations"), "payload")

    def contactable_inboxes(self, contact_id: int) -> list[JSON]:
        """Return `{source_id, inbox}` for each inbox through which this contact can be written to."""
        path = f"contacts/{contact_id}/contactable_inboxes"
        return records(self._http.read(path), "payload", needs="source_id")

    def create_contact_inbox(self, contact_id: int, inbox_id: int, source_id: str | None = None) -> JSON:
        """Link a contact to an inbox; return `{source_id, inbox}`.

        Without `source_id` the server derives it; in an API inbox each such call makes one more link.
        """
        path = f"contacts/{contact_id}/contact_inboxes"
        answer = self._http.write("POST", path, inbox_id=inbox_id, source_id=source_id)
        return record(answer, "payload", needs="source_id")

    # Conversations

    def get_conversation(self, conversation_id: int) -> JSON:
        """Return one conversation by the number Chatwoot shows (`id`); its `can_reply` is computed now."""
        return record(self._http.read(f"conversations/{conversation_id}"))

    def create_conversation(
        self,
        *,
        contact_id: int,
        inbox_id: int,
        source_id: str,
        status: Literal["open", "pending", "resolved"] | None = None,
    ) -> JSON:
        """Start a conversation and return it.

        `source_id` comes from `contactable_inboxes` or `create_contact`; without `status` it is open. An
        inbox locked to one conversation answers with the one it has.
        """
        return record(
            self._http.write(
                "POST",
                "conversations",
                source_id=source_id,
                inbox_id=inbox_id,
                contact_id=contact_id,
                status=status,
            )
        )

    def list_conversations_updated_within(self, seconds: int) -> list[JSON]:
        """Return all conversations, in any state, with activity in the last `seconds`; they are not paged."""
        params = {"status": "all", "assignee_type": "all", "updated_within": seconds}
        return records(self._http.read("conversations", params=params), "data", "payload")

    def toggle_status(
        self,
        conversation_id: int,
        status: Literal["open", "resolved", "pending", "snoozed"],
        *,
        snoozed_until: datetime | None = None,
    ) -> JSON:
        """Set the state; return `{conversation_id, current_status, …}`. `snoozed_until` is an aware time."""
        until = None if snoozed_until is None else int(snoozed_until.timestamp())
        path = f"conversations/{conversation_id}/toggle_status"
        answer = self._http.write("POST", path, status=status, snoozed_until=until)
        done = record(answer, "payload", needs="current_status")
        if done.get("success") is False:
            raise Invalid(200, "the state was not changed", ("status",))
        return done

    def assign(
        self, conversation_id: int, *, assignee_id: int | None = None, team_id: int | None = None
    ) -> JSON | None:
        """Assign an agent (0: nobody) or a team; return who has it now.

        None is nobody, also after an `assignee_id` Chatwoot does not know: it unassigns without complaint.
        """
        if (assignee_id is None) == (team_id is None):
            raise ValueError("give assignee_id or team_id, one of them")
        path = f"conversations/{conversation_id}/assignments"
        answer = self._http.write("POST", path, assignee_id=assignee_id, team_id=team_id)
        return None if answer is None else record(answer)

    def set_labels(self, conversation_id: int, labels: Iterable[str]) -> list[str]:
        """Replace all labels of a conversation; return those it has now."""
        answer = self._http.write("POST", f"conversations/{conversation_id}/labels", labels=list(labels))
        return [str(label) for label in items(answer, "payload")]

    # Messages

    def list_messages(self, conversation_id: int, *, before: int | None = None, after: int | None = None) -> list[JSON]:
        """Return messages, oldest first: the newest 20, the 20 `before` an id, or up to 100 `after` one."""
        params = {"before": before, "after": after}
        return records(self._http.read(f"conversations/{conversation_id}/messages", params=params), "payload")

    def send_message(
        self,
        conversation_id: int,
        content: str,
        *,
        private: bool = False,
        content_attributes: Mapping[str, Any] | None = None,
        template_params: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> JSON:
        """Write to the client (or, `private`, a note to agents); return the message with its `id`.

        Its status is `sent` before the channel was tried: outside the 24-hour window it fails later
        (chatwoot#7142), so look at `can_reply` first, or give `template_params`. There is no idempotency key:
        put `{MARKER: key}` into `content_attributes` and use `find_message_by_marker` after `OutcomeUnknown`.
        """
        return record(
            self._http.write(
                "POST",
                f"conversations/{conversation_id}/messages",
                content=neutralise_liquid(content),
                message_type="outgoing",
                private=private,
                content_type=content_type,
                content_attributes=content_attributes,
                template_params=_neutral(template_params),
            )
        )

    def add_note(
        self, conversation_id: int, content: str, *, content_attributes: Mapping[str, Any] | None = None
    ) -> JSON:
        """Write a note that only agents see; return the message."""
        return self.send_message(conversation_id, content, private=True, content_attributes=content_attributes)

    def find_message_by_marker(
        self, conversation_id: int, marker: str, *, since: datetime | None = None
    ) -> JSON | None:
        """Return the message that carries our `marker`, None when there is none.

        Looks from the newest back to `since` (aware; five minutes of difference between the clocks are
        allowed for), at 200 messages at most; raises `OutcomeUnknown` when `since` lies further back. A
        request that timed out may still be at work: believe None only some seconds after it.
        """
        before: int | None = None
        for _ in range(_PAGES):
            page = self.list_messages(conversation_id, before=before)
            for message in page:
                if marker_of(message) == marker:
                    return message
            oldest = min(page, key=lambda message: message["id"], default=None)
            if oldest is None or (before is not None and oldest["id"] >= before):
                return None
            before = oldest["id"]
            if since is not None and _created(oldest) < since - _CLOCK_DIFFERENCE:
                return None
        if since is None:
            return None
        raise OutcomeUnknown(None, "too many messages were written since then to find ours")

    def _filter(self, attribute: str, values: Sequence[str]) -> list[JSON]:
        # One condition for each value: of a condition's values only the first counts.
        conditions = [
            {
                "attribute_key": attribute,
                "filter_operator": "equal_to",
                "values": [value],
                "query_operator": "OR" if number < len(values) else None,
            }
            for number, value in enumerate(values, 1)
        ]
        return records(self._http.read("contacts/filter", body={"payload": conditions}), "payload")


def _neutral(value: Any) -> Any:
    if isinstance(value, str):
        return neutralise_liquid(value)
    if isinstance(value, Mapping):
        return {key: _neutral(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_neutral(item) for item in value]
    return value


def _created(message: JSON) -> datetime:
    seconds = message.get("created_at")
    return datetime.fromtimestamp(seconds if isinstance(seconds, int) else 0, UTC)
