"""A real tool server, built with the official library: run as a program it speaks over its pipes."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from starlette.types import Receive, Scope, Send

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def tool(name: str, description: str = "", schema: Any = None) -> types.Tool:
    return types.Tool(name=name, description=description or f"Does {name}.", input_schema=schema or TEXT)


@dataclass
class World:
    """What the server offers, and what really reached it."""

    tools: list[types.Tool] = field(
        default_factory=lambda: [
            tool("read", "Reads a text."),
            tool("post", "Posts a text."),
            tool("fails"),
            tool("slow"),
            tool("dies"),
            tool("large"),
            tool("variables"),
            tool("broken", schema={"type": "object", "properties": {"a": {"type": "no such type"}}}),
            tool("bad name!"),
        ]
    )
    calls: list[tuple[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    secret: str = ""
    cut: bool = False
    answers: int = 0
    # speaks the protocol as it was before 2026: with a handshake and a session
    old: bool = False
    # where calls are told to whoever watches from another process
    folder: Path | None = None
    url: str = ""

    async def call(self, name: str, args: dict[str, Any], key: str) -> types.CallToolResult:
        self.calls.append((name, args))
        self.keys.append(key)
        if self.folder is not None:
            (self.folder / "called").write_text(name)
        if name == "slow":
            await asyncio.sleep(30)
        if name == "dies":
            os._exit(3)
        if name == "fails":
            return types.CallToolResult(
                content=[types.TextContent(type="text", text="it did not work\u202e")], is_error=True
            )
        said = {
            "large": "x" * 3_000_000,
            "variables": ",".join(sorted(os.environ)),
        }.get(name, f"{name}: {args.get('text')}")
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=said)], structured_content={"length": len(said)}
        )

    def server(self) -> Server[Any]:
        async def listed(_ctx: Any, _params: Any) -> types.ListToolsResult:
            return types.ListToolsResult(tools=self.tools)

        async def called(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
            key = (params.meta or {}).get("idempotencyKey", "")
            return await self.call(params.name, params.arguments or {}, str(key))

        return Server("world", on_list_tools=listed, on_call_tool=called)


@contextlib.asynccontextmanager
async def over_http(world: World) -> AsyncIterator[str]:
    """The server on loopback; its address."""
    inner = world.server().streamable_http_app(streamable_http_path="/mcp", host="127.0.0.1")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {k.decode(): v.decode() for k, v in scope["headers"]}
            world.headers.append(headers)
            if world.secret and headers.get("authorization") != f"Bearer {world.secret}":
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            if world.old and headers.get("mcp-method") == "server/discover":
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            if world.answers and headers.get("mcp-method") == "tools/call":
                await send({"type": "http.response.start", "status": world.answers, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            if world.cut and headers.get("mcp-method") == "tools/call":
                await inner(scope, receive, _swallow)
                start = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
                await send({"type": "http.response.start", "status": 200, "headers": start})
                await send({"type": "http.response.body", "body": b"{", "more_body": True})
                raise ConnectionError("cut")
        await inner(scope, receive, send)

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.serve(sockets=[listener]))
        try:
            while not running.started:
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            running.should_exit = running.force_exit = True


async def _swallow(_message: object) -> None:
    pass


def command(folder: Path) -> str:
    """A command line that starts this file as a tool server; it writes its process id into the folder."""
    return f"{sys.executable} {Path(__file__).resolve()} {folder}"


async def _over_pipes(folder: Path) -> None:
    (folder / "pid").write_text(str(os.getpid()))
    print("programs print all sorts of things", flush=True)  # noqa: T201
    server = World(folder=folder).server()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(_over_pipes(Path(sys.argv[1])))
