"""The document: valid, complete, and true of the application."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_pydantic import OpenAPI

from api.config import HttpConfig
from api.docs import OPENAPI, render
from api.examples import FORMS, example_of
from api.http import validated
from api.server import ServiceHolder, create_app, groups
from domain.identity.permissions import TABLE, Action
from tests.api.harness import Harness


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    app = create_app(ServiceHolder(), HttpConfig(version="1.2.3", app_url="http://x"))
    return app[OPENAPI]


def operations(spec: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(m, p, o) for p, methods in spec["paths"].items() for m, o in methods.items()]


def test_it_is_valid_openapi(spec: dict[str, Any]) -> None:
    parsed = OpenAPI.model_validate(spec)
    assert parsed.openapi == "3.1.0"
    assert parsed.info.version == "1.2.3"


def test_every_route_is_in_it_and_nothing_else(spec: dict[str, Any]) -> None:
    app = create_app(ServiceHolder(), HttpConfig(version="0", app_url="http://x"))
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {(method, path) for method, path, _ in operations(spec)}
    assert served - described == {("get", "/api/openapi.json"), ("get", "/api/docs"), ("get", "/api/docs.css")}
    assert described - served == set()


def test_every_reference_leads_somewhere(spec: dict[str, Any]) -> None:
    def references(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    for reference in set(references(spec)):
        found: Any = spec
        for word in reference.removeprefix("#/").split("/"):
            found = found[word]


def test_every_operation_says_what_it_is(spec: dict[str, Any]) -> None:
    seen = operations(spec)
    names = [o["operationId"] for _, _, o in seen]
    assert len(names) == len(set(names))
    for method, path, operation in seen:
        assert operation["summary"].endswith((".", "`")), (method, path)
        good = [r for code, r in operation["responses"].items() if code < "300"]
        assert good, (method, path)
        for code, answer in operation["responses"].items():
            assert answer["description"]
            if code == "204":
                continue
            assert answer["content"], (method, path, code)
            for media, content in answer["content"].items():
                # what is JSON has a schema
                assert media != "application/json" or content["schema"], (method, path, code)


def test_who_may_is_said_of_every_operation_that_asks(spec: dict[str, Any]) -> None:
    for method, path, operation in operations(spec):
        codes = operation["responses"].keys()
        if not path.startswith("/api/"):
            continue
        assert {"429", "503"} <= codes
        if operation["security"]:
            assert {"401", "403"} <= codes, (method, path)
        if "requestBody" in operation:
            assert {"400", "413"} <= codes
    text = spec["paths"]["/api/audit/approvals/{approval_id}"]["put"]["description"]
    rule = TABLE[Action.APPROVAL_RESOLVE]
    assert rule.role.value in text
    assert rule.scope in text


def test_it_says_where_it_is_and_gives_examples(spec: dict[str, Any]) -> None:
    assert spec["servers"] == [{"url": "http://x"}]
    bodies = [
        (operation["operationId"], code, media, content)
        for _, _, operation in operations(spec)
        for code, holder in (("body", operation.get("requestBody", {})), *operation["responses"].items())
        if code == "body" or code < "300"
        for media, content in holder.get("content", {}).items()
    ]
    without = {(name, media) for name, _, media, content in bodies if "example" not in content}
    # bytes nobody reads
    assert without == {("get_tile", "application/octet-stream"), ("get_archive", "application/gzip")}
    for name, code, _, content in bodies:
        if schema := content.get("schema"):
            whole = {**schema, "components": spec["components"]}
            problems = [e.message for e in Draft202012Validator(whole).iter_errors(content["example"])]
            assert problems == [], (name, code)


def test_the_examples_of_bodies_are_taken() -> None:
    app = create_app(ServiceHolder(), HttpConfig(version="0", app_url="http://x"))
    taken = 0
    for group in groups(HttpConfig(version="0", app_url="http://x")):
        for endpoint in group.table:
            if endpoint.body is not None:
                operation = app[OPENAPI]["paths"][endpoint.path][endpoint.method.lower()]
                example = operation["requestBody"]["content"]["application/json"]["example"]
                validated(endpoint.body, example)
                taken += 1
    assert taken > 30


def test_examples_of_forms_that_are_no_more_are_not_kept(spec: dict[str, Any]) -> None:
    assert FORMS.keys() - spec["components"]["schemas"].keys() == set()


async def test_the_examples_of_settings_and_rules_are_accepted(harness: Harness, spec: dict[str, Any]) -> None:
    ada = await harness.person("ada@example.com")
    path = "/api/workspace/{workspace_id}/settings"
    example = spec["paths"][path]["put"]["requestBody"]["content"]["application/json"]["example"]
    reply = await ada("PUT", path.replace("{workspace_id}", ada.workspace_id), example)
    assert reply.status == 201, reply.data
    assert reply.data["policyConfig"]["contentBans"] == ["secret plan"]


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "format": "uuid"}, "01936f3e-6d2a-7c51-9b1e-3f5d0c8a7e42"),
        ({"type": "integer", "minimum": 0}, 0),
        ({"type": "integer", "default": 50, "minimum": 1}, 50),
        ({"enum": ["a", "b"]}, "a"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"type": "object", "properties": {"x": {"type": "integer"}, "y": {}}, "required": ["x"]}, {"x": 1}),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"$ref": "#/components/schemas/Thing"}, {"title": "Launch checklist"}),
    ],
)
def test_an_example_of_each_kind_of_schema(schema: dict[str, Any], example: Any) -> None:
    thing = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    assert example_of(schema, {"Thing": thing}, full=False) == example


async def test_it_is_served_to_everybody(harness: Harness) -> None:
    reply = await harness.ask("GET", "/api/openapi.json")
    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    OpenAPI.model_validate(reply.data)


async def test_the_page_needs_nothing_from_outside(harness: Harness, spec: dict[str, Any]) -> None:
    page = await harness.ask("GET", "/api/docs")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "<script" not in page.data
    # an address in an example is a text to read
    told = re.sub(r"<pre>.*?</pre>", "", page.data, flags=re.DOTALL).replace("http://x", "")
    assert "http://" not in told
    assert "https://" not in told
    for method, path, _ in operations(spec):
        assert f">{method.upper()}<" in page.data
        assert path in page.data
    style = await harness.ask("GET", "/api/docs.css")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


def test_the_page_escapes_what_it_shows(spec: dict[str, Any]) -> None:
    bad = {"/x": {"get": {**operations(spec)[0][2], "summary": "<img src=x>", "tags": ["<b>"]}}}
    page = render({**spec, "paths": bad})
    assert "<img" not in page
    assert "<b>" not in page
