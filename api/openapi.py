"""The OpenAPI 3.1 document that follows from the routes, and the page that shows it."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter

from api.http import Endpoint, Endpoints, Needs
from domain.errors import Invalid, NotFound, PilotError, RateLimited, TooLarge, Unauthorized
from domain.permissions import TABLE

TEMPLATE = "#/components/schemas/{model}"


class Problem(BaseModel):
    """Every error. `code` is stable; `details.fieldErrors` names wrong fields."""

    error: str
    code: str
    requestId: str  # noqa: N815
    details: dict[str, Any] | None = None


def document(groups: Sequence[Endpoints], *, version: str) -> dict[str, Any]:
    """The document of these routes."""
    definitions: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    _schema(Problem, definitions)
    for group in groups:
        for endpoint in group.table:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, definitions)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pilot", "version": version, "description": "Times are ISO 8601 in UTC; ids are UUIDs."},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "initData": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "tma <initData>",
                },
            },
        },
    }


def _schema(model: Any, definitions: dict[str, Any], *, mode: Any = "serialization") -> dict[str, Any]:
    schema = TypeAdapter(model).json_schema(ref_template=TEMPLATE, mode=mode)
    definitions.update(schema.pop("$defs", {}))
    if isinstance(model, type) and issubclass(model, BaseModel):
        definitions[model.__name__] = schema
        return {"$ref": TEMPLATE.format(model=model.__name__)}
    return schema


def _operation(endpoint: Endpoint, definitions: dict[str, Any]) -> dict[str, Any]:
    problem = {"$ref": TEMPLATE.format(model="Problem")}
    errors: set[type[PilotError]] = {*endpoint.errors, RateLimited, TooLarge}
    if endpoint.needs is not Needs.PUBLIC:
        errors.add(Unauthorized)
    if endpoint.needs is Needs.WORKSPACE or endpoint.path_names:
        errors |= {NotFound, Invalid}
    if endpoint.query is not None or endpoint.body is not None:
        errors.add(Invalid)
    responses: dict[str, Any] = {}
    for error in errors:
        responses[str(error.status)] = _json(problem, (error.__doc__ or "").strip())
    if endpoint.action is not None or endpoint.needs is Needs.WORKSPACE:
        responses.setdefault("403", _json(problem, "The role or scope does not allow this."))
    responses.setdefault("503", _json(problem, "Pilot is starting, or a part it needs is not configured."))
    body = {} if endpoint.response is None else _schema(endpoint.response, definitions)
    good = {"description": "OK"} if endpoint.status == 204 else _json(body, "OK")
    responses[str(endpoint.status)] = good
    for also in (200, 201, 202):
        if also != endpoint.status and endpoint.method in ("POST", "PUT"):
            responses.setdefault(str(also), good)
    summary, _, rest = endpoint.description.partition("\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": summary,
        "description": _words(endpoint, rest.strip()),
        "tags": [endpoint.tag],
        "parameters": _parameters(endpoint),
        "responses": dict(sorted(responses.items())),
        "security": [] if endpoint.needs is Needs.PUBLIC else [{"bearer": []}, {"apiKey": []}, {"initData": []}],
    }
    if endpoint.body is not None:
        schema = _schema(endpoint.body, definitions, mode="validation")
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _words(endpoint: Endpoint, rest: str) -> str:
    words = [rest] if rest else []
    if endpoint.action is not None:
        rule = TABLE[endpoint.action]
        words.append(f"Needs the role {rule.role.value}; an API key the scope `{rule.scope}`.")
    return "\n\n".join(words)


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in endpoint.path_names:
        schema: dict[str, Any] = {"type": "string"}
        if name.endswith("_id"):
            schema["format"] = "uuid"
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    if endpoint.query is not None:
        model = endpoint.query.model_json_schema(ref_template=TEMPLATE)
        required = model.get("required", ())
        for name, schema in model["properties"].items():
            found.append({"name": name, "in": "query", "required": name in required, "schema": schema})
    if endpoint.needs is Needs.WORKSPACE and endpoint.workspace_in_path is None:
        found.append(
            {
                "name": "X-Workspace-Id",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "format": "uuid"},
                "description": "Or `workspaceId` in the query or the body; an API key implies its own.",
            }
        )
    return found


def _json(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
