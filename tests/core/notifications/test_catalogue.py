"""What people read: the texts of the catalogue, in full."""

import re
from itertools import combinations
from typing import get_args

import pytest

from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications.catalogue import Question, language, languages
from citaplanner_core.notifications.models import NOTIFICATION_TYPES
from citaplanner_core.notifications.templates import Rendered, TemplateError, render, validate_template
from citaplanner_core.notifications.variables import KNOWN_NAMES
from tests.core.notifications.samples import FAMILIES, MAY_BE_EMPTY, SLOTS, TEXTS, chat, sample, values

ALWAYS_NEEDED = {"AGENT_NOTE_REPLY_ACTION": "replyText"}


# The catalogue


def test_every_type_has_every_family_in_every_language() -> None:
    assert set(languages()) == {"es", "en"}
    for code in languages():
        texts = language(code).texts
        for kind in NOTIFICATION_TYPES:
            key = f"{kind}:1440" if kind == "APPOINTMENT_REMINDER" else kind
            assert set(texts[key]) == ({"mail", "push"} if kind == "STAFF_ALERT" else set(FAMILIES)), key
            for family in FAMILIES:
                rendered = render(kind, family=family, language=code, variables=values(code))
                assert (rendered.subject is not None) == (family in ("mail", "push"))


def test_replies_and_notes_are_there() -> None:
    keys = set(language("es").texts)
    replies = {key for key in keys if key.startswith("REPLY_")}
    assert replies == {
        *("REPLY_CONFIRMED", "REPLY_CANCELLED", "REPLY_ASK_MOVE_OR_CANCEL", "REPLY_ASK_WHICH", "REPLY_OFFER_SLOTS"),
        *("REPLY_SLOT_TAKEN", "REPLY_TOO_LATE", "REPLY_NO_APPOINTMENT", "REPLY_HUMAN", "REPLY_OPTED_OUT"),
        *("REPLY_OPTED_IN", "REPLY_OPTED_OUT_MARKETING", "REPLY_NOT_UNDERSTOOD", "REPLY_IS_CANCELLED"),
        *("REPLY_IS_OVER", "REPLY_LATE", "REPLY_PLACE", "REPLY_WRONG_NUMBER"),
    }
    assert all(set(language("es").texts[key]) == {"chat", "short"} for key in replies)
    assert {"AGENT_NOTE_SHARED_PHONE", "AGENT_NOTE_REPLY_ACTION", "OUT_OF_HOURS"} <= keys
    assert {"STAFF_APPOINTMENT_BOOKED", "STAFF_CLIENT_CANCELLED"} <= keys


def test_the_languages_say_the_same() -> None:
    spanish, english = language("es"), language("en")
    assert spanish.wording.status.keys() == english.wording.status.keys()
    assert {key: set(texts) for key, texts in spanish.texts.items()} == {
        key: set(texts) for key, texts in english.texts.items()
    }
    for key, by_family in spanish.texts.items():
        for family, text in by_family.items():
            other = english.texts[key][family]
            assert text.question == other.question, (key, family)
            assert names_in(text.body) == names_in(other.body), (key, family)
            assert names_in(text.subject or "") == names_in(other.subject or ""), (key, family)


def names_in(source: str) -> set[str]:
    return {name for tag in re.findall(r"\{[{%](.*?)[}%]\}", source) for name in re.findall(r"\w+", tag)} & KNOWN_NAMES


@pytest.mark.parametrize(("code", "key", "family"), TEXTS)
def test_texts_are_valid_and_say_what_they_ask(code: str, key: str, family: TextFamily) -> None:
    text = language(code).texts[key][family]
    assert validate_template(text.body) == []
    assert validate_template(text.subject or "") == []
    assert text.question in (None, *get_args(Question))
    offers_digits = bool(re.search(r"\b1\b.*\b2\b.*\b3\b", text.body, re.DOTALL))
    assert offers_digits == (text.question == "confirm")
    assert key.startswith("APPOINTMENT_REMINDER") == (text.question == "reminder") or offers_digits


def test_no_text_message_asks_for_a_carrier_s_stop_word() -> None:
    for code, key, family in TEXTS:
        if family == "short" and key not in ("REPLY_OPTED_IN", "REPLY_OPTED_OUT"):
            body = language(code).texts[key][family].body
            assert not re.search(r"\b(CANCEL|CANCELAR|STOP|END|QUIT)\b", body), key
            asks = r"(responde|escribe|env[ií]a|manda|reply|text|send)\W+(con )?(la palabra |the word )?\W*cancel"
            assert not re.search(asks, body, re.IGNORECASE), key


