"""Clients and their phones. These functions take the session of an open `work(tenant)` and never commit."""

from collections.abc import Iterable
from datetime import date
from typing import TypedDict, Unpack

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking import search as search
from citaplanner_core.booking.errors import NotFound, ValidationFailed, find, plain_text, short_text
from citaplanner_core.booking.models import Appointment, Client, ClientPhone, Tenant
from citaplanner_core.database import current_tenant, utcnow
from citaplanner_core.phones import parse_phone


class ClientValues(TypedDict, total=False):
    """What `update_client` can change."""

    first_name: str
    last_name: str
    email: str | None
    language: str | None
    birthday: date | None
    preferred_channel: str | None
    do_not_message: bool
    responsible_id: int | None
    notes: str
    active: bool


def create_client(
    session: Session,
    *,
    first_name: str,
    last_name: str = "",
    email: str | None = None,
    phones: Iterable[str] = (),
    language: str | None = None,
    birthday: date | None = None,
    notes: str = "",
) -> Client:
    """Add a client with phones as people type them; return it with its id.

    `language` is a code such as `es`; None means the tenant's. Raises `ValidationFailed` naming the field.
    """
    client = Client()
    _assign(
        client,
        {
            "first_name": first_name,
            "last_name": last_name,
            "email": email,
            "language": language,
            "birthday": birthday,
            "notes": notes,
        },
    )
    session.add(client)
    session.flush()
    for text in phones:
        add_phone(session, client, text)
    return client


def update_client(session: Session, client_id: int, **values: Unpack[ClientValues]) -> Client:
    """Change the given fields of a client; raise `NotFound` or `ValidationFailed` naming the field."""
    client = find(session, Client, client_id, "client_id")
    responsible = values.get("responsible_id")
    if responsible is not None:
        if responsible == client_id:
            raise ValidationFailed("responsible_id", "leave it out: everybody gets their own messages anyway")
        find(session, Client, responsible, "responsible_id", lock="stays")
    _assign(client, values)
    session.flush()
    return client


def hold_leaving(session: Session, **client_ids: int) -> None:
    """Hold clients, named by the field they came in, so that one of them can go: nobody writes what refers to them.

    Their appointments are held before, and those whose messages they get, as the verbs do it. One such unit at a time
    in a business: each sees what the one before did, and they cannot block each other. Raises `NotFound`.
    """
    fields = sorted(client_ids.items(), key=lambda given: given[1])
    for field, client_id in fields:
        find(session, Client, client_id, field)
    session.get_one(Tenant, current_tenant(), with_for_update={"key_share": True})
    ids = set(client_ids.values())
    concerned = ids.union(session.scalars(select(Client.id).where(Client.responsible_id.in_(ids))))
    theirs = select(Appointment.id).where(Appointment.client_id.in_(concerned)).order_by(Appointment.id)
    session.execute(theirs.with_for_update(key_share=True)).all()
    for field, client_id in fields:
        find(session, Client, client_id, field, lock="goes")


def delete_client(session: Session, client_id: int) -> None:
    """Erase a client for good, with phones, appointments and messages, telling nobody; raise `NotFound`.

    To keep the history, set `active=False` with `update_client` instead.
    """
    hold_leaving(session, client_id=client_id)
    client = find(session, Client, client_id, "client_id")
    session.execute(update(Client).where(Client.responsible_id == client_id).values(responsible_id=None))
    session.delete(client)
    session.flush()
    session.expire_all()


def add_phone(session: Session, client: Client, text: str, *, label: str = "") -> ClientPhone:
    """Add a number, read as one of the tenant's country where it names none itself, and return its row.

    A number (and extension) that this client has already is returned as it is. Several clients may share one.
    Raises `ValidationFailed` naming `phone` when `text` holds no phone.
    """
    text, label = short_text("phone", text), short_text("label", label)
    tenant = session.get_one(Tenant, current_tenant())
    number = parse_phone(text, region=tenant.country)
    if number is None:
        raise ValidationFailed("phone", "give a whole phone number; begin with + and the country code if it is foreign")
    find(session, Client, client.id, "client_id", lock=True)
    existing = session.scalar(
        select(ClientPhone).where(
            ClientPhone.client_id == client.id,
            ClientPhone.match_key == number.match_key,
            ClientPhone.extension.is_not_distinct_from(number.extension),
        )
    )
    if existing is not None:
        return existing
    phone = ClientPhone(
        raw=text,
        e164=number.e164,
        match_key=number.match_key,
        confidence=number.confidence,
        extension=number.extension,
        label=label,
    )
    client.phones.append(phone)
    session.flush()
    return phone


def remove_phone(session: Session, client_id: int, phone_id: int) -> None:
    """Take a phone from a client; raise `NotFound`."""
    client = find(session, Client, client_id, "client_id")
    phone = find(session, ClientPhone, phone_id, "phone_id")
    if phone.client_id != client.id:
        raise NotFound("phone_id", phone_id)
    client.phones.remove(phone)
    session.flush()


def find_by_match_key(session: Session, match_key: str) -> list[Client]:
    """Return the active clients who have a phone with this key, oldest first: none, one, or a family."""
    holders = select(ClientPhone.client_id).where(ClientPhone.match_key == match_key)
    return list(session.scalars(select(Client).where(Client.active, Client.id.in_(holders)).order_by(Client.id)))


def _assign(client: Client, values: ClientValues) -> None:
    for field, value in values.items():
        if field not in ClientValues.__annotations__:
            raise ValidationFailed(field, f"a client has {', '.join(ClientValues.__annotations__)}")
        if isinstance(value, str):
            value = plain_text(field, value) if field == "notes" else short_text(field, value)
        setattr(client, field, value)
    if not client.first_name:
        raise ValidationFailed("first_name", "give a first name")
    client.email = client.email or None
    if client.email is not None and not looks_like_email(client.email):
        raise ValidationFailed("email", "write it like ana@example.com, or leave it out")
    if client.birthday is not None and client.birthday > utcnow().date():
        raise ValidationFailed("birthday", "give a day that has been")


def looks_like_email(text: str) -> bool:
    """Tell whether a text has the form of an e-mail address."""
    name, _, domain = text.rpartition("@")
    return bool(name and domain) and not any(character.isspace() for character in text)
