"""The variables of message texts: which there are, and their values for a client and an appointment."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from babel.dates import format_date, format_time, get_timezone_location
from babel.lists import format_list
from babel.numbers import format_currency, get_territory_currencies
from babel.units import format_unit
from phonenumbers.timezone import time_zones_for_number

from citaplanner_core.notifications.catalogue import Wording, known_language, language
from citaplanner_core.notifications.shapes import Business, Person, Visit

CLIENT_NAMES = (
    *("clientName", "clientFirstName", "clientLastName", "clientEmail", "clientPhone"),
    *("recipientName", "recipientFirstName"),
    *("businessName", "businessPhone", "businessAddress", "businessEmail"),
    *("bookingUrl", "panelUrl"),
)
"""What `client_variables` gives."""

APPOINTMENT_NAMES = (
    *("appointmentDate", "appointmentDateShort", "appointmentTime", "appointmentDateTime"),
    *("appointmentDay", "appointmentAtTime", "appointmentStatus", "timeUntil"),
    *("oldDate", "oldDateShort", "oldTime", "newDate", "newDateShort", "newTime"),
    *("serviceName", "serviceDuration", "servicePrice", "duration", "price"),
    *("staffName", "professionalName", "professionalPhone", "branchName", "branchAddress", "branchPhone"),
    *("cancelReasonLine", "manageUrl", "visitorName", "isDiscreet"),
)
"""What `appointment_variables` gives besides."""

GIVEN_NAMES = (
    *("promotionMessage", "promotionDiscount", "promotionValidUntil", "promotionValidUntilShort"),
    *("amount", "currency", "dueDate", "dueDateShort", "invoiceNumber", "paymentUrl"),
    *("paymentAmount", "paymentMethod", "paymentDate"),
    *("saleId", "saleDate", "totalAmount", "subtotal", "discount", "tax"),
    *("channelName", "problem", "hours", "contactName", "alertLines", "alertCount"),
    *("feedbackUrl", "unsubscribeUrl", "slots", "candidates", "replyText", "nextOpening"),
    "branchMapUrl",
)
"""What only the caller knows."""

DATES = ("dueDate", "promotionValidUntil", "paymentDate", "saleDate")
AMOUNTS = ("amount", "paymentAmount", "totalAmount", "subtotal", "discount", "tax")

KNOWN_NAMES = frozenset((*CLIENT_NAMES, *APPOINTMENT_NAMES, *GIVEN_NAMES))

SPANISH_NAMES = {
    "cliente": "clientName",
    "servicio": "serviceName",
    "fecha": "appointmentDate",
    "hora": "appointmentTime",
    "profesional": "professionalName",
    "sucursal": "branchName",
    "direccion": "branchAddress",
    "dirección": "branchAddress",
    "telefono": "branchPhone",
    "teléfono": "branchPhone",
    "precio": "servicePrice",
    "duracion": "serviceDuration",
    "duración": "serviceDuration",
}
"""The second dialect of CitaPlanner 1.11, written with single braces: `{cliente}`."""


def business_variables(tenant: Business) -> dict[str, str]:
    """Return the values that belong to a business alone; those of a client are empty."""
    return dict.fromkeys(CLIENT_NAMES, "") | {"businessName": _one_line(tenant.name)}


def client_variables(client: Person, tenant: Business) -> dict[str, str]:
    """Return the values that belong to a client and a business, without an appointment.

    `recipient…` is whom we write to, here the client. What is not known is an empty string: a text leaves out the
    sentence that needs it.
    """
    return business_variables(tenant) | {
        "clientName": _one_line(client.name),
        "clientFirstName": _one_line(client.first_name),
        "recipientName": _one_line(client.name),
        "recipientFirstName": _one_line(client.first_name),
        "clientLastName": _one_line(client.last_name),
        "clientEmail": client.email or "",
        "clientPhone": client.phones[0].e164 if client.phones else "",
    }


def appointment_variables(
    appointment: Visit,
    tenant: Business,
    *,
    language_code: str,
    now: datetime,
    old_start: datetime | None = None,
    manage_url: str = "",
    recipient: Person | None = None,
    name_zone: bool = True,
) -> dict[str, str]:
    """Return the values for a message about an appointment, in a language and in the branch's zone.

    `now` and `old_start` (where the appointment was before a change) are aware datetimes; `language_code` is the
    recipient's. `recipient` is whom we write to when that is not the client who comes: then `visitorName` says who
    does. A service marked discreet is not named: `isDiscreet` is `yes` and `serviceName` says "your appointment".
    With `name_zone` the times name the branch's zone where the recipient's clock shows another hour. Everything in
    `CLIENT_NAMES` and `APPOINTMENT_NAMES` has a value, empty where nothing is known (prices are not kept). The cancel
    reason is shown unless the client cancelled by answering: those are the client's own words. Raises
    `ZoneInfoNotFoundError` for a branch whose zone does not exist.
    """
    wording = language(known_language(language_code)).wording
    branch, service = appointment.branch, appointment.service
    zone = ZoneInfo(branch.zone)
    start = appointment.start.astimezone(zone)
    professional = _one_line(appointment.professional.name)
    duration = span(service.duration_minutes, wording)
    shown_reason = appointment.cancel_reason if appointment.answer != "no" else None
    reader = recipient or appointment.client
    date, date_short, time = moment(start, wording)
    if name_zone and _reads_another_clock(reader, start, tenant):
        place = get_timezone_location(zone, locale=wording.locale, return_city=True).rpartition("/")[2]
        time = wording.in_zone.format(time=time, place=place)
    unnamed = wording.unnamed_service_formal if tenant.tone == "usted" else wording.unnamed_service
    old_date, old_date_short, old_time = moment(old_start.astimezone(zone), wording) if old_start else ("", "", "")
    return (
        dict.fromkeys(APPOINTMENT_NAMES, "")
        | client_variables(appointment.client, tenant)
        | {
            "businessPhone": branch.phone,
            "businessAddress": _one_line(branch.address),
            "appointmentDate": date,
            "appointmentDateShort": date_short,
            "appointmentTime": time,
            "appointmentDateTime": wording.date_time.format(date=date, time=time),
            "appointmentDay": _day(start, now.astimezone(zone), date, wording),
            "appointmentAtTime": (wording.at_one if start.hour in (1, 13) else wording.at_time).format(time=time),
            "appointmentStatus": wording.status[appointment.status],
            "timeUntil": span(max(0, round((appointment.start - now).total_seconds() / 60)), wording),
            "oldDate": old_date,
            "oldDateShort": old_date_short,
            "oldTime": old_time,
            "newDate": date,
            "newDateShort": date_short,
            "newTime": time,
            "serviceName": unnamed if service.is_discreet else _one_line(service.name),
            "isDiscreet": "yes" if service.is_discreet else "",
            "recipientName": _one_line(reader.name),
            "recipientFirstName": _one_line(reader.first_name),
            "visitorName": _one_line(appointment.client.first_name) if reader.id != appointment.client.id else "",
            "serviceDuration": duration,
            "duration": duration,
            "staffName": professional,
            "professionalName": professional,
            "branchName": _one_line(branch.name),
            "branchAddress": _one_line(branch.address),
            "branchPhone": branch.phone,
            "cancelReasonLine": f"\n{wording.cancel_reason.format(reason=shown_reason)}" if shown_reason else "",
            "manageUrl": manage_url,
        }
    )


def given_variables(given: Mapping[str, object], tenant: Business, *, language_code: str) -> dict[str, object]:
    """Return what a caller gave, as the reader writes it.

    A date such as `2026-11-27` becomes words, and its short form is added; a number as an amount becomes money of the
    given `currency`, else of the tenant's country. What is text otherwise stays as it is.
    """
    wording = language(known_language(language_code)).wording
    values = dict(given)
    for name in DATES:
        text = given.get(name)
        day = _iso_date(text)
        if day is not None:
            values[name] = format_date(day, wording.date, wording.locale)
        if text and f"{name}Short" in KNOWN_NAMES:
            short = text if day is None else format_date(day, wording.date_short, wording.locale)
            values.setdefault(f"{name}Short", short)
    for name in AMOUNTS:
        amount = given.get(name)
        if isinstance(amount, int | float) and not isinstance(amount, bool):
            currency = str(given.get("currency") or get_territory_currencies(tenant.country)[0])
            values[name] = format_currency(amount, currency, locale=wording.locale)
    return values


def _iso_date(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def moment(local: datetime, wording: Wording) -> tuple[str, str, str]:
    """Return date, short date and time; ordinary spaces instead of CLDR's narrow ones, as people type them."""
    return (
        format_date(local, wording.date, wording.locale),
        format_date(local, wording.date_short, wording.locale),
        _one_line(format_time(local.time(), wording.time, locale=wording.locale)),
    )


