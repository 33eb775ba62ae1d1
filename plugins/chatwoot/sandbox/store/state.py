"""The whole memory of the stand-in: tables, ids, clock, and the file that survives a restart."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from .records import (
    Account,
    Bot,
    Contact,
    ContactInbox,
    Conversation,
    Inbox,
    Json,
    Message,
    Record,
    User,
    Webhook,
)

Row = TypeVar("Row", Account, User, Bot, Inbox, Contact, ContactInbox, Conversation, Message, Webhook, Record)

FORMAT = 1
SAVE_DELAY = 0.3
TABLES: dict[str, type[Any]] = {
    "accounts": Account,
    "users": User,
    "bots": Bot,
    "inboxes": Inbox,
    "contacts": Contact,
    "contact_inboxes": ContactInbox,
    "conversations": Conversation,
    "messages": Message,
    "webhooks": Webhook,
    "records": Record,
}
# Apart from one another, so that a caller who mixes up two kinds of id notices.
FIRST_IDS = {"contacts": 101, "contact_inboxes": 301, "conversations": 501, "messages": 1001}
AGED = ("contacts", "contact_inboxes", "conversations", "messages")
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def token(length: int = 24) -> str:
    """A random base58 text, the form of Chatwoot's webhook secrets and tokens."""
    return "".join(secrets.choice(BASE58) for _ in range(length))


@dataclass(frozen=True)
class Event:
    """Something webhooks may hear of. ``id`` is the row's, ``changed`` its old and new values."""

    name: str
    account_id: int
    kind: Literal["message", "conversation", "contact", "typing"]
    id: int
    changed: list[Json] | None = None
    user_id: int | None = None
    is_private: bool = False


class State:
    """Tables keyed by id, guarded by ``lock``; every reader and writer holds it.

    ``fill`` writes the start-up content into an empty state, ``clock`` gives Unix seconds.
    ``publish`` (events), ``deliver`` (an outgoing message to its channel) and ``later`` (a delay in
    seconds and what to do then) are where the webhook sender and the channels are plugged in.
    """

    def __init__(
        self,
        fill: Callable[[State], None],
        *,
        clock: Callable[[], float] = time.time,
        path: Path | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.now = clock
        self.path = path
        self.publish: Callable[[Event], None] = lambda event: None
        self.deliver: Callable[[Message], None] = lambda message: None
        self.later: Callable[[float, Callable[[], None]], None] = lambda delay, work: None
        self._fill = fill
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._writer: threading.Thread | None = None
        self._clear()
        fill(self)

    def _clear(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.users: dict[int, User] = {}
        self.bots: dict[int, Bot] = {}
        self.inboxes: dict[int, Inbox] = {}
        self.contacts: dict[int, Contact] = {}
        self.contact_inboxes: dict[int, ContactInbox] = {}
        self.conversations: dict[int, Conversation] = {}
        self.messages: dict[int, Message] = {}
        self.webhooks: dict[int, Webhook] = {}
        self.records: dict[int, Record] = {}
        self.ids: dict[str, int] = {}
        self._by_conversation: dict[int, list[Message]] = defaultdict(list)

    def reset(self) -> None:
        """Back to the start-up content. Ids of contacts and messages are not given again: no Chatwoot does that."""
        with self.lock:
            numbers = {table: self.ids[table] for table in AGED if table in self.ids}
            self._clear()
            self._fill(self)
            self.ids |= numbers
            self.touch()

    def next_id(self, table: str) -> int:
        """A number never given before in this table."""
        number = self.ids.get(table, FIRST_IDS.get(table, 1))
        self.ids[table] = number + 1
        return number

    def add(self, row: Row) -> Row:
        """Keep a row in the table of its type and return it."""
        table = next(name for name, kind in TABLES.items() if isinstance(row, kind))
        getattr(self, table)[row.id] = row
        self.ids[table] = max(self.ids.get(table, 1), row.id + 1)
        if isinstance(row, Message):
            self._by_conversation[row.conversation_id].append(row)
        return row

    def forget_contact(self, contact: Contact) -> None:
        """Delete a contact with its contact-inboxes, conversations and messages."""
        self.contacts.pop(contact.id, None)
        for link in [x for x in self.contact_inboxes.values() if x.contact_id == contact.id]:
            del self.contact_inboxes[link.id]
        for talk in [x for x in self.conversations.values() if x.contact_id == contact.id]:
            del self.conversations[talk.id]
            for message in self._by_conversation.pop(talk.id, []):
                del self.messages[message.id]

    def messages_of(self, conversation_id: int) -> list[Message]:
        """A conversation's messages, oldest first."""
        return self._by_conversation[conversation_id]

    def last_message(self, conversation_id: int, *, public: bool = False) -> Message | None:
        """The newest message of a conversation; with ``public`` notes and activity are passed over."""
        for message in reversed(self.messages_of(conversation_id)):
            if message.public or not public:
                return message
        return None

    def rows(self, table: str, account_id: int) -> list[Record]:
        """The rows of a small table in one account, in order of creation."""
        return [r for r in self.records.values() if r.table == table and r.account_id == account_id]

    def age(self, hours: float) -> None:
        """Move everything that happened so far ``hours`` into the past (the 24-hour window closes)."""
        seconds = hours * 3600
        for table in AGED:
            for row in getattr(self, table).values():
                for name in (f.name for f in fields(row)):
                    value = getattr(row, name)
                    if (name.endswith("_at") or name == "waiting_since") and value is not None:
                        setattr(row, name, value - seconds)
        self.touch()

    # --- the file ---------------------------------------------------------------------------

    def load(self) -> str | None:
        """Read the state file, if there is one. Returns a plain sentence when it had to be put aside."""
        if self.path is None or not self.path.exists():
            return None
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']}, expected {FORMAT}")
            tables = {name: [kind(**row) for row in document[name]] for name, kind in TABLES.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            aside = self.path.with_name(f"{self.path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
            self.path.replace(aside)
            return f"The state file could not be read ({error}); it is kept as {aside} and a new one begins."
        with self.lock:
            self._clear()
            for rows in tables.values():
                self._restore(rows)
            self.ids.update(document["ids"])
        return None

    def _restore(self, rows: Iterable[Any]) -> None:
        for row in rows:
            self.add(row)

    def touch(self) -> None:
        """Say that something changed; the file is written a moment later."""
        self._dirty.set()

    def save(self) -> None:
        """Write the file now, all of it or nothing. Raises OSError when the place cannot be written."""
        if self.path is None:
            return
        with self.lock:
            document: Json = {"format": FORMAT, "ids": dict(self.ids)}
            for name in TABLES:
                document[name] = [asdict(row) for row in getattr(self, name).values()]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(document, stream, ensure_ascii=False)
            os.replace(temporary, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def start(self) -> None:
        """Begin writing changes to the file, if there is one."""
        if self.path is not None and self._writer is None:
            self._writer = threading.Thread(target=self._write_changes, name="sandbox-state", daemon=True)
            self._writer.start()

    def stop(self) -> None:
        """Write what is pending and end the writer."""
        if self._writer is not None:
            self._closing.set()
            self._dirty.set()
            self._writer.join()
            self._writer = None

    def _write_changes(self) -> None:
        while True:
            self._dirty.wait()
            last = self._closing.wait(SAVE_DELAY)
            self._dirty.clear()
            try:
                self.save()
            except OSError as error:
                print(f"The state file could not be written: {error}", file=sys.stderr)
            if last:
                return
