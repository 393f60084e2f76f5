"""What every request goes through, in this order: id, log, errors, CORS, body limit, identity, rates, repeats."""

import hashlib
import ipaddress
import math
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from http.cookies import SimpleCookie
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from api.config import HttpConfig, Network
from api.credentials import COOKIE, check_admin, enter_workspace, identify, note_refusal
from api.http import (
    ACTOR,
    BY_COOKIE,
    CLIENT_IP,
    ENDPOINT,
    NEW_TOKEN,
    REQUEST_ID,
    SERVICES,
    Access,
    Endpoint,
    json_response,
)
from api.problems import PREFIX, as_problem
from domain.errors import Forbidden, Invalid, NotFound, PilotError, RateLimited, TooLarge, Unauthorized, Unavailable
from domain.identity.actor import Actor
from domain.ids import new_id
from services.container import Services
from services.identity.sessions import csrf_of
from services.platform.idempotency import KeptAnswer
from services.platform.limits import LimitState

log = structlog.get_logger("http")

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
CSRF_COOKIE = "helm_csrf"
COOKIE_LIFE = 30 * 24 * 3600
EXPOSED = (
    "X-Request-Id, X-New-Token, Link, Retry-After, X-RateLimit-Class, X-RateLimit-Limit, X-RateLimit-Remaining, "
    "X-RateLimit-Reset"
)
ALLOWED_HEADERS = (
    "Content-Type, Authorization, X-API-Key, X-Workspace-Id, X-CSRF-Token, X-Request-Id, Idempotency-Key, Last-Event-ID"
)
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
LIMIT = web.RequestKey("limit", LimitState)


class Metrics:
    """Counters of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pilot_http_requests_total", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "pilot_http_seconds",
            "Seconds to answer",
            ("route",),
            registry=self.registry,
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
        )
        # routes, methods and statuses are few: finding a counter by its labels each time costs more than counting
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method, route, status)
        found = self._counters.get(key)
        if found is None:
            found = self._counters[key] = (self.requests.labels(*key), self.seconds.labels(route))
        found[0].inc()
        found[1].observe(seconds)


@lru_cache(4096)
def client_ip(peer: str | None, forwarded: str, proxies: tuple[Network, ...]) -> str:
    """Who is asking: the peer, or behind trusted proxies the last address in X-Forwarded-For that is none of them."""
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return "unknown"
    if not any(address in network for network in proxies):
        return str(address)
    for word in reversed(forwarded.split(",")):
        try:
            hop = ipaddress.ip_address(word.strip())
        except ValueError:
            break
        address = hop
        if not any(hop in network for network in proxies):
            break
    return str(address)


def error_response(error: PilotError, request_id: str) -> web.Response:
    """The one form of an error: `{error, code, requestId, details?}` beside the contract's extra fields."""
    body: dict[str, Any] = {"error": str(error), "code": error.code, "requestId": request_id}
    plain = {k: v for k, v in error.details.items() if k not in ("formErrors", "fieldErrors")}
    if "fieldErrors" in error.details or "formErrors" in error.details:
        body["details"] = error.details
    body.update({k: v for k, v in plain.items() if k not in body})
    response = json_response(body, status=error.status)
    if "retryAfterSec" in error.details:
        response.headers["Retry-After"] = str(error.details["retryAfterSec"])
    return response


def observe(config: HttpConfig, metrics: Metrics) -> Any:
    """Request id, log line and errors: around everything, the Mini App and unknown paths included."""
    proxies = config.proxies

    @web.middleware
    async def middleware(request: web.Request, handler: Next) -> web.StreamResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        request[REQUEST_ID] = request_id
        request[CLIENT_IP] = client_ip(request.remote, request.headers.get("X-Forwarded-For", ""), proxies)
        started = time.perf_counter()
        route = _route_of(request)
        try:
            response = await _answered(request, handler, request_id)
            if request.path.startswith(PREFIX):
                response = as_problem(request, response)
        finally:
            took = time.perf_counter() - started
        # a label for every word a client can think of would fill the memory
        method = request.method if request.method in METHODS else "OTHER"
        metrics.count(method, route, response.status, took)
        if response.status >= 500 or not route.startswith(("/health", "/metrics", "/app/static")):
            actor: Actor | None = request.get(ACTOR)
            log.info(
                "request",
                method=method,
                route=route,
                status=response.status,
                ms=round(took * 1000, 1),
                request_id=request_id,
                workspace=None if actor is None else actor.workspace_id,
            )
        return response

    return middleware


def _route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


