"""The real application on loopback, with real services on a real store, and people who talk to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from api.config import HttpConfig
from api.server import ServiceHolder, create_app, runner_of
from app.container import Runtime, open_services
from app.settings import load_settings
from services.container import Services
from tests.kit import decided_otherwise

PATIENCE = aiohttp.ClientTimeout(total=90)


@dataclass(slots=True)
class Reply:
    """One answer, read to its end. `data` is its JSON, or its text."""

    status: int
    data: Any
    headers: Any

    @property
    def code(self) -> Any:
        return self.data.get("code") if isinstance(self.data, dict) else None


@dataclass(slots=True)
class Person:
    """Somebody at the API: what they send with every request."""

    harness: "Harness"
    headers: dict[str, str]
    login: dict[str, Any]

    @property
    def workspace_id(self) -> str:
        found: str = self.login["workspace"]["id"]
        return found

    @property
    def user_id(self) -> str:
        found: str = self.login["user"]["id"]
        return found

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.harness.ask(method, path, body, headers={**self.headers, **named(headers)})


def named(headers: dict[str, str]) -> dict[str, str]:
    """Python names as header names."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(slots=True)
class Harness:
    """The application with its services."""

    parts: Runtime
    base: str
    session: aiohttp.ClientSession
    gate: ServiceHolder

    @property
    def services(self) -> Services:
        return self.parts.services

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, data: Any = None
    ) -> Reply:
        """One request; `body` is sent as JSON, `data` as it is."""
        async with self.session.request(
            method, self.base + path, json=body, data=data, headers=headers, timeout=PATIENCE, allow_redirects=False
        ) as answer:
            raw = await answer.read()
            is_json = answer.content_type == "application/json" and raw
            return Reply(answer.status, await answer.json() if is_json else raw.decode(), answer.headers)

    async def person(self, email: str) -> Person:
        """Somebody who logged in by mail."""
        asked = await self.ask("POST", "/api/auth/email/request", {"email": email})
        assert asked.status == 200, asked
        entered = await self.ask("POST", "/api/auth/email/verify", {"email": email, "code": asked.data["code"]})
        assert entered.status == 200, entered
        token, place = entered.data["token"], entered.data["workspace"]["id"]
        return Person(self, {"Authorization": f"Bearer {token}", "X-Workspace-Id": place}, entered.data)

    async def member(self, owner: Person, email: str, role: str) -> Person:
        """Somebody invited into the owner's workspace and looking at it."""
        invited = await owner("POST", f"/api/workspace/{owner.workspace_id}/invite", {"role": role})
        guest = await self.person(email)
        joined = await guest("POST", f"/api/auth/invite/{invited.data['inviteToken']}", {})
        assert joined.status == 200, joined
        return Person(self, {**guest.headers, "X-Workspace-Id": owner.workspace_id}, guest.login)


@asynccontextmanager
async def open_house(
    url: str, folder: Path, *, work: bool = True, checked: bool = True, http: dict[str, Any] | None = None, **more: Any
) -> AsyncIterator[Harness]:
    """The application on a free port. `http` changes its HttpConfig, `more` its settings."""
    settings = load_settings(
        _env_file=None,
        **{
            "pilot_data_dir": folder / "data",
            "database_url": url,
            "rate_limits_enabled": False,
            # some have the token of a real bot, which everybody can find
            "pilot_signup": "open",
            **more,
        },
    )
    async with open_services(settings) as parts:
        await parts.services.engine.start(parts.services.runs.advance if work else None, notifications_seconds=0.05)
        gate = ServiceHolder()
        config = {"version": "0", "app_url": "http://x", "show_codes": True, "check_answers": checked, **(http or {})}
        runner = runner_of(create_app(gate, HttpConfig(**config)), shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            base = f"http://127.0.0.1:{runner.addresses[0][1]}"
            gate.open(parts.services)
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                yield Harness(parts, base, session, gate)
        finally:
            parts.stopping.event.set()
            await runner.cleanup()
            await parts.services.engine.stop(grace_seconds=3)
        assert await parts.services.store.read(partial(decided_otherwise, parts.services.replay)) == []
