"""`/api/v1/clients`, `services`, `professionals`, `branches`."""

from typing import Annotated, Any

from flask import g
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import create_client
from citaplanner_core.booking.errors import ValidationFailed, find
from citaplanner_core.booking.models import Branch, Client, ClientPhone, Professional, Service, Tenant
from citaplanner_core.database import work
from citaplanner_core.notifications import consents
from citaplanner_core.phones import parse_phone
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.paging import page_of
from citaplanner_core.web.api.policy_schemas import ClientDetails, ConsentShown, Preferences
from citaplanner_core.web.api.schemas import (
    BranchesPage,
    BranchShown,
    ClientShown,
    ClientsPage,
    Named,
    NewClient,
    Page,
    ProfessionalsPage,
    ServiceShown,
    ServicesPage,
)


class ClientsQuery(Page):
    phone: Annotated[str | None, Field(description="A phone in any form: those clients who have that number.")] = None


@blueprint.get("/clients")
@operation("clients", ClientsPage)
def list_clients(query: ClientsQuery) -> Any:
    """List clients, or find those with a phone number."""
    conditions = []
    if query.phone is not None:
        with work(g.tenant_id, write=False) as session:
            phone = parse_phone(_as_typed(query.phone), session.get_one(Tenant, g.tenant_id).country)
        if phone is None:
            raise ValidationFailed("phone", "is no phone number; write it like +52 55 1234 5678")
        conditions.append(Client.id.in_(select(ClientPhone.client_id).where(ClientPhone.match_key == phone.match_key)))
    return page_of(Client, ClientShown, query, *conditions)


def _as_typed(phone: str) -> str:
    """A + that was not encoded arrives as a space."""
    return "+" + phone[1:] if phone.startswith(" ") else phone


@blueprint.post("/clients")
@operation("clients", ClientDetails, status=201)
def make_client(json: NewClient) -> Any:
    """Make a client. Phones are read as typed in the tenant's country."""
    with work(g.tenant_id) as session:
        answer = _details(session, create_client(session, **json.model_dump()))
    return answer, 201


@blueprint.get("/clients/<int:client_id>")
@operation("clients", ClientDetails, 404)
def show_client(client_id: int) -> Any:
    """Show a client, with what they want of messages."""
    with work(g.tenant_id, write=False) as session:
        return _details(session, find(session, Client, client_id, "client_id"))


@blueprint.patch("/clients/<int:client_id>")
@operation("clients", ClientDetails, 404)
def change_preferences(client_id: int, json: Preferences) -> Any:
    """Change what a client wants of messages. Those that wait follow a new responsible person."""
    with work(g.tenant_id) as session:
        values = json.model_dump(exclude={"consents"})
        client = consents.set_preferences(session, client_id, given=json.model_fields_set, **values)
        for consent in json.consents:
            consents.record_consent(session, client_id, **consent.model_dump())
        return _details(session, client)


def _details(session: Session, client: Client) -> dict[str, Any]:
    shown = ClientShown.model_validate(client).model_dump()
    names = ("do_not_message", "preferred_channel", "responsible_id", "paused_until")
    said = [ConsentShown.model_validate(row) for row in consents.list_consents(session, client.id)]
    columns = {name: getattr(client, name) for name in names}
    return ClientDetails(**shown, **columns, consents=said).model_dump(mode="json")


@blueprint.get("/services")
@operation("services", ServicesPage)
def list_services(query: Page) -> Any:
    """List services."""
    return page_of(Service, ServiceShown, query)


@blueprint.get("/professionals")
@operation("professionals", ProfessionalsPage)
def list_professionals(query: Page) -> Any:
    """List professionals."""
    return page_of(Professional, Named, query)


@blueprint.get("/branches")
@operation("branches", BranchesPage)
def list_branches(query: Page) -> Any:
    """List branches."""
    return page_of(Branch, BranchShown, query)
