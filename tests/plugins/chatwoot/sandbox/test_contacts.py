"""Contacts: envelopes, uniqueness, merging, search and filter, source ids."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import ADMIN, API, EMAIL, SMS, WHATSAPP, WIDGET, Chatwoot

UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
CONTACT_KEYS = {
    "additional_attributes",
    "availability_status",
    "email",
    "id",
    "name",
    "phone_number",
    "blocked",
    "identifier",
    "thumbnail",
    "custom_attributes",
    "created_at",
    "contact_inboxes",
}


def filter_by(chatwoot: Chatwoot, key: str, value: str, operator: str = "equal_to", **options: Any) -> Any:
    condition = {"attribute_key": key, "filter_operator": operator, "values": [value], "query_operator": None}
    return chatwoot.ok("POST", "/contacts/filter", {"payload": [condition]}, **options)


def ids(answer: Any) -> list[int]:
    return [contact["id"] for contact in answer["payload"]]


def test_create_has_its_own_envelope(chatwoot: Chatwoot) -> None:
    made = chatwoot.ok("POST", "/contacts", {"name": "Eva", "email": " EVA@Example.com ", "phone_number": ""})

    assert set(made) == {"payload"}
    assert made["payload"]["contact_inbox"] == {"inbox": None, "source_id": None}
    contact = made["payload"]["contact"]
    assert set(contact) == CONTACT_KEYS
    assert (contact["email"], contact["phone_number"]) == ("eva@example.com", None)
    assert isinstance(contact["created_at"], int)
    assert chatwoot.ok("GET", f"/contacts/{contact['id']}") == {"payload": contact}


def test_create_with_an_inbox_shows_the_raw_inbox(chatwoot: Chatwoot) -> None:
    made = chatwoot.ok("POST", "/contacts", {"phone_number": "+525512345678", "inbox_id": WHATSAPP})["payload"]

    assert made["contact_inbox"]["source_id"] == "525512345678"
    assert made["contact_inbox"]["inbox"]["account_id"] == 1
    assert made["contact"]["contact_inboxes"][0]["inbox"]["provider"] == "whatsapp_cloud"


def test_a_bad_source_id_undoes_the_contact(chatwoot: Chatwoot, webhook: Any, receiver: Any) -> None:
    fields = {"phone_number": "+525512345678", "inbox_id": WHATSAPP, "source_id": "+52 55"}
    answer = chatwoot.call("POST", "/contacts", fields)

    assert answer.status_code == 422
    assert answer.json()["attributes"] == ["source_id"]
    assert answer.json()["message"].startswith("Source invalid source id for whatsapp inbox. valid Regex")
    assert chatwoot.ok("GET", "/contacts")["payload"] == []
    chatwoot.settle()
    assert receiver.seen == []


@pytest.mark.parametrize(
    ("field", "value", "other", "text"),
    [
        ("email", "a@b.mx", "A@B.mx", "Email has already been taken"),
        ("identifier", "c-1", "c-1", "Identifier has already been taken"),
        ("phone_number", "+525512345678", "+525512345678", "Phone number has already been taken"),
    ],
)
def test_unique_in_the_account(chatwoot: Chatwoot, field: str, value: str, other: str, text: str) -> None:
    chatwoot.contact(**{field: value})
    second = chatwoot.contact(name="Otro")

    for method, path in (("POST", "/contacts"), ("PUT", f"/contacts/{second['id']}")):
        answer = chatwoot.call(method, path, {field: other})
        assert (answer.status_code, answer.json()) == (422, {"message": text, "attributes": [field]})


def test_phones_are_compared_as_they_are(chatwoot: Chatwoot) -> None:
    chatwoot.contact(phone_number="+525512345678")
    chatwoot.contact(phone_number="+5215512345678")

    assert chatwoot.ok("GET", "/contacts")["meta"]["count"] == 2


@pytest.mark.parametrize("phone", ["5512345678", "+52 55 1234 5678", "+0123", "+1", "+1234567890123456"])
def test_phones_must_end_in_e164(chatwoot: Chatwoot, phone: str) -> None:
    answer = chatwoot.call("POST", "/contacts", {"phone_number": phone})

    assert answer.status_code == 422
    assert answer.json()["message"] == "Phone number should be in e164 format"


def test_the_phone_rule_is_not_anchored_at_the_start(chatwoot: Chatwoot) -> None:
    assert chatwoot.contact(phone_number="tel:+525512345678")["phone_number"] == "tel:+525512345678"


def test_update_merges_attributes_and_destroy_removes_them(chatwoot: Chatwoot) -> None:
    contact = chatwoot.contact(name="Eva", custom_attributes={"a": 1, "nested": {"x": 1}})
    path = f"/contacts/{contact['id']}"

    updated = chatwoot.ok("PUT", path, {"custom_attributes": {"b": 2, "nested": {"y": 1}}})
    assert updated["payload"]["custom_attributes"] == {"a": 1, "b": 2, "nested": {"y": 1}}
    assert updated["payload"]["name"] == "Eva"
    left = chatwoot.ok("POST", f"{path}/destroy_custom_attributes", {"custom_attributes": ["a", "no"]})
    assert left["payload"]["custom_attributes"] == {"b": 2, "nested": {"y": 1}}


@pytest.mark.parametrize("value", ["x" * 1501, 10_000_000_000])
def test_attribute_values_have_a_longest(chatwoot: Chatwoot, value: Any) -> None:
    answer = chatwoot.call("POST", "/contacts", {"custom_attributes": {"a": value}})

    assert (answer.status_code, answer.json()["attributes"]) == (422, ["custom_attributes"])


def test_lists_are_paged_by_15_and_echo_the_page(chatwoot: Chatwoot) -> None:
    for number in range(17):
        chatwoot.contact(name=f"C{number}", phone_number=f"+52551234{number:04}")
    chatwoot.contact(name="Sin datos")

    first, second = chatwoot.ok("GET", "/contacts"), chatwoot.ok("GET", "/contacts?page=2")
    assert first["meta"] == {"count": 17, "current_page": 1}
    assert second["meta"] == {"count": 17, "current_page": "2"}
    assert (len(first["payload"]), len(second["payload"])) == (15, 2)
    found = chatwoot.ok("GET", "/contacts/search?q=C")
    assert found["meta"] == {"count": 15, "current_page": 1, "has_more": True}
    last = chatwoot.ok("GET", "/contacts/search?q=C&page=2")
    assert last["meta"] == {"count": 2, "current_page": "2", "has_more": False}
    assert chatwoot.ok("GET", "/contacts?page=9")["payload"] == []
    filtered = filter_by(chatwoot, "phone_number", "+5255", "contains")
    assert filtered["meta"] == {"count": 17, "current_page": 1}


def test_lists_can_be_sorted(chatwoot: Chatwoot) -> None:
    for name in ("Bea", "Ana", "Eva"):
        chatwoot.contact(name=name, email=f"{name}@example.com")

    names = [c["name"] for c in chatwoot.ok("GET", "/contacts?sort=-name")["payload"]]
    assert names == ["Eva", "Bea", "Ana"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("5512345678", True),
        ("+525512345678", True),
        ("%2B525512345678", True),
        ("525512345678", True),
        ("(55) 1234-5678", False),
        ("EVA LÓPEZ", True),
        ("eva@exam", True),
        ("cliente-7", True),
        ("CLIENTE-7", False),
        ("%25lópez%25", True),
    ],
)
def test_search_is_a_plain_substring(chatwoot: Chatwoot, query: str, found: bool) -> None:
    contact = chatwoot.contact(
        name="Eva López", phone_number="+525512345678", email="eva@example.com", identifier="cliente-7"
    )

    assert ids(chatwoot.ok("GET", f"/contacts/search?q={query}")) == ([contact["id"]] if found else [])


def test_a_blank_search_answers_nulls(chatwoot: Chatwoot) -> None:
    blank = {"meta": {"count": None, "current_page": None, "has_more": None}, "payload": []}

    assert chatwoot.ok("GET", "/contacts/search?q=%20") == blank


@pytest.mark.parametrize("value", ["525512345678", "+525512345678", "52+5512345678"])
def test_the_phone_filter_wants_the_digits_only(chatwoot: Chatwoot, value: str) -> None:
    contact = chatwoot.contact(phone_number="+525512345678")

    assert ids(filter_by(chatwoot, "phone_number", value)) == [contact["id"]]
    assert ids(filter_by(chatwoot, "phone_number", "52 5512345678")) == []


def test_filters_combine_and_know_custom_attributes(chatwoot: Chatwoot) -> None:
    eva = chatwoot.contact(name="Eva", identifier="c-1", custom_attributes={"client_id": "7"})
    ana = chatwoot.contact(name="Ana", identifier="c-2", email="ana@example.com")

    unknown = chatwoot.call(
        "POST",
        "/contacts/filter",
        {"payload": [{"attribute_key": "client_id", "filter_operator": "equal_to", "values": ["7"]}]},
    )
    assert unknown.status_code == 422
    assert unknown.json()["error"].startswith("Invalid attribute key - [client_id]")
    definition = {"attribute_display_name": "Cliente", "attribute_key": "client_id", "attribute_model": 1}
    chatwoot.ok("POST", "/custom_attribute_definitions", definition)
    assert ids(filter_by(chatwoot, "client_id", "7")) == [eva["id"]]
    assert ids(filter_by(chatwoot, "name", "ANA")) == [ana["id"]]
    assert ids(filter_by(chatwoot, "email", "", "is_present")) == [ana["id"]]
    either = [
        {"attribute_key": "name", "filter_operator": "equal_to", "values": ["x"], "query_operator": "and"},
        {"attribute_key": "name", "filter_operator": "equal_to", "values": ["y"], "query_operator": "OR"},
        {"attribute_key": "identifier", "filter_operator": "starts_with", "values": ["c-"], "query_operator": None},
    ]
    assert ids(chatwoot.ok("POST", "/contacts/filter", {"payload": either})) == [eva["id"], ana["id"]]


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ({"attribute_key": "name", "filter_operator": "like", "values": ["x"]}, "Invalid operator."),
        ({"attribute_key": "name", "filter_operator": "equal_to", "values": []}, "Invalid value."),
        (
            {"attribute_key": "name", "filter_operator": "equal_to", "values": ["x"], "query_operator": "XOR"},
            "Query operator must be either",
        ),
    ],
)
def test_bad_filters_are_named(chatwoot: Chatwoot, condition: Any, text: str) -> None:
    answer = chatwoot.call("POST", "/contacts/filter", {"payload": [condition]})

    assert answer.status_code == 422
    assert answer.json()["error"].startswith(text)


@pytest.mark.parametrize(
    ("inbox", "given", "expected"),
    [
        (WHATSAPP, None, "525512345678"),
        (WHATSAPP, "5215512345678", "5215512345678"),
        (WHATSAPP, "MX.abc123", "MX.abc123"),
        (WHATSAPP, "+525512345678", None),
        (SMS, None, "+525512345678"),
        (SMS, "525512345678", None),
        (EMAIL, None, "eva@example.com"),
        (API, "free-form", "free-form"),
        (WIDGET, "browser-1", "browser-1"),
    ],
)
def test_source_ids_per_inbox(chatwoot: Chatwoot, inbox: int, given: str | None, expected: str | None) -> None:
    contact = chatwoot.contact(phone_number="+525512345678", email="eva@example.com")
    fields = {"inbox_id": inbox} | ({"source_id": given} if given else {})

    answer = chatwoot.call("POST", f"/contacts/{contact['id']}/contact_inboxes", fields)
    if expected is None:
        assert (answer.status_code, answer.json()["attributes"]) == (422, ["source_id"])
    else:
        assert (answer.status_code, answer.json()["source_id"]) == (200, expected)
        again = chatwoot.ok("POST", f"/contacts/{contact['id']}/contact_inboxes", fields)
        assert again["source_id"] == expected
        held = chatwoot.ok("GET", f"/contacts/{contact['id']}")["payload"]["contact_inboxes"]
        assert len(held) == 1


def test_an_api_inbox_gives_a_fresh_uuid_at_each_omission(chatwoot: Chatwoot) -> None:
    contact = chatwoot.contact(name="Eva")
    path = f"/contacts/{contact['id']}/contact_inboxes"

    first, second = (chatwoot.ok("POST", path, {"inbox_id": API})["source_id"] for _ in range(2))
    assert UUID.fullmatch(first)
    assert first != second
    shown = chatwoot.ok("GET", f"/contacts/{contact['id']}/contactable_inboxes")["payload"]
    assert next(x["source_id"] for x in shown if x["inbox"]["id"] == API) == second


@pytest.mark.parametrize(("inbox", "missing"), [(WHATSAPP, "contact phone number"), (EMAIL, "contact email")])
def test_nothing_to_derive_from(chatwoot: Chatwoot, inbox: int, missing: str) -> None:
    contact = chatwoot.contact(name="Eva")

    answer = chatwoot.call("POST", f"/contacts/{contact['id']}/contact_inboxes", {"inbox_id": inbox})
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": f"param is missing or the value is empty: {missing}"},
    )


def test_a_source_id_of_another_contact(chatwoot: Chatwoot) -> None:
    first, second = chatwoot.contact(name="Eva"), chatwoot.contact(name="Ana")
    for inbox, source_id in ((WHATSAPP, "525512345678"), (API, "shared")):
        fields = {"inbox_id": inbox, "source_id": source_id}
        chatwoot.ok("POST", f"/contacts/{first['id']}/contact_inboxes", fields)

    taken = {"inbox_id": WHATSAPP, "source_id": "525512345678"}
    assert chatwoot.ok("POST", f"/contacts/{second['id']}/contact_inboxes", taken)["source_id"] == "525512345678"
    scrambled = chatwoot.ok("GET", f"/contacts/{first['id']}")["payload"]["contact_inboxes"][0]["source_id"]
    assert scrambled != "525512345678"
    shared = {"inbox_id": API, "source_id": "shared"}
    assert chatwoot.call("POST", f"/contacts/{second['id']}/contact_inboxes", shared).status_code == 500
    refused = chatwoot.call("POST", "/conversations", {**shared, "contact_id": second["id"]})
    assert (refused.status_code, refused.json()) == (422, {"error": "source_id should be unique"})


def test_contactable_inboxes_follow_what_is_known(chatwoot: Chatwoot) -> None:
    contact = chatwoot.contact(name="Eva", phone_number="+525512345678")

    shown = chatwoot.ok("GET", f"/contacts/{contact['id']}/contactable_inboxes")["payload"]
    by_inbox = {item["inbox"]["id"]: item["source_id"] for item in shown}
    assert set(by_inbox) == {WHATSAPP, API, SMS}
    assert (by_inbox[WHATSAPP], by_inbox[SMS]) == ("525512345678", "+525512345678")
    chatwoot.ok("PUT", f"/contacts/{contact['id']}", {"phone_number": "+525512345679"})
    assert chatwoot.ok("GET", f"/contacts/{contact['id']}")["payload"]["contact_inboxes"] == []


def test_merge_keeps_the_base_and_deletes_the_other(chatwoot: Chatwoot) -> None:
    came = chatwoot.incoming(inbox_id=WIDGET, source_id="browser-1", name="Visitante", text="Hola")
    base = chatwoot.contact(name="Eva", phone_number="+525512345678", custom_attributes={"a": 1})

    fields = {"base_contact_id": base["id"], "mergee_contact_id": came["contact_id"]}
    merged = chatwoot.ok("POST", "/actions/contact_merge", fields)
    assert (merged["id"], merged["name"], merged["custom_attributes"]) == (base["id"], "Eva", {"a": 1})
    assert chatwoot.call("GET", f"/contacts/{came['contact_id']}").status_code == 404
    talks = chatwoot.ok("GET", f"/contacts/{base['id']}/conversations")["payload"]
    assert [t["id"] for t in talks] == [came["conversation_id"]]
    assert chatwoot.messages(came["conversation_id"])[0]["sender"]["id"] == base["id"]


def test_labels_notes_and_deletion(chatwoot: Chatwoot) -> None:
    path = f"/contacts/{chatwoot.contact(name='Eva')['id']}"

    assert chatwoot.ok("POST", f"{path}/labels", {"labels": ["vip"]}) == {"payload": ["vip"]}
    assert chatwoot.ok("GET", f"{path}/labels") == {"payload": ["vip"]}
    note = chatwoot.ok("POST", f"{path}/notes", {"note": {"content": "Alergia"}})
    assert [n["content"] for n in chatwoot.ok("GET", f"{path}/notes")] == ["Alergia"]
    assert chatwoot.call("DELETE", f"{path}/notes/{note['id']}").content == b""
    deleted = chatwoot.call("DELETE", path)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert chatwoot.call("GET", path).status_code == 404


def test_form_fields_are_understood_like_json(chatwoot: Chatwoot) -> None:
    answer = chatwoot.raw(
        "POST",
        "/api/v1/accounts/1/contacts",
        headers={"Api-Access-Token": ADMIN},
        data={"name": "Eva", "custom_attributes[client_id]": "7"},
    )

    assert answer.json()["payload"]["contact"]["custom_attributes"] == {"client_id": "7"}
