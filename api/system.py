"""Routes about the installation: health, metrics, status, keys, live events."""

import asyncio
from typing import Any

import orjson
from aiohttp import web
from prometheus_client import generate_latest

from api.http import SERVICES, Call, Endpoints, Needs, json_response
from api.middlewares import HttpConfig, Metrics, same_secret
from domain.errors import Invalid, NotFound, Unauthorized
from domain.permissions import Action
from services.container import Services
from storage.events import Event

DESCRIPTION = "A self-hosted workspace in Telegram where digital operators work under a written policy"
PING_SECONDS = 25.0

system = Endpoints("system")
route = system.route


@route("GET", "/api/status", action=Action.TASK_READ)
async def status(call: Call) -> Any:
    """Counts for a first page."""
    services = call.services
    counts = await services.tasks.counts(call.actor)
    workspace, members = await services.workspaces.get(call.actor)
    pending = 0
    if call.actor.role is not None and call.actor.role.rank >= 2:
        pending = len(await services.approvals.list(call.actor, status="pending", limit=200))
    operators = await services.operators.list(call.actor)
    return {
        "workspace": {"id": workspace.id, "name": workspace.name, "currentMode": workspace.current_mode},
        "tasks": {
            "total": sum(counts.values()),
            "pending": counts.get("pending", 0),
            "running": counts.get("running", 0),
            "queued": counts.get("queued", 0),
            "completed": counts.get("completed", 0),
            "failed": counts.get("failed", 0),
            "cancelled": counts.get("cancelled", 0),
            "awaitingApproval": counts.get("awaiting_approval", 0),
        },
        "operators": len(operators),
        "members": len(members),
        "pendingApprovals": pending,
    }


def _event(event: Event) -> bytes:
    body = {"ref": event.ref, **event.payload}
    return f"id: {event.seq}\nevent: {event.kind}\ndata: ".encode() + orjson.dumps(body) + b"\n\n"


async def _stream(call: Call) -> web.StreamResponse:
    last = call.request.headers.get("Last-Event-ID") or call.request.query.get("lastEventId")
    if last is not None and not (last.isascii() and last.isdigit() and len(last) < 18):
        raise Invalid.field("Last-Event-ID", "must be the number of an event")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(call.request)
    await response.write(b"retry: 2000\n\n")
    try:
        async for event in call.services.live.follow(
            call.actor, after=None if last is None else int(last), idle_seconds=PING_SECONDS
        ):
            await response.write(b"event: ping\ndata: {}\n\n" if event is None else _event(event))
            # who was taken out of the workspace meanwhile hears no more of it
            if event is None or event.kind.startswith(("member.", "workspace.")):
                assert call.actor.workspace_id is not None
                await call.services.identity.in_workspace(call.actor, call.actor.workspace_id)
    except (ConnectionResetError, asyncio.CancelledError, NotFound):
        pass
    return response


@route("GET", "/api/events", action=Action.EVENTS_READ, errors=(Invalid,))
async def events(call: Call) -> Any:
    """Live events of the workspace as server-sent events; resumes after `Last-Event-ID`."""
    return await _stream(call)


@route("GET", "/api/events/tasks", action=Action.EVENTS_READ, errors=(Invalid,))
async def task_events(call: Call) -> Any:
    """As `/api/events`, under the contract's path."""
    return await _stream(call)


@route("GET", "/api/governance/keys", needs=Needs.PUBLIC)
async def api_keys(call: Call) -> Any:
    """The public keys receipts and checkpoints are signed with."""
    return (await call.services.receipts.ring()).to_json()


def add_plain_routes(app: web.Application, config: HttpConfig, metrics: Metrics) -> None:
    """Routes outside /api."""

    async def root(_request: web.Request) -> web.Response:
        return json_response({"name": "pilot", "version": config.version, "description": DESCRIPTION})

    async def health(request: web.Request) -> web.Response:
        services: Services | None = request.app[SERVICES].get("services")
        head: dict[str, Any] = {"service": "pilot", "version": config.version}
        if services is None:
            return json_response({"status": "starting", **head, "checks": {"db": False}}, status=503)
        up, checks = await services.health.checks()
        body = {"status": "ok" if up else "degraded", **head, "uptime": services.health.uptime, "checks": checks}
        return json_response(body, status=200 if up else 503)

    async def measured(request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.headers.get(
            "X-Metrics-Token", ""
        )
        if config.metrics_token is not None:
            if not given:
                raise Unauthorized
            if not same_secret(given, config.metrics_token):
                raise Unauthorized("wrong metrics token", code="metrics_token")
        elif config.production and not config.metrics_public:
            raise NotFound("Not found")
        services: Services | None = request.app[SERVICES].get("services")
        text = generate_latest(metrics.registry).decode()
        if services is not None:
            text += "".join(f"{name} {value}\n" for name, value in (await services.health.numbers()).items())
        return web.Response(text=text, content_type="text/plain")

    async def keys(request: web.Request) -> web.Response:
        services: Services | None = request.app[SERVICES].get("services")
        if services is None:
            return json_response({"error": "Pilot is starting", "code": "starting"}, status=503)
        response = json_response((await services.receipts.ring()).to_json())
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    app.router.add_get("/", root)
    app.router.add_get("/health", health)
    app.router.add_get("/metrics", measured)
    app.router.add_get("/.well-known/pilot-keys.json", keys)
