"""The OpenAPI document of the API, and the page that shows it."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from itertools import groupby
from operator import itemgetter
from typing import Any

from flask import current_app
from pydantic import BaseModel, ValidationError
from spectree import Response, SecurityScheme, SpecTree
from spectree.model_adapter import get_pydantic_model_adapter
from spectree.models import SecureType, SecuritySchemeData

from citaplanner_core.config import Config
from citaplanner_core.web import idempotency
from citaplanner_core.web.api.base import blueprint, scope_of
from citaplanner_core.web.api.schemas import Problem
from citaplanner_core.web.errors import PROBLEM
from citaplanner_core.web.words import page

WITH_BODY = (400, 413, 415)
KEY: dict[str, Any] = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "The same request with the same key is done once, and answered again for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_LENGTH, "pattern": "^[ -~]+$"},
}

View = Callable[..., Any]
Decorator = Callable[[View], View]


class InvalidAnswer(Exception):
    """A view gave an answer that the document does not promise: our mistake, whatever was asked."""


def _refuse_invalid(_request: Any, _response: Any, error: Exception | None, *_: Any) -> None:
    if isinstance(error, ValidationError):
        raise error


def _never_invalid(_request: Any, _response: Any, error: Exception | None, *_: Any) -> None:
    if isinstance(error, ValidationError):
        raise InvalidAnswer(f"{error.title}: {error.error_count()} values") from None


_models = get_pydantic_model_adapter()
# Once for each model, not for each operation that names it: half a second of every start. This one adapter keeps what
# it made; a subclass would not be the adapter that spectree is typed for.
_models.json_schema = cache(_models.json_schema)  # type: ignore[method-assign, assignment]

spec = SpecTree(
    "flask",
    model_adapter=_models,
    title="CitaPlanner",
    version="1",
    path="openapi",
    mode="strict",
    page_templates={},
    before=_refuse_invalid,
    after=_never_invalid,
    validation_error_model=Problem,
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _parent, child: child,
    security_schemes=[SecurityScheme(name="bearer", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))],
    security={"bearer": []},
)


def operation(tag: str, model: type[BaseModel] | None, *refusals: int, status: int = 200, also: int = 0) -> Decorator:
    """Document and check a view: it answers the model with `status` (and `also`), a problem with each of `refusals`.

    Without a model it answers 204 and nothing. What the token, the query, the body and the idempotency key may be
    refused with is added by `openapi`. The tag decides which scope a token needs, see `base.scope_of`.
    """
    models = {f"HTTP_{code}": model for code in ((status, also) if model else (204,)) if code}
    problems = {f"HTTP_{code}": Problem for code in refusals}

    def decorate(view: View) -> View:
        checked: View = spec.validate(resp=Response(**models, **problems), tags=[tag], operation_id=view.__name__)(view)
        checked.tag = tag  # type: ignore[attr-defined]  # read by `base.scope_of`
        return checked

    return decorate


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document."""
    found: dict[str, Any] = copy.deepcopy(spec.spec)
    views = current_app.view_functions
    for methods in found["paths"].values():
        for method, call in methods.items():
            _complete(method.upper(), call, found["components"]["schemas"])
            call["security"] = [{"bearer": [scope_of(views[f"api.{call['operationId']}"], method.upper())]}]
    return found


def _complete(method: str, call: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add what holds for every operation and spectree does not say."""
    answered = call["responses"]
    if method in idempotency.METHODS:
        call["parameters"].append(copy.deepcopy(KEY))
    body = call.get("requestBody")
    asks = any(parameter["in"] != "path" for parameter in call["parameters"])
    if body:
        body["required"] = bool(schemas[_name(body)].get("required"))
    elif not asks:
        del answered["422"]
    keyed = (409,) if method in idempotency.METHODS else ()
    for code in (401, 403, 503, *keyed, *(WITH_BODY if body else ())):
        answered[str(code)] = {"description": HTTPStatus(code).phrase}
    for code in filter(lambda code: code >= "400", answered):
        answered[code]["content"] = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    call["responses"] = dict(sorted(answered.items()))
    for parameter in call["parameters"]:
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter["schema"] = {"type": "integer", "format": "int64", "minimum": 1}


def _name(content: dict[str, Any]) -> str:
    schema: str = content["content"]["application/json"]["schema"]["$ref"]
    return schema.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Field:
    """A field as the page shows it."""

    name: str
    kind: str
    required: bool
    about: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as the page shows it."""

    method: str
    path: str
    summary: str
    about: str
    given: Sequence[Field]
    answers: Sequence[tuple[str, str]]
    shown: Sequence[Field]


def operations() -> Iterator[tuple[str, list[Operation]]]:
    """Give the operations by tag."""
    found = openapi()
    schemas = found["components"]["schemas"]
    calls = [
        (call["tags"][0], _operation(method, path, call, schemas))
        for path, methods in found["paths"].items()
        for method, call in methods.items()
    ]
    for tag, group in groupby(calls, key=itemgetter(0)):
        yield tag, [call for _, call in group]


def _operation(method: str, path: str, call: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    given = [
        Field(one["name"], _kind(one["schema"]), one["required"], one["description"]) for one in call["parameters"]
    ]
    if body := call.get("requestBody"):
        given += _fields(schemas[_name(body)])
    good = next(answer for code, answer in call["responses"].items() if code < "300")
    return Operation(
        method=method.upper(),
        path=path,
        summary=call["summary"],
        about=call["description"],
        given=given,
        answers=[(code, answer["description"]) for code, answer in call["responses"].items()],
        shown=_fields(schemas[_name(good)]) if good.get("content") else [],
    )


def _fields(schema: dict[str, Any]) -> list[Field]:
    required = schema.get("required", ())
    return [
        Field(name, _kind(inner), name in required, inner.get("description", ""))
        for name, inner in schema["properties"].items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("format") or (kind if isinstance(kind, str) else " or ".join(kind)))


@blueprint.get("/openapi.json")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return openapi()


@blueprint.get("/docs")
def docs() -> str:
    """The document, readable without any script."""
    config: Config = current_app.config["CITAPLANNER"]
    return page("api_docs.html", language="en", groups=list(operations()), base_url=config.base_url)