def emptied(used: set[str]) -> list[tuple[str, ...]]:
    """What may be empty together; of what stands in one sentence every combination that the text can tell apart."""
    five = {"manageUrl", "bookingUrl", "panelUrl", "branchPhone", "branchAddress"} & used
    some = [subset for size in range(6) for subset in combinations(sorted(five), size)]
    old = ("oldDate", "oldDateShort", "oldTime")
    return [*some, *((name,) for name in MAY_BE_EMPTY if name in used), old, (*MAY_BE_EMPTY, *old)]


@pytest.mark.parametrize(("code", "key", "family"), TEXTS)
def test_no_holes_whatever_is_empty(code: str, key: str, family: TextFamily) -> None:
    text = language(code).texts[key][family]
    for names in emptied(names_in(text.body + (text.subject or ""))):
        empty = {name: "" for name in names if name != ALWAYS_NEEDED.get(key)}
        rendered = render(key, family=family, language=code, variables=values(code, **empty))
        for said in (rendered.subject or "Hola", rendered.body):
            trouble = re.search(r"\n{3}|  | \n| [,.;:)]|[,;:] ?[,.;:]|\.\.|\( |\(\)|[{}]|None|«»|“”", said)
            assert trouble is None, (names, said)
            assert not re.search(r"[,;:]$", said), (names, said)
            assert not re.search(r"https://\S*[.,;:)](\s|$)", said), (names, said)
            assert said[0].isupper() or said[0] in "¡¿$", (names, said)


# What a person reads


def test_confirmation() -> None:
    assert render("APPOINTMENT_CONFIRMATION", family="chat", language="es", variables=sample()) == Rendered(
        None,
        """\
Hola, Laura. Tu cita en Clínica Sonrisa quedó agendada:

📅 Viernes 27 de noviembre, 10:00 a.m.
Limpieza dental con Dra. Ana Ruiz
📍 Centro: Av. Juárez 10, Centro

Responde 1 para confirmar, 2 para cambiar de horario o 3 para cancelar. \
También puedes hacerlo en https://citas.example/r/Abc123 cuando gustes.""",
        "confirm",
    )
    assert render("APPOINTMENT_CONFIRMATION", family="chat", language="en", variables=sample("en")) == Rendered(
        None,
        """\
Hi Laura, your appointment at Clínica Sonrisa is booked:

📅 Friday, November 27, 10:00 AM
Limpieza dental with Dra. Ana Ruiz
📍 Centro: Av. Juárez 10, Centro

Reply 1 to confirm, 2 to change the time or 3 to cancel. \
You can also do it at https://citas.example/r/Abc123 at any time.""",
        "confirm",
    )


def test_confirmation_where_little_is_known() -> None:
    little = dict.fromkeys(("manageUrl", "branchPhone", "branchAddress"), "")
    assert (
        chat("APPOINTMENT_CONFIRMATION", **little)
        == """\
Hola, Laura. Tu cita en Clínica Sonrisa quedó agendada:

📅 Viernes 27 de noviembre, 10:00 a.m.
Limpieza dental con Dra. Ana Ruiz
📍 Centro

Responde 1 para confirmar, 2 para cambiar de horario o 3 para cancelar."""
    )


def test_confirmation_by_mail() -> None:
    assert render("APPOINTMENT_CONFIRMATION", family="mail", language="es", variables=sample()) == Rendered(
        "Tu cita en Clínica Sonrisa: viernes 27 de noviembre, 10:00 a.m.",
        """\
Hola, Laura:

Tu cita quedó agendada.

Servicio: Limpieza dental
Con: Dra. Ana Ruiz
Cuándo: viernes 27 de noviembre, 10:00 a.m.
Dónde: Centro, Av. Juárez 10, Centro

Confirma, cambia de horario o cancela desde aquí: https://citas.example/r/Abc123

Para cualquier duda o cambio, llámanos al 55 5555 0100.

Clínica Sonrisa""",
        None,
    )


def test_confirmation_by_text_message() -> None:
    rendered = render("APPOINTMENT_CONFIRMATION", family="short", language="es", variables=sample())
    assert rendered.body == (
        "Clínica Sonrisa: tu cita es el vie 27 nov, 10:00 a.m. "
        "Responde 1 confirmar, 2 cambiar, 3 cancelar. Detalles: https://citas.example/r/Abc123"
    )
    assert rendered.question == "confirm"


