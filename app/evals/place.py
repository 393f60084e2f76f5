"""A whole Pilot to throw away, people who talk to it over HTTP, and an outside world that counts."""

import asyncio
import base64
import json
import secrets
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from app.serve import Process
from app.settings import Settings
from domain.runs.run import RUN_ENDED

T = TypeVar("T")
PATIENCE = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where an evaluation may do as it likes: an empty folder, an empty database, and the installation's own settings.

    `installed` is only ever read: what is configured there, never what is stored there.
    """

    folder: Path
    database_url: str
    installed: Settings

    def settings(self, **given: Any) -> Settings:
        """Settings of a Pilot on this ground: defaults, fresh secrets and `given`; nothing of the environment."""
        fresh = {
            name: SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())
            for name in ("session_secret", "encryption_key", "evidence_signing_key")
        }
        own = {
            "pilot_data_dir": self.folder,
            "database_url": self.database_url,
            "port": free_port(),
            "log_level": "ERROR",
            "rate_limits_enabled": False,
        }
        defaults = {name: known.get_default() for name, known in Settings.model_fields.items()}
        return Settings(_env_file=None, **defaults | fresh | own | given)


def free_port() -> int:
    """A port of this machine that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(look: Callable[[], Awaitable[T]], *, seconds: float = 30.0, what: str) -> T:
    """The first true value; TimeoutError that names what was waited for."""
    ends = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > ends:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        await asyncio.sleep(0.05)


class Refused(Exception):
    """An answer that was not the one needed to go on."""


@dataclass(slots=True)
class Person:
    """Somebody at the API, logged in by mail."""

    base: str
    http: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    workspace: str = ""

    async def log_in(self, email: str) -> "Person":
        """Ask for a code and use it; the workspace is the person's own."""
        asked = await self.need("POST", "/api/auth/email/request", {"email": email})
        login = await self.need("POST", "/api/auth/email/verify", {"email": email, "code": asked["code"]})
        self.workspace = login["workspace"]["id"]
        self.headers = {"Authorization": f"Bearer {login['token']}", "X-Workspace-Id": self.workspace}
        return self

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status, and the JSON of the answer or its text."""
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.http.request(
            method, self.base + path, json=body, headers=given, timeout=PATIENCE, allow_redirects=False
        ) as answer:
            raw = await answer.read()
            if raw and answer.content_type == "application/json":
                return answer.status, json.loads(raw)
            return answer.status, raw.decode(errors="replace")

    async def need(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What the answer holds; Refused unless it is a success."""
        status, found = await self.ask(method, path, body, **headers)
        if status >= 400:
            raise Refused(f"{method} {path.partition('?')[0]}: {status} {found}"[:300])
        return found

    async def run(self, description: str, *, title: str = "An evaluation", **more: Any) -> str:
        """A task that begins at once; its id."""
        body = {"title": title, "description": description, "autoRun": True, **more}
        made = await self.need("POST", "/api/tasks", body)
        return str(made["id"])

    async def steps(self, task_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The run of a task, with its steps."""
        [run] = await self.need("GET", f"/api/tasks/{task_id}/runs")
        found = await self.need("GET", f"/api/runs/{run['id']}")
        return run, found["steps"]

    async def ended(self, task_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The run with its steps, once it has ended, well or not."""

        async def look() -> Any:
            run, steps = await self.steps(task_id)
            return (run, steps) if run["status"] in RUN_ENDED else None

        found: tuple[dict[str, Any], list[dict[str, Any]]] = await until(look, what="the end of a run")
        return found

    async def pending(self, task_id: str) -> dict[str, Any]:
        """The approval a task waits for."""

        async def look() -> Any:
            return await self.need("GET", f"/api/audit/approvals?status=pending&taskId={task_id}")

        return dict((await until(look, what="an approval"))[0])

    async def decide(self, approval: dict[str, Any], status: str = "approved", **more: Any) -> tuple[int, Any]:
        """Put a decision about exactly what `approval` shows."""
        body = {"status": status, "version": approval["version"], "digest": approval["actionHash"], **more}
        return await self.ask("PUT", f"/api/audit/approvals/{approval['id']}", body)


class Outside:
    """The world outside: it takes posts and counts them by their body's `n`."""

    def __init__(self) -> None:
        self.arrived: Counter[Any] = Counter()
        self.port = 0

    async def _take(self, request: web.Request) -> web.Response:
        given = await request.json()
        self.arrived[given.get("n")] += 1
        return web.json_response({"received": given})

    @property
    def url(self) -> str:
        """Where it takes posts."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def allowed(self) -> tuple[str, ...]:
        """The setting that lets the tools reach it."""
        return (f"127.0.0.1:{self.port}",)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Outside"]:
        """Listening until the block ends."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        async with listening(app) as port:
            self.port = port
            yield self


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    """An application on a free port of this machine, until the block ends."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Place:
    """A running Pilot."""

    base: str
    http: aiohttp.ClientSession

    def somebody(self) -> Person:
        """Nobody in particular: not logged in."""
        return Person(self.base, self.http)

    async def person(self, name: str) -> Person:
        """Somebody with a workspace of their own."""
        return await self.somebody().log_in(f"{name}@example.com")


@asynccontextmanager
async def open_place(ground: Ground, **given: Any) -> AsyncIterator[Place]:
    """The whole program in this process, on loopback, until the block ends."""
    process = Process(ground.settings(**given))
    await process.start()
    try:
        await process.ready.wait()
        if process.failed is not None:
            raise process.failed
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Place(f"http://127.0.0.1:{process.port}", http)
    finally:
        await process.stop()