async def _answered(request: web.Request, handler: Next, request_id: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except PilotError as error:
        return error_response(error, request_id)
    except web.HTTPRequestEntityTooLarge:
        return error_response(_too_large(request), request_id)
    except web.HTTPMethodNotAllowed as error:
        response = json_response(
            {"error": "Method not allowed", "code": "method_not_allowed", "requestId": request_id}, status=405
        )
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return response
    except (web.RequestPayloadError, web.PayloadAccessError):
        # marked as packed and not so, broken off, or in pieces that do not fit
        return error_response(Invalid("The request body cannot be read", code="invalid_body"), request_id)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        words = "Not found" if error.status == 404 else error.reason
        code = "not_found" if error.status == 404 else f"http_{error.status}"
        return json_response({"error": words, "code": code, "requestId": request_id}, status=error.status)
    except ConnectionResetError:
        raise
    except Exception:
        log.exception("request_failed", request_id=request_id, route=_route_of(request))
        return json_response(
            {"error": "Internal server error", "code": "internal_error", "requestId": request_id}, status=500
        )


def headers(config: HttpConfig) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """The headers of every answer, added when it is sent: streams and errors have them too."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        if REQUEST_ID in request:
            _add_headers(request, response, config)

    return add


def _add_headers(request: web.Request, response: web.StreamResponse, config: HttpConfig) -> None:
    headers = response.headers
    headers["X-Request-Id"] = request[REQUEST_ID]
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    if config.production:
        headers["Strict-Transport-Security"] = "max-age=15552000; includeSubDomains"
    if request.path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    state = request.get(LIMIT)
    if state is not None:
        headers["X-RateLimit-Class"] = state.route_class
        headers["X-RateLimit-Limit"] = str(state.limit)
        headers["X-RateLimit-Remaining"] = str(state.remaining)
        headers["X-RateLimit-Reset"] = str(math.ceil(state.reset_seconds))
    token = request.get(NEW_TOKEN)
    if token is not None:
        headers["X-New-Token"] = token
        if request.get(BY_COOKIE):
            for name, value, options in session_cookies(token, config):
                # too late for set_cookie: those were turned into headers already
                response.headers.add("Set-Cookie", _cookie(name, value, options))
    _cors(request, response, config)


def session_cookies(token: str, config: HttpConfig) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """The two cookies of a browser session."""
    options: dict[str, Any] = {
        "path": "/",
        "samesite": "Lax",
        "max_age": COOKIE_LIFE,
        "secure": config.production,
    }
    return (
        (COOKIE, token, {**options, "httponly": True}),
        (CSRF_COOKIE, csrf_of(token), options),
    )


def _cookie(name: str, value: str, options: dict[str, Any]) -> str:
    cookie: SimpleCookie = SimpleCookie({name: value})
    cookie[name].update({key.replace("_", "-"): option for key, option in options.items()})
    return cookie[name].OutputString()


def _cors(request: web.Request, response: web.StreamResponse, config: HttpConfig) -> None:
    if not config.allowed_origins:
        return
    # the answer differs by origin, also for those who are not on the list: caches must know
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin is None or origin not in config.allowed_origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Expose-Headers"] = EXPOSED
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = "600"


@web.middleware
async def preflight(request: web.Request, handler: Next) -> web.StreamResponse:
    """OPTIONS under /api is answered here, before anything is counted."""
    if request.method == "OPTIONS" and request.path.startswith("/api/"):
        return web.Response(status=204)
    return await handler(request)


def _too_large(request: web.Request) -> TooLarge:
    endpoint = request.get(ENDPOINT)
    limit = endpoint.max_body if isinstance(endpoint, Endpoint) else 1_000_000
    return TooLarge("Request body too large", details={"maxBytes": limit})


# --- authentication -------------------------------------------------------------------------------------


async def authenticate_and_count(
    request: web.Request,
    services: Services,
    classes: Sequence[str],
    endpoint: Endpoint | None = None,
    *,
    needs: Access = Access.WORKSPACE,
) -> Actor:
    """The person, in the workspace where one is needed, counted against the classes; who is refused is counted too."""
    actor: Actor | None = None
    try:
        actor = (await identify(request, services)).actor
        if needs is Access.WORKSPACE:
            actor = request[ACTOR] = await enter_workspace(request, services, actor, endpoint)
    except (Unauthorized, Forbidden, NotFound) as error:
        # counted first: what is written down here is as much as the limits allow
        await _count(request, services, classes, actor)
        await note_refusal(request, services, actor, error)
        raise
    await _count(request, services, classes, actor)
    return actor


def authenticate(config: HttpConfig) -> Any:
    """Identity, workspace, rate limits and kept answers, for the endpoints of the API."""

    @web.middleware
    async def middleware(request: web.Request, handler: Next) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        services: Services | None = request.app[SERVICES].get("services")
        if services is None:
            raise Unavailable("Pilot is starting", code="starting", details={"retryAfterSec": 1})
        endpoint = getattr(request.match_info.handler, "__self__", None)
        endpoint = endpoint if isinstance(endpoint, Endpoint) else None
        if endpoint is None:
            if request.match_info.http_exception is not None:
                # what does not exist is told only to those who are known
                await identify(request, services)
            return await handler(request)
        request[ENDPOINT] = endpoint
        _check_size(request, endpoint)
        actor: Actor | None = None
        if endpoint.needs is Access.PUBLIC:
            await _count(request, services, ("default", endpoint.rate), None)
        elif endpoint.needs is Access.ADMIN:
            # counted first: the key must not be guessed at any speed
            await _count(request, services, ("default", endpoint.rate), None)
            check_admin(request, config.admin_key)
        else:
            actor = await authenticate_and_count(
                request, services, ("default", endpoint.rate), endpoint, needs=endpoint.needs
            )
        return await _idempotent(
            request, services, endpoint, partial(_audit_refusals, services, endpoint, actor, handler)
        )

    return middleware


async def _audit_refusals(
    services: Services, endpoint: Endpoint, actor: Actor | None, handler: Next, request: web.Request
) -> web.StreamResponse:
    """What a member was refused is in the audit log of the workspace; strangers leave no trace in it."""
    try:
        return await handler(request)
    except Forbidden as error:
        if actor is not None and actor.workspace_id is not None:
            await services.audit.refused(
                workspace_id=actor.workspace_id,
                actor=actor.principal,
                route=f"{endpoint.method} {endpoint.path}",
                code=error.code,
            )
        raise


def _check_size(request: web.Request, endpoint: Endpoint) -> None:
    if request.content_length is not None and request.content_length > endpoint.max_body:
        raise TooLarge("Request body too large", details={"maxBytes": endpoint.max_body})
    # chunked bodies are counted while they are read
    request._client_max_size = endpoint.max_body  # noqa: SLF001 - aiohttp has no public way to set it per request


async def _count(request: web.Request, services: Services, classes: Sequence[str], actor: Actor | None) -> None:
    """Count the request against its person (or key, or network) and its workspace; RateLimited when it is too much."""
    limits = services.limits
    if not limits.enabled:
        return
    if actor is None:
        subject = f"ip:{request[CLIENT_IP]}"
    elif actor.api_key_id is not None:
        subject = f"key:{actor.api_key_id}"
    else:
        subject = f"user:{actor.user_id}"
    hits = [(one, subject) for one in sorted(set(classes))]
    if actor is not None and actor.workspace_id is not None:
        hits.append(("workspace", f"ws:{actor.workspace_id}"))
    states = await limits.hit(hits)
    refusing = [state for state in states if not state.allowed]
    if not refusing:
        request[LIMIT] = min(states, key=lambda s: s.remaining / s.limit)
        return
    state = request[LIMIT] = max(refusing, key=lambda s: s.retry_after)
    raise RateLimited(
        "Rate limit exceeded", details={"routeClass": state.route_class, "retryAfterSec": state.retry_after}
    )


async def _idempotent(
    request: web.Request, services: Services, endpoint: Endpoint, handler: Next
) -> web.StreamResponse:
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method != "POST":
        return await handler(request)
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Invalid("Idempotency-Key must be 1 to 200 visible ASCII characters", code="invalid_idempotency_key")
    if not endpoint.keeps_answers:
        # an answer with a secret in it is not kept: it would lie readable in the store
        raise Invalid("this route does not take an Idempotency-Key", code="idempotency_unsupported")
    actor: Actor | None = request.get(ACTOR)
    principal = f"ip:{request[CLIENT_IP]}" if actor is None else f"{actor.principal}@{actor.workspace_id or ''}"
    principal = hashlib.sha256(principal.encode()).hexdigest()
    digest = hashlib.sha256(f"{request.method} {request.path_qs}\n".encode() + await request.read()).hexdigest()
    claim = await services.idempotency.begin(principal=principal, key=key, request_hash=digest)
    if isinstance(claim, KeptAnswer):
        response = json_response(claim.body.encode(), status=claim.status)
        response.headers["Idempotency-Replayed"] = "true"
        return response
    try:
        with services.idempotency.carrying_out(claim):
            answer = await handler(request)
    except PilotError as error:
        answer = error_response(error, request[REQUEST_ID])
    except BaseException:
        await services.idempotency.drop(claim)
        raise
    # what a repeat may mend is not kept: our own failures, a timeout, too many requests
    if isinstance(answer, web.Response) and answer.status < 500 and answer.status not in (408, 429):
        await services.idempotency.finish(claim, status=answer.status, body=answer.text or "")
    else:
        await services.idempotency.drop(claim)
    return answer
