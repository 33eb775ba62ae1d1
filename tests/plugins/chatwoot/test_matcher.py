"""The right client is recognised, a doubtful one never, and never anybody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, update

from citaplanner_core.booking.clients import add_phone
from citaplanner_core.booking.models import Client, ClientPhone
from citaplanner_core.database import db, work
from citaplanner_core.testing.factories import make_client, make_tenant
from plugins.chatwoot import identity
from plugins.chatwoot.accounts import Account
from plugins.chatwoot.events import JSON
from plugins.chatwoot.identity import client_identifier
from plugins.chatwoot.matcher import Match, match, trust_of
from plugins.chatwoot.models import ChatwootConfig
from tests.plugins.chatwoot import payloads
from tests.plugins.chatwoot.payloads import ACCOUNT, CONTACT, INBOX, PHONE
from tests.plugins.chatwoot.support import config
from tests.plugins.chatwoot.test_events import WRONG

SERVER = "https://chat.example"
REF = f"{SERVER}#{ACCOUNT}"
OTHER = "+525587654321"
WIDGET: JSON = {"channel": "Channel::WebWidget", "source_id": "f8cf369d-2d88-40b8-9253-887b675a33d3"}
API: JSON = {"channel": "Channel::Api", "source_id": "90b1bdd5-04ba-4a23-833f-3ba155329273"}


@dataclass(slots=True)
class House:
    """A business with its clients, and the Chatwoot account they write to."""

    tenant: int

    def client(self, *phones: str, **values: Any) -> int:
        """Make a client with these phones and return its id."""
        with work(self.tenant) as session:
            client = make_client(session, phone=phones[0] if phones else None, **values)
            for phone in phones[1:]:
                add_phone(session, client, phone)
            return client.id

    def link(self, client_id: int, **values: Any) -> None:
        """Link the contact to a client, as an earlier message from its phone did."""
        with work(self.tenant) as session:
            identity.link(
                session, account_ref=REF, contact_id=CONTACT, client_id=client_id, **{"rule": "phone", **values}
            )

    def who(
        self,
        contact: JSON | None = None,
        *,
        phone: str | None = PHONE,
        account: ChatwootConfig | Account | None = None,
        trust: str | None = None,
        **conversation: Any,
    ) -> "Found":
        """Let a contact write (by WhatsApp, from `phone`, unless said otherwise) and tell who it is."""
        contact = contact or payloads.contact(phone_number=phone)
        source = {"source_id": (contact.get("phone_number") or "").removeprefix("+") or None}
        within = payloads.conversation(who=contact, **{**source, **conversation})
        account = account or config(SERVER, account_id=ACCOUNT, inbox_trust={str(INBOX): trust} if trust else {})
        with work(self.tenant, write=False) as session:
            return Found.of(match(session, account=account, contact=contact, conversation=within))


@dataclass(frozen=True, slots=True)
class Found:
    """A match, with ids in place of clients."""

    outcome: str
    client: int | None
    candidates: tuple[int, ...]
    rule: str
    trust: str

    @classmethod
    def of(cls, found: Match) -> "Found":
        ids = tuple(client.id for client in found.candidates)
        return cls(found.outcome, found.client.id if found.client else None, ids, found.rule, found.trust)


def linked(client: int, rule: str = "phone") -> Found:
    return Found("linked", client, (client,), rule, "proven")


def suggested(client: int, rule: str = "phone", trust: str = "claimed") -> Found:
    return Found("suggested", client, (client,), rule, trust)


def unknown(trust: str = "proven") -> Found:
    return Found("unknown", None, (), "none", trust)


@pytest.fixture
def house(tenant: int) -> House:
    return House(tenant)


@contextmanager
def queries() -> Iterator[list[str]]:
    """Collect the statements sent to the database inside the block."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


# Numbers


