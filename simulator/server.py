"""The simulator over HTTP: the Bot API as clients call it, a control API for tests, and a chat page."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from simulator import botapi
from simulator.botapi import TELEGRAM
from simulator.control import routes
from simulator.people import add_person
from simulator.telegram import Telegram
from simulator.webhooks import deliver_all

STATIC = Path(__file__).parent / "static"
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KINDS = {".js": "text/javascript", ".css": "text/css"}
DEMO_USERS: tuple[Mapping[str, Any], ...] = (
    {"id": 1001, "first_name": "Ada", "last_name": "Byron", "username": "ada", "language_code": "en"},
    {"id": 1002, "first_name": "Grace", "username": "grace", "language_code": "en"},
)


def create_simulator(
    telegram: Telegram | None = None,
    *,
    seed_users: Iterable[Mapping[str, Any]] = (),
    auto_register: bool = True,
) -> web.Application:
    """The application around one Telegram; without one, a new one with these people.

    seed_users: `{id, first_name, last_name?, username?, language_code?}`.
    auto_register: whether a well-formed token nobody registered becomes a bot (only for a new Telegram).
    """
    telegram = Telegram(auto_register=auto_register) if telegram is None else telegram
    for user in seed_users:
        add_person(telegram, user["id"], user["first_name"], **{k: v for k, v in user.items() if k not in _NAMED})
    app = web.Application(client_max_size=60_000_000, middlewares=[routes.control_errors])
    app[TELEGRAM] = telegram
    botapi.add_routes(app)
    routes.add_routes(app)
    app.router.add_get("/", _page)
    app.router.add_get("/static/{name}", _static)
    app.cleanup_ctx.append(_deliveries)
    return app


_NAMED = frozenset({"id", "first_name"})


async def _deliveries(app: web.Application) -> AsyncIterator[None]:
    """The couriers of webhooks, in a task of their own: start-up and clean-up may run in different ones."""
    telegram = app[TELEGRAM]
    couriers = asyncio.get_running_loop().create_task(deliver_all(telegram), name="simulator-webhooks")
    yield
    telegram.close()
    couriers.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await couriers


async def _page(_request: web.Request) -> web.Response:
    return web.Response(
        body=await asyncio.to_thread((STATIC / "chat.html").read_bytes),
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": PAGE_CSP, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"},
    )


async def _static(request: web.Request) -> web.Response:
    path = STATIC / Path(request.match_info["name"]).name
    if path.suffix not in KINDS or not path.is_file():
        raise web.HTTPNotFound
    body = await asyncio.to_thread(path.read_bytes)
    return web.Response(
        body=body, content_type=KINDS[path.suffix], charset="utf-8", headers={"Cache-Control": "no-cache"}
    )
