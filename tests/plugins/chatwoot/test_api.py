"""The Chatwoot client against real sockets: what it asks, what it understands, how it fails."""

import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import liquid
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from citaplanner_core.http import outbound
from citaplanner_core.phones import parse_phone
from plugins.chatwoot.api import (
    MARKER,
    ChatwootClient,
    ChatwootError,
    Invalid,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unauthorized,
    Unavailable,
    WrongServer,
    marker_of,
    neutralise_liquid,
)
from tests.wire import answer, serve

TOKEN = "tok-Zz9-sesame"
PHONE = "+525512345678"
TEXT = "su cita de mañana a las diez"
NOW = datetime(2026, 6, 20, 12, 0, 20, tzinfo=UTC)


def client_at(url: str) -> ChatwootClient:
    return ChatwootClient(
        url, 7, TOKEN, session=outbound(allowed_private_hosts=["127.0.0.1", "localhost"], timeout=(5, 5))
    )


@pytest.fixture
def client(httpserver: HTTPServer) -> Iterator[ChatwootClient]:
    made = client_at(httpserver.url_for(""))
    yield made
    made.close()


@pytest.fixture
def reply(httpserver: HTTPServer) -> Callable[..., None]:
    """Have the server answer one path of the account with some JSON."""

    def expect(method: str, path: str, body: Any, status: int = 200) -> None:
        uri = path if path.startswith("/") else f"/api/v1/accounts/7/{path}"
        httpserver.expect_request(uri, method=method).respond_with_json(body, status=status)

    return expect


def sent(httpserver: HTTPServer, number: int = -1) -> Any:
    """The JSON body of a request that came in, the last one by default."""
    return json.loads(httpserver.log[number][0].get_data())


# How it asks


@pytest.mark.parametrize("ending", ["", "/", "/chat", "/chat/"])
def test_the_address_may_have_a_path_and_a_slash(ending: str, httpserver: HTTPServer) -> None:
    path = ending.rstrip("/") + "/api/v1/accounts/7/conversations/3"
    httpserver.expect_request(path).respond_with_json({"id": 3, "can_reply": True})
    client = client_at(f" http://127.0.0.1:{httpserver.port}{ending}\n")

    assert client.get_conversation(3)["can_reply"] is True
    client.close()


def test_the_token_goes_in_the_header_that_proxies_keep(
    client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer
) -> None:
    reply("GET", "inboxes", {"payload": []})
    client.list_inboxes()

    assert httpserver.log[0][0].headers["Api-Access-Token"] == TOKEN
    assert TOKEN not in httpserver.log[0][0].url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chat.example.com",
        "ftp://chat.example.com",
        "https://",
        "https://me:sesame@chat.example.com",
        "https://chat.example.com?x=1",
        "https://chat.example.com/#/app",
        "https://chat.example.com:port",
        "https://chat.example.com:0",
        "https://chat exa.mple",
        "https://good.example.com\\@10.0.0.1",
    ],
)
def test_an_address_that_cannot_be_right_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="must look like") as caught:
        ChatwootClient(url, 1, TOKEN)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  ", "sesame\nX-Other: 1", "sésame"])
def test_a_token_that_cannot_be_right_is_refused_at_once(token: str) -> None:
    with pytest.raises(ValueError, match="access token") as caught:
        ChatwootClient("https://chat.example.com", 1, token)
    assert "same" not in str(caught.value)


