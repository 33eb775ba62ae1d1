"""The story: the whole loop played without a person, seeing nothing but ports.

It talks to the REST API and to the stand-in server's record, as a stranger would, and says at which step
something did not happen.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

STEP_SECONDS = 20
QUIET_SECONDS = 1.5
PAUSE = 0.25
INBOX = 2
PHONE = "5215512345678"
PHONE_AS_BOOKED = "55 1234 5678"
STRANGER = "5213312345670"
SANDBOX_TOKEN = "sandbox-admin-token"  # noqa: S105  # the stand-in's public token


class StepFailed(Exception):
    """A step of the story was not observed in time."""


@dataclass(slots=True)
class Story:
    """One performance. `echo` prints a line."""

    web: str
    sandbox: str
    token: str
    echo: Callable[[str], None]
    number: int = 0
    http: requests.Session = field(default_factory=requests.Session)

    def step(self, text: str) -> None:
        """Announce the next step."""
        self.number += 1
        self.echo(f"{self.number}. {text}")

    def saw(self, text: str) -> None:
        """Say what was observed."""
        self.echo(f"   {text}")

    def api(self, method: str, path: str, **body: Any) -> Any:
        """Call the REST API; anything but success ends the story."""
        answer = self.http.request(
            method,
            f"{self.web}/api/v1/{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            json=body or None,
            timeout=10,
        )
        if not answer.ok:
            raise StepFailed(f"{method} /api/v1/{path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()

    def control(self, path: str, **body: Any) -> Any:
        """Read the stand-in's record, or with a body act on it."""
        url = f"{self.sandbox}/sandbox/{path}"
        answer = self.http.post(url, json=body, timeout=10) if body else self.http.get(url, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def contact(self, contact_id: int) -> dict[str, Any]:
        """Return a contact as Chatwoot's own API shows it."""
        answer = self.http.get(
            f"{self.sandbox}/api/v1/accounts/1/contacts/{contact_id}",
            headers={"Api-Access-Token": SANDBOX_TOKEN},
            timeout=10,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()["payload"]
        return found

    def wait(self, what: str, look: Callable[[], Any]) -> Any:
        """Look until something true comes back; raise `StepFailed` after a while."""
        deadline = time.monotonic() + STEP_SECONDS
        while True:
            if found := look():
                return found
            if time.monotonic() > deadline:
                raise StepFailed(f"not seen within {STEP_SECONDS} s: {what}")
            time.sleep(PAUSE)

    def stays(self, what: str, look: Callable[[], bool]) -> None:
        """Look for a while, and raise `StepFailed` as soon as it is not so."""
        deadline = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < deadline:
            if not look():
                raise StepFailed(f"it should have stayed so: {what}")
            time.sleep(PAUSE)

    def messages(self, conversation: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the public outgoing messages of a conversation of account 1, or of all."""
        for message in self.control("messages"):
            ours = message["direction"] == "outgoing" and not message["private"]
            if ours and conversation in (None, message["conversation"]):
                yield message

    def write(self, text: str, phone: str = PHONE) -> dict[str, Any]:
        """Write a message from a phone, as the WhatsApp bridge reports it."""
        self.echo(f"   {phone} > {text}")
        sent: dict[str, Any] = self.control("incoming", inbox_id=INBOX, phone=phone, name="Ana", text=text)
        return sent

    def delivery_of(self, message_id: int) -> dict[str, Any] | None:
        """Return the account webhook that reported a message, once it was answered."""
        for delivery in self.control("deliveries"):
            if delivery["event"] == "message_created" and delivery["object_id"] == message_id:
                return delivery if delivery["status"] is not None else None
        return None


def play(given: Mapping[str, Any]) -> int:
    """Play the story; return 0 when every step was observed, else 1 after saying which was not."""
    addresses = given["addresses"]
    story = Story(addresses["web"], addresses["sandbox"], given["token"], given["echo"])
    try:
        _play(story)
    except (StepFailed, requests.RequestException) as error:
        story.echo(f"FAILED at step {story.number}: {error}")
        return 1
    finally:
        story.http.close()
    story.echo(f"All {story.number} steps were observed.")
    return 0


def _play(story: Story) -> None:
    story.step("Ana books by the API")
    appointment = _book(story)
    _expect(appointment["status"] == "PENDING", f"the appointment should start PENDING, it is {appointment['status']}")
    path = f"appointments/{appointment['id']}"
    story.saw(f"appointment {appointment['id']}, {appointment['start']}: {appointment['status']}")

    story.step("she is asked to confirm, in Chatwoot")
    question = story.wait("a confirmation with the question in a conversation", lambda: _question(story))
    story.saw(f"conversation {question['conversation']}, status {question['status']}:")
    for line in question["content"].splitlines():
        story.saw(f"| {line}")

    story.step(f"somebody writes from {PHONE}")
    hello = story.write("Hola, buenas tardes")
    delivery = story.wait("the signed webhook", lambda: story.delivery_of(hello["message_id"]))
    _expect(delivery["status"] == 200, f"the webhook was answered {delivery['status']}")
    _expect(delivery["signed"], "the webhook carried no signature")
    story.saw("the webhook arrived signed and was answered 200")

    story.step("the client is recognised: the agent sees who it is")
    attributes = story.wait("client_id on the Chatwoot contact", lambda: _attributes(story, hello["contact_id"]))
    _expect(str(attributes["client_id"]) == str(appointment["client_id"]), f"linked to {attributes['client_id']}")
    for name in ("client_id", "next_appointment", "next_appointment_status", "next_service"):
        story.saw(f"{name}: {attributes.get(name)}")
    _expect(attributes.get("next_appointment"), "next_appointment is missing on the contact")

    story.step("she answers")
    answer = story.write("sí, confirmo")
    confirmed = story.wait("CONFIRMED", lambda: _in_state(story, path, "CONFIRMED"))
    story.saw(f"appointment {confirmed['id']}: {confirmed['status']}, answer {confirmed['answer']}")
    thanks = story.wait("an answer to her", lambda: list(story.messages(answer["conversation_id"])))
    story.saw(f"| {thanks[-1]['content']}")

    story.step("a stranger writes")
    clients = len(story.api("GET", "clients?limit=200")["items"])
    stranger = story.write("Hola, ¿cuánto cuesta un corte?", STRANGER)
    story.wait("the webhook", lambda: story.delivery_of(stranger["message_id"]))
    story.stays("unlinked, and no client is made", lambda: _is_stranger(story, stranger["contact_id"], clients))
    story.saw("nobody was linked, no client was made")

    story.step("the same webhook comes again")
    again = story.wait("her answer's webhook", lambda: story.delivery_of(answer["message_id"]))
    before = (story.api("GET", path), len(list(story.messages())))
    repeated = story.control("redeliver", delivery_id=again["delivery_id"])
    _expect(repeated["status"] == 200, f"it was answered {repeated['status']}")
    story.stays("nothing changes", lambda: (story.api("GET", path), len(list(story.messages()))) == before)
    story.saw(f"answered 200, nothing changed: {before[0]['status']}, version {before[0]['version']}")


def _expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise StepFailed(otherwise)


def _book(story: Story) -> Any:
    ids = {
        f"{name}_id": story.api("GET", f"{path}?limit=1")["items"][0]["id"]
        for name, path in (("service", "services"), ("professional", "professionals"), ("branch", "branches"))
    }
    client = story.api("GET", f"clients?phone={PHONE_AS_BOOKED.replace(' ', '%20')}")["items"][0]["id"]
    days = [(datetime.now(UTC) + timedelta(days=number)).date() for number in (3, 6)]
    asked = "&".join(f"{name}={value}" for name, value in {**ids, "from": days[0], "to": days[1]}.items())
    slots = story.api("GET", f"availability?{asked}")["items"]
    _expect(slots, f"a time should be offered between {days[0]} and {days[1]}")
    return story.api("POST", "appointments", client_id=client, start=slots[0]["start"], booked_by="client", **ids)


def _question(story: Story) -> dict[str, Any] | None:
    return next((message for message in story.messages() if "1" in (message["content"] or "")), None)


def _attributes(story: Story, contact_id: int) -> dict[str, Any] | None:
    found: dict[str, Any] = story.contact(contact_id)["custom_attributes"]
    return found if found.get("client_id") else None


def _in_state(story: Story, path: str, status: str) -> Any:
    appointment = story.api("GET", path)
    return appointment if appointment["status"] == status else None


def _is_stranger(story: Story, contact_id: int, clients: int) -> bool:
    unlinked = not story.contact(contact_id)["custom_attributes"].get("client_id")
    return unlinked and len(story.api("GET", "clients?limit=200")["items"]) == clients
