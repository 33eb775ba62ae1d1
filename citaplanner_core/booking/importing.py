"""Bringing clients in from a table that somebody kept elsewhere: read, judged line by line, written in batches.

Nothing here tells anybody anything. The same file twice makes no doubles: who has a phone and a name of the file is
filled up, not added again.
"""

import csv
import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, selectinload

from citaplanner_core.booking.clients import looks_like_email
from citaplanner_core.booking.errors import ValidationFailed, plain_text, short_text
from citaplanner_core.booking.models import Client, ClientPhone, Tenant
from citaplanner_core.booking.search import ClientWord, folded_words, words_of
from citaplanner_core.database import current_tenant, utcnow
from citaplanner_core.phones import PhoneNumber, parse_phone

BATCH = 1000
MOST_PHONES = 20
FIELDS: Mapping[str, tuple[str, ...]] = {
    "first_name": ("first name", "firstname", "nombre", "nombres", "name", "given name"),
    "last_name": ("last name", "lastname", "apellido", "apellidos", "surname", "family name"),
    "phone": ("phone", "telefono", "tel", "celular", "movil", "mobile", "whatsapp", "phone number"),
    "email": ("email", "e mail", "correo", "correo electronico", "mail"),
    "birthday": ("birthday", "cumpleanos", "fecha de nacimiento", "nacimiento", "birth date", "date of birth"),
    "notes": ("notes", "notas", "nota", "observaciones", "comentarios"),
}
"""What a column may be called, whatever its accents and capitals; a number after it makes a second one: `phone 2`."""

_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d+")
_DAYS = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was left out: which, which of its fields, and what to do."""

    line: int
    field: str
    cure: str


@dataclass(slots=True)
class Outcome:
    """What came of a file, or would: how many clients are new, filled up, there as they are; and what was refused."""

    columns: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    added: int = 0
    completed: int = 0
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)


@dataclass(slots=True)
class Person:
    """A line that can be brought in. Once it is, `client_id` is whose it became, `added` whether they are new."""

    line: int
    first_name: str
    last_name: str
    email: str | None
    birthday: date | None
    notes: str
    phones: list[PhoneNumber]
    client_id: int | None = None
    added: bool = False

    @property
    def name_key(self) -> tuple[str, ...]:
        return tuple(sorted(folded_words(f"{self.first_name} {self.last_name}")))


def decode(data: bytes) -> str:
    """Return a file's text: UTF-8 with or without its mark, UTF-16 with it, else Windows-1252, as Excel writes."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def read_lines(text: str) -> tuple[dict[str, str], list[str], Iterator[tuple[int, dict[str, list[str]]]]]:
    """Return which column is which field, the columns that are none, and the lines by field with their numbers.

    The separator is what the first line has most of: comma, semicolon or tab. Raises `ValidationFailed` naming `file`
    when the first line does not name a name.
    """
    head = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text.lstrip("\r\n")), delimiter=separator)
    names = next(rows, [])
    known = {name: _field_of(name) for name in names}
    columns = {name: found for name, found in known.items() if found}
    if "first_name" not in columns.values():
        raise ValidationFailed(
            "file",
            "the first line must name the columns, one of them first_name (or nombre); this one has "
            + (", ".join(name for name in names if name.strip()) or "nothing"),
        )

    def lines() -> Iterator[tuple[int, dict[str, list[str]]]]:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            cells: dict[str, list[str]] = {}
            for name, cell in zip(names, row, strict=False):
                if known[name] and cell.strip():
                    cells.setdefault(known[name], []).append(cell.strip())
            if len(row) > len(names) and any(cell.strip() for cell in row[len(names) :]):
                cells["extra"] = row[len(names) :]
            yield rows.line_num, cells

    return columns, [name for name, found in known.items() if not found and name.strip()], lines()


