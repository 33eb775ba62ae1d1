"""The right words: how people are addressed, what is not named, whose clock, and what a text message costs."""

import re
import zoneinfo
from datetime import timedelta
from itertools import product

import pytest

from citaplanner_core.notifications.catalogue import language, languages
from citaplanner_core.notifications.models import NOTIFICATION_TYPES
from citaplanner_core.notifications.sms import count_segments, fold
from citaplanner_core.notifications.templates import Rendered, render, validate_template
from citaplanner_core.notifications.variables import appointment_variables
from tests.core.notifications.samples import (
    FAMILIES,
    START,
    TEXTS,
    make_appointment,
    make_client,
    make_tenant,
    sample,
    values,
)

LONG_LINK = "https://citas.example/r/Abc123Def456"
FAMILIAR = re.compile(
    r"\b(t[uú]s?|te|ti|tuy[oa]s?|quieres|puedes|podrás|(?<!le )responde|ll[aá]ma(nos)?|escríbenos|elige|toca|confirma"
    r"|cancela|agenda (aquí|otra|en)|verte|entra|cuéntanos|danos|avísanos|pagaste|paga|tienes|recibes|volverás"
    r"|cambias)\b",
    re.IGNORECASE,
)
INWARD = ("STAFF_", "AGENT_NOTE_")
CASES = [(key, family, code, tone) for code, key, family in TEXTS for tone in ("tu", "usted")]


@pytest.mark.parametrize("tone", ["tu", "usted"])
@pytest.mark.parametrize("code", languages())
def test_every_type_reads_without_a_brace_left(code: str, tone: str) -> None:
    for kind, family in product(NOTIFICATION_TYPES, FAMILIES):
        for key in (kind, f"{kind}:60") if kind == "APPOINTMENT_REMINDER" else (kind,):
            rendered = render(key, family=family, language=code, tone=tone, variables=values(code))
            assert not re.search(r"[{}]|None", f"{rendered.subject}{rendered.body}".removeprefix("None")), (key, family)
            assert rendered.body


def test_a_text_message_of_ours_fits_into_one() -> None:
    for key, family, code, tone in CASES:
        if family != "short":
            continue
        given = values(code, manageUrl=LONG_LINK, bookingUrl="https://citas.example/b/clinica-sonrisa")
        counted = count_segments(fold(render(key, family="short", language=code, tone=tone, variables=given).body))
        assert counted.encoding == "GSM-7"
        assert counted.segments <= (2 if key.startswith("REPLY_") else 1), (key, code, tone, counted)


def test_usted_is_kept_to_the_end() -> None:
    formal, familiar = language("es").formal, language("es").texts
    for key, by_family in formal.items():
        if key.startswith(INWARD):
            continue
        for family, text in by_family.items():
            said = re.sub(r"\{[{%].*?[%}]\}", "", f"{text.subject or ''} {text.body}")
            assert not FAMILIAR.search(said), (key, family, said)
            assert text.question == familiar[key][family].question
            assert validate_template(text.body) == validate_template(text.subject or "") == []


def test_tu_is_kept_to_the_end() -> None:
    for key, by_family in language("es").texts.items():
        for text in by_family.values():
            said = re.sub(r"\{[{%].*?[%}]\}", "", f"{text.subject or ''} {text.body}")
            if not key.startswith(INWARD):
                assert not re.search(r"\b(usted|responda|llame|llámenos|puede pagarlo)\b", said, re.IGNORECASE), (
                    key,
                    said,
                )


def test_both_tones_ask_for_the_same_values() -> None:
    pattern = re.compile(r"\{[{%].*?[%}]\}")
    for key, by_family in language("es").formal.items():
        for family, text in by_family.items():
            assert pattern.findall(text.body) == pattern.findall(language("es").texts[key][family].body), (key, family)


def test_a_formal_reminder() -> None:
    assert render(
        "APPOINTMENT_REMINDER:1440", family="chat", language="es-MX", tone="usted", variables=sample()
    ) == Rendered(
        None,
        """\
Hola, Laura. Le recordamos su cita en Clínica Sonrisa:

📅 Viernes 27 de noviembre, 10:00 a.m.
Limpieza dental con Dra. Ana Ruiz
📍 Centro: Av. Juárez 10, Centro

¿Podrá asistir? Responda 1 para confirmar, 2 para cambiar de horario o 3 para cancelar.""",
        "confirm",
    )


