"""The OpenAPI document: whole, valid by the rules of 3.1, and readable as a page. Answers are held against it by
`Api` in every other test."""

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask

from citaplanner_core.web.api.base import OPEN
from citaplanner_core.web.api.document import openapi

SCHEMA_WORDS = {
    *("type", "format", "title", "description", "default", "enum", "const", "properties", "required", "items", "anyOf"),
    *("additionalProperties", "minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern", "$ref"),
}
"""The words of JSON Schema 2020-12 that our schemas use; another one is looked up there and added."""


WITH_BODY = ("post", "put", "patch")
NAME_ROWS = {
    ("/api/v1/appointments", "post"),
    ("/api/v1/availability", "get"),
    ("/api/v1/message-templates", "delete"),
    ("/api/v1/message-templates/preview", "post"),
    ("/api/v1/closures", "post"),
    ("/api/v1/time-off", "post"),
    ("/api/v1/staff-contacts", "post"),
}
"""What names rows elsewhere than in its address."""

WITHOUT_BODY = {
    *("start_campaign", "pause_campaign", "resume_campaign", "cancel_campaign"),
    *("retry_notification", "cancel_notification"),
    *("erase_one_client", "make_calendar_feed"),
}
"""Verbs that need to be told nothing."""


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema below a schema."""
    yield value
    children = [*value.get("properties", {}).values(), *value.get("anyOf", ()), value.get("items")]
    children.append(value.get("additionalProperties"))
    for child in children:
        if isinstance(child, dict):
            yield from schemas(child)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi()["paths"].items():
        for method, call in methods.items():
            yield path, method, call


def test_anybody_may_read_it(app: Flask) -> None:
    answer = app.test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json == openapi()


def test_it_is_an_openapi_document() -> None:
    found = openapi()
    assert re.fullmatch(r"3\.1\.\d+", found["openapi"])
    assert found["info"]["title"]
    assert found["info"]["version"]
    assert found["security"] == [{"bearer": []}]
    assert found["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}
    assert all(re.fullmatch(r"[\w.-]+", name) for name in found["components"]["schemas"])
    assert {tag["name"] for tag in found["tags"]} == {tag for _, _, call in operations() for tag in call["tags"]}


def test_it_holds_every_route(app: Flask) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.endpoint not in OPEN
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, method, _ in operations()} == routes


def test_operations_are_whole() -> None:
    ids = [call["operationId"] for _, _, call in operations()]
    assert len(ids) == len(set(ids))
    for path, method, call in operations():
        assert call["summary"].endswith(".")
        names = [(parameter["in"], parameter["name"]) for parameter in call["parameters"]]
        assert len(names) == len(set(names))
        assert {name for place, name in names if place == "path"} == set(re.findall(r"{(\w+)}", path))
        assert all(parameter["required"] for parameter in call["parameters"] if parameter["in"] == "path")
        takes_a_body = method in WITH_BODY and call["operationId"] not in WITHOUT_BODY
        assert ("requestBody" in call) == takes_a_body
        good = [status for status in call["responses"] if status < "300"]
        assert good
        assert {"401", "403", "503"} <= call["responses"].keys()
        assert call["security"] == [{"bearer": [call["security"][0]["bearer"][0]]}]
        keyed = method in ("post", "patch")
        assert (("header", "Idempotency-Key") in names) == keyed
        assert not keyed or {"409", "422"} <= call["responses"].keys()
        assert ("404" in call["responses"]) == ("{" in path or (path, method) in NAME_ROWS)
        assert ("400" in call["responses"]) == ("requestBody" in call)
        for status, answer in call["responses"].items():
            assert answer["description"]
            kinds = ["application/json" if status in good else "application/problem+json"]
            assert list(answer.get("content", ())) == ([] if status == "204" else kinds)


def test_schemas_use_words_that_exist_and_names_that_are_defined() -> None:
    found = openapi()
    roots = [*found["components"]["schemas"].values()]
    for _, _, call in operations():
        roots += [parameter["schema"] for parameter in call["parameters"]]
        bodies = [call["requestBody"]] if "requestBody" in call else []
        roots += [
            content["schema"]
            for holder in [*bodies, *call["responses"].values()]
            for content in holder.get("content", {}).values()
        ]
    for root in roots:
        for schema in schemas(root):
            assert schema.keys() <= SCHEMA_WORDS, schema
            if "$ref" in schema:
                prefix, _, name = schema["$ref"].rpartition("/")
                assert prefix == "#/components/schemas"
                assert name in found["components"]["schemas"]
            assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()


def test_the_page_shows_every_operation_and_needs_no_script(app: Flask) -> None:
    page = app.test_client().get("/api/v1/docs").text
    for path, method, call in operations():
        assert f"{method.upper()}</span> <code>{path}</code>" in page
        assert call["summary"].replace("'", "&#39;") in page
    assert "<script" not in page
    assert "style=" not in page
    assert "Idempotency-Key" in page
