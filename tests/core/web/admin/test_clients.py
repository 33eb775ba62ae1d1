"""Finding clients, and what is kept about one."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from citaplanner_core.booking.models import Client
from citaplanner_core.database import work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.registry import Registry, registry
from citaplanner_core.hooks.types import Action, Panel
from citaplanner_core.notifications.merging import merge_clients
from citaplanner_core.testing.factories import make_client
from plugins.chatwoot.models import ChatwootContact, ChatwootConversation
from tests.core.web.admin.support import Desk, desk_of
from tests.core.web.support import Business

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])


@pytest.fixture
def desk(app: Flask, business: Business) -> Desk:
    return desk_of(app, business.tenant, "staff")


@pytest.fixture
def maria(business: Business) -> str:
    """The address of a client."""
    with work(business.tenant) as session:
        client = make_client(session, first_name="María José", last_name="Ñáñez", phone="55 1200 4321")
        return f"/admin/clients/{client.id}"


@pytest.mark.parametrize("text", ["maria", "NANEZ jose", "+52 1 55 1200 4321", "(55) 1200-4321", "4321"])
def test_clients_are_found_by_name_and_by_any_spelling_of_a_phone(
    business: Business, desk: Desk, maria: str, text: str
) -> None:
    found = desk.get("/admin/clients", query_string={"q": text}).text
    assert f'href="{maria}"' in found
    assert "Ana Prueba" not in found


def test_a_list_says_what_to_do_and_goes_on(business: Business, desk: Desk) -> None:
    assert "Agrega" in desk.get("/admin/clients?q=nadie").text or "agrega" in desk.get("/admin/clients?q=nadie").text
    with work(business.tenant) as session:
        for _ in range(25):
            make_client(session, first_name="Rosa")
    page = desk.get("/admin/clients?q=rosa").text
    assert page.count("<strong><bdi>Rosa") == 20
    after = page.partition("after=")[2].partition('"')[0]
    assert desk.get(f"/admin/clients?q=rosa&after={after}").text.count("<strong><bdi>Rosa") == 5


def test_what_a_client_wants_is_changed_and_what_is_wrong_is_kept_to_be_mended(
    business: Business, desk: Desk, maria: str
) -> None:
    given = {"first_name": "María", "last_name": "Ñáñez", "email": "maria@example.com", "birthday": "1990-05-01"} | {
        "language": "en",
        "preferred_channel": "email",
        "do_not_message": "1",
        "notes": "Alérgica\na todo",
        "active": "1",
    }
    wrong = desk.post(maria, given | {"email": "sin arroba"})
    assert (wrong.status_code, "Escríbelo como ana@ejemplo.com" in wrong.text) == (422, True)
    assert ("sin arroba" in wrong.text, "Alérgica" in wrong.text) == (True, True)
    assert "Guardado." in desk.post(maria, given).text
    with work(business.tenant, write=False) as session:
        client = session.scalars(select(Client).where(Client.first_name == "María")).one()
        assert (client.language, client.preferred_channel, client.do_not_message) == ("en", "email", True)
        assert (str(client.birthday), client.notes.split()) == ("1990-05-01", ["Alérgica", "a", "todo"])
    assert "No recibe mensajes" in desk.get(maria).text
    archived = desk.post(maria, {name: given[name] for name in ("first_name",)})
    assert "Cliente archivado" in archived.text
    assert "Archivado" in desk.get("/admin/clients?q=maria").text


def test_phones_come_and_go(business: Business, desk: Desk, maria: str) -> None:
    bad = desk.post(f"{maria}/phones", {"phone": "12", "label": "casa"})
    assert (bad.status_code, "un solo número completo" in bad.text, 'value="12"' in bad.text) == (422, True, True)
    assert "mamá" in desk.post(f"{maria}/phones", {"phone": "55 1200 9876", "label": "mamá"}).text
    page = desk.get(maria).text
    drop = next(part for part in page.split('action="') if "/remove" in part.partition('"')[0]).partition('"')[0]
    assert "55 1200 4321" not in desk.post(drop).text


def test_history_and_consents_are_shown(business: Business, desk: Desk) -> None:
    address = f"/admin/clients/{business.client}"
    assert "Próximas citas" in desk.get(address).text
    assert "Cita agendada" in desk.get(f"{address}/history").text
    assert desk.get(f"{address}/history?after=nonsense").status_code == 422


def test_who_was_merged_leads_to_who_is_left(business: Business, desk: Desk, maria: str) -> None:
    merged = int(maria.rpartition("/")[2])
    with work(business.tenant) as session:
        merge_clients(session, business.client, merged_id=merged, by="test")
    page = desk.get(maria)
    assert page.request.path == f"/admin/clients/{business.client}"
    assert "se unió con este" in page.text
    assert "No se guardó" in desk.post(maria, {"first_name": "María"}).text


Implementation = Callable[..., Any]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, business: Business) -> Callable[[str, Implementation], None]:
    """Let the plugin `email`, which the business has, implement one more hook."""
    lifecycle.enable("email", business.tenant)

    def add(name: str, function: Implementation) -> None:
        usual = Registry.implementations

        def implementations(self: Registry, hook: str) -> Any:
            ours = [("email", function, function.__code__.co_varnames[: function.__code__.co_argcount])]
            return ours if hook == name else usual(self, hook)

        monkeypatch.setattr(Registry, "implementations", implementations)

    return add


Hook = Callable[[str, Implementation], None]


def test_plugins_show_what_they_know_as_text(business: Business, desk: Desk, hook: Hook) -> None:
    def panel(clients: tuple[int, ...], language: str) -> Mapping[int, Panel]:
        return {
            one: Panel("Puntos", [("Saldo <b>", f"{language} 7")], [Action("Ver", "https://points.example/?a=1&b=2")])
            for one in clients
        }

    hook("client_panel", panel)
    text = desk.get(f"/admin/clients/{business.client}").text
    for shown in ("Puntos", "Saldo &lt;b&gt;", "es 7", 'href="https://points.example/?a=1&amp;b=2"'):
        assert shown in text


@pytest.mark.parametrize(
    "result",
    [
        {1: "<b>HTML</b>"},
        {1: Panel("Malo", [], [Action("x", "javascript:alert(1)")])},
        {1: Panel("Malo", [], [Action("x", "//evil.example")])},
        {1: Panel("Malo", [("uno", 2)])},  # type: ignore[list-item]  # wrong on purpose
        {1: Panel("Malo", [("uno",)])},  # type: ignore[list-item]  # wrong on purpose
        {1: Panel("Malo", [], ["x"])},  # type: ignore[list-item]  # wrong on purpose
        "nonsense",
    ],
)
def test_a_panel_that_is_unsound_is_left_out_and_named(
    business: Business, desk: Desk, hook: Hook, result: object
) -> None:
    hook("client_panel", lambda clients: result)
    page = desk.get(f"/admin/clients/{business.client}")
    assert (page.status_code, "Malo" in page.text, "HTML" in page.text) == (200, False, False)
    assert ("email", "client_panel") in registry().troubles


def test_a_panel_that_fails_does_not_take_the_page_away(business: Business, desk: Desk, hook: Hook) -> None:
    def panel(clients: tuple[int, ...]) -> None:
        raise RuntimeError("boom")

    hook("client_panel", panel)
    assert desk.get(f"/admin/clients/{business.client}").status_code == 200
    assert "boom" in registry().troubles["email", "client_panel"].error


def test_a_client_of_chatwoot_leads_to_the_conversation(business: Business, desk: Desk) -> None:
    lifecycle.enable("chatwoot", business.tenant)
    place = {"account_ref": "https://chat.example#3", "contact_id": 8}
    with work(business.tenant) as session:
        session.add(ChatwootContact(**place, client_id=business.client, known={"name": "Anita"}))
        session.add(ChatwootConversation(**place, conversation_id=41, inbox_id=1))
        session.add(
            ChatwootConversation(account_ref="https://chat.example#4", contact_id=8, conversation_id=5, inbox_id=1)
        )
    text = desk.get(f"/admin/clients/{business.client}").text
    assert "Anita" in text
    assert 'href="https://chat.example/app/accounts/3/conversations/41"' in text
    assert "Abrir la conversación 41 en Chatwoot" in text
    assert "conversations/5" not in text
