"""A bot's own server, for updates by webhook."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from simulator.webhooks import SECRET_HEADER


class Receiver:
    """A bot's own server: remembers what came and answers as told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.secrets: list[str | None] = []
        self.statuses: list[int] = []
        self.reply: dict[str, Any] | None = None
        # holds every answer back until it is set
        self.gate: asyncio.Event | None = None
        # bodies with this text are refused
        self.refuse = ""
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw.append(body)
        try:
            self.got.append(json.loads(body))
        except (ValueError, RecursionError):
            self.got.append({})
        self.secrets.append(request.headers.get(SECRET_HEADER))
        if self.gate is not None:
            await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if self.refuse and self.refuse.encode() in body:
            status = 500
        return web.json_response(self.reply, status=status)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    app = web.Application()
    app.router.add_post("/hook", one.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield one
    finally:
        await runner.cleanup()
