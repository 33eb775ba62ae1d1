"""What concerns one person: what they agreed to, being one client instead of two."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from citaplanner_core.booking import appointments
from citaplanner_core.booking.models import Appointment, Client, ClientMerge
from citaplanner_core.database import utcnow, work
from citaplanner_core.jobs.models import PENDING
from citaplanner_core.notifications.consents import consented, record_consent
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.opt_outs import opt_out, opt_outs_of
from citaplanner_core.testing.factories import make_client
from plugins.chatwoot import identity
from plugins.chatwoot.models import ChatwootInteraction
from tests.core.web.support import Api, Business, tomorrow


def test_two_clients_become_one(app: Flask, business: Business, api: Api, other: Business) -> None:
    ids_of: dict[str, Any] = {"professional_id": business.professional, "branch_id": business.branch}
    booking = ids_of | {"service_id": business.service}
    with work(business.tenant) as session:
        kept = make_client(
            session, first_name="Eva", last_name="Sol", phone="55 1234 5678", notes="alergia", email=None
        )
        gone = make_client(session, first_name="Eva", last_name="Sol L.", phone="55 1234 5678", notes="zurda")
        ward = make_client(session, responsible_id=gone.id)
        ids = kept.id, gone.id, ward.id
        kept_id, gone_id = kept.id, gone.id
        appointment = appointments.book(session, client_id=gone.id, start=tomorrow(17), booked_by="staff", **booking).id
        record_consent(session, kept.id, given=True, source="form")
        record_consent(session, kept.id, given=True, source="form", channel="email")
        record_consent(session, gone.id, given=False, source="call")
        opt_out(session, channel="log", words="BAJA", at=utcnow(), address=None, clients=[gone.id])
        gone.do_not_message = True
        gone.paused_until = utcnow() + timedelta(hours=1)
        identity.link(session, account_ref="x#1", contact_id=7, client_id=gone.id)
        session.add(
            ChatwootInteraction(
                account_ref="x#1", message_id=1, conversation_id=1, client_id=gone.id, direction="in", text="hola"
            )
        )
        email = gone.email
    api.post(f"/clients/{gone_id}/phones", {"phone": "+1 201 555 0123", "label": "office"})
    answer = api.post(f"/clients/{kept_id}/merge", {"merged_id": gone_id})
    assert answer.status_code == 200, answer.text
    shown = answer.json
    assert (shown["email"], shown["do_not_message"]) == (email, True)
    assert [phone["label"] for phone in shown["phones"]] == ["", "office"]
    with work(business.tenant) as session:
        assert session.get_one(Appointment, appointment).client_id == kept_id
        assert session.get_one(Client, ids[2]).responsible_id == kept_id
        client = session.get_one(Client, kept_id)
        assert client.paused_until is not None
        assert client.notes == "alergia\n\n— Eva Sol L.\nzurda"
        assert identity.contact_id_of(session, kept_id) == 7
        assert session.scalar(select(ChatwootInteraction.client_id)) == kept_id
        assert [stop.words for stop in opt_outs_of(session, kept_id)] == ["BAJA"]
        assert consented(session, kept_id, ["email", "log"], marketing=True) == []
        waiting = select(func.count(Notification.id)).where(
            Notification.appointment_id == appointment, Notification.status == PENDING
        )
        assert session.scalar(waiting.where(Notification.recipient_id == kept_id)) == session.scalar(waiting)
        merge = session.scalars(select(ClientMerge)).one()
        assert (merge.merged_id, merge.into_id, merge.by) == (gone_id, kept_id, "token test")
    for method, path in (("GET", f"/clients/{gone_id}"), ("PATCH", f"/clients/{gone_id}")):
        moved = api(method, path, json={}) if method == "PATCH" else api.get(path)
        assert (moved.status_code, moved.json["code"], moved.json["merged_into"]) == (404, "merged", kept_id)
    again = api.post(f"/clients/{kept_id}/merge", {"merged_id": gone_id})
    assert (again.status_code, again.json["merged_into"]) == (404, kept_id)
    assert api.post(f"/clients/{ids[2]}/merge", {"merged_id": kept_id}).status_code == 200
    assert api.get(f"/clients/{gone_id}").json["merged_into"] == ids[2]
    assert api.get(f"/clients/{ids[2]}").json["responsible_id"] is None


@pytest.mark.parametrize("merged", ["itself", "another tenant's", "nobody"])
def test_what_cannot_be_merged_is_refused(business: Business, api: Api, other: Business, merged: str) -> None:
    merged_id = {"itself": business.client, "another tenant's": other.client, "nobody": 999}[merged]
    refused = api.post(f"/clients/{business.client}/merge", {"merged_id": merged_id})
    assert (refused.status_code, refused.json["field"]) == (422 if merged == "itself" else 404, "merged_id")
