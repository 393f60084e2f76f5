"""Listens before anything heavy is imported; until the rest is there, every answer is that Pilot is starting."""

import asyncio
import importlib
import signal
import socket
import sys
from typing import Any

import orjson
from aiohttp import web

from app.logging import configure_logging
from app.settings import Settings
from app.version import VERSION
from domain.ids import new_id


class PortHolder:
    """The listening port of a process that is still coming up. `sockets` hands it over to the real server."""

    def __init__(self) -> None:
        self._answering = web.Server(_starting, access_log=None, auto_decompress=False)
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> None:
        """Listen and answer 503; OSError when the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(self._answering, host, port)

    def sockets(self) -> list[socket.socket]:
        """The listening sockets once more: no connection is refused while both servers hold them."""
        assert self._server is not None
        return [held.dup() for held in self._server.sockets]

    async def close(self) -> None:
        """Take no more connections here; those that are open get their answer."""
        if self._server is not None:
            self._server.close()
        await self._answering.shutdown(1.0)


async def _starting(request: web.BaseRequest) -> web.Response:
    if request.path == "/health":
        body: dict[str, Any] = {"status": "starting", "service": "pilot", "version": VERSION, "checks": {"db": False}}
    else:
        body = {"error": "Pilot is starting", "code": "starting", "requestId": new_id()}
    answer = web.Response(body=orjson.dumps(body), status=503, content_type="application/json")
    answer.headers["Retry-After"] = "1"
    # the next request of this client is to reach the real server
    answer.force_close()
    return answer


def shutdown_requested() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


async def _run(settings: Settings) -> int:
    stop = shutdown_requested()
    port = PortHolder()
    try:
        await port.listen(settings.host, settings.port)
    except OSError as error:
        print(f"Cannot listen at {settings.host}:{settings.port}: {error.strerror}", file=sys.stderr)
        return 1
    rest = await asyncio.to_thread(importlib.import_module, "app.serve")
    code: int = await rest.serve(settings, stop=stop, early=port)
    return code


def run(settings: Settings) -> int:
    """`pilot serve`; the exit code."""
    configure_logging(level=settings.log_level, form=settings.log_format)
    return asyncio.run(_run(settings))
