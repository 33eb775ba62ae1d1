"""`/api/v1/clients`, `services`, `professionals`, `branches`."""

from typing import Annotated, Any

from flask import g
from pydantic import Field
from sqlalchemy import select

from citaplanner_core.booking.clients import create_client
from citaplanner_core.booking.errors import ValidationFailed, find
from citaplanner_core.booking.models import Branch, Client, ClientPhone, Professional, Service, Tenant
from citaplanner_core.database import work
from citaplanner_core.phones import parse_phone
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.paging import page_of
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
@operation("clients", ClientShown, status=201)
def make_client(json: NewClient) -> Any:
    """Make a client. Phones are read as typed in the tenant's country."""
    with work(g.tenant_id) as session:
        client = create_client(session, **json.model_dump())
        answer = ClientShown.model_validate(client).model_dump(mode="json")
    return answer, 201


@blueprint.get("/clients/<int:client_id>")
@operation("clients", ClientShown, 404)
def show_client(client_id: int) -> Any:
    """Show a client."""
    with work(g.tenant_id, write=False) as session:
        return ClientShown.model_validate(find(session, Client, client_id, "client_id")).model_dump(mode="json")


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
