"""The Mini App's routes behind the real door, in one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from app.serve import Process
from app.settings import load_settings
from services.container import Services
from tests.databases import fresh_url


@dataclass
class Reader:
    """Somebody who is logged in."""

    base: str
    token: str
    workspace: str
    http: aiohttp.ClientSession

    async def part(self, path: str, *, language: str = "en", workspace: str | None = None) -> tuple[int, str]:
        """One part; status and HTML."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-Workspace-Id": workspace or self.workspace,
            "Accept-Language": language,
        }
        async with self.http.get(f"{self.base}/app/parts/{path}", headers=headers) as answer:
            return answer.status, await answer.text()

    async def send(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        """One call of the API; status and JSON."""
        headers = {"Authorization": f"Bearer {self.token}", "X-Workspace-Id": self.workspace}
        async with self.http.request(method, self.base + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None


@dataclass
class Harness:
    """A running installation."""

    base: str
    services: Services
    http: aiohttp.ClientSession

    async def reader(self, email: str) -> Reader:
        """Log in by mail."""
        async with self.http.post(f"{self.base}/api/auth/email/request", json={"email": email}) as answer:
            code = (await answer.json())["code"]
        body = {"email": email, "code": code}
        async with self.http.post(f"{self.base}/api/auth/email/verify", json=body) as answer:
            login = await answer.json()
            assert answer.status == 200, login
        return Reader(self.base, login["token"], login["workspace"]["id"], self.http)


@asynccontextmanager
async def open_house(kind: str, folder: Path) -> AsyncIterator[Harness]:
    settings = load_settings(
        _env_file=None,
        pilot_env="development",
        pilot_data_dir=folder / "data",
        port=0,
        database_url=fresh_url(kind, folder),
        email_provider="file",
        rate_limits_enabled=False,
    )
    process = Process(settings)
    await process.start()
    try:
        await process.ready.wait()
        assert process.failed is None
        assert process.gate.services is not None
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Harness(f"http://127.0.0.1:{process.port}", process.gate.services, http)
    finally:
        await process.stop()


@pytest.fixture(params=["sqlite", "postgres"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    async with open_house(request.param, tmp_path) as one:
        yield one
