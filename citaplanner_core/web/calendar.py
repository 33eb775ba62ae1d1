"""Appointments for people's own calendars (iCalendar, RFC 5545)."""

from icalendar import Calendar, Event

from citaplanner_core.booking.models import CANCELLED, PENDING, Appointment, Tenant


def make_event(appointment: Appointment, tenant: Tenant, *, url: str) -> bytes:
    """Return a calendar file with the appointment, its times in UTC, which every calendar shows in its own zone.

    The same appointment always has the same UID, and a higher SEQUENCE once it was moved, so that a calendar changes
    its entry instead of adding another.
    """
    event = Event()
    event.add("uid", f"appointment-{appointment.tenant_id}-{appointment.id}@citaplanner")
    event.add("sequence", appointment.schedule_version - 1)
    event.add("dtstamp", appointment.created_at)
    event.add("dtstart", appointment.start)
    event.add("dtend", appointment.end)
    event.add("summary", f"{appointment.service.name} · {tenant.name}")
    event.add("location", ", ".join(filter(None, (appointment.branch.name, appointment.branch.address))))
    event.add("url", url)
    event.add("status", {CANCELLED: "CANCELLED", PENDING: "TENTATIVE"}.get(appointment.status, "CONFIRMED"))
    calendar = Calendar()
    calendar.add("prodid", "-//CitaPlanner//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical())
