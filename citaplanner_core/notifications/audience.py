"""Who is in a campaign's audience and who is not, and why."""

from calendar import monthrange
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session, selectinload

from citaplanner_core.booking.models import COMPLETED, CONFIRMED, LIVE_STATES, Appointment, Client, Tenant
from citaplanner_core.database import current_tenant, database_now
from citaplanner_core.hooks import dispatch
from citaplanner_core.notifications.catalogue import known_language
from citaplanner_core.notifications.choice import recipient_of
from citaplanner_core.notifications.consents import allowed_by, words_of
from citaplanner_core.notifications.opt_outs import OptOut, address_key, refused_by
from citaplanner_core.notifications.service import enabled_channels

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Audience:
    """Which clients are meant; what is None asks nothing, the rest must all be so.

    `no_visit_months`: known for so many months, did not come in them and has no appointment ahead. `min_visits`: came
    at least so often. `birthday`: this month, or today. A visit is an appointment marked completed, or a confirmed one
    that is over. Consent to marketing is always required.
    """

    language: str | None = None
    no_visit_months: int | None = None
    min_visits: int | None = None
    birthday: Literal["month", "today"] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A client: in when there are no `reasons`, else out because of them. `channel` is where they would be told."""

    client: Client
    channel: str | None
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Survey:
    """The whole audience in numbers: those in, by channel, and those out, by the first reason."""

    members: int = 0
    out: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[Client]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Visits:
    count: int = 0
    last: datetime | None = None
    ahead: bool = False


def survey(session: Session, audience: Audience, channel: str | None, *, samples: int) -> Survey:
    """Return the audience in numbers, with up to `samples` of its clients for each channel."""
    found = Survey()
    for one in _all(session, audience, channel):
        if one.reasons:
            found.out[one.reasons[0]] += 1
            continue
        key = one.channel or ""
        found.members += 1
        found.channels[key] += 1
        kept = found.samples.setdefault(key, [])
        if len(kept) < samples:
            kept.append(one.client)
    return found


def _all(session: Session, audience: Audience, channel: str | None) -> Iterator[Candidate]:
    after = 0
    while chunk := candidates(session, audience, channel, after=after, limit=CHUNK):
        yield from chunk
        after = chunk[-1].client.id


def candidates(
    session: Session, audience: Audience, channel: str | None, *, after: int, limit: int
) -> Sequence[Candidate]:
    """Return the clients after an id, by id, each in or out. `channel` None: the client's own, else the first on."""
    clients = session.scalars(
        select(Client).options(selectinload(Client.phones)).where(Client.id > after).order_by(Client.id).limit(limit)
    ).all()
    if not clients:
        return ()
    tenant = session.get_one(Tenant, current_tenant())
    now = database_now(session)
    ids = [client.id for client in clients]
    visits, words = _visits(session, ids, now), words_of(session, ids)
    stops = _Stops(session, clients)
    on = enabled_channels(session)
    found = []
    for client in clients:
        out = [*_not_meant(client, visits.get(client.id, _Visits()), audience, tenant, now)]
        wanted = [channel] if channel else sorted(on, key=lambda key: key != client.preferred_channel)
        place, trouble = _reach(client, tenant, wanted, words.get(client.id, {}), stops)
        found.append(Candidate(client, place, (*out, *((trouble,) if trouble else ()))))
    return found


def _not_meant(client: Client, visits: _Visits, audience: Audience, tenant: Tenant, now: datetime) -> Iterator[str]:
    zone = ZoneInfo(tenant.zone)
    today = now.astimezone(zone).date()
    if audience.language and known_language(client.language or tenant.language) != audience.language:
        yield "other_language"
    if audience.birthday and not _has_birthday(client.birthday, today, audience.birthday):
        yield "no_birthday"
    if audience.min_visits is not None and visits.count < audience.min_visits:
        yield "too_few_visits"
    if audience.no_visit_months is not None:
        since = datetime.combine(months_before(today, audience.no_visit_months), time(), zone)
        if visits.last is not None and visits.last >= since:
            yield "visited_since"
        elif visits.ahead:
            yield "appointment_ahead"
        elif client.created_at >= since:
            yield "new_client"


def _has_birthday(birthday: date | None, today: date, when: Literal["month", "today"]) -> bool:
    """Who was born on February 29 has it on the 28th in other years."""
    if birthday is None or (when == "month" and birthday.month != today.month):
        return False
    kept_on = min(birthday.day, monthrange(today.year, birthday.month)[1])
    return when == "month" or (birthday.month, kept_on) == (today.month, today.day)


def months_before(day: date, months: int) -> date:
    """Return the same day of a month so many months earlier, its last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


class _Stops:
    """What stops messages to some clients, read at once."""

    def __init__(self, session: Session, clients: Sequence[Client]) -> None:
        addresses = {phone.match_key for client in clients for phone in client.phones}
        addresses |= {address_key(client.email) for client in clients if client.email}
        whose = or_(OptOut.client_id.in_([client.id for client in clients]), OptOut.address.in_(addresses))
        self._of: dict[int | str, list[tuple[str, str]]] = {}
        for row in session.scalars(select(OptOut).where(whose)):
            self._of.setdefault(row.address or row.client_id or 0, []).append((row.scope, row.channel))

    def refusal(self, client: Client, channel: str, address: str) -> str | None:
        """Return why an address must not get marketing over a channel, None when it may."""
        stops = [*self._of.get(client.id, ()), *self._of.get(address_key(address), ())]
        return refused_by(stops, channel, marketing=True)


def _reach(
    client: Client, tenant: Tenant, wanted: Sequence[str], words: Mapping[tuple[str, str], bool], stops: _Stops
) -> tuple[str | None, str | None]:
    """Return (channel, None), or (None, why there is none): as `choice.choose` will when it is sent."""
    if not client.active or client.do_not_message:
        return None, "do_not_message"
    if not wanted:
        return None, "channel_off"
    allowed = allowed_by(words, wanted, marketing=True)
    recipient = recipient_of(client, tenant)
    refusals = []
    for key in wanted:
        address = dispatch.channels()[key][1].address_of(recipient)
        if address is None:
            continue
        refused = stops.refusal(client, key, address)
        if refused is None and key in allowed:
            return key, None
        refusals.append(refused or "no_consent")
    return None, refusals[0] if refusals else "no_address"


def _visits(session: Session, clients: Sequence[int], now: datetime) -> dict[int, _Visits]:
    came = or_(Appointment.status == COMPLETED, and_(Appointment.status == CONFIRMED, Appointment.end <= now))
    ahead = and_(Appointment.status.in_(LIVE_STATES), Appointment.start > now)
    rows = session.execute(
        select(
            Appointment.client_id,
            func.sum(case((came, 1), else_=0)),
            func.max(case((came, Appointment.start))),
            func.sum(case((ahead, 1), else_=0)),
        )
        .where(Appointment.client_id.in_(clients))
        .group_by(Appointment.client_id)
    )
    return {client: _Visits(count, last, ahead > 0) for client, count, last, ahead in rows}
