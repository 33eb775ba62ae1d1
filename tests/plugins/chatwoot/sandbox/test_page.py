"""The page, in both languages, and what it asks for each second."""

from __future__ import annotations

import re

from plugins.chatwoot.sandbox.page.texts import TEXTS

from .conftest import AGENT, EMAIL, WHATSAPP, Chatwoot


def test_spanish_first_with_an_english_switch(chatwoot: Chatwoot) -> None:
    spanish, english = chatwoot.raw("GET", "/"), chatwoot.raw("GET", "/?lang=en")

    assert '<html lang="es">' in spanish.text
    assert "El teléfono del cliente" in spanish.text
    assert '<html lang="en">' in english.text
    assert "The client&#39;s phone" in english.text
    assert set(TEXTS["es"]) == set(TEXTS["en"])
    assert "default-src 'self'" in spanish.headers["Content-Security-Policy"]


def test_nothing_comes_from_elsewhere_and_every_field_has_a_label(chatwoot: Chatwoot) -> None:
    page = chatwoot.raw("GET", "/").text

    linked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(link.startswith(("/sandbox/static/", "?", "data:")) for link in linked), linked
    for link in (link for link in linked if link.startswith("/")):
        text = chatwoot.raw("GET", link)
        assert text.status_code == 200
        assert not re.search(r"https?://", text.text)
    for field in re.findall(r'<(?:textarea|select|input)[^>]*id="([^"]+)"', page):
        assert f'for="{field}"' in page or re.search(rf'<label[^>]*>(?:(?!</label>).)*id="{field}"', page, re.S)


def test_the_phone_shows_what_arrived_and_the_desk_shows_all(chatwoot: Chatwoot) -> None:
    talk = chatwoot.incoming(inbox_id=WHATSAPP, phone="5215512345678", name="Eva", text="Hola")["conversation_id"]
    chatwoot.say(talk, "Llega", token=AGENT)
    chatwoot.say(talk, "Nota", fields={"private": True}, token=AGENT)
    chatwoot.control("POST", "clock", {"hours": 25})
    chatwoot.say(talk, "No llega", token=AGENT)
    chatwoot.settle()

    view = chatwoot.control("GET", f"view?inbox_id={WHATSAPP}&phone=5215512345678&conversation={talk}")
    assert [m["content"] for m in view["phone"]] == ["Hola", "Llega"]
    assert [m["content"] for m in view["desk"]["messages"]] == ["Hola", "Llega", "Nota", "No llega"]
    assert view["desk"]["contact"]["name"] == "Eva"
    assert view["conversations"][0]["id"] == talk
    assert [i["id"] for i in view["inboxes"]] == [1, 2, 3, 4, 5]
    assert chatwoot.control("GET", "requests?after=0")[-1]["path"].endswith("/messages")


def test_an_unknown_phone_is_an_empty_thread(chatwoot: Chatwoot) -> None:
    for query in ("", "?inbox_id=1&phone=525500000000", f"?inbox_id={EMAIL}&source_id=a@b.mx", "?conversation=7"):
        view = chatwoot.control("GET", f"view{query}")
        assert (view["phone"], view["desk"]) == ([], None)
