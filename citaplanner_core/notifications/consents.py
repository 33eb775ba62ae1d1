"""What clients want of messages: consents, pauses, who gets them instead."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import update_client
from citaplanner_core.booking.errors import ValidationFailed, find, one_of, plain_text, utc
from citaplanner_core.booking.models import Client
from citaplanner_core.database import utcnow
from citaplanner_core.notifications import replanning
from citaplanner_core.notifications.policy_models import ANY_CHANNEL, MARKETING, SERVICE, Consent
from citaplanner_core.notifications.service import find_channel

PURPOSES = (SERVICE, MARKETING)


def record_consent(
    session: Session,
    client_id: int,
    *,
    given: bool,
    source: str,
    purpose: str = MARKETING,
    channel: str = ANY_CHANNEL,
    version: int | None = None,
    at: datetime | None = None,
) -> Consent:
    """Keep that a client agreed to be told things over a channel (`*` = any), or refused; return the row.

    `source` says where they said so, such as `booking form`, `version` which text they read there; `at` (aware) when,
    now if None. Raises `NotFound`,
    `ValidationFailed`, `NotificationRefused` for an unknown channel.
    """
    find(session, Client, client_id, "client_id")
    source = plain_text("source", source)
    if not source:
        raise ValidationFailed("source", "say where they said so, such as booking form")
    row = Consent(
        client_id=client_id,
        channel=ANY_CHANNEL if channel == ANY_CHANNEL else find_channel(channel),
        purpose=one_of("purpose", purpose, PURPOSES),
        given=given,
        source=source,
        version=version,
        at=utcnow() if at is None else utc("at", at),
    )
    session.add(row)
    session.flush()
    return row


def list_consents(session: Session, client_id: int) -> list[Consent]:
    """Return what holds: the latest word on each (purpose, channel), oldest first."""
    rows = session.scalars(select(Consent).where(Consent.client_id == client_id).order_by(Consent.at, Consent.id))
    latest = {(row.purpose, row.channel): row for row in rows}
    return sorted(latest.values(), key=lambda row: (row.at, row.id))


def words_of(session: Session, clients: Collection[int]) -> dict[int, dict[tuple[str, str], bool]]:
    """Return what each of these clients last said, by (purpose, channel): True = yes."""
    said: dict[int, dict[tuple[str, str], bool]] = {}
    for row in session.scalars(select(Consent).where(Consent.client_id.in_(clients)).order_by(Consent.at, Consent.id)):
        said.setdefault(row.client_id, {})[row.purpose, row.channel] = row.given
    return said


def consented(session: Session, client_id: int, channels: Sequence[str], *, marketing: bool) -> list[str]:
    """Return those channels, in their order, over which the client may be told this; see `allowed_by`."""
    return allowed_by(words_of(session, [client_id]).get(client_id, {}), channels, marketing=marketing)


def allowed_by(said: Mapping[tuple[str, str], bool], channels: Sequence[str], *, marketing: bool) -> list[str]:
    """Return those channels, in their order, over which one who said this may be told something.

    Marketing needs a yes; other messages only no refusal. What was said of a channel prevails over what was said of
    all, whichever came later; who refuses all service messages gets no marketing either.
    """

    def word(purpose: str, channel: str) -> bool | None:
        return said.get((purpose, channel), said.get((purpose, ANY_CHANNEL)))

    served = [channel for channel in channels if word(SERVICE, channel) is not False]
    return [channel for channel in served if word(MARKETING, channel)] if marketing else served


def pause_messages(session: Session, client_id: int, until: datetime, why: str) -> None:
    """Let automatic messages to a client wait until `until` (aware), because of `why`; never shortens a pause."""
    until = utc("until", until)
    session.execute(
        update(Client)
        .where(Client.id == client_id, or_(Client.paused_until.is_(None), Client.paused_until < until))
        .values(paused_until=until, paused_why=plain_text("why", why))
    )


def set_preferences(
    session: Session,
    client_id: int,
    *,
    given: Collection[str],
    do_not_message: bool = False,
    preferred_channel: str | None = None,
    responsible_id: int | None = None,
) -> Client:
    """Change those of a client's preferences that `given` names; messages that wait follow a new responsible person.

    Raises `NotFound`, `ValidationFailed`, `NotificationRefused` for an unknown channel.
    """
    client = find(session, Client, client_id, "client_id")
    before = client.responsible_id
    if "do_not_message" in given:
        update_client(session, client_id, do_not_message=do_not_message)
    if "preferred_channel" in given:
        key = find_channel(preferred_channel) if preferred_channel else None
        update_client(session, client_id, preferred_channel=key)
    if "responsible_id" in given:
        update_client(session, client_id, responsible_id=responsible_id)
    if client.responsible_id != before:
        replanning.replan_client(session, client_id)
    return client