def _field_of(name: str) -> str:
    words = [word for word in folded_words(name.replace("_", " ")) if not word.isdecimal()]
    plain = re.sub(r"\d+$", "", " ".join(words)).strip()
    return next((found for found, others in FIELDS.items() if plain in (found.replace("_", " "), *others)), "")


def import_clients(session: Session, data: bytes) -> Outcome:
    """Bring a table of clients into the session's tenant, and say what came of it; the caller commits, or does not.

    A line with a mistake is left out whole and reported; the others are written. Who is there already, by a phone and
    the same name, gets what was empty and the new phones. Raises `ValidationFailed` when the file is no such table.
    """
    columns, ignored, lines = read_lines(decode(data))
    outcome = Outcome(columns, ignored)
    country = session.get_one(Tenant, current_tenant()).country
    batch: list[Person] = []
    for line, cells in lines:
        try:
            batch.append(person_of(line, cells, country))
        except ValidationFailed as error:
            outcome.refused.append(Refusal(line, error.field or "", str(error).partition(": ")[2]))
        if len(batch) == BATCH:
            write_people(session, batch, outcome)
            batch = []
    write_people(session, batch, outcome)
    return outcome


def person_of(line: int, cells: Mapping[str, Sequence[str]], country: str) -> Person:
    """Return the person of a line's cells, given by field; raise `ValidationFailed` naming the field at fault."""
    if "extra" in cells:
        raise ValidationFailed(
            "line", "has more cells than the first line: put a text that holds the separator in quotes"
        )
    first = " ".join(cells.get("first_name", ()))
    if not first:
        raise ValidationFailed("first_name", "give a name")
    phones: dict[tuple[str, str | None], PhoneNumber] = {}
    for written in cells.get("phone", ()):
        number = _phone(written, country)
        phones.setdefault((number.match_key, number.extension), number)
    email = next(iter(cells.get("email", ())), None)
    if email and not looks_like_email(email):
        raise ValidationFailed("email", f"{email!r} is no address: write it like ana@example.com, or leave it empty")
    if not phones and not email:
        raise ValidationFailed("phone", "give a phone or an e-mail address: without either nobody knows them again")
    if len(phones) > MOST_PHONES:
        raise ValidationFailed("phone", f"give {MOST_PHONES} numbers at most")
    return Person(
        line,
        short_text("first_name", first),
        short_text("last_name", " ".join(cells.get("last_name", ()))),
        short_text("email", email) if email else None,
        _day(next(iter(cells.get("birthday", ())), None)),
        plain_text("notes", "\n".join(cells.get("notes", ()))),
        list(phones.values()),
    )


def _phone(written: str, country: str) -> PhoneNumber:
    written = short_text("phone", written.removeprefix("'"))
    if _SCIENTIFIC.fullmatch(written):
        raise ValidationFailed(
            "phone",
            f"{written!r} is what Excel made of a number, and its last digits are lost: format the column as"
            " text, fill it in again and export anew",
        )
    number = parse_phone(written, country)
    if number is None or number.confidence == "low":
        raise ValidationFailed(
            "phone",
            f"{written!r} is no single whole number: write one a cell, with its area code (+ and the country's"
            " code if it is foreign)",
        )
    return number


def _day(written: str | None) -> date | None:
    if not written:
        return None
    for form in _DAYS:
        try:
            day = date(*time.strptime(written.split(" ")[0].split("T")[0], form)[:3])
        except ValueError:
            continue
        if day <= utcnow().date() and day.year >= 1900:
            return day
    raise ValidationFailed("birthday", f"{written!r} is no day that has been: write it like 1990-02-28 or 28/02/1990")


