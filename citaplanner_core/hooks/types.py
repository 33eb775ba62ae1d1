"""What crosses the seam: frozen values and protocols shared by the core and its plugins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

TextFamily = Literal["chat", "short", "mail", "push"]
"""The kinds of text: a chat message, a text message of few characters, a subject with a body, a screen notice."""


class ChannelError(Exception):
    """Base of what a channel may raise from `send`; anything else counts as `Ambiguous`."""


class Retry(ChannelError):
    """Surely not delivered; try again, not before `after` seconds when given."""

    def __init__(self, detail: str = "", *, after: float | None = None) -> None:
        super().__init__(detail)
        self.after = after


class Limited(Retry):
    """The provider is well but takes no more from this account for now (429): nothing of it leaves meanwhile."""


class Ambiguous(ChannelError):
    """It may have arrived (time-out, broken connection, 5xx after sending)."""


class AuthFailed(ChannelError):
    """The provider refuses our credentials: somebody must mend the settings."""


class Permanent(ChannelError):
    """It will never arrive this way; `reason` is one of the closed list of failure reasons."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person a notification goes to, as channels see them.

    `phones` holds numbers as one dials them (E.164), preferred first. `language` is a code such as `es`. `client_id` is
    None for somebody of the staff, whom `staff_contact_id` names then.
    """

    client_id: int | None
    name: str
    first_name: str
    email: str | None
    phones: tuple[str, ...]
    language: str
    staff_contact_id: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message, ready to send.

    `key` identifies the notification on this channel and stays the same over all attempts: a provider that
    knows idempotency keys, or a marker we can look for, gets this one. `question` is what the text asks
    (`"confirm"`, `"reminder"` or None), so that an answer can be understood.
    """

    tenant_id: int
    branch_id: int | None
    notification_id: int
    attempt: int
    key: str
    type: str
    recipient: Recipient
    address: str
    subject: str | None
    body: str
    question: str | None = None
    appointment_id: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider answered. `message_id` is the provider's id as users know it, e.g. `chatwoot-123`."""

    message_id: str | None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message somebody wrote to the business over a channel.

    `address` is the phone or e-mail address it came from; `trust` is `proven` where the channel vouches for that, and
    `claimed` where anybody could have typed it. `provider_id` names the message at the provider, once a channel.
    `text` is None without words; `has_media`: there is a picture, voice note, sticker or place with it. `at` is when
    it was written (aware). `in_reply_to` is the provider's id of the message it points at, if it does.
    """

    tenant_id: int
    channel: str
    address: str
    trust: Literal["proven", "claimed"]
    provider_id: str
    text: str | None
    at: datetime
    has_media: bool = False
    in_reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a tenant's account may send over a channel: the core spaces what waits.

    `per_second` messages (a second's worth may leave at once); `recipient_seconds` between two to the same person.
    """

    per_second: float | None = None
    recipient_seconds: float = 0