def _reads_another_clock(reader: Person, start: datetime, tenant: Business) -> bool:
    """Tell whether where this person's phone is from, else where the business is, it is another hour at `start`."""
    zones = _zones_of(reader.phones[0].e164) if reader.phones else ()
    return all(start.astimezone(ZoneInfo(zone)).utcoffset() != start.utcoffset() for zone in zones or (tenant.zone,))


@lru_cache(maxsize=4096)
def _zones_of(e164: str) -> tuple[str, ...]:
    """Return the zones a number may be in, none where that is not known."""
    try:
        found = time_zones_for_number(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for zone in found if zone != "Etc/Unknown")


def _day(local: datetime, today: datetime, date: str, wording: Wording) -> str:
    if local.date() == today.date():
        return wording.today
    if local.date() == today.date() + timedelta(days=1):
        return wording.tomorrow
    return wording.on_date.format(date=date)


def span(minutes: int, wording: Wording) -> str:
    """Say a length of time: whole days, else hours and minutes."""
    days, hours, rest = round(minutes / 1440), *divmod(minutes, 60)
    if minutes >= 1440:
        return format_unit(days, "duration-day", locale=wording.locale)
    parts = [format_unit(hours, "duration-hour", locale=wording.locale)] if hours else []
    if rest or not hours:
        parts.append(format_unit(rest, "duration-minute", locale=wording.locale))
    return format_list(parts, locale=wording.locale)


def _one_line(text: str) -> str:
    return " ".join(text.split())
