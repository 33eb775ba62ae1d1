"""The texts of the pages: the languages say the same, and pages use what there is."""

import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

from citaplanner_core.booking.availability import CURES
from citaplanner_core.notifications.catalogue import languages
from citaplanner_core.web import booking_page, client_pages
from citaplanner_core.web.words import words

TEMPLATES = Path(str(files("citaplanner_core.web"))) / "templates" / "core"
BUILT = {
    *(f"appointment_{state}" for state in (*client_pages.CHOICES, "cancelled", "begun", "over")),
    *("link_unknown", "not_found", "refused", "failed", "away"),
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


STAFF = "citaplanner_core.web.admin"
PUT_TOGETHER = ("states", "answers", "bookers", "roles", "abilities", "purposes", "verbs", "refusals", "news", "errors")
"""Sections of staff pages whose texts are looked up by a name that code puts together."""


def test_staff_pages_say_the_same_in_both_languages() -> None:
    spanish, english = words("es", STAFF), words("en", STAFF)
    assert {(section, name) for section, texts in spanish.items() for name in texts} == {
        (section, name) for section, texts in english.items() for name in texts
    }
    for section, texts in spanish.items():
        for name, text in texts.items():
            assert text.strip()
            assert english[section][name].strip()
            assert placeholders(text) == placeholders(english[section][name]), (section, name)


def test_staff_pages_use_what_there_is_and_nothing_is_left_over() -> None:
    folder = Path(str(files(STAFF)))
    source = "".join(path.read_text("utf-8") for path in folder.rglob("*.html"))
    used = set(re.findall(r"\bt\.(\w+)\.(\w+)", source))
    code = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    built = {("frame", name) for name in re.findall(r'\("(\w+)", "\w+"\)', source)}
    built |= {("frame", f"delivery_{kind}") for kind in ("off", "allowlist")}
    built |= {("day", kind) for kind in ("free", "kept", "away", "closed")}
    there = {(section, name) for section, texts in words("es", STAFF).items() for name in texts}
    assert {one for one in used if one[0] not in PUT_TOGETHER} <= there
    left = {one for one in there - used - built if one[0] not in PUT_TOGETHER}
    assert left == set()
    for section in ("news", "errors", "refusals"):
        for name in words("es", STAFF)[section].keys() - CURES.keys():
            stem = name.removesuffix("_title").removesuffix("_text").replace("_", "[-_]")
            assert re.search(rf'["\'.]{stem}["\' }}]', code + source), (section, name)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}
