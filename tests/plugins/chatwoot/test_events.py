"""Every body Chatwoot has sent is understood, and nothing that is sent makes us stumble."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.chatwoot.api import MARKER
from plugins.chatwoot.events import (
    JSON,
    channel_of,
    contact_of,
    incoming_message,
    is_noise,
    parse_event,
    source_id_of,
)
from tests.plugins.chatwoot import payloads
from tests.plugins.chatwoot.payloads import ACCOUNT, CONTACT, CONVERSATION, GENERATIONS, INBOX, MESSAGE, PHONE, Version

WRONG = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["message_created", "incoming", "contact", "\ud800", "\0", 2**70, -1, "9" * 30]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)
GOOD = (
    payloads.message(),
    payloads.outgoing(),
    payloads.message("message_updated", content_attributes={"external_error": "131047: Re-engagement message"}),
    payloads.about_conversation(),
    payloads.about_conversation("conversation_updated", changed_attributes=payloads.changed(assignee_id=7)),
    payloads.about_contact(),
    payloads.about_contact("contact_updated", changed_attributes=payloads.changed(name="Ana")),
    payloads.typing(),
    payloads.by_hand(),
)


@pytest.mark.parametrize("since", GENERATIONS)
def test_an_incoming_message_of_every_generation(since: Version) -> None:
    body = payloads.message(since=since)
    event = parse_event(body)
    assert event is not None
    assert (event.name, event.account_id, event.inbox_id) == ("message_created", ACCOUNT, INBOX)
    assert (event.object_id, event.conversation_id) == (MESSAGE, CONVERSATION)
    assert event.object_key == f"message_created:{MESSAGE}"
    message = incoming_message(body)
    assert message is not None
    assert (message.account_id, message.inbox_id, message.conversation_id) == (ACCOUNT, INBOX, CONVERSATION)
    assert (message.contact_id, message.contact["phone_number"]) == (CONTACT, PHONE)
    assert (message.message_id, message.text) == (MESSAGE, "Sí, confirmo")
    assert (message.channel_type, message.source_id) == ("Channel::Whatsapp", "5215512345678")
    assert message.created_at == datetime(2026, 6, 17, 16, tzinfo=UTC)
    assert (message.in_reply_to, message.has_media) == (None, False)


@pytest.mark.parametrize("since", GENERATIONS)
@pytest.mark.parametrize(
    "name",
    [
        "conversation_created",
        "conversation_updated",
        "conversation_status_changed",
        "conversation_opened",
        "automation_event.conversation_created",
        "macro.executed",
    ],
)
def test_events_about_conversations_are_flat(since: Version, name: str) -> None:
    body = payloads.about_conversation(name, since=since)
    event = parse_event(body)
    assert event is not None
    assert (event.name, event.account_id, event.inbox_id) == (name, ACCOUNT, INBOX)
    assert event.object_id == event.conversation_id == CONVERSATION
    assert event.object_key == (f"{name}:{CONVERSATION}" if name == "conversation_created" else None)
    assert contact_of(body)["id"] == CONTACT
    assert incoming_message(body) is None


def test_an_old_conversation_without_messages_names_no_account() -> None:
    event = parse_event(payloads.about_conversation(since=(4, 7), messages=[]))
    assert event is not None
    assert (event.account_id, event.inbox_id) == (None, INBOX)


def test_events_about_contacts() -> None:
    created = parse_event(payloads.about_contact())
    assert created is not None
    assert (created.account_id, created.inbox_id, created.object_id) == (ACCOUNT, None, CONTACT)
    assert (created.object_key, created.conversation_id) == (f"contact_created:{CONTACT}", None)
    updated = parse_event(payloads.about_contact("contact_updated"))
    assert updated is not None
    assert updated.object_key is None
    assert contact_of(payloads.about_contact())["phone_number"] == PHONE


def test_a_message_that_changes_again_and_again_is_not_one_creation() -> None:
    event = parse_event(payloads.message("message_updated"))
    assert event is not None
    assert (event.object_id, event.object_key) == (MESSAGE, None)


def test_the_short_body_that_people_post_by_hand() -> None:
    body = payloads.by_hand()
    event = parse_event(body)
    assert event is not None
    assert (event.account_id, event.inbox_id, event.conversation_id) == (None, INBOX, CONVERSATION)
    message = incoming_message(body)
    assert message is not None
    assert (message.contact_id, message.contact["phone_number"], message.text) == (CONTACT, PHONE, "Hola")
    assert (message.message_id, message.created_at, message.channel_type) == (None, None, None)


def test_numbers_written_as_text_are_numbers() -> None:
    event = parse_event(payloads.by_hand(inbox={"id": "789"}, account={"id": "31"}, id="5"))
    assert event is not None
    assert (event.account_id, event.inbox_id, event.object_key) == (31, 789, "message_created:5")


@pytest.mark.parametrize("payload", [None, [], "message_created", 7, {}, {"event": ""}, {"event": 5}, {"event": None}])
def test_no_event(payload: object) -> None:
    assert parse_event(payload) is None
    assert incoming_message(payload) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(payloads.outgoing(), id="an agent's"),
        pytest.param(payloads.outgoing(sender=payloads.agent("agent_bot")), id="a bot's"),
        pytest.param(payloads.message(message_type="template", sender=None), id="a greeting"),
        pytest.param(payloads.message(message_type="outgoing", sender=None), id="typed in the phone app"),
        pytest.param(payloads.message(message_type="activity"), id="activity"),
        pytest.param(payloads.message(message_type=False), id="no type"),
        pytest.param(payloads.outgoing(private=True), id="a note"),
        pytest.param(payloads.message(private=True), id="private"),
        pytest.param(payloads.message(content_attributes={MARKER: "1-2-chatwoot"}), id="our own"),
        pytest.param(payloads.message(sender=payloads.agent()), id="incoming, but from an agent"),
        pytest.param(payloads.message("message_updated"), id="an update"),
        pytest.param(payloads.message(sender=None, conversation={}), id="from nobody"),
    ],
)
def test_only_what_a_contact_wrote_is_an_incoming_message(body: JSON) -> None:
    assert incoming_message(body) is None


def test_a_message_without_words() -> None:
    picture = {"id": 1, "message_id": MESSAGE, "file_type": "audio", "account_id": ACCOUNT}
    message = incoming_message(payloads.message(content=None, attachments=[picture]))
    assert message is not None
    assert (message.text, message.has_media) == (None, True)


def test_the_message_it_answers() -> None:
    message = incoming_message(payloads.message(content_attributes={"in_reply_to": 4711}))
    assert message is not None
    assert message.in_reply_to == 4711


def test_a_message_without_sender_is_the_conversations_contact_s() -> None:
    message = incoming_message(payloads.message(sender=None))
    assert message is not None
    assert (message.contact_id, message.contact["phone_number"]) == (CONTACT, PHONE)


def test_a_contact_without_phone() -> None:
    who = payloads.contact(phone_number=None)
    within = payloads.conversation(who=who, channel="Channel::Telegram", source_id="123456")
    message = incoming_message(payloads.message(within=within))
    assert message is not None
    assert (message.contact["phone_number"], message.source_id) == (None, "123456")


def test_what_databases_refuse_is_taken_out_of_texts() -> None:
    message = incoming_message(payloads.message(content="a\0b\ud800c😀"))
    assert message is not None
    assert message.text == "ab�c😀"


def test_a_conversation_read_from_the_api_says_its_channel_elsewhere() -> None:
    assert channel_of({"meta": {"channel": "Channel::Sms"}}) == "Channel::Sms"
    assert channel_of({"channel": None, "meta": []}) is None
    assert source_id_of({"contact_inbox": {"source_id": 5}}) is None


@pytest.mark.parametrize(
    ("body", "noise"),
    [
        (payloads.typing(), True),
        (payloads.typing(event="conversation_typing_off"), True),
        ({"event": "webwidget_triggered", "id": 1, "contact": payloads.contact()}, True),
        ({"event": "inbox_updated", "account": {"id": ACCOUNT}}, True),
        (payloads.about_contact("contact_updated", changed_attributes=payloads.changed(updated_at=1)), True),
        (
            payloads.about_contact(
                "contact_updated", changed_attributes=payloads.changed(last_activity_at=1, updated_at=1)
            ),
            True,
        ),
        (
            payloads.about_contact(
                "contact_updated", changed_attributes=payloads.changed(phone_number=PHONE, updated_at=1)
            ),
            False,
        ),
        (payloads.about_contact("contact_updated", changed_attributes=None), False),
        (payloads.about_contact("contact_updated", changed_attributes=[]), False),
        (payloads.about_contact("contact_updated", changed_attributes=["updated_at"]), False),
        (payloads.about_contact(changed_attributes=payloads.changed(updated_at=1)), False),
        (payloads.message(), False),
        ({"event": "something_new"}, False),
    ],
)
def test_noise(body: JSON, noise: bool) -> None:
    event = parse_event(body)
    assert event is not None
    assert is_noise(event) is noise


def _look_at(payload: object) -> None:
    event = parse_event(payload)
    message = incoming_message(payload)
    if event is not None:
        is_noise(event)
        contact_of(event.raw)
        for number in (event.account_id, event.inbox_id, event.object_id, event.conversation_id):
            assert number is None or 0 < number < 2**63
        event.name.encode()
    if message is not None:
        assert message.contact_id > 0
        (message.text or "").encode()


@given(WRONG)
def test_no_json_makes_it_stumble(payload: object) -> None:
    _look_at(payload)


@given(st.data())
def test_a_good_body_with_anything_wrong_in_it(data: st.DataObject) -> None:
    body: Any = copy.deepcopy(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = body
        while True:
            key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            deeper = place[key]
            if not isinstance(deeper, (dict, list)) or not deeper or data.draw(st.booleans()):
                break
            place = deeper
        if data.draw(st.booleans()):
            place[key] = data.draw(WRONG)
        else:
            del place[key]
        if not body:
            break
    _look_at(body)


def test_deep_and_huge_bodies() -> None:
    deep = json.loads("[" * 500 + "]" * 500)
    _look_at(payloads.message(conversation=deep, id=10**400, created_at=1e300, content_attributes=deep, sender=deep))
    _look_at(payloads.message(created_at="99999-01-01T00:00:00Z"))
    _look_at(payloads.message(created_at=10**30))