FORMS = [
    ("Mexico with WhatsApp's 1", "MX", "55 1234 5678", "+5215512345678"),
    ("Mexico with the old prefix", "MX", "044 55 1234 5678", "+525512345678"),
    ("Mexico stored with 1", "MX", "+52 1 55 1234 5678", "+525512345678"),
    ("Argentina with 9", "AR", "011 15-2345-6789", "+5491123456789"),
    ("Argentina stored without 9", "AR", "+54 11 2345-6789", "+5491123456789"),
    ("Argentina reported without 9", "AR", "+54 9 11 2345 6789", "+541123456789"),
    ("Brazil without the ninth digit", "BR", "(11) 98765-4321", "+551187654321"),
    ("Brazil with it", "BR", "11 8765 4321", "+5511987654321"),
    ("Spain", "ES", "612 34 56 78", "+34612345678"),
    ("United States", "US", "(201) 555-0123", "+12015550123"),
]


def test_a_number_is_the_same_in_whatever_form(house: House, subtests: pytest.Subtests) -> None:
    for number, (what, country, typed, reported) in enumerate(FORMS):
        with subtests.test(what):
            abroad = House(make_tenant(f"abroad-{number}", country=country))
            client = abroad.client(typed)
            nameless = payloads.contact(phone_number=None)
            assert abroad.who(phone=reported) == linked(client)
            assert abroad.who(nameless, source_id=reported.removeprefix("+")) == linked(client)


def test_a_stranger_is_unknown(house: House) -> None:
    house.client(OTHER)
    assert house.who() == unknown()


def test_a_number_that_only_looks_alike_is_another(house: House) -> None:
    house.client(PHONE)
    for alike in ("+525512345679", "+5512345678", "+52551234567", "+1525512345678"):
        assert house.who(phone=alike).client is None


def test_a_family_that_shares_a_number_is_not_guessed(house: House) -> None:
    mother, daughter = house.client(PHONE), house.client("55 1234 5678")
    assert house.who() == Found("ambiguous", None, (mother, daughter), "phone", "proven")
    assert house.who(**WIDGET).outcome == "ambiguous"


def test_one_client_with_two_numbers(house: House) -> None:
    client = house.client(OTHER, PHONE)
    assert house.who() == linked(client)
    assert house.who(phone=OTHER) == linked(client)


def test_one_client_who_gave_the_same_number_twice(house: House) -> None:
    client = house.client(PHONE, "55 1234 5678 ext. 12")
    assert house.who() == linked(client)


@pytest.mark.parametrize("typed", ["55 1234 5678 ext. 12", "55 1234 5678 (mamá)"])
def test_a_switchboard_or_somebody_elses_number_does_not_link(house: House, typed: str) -> None:
    client = house.client(typed)
    assert house.who() == suggested(client, trust="proven")


def test_a_number_read_with_little_confidence_does_not_link(house: House) -> None:
    client = house.client(PHONE)
    with work(house.tenant) as session:
        session.execute(update(ClientPhone).values(confidence="low"))
    assert house.who() == suggested(client, trust="proven")


def test_inactive_clients_never_match(house: House) -> None:
    client = house.client(PHONE, email="ana@example.com", active=False)
    house.link(client)
    identifier = client_identifier(house.tenant, client)
    contact = payloads.contact(identifier=identifier, email="ana@example.com")
    assert house.who(contact) == unknown()
    assert house.who(payloads.contact(phone_number=None, identifier=identifier)) == unknown()


def test_another_tenants_client_never_matches(house: House) -> None:
    neighbour = House(make_tenant("neighbour"))
    theirs = neighbour.client(PHONE, email="ana@example.com")
    neighbour.link(theirs, rule=identity.AGENT)
    contact = payloads.contact(identifier=client_identifier(neighbour.tenant, theirs), email="ana@example.com")
    assert house.who(contact) == unknown()
    assert house.who(contact, hmac_verified=True) == unknown()
    ours = house.client(PHONE)
    assert house.who(contact) == linked(ours)
    assert neighbour.who(contact) == linked(theirs, "link")


