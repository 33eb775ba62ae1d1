"""A caller of the API that holds every answer against the document, and something to call it about."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from json import dumps, loads
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.datastructures import Headers

from citaplanner_core.booking import appointments
from citaplanner_core.booking.timetable import close, take_off
from citaplanner_core.database import utcnow, work
from citaplanner_core.notifications import campaigns
from citaplanner_core.notifications.service import send_notification
from citaplanner_core.notifications.staff_models import StaffContact
from citaplanner_core.testing.factories import make_branch, make_client, make_professional, make_service, make_tenant
from citaplanner_core.web.api.document import openapi
from citaplanner_core.web.logins import create_token
from citaplanner_core.worker import make_worker

PATIENCE = 20
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def tomorrow(hour: int = 16) -> datetime:
    """Tomorrow at a full hour, UTC."""
    return (utcnow() + timedelta(days=1)).replace(hour=hour, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Answer:
    """An answer of the API, with its body read as JSON."""

    status_code: int
    mimetype: str
    headers: Headers
    text: str
    json: Any


class Api:
    """The API as one token sees it. Paths begin after `/api/v1`."""

    def __init__(self, app: Flask, token: str | None) -> None:
        self.app = app
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> Answer:
        client = self.app.test_client()
        found = client.open(f"/api/v1{path}", method=method, headers={**self.headers, **(headers or {})}, **given)
        answer = Answer(found.status_code, found.mimetype or "", found.headers, found.text, loads(found.text or "null"))
        self._compare(method, f"/api/v1{path}", answer)
        return answer

    def get(self, path: str, **given: Any) -> Answer:
        return self("GET", path, **given)

    def post(self, path: str, json: Any = None, **given: Any) -> Answer:
        """Post a body as JSON; written in ASCII, so that it may hold halves of characters."""
        if json is not None:
            given |= {"data": dumps(json), "content_type": "application/json"}
        return self("POST", path, **given)

    def put(self, path: str, json: Any, **given: Any) -> Answer:
        return self("PUT", path, json=json, **given)

    def patch(self, path: str, json: Any, **given: Any) -> Answer:
        return self("PATCH", path, json=json, **given)

    def delete(self, path: str, **given: Any) -> Answer:
        return self("DELETE", path, **given)

    def _compare(self, method: str, address: str, answer: Answer) -> None:
        """The document lists this status with this kind of content."""
        rule, _ = self.app.url_map.bind("localhost").match(urlsplit(address).path, method, return_rule=True)
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule.rule))
        described = openapi()["paths"][path][method.lower()]["responses"]
        assert str(answer.status_code) in described, (method, path, answer.status_code, answer.text)
        kinds = list(described[str(answer.status_code)].get("content", ()))
        assert kinds == ([answer.mimetype] if answer.text else [])
        if answer.status_code >= 400:
            assert {"type", "title", "status", "detail", "code"} <= answer.json.keys()
            assert answer.json["status"] == answer.status_code
            assert answer.json["detail"]


def refusal(answer: Answer) -> tuple[int, str | None]:
    """The status, and the field that the problem names."""
    return answer.status_code, answer.json.get("field")


@dataclass(frozen=True)
class Business:
    """A tenant with one of everything, and a token."""

    tenant: int
    api: Api
    branch: int
    professional: int
    service: int
    client: int
    appointment: int
    notification: int
    staff_contact: int
    phone: int
    closure: int
    time_off: int
    campaign: int

    @property
    def ids(self) -> dict[str, Any]:
        """What the arguments of addresses are called."""
        return {
            "appointment_id": self.appointment,
            "client_id": self.client,
            "notification_id": self.notification,
            "branch_id": self.branch,
            "professional_id": self.professional,
            "service_id": self.service,
            "phone_id": self.phone,
            "closure_id": self.closure,
            "time_off_id": self.time_off,
            "campaign_id": self.campaign,
            "name": "rule-of-mine",
            "staff_contact_id": self.staff_contact,
        }

    def booking(self, **other: Any) -> dict[str, Any]:
        """The body of a booking for tomorrow, one hour after the appointment there is."""
        return {
            "client_id": self.client,
            "service_id": self.service,
            "professional_id": self.professional,
            "branch_id": self.branch,
            "start": tomorrow(17).isoformat(),
        } | other

    def message(self, **other: Any) -> dict[str, Any]:
        """The body of a notification over the log channel."""
        return {"type": "PAYMENT_REMINDER", "recipient_id": self.client, "channel": "log", "message": "Hola"} | other


def make_business(app: Flask, slug: str, **values: Any) -> Business:
    """Make a tenant with one of everything."""
    tenant = make_tenant(slug, **values)
    with work(tenant) as session:
        branch = make_branch(session, phone="55 5555 0100", address="Av. Ejemplo 123")
        professional, service, client = make_professional(session), make_service(session), make_client(session)
        appointment = appointments.book(
            session,
            client_id=client.id,
            service_id=service.id,
            professional_id=professional.id,
            branch_id=branch.id,
            start=tomorrow(),
        )
        sent = send_notification(type="PAYMENT_REMINDER", recipient_id=client.id, channel="log", message="Hola")
        token = create_token(session, "test")
        contact = StaffContact(name="Laura Ríos", email="laura@example.com", alerts={})
        session.add(contact)
        session.flush()
        closure = close(session, first_day=date(2031, 1, 1), name="Año Nuevo")
        away = take_off(session, professional_id=professional.id, start=LONG_AGO, end=LONG_AGO + timedelta(days=1))
        ids = (branch.id, professional.id, service.id, client.id, appointment.id, sent.notification_id)
        campaign = campaigns.create(session, name="Primavera", message="Hola {{clientFirstName}}")
        more = (contact.id, client.phones[0].id, closure.id, away.id, campaign.id)
    return Business(tenant, Api(app, token), *ids, *more)


@contextmanager
def working(app: Flask) -> Iterator[None]:
    """Run a real worker in a thread for the block."""
    worker = make_worker(app)
    thread = threading.Thread(target=worker.run_forever)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
