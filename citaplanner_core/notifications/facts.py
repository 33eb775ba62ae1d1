"""What is true of a notification at the moment it leaves, read in two statements.

Each statement of a message costs processor time, each object of a session more. What is rare (staff, an attempt before,
somebody else than the client coming) is read on its own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Text, bindparam, case, cast, func, literal_column, null, or_, select, union_all
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Appointment, Branch, Client, ClientPhone, Professional, Service, Tenant
from citaplanner_core.columns import server_clock
from citaplanner_core.database import current_tenant, tenant_connection, utcnow
from citaplanner_core.hooks import dispatch, settings
from citaplanner_core.hooks.models import PluginSetting, TenantPlugin
from citaplanner_core.hooks.types import Recipient
from citaplanner_core.notifications.catalogue import known_language, text_names
from citaplanner_core.notifications.models import ChannelState, Delivery, Notification
from citaplanner_core.notifications.opt_outs import OptOut, address_key, refused_by
from citaplanner_core.notifications.own_texts import MessageTemplate, OwnText
from citaplanner_core.notifications.policy_models import Consent, NotificationRule
from citaplanner_core.notifications.rules import Rule, rule_in_force
from citaplanner_core.notifications.staff_models import StaffContact


@dataclass(frozen=True, slots=True)
class Intent:
    """The notification as it was planned. What the fields mean: `Notification`."""

    id: int
    type: str
    rule: str
    recipient_id: int | None
    staff_contact_id: int | None
    appointment_id: int | None
    campaign_id: int | None
    schedule_version: int | None
    channel: str | None
    template: str | None
    message: str | None
    variables: dict[str, Any]
    dedupe_key: str
    expires_at: datetime | None
    prompted: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Business:
    """The tenant."""

    id: int
    name: str
    country: str
    language: str
    zone: str
    tone: str
    folds_sms: bool
    active: bool
    quiet_from: str | None
    quiet_until: str | None
    daily_limit: int | None
    feedback_url: str | None


@dataclass(frozen=True, slots=True)
class Phone:
    """One number of a person."""

    e164: str


@dataclass(frozen=True, slots=True)
class Person:
    """A client."""

    id: int
    first_name: str
    last_name: str
    email: str | None
    language: str | None
    preferred_channel: str | None
    do_not_message: bool
    paused_until: datetime | None
    paused_why: str | None
    active: bool
    phones: tuple[Phone, ...]

    @property
    def name(self) -> str:
        """First and last name, as one writes them."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Place:
    """The branch."""

    name: str
    zone: str
    address: str
    phone: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The service."""

    name: str
    duration_minutes: int
    is_discreet: bool


@dataclass(frozen=True, slots=True)
class Giver:
    """The professional."""

    name: str


@dataclass(frozen=True, slots=True)
class Visit:
    """The appointment."""

    id: int
    branch_id: int
    client_id: int
    start: datetime
    status: str
    schedule_version: int
    answer: str
    cancel_reason: str | None
    branch: Place
    service: Offer
    professional: Giver
    client: Person


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tenant and a person allow: settings by plugin, words and stops of the person, the tenant's own texts."""

    settings: Mapping[str, settings.Settings]
    said: Mapping[tuple[str, str], bool]
    stops: Sequence[tuple[str, str, str | None]]
    texts: Sequence[OwnText]

    def refusal(self, channel: str, address: str, *, marketing: bool) -> str | None:
        """Return why the person must not be written to at an address, as `opt_outs.refusal` does."""
        if not self.stops:
            return None
        key = address_key(address)
        whose = [(scope, said) for scope, said, stopped in self.stops if stopped is None or stopped == key]
        return refused_by(whose, channel, marketing=marketing)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one message. `rule` is the one that planned it, None where it is not in force any more.

    `switched_on` are plugins, `noted` the channels that have a `ChannelState`; `last_id` is the latest attempt's.
    """

    intent: Intent
    tenant: Business
    client: Person | None
    staff: StaffContact | None
    visit: Visit | None
    rule: Rule | None
    switched_on: frozenset[str]
    noted: frozenset[str]
    last_id: int | None
    now: datetime

    @property
    def recipient(self) -> Person:
        """The client we write to; only for notifications that go to one."""
        assert self.client is not None, f"notification {self.intent.id} goes to no client"
        return self.client


def _table(model: Any) -> Any:
    return model.__table__


_note, _tenant, _client, _phone = map(_table, (Notification, Tenant, Client, ClientPhone))
_visit, _branch, _service, _professional = map(_table, (Appointment, Branch, Service, Professional))
_rule, _plugin, _state, _delivery = map(_table, (NotificationRule, TenantPlugin, ChannelState, Delivery))
_setting, _consent, _stop, _text = map(_table, (PluginSetting, Consent, OptOut, MessageTemplate))
_RULE = tuple(field.name for field in fields(Rule))
_ZERO: Any = literal_column("0")
_TENANT: Any = bindparam("tenant_id")


def _columns(table: Any, kind: Any) -> list[Any]:
    return [table.c[field.name] for field in fields(kind) if field.name in table.c]


_PARTS = (
    _columns(_note, Intent),
    _columns(_tenant, Business),
    [*_columns(_client, Person), _phone.c.e164],
    _columns(_visit, Visit),
    _columns(_branch, Place),
    _columns(_service, Offer),
    _columns(_professional, Giver),
    [_rule.c[name] for name in _RULE],
    [
        select(func.aggregate_strings(_plugin.c.plugin, " "))
        .where(_plugin.c.tenant_id == _TENANT, _plugin.c.enabled)
        .scalar_subquery(),
        select(func.aggregate_strings(_state.c.channel, " ")).where(_state.c.tenant_id == _TENANT).scalar_subquery(),
        select(func.max(_delivery.c.id))
        .where(_delivery.c.tenant_id == _TENANT, _delivery.c.notification_id == _note.c.id)
        .scalar_subquery(),
        server_clock(),
    ],
)


def _of_tenant(table: Any, key: Any) -> Any:
    return (table.c.tenant_id == _TENANT) & (table.c.id == key)


_MESSAGE = (
    select(*(column for part in _PARTS for column in part))
    .select_from(
        _note.join(_tenant, _tenant.c.id == _note.c.tenant_id)
        .outerjoin(_client, _of_tenant(_client, _note.c.recipient_id))
        .outerjoin(_phone, (_phone.c.tenant_id == _TENANT) & (_phone.c.client_id == _client.c.id))
        .outerjoin(_visit, _of_tenant(_visit, _note.c.appointment_id))
        .outerjoin(_branch, _of_tenant(_branch, _visit.c.branch_id))
        .outerjoin(_service, _of_tenant(_service, _visit.c.service_id))
        .outerjoin(_professional, _of_tenant(_professional, _visit.c.professional_id))
        .outerjoin(_rule, (_rule.c.tenant_id == _TENANT) & (_rule.c.name == _note.c.rule))
    )
    .where(_of_tenant(_note, bindparam("id")))
    .order_by(_phone.c.id)
)
_PERSON = (
    select(*_PARTS[2])
    .select_from(_client.outerjoin(_phone, (_phone.c.tenant_id == _TENANT) & (_phone.c.client_id == _client.c.id)))
    .where(_of_tenant(_client, bindparam("id")))
    .order_by(_phone.c.id)
)


def _rows(kind: str, *columns: Any, number: Any = _ZERO) -> Any:
    empty = [cast(null(), Text)] * (5 - len(columns))
    return select(literal_column(f"'{kind}'"), number, *columns, *empty)


_CLIENT: Any = bindparam("client_id")
_STANDING = union_all(
    _rows(
        "setting", _setting.c.plugin, _setting.c.key, cast(_setting.c.value, Text), cast(_setting.c.secret, Text)
    ).where(_setting.c.tenant_id == _TENANT, _setting.c.plugin.in_(bindparam("plugins", expanding=True))),
    _rows(
        "said",
        _consent.c.purpose,
        _consent.c.channel,
        case((_consent.c.given, "yes"), else_="no"),
        number=func.row_number().over(order_by=(_consent.c.at, _consent.c.id)),
    ).where(_consent.c.tenant_id == _TENANT, _consent.c.client_id == _CLIENT),
    _rows("stop", _stop.c.scope, _stop.c.channel, _stop.c.address).where(
        _stop.c.tenant_id == _TENANT,
        or_(_stop.c.client_id == _CLIENT, _stop.c.address.in_(bindparam("addresses", expanding=True))),
    ),
    _rows("text", *(_text.c[field.name] for field in fields(OwnText))).where(
        _text.c.tenant_id == _TENANT,
        _text.c.language == bindparam("language"),
        _text.c.key.in_(bindparam("texts", expanding=True)),
    ),
)


def read_facts(session: Session, notification_id: int) -> Facts:
    """Read all that decides on a notification of the session's tenant, as it is now. Raises `NoResultFound`."""
    tenant = current_tenant()
    connection = tenant_connection(session)
    found = connection.execute(_MESSAGE, {"tenant_id": tenant, "id": notification_id})
    rows = [tuple(row) for row in found]
    row, parts = rows[0], []
    begin = 0
    for part in _PARTS:
        parts.append(row[begin : begin + len(part)])
        begin += len(part)
    note, business, person, visit, place, offer, giver, own, (on, noted, last_id, now) = parts
    intent, tenant_facts = Intent(*note), Business(*business)
    at = len(note) + len(business) + len(person) - 1
    client = _person(person, [row[at] for row in rows])
    return Facts(
        intent=intent,
        tenant=tenant_facts,
        client=client,
        staff=session.get_one(StaffContact, intent.staff_contact_id) if intent.staff_contact_id else None,
        visit=_visit_of(session, visit, Place(*place), Offer(*offer), Giver(*giver), client),
        rule=rule_in_force(
            intent.rule,
            None if own[0] is None else dict(zip(_RULE, own, strict=True)),
            asks=tenant_facts.feedback_url is not None,
        ),
        switched_on=dispatch.loaded((on or "").split()),
        noted=frozenset((noted or "").split()),
        last_id=last_id,
        now=now or utcnow(),
    )


