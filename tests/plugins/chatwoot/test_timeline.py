"""Conversations in the timeline: what a client wrote, how it was understood, and what we said back."""

from citaplanner_core.booking.models import Appointment
from citaplanner_core.database import work
from citaplanner_core.notifications import timeline
from tests.plugins.chatwoot.loop import Loop


def test_what_a_client_wrote_and_our_reply_are_in_both_timelines(loop: Loop) -> None:
    appointment, _ = loop.asked()
    loop.write("no puedo ir, cancela por favor")
    assert loop.state(appointment) == ("CANCELLED", "no")
    with work(loop.tenant, write=False) as session:
        of_appointment = list(timeline.read_all(session, timeline.of_appointment(appointment)))
        client = session.get_one(Appointment, appointment).client_id
        of_client = list(timeline.read_all(session, timeline.of_client(client)))
        one_by_one, place = [], None
        while True:
            page, place = timeline.read(session, timeline.of_client(client), after=place, limit=1)
            one_by_one += page
            if place is None:
                break
    for entries in (of_appointment, of_client):
        wrote, replied = [entry for entry in entries if entry.kind == "message"]
        assert (wrote.by, wrote.text, wrote.channel) == ("client", "no puedo ir, cancela por favor", "chatwoot")
        assert wrote.detail == "cancel cancelled"
        assert wrote.appointment_id == appointment
        assert replied.by == "system"
        assert replied.text == loop.public()[-1]["content"]
        said = [entry.text for entry in entries if entry.kind == "delivery"]
        assert said == [loop.public()[0]["content"]]
    assert one_by_one == of_client