class Channel(Protocol):
    """How one channel talks. A channel never sleeps, loops or retries; the core decides what follows.

    `on_unknown` says what happens to a reminder whose outcome is unknown where nobody can be asked.
    `text_family` says which kind of text it carries; `Message.subject` is set for `mail` and `push` only.
    Optional attributes: `pace` (a `Pace`), and `reports_delivery = True` where the provider tells what arrived, so that
    what was not delivered in time goes out over the next channel.
    """

    key: str
    label: str
    on_unknown: Literal["resend", "hold"]
    text_family: TextFamily

    def address_of(self, recipient: Recipient) -> str | None:
        """Return where this person is reached, or None when this channel cannot reach them."""

    def check(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Try the settings against the real provider; return {field: problem}, empty when all is well."""

    def send(self, message: Message, settings: Mapping[str, Any]) -> Receipt:
        """Send once, outside any transaction; raise a `ChannelError` when it did not surely arrive."""


@runtime_checkable
class Askable(Protocol):
    """A channel whose provider can be asked whether a message with our key has arrived."""

    def find_sent(self, message: Message, settings: Mapping[str, Any]) -> Receipt | None:
        """Return the receipt of an earlier attempt, None when it surely did not arrive; raise `Retry` if unsure."""


@dataclass(frozen=True, slots=True)
class AppointmentEvent:
    """Something happened to an appointment.

    `name` is one of `booked, confirmed, rescheduled, cancelled, completed, no_show`; `by` is
    `client`, `staff` or `system`. Times are aware UTC datetimes; `old_start` is set on `rescheduled`.
    """

    name: str
    tenant_id: int
    branch_id: int
    appointment_id: int
    client_id: int
    schedule_version: int
    start: datetime
    occurred_at: datetime
    by: str
    old_start: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ErasedClient:
    """What finds a person who is being erased: names, phones and e-mail address as kept, and as one compares them.

    `match_keys` leaves out the numbers that other clients have too.
    """

    names: tuple[str, ...]
    email: str | None
    phones: tuple[str, ...]
    match_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job handler is told. It runs outside any transaction and opens its own `work()`."""

    tenant_id: int
    job_id: int
    attempt: int
    payload: Mapping[str, Any]


JobHandler = Callable[[JobContext], None]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something a plugin knows of an appointment or a client: a message that somebody wrote over a channel.

    `id` tells entries of one moment apart and is larger for later ones. `by` is `client`, `staff` or `system`; `text`
    is what was said, `detail` what it was understood as, in a word or two.
    """

    at: datetime
    id: int
    by: Literal["client", "staff", "system"]
    channel: str
    text: str | None = None
    detail: str | None = None
    appointment_id: int | None = None
    notification_id: int | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """A link that a panel offers: `label` in the reader's language, `url` of the web or a path of this site."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Panel:
    """What a plugin knows about a client, for their page: rows of (name, value) and links. Texts, never HTML."""

    title: str
    rows: Sequence[tuple[str, str]] = ()
    actions: Sequence[Action] = ()


@dataclass(frozen=True, slots=True)
class Snippet:
    """A script that a plugin adds to a public page, as `<script id src data-…>`; the core writes the element.

    `html_id` begins with the plugin's name and a dash; `script_url` is https (http on this machine), or a path of this
    site; `data` becomes the attributes `data-<name>`, names in small letters and dashes. The page lets the script talk
    to, and show frames, pictures and styles of, its own origin and the `origins` named here; nothing else.
    """

    html_id: str
    script_url: str
    data: Mapping[str, str] = field(default_factory=dict)
    origins: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A job run for each enabled tenant about every `seconds`, by one worker of the deployment at a time."""

    name: str
    seconds: int
    run: JobHandler


@dataclass(frozen=True, slots=True)
class Figure:
    """One number at `/metrics`: `name` without `citaplanner_` and the plugin's name, `labels` of few values.

    `kind` is `counter` for what only grows. No label may name a tenant or a person.
    """

    name: str
    help: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Process:
    """A program that development needs beside web and worker. `{port}` in `argv` becomes a free port."""

    name: str
    argv: tuple[str, ...]
    ready_url: str
    default_port: int


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One line of `doctor` and `/readyz`: `run` returns None when well, else the trouble and its cure."""

    name: str
    run: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a plugin, as data: it validates, renders the form, fills the docs.

    `scope` says who gives it: `tenant` (a row) or `deployment`. Both read the environment where nothing else is
    given: one of `env`, or `CITAPLANNER_<PLUGIN>_<KEY>`; `env=None` keeps the environment out.
    """

    key: str
    type: Literal["str", "int", "bool", "url", "choice"]
    label: str
    help: str
    default: Any = None
    required: bool = False
    secret: bool = False
    choices: Sequence[str] = ()
    scope: Literal["tenant", "deployment"] = "tenant"
    env: Sequence[str] | None = ()
