"""What somebody said, and what came of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from citaplanner_core.booking.models import Appointment
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.templates import Rendered
from citaplanner_core.replies.intents import IntentName
from citaplanner_core.replies.which import Choice

Action = Literal[
    "confirmed",
    "left_to_staff",
    "cancelled",
    "move_wanted",
    "opted_out",
    "opted_in",
    "asked",
    "asked_which",
    "not_understood",
    "handed_over",
    "late",
    "told_place",
    "wrong_number",
    "too_late",
    "overtaken",
    "known",
    "nothing",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer did.

    `handled`: nobody needs to look at it. `reply` is what to say back, named by `reply_key`; None is silence.
    `appointment` is the one it was about, as it is now, `notification` the message of ours that was answered.
    `choice` is what the numbers in the reply mean, to be kept with it and given to `act` with the next answer.
    """

    intent: IntentName
    action: Action
    handled: bool
    reply_key: str | None = None
    reply: Rendered | None = None
    appointment: Appointment | None = None
    notification: Notification | None = None
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody wrote: the words, when (aware), over which channel.

    `address` is the number or e-mail address, None where the channel knows the person only. `people` are the ids of
    the clients who use it now, as far as that is certain. `quiet`: a person of the business has written since, so we
    do not join in; a clear answer still counts.
    """

    channel: str
    text: str
    at: datetime
    address: str | None = None
    people: Collection[int] = ()
    has_media: bool = False
    quiet: bool = False
