"""The document: valid, complete, and true of the application."""

from typing import Any

import pytest
from openapi_pydantic import OpenAPI

from api.docs import OPENAPI, render
from api.middlewares import HttpConfig
from api.server import Gate, create_app
from domain.permissions import TABLE, Action
from tests.api.house import House


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    app = create_app(Gate(), HttpConfig(version="1.2.3", app_url="http://x"))
    return app[OPENAPI]


def operations(spec: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(m, p, o) for p, methods in spec["paths"].items() for m, o in methods.items()]


def test_it_is_valid_openapi(spec: dict[str, Any]) -> None:
    parsed = OpenAPI.model_validate(spec)
    assert parsed.openapi == "3.1.0"
    assert parsed.info.version == "1.2.3"


def test_every_route_is_in_it_and_nothing_else(spec: dict[str, Any]) -> None:
    app = create_app(Gate(), HttpConfig(version="0", app_url="http://x"))
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
            [(media, content)] = answer["content"].items()
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


async def test_it_is_served_to_everybody(house: House) -> None:
    reply = await house.ask("GET", "/api/openapi.json")
    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    OpenAPI.model_validate(reply.data)


async def test_the_page_needs_nothing_from_outside(house: House, spec: dict[str, Any]) -> None:
    page = await house.ask("GET", "/api/docs")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "<script" not in page.data
    assert "http://" not in page.data.replace("http://x", "")
    assert "https://" not in page.data
    for method, path, _ in operations(spec):
        assert f">{method.upper()}<" in page.data
        assert path in page.data
    style = await house.ask("GET", "/api/docs.css")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


def test_the_page_escapes_what_it_shows(spec: dict[str, Any]) -> None:
    bad = {"/x": {"get": {**operations(spec)[0][2], "summary": "<img src=x>", "tags": ["<b>"]}}}
    page = render({**spec, "paths": bad})
    assert "<img" not in page
    assert "<b>" not in page
