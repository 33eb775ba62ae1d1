"""What the API takes and gives about services, professionals and branches."""

from typing import Annotated

from pydantic import BaseModel, Field

from citaplanner_core.web.api.schemas import Given, Shown

Discreet = Annotated[bool, Field(strict=True, description="Messages do not name this service.")]


class Named(Shown):
    id: int
    name: str
    active: bool


class ServiceShown(Named):
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    is_discreet: bool


class BranchShown(Named):
    zone: str
    address: str
    phone: str


class NewService(Given):
    name: str
    duration_minutes: Annotated[int, Field(strict=True, ge=1)]
    buffer_before_minutes: Annotated[int, Field(strict=True, ge=0)] = 0
    buffer_after_minutes: Annotated[int, Field(strict=True, ge=0)] = 0
    is_discreet: Discreet = False


class ServiceChange(Given):
    """Fields that are not given stay."""

    name: str = ""
    duration_minutes: Annotated[int, Field(strict=True, ge=1)] = 1
    buffer_before_minutes: Annotated[int, Field(strict=True, ge=0)] = 0
    buffer_after_minutes: Annotated[int, Field(strict=True, ge=0)] = 0
    is_discreet: Discreet = False
    active: bool = True


class NewProfessional(Given):
    name: str


class ProfessionalChange(Given):
    """Fields that are not given stay."""

    name: str = ""
    active: bool = True


class NewBranch(Given):
    name: str
    zone: Annotated[str | None, Field(description="IANA name; the tenant's without it.")] = None
    address: str = ""
    phone: str = ""


class BranchChange(Given):
    """Fields that are not given stay."""

    name: str = ""
    zone: Annotated[str, Field(description="IANA name.")] = ""
    address: str = ""
    phone: str = ""
    active: bool = True


class ServicesPage(BaseModel):
    items: list[ServiceShown]
    next: int | None


class BranchesPage(BaseModel):
    items: list[BranchShown]
    next: int | None


class ProfessionalsPage(BaseModel):
    items: list[Named]
    next: int | None