def write_people(session: Session, batch: Sequence[Person], outcome: Outcome) -> None:
    """Write a batch and count what came of it: one question for who is there, then rows in bulk."""
    known = _known(session, batch)
    new: list[Person] = []
    twins: list[tuple[Person, Person]] = []
    waiting: dict[tuple[str, tuple[str, ...]], Person] = {}
    for person in batch:
        marks = [(mark, person.name_key) for mark in _marks(person)]
        there = next((known[mark] for mark in marks if mark in known), None)
        twin = next((waiting[mark] for mark in marks if mark in waiting), None)
        if there is not None:
            changed = _complete(there, person)
            outcome.completed += changed
            outcome.unchanged += not changed
            known |= dict.fromkeys(marks, there)
            person.client_id = there.id
            continue
        if twin is not None:
            _join(twin, person)
            twins.append((twin, person))
            outcome.unchanged += 1
        else:
            new.append(person)
            outcome.added += 1
        waiting |= dict.fromkeys(marks, twin or person)
    session.flush()
    if new:
        _insert(session, new)
    for twin, person in twins:
        person.client_id = twin.client_id
    session.expunge_all()


def _marks(person: Person) -> list[str]:
    """What one of this name is known again by: numbers, and without any the address."""
    return [phone.match_key for phone in person.phones] or [(person.email or "").lower()]


def _known(session: Session, batch: Sequence[Person]) -> dict[tuple[str, tuple[str, ...]], Client]:
    keys = {phone.match_key for person in batch for phone in person.phones}
    mails = {person.email.lower() for person in batch if person.email and not person.phones}
    holders: list[tuple[str, int]] = [
        (key, client)
        for key, client in session.execute(
            select(ClientPhone.match_key, ClientPhone.client_id).where(ClientPhone.match_key.in_(keys))
        )
    ]
    if mails:
        holders += [
            (word, client)
            for word, client in session.execute(
                select(ClientWord.word, ClientWord.client_id).where(ClientWord.word.in_(mails))
            )
        ]
    clients = {
        one.id: one
        for one in session.scalars(
            select(Client).where(Client.id.in_({client for _, client in holders})).options(selectinload(Client.phones))
        )
    }
    return {(mark, tuple(sorted(folded_words(clients[client].name)))): clients[client] for mark, client in holders}


def _complete(client: Client, person: Person) -> bool:
    """Fill what is empty and add the phones that are new; what is there stays as it is."""
    changed = False
    for name in ("email", "birthday", "notes"):
        if not getattr(client, name) and getattr(person, name):
            setattr(client, name, getattr(person, name))
            changed = True
    has = {(phone.match_key, phone.extension) for phone in client.phones}
    for phone in person.phones:
        if (phone.match_key, phone.extension) not in has:
            client.phones.append(ClientPhone(**_phone_row(phone)))
            changed = True
    return changed


def _join(twin: Person, person: Person) -> None:
    """The same person on two lines of one file."""
    twin.email, twin.birthday = twin.email or person.email, twin.birthday or person.birthday
    twin.notes = twin.notes or person.notes
    has = {(phone.match_key, phone.extension) for phone in twin.phones}
    twin.phones += [phone for phone in person.phones if (phone.match_key, phone.extension) not in has]


def _phone_row(phone: PhoneNumber) -> dict[str, str | None]:
    names = ("raw", "e164", "match_key", "confidence", "extension")
    return {name: getattr(phone, name) for name in names}


def _insert(session: Session, people: Sequence[Person]) -> None:
    names = ("first_name", "last_name", "email", "birthday", "notes")
    rows = [{name: getattr(person, name) for name in names} for person in people]
    made = insert(Client).returning(Client.id, sort_by_parameter_order=True)
    ids = session.scalars(made, rows).all()
    for client, person in zip(ids, people, strict=True):
        person.client_id, person.added = client, True
    numbers = [
        {"client_id": client, **_phone_row(phone)}
        for client, person in zip(ids, people, strict=True)
        for phone in person.phones
    ]
    if numbers:
        session.execute(insert(ClientPhone), numbers)
    words = [
        {"client_id": client, "word": word}
        for client, person in zip(ids, people, strict=True)
        for word in words_of(person.first_name, person.last_name, person.email)
    ]
    if words:
        session.execute(insert(ClientWord), words)
