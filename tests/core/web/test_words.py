"""The texts of the pages: the languages say the same, and pages use what there is."""

import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

from citaplanner_core.notifications.catalogue import languages
from citaplanner_core.web import booking_page, client_pages
from citaplanner_core.web.words import words

TEMPLATES = Path(str(files("citaplanner_core.web"))) / "templates" / "core"
BUILT = {
    *(f"appointment_{state}" for state in (*client_pages.CHOICES, "cancelled", "begun", "over")),
    *("link_unknown", "not_found", "refused", "failed"),
}
"""Sections whose name a page puts together; each has a title and a text."""


def names(code: str) -> set[tuple[str, str]]:
    return {(section, name) for section, texts in words(code).items() for name in texts}


def test_there_are_the_languages_of_the_messages() -> None:
    found = {path.stem for path in (TEMPLATES.parents[1] / "texts").glob("*.toml")}
    assert found == set(languages()) == {"es", "en"}


def test_the_languages_say_the_same() -> None:
    assert names("es") == names("en")
    for section, texts in words("es").items():
        for name, text in texts.items():
            other = words("en")[section][name]
            assert text.strip() == text
            assert other.strip() == other
            assert text
            assert other
            assert placeholders(text) == placeholders(other), (section, name)


def test_each_names_itself_and_the_other() -> None:
    for code, other in (("es", "en"), ("en", "es")):
        page = words(code)["page"]
        assert (page["language"], page["other_code"]) == (code, other)
        assert page["other_language"] == words(other)["page"]["this_language"]


def test_pages_use_what_there_is_and_nothing_is_left_over() -> None:
    source = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.html"))
    used = set(re.findall(r"\bt\.(\w+)\.(\w+)", source))
    used |= {(section, name) for section in BUILT for name in ("title", "text")}
    used |= {("appointment", choice) for choices in client_pages.CHOICES.values() for choice in choices}
    used |= {("index", f"delivery_{kind}") for kind in ("off", "allowlist")}
    used |= {("appointment", news) for news in ("booked", "moved")}
    code = Path(booking_page.__file__).read_text("utf-8")
    used |= {("booking", name) for name in re.findall(r'\bsaid\["(\w+)"\]', code)}
    used.add(("page", "this_language"))
    assert used == names("es")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}
