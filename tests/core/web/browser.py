"""A browser without script, for tests of pages: what is read on a page, and pressing what stands there."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

from flask import Flask
from werkzeug.test import TestResponse


@dataclass
class Form:
    """A form with one button."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    button: str = ""


class Page(HTMLParser):
    """An answer as a person sees it. `text` is what is written, one line for each element that breaks lines."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        self.address = answer.request.path
        self.status, self.headers, self.source = answer.status_code, answer.headers, answer.text
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.language, self.title, self.heading, self.text = "", "", "", ""
        self._open: list[str] = []
        self._link = ""
        self.feed(answer.text)
        self.text = "\n".join(" ".join(line.split()) for line in self.text.splitlines() if line.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "html":
            self.language = given.get("lang") or ""
        elif tag == "form":
            self.forms.append(Form(given.get("action") or "", given.get("method") or "get"))
        elif tag == "input" and given.get("type") == "checkbox" and "checked" not in given:
            pass  # what is not ticked is not sent
        elif tag == "input":
            self.forms[-1].fields[given["name"] or ""] = given.get("value") or ""
        elif tag == "a":
            self._link = given.get("href") or ""
        if tag not in ("input", "meta", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"<{tag}> is closed where it is not open"
        if tag not in ("a", "span", "small", "code"):
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "title":
            self.title += data
        else:
            self.text += data
        if inside == "h1":
            self.heading += data
        elif inside == "a":
            self.links[data.strip()] = self._link
        elif inside == "button":
            self.forms[-1].button += data

    @property
    def buttons(self) -> list[str]:
        """What the buttons say."""
        return [form.button for form in self.forms]

    def form(self, button: str) -> Form:
        """The form with this button."""
        return next(form for form in self.forms if form.button == button)


class Browser:
    """Opens pages, presses buttons, and follows where that leads."""

    def __init__(self, app: Flask) -> None:
        self._client = app.test_client()

    def open(self, address: str, method: str = "GET") -> Page:
        """Open an address."""
        return Page(self._client.open(address, method=method, follow_redirects=True))

    def press(self, page: Page, button: str) -> Page:
        """Send the form with this button."""
        return self.send(page.form(button))

    def send(self, form: Form) -> Page:
        """Send a form, maybe one of a page read long ago."""
        return Page(self._client.open(form.action, method=form.method, data=form.fields, follow_redirects=True))

    def follow(self, page: Page, link: str) -> Page:
        """Open what a link with these words leads to."""
        return self.open(urljoin(page.address, page.links[link]))