# Contacts


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("+525512345678", "+5215512345678"),
        ("5215512345678", "+525512345678"),
        ("+5491123456789", "+541123456789"),
        ("+541123456789", "+5491123456789"),
        ("+5511987654321", "+551187654321"),
        ("551187654321", "+5511987654321"),
        ("+12015550123", "+12015550123"),
    ],
)
def test_a_contact_is_found_under_every_national_form(
    asked: str, stored: str, client: ChatwootClient, httpserver: HTTPServer
) -> None:
    def filtered(request: Request) -> Response:
        conditions = request.get_json()["payload"]
        assert [condition["query_operator"] for condition in conditions[:-1]] == ["OR"] * (len(conditions) - 1)
        assert conditions[-1]["query_operator"] is None
        assert {(c["attribute_key"], c["filter_operator"], len(c["values"])) for c in conditions} == {
            ("phone_number", "equal_to", 1)
        }
        values = ["+" + condition["values"][0].replace("+", "") for condition in conditions]
        held = [{"id": 11, "phone_number": stored}] if stored in values else []
        return Response(
            json.dumps({"meta": {"count": len(held), "current_page": 1}, "payload": held}),
            content_type="application/json",
        )

    httpserver.expect_request("/api/v1/accounts/7/contacts/filter", method="POST").respond_with_handler(filtered)

    found = client.find_contact(asked)

    assert found is not None
    assert found["id"] == 11
    assert len(httpserver.log) == 1


def test_of_several_holders_the_oldest_is_taken_and_strangers_are_not(
    client: ChatwootClient, reply: Callable[..., None]
) -> None:
    holders = [
        {"id": 4, "phone_number": "+525512345679"},
        {"id": 30, "phone_number": "+525512345678"},
        {"id": 12, "phone_number": "+5215512345678"},
        {"id": 3, "phone_number": None},
        {"id": 2},
    ]
    reply("POST", "contacts/filter", {"meta": {}, "payload": holders})

    phone = parse_phone(PHONE)
    assert phone is not None
    found = client.find_contact(phone)

    assert found is not None
    assert found["id"] == 12


def test_nobody_has_the_number(client: ChatwootClient, reply: Callable[..., None]) -> None:
    reply("POST", "contacts/filter", {"meta": {}, "payload": []})
    assert client.find_contact(PHONE) is None


def test_what_is_no_number_is_not_asked_for(client: ChatwootClient, httpserver: HTTPServer) -> None:
    assert client.find_contact("recepción") is None
    assert httpserver.log == []


def test_an_identifier_is_compared_exactly(
    client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer
) -> None:
    contacts = [{"id": 1, "identifier": "CP-ab"}, {"id": 2, "identifier": "cp-AB"}]
    reply("POST", "contacts/filter", {"payload": contacts})

    found = client.find_contact_by_identifier("cp-AB")

    assert found is not None
    assert found["id"] == 2
    assert client.find_contact_by_identifier("cp-ab") is None
    condition = {
        "attribute_key": "identifier",
        "filter_operator": "equal_to",
        "values": ["cp-ab"],
        "query_operator": None,
    }
    assert sent(httpserver) == {"payload": [condition]}


CONTACT = {"id": 5, "name": "Ana", "phone_number": PHONE}
LINK = {"source_id": "525512345678", "inbox": {"id": 2}}


@pytest.mark.parametrize(
    "created",
    [
        {"payload": {"contact": {**CONTACT, "contact_inboxes": [LINK]}, "contact_inbox": LINK}},
        {"payload": [{**CONTACT, "contact_inboxes": [LINK]}]},
        {**CONTACT, "payload": [{**CONTACT, "contact_inboxes": [LINK]}]},
        {"payload": {**CONTACT, "contact_inboxes": [LINK]}},
    ],
)
def test_creating_a_contact_tells_its_source_id(
    created: Any, client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer
) -> None:
    reply("POST", "contacts", created)

    contact = client.create_contact(name="Ana", inbox_id=2, phone_number=PHONE, email=None)

    assert (contact["id"], contact["contact_inbox"]["source_id"]) == (5, "525512345678")
    assert sent(httpserver) == {"name": "Ana", "inbox_id": 2, "phone_number": PHONE}


def test_a_contact_without_link_says_so(client: ChatwootClient, reply: Callable[..., None]) -> None:
    reply("POST", "contacts", {"payload": {"contact": CONTACT, "contact_inbox": None}})
    assert client.create_contact(name="Ana", inbox_id=2)["contact_inbox"] is None


