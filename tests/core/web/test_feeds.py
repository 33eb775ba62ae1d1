"""A professional's appointments in their own calendar, and words that are kept no longer than needed."""

from datetime import timedelta

import pytest
from flask import Flask
from icalendar import Calendar
from sqlalchemy import func, select

from citaplanner_core.booking import appointments
from citaplanner_core.booking.models import Appointment
from citaplanner_core.database import utcnow, work
from citaplanner_core.hooks.types import JobContext
from citaplanner_core.notifications.staff_models import StaffNotice
from citaplanner_core.replies import ageing
from citaplanner_core.replies.models import ReceivedMessage
from citaplanner_core.testing.factories import make_appointment, make_client, make_service
from tests.core.web.support import Business

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def test_a_feed_shows_what_staff_needs_until_it_is_taken_back(app: Flask, business: Business, other: Business) -> None:
    with work(business.tenant) as session:
        kept: Appointment = session.get_one(Appointment, business.appointment)
        professional = kept.professional
        discreet = make_service(session, name="Terapia", is_discreet=True)
        ana = make_client(session, first_name="Berta", last_name="Luna", phone="55 1234 5678")
        other_start = kept.start + timedelta(days=1)
        make_appointment(session, service=discreet, client=ana, professional=professional, start=other_start)
    path = f"/professionals/{business.professional}/calendar-feed"
    assert other.api.post(path).status_code == 404 or other.professional == business.professional
    url = business.api.post(path).json["url"].removeprefix("https://citas.example")
    browser = app.test_client()
    first = browser.get(url)
    assert (first.status_code, first.mimetype) == (200, "text/calendar")
    events = Calendar.from_ical(first.data).walk("VEVENT")
    assert len(events) == 2
    assert str(events[1]["SUMMARY"]) == "Berta L."
    assert "Terapia" not in first.text
    assert "1234" not in first.text.replace("-", "")
    again = browser.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    with work(business.tenant) as session:
        appointments.cancel(session, business.appointment, by="staff")
    changed = browser.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert len(Calendar.from_ical(changed.data).walk("VEVENT")) == 1
    newer = business.api.post(path).json["url"].removeprefix("https://citas.example")
    assert (browser.get(url).status_code, browser.get(newer).status_code) == (404, 200)
    assert business.api.delete(path).status_code == 204
    assert browser.get(newer).status_code == 404
    assert business.api.delete(path).status_code == 404
    assert browser.get("/cal/x.ics").status_code == 404


@on_sqlite
def test_old_words_and_alerts_are_deleted(business: Business) -> None:
    with work(business.tenant) as session:
        for number, days in enumerate((1, ageing.RECEIVED_DAYS + 1)):
            then = utcnow() - timedelta(days=days)
            row = {"channel": "log", "address": "+525512345678", "provider_id": str(number), "at": then}
            session.add(ReceivedMessage(**row, received_at=then))
            contact = business.staff_contact
            session.add(StaffNotice(staff_contact_id=contact, kind="appointment_booked", at=then, last_at=then))
    ageing.age(JobContext(business.tenant, 1, 1, {}))
    with work(business.tenant, write=False) as session:
        assert [session.scalar(select(func.count(model.id))) for model in (ReceivedMessage, StaffNotice)] == [1, 1]