NUMBERLESS: dict[str, JSON] = {
    "privacy id": {"phone_number": None, "identifier": "206532112345678@lid"},
    "as a phone": {"phone_number": "+206532112345678", "identifier": "206532112345678@lid"},
    "group": {"phone_number": None, "identifier": "525512345678-1612345678@g.us"},
    "group with a phone": {"phone_number": PHONE, "identifier": "120363012345678901@g.us"},
    "nothing": {"phone_number": None, "identifier": None},
    "empty": {"phone_number": "", "identifier": "", "email": ""},
    "only a country": {"phone_number": "+52"},
}


def test_who_has_no_number_of_their_own_is_unknown(house: House, subtests: pytest.Subtests) -> None:
    house.client(PHONE)
    for what, values in NUMBERLESS.items():
        with subtests.test(what):
            assert house.who(payloads.contact() | values, trust="proven", **API) == unknown()


def test_a_business_scoped_id_is_no_number(house: House) -> None:
    client = house.client(PHONE)
    assert house.who(payloads.contact(phone_number=None), source_id="MX.1234567890AB") == unknown()
    assert house.who(source_id="MX.1234567890AB") == suggested(client, trust="proven")


def test_twilio_and_sms_addresses(house: House) -> None:
    client = house.client(PHONE)
    nameless = payloads.contact(phone_number=None)
    for channel, address in (
        ("Channel::TwilioSms", "whatsapp:+5215512345678"),
        ("Channel::TwilioSms", "+525512345678"),
        ("Channel::Sms", "+525512345678"),
        ("Channel::Whatsapp", "5215512345678"),
    ):
        assert house.who(nameless, channel=channel, source_id=address) == linked(client)
    assert house.who(nameless, channel="Channel::Telegram", source_id="5215512345678") == unknown("claimed")


# Trust


def test_a_typed_number_only_suggests(house: House) -> None:
    client = house.client(PHONE)
    for channel in ("Channel::WebWidget", "Channel::Api", "Channel::Email", "Channel::Line", "Channel::New"):
        assert house.who(channel=channel, source_id="a-uuid") == suggested(client)


def test_a_visitor_vouched_for_by_the_website(house: House) -> None:
    client = house.client(PHONE)
    assert house.who(**WIDGET, hmac_verified=True) == linked(client)


def test_an_inbox_fed_by_a_bridge_can_be_declared_proven(house: House) -> None:
    client = house.client(PHONE)
    assert house.who(**API) == suggested(client)
    assert house.who(**API, trust="proven") == linked(client)
    bridged = payloads.contact(phone_number=None, identifier="5215512345678@s.whatsapp.net")
    assert house.who(bridged, **API, trust="proven") == linked(client)
    assert house.who(trust="claimed") == suggested(client)
    assert house.who(**WIDGET, hmac_verified=True, trust="claimed") == suggested(client)
    assert house.who(trust="nonsense") == linked(client)