# What is not named


def discreet(code: str = "es", tone: str = "tu") -> dict[str, object]:
    appointment = make_appointment()
    appointment.service.is_discreet = True
    tenant = make_tenant()
    tenant.tone = tone
    hour = timedelta(hours=1)
    known = appointment_variables(
        appointment, tenant, language_code=code, now=START - hour, old_start=START - hour, manage_url=LONG_LINK
    )
    return {**values(code), **known}


@pytest.mark.parametrize(("key", "family", "code", "tone"), CASES)
def test_a_discreet_service_is_never_named(key: str, family: str, code: str, tone: str) -> None:
    kind = next(one for one in FAMILIES if one == family)
    rendered = render(key, family=kind, language=code, tone=tone, variables=discreet(code, tone))
    text = f"{rendered.subject}\n{rendered.body}"
    assert "Limpieza dental" not in text.replace("Limpieza con 20 %", "")
    assert not re.search(r"  | \n|[,:] ?[,.:]|cita cita|appointment appointment", text)


def test_a_text_of_one_s_own_says_your_appointment_instead() -> None:
    assert discreet()["serviceName"] == "tu cita"
    assert discreet(tone="usted")["serviceName"] == "su cita"
    assert discreet("en")["serviceName"] == "your appointment"


def test_a_discreet_confirmation() -> None:
    body = render("APPOINTMENT_CONFIRMATION", family="chat", language="es", variables=discreet()).body
    assert "10:00 a.m.\nCon Dra. Ana Ruiz\n📍 Centro" in body
    mail = render("APPOINTMENT_REMINDER", family="mail", language="es", variables=discreet()).body
    assert "Te recordamos tu cita con Dra. Ana Ruiz." in mail


# Whom we write to


def for_mother(code: str = "es") -> dict[str, object]:
    child, mother = make_client("Mateo"), make_client("Rosa")
    child.id, mother.id = 1, 2
    known = appointment_variables(
        make_appointment(client=child), make_tenant(), language_code=code, now=START, recipient=mother
    )
    return {**sample(code), **known}


def test_a_mother_reads_whose_appointment_it_is() -> None:
    chat = render("APPOINTMENT_CONFIRMATION", family="chat", language="es", variables=for_mother()).body
    assert chat.startswith("Hola, Rosa. ")
    assert "Limpieza dental con Dra. Ana Ruiz, para Mateo\n" in chat
    short = render("APPOINTMENT_REMINDER", family="short", language="es", variables=for_mother()).body
    assert short.startswith("Clínica Sonrisa: la cita de Mateo es el vie 27 nov")
    english = render("APPOINTMENT_REMINDER:60", family="chat", language="en", variables=for_mother("en")).body
    assert english.startswith("Hi Rosa, Mateo's appointment is ")


# Whose clock


def time_for(phone: str | None, zone: str, code: str = "es") -> str:
    appointment = make_appointment(zone=zone, client=make_client(phone=phone))
    return appointment_variables(appointment, make_tenant(), language_code=code, now=START)["appointmentTime"]


@pytest.mark.parametrize(
    ("phone", "zone", "spoken"),
    [
        ("+525512345678", "America/Mexico_City", "10:00 a.m."),
        ("+525512345678", "America/Tijuana", "8:00 a.m. (hora de Tijuana)"),
        ("+525512345678", "America/Monterrey", "10:00 a.m."),  # another zone, the same clock
        ("+526641234567", "America/Tijuana", "8:00 a.m."),
        ("+34600000000", "America/Mexico_City", "10:00 a.m. (hora de Ciudad de México)"),
        ("+34600000000", "Europe/Madrid", "5:00 p.m."),
        (None, "America/Mexico_City", "10:00 a.m."),
        (None, "America/Cancun", "11:00 a.m. (hora de Cancún)"),
    ],
)
def test_the_zone_is_named_where_the_reader_s_clock_differs(phone: str | None, zone: str, spoken: str) -> None:
    assert time_for(phone, zone) == spoken


def test_the_zone_in_english() -> None:
    assert time_for("+525512345678", "America/Tijuana", "en") == "8:00 AM (Tijuana time)"


def test_zones_come_from_the_pinned_package() -> None:
    assert zoneinfo.TZPATH == ()
