"""`/api/v1/services`, `professionals`, `branches`."""

from collections.abc import Callable
from typing import Any

from flask import g
from pydantic import BaseModel

from citaplanner_core.booking import directory
from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import Branch, Professional, Service
from citaplanner_core.database import work
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.directory_schemas import (
    BranchChange,
    BranchesPage,
    BranchShown,
    Named,
    NewBranch,
    NewProfessional,
    NewService,
    ProfessionalChange,
    ProfessionalsPage,
    ServiceChange,
    ServiceShown,
    ServicesPage,
)
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.paging import page_of
from citaplanner_core.web.api.schemas import Page


@blueprint.get("/services")
@operation("services", ServicesPage)
def list_services(query: Page) -> Any:
    """List services."""
    return page_of(Service, ServiceShown, query)


@blueprint.get("/services/<int:service_id>")
@operation("services", ServiceShown, 404)
def show_service(service_id: int) -> Any:
    """Show a service."""
    return _found(Service, ServiceShown, service_id, "service_id")


@blueprint.post("/services")
@operation("services", ServiceShown, status=201)
def make_service(json: NewService) -> Any:
    """Make a service. Until somebody is named for it, everybody gives it."""
    return _written(directory.create_service, ServiceShown, **json.model_dump()), 201


@blueprint.patch("/services/<int:service_id>")
@operation("services", ServiceShown, 404)
def change_service(service_id: int, json: ServiceChange) -> Any:
    """Change a service, or take it off the list (`active`). Appointments that exist keep their length."""
    return _written(directory.update_service, ServiceShown, service_id, **json.model_dump(exclude_unset=True))


@blueprint.get("/professionals")
@operation("professionals", ProfessionalsPage)
def list_professionals(query: Page) -> Any:
    """List professionals."""
    return page_of(Professional, Named, query)


@blueprint.get("/professionals/<int:professional_id>")
@operation("professionals", Named, 404)
def show_professional(professional_id: int) -> Any:
    """Show a professional."""
    return _found(Professional, Named, professional_id, "professional_id")


@blueprint.post("/professionals")
@operation("professionals", Named, status=201)
def make_professional(json: NewProfessional) -> Any:
    """Make a professional, who works whenever a branch is open until hours are given."""
    return _written(directory.create_professional, Named, **json.model_dump()), 201


@blueprint.patch("/professionals/<int:professional_id>")
@operation("professionals", Named, 404)
def change_professional(professional_id: int, json: ProfessionalChange) -> Any:
    """Change a professional, or take them off the list (`active`). Appointments that exist stay."""
    return _written(directory.update_professional, Named, professional_id, **json.model_dump(exclude_unset=True))


@blueprint.get("/branches")
@operation("branches", BranchesPage)
def list_branches(query: Page) -> Any:
    """List branches."""
    return page_of(Branch, BranchShown, query)


@blueprint.get("/branches/<int:branch_id>")
@operation("branches", BranchShown, 404)
def show_branch(branch_id: int) -> Any:
    """Show a branch."""
    return _found(Branch, BranchShown, branch_id, "branch_id")


@blueprint.post("/branches")
@operation("branches", BranchShown, status=201)
def make_branch(json: NewBranch) -> Any:
    """Make a branch, which is always open until hours are given."""
    return _written(directory.create_branch, BranchShown, **json.model_dump(exclude_none=True)), 201


@blueprint.patch("/branches/<int:branch_id>")
@operation("branches", BranchShown, 404)
def change_branch(branch_id: int, json: BranchChange) -> Any:
    """Change a branch, or take it off the list (`active`). Another zone moves no appointment."""
    return _written(directory.update_branch, BranchShown, branch_id, **json.model_dump(exclude_unset=True))


def _found(model: type[Service | Professional | Branch], shown: type[BaseModel], row_id: int, field: str) -> Any:
    with work(g.tenant_id, write=False) as session:
        return shown.model_validate(find(session, model, row_id, field)).model_dump(mode="json")


def _written(verb: Callable[..., Any], shown: type[BaseModel], *row_id: int, **values: Any) -> Any:
    with work(g.tenant_id) as session:
        return shown.model_validate(verb(session, *row_id, **values)).model_dump(mode="json")