def test_updating_a_contact(client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer) -> None:
    reply("PUT", "contacts/5", {"payload": CONTACT})

    assert client.update_contact(5, custom_attributes={"no_shows": 0}) == CONTACT
    assert sent(httpserver) == {"custom_attributes": {"no_shows": 0}}


def test_updating_a_contact_where_the_answer_is_empty(
    client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/api/v1/accounts/7/contacts/5", method="PUT").respond_with_data("", status=204)
    reply("GET", "contacts/5", {"payload": CONTACT})

    assert client.update_contact(5, name="Ana") == CONTACT


def test_links_of_a_contact(client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer) -> None:
    reply("GET", "contacts/5/contactable_inboxes", {"payload": [LINK]})
    reply("POST", "contacts/5/contact_inboxes", LINK)
    reply("GET", "contacts/5/conversations", {"payload": [{"id": 9, "inbox_id": 2, "status": "snoozed"}]})

    assert client.contactable_inboxes(5) == [LINK]
    assert client.create_contact_inbox(5, 2) == LINK
    assert sent(httpserver) == {"inbox_id": 2}
    assert client.contact_conversations(5)[0]["status"] == "snoozed"


# Conversations and messages


def test_a_conversation_and_what_is_done_with_it(
    client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer
) -> None:
    reply("POST", "conversations", {"id": 9, "status": "open"})
    assert client.create_conversation(contact_id=5, inbox_id=2, source_id="525512345678")["id"] == 9
    assert sent(httpserver) == {"source_id": "525512345678", "inbox_id": 2, "contact_id": 5}

    done = {"success": True, "conversation_id": 9, "current_status": "snoozed", "snoozed_until": 1781956820}
    reply("POST", "conversations/9/toggle_status", {"meta": {}, "payload": done})
    assert client.toggle_status(9, "snoozed", snoozed_until=NOW) == done
    assert sent(httpserver) == {"status": "snoozed", "snoozed_until": 1781956820}

    reply("POST", "conversations/9/labels", {"payload": ["cita"]})
    assert client.set_labels(9, ["cita"]) == ["cita"]
    assert sent(httpserver) == {"labels": ["cita"]}
    client.set_labels(9, [])
    assert sent(httpserver) == {"labels": []}


def test_a_state_that_was_not_changed_is_an_error(client: ChatwootClient, reply: Callable[..., None]) -> None:
    done = {"success": False, "conversation_id": 9, "current_status": "open"}
    reply("POST", "conversations/9/toggle_status", {"meta": {}, "payload": done})
    with pytest.raises(Invalid):
        client.toggle_status(9, "resolved")


def test_assigning(client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer) -> None:
    path = "/api/v1/accounts/7/conversations/9/assignments"
    httpserver.expect_ordered_request(path).respond_with_json({"id": 3, "name": "Bea"})
    httpserver.expect_ordered_request(path).respond_with_json({"id": 6, "name": "caja"})
    httpserver.expect_ordered_request(path).respond_with_data("null", content_type="application/json")

    assert client.assign(9, assignee_id=3) == {"id": 3, "name": "Bea"}
    assert client.assign(9, team_id=6) == {"id": 6, "name": "caja"}
    assert client.assign(9, assignee_id=0) is None
    assert [sent(httpserver, number) for number in range(3)] == [
        {"assignee_id": 3},
        {"team_id": 6},
        {"assignee_id": 0},
    ]
    for wrong in ({}, {"assignee_id": 1, "team_id": 2}):
        with pytest.raises(ValueError, match="one of them"):
            client.assign(9, **wrong)


def test_conversations_since_a_while(
    client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer
) -> None:
    reply("GET", "conversations", {"data": {"meta": {"all_count": 2}, "payload": [{"id": 1}, {"id": 2}]}})

    assert [conversation["id"] for conversation in client.list_conversations_updated_within(900)] == [1, 2]
    assert dict(httpserver.log[0][0].args) == {
        "status": "all",
        "assignee_type": "all",
        "updated_within": "900",
    }


def test_writing_a_message(client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer) -> None:
    reply("POST", "conversations/9/messages", {"id": 77, "status": "sent", "content": TEXT})

    assert client.send_message(9, TEXT, content_attributes={MARKER: "n-1"})["id"] == 77
    assert sent(httpserver) == {
        "content": TEXT,
        "message_type": "outgoing",
        "private": False,
        "content_attributes": {MARKER: "n-1"},
    }
    client.add_note(9, "¿Es {{contact.name}}?")
    assert sent(httpserver) == {
        "content": "¿Es {\u200b{contact.name}}?",
        "message_type": "outgoing",
        "private": True,
    }
    template = {
        "name": "recordatorio",
        "category": "UTILITY",
        "language": "es_MX",
        "processed_params": {"body": {"1": "{% raw %}", "2": "10:00"}, "buttons": [{"parameter": "{{x}}"}]},
    }
    client.send_message(9, TEXT, template_params=template, content_type="text")
    params = sent(httpserver)["template_params"]
    assert params["processed_params"] == {
        "body": {"1": "{\u200b% raw %}", "2": "10:00"},
        "buttons": [{"parameter": "{\u200b{x}}"}],
    }
    assert sent(httpserver)["content_type"] == "text"


@given(st.text(alphabet=st.sampled_from(list("{}%`\n a.contat-|")), max_size=60) | st.text(max_size=60))
def test_liquid_changes_nothing(text: str) -> None:
    # What Chatwoot does before it renders: code in backticks is put between raw tags.
    prepared = re.sub(r"`(.*?)`", r"{% raw %}`\1`{% endraw %}", neutralise_liquid(text), flags=re.DOTALL)
    rendered = liquid.Template(prepared).render(contact={"name": "Ana"}, a="A")

    assert rendered.replace("\u200b", "") == text.replace("\u200b", "")
    assert neutralise_liquid(neutralise_liquid(text)) == neutralise_liquid(text)


def test_plain_texts_are_not_touched() -> None:
    assert neutralise_liquid("{ 10 % } }} %} a{b}c") == "{ 10 % } }} %} a{b}c"


@pytest.mark.parametrize(
    ("message", "marker"),
    [
        ({"content_attributes": {MARKER: "n-1", "in_reply_to": 3}}, "n-1"),
        ({"content_attributes": {}}, None),
        ({"content_attributes": {MARKER: None}}, None),
        ({"content_attributes": None}, None),
        ({"content_attributes": "{}"}, None),
        ({}, None),
    ],
)
def test_our_own_messages_are_known_by_their_marker(message: Any, marker: str | None) -> None:
    assert marker_of(message) == marker


class History:
    """A conversation of `total` messages a minute apart, ids from 1, read the way Chatwoot pages."""

    def __init__(self, httpserver: HTTPServer, total: int, ours: int) -> None:
        self.pages = 0
        self.messages = [
            {
                "id": number,
                "content": "…",
                "created_at": int((NOW - timedelta(minutes=total - number)).timestamp()),
                "content_attributes": {MARKER: "n-1"} if number == ours else {"external_error": None},
            }
            for number in range(1, total + 1)
        ]
        path = "/api/v1/accounts/7/conversations/9/messages"
        httpserver.expect_request(path, method="GET").respond_with_handler(self.page)

    def page(self, request: Request) -> Response:
        self.pages += 1
        before = int(request.args.get("before", 10**9))
        page = [message for message in self.messages if int(str(message["id"])) < before][-20:]
        return Response(json.dumps({"meta": {}, "payload": page}), content_type="application/json")


@pytest.mark.parametrize(
    ("total", "ours", "since", "found", "pages"),
    [
        (5, 5, None, True, 1),
        (5, 0, None, False, 2),
        (0, 0, None, False, 1),
        (90, 31, None, True, 3),
        (500, 2, None, False, 10),
        (500, 0, timedelta(minutes=30), False, 2),
        (500, 462, timedelta(minutes=30), True, 2),
        (500, 463, timedelta(minutes=32), True, 2),
    ],
)
def test_looking_for_our_message(
    total: int,
    ours: int,
    since: timedelta | None,
    found: bool,
    pages: int,
    client: ChatwootClient,
    httpserver: HTTPServer,
) -> None:
    history = History(httpserver, total, ours)

    message = client.find_message_by_marker(9, "n-1", since=None if since is None else NOW - since)

    assert (message is not None and message["id"] == ours) == found
    assert history.pages == pages


def test_looking_too_far_back_leaves_it_unknown(client: ChatwootClient, httpserver: HTTPServer) -> None:
    History(httpserver, 500, 2)
    with pytest.raises(OutcomeUnknown):
        client.find_message_by_marker(9, "n-1", since=NOW - timedelta(days=1))


# The account


def test_the_profile_comes_without_its_secrets(client: ChatwootClient, reply: Callable[..., None]) -> None:
    accounts = [{"id": 7, "role": "administrator"}]
    user = {"id": 1, "access_token": TOKEN, "pubsub_token": "p", "accounts": accounts}
    reply("GET", "/api/v1/profile", user)
    assert client.profile() == {"id": 1, "accounts": accounts}


def test_the_server_tells_its_version(client: ChatwootClient, reply: Callable[..., None]) -> None:
    reply("GET", "/api", {"version": "4.15.1", "timestamp": "2026-06-20 12:00:00", "queue_services": "ok"})
    assert client.server_version() == "4.15.1"


HOOK = {"id": 3, "url": "https://cita.example.com/h", "subscriptions": ["message_created"], "secret": "s"}


@pytest.mark.parametrize("wrapped", [True, False])
def test_webhooks(wrapped: bool, client: ChatwootClient, reply: Callable[..., None], httpserver: HTTPServer) -> None:
    reply("GET", "webhooks", {"payload": {"webhooks": [HOOK]}} if wrapped else [HOOK])
    reply("POST", "webhooks", {"payload": {"webhook": HOOK}} if wrapped else HOOK)
    reply("PATCH", "webhooks/3", {"payload": {"webhook": HOOK}} if wrapped else HOOK)
    httpserver.expect_request("/api/v1/accounts/7/webhooks/3", method="DELETE").respond_with_data("")

    assert client.list_webhooks() == [HOOK]
    assert client.create_webhook(HOOK["url"], ["message_created"], name="CitaPlanner") == HOOK  # type: ignore[arg-type]  # HOOK mixes types
    assert sent(httpserver) == {
        "url": HOOK["url"],
        "subscriptions": ["message_created"],
        "name": "CitaPlanner",
    }
    assert client.update_webhook(3, "https://cita.example.com/h", ["message_created"]) == HOOK
    client.delete_webhook(3)
    assert (httpserver.log[-1][0].method, httpserver.log[-1][0].get_data()) == ("DELETE", b"")


DEFINITION = {
    "id": 8,
    "attribute_key": "next_appointment",
    "attribute_display_name": "Próxima cita",
    "attribute_display_type": "date",
    "attribute_description": None,
    "attribute_model": "contact_attribute",
}


@pytest.mark.parametrize(
    ("known", "calls"),
    [
        ([], ["GET", "POST"]),
        ([DEFINITION], ["GET"]),
        ([{**DEFINITION, "attribute_display_name": "Next"}], ["GET", "PATCH"]),
        ([{**DEFINITION, "attribute_key": "next_service"}], ["GET", "POST"]),
    ],
)
def test_definitions_are_written_only_where_they_differ(
    known: list[Any],
    calls: list[str],
    client: ChatwootClient,
    reply: Callable[..., None],
    httpserver: HTTPServer,
) -> None:
    reply("GET", "custom_attribute_definitions", known)
    reply("POST", "custom_attribute_definitions", DEFINITION)
    reply("PATCH", "custom_attribute_definitions/8", DEFINITION)

    made = client.upsert_attribute_definition("next_appointment", "Próxima cita", display_type="date")

    assert made == DEFINITION
    assert [request.method for request, _ in httpserver.log] == calls
    assert httpserver.log[0][0].args["attribute_model"] == "1"
    if calls[-1] != "GET":
        assert sent(httpserver) == {
            "attribute_display_name": "Próxima cita",
            "attribute_display_type": 5,
            "attribute_description": "",
            "attribute_key": "next_appointment",
            "attribute_model": 1,
        }


# How it fails


def read(client: ChatwootClient) -> Any:
    return client.get_conversation(9)


def write(client: ChatwootClient) -> Any:
    return client.send_message(9, TEXT)


def failure(client: ChatwootClient, call: Callable[[ChatwootClient], Any]) -> ChatwootError:
    with pytest.raises(ChatwootError) as caught:
        call(client)
    return caught.value


@pytest.mark.parametrize("call", [read, write])
@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (401, {"errors": ["You need to sign in or sign up before continuing."]}, Unauthorized, "You need"),
        (401, {"error": "Invalid Access Token"}, Unauthorized, "Invalid Access Token"),
        (403, {"error": "Message status update is only allowed"}, Unauthorized, "Message status"),
        (404, {"error": "Resource could not be found"}, NotFound, "Resource could not be found"),
        (404, "<html>nothing here</html>", WrongServer, "no Chatwoot"),
        (422, {"error": "param is missing or the value is empty: contact"}, Invalid, "param is missing"),
        (422, "", Invalid, "no reason given"),
        (400, {"message": ["odd"]}, ChatwootError, "odd"),
        (418, "<h1>teapot</h1>", ChatwootError, "no reason given"),
        (200, "<html>Please sign in to the Wi-Fi</html>", WrongServer, "not JSON"),
        (200, "", WrongServer, "shape"),
        (200, {"hello": "world"}, WrongServer, "shape"),
        (200, {"id": "9"}, WrongServer, "shape"),
        (200, [1, 2], WrongServer, "shape"),
        (200, "[" * 100_000, WrongServer, "not JSON"),
        (301, "", WrongServer, "redirects"),
    ],
)
def test_each_refusal_has_its_kind(
    status: int,
    body: Any,
    kind: type[ChatwootError],
    detail: str,
    call: Callable[[ChatwootClient], Any],
    client: ChatwootClient,
    httpserver: HTTPServer,
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    httpserver.expect_request(re.compile(".*")).respond_with_data(
        text, status=status, headers={"Location": httpserver.url_for("/api/v1/profile")}
    )

    error = failure(client, call)

    assert type(error) is kind
    assert (error.status, detail in error.detail) == (status, True)
    assert len(httpserver.log) == 1


def test_a_taken_number_is_told_by_its_field(client: ChatwootClient, reply: Callable[..., None]) -> None:
    body = {"message": "Phone number has already been taken", "attributes": ["phone_number", "email"]}
    reply("POST", "contacts", body, status=422)
    with pytest.raises(Invalid) as caught:
        client.create_contact(name="Ana", inbox_id=2, phone_number=PHONE)
    assert caught.value.attributes == ("phone_number", "email")


@pytest.mark.parametrize(
    ("call", "kind"), [(read, Unavailable), (write, OutcomeUnknown), (lambda c: c.find_contact(PHONE), Unavailable)]
)
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_broken_server_leaves_writes_unknown(
    status: int,
    call: Callable[[ChatwootClient], Any],
    kind: type[ChatwootError],
    client: ChatwootClient,
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_data("<html>oops</html>", status=status)

    error = failure(client, call)

    assert (type(error), error.status) == (kind, status)
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    ("header", "earliest", "latest"),
    [
        (None, 40, 43),
        ("17", 17, 17),
        ("Sat, 20 Jun 2026 12:01:50 GMT", 90, 90),
        ("Sat, 20 Jun 2026 11:00:00 GMT", 0, 0),
        ("999999999", 3600, 3600),
        ("soon", 40, 43),
        ("-5", 40, 43),
    ],
)
def test_too_many_requests_wait_for_the_next_minute(
    header: str | None, earliest: float, latest: float, client: ChatwootClient, httpserver: HTTPServer
) -> None:
    headers = {"Retry-After": header} if header else {}
    httpserver.expect_request(re.compile(".*")).respond_with_data(
        "Retry later\n", status=429, content_type="text/plain", headers=headers
    )
    with time_machine.travel(NOW, tick=False):
        error = failure(client, write)

    assert isinstance(error, RateLimited)
    assert earliest <= error.retry_after <= latest


@pytest.mark.parametrize(("call", "kind"), [(read, Unavailable), (write, OutcomeUnknown)])
def test_a_server_too_slow_to_answer(call: Callable[[ChatwootClient], Any], kind: type[ChatwootError]) -> None:
    done = threading.Event()

    def respond(peer: socket.socket, number: int) -> bool:
        done.wait(10)
        return False

    with serve(respond) as wire, outbound(allowed_private_hosts=["127.0.0.1"]) as session:
        error = failure(ChatwootClient(wire.url, 7, TOKEN, session=session, timeout=(5, 0.1)), call)
        done.set()

    assert type(error) is kind
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("call", "tries"), [(read, 2), (lambda c: c.find_contact(PHONE), 2), (write, 1), (lambda c: c.set_labels(9, []), 1)]
)
@pytest.mark.parametrize("beginning", [b"", b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"id": 9,'])
def test_a_connection_that_breaks(beginning: bytes, call: Callable[[ChatwootClient], Any], tries: int) -> None:
    def respond(peer: socket.socket, number: int) -> bool:
        peer.sendall(beginning)
        return False

    with serve(respond) as wire:
        client = client_at(wire.url)
        error = failure(client, call)
        client.close()

    assert type(error) is (Unavailable if tries == 2 else OutcomeUnknown)
    assert len(wire.requests) == tries


def test_a_read_survives_one_broken_connection() -> None:
    def respond(peer: socket.socket, number: int) -> bool:
        if number == 1:
            return False
        peer.sendall(answer(b'{"id": 9}'))
        return True

    with serve(respond) as wire:
        client = client_at(wire.url)
        assert client.get_conversation(9) == {"id": 9}
        client.close()


@pytest.mark.parametrize("call", [read, write])
def test_nobody_listens(call: Callable[[ChatwootClient], Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = client_at(f"http://127.0.0.1:{port}")

    assert type(failure(client, call)) is Unavailable
    client.close()


def test_a_private_address_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITAPLANNER_ALLOWED_PRIVATE_HOSTS", raising=False)
    client = ChatwootClient("http://127.0.0.1:9", 7, TOKEN)
    error = failure(client, write)
    client.close()

    assert type(error) is WrongServer
    assert "CITAPLANNER_ALLOWED_PRIVATE_HOSTS" in str(error)


@pytest.mark.parametrize("status", [200, 401, 404, 422, 429, 500])
def test_no_secret_and_no_text_is_told(
    status: int,
    client: ChatwootClient,
    reply: Callable[..., None],
    httpserver: HTTPServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"token {TOKEN} of ana@example.com, +52 1 55 1234-5678: " + "x" * 500
    httpserver.expect_request(re.compile(".*")).respond_with_json(
        {"error": echo, "attributes": ["content"]}, status=status
    )

    error = failure(client, write)

    told = f"{error} {error!r} {error.detail} {client} {client!r} {vars(client)!r}" + " ".join(
        record.getMessage() for record in caplog.records if record.name != "werkzeug"
    )
    for secret in (TOKEN, "ana@example.com", "1234-5678", TEXT):
        assert secret not in told
    assert len(error.detail) <= 200
