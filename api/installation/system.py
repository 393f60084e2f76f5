"""Routes about the installation: health, metrics, status, keys, live events."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import orjson
from aiohttp import web
from prometheus_client import generate_latest

from api.config import HttpConfig
from api.credentials import bearer_of, credentials_of, same_secret
from api.http import Access, ApiResponse, Endpoints, RequestContext
from api.middlewares import Metrics
from api.schemas.base import Serialized
from api.schemas.installation import (
    HealthOut,
    HealthzOut,
    Resume,
    RootOut,
    StatusOut,
    StatusWorkspace,
    TaskCounts,
    VersionOut,
)
from api.schemas.ledger import PublicKeys
from api.schemas.runs import TaskOut
from domain.errors import Invalid, NotFound, Unauthorized, Unavailable
from domain.identity.permissions import Action, allows
from domain.ledger.events import StoredEvent

DESCRIPTION = "A self-hosted workspace in Telegram where digital operators work under a written policy"
PING_SECONDS = 25.0

system = Endpoints("system")
route = system.route


@route("GET", "/api/status", action=Action.WORKSPACE_READ)
async def status(call: RequestContext) -> Serialized[StatusOut]:
    """Counts for a first page: of what the caller may see, zero of the rest."""
    services, actor = call.services, call.actor
    workspace, members = await services.workspaces.get(actor)
    counts = await services.tasks.counts(actor) if allows(actor, Action.TASK_READ) else {}
    operators = await services.operators.list(actor) if allows(actor, Action.OPERATOR_READ) else []
    waiting = (
        await services.approvals.list(actor, status="pending", limit=200) if allows(actor, Action.APPROVAL_READ) else []
    )
    return StatusOut.answer(
        workspace=StatusWorkspace.of(workspace),
        tasks=TaskCounts.answer(
            total=sum(counts.values()),
            **{name: counts.get(name, 0) for name in TaskCounts.model_fields if name != "total"},
        ),
        operators=len(operators),
        members=len(members),
        pending_approvals=len(waiting),
    )


def _frame(kind: str, data: Any, *, seq: int | None = None) -> bytes:
    head = f"event: {kind}\ndata: " if seq is None else f"id: {seq}\nevent: {kind}\ndata: "
    return head.encode() + orjson.dumps(data) + b"\n\n"


def _last_seen(call: RequestContext, query: Resume) -> int | None:
    last = call.request.headers.get("Last-Event-ID") or query.last_event_id
    if last is None:
        return None
    if not (last.isascii() and last.isdigit() and len(last) < 18):
        raise Invalid.field("Last-Event-ID", "must be the number of an event")
    return int(last)


Rendering = Callable[[StoredEvent], Awaitable[bytes | None]]


async def _stream(call: RequestContext, after: int, first: bytes, render: Rendering) -> web.StreamResponse:
    """Send events until somebody hangs up, or the person may not hear them any more."""
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(call.request)
    actor, services = call.actor, call.services
    place = actor.in_workspace
    kept = partial(services.memberships.in_workspace, actor, place)
    # what is said of an event may depend on what its hearer may do, and on nothing else of them
    hearer = (call.request.path, actor.role, actor.scopes)

    async def heard(event: StoredEvent) -> bytes | None:
        # who was taken out of the workspace hears no more of it
        await kept()
        return await services.live.once(place, (hearer, event.seq), partial(render, event))

    try:
        await response.write(b"retry: 2000\n\n" + first)
        async for event in services.live.follow(actor, after=after, idle_seconds=PING_SECONDS):
            if event is None:
                await kept()
                await _still_logged_in(call)
                await response.write(_frame("ping", {}))
                continue
            frame = await services.live.once(place, (hearer, actor, event.seq), partial(heard, event))
            if frame is not None:
                await response.write(frame)
    except (ConnectionResetError, NotFound, Unauthorized):
        pass
    return response


async def _still_logged_in(call: RequestContext) -> None:
    """Unauthorized once the login behind this stream has ended. Never rotates a token nobody would be told of."""
    services, actor = call.services, call.actor
    if actor.session_id is None:
        await services.authentication.identify(credentials_of(call.request), unsafe_method=False)
    elif all(s.family_id != actor.session_id for s in await services.sessions.of_person(actor)):
        raise Unauthorized


@route("GET", "/api/events", action=Action.EVENTS_READ, errors=(Invalid,), media="text/event-stream")
async def events(call: RequestContext, query: Resume) -> web.StreamResponse:
    """Live events of the workspace as server-sent events; resumes after `Last-Event-ID`.

    Each event has its number as `id`, `<noun>.<verb>` as its name and `{"ref": <id>, ...}` as data. A `ping` comes
    every 25 seconds. `?lastEventId=` does what the header does.
    """
    last = _last_seen(call, query)
    after = await call.services.live.head(call.actor) if last is None else last

    async def render(event: StoredEvent) -> bytes:
        return _frame(event.kind, {"ref": event.ref, **event.payload}, seq=event.seq)

    return await _stream(call, after, b"", render)


@route("GET", "/api/events/tasks", action=Action.EVENTS_READ, errors=(Invalid,), media="text/event-stream")
async def task_events(call: RequestContext, query: Resume) -> web.StreamResponse:
    """Live changes of tasks: `snapshot` with the newest 20, then `task.updated` with the whole task; resumes too."""
    services, actor = call.services, call.actor
    last = _last_seen(call, query)
    first = b""
    if last is None:
        # the number is read before the tasks: what changes in between is sent, not lost
        last = await services.live.head(actor)
        newest = await services.tasks.list(actor, limit=20)
        first = _frame("snapshot", [TaskOut.of(t) for t in newest], seq=last)

    async def render(event: StoredEvent) -> bytes | None:
        if not event.kind.startswith("task."):
            return None
        try:
            task = await services.tasks.get(actor, event.ref)
        except NotFound:
            return _frame("task.deleted", {"id": event.ref}, seq=event.seq)
        return _frame("task.updated", TaskOut.of(task), seq=event.seq)

    return await _stream(call, last, first, render)


@route("GET", "/api/governance/keys", needs=Access.PUBLIC)
async def api_keys(call: RequestContext) -> Serialized[PublicKeys]:
    """The public keys receipts and checkpoints are signed with."""
    return cast("Serialized[PublicKeys]", (await call.services.proofs.ring()).to_json())


def plain_routes(config: HttpConfig, metrics: Metrics) -> Endpoints:
    """Routes outside /api; they answer while the process is still starting, too."""
    plain = Endpoints("installation")

    @plain.route("GET", "/", needs=Access.PUBLIC)
    async def root(call: RequestContext) -> Serialized[RootOut]:
        """Name and version."""
        del call
        return RootOut.answer(name="pilot", version=config.version, description=DESCRIPTION)

    @plain.route("GET", "/health", needs=Access.PUBLIC, also={503: HealthOut})
    async def health(call: RequestContext) -> ApiResponse[Serialized[HealthOut]]:
        """Readiness, part by part; 503 while starting, and while a part is down that nothing works without.

        `degraded` with 200: it works, and something in the store is not what was signed (`ledger`, `integrity`).
        """
        head: dict[str, Any] = {"service": "pilot", "version": config.version, "sign_up": config.sign_up}
        try:
            services = call.services
        except Unavailable:
            return ApiResponse(body=HealthOut.answer(status="starting", **head, checks={"db": False}), status=503)
        up, checks = await services.health.checks()
        uptime = services.health.uptime
        sound = up and services.health.sound
        body = HealthOut.answer(status="ok" if sound else "degraded", **head, uptime=uptime, checks=checks)
        return ApiResponse(body=body, status=200 if up else 503)

    @plain.route("GET", "/healthz", needs=Access.PUBLIC, also={503: HealthzOut})
    async def healthz(call: RequestContext) -> ApiResponse[Serialized[HealthzOut]]:
        """Readiness in one word, as clients of HELM kernels ask for it."""
        try:
            up, _ = await call.services.health.checks()
        except Unavailable:
            up = False
        word = HealthzOut.answer(status="ok" if up else "down", version=config.version)
        return ApiResponse(body=word, status=200 if up else 503)

    @plain.route("GET", "/version", needs=Access.PUBLIC)
    async def version(call: RequestContext) -> Serialized[VersionOut]:
        """The version, as clients of HELM kernels ask for it; what is Go's stays empty."""
        del call
        return VersionOut.answer(version=config.version, commit="", build_time="", go_version="")

    @plain.route("GET", "/metrics", needs=Access.PUBLIC, errors=(Unauthorized, NotFound), media="text/plain")
    async def measured(call: RequestContext) -> web.StreamResponse:
        """Figures for Prometheus; `METRICS_AUTH_TOKEN` as bearer or `X-Metrics-Token`, where one is set."""
        given = call.request.headers.get("X-Metrics-Token") or bearer_of(call.request) or ""
        if config.metrics_token is not None:
            if not given or not same_secret(given, config.metrics_token):
                raise Unauthorized("metrics token required", code="metrics_token")
        elif config.production and not config.metrics_public:
            raise NotFound("Not found")
        lines = generate_latest(metrics.registry)
        with suppress(Unavailable):
            numbers = await call.services.health.numbers()
            lines += "".join(f"{name} {value}\n" for name, value in numbers.items()).encode()
        return web.Response(body=lines, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    @plain.route("GET", "/.well-known/pilot-keys.json", needs=Access.PUBLIC, errors=(Unavailable,))
    async def well_known_keys(call: RequestContext) -> ApiResponse[Serialized[PublicKeys]]:
        """The public keys receipts and checkpoints are signed with."""
        ring = await call.services.proofs.ring()
        body = cast("Serialized[PublicKeys]", ring.to_json())
        return ApiResponse(body=body, headers={"Access-Control-Allow-Origin": "*"})

    return plain
