"""What users rely on: nobody's appointment is cancelled, and nobody unsubscribed, by a message that did not ask for it,
and clear answers are understood. The phrases stand in phrases.txt.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from citaplanner_core.replies.intents import OPTIONS, Intent, IntentName, parse
from citaplanner_core.replies.reading import LONGEST_TEXT, read
from citaplanner_core.replies.vocabulary import PHRASES, VOCABULARY, WHOLE, phrases

NAMES = get_args(IntentName)
QUESTIONS = (None, "reminder", "confirm")
ACTS = ("cancel", "opt_out")


class Case(NamedTuple):
    phrase: str
    language: str
    question: str | None
    expected: frozenset[str]

    def intent(self, phrase: str | None = None) -> str:
        return _name(phrase or self.phrase, self.language, self.question)


@cache
def _name(phrase: str, language: str | None, question: str | None) -> str:
    return parse(phrase, language=language, question=question).name


def _groups() -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = {}
    heading = ""
    for line in (Path(__file__).parent / "phrases.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            heading = line[2:]
            groups[heading] = []
        elif line and not line.startswith("%"):
            expected, question, language = heading.split()
            asked = None if question == "-" else question
            groups[heading].append(Case(line, language, asked, frozenset(expected.split("/"))))
    return groups


GROUPS = _groups()
CASES = [case for group in GROUPS.values() for case in group]


@pytest.mark.parametrize("heading", GROUPS)
def test_phrases_mean_what_the_table_says(heading: str) -> None:
    wrong = {case.phrase: case.intent() for case in GROUPS[heading] if case.intent() not in case.expected}
    assert wrong == {}


def test_the_table_is_large_and_names_only_known_intents() -> None:
    assert len(CASES) >= 250
    assert {name for case in CASES for name in case.expected} == set(NAMES)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("language", ["es", "en", "pt"])
def test_what_does_not_ask_for_it_never_does(question: str | None, language: str) -> None:
    harmless = [case for case in CASES if case.question == "confirm"]
    done = [(case, _name(case.phrase, language, question)) for case in harmless]
    assert [(case.phrase, act) for case, act in done if act in ACTS and act not in case.expected] == []


@pytest.mark.parametrize("language", [None, "", "ES", "es-MX", "fr", "??"])
def test_what_is_no_language_of_ours_is_read_as_spanish(language: str | None) -> None:
    assert [c.phrase for c in CASES[::20] if _name(c.phrase, language, None) != _name(c.phrase, "es", None)] == []


@pytest.mark.parametrize(
    "text",
    [
        "no\ncancelen",
        "no\u200bcancelen",
        "no\u00a0cancelen",
        "cancela\n\nno, espera",
        "> cancela\nno",
        "> Responde 1 para confirmar o 3 para cancelar\nno",
        "cancela" + " " * 2000 + "no",
        "cancela " * 400,
        "no " * 400 + "cancela",
        'me escribieron "cancela"',
        "me escribieron “3”",
        "«cancela»",
        "‘cancela’ decía",
    ],
)
def test_shapes_that_never_cancel(text: str) -> None:
    assert parse(text, language="es", question="confirm").name in ("ask", "unknown")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("> ¿Nos acompañas? Responde 1, 2 o 3\nSí confirmo", "confirm"),
        ("Sí confirmo\n\nEl lun, 5 de mayo, la clínica escribió:\n> Responde 3 para cancelar", "confirm"),
        ("Yes\n\nOn Monday the clinic wrote:\nReply 3 to cancel", "confirm"),
        ("cancela mi cita\npor favor", "cancel"),
        ("1\ufe0f\u20e3", "confirm"),
        ("\u200e3\u200f", "cancel"),
        ("ｃｏｎｆｉｒｍｏ", "confirm"),
        ("𝗖𝗼𝗻𝗳𝗶𝗿𝗺𝗼", "confirm"),
        ("don´t cancel", "ask"),
        ("don’t cancel", "ask"),
    ],
)
def test_the_same_text_in_other_clothes(text: str, expected: str) -> None:
    assert parse(text, question="confirm").name == expected


@pytest.mark.parametrize("text", [None, "", " ", "\n\t", "\u200b", "> cancela", "\u0301", "\ufe0f"])
def test_nothing_said_is_unknown(text: str | None) -> None:
    assert parse(text, question="confirm").name == "unknown"


@pytest.mark.parametrize(("number", "expected"), OPTIONS.items())
def test_a_number_answers_only_a_question(number: str, expected: str) -> None:
    assert parse(number, question="confirm").name == expected
    assert parse(number, question="confirm").confidence > 0.95
    assert parse(number, question="reminder").name == "unknown"
    assert parse(number).name == "unknown"


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("ya", "en", "confirm"),
        ("ya", "es", "unknown"),
        ("quero cancelar o horário", "pt", "cancel"),
        ("quiero cancelar o no", "es", "ask"),
        ("pode ser no sábado?", "pt-BR", "reschedule"),
        ("no sábado", "es", "ask"),
    ],
)
def test_the_language_settles_words_that_look_alike(text: str, language: str, expected: str) -> None:
    assert parse(text, language=language, question="confirm").name == expected


def test_an_agreement_is_surer_with_a_question_than_without() -> None:
    asked = parse("confirmo mi cita", question="confirm")
    assert asked == Intent("confirm", 0.95)
    assert parse("confirmo mi cita").confidence < asked.confidence
    assert parse("confrmo mi cita", question="confirm").confidence < asked.confidence


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _with_variations(text: str) -> str:
    return "".join(c + "\U0001f3fd\ufe0f" if c in "👍👎👌🙌👏💪" else c for c in text)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(str.upper, id="capitals"),
        pytest.param(str.lower, id="small letters"),
        pytest.param(_without_accents, id="no accents"),
        pytest.param(lambda text: unicodedata.normalize("NFD", text), id="decomposed"),
        pytest.param(_with_variations, id="skin tones"),
        pytest.param(lambda text: text + "!!!", id="shouted"),
        pytest.param(lambda text: text + "...", id="trailing off"),
        pytest.param(lambda text: f"\u200e {text}\u200b \n", id="blanks around"),
    ],
)
def test_how_it_is_typed_changes_nothing(change: Callable[[str], str]) -> None:
    changed = [(case, got) for case in CASES if (got := case.intent(change(case.phrase))) != case.intent()]
    assert changed == []


def _said(*kinds: str) -> list[str]:
    return [phrase for phrase, kind in PHRASES.items() if kind in kinds]


NEGATIONS = (
    *(
        "no",
        "No",
        "NO",
        "nooo",
        "nunca",
        "jamás",
        "tampoco",
        "ni",
        "sin",
        "no quiero",
        "no voy a",
        "no puedo",
        "no podré",
    ),
    *("ya no", "ya no quiero", "todavía no", "aún no", "por favor no", "no me", "no la", "mejor no", "prefiero no"),
    *(
        "no es necesario",
        "no hay que",
        "no pienso",
        "no quisiera",
        "no deseo",
        "no vayan a",
        "nadie quiere",
        "no sé si",
    ),
    *("don't", "dont", "do not", "please don't", "never", "I won't", "I can't", "I don't want to", "not", "cannot"),
    *("não", "nao", "não quero", "não vou", "nem", "n"),
)
CANCELLING = [
    word
    for word in _said("cancel", "cancel_polite")
    if not word.startswith(("ya no", "i no", "no ", "nao", "dont", "i dont"))
]


@given(
    before=st.lists(st.sampled_from(_said("polite", "title", "yes")), max_size=1),
    negation=st.sampled_from(NEGATIONS),
    between=st.lists(st.sampled_from(_said("want", "glue", "title", "object", "could")), max_size=2),
    verb=st.sampled_from(CANCELLING),
    after=st.lists(st.sampled_from(_said("polite", "please", "object", "date", "reason")), max_size=2),
    question=st.sampled_from(QUESTIONS),
)
def test_a_negated_cancel_is_never_a_cancel(
    before: list[str], negation: str, between: list[str], verb: str, after: list[str], question: str | None
) -> None:
    # "I cannot and want to cancel" and "no, better cancel" do ask for it.
    links = {"y", "e", "entonces", "pues", "asi", "and", "so", "prefiero que"}
    text = " ".join([*before, negation, *(word for word in between if word not in links), verb, *after])
    # "I do not want to come" is complete by itself, and "cancel" after it is meant.
    assume(all(item.kind != "cant" for item in read(text, "").items))
    assert parse(text, question=question).name != "cancel"


CANCEL_FAMILY = frozenset(("cancel", "cancel_polite", "cancel_other", "drop", "cant", "cant_open"))
RANDOM_WORDS = st.text(alphabet="abcdeilmnorstu", min_size=2, max_size=7)


def _texts_without(*kinds: str) -> st.SearchStrategy[str]:
    """Texts of our own words without those families, of unknown words and of marks."""
    ours = st.sampled_from([phrase for phrase, kind in PHRASES.items() if kind not in kinds])
    return st.lists(st.one_of(ours, ours, RANDOM_WORDS, st.sampled_from(",.?1")), min_size=1, max_size=9).map(" ".join)


@given(_texts_without(*CANCEL_FAMILY, "no", "number"), st.sampled_from(QUESTIONS))
def test_nothing_cancels_without_a_word_that_cancels_or_declines(text: str, question: str | None) -> None:
    # Neighbours may make up a phrase of the family by chance, and then do ask for it.
    assume(CANCEL_FAMILY.isdisjoint(item.kind for item in read(text, "").items))
    assert parse(text, question=question).name != "cancel"


@given(_texts_without("opt_out", "marketing_out"), st.sampled_from(QUESTIONS))
def test_nothing_unsubscribes_without_a_word_that_stops(text: str, question: str | None) -> None:
    reading = read(text, "")
    assume(reading.alone != "opt_out" and all(item.kind != "opt_out" for item in reading.items))
    assert parse(text, question=question).name != "opt_out"


@given(
    st.sampled_from(("no voy a ir", "ya no puedo ir", "no podré asistir", "no vamos a ir")),
    st.lists(RANDOM_WORDS.filter(lambda word: read(word, "").items[0].kind == "unknown"), min_size=1, max_size=4),
)
def test_not_going_with_words_we_do_not_know_is_no_cancellation(verb: str, words: list[str]) -> None:
    assert parse(f"{verb} {' '.join(words)}", question="confirm").name != "cancel"


TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*PHRASES, *WHOLE, *"?.,!¿\n\"'~>#1234", "👍🏽", "3️⃣", "xyzzy"]), max_size=12).map(
        " ".join
    ),
    st.lists(st.sampled_from("no cancelar sí 3 ? , . ' \" > \n\u0301\u200d\ud800 🙅🏽‍♀️".split(" "))).map("".join),
)


@given(
    TEXTS, st.sampled_from([None, "", "es", "es-MX", "pt_BR", "en", "??"]), st.sampled_from([*QUESTIONS, "", "other"])
)
def test_any_text_has_an_answer_and_always_the_same(text: str, language: str | None, question: str | None) -> None:
    intent = parse(text, language=language, question=question)
    assert intent.name in NAMES
    assert 0 <= intent.confidence <= 1
    assert intent == parse(text, language=language, question=question)


@given(
    st.text(alphabet="aeions cl123?!'\"~>\n", min_size=LONGEST_TEXT + 200).filter(
        lambda t: len(t.strip()) > LONGEST_TEXT
    )
)
def test_a_long_text_is_never_acted_on(text: str) -> None:
    assert parse(text, question="confirm").name in ("ask", "unknown", "info", "human")


@pytest.mark.parametrize(
    "piece", ["a", "no ", "cancela ", '"', "'", "~", ">\n", "1", "jaja", "👍🏽", "ﷺ", "a\u0301", "sí, "]
)
def test_a_hundred_thousand_characters_are_no_trouble(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert parse(text, question="confirm").name in ("ask", "unknown")


def test_the_vocabulary_is_typed_as_the_reader_sees_it() -> None:
    listed = " ".join((*VOCABULARY.values(), *WHOLE))
    assert listed == unicodedata.normalize("NFKD", listed).casefold()
    assert not set("'’\"?¿!") & set(listed)


def test_no_phrase_has_two_meanings() -> None:
    meanings = defaultdict(set)
    for kind, listed in VOCABULARY.items():
        for phrase in phrases(listed):
            meanings[phrase].add(kind)
    assert {phrase: kinds for phrase, kinds in meanings.items() if len(kinds) > 1} == {}
