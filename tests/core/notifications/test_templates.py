"""What a text may do, and that values are never more than data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citaplanner_core.hooks.types import TextFamily
from citaplanner_core.notifications.templates import (
    MAX_SOURCE,
    MAX_VALUE,
    Rendered,
    TemplateError,
    render,
    validate_template,
)
from tests.core.notifications.samples import FAMILIES, MAY_BE_EMPTY, TEXTS, chat, sample, values

# What the text lacks


def test_a_text_never_goes_out_without_what_it_is_about() -> None:
    with pytest.raises(TemplateError, match="promotionMessage has no value"):
        render("PROMOTION", family="chat", language="es", variables={"businessName": "Clínica Sonrisa"})


@pytest.mark.parametrize(
    ("text", "name", "suggestion"),
    [
        ("Hola {{clientFristName}}", "clientFristName", "clientFirstName"),
        ("Hola {{ clientname | upcase }}", "clientname", "clientName"),
        ("{% if manageURL %}x{% endif %}", "manageURL", "manageUrl"),
        ("Hola {{cliente}}", "cliente", "clientName"),
        ("Hola {clente}", "clente", "cliente"),
        ("{{ clientName.size }}", "clientName.size", "clientName"),
        ("{{ xyzzy }}", "xyzzy", None),
    ],
)
def test_an_unknown_variable_is_named_with_a_suggestion(text: str, name: str, suggestion: str | None) -> None:
    (problem,) = validate_template(text)
    assert (problem.name, problem.suggestion) == (name, suggestion)
    assert name in str(problem)
    assert suggestion is None or f"did you mean {suggestion}?" in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "Hola, {{clientFirstName}}{% if manageUrl %}: {{manageUrl}}{% endif %}",
        "{{servicePrice | default: 'consulta el precio'}}",
        "{% assign who = clientFirstName %}{{who}}",
        "{cliente}, {servicio} el {fecha} a las {hora} con {profesional} en {sucursal}, {dirección}, {telefono}",
        "Precio {Precio} y {duracion}",
        "Un 20 % {de descuento} :-} {",
        "",
    ],
)
def test_good_texts(text: str) -> None:
    assert validate_template(text) == []


def test_names_the_caller_gives_are_known() -> None:
    assert validate_template("{{folio}}", extra=["folio"]) == []
    assert validate_template("{{folo}}", extra=["folio"])[0].suggestion == "folio"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{% for i in (1..1000) %}{% for j in (1..1000) %}x{% endfor %}{% endfor %}", "unexpected tag 'for'"),
        ("{% include 'secret' %}", "unexpected tag 'include'"),
        ("{% render 'secret' %}", "unexpected tag 'render'"),
        ("uno\ndos {% foo %}", "line 2: unexpected tag 'foo'"),
        ("{% if manageUrl == 'y' %}{{ clientName | foo }}{% endif %}", "no filter foo"),
        ("{{ clientName | truncate: 'ten' }}", "integer"),
        ("{{ clientName | url_encode }}", "no filter url_encode"),
        ("{{ clientName | split: '' | join: clientName }}", "no filter join; there is no filter split"),
        ("Hola {{clientName", "expected '}}'"),
        ("uno\ndos {% if clientName %}", "expected tag endif"),
        ("x" * (MAX_SOURCE + 1), "longer than 10,000 characters"),
        ("{{" * 4000, "more than 200 variables"),
        ("{{" + "clientName[" * 500 + "]" * 500 + "}}", ""),
        ("{% if " + " and ".join(["clientName"] * 700) + " %}x{% endif %}", ""),
        ("{% if clientName %}" * 12 + "{% endif %}" * 12, "nesting"),
    ],
)
def test_refused_texts(text: str, complaint: str) -> None:
    problems = validate_template(text)
    assert problems
    assert complaint in str(TemplateError(*problems))


@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "{%",
                "%}",
                "{",
                "}",
                " ",
                "if ",
                "endif",
                "else",
                "assign a = ",
                "clientName",
                "| append: ",
                "| default: ",
                "| truncate: ",
                "'x'",
                "9" * 30,
                "==",
                "contains",
                "nil",
                ".",
                "[",
                "]",
                "#",
                "\n",
                "é",
            ]
        ),
        max_size=15,
    )
)
def test_any_text_is_good_or_has_problems(parts: list[str]) -> None:
    for problem in validate_template("".join(parts)):
        assert str(problem)


# Values are data


NASTY = [
    "{{ businessName }}",
    "{% for i in (1..9) %}x{% endfor %}",
    "{cliente}",
    "$& \\1 \\g<0> %s {0}",
    "Zoë 🦷🇲🇽",
    "\u200f\u0644\u064a\u0644\u0649\u200f",
    "<b>Ana</b> & Co.",
    'O\'Brien "Bob"',
]


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_is_never_read_as_a_text(name: str, family: TextFamily) -> None:
    rendered = render(
        "FEEDBACK_REQUEST", family=family, language="es", variables=sample(recipientFirstName=name, businessName=name)
    )
    assert name in rendered.body


@pytest.mark.parametrize("name", NASTY)
def test_nor_in_a_message_of_one_s_own(name: str) -> None:
    rendered = render(
        "FEEDBACK_REQUEST",
        family="chat",
        language="es",
        variables={"clientName": name},
        message="Hola {cliente}, {{clientName}}",
    )
    assert rendered.body == f"Hola {name}, {name}"


def test_a_subject_is_one_line() -> None:
    rendered = render(
        "PROMOTION", family="mail", language="es", variables=sample(businessName="Clínica\r\nBcc: x@example.com")
    )
    assert rendered.subject == "Clínica Bcc: x@example.com tiene algo para ti"


def test_zero_is_a_value_and_nothing_is_none() -> None:
    spoken = render("PAYMENT_REMINDER", family="push", language="es", variables={"amount": 0, "dueDate": None})
    assert spoken.body == "0."


def test_a_blank_name_is_no_name() -> None:
    assert chat("REPLY_CONFIRMED", recipientFirstName=" \u00a0").startswith("¡Gracias! Tu cita")


def test_endless_values_are_cut() -> None:
    body = render(
        "PROMOTION", family="push", language="es", variables={"promotionMessage": "x" * 10**6, "businessName": "B"}
    ).body
    assert body == "x" * (MAX_VALUE - 1) + "…"


def test_an_abbreviation_ends_a_sentence_with_one_stop() -> None:
    body = chat("REPLY_CONFIRMED", businessName="Odontología Ruiz y Cía.", branchName="")
    assert body.endswith("está confirmada. Te esperamos en Odontología Ruiz y Cía.")


@given(words=st.text(max_size=300), text=st.sampled_from(TEXTS))
def test_any_words_make_a_message(words: str, text: tuple[str, str, TextFamily]) -> None:
    code, key, family = text
    names = (*MAY_BE_EMPTY, "clientName", "businessName", "serviceName", "slots", "candidates")
    given_words = dict.fromkeys(names, words)
    rendered = render(key, family=family, language=code, variables=values(code, **given_words))
    assert "\n" not in (rendered.subject or "")
    assert rendered.body == rendered.body.strip()


@given(
    name=st.text(
        st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="."),
        min_size=1,
        max_size=80,
    )
)
def test_any_name_arrives_as_it_is(name: str) -> None:
    assert f"¡Gracias, {name}! Tu cita" in chat("REPLY_CONFIRMED", recipientFirstName=name)


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.none() | st.booleans() | st.floats() | st.text(max_size=50) | st.lists(st.integers(), max_size=3),
    )
)
def test_any_variables_of_the_caller_s(variables: dict[str, object]) -> None:
    assert render("APPOINTMENT_REMINDER:60", family="chat", language="es", variables=sample() | variables).body


# A message of one's own


def own(message: str, family: TextFamily = "chat", key: str = "APPOINTMENT_REMINDER", **other: object) -> Rendered:
    return render(key, family=family, language="es", variables=sample() | other, message=message)


def test_both_dialects_in_a_message() -> None:
    assert own("Hola {{ clientFirstName }}, te vemos el {fecha} a las {hora}.").body == (
        "Hola Laura, te vemos el viernes 27 de noviembre a las 10:00 a.m."
    )


@pytest.mark.parametrize(
    "message",
    [
        "Un {regalo} {{para ti}} {% 20 off %}",
        "{{",
        "}} :-} {{{",
        "a {{promo}} b",
        "{{ }} {} {{{{}}}}",
        "{% for %}",
        "{hola}",
    ],
)
def test_free_words_with_braces_stay_as_typed(message: str) -> None:
    assert own(message).body == message


@pytest.mark.parametrize(
    ("message", "suggestion"),
    [("Hola {{clientFristName}}", "clientFirstName"), ("Hola {clente}", "cliente"), ("Hola {{cliente}}", "clientName")],
)
def test_a_slip_of_the_pen_never_reaches_a_person(message: str, suggestion: str) -> None:
    with pytest.raises(TemplateError) as caught:
        own(message)
    assert caught.value.problems[0].suggestion == suggestion


def test_a_known_name_without_value_prints_nothing_in_a_message() -> None:
    assert own("Agenda aquí {{bookingUrl}} o llama, {{amount}}").body == "Agenda aquí  o llama, $450.00"
    assert own("Paga {{currency}}").body == "Paga"


def test_a_message_has_the_business_as_its_subject() -> None:
    assert own("Hola", "mail") == Rendered("Clínica Sonrisa", "Hola", "reminder")
    assert own("Hola").subject is None


def test_what_an_answer_to_a_message_means() -> None:
    assert own("Te vemos mañana").question == "reminder"
    assert own("Gracias", key="FEEDBACK_REQUEST").question is None


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="{}.")))
def test_words_without_braces_are_sent_as_they_are(message: str) -> None:
    assert own(message).body == message
