"""A text as a client would read it, before it is saved or sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Appointment, Tenant
from citaplanner_core.database import current_tenant, database_now
from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications import own_texts
from citaplanner_core.notifications.catalogue import Text, find_text, known_language
from citaplanner_core.notifications.catalogue import language as texts_in
from citaplanner_core.notifications.sms import Segments, count_segments, fold
from citaplanner_core.notifications.templates import render_text
from citaplanner_core.notifications.variables import KNOWN_NAMES, appointment_variables, given_variables, moment

LINK = "https://citas.example/r/Abc123Def456"
PLACEHOLDERS = {
    "es": {
        "clientName": "Laura Gómez",
        "clientFirstName": "Laura",
        "clientLastName": "Gómez",
        "recipientName": "Laura Gómez",
        "recipientFirstName": "Laura",
        "clientEmail": "laura@example.com",
        "clientPhone": "+525512345678",
        "serviceName": "Consulta",
        "serviceDuration": "45 minutos",
        "duration": "45 minutos",
        "professionalName": "Dra. Ana Ruiz",
        "staffName": "Dra. Ana Ruiz",
        "branchName": "Centro",
        "branchAddress": "Av. Ejemplo 123, Centro",
        "branchPhone": "55 5555 0100",
        "timeUntil": "1 día",
        "promotionMessage": "Este mes, 20 % de descuento en tu próxima visita.",
        "amount": "$450.00",
        "invoiceNumber": "A-12",
        "replyText": "sí, confirmo",
    },
    "en": {
        "serviceName": "Consultation",
        "serviceDuration": "45 minutes",
        "duration": "45 minutes",
        "timeUntil": "1 day",
        "promotionMessage": "This month, 20% off your next visit.",
        "replyText": "yes, I confirm",
    },
}
"""Whom and what a preview speaks of when no appointment is named."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A message as it would be read. `segments` only for text messages; `warnings` are whole sentences."""

    subject: str | None
    body: str
    question: str | None
    segments: Segments | None
    warnings: tuple[str, ...]


def preview(
    session: Session,
    place: tuple[str, str, str, str],
    *,
    subject: str | None = None,
    body: str | None = None,
    appointment: Appointment | None = None,
    given: Mapping[str, object] | None = None,
) -> Preview:
    """Return what a text would say in a place (see `own_texts.find_place`).

    Without `body` it is the text in use there. The values are those of an appointment, else samples; `given` beats
    both. Nothing is written. Raises `ValidationFailed` and `TemplateError`.
    """
    key, channel, code, tone = place
    tenant = session.get_one(Tenant, current_tenant())
    tone = tone or tenant.tone
    family = own_texts.family_of(channel)
    ours = find_text(key, family=family, code=code, tone=tone)
    if body is None:
        text = own_texts.choose_text(session, key, channel=channel, family=family, language=code, tone=tone)
    else:
        own_texts.check(place, subject=subject, body=body)
        text = own_texts.own_text(ours, subject=subject, body=body)
    values = sample_values(session, tenant, code, appointment) | given_variables(
        given or {}, tenant, language_code=code
    )
    rendered = render_text(text, family=family, variables=values)
    if family != "short":
        return Preview(rendered.subject, rendered.body, rendered.question, None, _warnings(key, family, ours, text))
    said = fold(rendered.body) if tenant.folds_sms else rendered.body
    segments = count_segments(said)
    return Preview(None, said, rendered.question, segments, _warnings(key, family, ours, text, segments))


def _warnings(
    key: str, family: TextFamily, ours: Text, text: Text, segments: Segments | None = None
) -> tuple[str, ...]:
    found = []
    if segments and segments.segments > 1:
        found.append(f"This needs {segments.segments} text messages: each is paid for.")
    if segments and segments.encoding == "UCS-2":
        found.append("Some characters are outside the GSM alphabet: a message holds only 70 characters, not 160.")
    if ours.question == "confirm" != text.question:
        found.append("It does not offer 1, 2 and 3: an answer of one digit will not be understood.")
    stops = ("unsubscribeUrl", "NO PROMO", "BAJA", "STOP")
    if key == "PROMOTION" and family != "push" and not any(word in text.body for word in stops):
        found.append("It does not say how to get no more promotions: add NO PROMOCIONES or {{unsubscribeUrl}}.")
    return tuple(found)


def sample_values(
    session: Session, tenant: Tenant, code: str, appointment: Appointment | None = None
) -> dict[str, object]:
    """Return a value for every variable: an appointment's, else samples; empty for what is often not known."""
    now = database_now(session)
    spanish = PLACEHOLDERS["es"]
    empty: dict[str, object] = dict.fromkeys(KNOWN_NAMES, "")
    sample = {**empty, **spanish, **PLACEHOLDERS.get(known_language(code), spanish)}
    sample |= {"businessName": tenant.name, "manageUrl": LINK} | _times(now, tenant.zone, code)
    if appointment is None:
        return sample
    known = appointment_variables(appointment, tenant, language_code=code, now=now, manage_url=LINK)
    about = {name: value for name, value in sample.items() if name not in known}
    return {**about, **known}


def _times(now: datetime, zone: str, code: str) -> dict[str, object]:
    """Tomorrow at ten, and what was or will be then."""
    wording = texts_in(known_language(code)).wording
    day: date = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    at = datetime.combine(day, time(10), ZoneInfo(zone)).astimezone(UTC)
    date_long, date_short, hour = moment(at.astimezone(ZoneInfo(zone)), wording)
    names = ("appointment", "new", "old")
    return {
        **{f"{name}Date": date_long for name in (*names, "due")},
        **{f"{name}DateShort": date_short for name in (*names, "due")},
        **{f"{name}Time": hour for name in names},
        "appointmentDateTime": wording.date_time.format(date=date_long, time=hour),
        "appointmentDay": wording.tomorrow,
        "appointmentAtTime": wording.at_time.format(time=hour),
        "appointmentStatus": wording.status["CONFIRMED"],
        "promotionValidUntil": date_long,
        "promotionValidUntilShort": date_short,
        "nextOpening": wording.date_time.format(date=date_long, time=hour),
        "slots": f"1) {date_long}, {hour}",
        "candidates": f"1) {date_long}, {hour}",
    }
