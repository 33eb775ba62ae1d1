"""`/api/v1/clients`."""

from typing import Annotated, Any

from flask import g
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from citaplanner_core.booking.clients import add_phone, create_client, remove_phone, update_client
from citaplanner_core.booking.errors import ValidationFailed, find
from citaplanner_core.booking.models import Client, ClientPhone, Tenant
from citaplanner_core.booking.search import matching
from citaplanner_core.database import work
from citaplanner_core.notifications import consents
from citaplanner_core.notifications.merging import merge_clients
from citaplanner_core.phones import parse_phone
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.paging import page_of
from citaplanner_core.web.api.policy_schemas import ClientChange, ClientDetails, ConsentShown, MergeGiven
from citaplanner_core.web.api.schemas import ClientShown, ClientsPage, NewClient, NewPhone, Page, PhoneShown


class ClientsQuery(Page):
    q: Annotated[
        str | None,
        Field(
            min_length=1,
            description="What people type: the beginnings of names in any order, an e-mail address, or a phone in any"
            " form, its first five digits or its last three. Accents and capitals do not matter.",
        ),
    ] = None
    phone: Annotated[str | None, Field(description="A phone in any form: those clients who have that number.")] = None


@blueprint.get("/clients")
@operation("clients", ClientsPage)
def list_clients(query: ClientsQuery) -> Any:
    """List clients, or find those of a name or with a phone number."""
    conditions = []
    if query.q is not None:
        with work(g.tenant_id, write=False) as session:
            conditions.append(matching(session, _as_typed(query.q)))
    if query.phone is not None:
        with work(g.tenant_id, write=False) as session:
            phone = parse_phone(_as_typed(query.phone), session.get_one(Tenant, g.tenant_id).country)
        if phone is None:
            raise ValidationFailed("phone", "is no phone number; write it like +52 55 1234 5678")
        conditions.append(Client.id.in_(select(ClientPhone.client_id).where(ClientPhone.match_key == phone.match_key)))
    return page_of(Client, ClientShown, query, *conditions, options=[selectinload(Client.phones)])


def _as_typed(phone: str) -> str:
    """A + that was not encoded arrives as a space."""
    return "+" + phone[1:] if phone.startswith(" ") else phone


@blueprint.post("/clients")
@operation("clients", ClientDetails, status=201)
def make_client(json: NewClient) -> Any:
    """Make a client. Phones are read as typed in the tenant's country."""
    with work(g.tenant_id) as session:
        client = create_client(session, **json.model_dump(exclude={"phones"}))
        for phone in json.phones:
            add_phone(session, client, phone.phone, label=phone.label)
        answer = _details(session, client)
    return answer, 201


@blueprint.get("/clients/<int:client_id>")
@operation("clients", ClientDetails, 404)
def show_client(client_id: int) -> Any:
    """Show a client, with what they want of messages."""
    with work(g.tenant_id, write=False) as session:
        return _details(session, find(session, Client, client_id, "client_id"))


@blueprint.patch("/clients/<int:client_id>")
@operation("clients", ClientDetails, 404)
def change_client(client_id: int, json: ClientChange) -> Any:
    """Change a client, or what they want of messages. Those that wait follow a new responsible person."""
    preferences = {"do_not_message", "preferred_channel", "responsible_id"}
    with work(g.tenant_id) as session:
        client = update_client(
            session, client_id, **json.model_dump(exclude={"consents"} | preferences, exclude_unset=True)
        )
        wanted = json.model_dump(include=preferences)
        client = consents.set_preferences(session, client_id, given=json.model_fields_set & preferences, **wanted)
        for consent in json.consents:
            consents.record_consent(session, client_id, **consent.model_dump())
        return _details(session, client)


@blueprint.post("/clients/<int:client_id>/merge")
@operation("clients", ClientDetails, 404, 409)
def merge_into_client(client_id: int, json: MergeGiven) -> Any:
    """Make one client of two: all that `merged_id` has moves to the client of the path.

    Of what they want the stricter word holds. Who asks for the merged id afterwards gets a 404 with `merged_into`.
    """
    with work(g.tenant_id) as session:
        client = merge_clients(session, client_id, merged_id=json.merged_id, by=f"token {g.token_name}")
        return _details(session, client)


@blueprint.post("/clients/<int:client_id>/phones")
@operation("clients", PhoneShown, 404, status=201)
def make_phone(client_id: int, json: NewPhone) -> Any:
    """Give a client one more phone. One they have already is answered as it is."""
    with work(g.tenant_id) as session:
        client = find(session, Client, client_id, "client_id")
        phone = add_phone(session, client, json.phone, label=json.label)
        return PhoneShown.model_validate(phone).model_dump(mode="json"), 201


@blueprint.delete("/clients/<int:client_id>/phones/<int:phone_id>")
@operation("clients", None, 404)
def delete_phone(client_id: int, phone_id: int) -> Any:
    """Take a phone from a client."""
    with work(g.tenant_id) as session:
        remove_phone(session, client_id, phone_id)
    return "", 204


def _details(session: Session, client: Client) -> dict[str, Any]:
    shown = ClientShown.model_validate(client).model_dump()
    names = ("do_not_message", "preferred_channel", "responsible_id", "paused_until")
    said = [ConsentShown.model_validate(row) for row in consents.list_consents(session, client.id)]
    columns = {name: getattr(client, name) for name in names}
    return ClientDetails(**shown, **columns, consents=said).model_dump(mode="json")
