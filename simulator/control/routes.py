"""The control side over HTTP, `/sim/...`: its routes and how it refuses. JSON in and out."""

from typing import Any

from aiohttp import web

from simulator.control import actions, faults, members, updates, watching
from simulator.errors import ApiError, WrongRequest


def add_routes(app: web.Application) -> None:
    """The routes of tests and of the page."""
    for group in (watching, members, actions, updates, faults):
        for method, path, handler in group.ROUTES:
            app.router.add_route(method, path, handler)


@web.middleware
async def control_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refusals as JSON; posts must be JSON, which no foreign page can send without asking first."""
    if not request.path.startswith("/sim/"):
        response: web.StreamResponse = await handler(request)
        return response
    if request.method == "POST" and request.content_type != "application/json":
        return web.json_response({"ok": False, "description": "send application/json"}, status=415)
    try:
        response = await handler(request)
    except (ApiError, WrongRequest) as error:
        return web.json_response({"ok": False, "description": str(error)}, status=400)
    except (KeyError, ValueError, TypeError) as error:
        return web.json_response({"ok": False, "description": f"{type(error).__name__}: {error}"}, status=400)
    return response
