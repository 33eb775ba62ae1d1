"""The REST API, version 1: JSON in and out, problem details (RFC 9457) for every refusal."""

from citaplanner_core.web.api import (
    appointments,
    availability,
    campaigns,
    clients,
    consent_texts,
    directory,
    feeds,
    notifications,
    opt_outs,
    personal_data,
    policy,
    staff,
    templates,
    timelines,
    timetable,
)
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import spec

__all__ = [
    "appointments",
    "availability",
    "blueprint",
    "campaigns",
    "clients",
    "consent_texts",
    "directory",
    "feeds",
    "notifications",
    "opt_outs",
    "personal_data",
    "policy",
    "spec",
    "staff",
    "templates",
    "timelines",
    "timetable",
]
