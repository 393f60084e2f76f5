"""Typed endpoints on plain aiohttp: the signature says what an endpoint needs, the decorator who may call it.

An endpoint is `async def name(call, path parameters..., body, query)`. What it returns is said by its annotation:
`Serialized[TaskOut]`, a list of those, or an `Answer` of either; the document describes that type, and in tests every
answer is held against it.
"""

import inspect
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson
from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.config import CONFIG, HttpConfig
from api.schemas.base import Serialized, text_ok
from domain.bounded_json import BadJson, Bounds, loads
from domain.errors import Invalid, PilotError, TooLarge, Unavailable
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import parse_id
from services.container import Services

SERVICES = web.AppKey("services", dict)
# set in tests only: hold every answer against the model its route documents
CHECK_ANSWERS = web.AppKey("check_answers", bool)
# set where the server hands on packed bodies as they came: they are unpacked here
UNPACKS = web.AppKey("unpacks", bool)
REQUEST_ID = web.RequestKey("request_id", str)
ACTOR = web.RequestKey("actor", Actor)
ENDPOINT = web.RequestKey("endpoint", object)
NEW_TOKEN = web.RequestKey("new_token", str)
BY_COOKIE = web.RequestKey("by_cookie", bool)
CLIENT_IP = web.RequestKey("client_ip", str)
HEADERS = web.RequestKey("more_headers", dict)

