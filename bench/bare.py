"""The baseline of every HTTP figure: an aiohttp handler that does nothing but answer. Prints its port."""

import asyncio
import json

from aiohttp import web

BODY = json.dumps({"status": "ok"}).encode()
FIFTY = json.dumps(
    [{"id": "0" * 36, "title": "x" * 40, "status": "pending", "description": "y" * 60} for _ in range(50)]
).encode()


async def small(_request: web.Request) -> web.Response:
    return web.Response(body=BODY, content_type="application/json")


async def fifty(_request: web.Request) -> web.Response:
    return web.Response(body=FIFTY, content_type="application/json")


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), content_type="application/json")


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", small)
    app.router.add_get("/fifty", fifty)
    app.router.add_post("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