def test_reminder_a_day_before() -> None:
    assert (
        chat("APPOINTMENT_REMINDER:1440")
        == """\
Hola, Laura. Te recordamos tu cita en Clínica Sonrisa:

📅 Viernes 27 de noviembre, 10:00 a.m.
Limpieza dental con Dra. Ana Ruiz
📍 Centro: Av. Juárez 10, Centro

¿Podrás asistir? Responde 1 para confirmar, 2 para cambiar de horario o 3 para cancelar."""
    )
    assert (
        chat("APPOINTMENT_REMINDER:1440", "en")
        == """\
Hi Laura, a reminder of your appointment at Clínica Sonrisa:

📅 Friday, November 27, 10:00 AM
Limpieza dental with Dra. Ana Ruiz
📍 Centro: Av. Juárez 10, Centro

Will you be there? Reply 1 to confirm, 2 to change the time or 3 to cancel."""
    )


def test_reminder_an_hour_before() -> None:
    assert render("APPOINTMENT_REMINDER:60", family="chat", language="es", variables=sample()) == Rendered(
        None,
        """\
Hola, Laura. Te esperamos hoy a las 10:00 a.m. en Clínica Sonrisa.

📍 Centro: Av. Juárez 10, Centro

Si se te hace tarde o no puedes llegar, escríbenos por aquí o llama al 55 5555 0100.""",
        "reminder",
    )
    assert (
        chat("APPOINTMENT_REMINDER:60", "en")
        == """\
Hi Laura, we expect you today at 10:00 AM at Clínica Sonrisa.

📍 Centro: Av. Juárez 10, Centro

Running late or unable to come? Write to us here or call 55 5555 0100."""
    )


def test_change() -> None:
    assert (
        chat("APPOINTMENT_RESCHEDULE")
        == """\
Hola, Laura. Tu cita en Clínica Sonrisa cambió de horario:

Antes: jueves 26 de noviembre, 1:00 p.m.
📅 Ahora: viernes 27 de noviembre, 10:00 a.m.
Limpieza dental con Dra. Ana Ruiz
📍 Centro: Av. Juárez 10, Centro

Responde 1 para confirmar, 2 si necesitas otro horario o 3 para cancelar."""
    )
    assert (
        chat("APPOINTMENT_RESCHEDULE", "en")
        == """\
Hi Laura, your appointment at Clínica Sonrisa has a new time:

Before: Thursday, November 26, 1:00 PM
📅 Now: Friday, November 27, 10:00 AM
Limpieza dental with Dra. Ana Ruiz
📍 Centro: Av. Juárez 10, Centro

Reply 1 to confirm, 2 if you need another time or 3 to cancel."""
    )


def test_cancellation() -> None:
    assert (
        chat("APPOINTMENT_CANCELLATION")
        == """\
Hola, Laura. Tu cita del viernes 27 de noviembre, 10:00 a.m., en Clínica Sonrisa quedó cancelada.

Cuando quieras agendar otra, escríbenos por este medio."""
    )
    assert (
        chat("APPOINTMENT_CANCELLATION", "en")
        == """\
Hi Laura, your appointment on Friday, November 27, 10:00 AM, at Clínica Sonrisa has been cancelled.

To book another, write to us here."""
    )


def test_cancellation_with_a_reason_and_a_booking_page() -> None:
    body = render("APPOINTMENT_CANCELLATION", family="chat", language="es", variables=values()).body
    assert (
        body
        == """\
Hola, Laura. Tu cita del viernes 27 de noviembre, 10:00 a.m., en Clínica Sonrisa quedó cancelada.
Motivo: la doctora está enferma

Cuando quieras agendar otra, entra a https://citas.example/x o escríbenos por este medio."""
    )