def test_the_environment_declares_its_own_inbox(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = house.client(PHONE)
    monkeypatch.setenv("CHATWOOT_INBOX_TRUST", "proven")
    assert house.who(**API) == linked(client)
    monkeypatch.setenv("CHATWOOT_API_URL", SERVER)
    monkeypatch.setenv("CHATWOOT_ACCOUNT_ID", str(ACCOUNT))
    monkeypatch.setenv("CHATWOOT_INBOX_ID", str(INBOX))
    assert house.who(**API) == linked(client)
    assert house.who(**API, trust="claimed") == suggested(client)
    assert house.who(**API, inbox_id=4) == suggested(client)
    monkeypatch.setenv("CHATWOOT_ACCOUNT_ID", "4")
    assert house.who(**API) == suggested(client)


def test_a_conversation_read_from_the_api_has_no_address(house: House) -> None:
    client = house.client(PHONE)
    contact = payloads.contact()
    read = {"id": 77, "inbox_id": INBOX, "meta": {"sender": contact, "channel": "Channel::Whatsapp"}}
    with work(house.tenant, write=False) as session:
        found = match(session, account=config(SERVER, account_id=ACCOUNT), contact=contact, conversation=read)
        assert Found.of(found) == linked(client)


def test_the_carriers_address_counts_for_more_than_what_the_contact_says(house: House) -> None:
    writer, named = house.client(OTHER), house.client(PHONE)
    address: JSON = {"source_id": OTHER.removeprefix("+")}
    assert house.who(**address) == Found("ambiguous", None, (writer, named), "phone", "proven")
    with work(house.tenant) as session:
        session.get_one(Client, writer).active = False
    assert house.who(**address) == suggested(named, trust="proven")


def test_an_effective_account_will_do_for_a_row(house: House) -> None:
    client = house.client(PHONE)
    house.link(client, rule=identity.AGENT)
    account = Account(
        base_url=SERVER,
        account_id=ACCOUNT,
        inbox_id=INBOX,
        access_token="",
        inbox_trust={str(INBOX): "proven"},
        enabled=True,
        sources={},
    )
    assert house.who(account=account, **API) == linked(client, "link")


# Links and identifiers


def test_a_known_link_comes_first(house: House) -> None:
    client = house.client(PHONE)
    house.link(client)
    assert house.who() == linked(client, "link")
    assert house.who(payloads.contact(phone_number=None), source_id=None) == linked(client, "link")


def test_a_known_link_is_not_believed_where_anybody_can_type(house: House) -> None:
    client = house.client(PHONE)
    for rule in ("phone", identity.AGENT):
        house.link(client, rule=rule)
        assert house.who(**WIDGET) == suggested(client, "link")
        assert house.who(payloads.contact(phone_number=None), **WIDGET) == suggested(client, "link")


def test_a_link_is_of_one_account(house: House) -> None:
    house.link(house.client(OTHER), rule=identity.AGENT)
    assert house.who(account=config("https://other.example", account_id=ACCOUNT)) == unknown()
    assert house.who(account=config(SERVER, account_id=ACCOUNT + 1)) == unknown()


def test_a_link_follows_the_number_to_another_client(house: House) -> None:
    before, now = house.client(OTHER), house.client(PHONE)
    house.link(before)
    assert house.who() == linked(now)


def test_a_link_ends_when_the_client_loses_the_number(house: House) -> None:
    client = house.client(OTHER)
    house.link(client)
    assert house.who() == unknown()
    identified = payloads.contact(identifier=client_identifier(house.tenant, client))
    assert house.who(identified) == unknown()


def test_a_link_ends_when_somebody_else_shares_the_number(house: House) -> None:
    mother, daughter = house.client(PHONE), house.client(PHONE)
    house.link(mother)
    assert house.who() == Found("ambiguous", None, (mother, daughter), "phone", "proven")


def test_a_link_made_by_a_person_stays(house: House) -> None:
    house.client(PHONE)
    house.client(PHONE)
    chosen = house.client(OTHER)
    house.link(chosen, rule=identity.AGENT)
    assert house.who() == linked(chosen, "link")


def test_our_identifier_names_a_client_without_a_number(house: House) -> None:
    client = house.client(PHONE)
    contact = payloads.contact(phone_number=None, identifier=client_identifier(house.tenant, client))
    assert house.who(contact, source_id=None) == linked(client, "identifier")
    assert house.who(contact, **WIDGET) == suggested(client, "identifier")
    assert house.who(contact, **WIDGET, hmac_verified=True) == linked(client, "identifier")


def test_our_identifier_beside_the_number(house: House) -> None:
    client, other = house.client(PHONE), house.client(OTHER)
    contact = payloads.contact(identifier=client_identifier(house.tenant, client))
    assert house.who(contact) == linked(client, "identifier")
    moved = payloads.contact(identifier=client_identifier(house.tenant, client), phone_number=OTHER)
    assert house.who(moved) == linked(other)
    assert house.who(moved, **WIDGET, hmac_verified=True) == linked(client, "identifier")
    house.client(PHONE)
    assert house.who(contact).outcome == "ambiguous"


def test_identifiers_that_are_not_ours(house: House) -> None:
    for text in ("citaplanner:1", "citaplanner:1:x", "citaplanner:0:1", "citaplanner:1:999999", "1", 7):
        assert house.who(payloads.contact(phone_number=None, identifier=text), source_id=None) == unknown()


def test_an_email_only_ever_suggests(house: House) -> None:
    client = house.client(email="Ana@Example.com")
    contact = payloads.contact(phone_number=None, email="Ana@Example.com")
    assert house.who(contact, source_id=None) == suggested(client, "email", "proven")
    assert house.who(contact, **WIDGET) == suggested(client, "email")
    twin = house.client(email="ana@example.com")
    found = house.who(contact, **WIDGET)
    assert found == Found("ambiguous", None, (client, twin), "email", "claimed")


# Cost and garbage


def test_one_query_asks_for_the_link_and_the_number(house: House) -> None:
    client = house.client(PHONE)
    house.client(OTHER)
    with queries() as sent:
        assert house.who() == linked(client)
    assert len([one for one in sent if one.lstrip().startswith("SELECT")]) == 1


KEYS = {PHONE: PHONE, OTHER: OTHER, "55 1234 5678 ext. 9": PHONE}
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(contact=WRONG, conversation=WRONG, field=st.sampled_from(list(payloads.contact())), value=WRONG)
def test_no_json_makes_it_stumble_or_link(
    house: House, contact: object, conversation: object, field: str, value: object
) -> None:
    account = config(SERVER, account_id=ACCOUNT)
    bodies = [
        (contact if isinstance(contact, dict) else {}, conversation if isinstance(conversation, dict) else {}),
        (payloads.contact() | {field: value}, payloads.conversation(source_id=None, contact_inbox=conversation)),
        (payloads.contact(), {"meta": contact, "contact_inbox": conversation, "channel": value, "inbox_id": value}),
    ]
    with work(house.tenant, write=False) as session:
        for who, within in bodies:
            assert match(session, account=account, contact=who, conversation=within).client is None


@FEW
@given(
    holders=st.lists(st.sampled_from([*KEYS, None]), max_size=3),
    link=st.integers(0, 3),
    by_hand=st.booleans(),
    phone=st.sampled_from([PHONE, OTHER, None]),
    channel=st.sampled_from(["Channel::Whatsapp", "Channel::WebWidget", "Channel::Api"]),
    trust=st.sampled_from([None, "proven", "claimed"]),
)
def test_nobody_is_linked_who_is_not_surely_that_client(
    house: House,
    holders: list[str | None],
    link: int,
    by_hand: bool,
    phone: str | None,
    channel: str,
    trust: str | None,
) -> None:
    with work(house.tenant) as session:
        session.execute(delete(Client))
    clients = [house.client(*[one] if one else []) for one in holders]
    if link < len(clients):
        house.link(clients[link], rule=identity.AGENT if by_hand else "phone")
    source = phone.removeprefix("+") if phone and channel == "Channel::Whatsapp" else "a-uuid"
    found = house.who(payloads.contact(phone_number=phone), channel=channel, source_id=source, trust=trust)
    owners = {client for client, one in zip(clients, holders, strict=True) if one and KEYS[one] == phone}
    assert (found.client is None) == (found.outcome in ("ambiguous", "unknown"))
    if found.outcome == "linked":
        assert found.trust == "proven"
        chosen = link < len(clients) and clients[link] == found.client
        assert (chosen and (by_hand or phone is None)) or owners == {found.client}
    if found.trust == "claimed":
        assert found.outcome != "linked"


def test_trust_of_nothing_is_a_claim() -> None:
    assert trust_of(config(SERVER, account_id=ACCOUNT), {}) == "claimed"
    assert trust_of(ChatwootConfig(), {"meta": 1, "contact_inbox": None, "inbox_id": []}) == "claimed"