Handler = Callable[..., Awaitable[Any]]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Access(StrEnum):
    """Who may call: anybody, a known person, a member of the workspace in question, or who runs the installation."""

    PUBLIC = "public"
    PERSON = "person"
    WORKSPACE = "workspace"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse(Generic[T_co]):
    """An answer that is not plainly the endpoint's status and data; `body` may be the bytes of it already."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[tuple[str, str, dict[str, Any]], ...] = ()


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What every endpoint gets."""

    request: web.Request

    @property
    def services(self) -> Services:
        """The use cases; Unavailable while the process is still starting."""
        services: Services | None = self.request.app[SERVICES].get("services")
        if services is None:
            raise Unavailable("Pilot is starting", code="starting", details={"retryAfterSec": 1})
        return services

    @property
    def config(self) -> HttpConfig:
        """How this installation serves the web."""
        return self.request.app[CONFIG]

    @property
    def actor(self) -> Actor:
        """Who asks; in the workspace, where the endpoint needs one."""
        return self.request[ACTOR]

    @property
    def ip(self) -> str:
        return self.request[CLIENT_IP]

    @property
    def agent(self) -> str:
        return agent_of(self.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route with everything the middlewares and the documentation need to know of it."""

    method: str
    path: str
    handler: Handler
    needs: Access
    action: Action | None
    status: int
    errors: tuple[type[PilotError], ...]
    tag: str
    rate: str
    max_body: int
    keeps_answers: bool
    response: Any
    also: Mapping[int, Any]
    media: str
    other_media: tuple[str, ...]
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    path_names: tuple[str, ...]
    description: str = ""
    workspace_in_path: str | None = None
    pattern: str | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Check who may, parse, call, answer. Who may not learns nothing about what would be right."""
        call = RequestContext(request)
        if self.action is not None:
            require(call.actor, self.action)
        given: dict[str, Any] = {}
        for name in self.path_names:
            value = request.match_info[name]
            given[name] = parse_id(value) if name.endswith("_id") else _sound(value, name)
        if self.query is not None:
            given["query"] = validated(self.query, query_of(request))
        if self.body is not None:
            given["body"] = validated(self.body, await json_body(request))
        return self.respond(await self.handler(call, **given), checked=request.app.get(CHECK_ANSWERS, False))

    def respond(self, result: Any, *, checked: bool = False) -> web.StreamResponse:
        """The HTTP answer for what the handler returned."""
        if isinstance(result, web.StreamResponse):
            return result
        answer = result if isinstance(result, ApiResponse) else ApiResponse(body=result, status=self.status)
        response = json_response(answer.body, status=answer.status)
        if checked:
            self._check(answer.status, response)
        response.headers.update(answer.headers)
        for name, value, options in answer.cookies:
            response.set_cookie(name, value, **options)
        return response

    def _check(self, status: int, response: web.Response) -> None:
        """ValidationError or KeyError when an answer is not what the documentation says."""
        models = {self.status: self.response, **self.also}
        model = models[status]
        if model is not None:
            _adapter(model).validate_json(response.body if isinstance(response.body, bytes) else b"")


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


@dataclass(slots=True)
class Endpoints:
    """The routes of one part of the API."""

    tag: str
    table: list[Endpoint] = field(default_factory=list)

    def route(
        self,
        method: str,
        path: str,
        *,
        needs: Access = Access.WORKSPACE,
        action: Action | None = None,
        status: int = 200,
        errors: tuple[type[PilotError], ...] = (),
        response: Any = None,
        also: Mapping[int, Any] | None = None,
        media: str = "application/json",
        other_media: tuple[str, ...] = (),
        rate: str = "default",
        max_body: int = 1_000_000,
        keeps_answers: bool = True,
        workspace_in_path: str | None = None,
        pattern: str | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register an endpoint.

        The handler's annotation says what is answered with `status`, or `response` where the annotation is wider;
        `also` are the models of answers with another success status.
        `keeps_answers` False: the answer holds a secret, so no Idempotency-Key is taken.
        `workspace_in_path` names the path parameter that is the workspace's id.
        `other_media` are the types of an answer that the query can ask for instead of `media`.
        `pattern` is the path as the router matches it, where a parameter is more than one segment.
        """

        def register(handler: Handler) -> Handler:
            hints = get_type_hints(handler)
            names = list(inspect.signature(handler).parameters)[1:]
            self.table.append(
                Endpoint(
                    method=method,
                    path=path,
                    handler=handler,
                    needs=needs,
                    action=action,
                    status=status,
                    errors=errors,
                    tag=self.tag,
                    rate=rate,
                    max_body=max_body,
                    keeps_answers=keeps_answers,
                    response=response or response_of(hints.get("return")),
                    also=also or {},
                    media=media,
                    other_media=other_media,
                    body=hints.get("body"),
                    query=hints.get("query"),
                    path_names=tuple(n for n in names if n not in ("body", "query")),
                    description=inspect.getdoc(handler) or "",
                    workspace_in_path=workspace_in_path,
                    pattern=pattern,
                )
            )
            return handler

        return register


def response_of(kind: Any) -> Any:
    """The model of what a handler returns; None where it is no JSON, or makes the HTTP answer itself."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Serialized, ApiResponse):
        return response_of(arguments[0])
    if origin is list:
        return list[response_of(arguments[0])]  # type: ignore[misc]
    if origin in (Union, UnionType):
        models = tuple(model for one in arguments if (model := response_of(one)) is not None)
        return Union[models] if models else None  # noqa: UP007 - a tuple
    if kind is NoneType or (isinstance(kind, type) and issubclass(kind, web.StreamResponse)):
        return None
    return kind


def agent_of(request: web.Request) -> str:
    """What the client calls itself, as text that can be stored: headers may hold any bytes."""
    return request.headers.get("User-Agent", "")[:200].encode("utf-8", "replace").decode()


def json_response(data: Any, *, status: int = 200) -> web.Response:
    """JSON as the wire has it; None is no body at all for 204."""
    if status == 204:
        return web.Response(status=204)
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    return web.Response(body=body, status=status, content_type="application/json")


_BODY = web.RequestKey("json_body", dict)
# what orjson reads is not always what it writes: it parses to any depth and prints to 254
DEEPEST = 64
# what lies between the two depths is read, so that the error can name its field
BODY = Bounds(size=2_000_000, depth=500, nodes=20_000)
# JSON numbers beyond these are not the same in every reader (RFC 7493), and not in every column
LARGEST = 2**53 - 1


async def json_body(request: web.Request) -> dict[str, Any]:
    """The JSON of the request, parsed once; Invalid for what is none, or no object."""
    if _BODY in request:
        kept: dict[str, Any] = request[_BODY]
        return kept
    raw = unpacked(request, await request.read())
    data: Any = parsed_body(raw) if raw else {}
    if not isinstance(data, dict):
        raise Invalid("the body must be a JSON object", code="invalid_json")
    if b"\\u0000" in raw or raw.count(b"[") + raw.count(b"{") > DEEPEST or _LONG_NUMBER.search(raw) is not None:
        _check_value(data, "", DEEPEST)
    request[_BODY] = data
    return data


def unpacked(request: web.Request, raw: bytes) -> bytes:
    """The body of a request as it was before it was packed (gzip, deflate); Invalid for what is not, TooLarge."""
    packing = request.headers.get("Content-Encoding", "identity").strip().lower()
    if not raw or packing == "identity" or not request.app.get(UNPACKS, False):
        return raw
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise Invalid("The request body may be packed as gzip or deflate only", code="invalid_body")
    # "deflate" is zlib by the standard and raw by some clients; the first byte tells
    bits = 31 if packing != "deflate" else 15 if raw[:1] and raw[0] & 15 == 8 else -15
    inflate = zlib.decompressobj(bits)
    try:
        found = inflate.decompress(raw, request.client_max_size + 1)
    except zlib.error:
        raise Invalid("The request body is not packed as it says", code="invalid_body") from None
    if len(found) > request.client_max_size:
        raise TooLarge("Request body too large", details={"maxBytes": request.client_max_size})
    if not inflate.eof or inflate.unused_data:
        raise Invalid("The request body is not packed as it says", code="invalid_body")
    return found


def parsed_body(raw: bytes) -> Any:
    """The JSON of a body; BadJson for what is none, is too much, or names one thing twice."""
    try:
        return loads(raw, BODY)
    except BadJson as error:
        if error.code == "invalid_json":
            raise BadJson("Invalid JSON in request body", details=error.details) from None
        raise


_LONG_NUMBER = re.compile(rb"[0-9.]{16}|[0-9][eE]")


def _check_value(value: Any, name: str, depth: int) -> None:
    """Invalid, naming the field, for what the system could not hold: NUL, numbers out of range, too much nesting."""
    if isinstance(value, str):
        _sound(value, name)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > LARGEST:
            raise Invalid.field(name or "body", "holds a number that is too large")
    elif isinstance(value, float):
        if not abs(value) <= 1e300:
            raise Invalid.field(name or "body", "holds a number that is too large")
    elif depth == 0:
        raise Invalid.field(name.split(".", 1)[0] or "body", "is nested too deeply")
    elif isinstance(value, dict):
        for key, item in value.items():
            _sound(key, name or "body")
            _check_value(item, f"{name}.{key}" if name else key, depth - 1)
    else:
        for item in value:
            _check_value(item, name, depth - 1)


def query_of(request: web.Request) -> dict[str, str]:
    """The query; of a name that comes twice the first. Invalid for text that cannot be stored."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        found.setdefault(_sound(name, "query"), _sound(value, name))
    return found


def _sound(value: str, name: str) -> str:
    try:
        return text_ok(value)
    except ValueError as error:
        raise Invalid.field(name.encode("utf-8", "replace").decode().replace("\x00", ""), str(error)) from None


def validated(model: type[BaseModel], data: Any) -> Any:
    """`data` as the model has it; Invalid with the contract's `details` otherwise. The input is never echoed."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields: dict[str, list[str]] = {}
        form: list[str] = []
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            message = one["msg"].removeprefix("Value error, ")
            name = ".".join(map(str, one["loc"]))
            if name:
                fields.setdefault(name, []).append(message)
            else:
                form.append(message)
        raise Invalid("Validation failed", details={"formErrors": form, "fieldErrors": fields}) from None


def page(call: RequestContext, items: list[T], *, limit: int, cursor: str | None) -> ApiResponse[list[T]]:
    """A list as the contract has it, a bare array, with the way to the next page in `Link`."""
    headers: dict[str, str] = {}
    if len(items) == limit and cursor is not None:
        url = call.request.rel_url.update_query(cursor=cursor)
        headers["Link"] = f'<{url}>; rel="next"'
    return ApiResponse(body=items, headers=headers)
