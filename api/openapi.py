"""The OpenAPI 3.1 document that follows from the routes."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

from api.examples import TEXTS, example_of
from api.http import Access, Endpoint, Endpoints
from api.problems import MEDIA, PREFIX, ProblemDetails
from api.schemas.base import LooseBody, Problem
from domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PilotError,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from domain.identity.permissions import TABLE

TEMPLATE = "#/components/schemas/{model}"
UUID = {"type": "string", "format": "uuid"}
ABOUT = """The HTTP API of a Pilot installation.

Log in with `POST /api/auth/email/request` and `/verify`, or with `POST /api/auth/telegram`, and send the token as
`Authorization: Bearer`; or send an API key as `X-API-Key` or as that bearer. A session token changes once a day: the
new one comes in `X-New-Token`, the old one keeps working for a minute. The workspace is named by the path,
`X-Workspace-Id`, or `workspaceId` in the query or the body; an API key implies its own.

Times are ISO 8601 in UTC, ids are UUIDs, amounts are US dollars. Lists are bare arrays; the way to the next page is in
`Link: <...>; rel="next"`. Every error has `error`, a stable `code` and the `requestId` that is in the log. An id that
does not exist, is no UUID, or belongs to a workspace the caller is not in, is 404. Under `/api/v1` names and errors are
those of HELM kernels: RFC 7807, `application/problem+json`.
"""
HEADERS = {
    "X-Request-Id": ("string", "The id of this request in the log; sent back when it was given."),
    "X-RateLimit-Class": ("string", "The limit that is nearest to being reached."),
    "X-RateLimit-Limit": ("integer", "Requests a minute in that class."),
    "X-RateLimit-Remaining": ("integer", "How many more would pass right now."),
    "X-RateLimit-Reset": ("integer", "Seconds until the limit is whole again."),
    "X-New-Token": ("string", "The session's new token; use it from now on."),
    "Link": ("string", 'The way to the next page: `<...>; rel="next"`.'),
    "Retry-After": ("integer", "Seconds to wait."),
    "Allow": ("string", "The methods this path has."),
    "Idempotency-Replayed": ("string", "`true`: this is the answer the first request with this key got."),
}
COMMON = ("X-Request-Id", "X-RateLimit-Class", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def document(groups: Sequence[Endpoints], *, version: str, server: str = "/") -> dict[str, Any]:
    """The document of these routes, of an installation that is reached under `server`."""
    definitions: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    _schema(Problem, definitions)
    _schema(ProblemDetails, definitions)
    for group in groups:
        for endpoint in group.table:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, definitions)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pilot", "version": version, "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": server}],
        "tags": [{"name": tag} for tag in dict.fromkeys(group.tag for group in groups)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(definitions.items())),
            "headers": {
                name: {"description": words, "schema": {"type": kind}} for name, (kind, words) in HEADERS.items()
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A session token."},
                "adminKey": {"type": "http", "scheme": "bearer", "description": "`PILOT_ADMIN_API_KEY`."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`hp_...`"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "helm_session",
                    "description": "A session as cookie; changes then also need `X-CSRF-Token`.",
                },
                "initData": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`tma <initData>`: launch data of the Mini App instead of a session.",
                },
            },
        },
    }


def _schema(model: Any, definitions: dict[str, Any], *, mode: Any = "serialization") -> dict[str, Any]:
    whole = _written(model, mode)
    for name, found in whole.get("$defs", {}).items():
        _define(definitions, name, found)
    schema = {word: value for word, value in whole.items() if word != "$defs"}
    if isinstance(model, type) and issubclass(model, BaseModel):
        _define(definitions, model.__name__, schema)
        return {"$ref": TEMPLATE.format(model=model.__name__)}
    return schema


@cache
def _written(model: Any, mode: Any) -> dict[str, Any]:
    """The JSON Schema of a type. Kept, since many routes share theirs: it is most of the time a document takes."""
    return TypeAdapter(model).json_schema(ref_template=TEMPLATE, mode=mode)


def _define(definitions: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    if definitions.setdefault(name, schema) != schema:
        raise ValueError(f"two different schemas are called {name}")


def _operation(endpoint: Endpoint, definitions: dict[str, Any]) -> dict[str, Any]:
    summary, _, rest = endpoint.description.partition("\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": summary,
        "description": _words(endpoint, rest.strip()),
        "tags": [endpoint.tag],
        "parameters": list(_parameters(endpoint)),
        "responses": _responses(endpoint, definitions),
        "security": _security(endpoint.needs),
    }
    if endpoint.body is not None:
        schema = _schema(endpoint.body, definitions, mode="validation")
        needed = bool(definitions[endpoint.body.__name__].get("required"))
        example = example_of(schema, definitions, full=False)
        content = {"schema": schema, "example": example}
        operation["requestBody"] = {"required": needed, "content": {"application/json": content}}
    return operation


def _security(needs: Access) -> list[dict[str, list[str]]]:
    if needs is Access.PUBLIC:
        return []
    names = ("adminKey",) if needs is Access.ADMIN else ("bearer", "apiKey", "session", "initData")
    return [{name: []} for name in names]


def _responses(endpoint: Endpoint, definitions: dict[str, Any]) -> dict[str, Any]:
    kernel = endpoint.path.startswith(PREFIX)
    problem = {"$ref": TEMPLATE.format(model="ProblemDetails" if kernel else "Problem")}
    media = MEDIA if kernel else "application/json"
    refused: dict[int, set[str]] = {}
    for error in _errors(endpoint):
        refused.setdefault(error.status, set()).add((error.__doc__ or "").strip())
    responses: dict[str, Any] = {}
    for code, words in refused.items():
        names = [*COMMON, "Retry-After"] if code in (429, 503) else list(COMMON)
        responses[str(code)] = _answer(problem, " ".join(sorted(words)), names, media=media)
    for code, model in {endpoint.status: endpoint.response, **endpoint.also}.items():
        names = list(COMMON) if endpoint.path.startswith("/api/") else ["X-Request-Id"]
        if endpoint.needs in (Access.PERSON, Access.WORKSPACE):
            names.append("X-New-Token")
        if endpoint.query is not None and "cursor" in endpoint.query.model_fields:
            names.append("Link")
        schema = {} if model is None else _schema(model, definitions)
        answer = _answer(schema, _WORDS.get(code, "Done."), names, media=endpoint.media)
        if code == 204:
            del answer["content"]
        elif schema:
            answer["content"][endpoint.media]["example"] = example_of(schema, definitions, full=True)
        elif endpoint.media in TEXTS:
            answer["content"][endpoint.media]["example"] = TEXTS[endpoint.media]
        for media_type in endpoint.other_media:
            answer["content"][media_type] = {"example": TEXTS[media_type]}
        responses[str(code)] = answer
    return dict(sorted(responses.items()))


_WORDS = {200: "Done.", 201: "Created.", 202: "Accepted; not finished yet.", 204: "Done; there is nothing to say."}


def _errors(endpoint: Endpoint) -> set[type[PilotError]]:
    found: set[type[PilotError]] = set(endpoint.errors)
    if not endpoint.path.startswith("/api/"):
        return found
    found |= {RateLimited, Unavailable}
    if endpoint.body is not None:
        found |= {Invalid, TooLarge}
    if endpoint.query is not None:
        found.add(Invalid)
    if endpoint.needs is not Access.PUBLIC:
        # a cookie without its CSRF token, a key without the scope
        found |= {Unauthorized, Forbidden}
    if endpoint.needs is Access.WORKSPACE:
        found |= {Invalid, NotFound}
    if endpoint.path_names:
        found |= {Invalid, NotFound}
    if endpoint.method == "POST":
        # about the Idempotency-Key
        found.add(Invalid)
        if endpoint.keeps_answers and endpoint.needs is not Access.PUBLIC:
            found.add(Conflict)
    return found


def _answer(
    schema: dict[str, Any], description: str, headers: Sequence[str], *, media: str = "application/json"
) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {media: {"schema": schema}} if schema or media == "application/json" else {media: {}},
    }


def _words(endpoint: Endpoint, rest: str) -> str:
    words = [rest] if rest else []
    if endpoint.action is not None:
        rule = TABLE[endpoint.action]
        named = "; it must be named" if rule.explicit else ""
        words.append(f"Needs the role {rule.role.value}; an API key the scope `{rule.scope}`{named}.")
    if endpoint.rate != "default":
        words.append(f"Counts against the limit `{endpoint.rate}` as well as `default`.")
    if endpoint.body is not None and not issubclass(endpoint.body, LooseBody):
        words.append("Unknown names in the body are refused.")
    return "\n\n".join(words)


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{([a-z_]+)", endpoint.path):
        schema = UUID if name.endswith("_id") else {"type": "string"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if endpoint.query is not None:
        model = endpoint.query.model_json_schema(ref_template=TEMPLATE)
        required = model.get("required", ())
        for name, schema in model["properties"].items():
            yield {"name": name, "in": "query", "required": name in required, "schema": schema}
    if endpoint.needs is Access.WORKSPACE and endpoint.workspace_in_path is None:
        words = "The workspace; or `workspaceId` in the query or the body. An API key implies its own."
        yield {"name": "X-Workspace-Id", "in": "header", "required": False, "schema": UUID, "description": words}
        yield {"name": "workspaceId", "in": "query", "required": False, "schema": UUID, "description": words}
    if endpoint.method == "POST" and endpoint.keeps_answers and endpoint.needs is not Access.PUBLIC:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
            "description": "A repeat with the same key and body within a day gets the first answer again.",
        }