@pytest.mark.parametrize(
    ("key", "spanish", "english"),
    [
        (
            "REPLY_CONFIRMED",
            (
                "¡Gracias, Laura! Tu cita del viernes 27 de noviembre, 10:00 a.m., está confirmada. "
                "Te esperamos en Clínica Sonrisa, Centro."
            ),
            (
                "Thank you, Laura! Your appointment on Friday, November 27, 10:00 AM, is confirmed. "
                "See you at Clínica Sonrisa, Centro."
            ),
        ),
        (
            "REPLY_CANCELLED",
            (
                "Listo, cancelamos tu cita del viernes 27 de noviembre, 10:00 a.m. "
                "Si cambias de opinión, escríbenos por aquí y buscamos otro horario."
            ),
            (
                "Done, we cancelled your appointment on Friday, November 27, 10:00 AM. "
                "If you change your mind, write to us here and we will find another time."
            ),
        ),
        (
            "REPLY_ASK_MOVE_OR_CANCEL",
            (
                "Para no equivocarnos con tu cita del viernes 27 de noviembre, 10:00 a.m.: responde 1 si la conservas, "
                "2 si quieres otro horario o 3 si la cancelamos. Mientras tanto, sigue apartada."
            ),
            (
                "To be sure about your appointment on Friday, November 27, 10:00 AM: reply 1 to keep it, "
                "2 for another time or 3 to cancel it. Until then it stays booked."
            ),
        ),
        (
            "REPLY_OFFER_SLOTS",
            (
                f"Con gusto la movemos. Estos horarios están libres:\n{SLOTS}\n\n"
                "Responde con el número o elige otro aquí: https://citas.example/r/Abc123\n"
                "Tu cita actual sigue apartada hasta que elijas."
            ),
            (
                f"Of course. These times are free:\n{SLOTS}\n\n"
                "Reply with the number or choose another here: https://citas.example/r/Abc123\n"
                "Your current appointment stays booked until you choose."
            ),
        ),
        (
            "REPLY_TOO_LATE",
            (
                "Tu cita del viernes 27 de noviembre, 10:00 a.m., ya no se puede cambiar por este medio. "
                "Llámanos al 55 5555 0100 y te ayudamos."
            ),
            (
                "Your appointment on Friday, November 27, 10:00 AM, can no longer be changed here. "
                "Call 55 5555 0100 and we will help."
            ),
        ),
        (
            "REPLY_NO_APPOINTMENT",
            (
                "No encontramos una cita próxima con este número. "
                "Si quieres agendar una, una persona del equipo te ayuda por aquí."
            ),
            (
                "We find no upcoming appointment for this number. "
                "If you would like to book one, someone from our team can help you here."
            ),
        ),
        (
            "REPLY_HUMAN",
            "Claro, ya avisamos a una persona del equipo. Te responde por aquí en cuanto pueda.",
            "Of course, we have told someone on the team. They will answer you here as soon as they can.",
        ),
        (
            "REPLY_OPTED_OUT",
            (
                "Listo, ya no te enviaremos mensajes por este medio. Tus citas siguen en pie. "
                "Si cambias de opinión, responde ALTA."
            ),
            (
                "Done, we will not message you here any more. Your appointments stay booked. "
                "If you change your mind, reply START."
            ),
        ),
        (
            "REPLY_NOT_UNDERSTOOD",
            (
                "Queremos ayudarte bien. Sobre tu cita del viernes 27 de noviembre, 10:00 a.m.: responde 1 "
                "para confirmarla, 2 para cambiar de horario, 3 para cancelarla o 4 para hablar con una persona."
            ),
            (
                "We want to get this right. About your appointment on Friday, November 27, 10:00 AM: reply 1 "
                "to confirm it, 2 to change the time, 3 to cancel it or 4 to talk to a person."
            ),
        ),
    ],
)
def test_replies(key: str, spanish: str, english: str) -> None:
    assert chat(key) == spanish
    assert chat(key, "en") == english


def test_a_promotion_says_how_to_end_promotions() -> None:
    assert (
        render("PROMOTION", family="mail", language="es", variables=sample(unsubscribeUrl="")).body
        == """\
Hola, Laura:

Limpieza con 20 % de descuento

Válido hasta el viernes 27 de noviembre.

Recibes este correo porque aceptaste promociones de Clínica Sonrisa. \
Para dejar de recibirlas, responde NO PROMOCIONES a este correo."""
    )


# Which text


@pytest.mark.parametrize("key", ["APPOINTMENT_REMINDER", "APPOINTMENT_REMINDER:30", "APPOINTMENT_REMINDER:2880"])
def test_an_offset_without_its_own_text(key: str) -> None:
    assert chat(key) == chat("APPOINTMENT_REMINDER:1440")


@pytest.mark.parametrize(("code", "served"), [("en-US", "en"), ("EN", "en"), ("es_MX", "es"), ("fr", "es"), ("", "es")])
def test_the_nearest_language(code: str, served: str) -> None:
    assert render("REPLY_HUMAN", family="chat", language=code, variables={}) == render(
        "REPLY_HUMAN", family="chat", language=served, variables={}
    )


def test_a_family_without_its_own_text() -> None:
    assert render("REPLY_HUMAN", family="mail", language="es", variables={}).body == chat("REPLY_HUMAN")
    assert render("STAFF_APPOINTMENT_BOOKED", family="chat", language="es", variables=sample()) == Rendered(
        None,
        "Laura Gómez tiene cita de Limpieza dental con Dra. Ana Ruiz el viernes 27 de noviembre, 10:00 a.m., "
        "en Centro.",
        None,
    )


def test_an_unknown_text() -> None:
    with pytest.raises(TemplateError, match=r"no text REPLY_CONFIRM; did you mean REPLY_CONFIRMED\?"):
        chat("REPLY_CONFIRM")