def _person(columns: Sequence[Any], phones: Sequence[str | None]) -> Person | None:
    if columns[0] is None:
        return None
    values: list[Any] = [*columns[:-1], tuple(Phone(one) for one in phones if one)]
    return Person(*values)


def _visit_of(
    session: Session, columns: Sequence[Any], place: Place, offer: Offer, giver: Giver, client: Person | None
) -> Visit | None:
    if columns[0] is None:
        return None
    client_id = columns[2]
    if client is None or client.id != client_id:
        given = {"tenant_id": current_tenant(), "id": client_id}
        rows = [tuple(row) for row in tenant_connection(session).execute(_PERSON, given)]
        client = _person(rows[0], [row[-1] for row in rows])
        assert client is not None
    values: list[Any] = [*columns, place, offer, giver, client]
    return Visit(*values)


def read_standing(
    session: Session, facts: Facts, recipient: Recipient, plugins: Collection[str], addresses: Collection[str]
) -> Standing:
    """Read what the tenant's plugins are told to do, and what the recipient wants, by these addresses too."""
    text = facts.intent.template or facts.intent.type
    given = {
        "tenant_id": facts.tenant.id,
        "client_id": recipient.client_id or 0,
        "plugins": list(plugins),
        "addresses": [address_key(address) for address in addresses],
        "language": known_language(recipient.language),
        "texts": text_names(text),
    }
    stored: dict[str, dict[str, tuple[str | None, str | None]]] = {plugin: {} for plugin in plugins}
    said, stops, texts = [], [], []
    for kind, number, *values in tenant_connection(session).execute(_STANDING, given):
        if kind == "setting":
            stored[values[0]][values[1]] = values[2], values[3]
        elif kind == "said":
            said.append((number, (values[0], values[1]), values[2] == "yes"))
        elif kind == "stop":
            stops.append((values[0], values[1], values[2]))
        else:
            texts.append(OwnText(*values))
    return Standing(
        {plugin: settings.of_rows(plugin, rows) for plugin, rows in stored.items()},
        {place: given for _, place, given in sorted(said)},
        stops,
        texts,
    )
