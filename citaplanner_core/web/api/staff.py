"""`/api/v1/staff-contacts`: who of the staff is told of what."""

import re
from typing import Annotated, Any, Literal

from flask import g
from pydantic import Field
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import ValidationFailed, find, one_of
from citaplanner_core.booking.models import Branch, Tenant
from citaplanner_core.database import work
from citaplanner_core.notifications.catalogue import languages
from citaplanner_core.notifications.service import find_channel
from citaplanner_core.notifications.staff import ALERTS
from citaplanner_core.notifications.staff_models import StaffContact
from citaplanner_core.phones import parse_phone
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.paging import page_of
from citaplanner_core.web.api.schemas import Given, Id, Page, Shown

TAG = "staff contacts"
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
Alerts = Annotated[
    dict[str, Literal["now", "digest"]],
    Field(description=f"For each kind of alert when to tell: {', '.join(ALERTS)}."),
]


class StaffContactChange(Given):
    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    email: Annotated[str | None, Field(max_length=320)] = None
    phone: Annotated[str | None, Field(description="As people type it, in the tenant's country.")] = None
    language: str | None = None
    channel: Annotated[str | None, Field(description="The one to try first, such as email.")] = None
    branch_id: Annotated[Id | None, Field(description="Only what happens there; null = everywhere.")] = None
    alerts: Alerts | None = None
    digest_at: Annotated[str | None, Field(description="When the daily digest leaves, HH:MM of the branch.")] = None
    active: bool | None = None


class NewStaffContact(StaffContactChange):
    name: Annotated[str, Field(min_length=1, max_length=200)]


class StaffContactShown(Shown):
    id: int
    name: str
    email: str | None
    phone: str | None
    language: str | None
    channel: str | None
    branch_id: int | None
    alerts: dict[str, str]
    digest_at: str
    active: bool


class StaffContactsPage(Shown):
    items: list[StaffContactShown]
    next: int | None


@blueprint.get("/staff-contacts")
@operation(TAG, StaffContactsPage)
def list_staff_contacts(query: Page) -> Any:
    """List who of the staff is told of what."""
    return page_of(StaffContact, StaffContactShown, query)


@blueprint.post("/staff-contacts")
@operation(TAG, StaffContactShown, 404, status=201)
def make_staff_contact(json: NewStaffContact) -> Any:
    """Have somebody of the staff told."""
    with work(g.tenant_id) as session:
        contact = StaffContact(name=json.name, alerts={})
        session.add(contact)
        answer = _change(session, contact, json)
    return answer, 201


@blueprint.get("/staff-contacts/<int:staff_contact_id>")
@operation(TAG, StaffContactShown, 404)
def show_staff_contact(staff_contact_id: int) -> Any:
    """Show what somebody of the staff is told of."""
    with work(g.tenant_id, write=False) as session:
        return _shown(find(session, StaffContact, staff_contact_id, "staff_contact_id"))


@blueprint.patch("/staff-contacts/<int:staff_contact_id>")
@operation(TAG, StaffContactShown, 404)
def change_staff_contact(staff_contact_id: int, json: StaffContactChange) -> Any:
    """Change what somebody of the staff is told of. What is not given stays; `active: false` ends it."""
    with work(g.tenant_id) as session:
        return _change(session, find(session, StaffContact, staff_contact_id, "staff_contact_id", lock=True), json)


def _shown(contact: StaffContact) -> dict[str, Any]:
    return StaffContactShown.model_validate(contact).model_dump(mode="json")


def _change(session: Session, contact: StaffContact, given: StaffContactChange) -> dict[str, Any]:
    values = given.model_dump(exclude_unset=True)
    for name in ("name", "alerts", "digest_at", "active"):
        if name in values and values[name] is None:
            raise ValidationFailed(name, "give a value, or leave it out")
    for name in values.get("alerts", ()):
        one_of("alerts", name, tuple(ALERTS))
    if values.get("language") is not None:
        one_of("language", values["language"], languages())
    if values.get("channel") is not None:
        values["channel"] = find_channel(values["channel"])
    if values.get("branch_id") is not None:
        find(session, Branch, values["branch_id"], "branch_id")
    if not _CLOCK.fullmatch(values.get("digest_at", "00:00")):
        raise ValidationFailed("digest_at", "write a time of day like 08:00")
    if values.get("email") is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", values["email"]):
        raise ValidationFailed("email", "write an address like ana@example.com")
    if values.get("phone") is not None:
        phone = parse_phone(values["phone"], session.get_one(Tenant, g.tenant_id).country)
        if phone is None:
            raise ValidationFailed("phone", "is no phone number; write it like +52 55 1234 5678")
        values["phone"] = phone.e164
    for name, value in values.items():
        setattr(contact, name, value)
    if contact.email is None and contact.phone is None:
        raise ValidationFailed("email", "give an e-mail address or a phone, else nobody can be told")
    session.flush()
    return _shown(contact)
