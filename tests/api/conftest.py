"""The real application on a real store, in process, over real HTTP on loopback."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from app.serve import Process
from app.settings import load_settings
from simulator.launch import signed, user_field
from tests.api.harness import Harness, Person, open_house
from tests.databases import fresh_url
from tests.kit import decided_otherwise

TOKEN = "7000000001:" + "A" * 35
ADMINISTRATOR = "0123456789" * 4


def init_data(token: str, user: dict[str, Any]) -> str:
    """Launch data of this moment, signed as Telegram does for the bot with this token."""
    return signed(token, {"auth_date": str(int(time.time())), "user": user_field(user)})


@dataclass
class Client:
    """Somebody at the API; remembers the last answer."""

    base: str
    http: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    workspace: str = ""
    token: str = ""
    last: Any = None

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        given = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        async with self.http.request(method, self.base + path, data=data, headers=given) as answer:
            self.last = answer
            raw = await answer.read()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, json.loads(raw) if raw and kind.startswith("application/json") else raw

    async def get(self, path: str) -> Any:
        status, body = await self.send("GET", path)
        assert status == 200, (status, body)
        return body

    def use(self, token: str, workspace: str) -> None:
        self.token, self.workspace = token, workspace
        self.headers = {"Authorization": f"Bearer {token}", "X-Workspace-Id": workspace}


@dataclass
class Installation:
    process: Process
    base: str
    http: aiohttp.ClientSession

    def nobody(self) -> Client:
        return Client(self.base, self.http)

    async def by_mail(self, email: str) -> Client:
        client = self.nobody()
        status, asked = await client.send("POST", "/api/auth/email/request", {"email": email})
        assert status == 200, asked
        status, login = await client.send("POST", "/api/auth/email/verify", {"email": email, "code": asked["code"]})
        assert status == 200, login
        client.use(login["token"], login["workspace"]["id"])
        return client

    async def by_telegram(self, user_id: int, name: str = "Ada") -> Client:
        client = self.nobody()
        raw = init_data(TOKEN, {"id": user_id, "first_name": name})
        status, login = await client.send("POST", "/api/auth/telegram", {"initData": raw})
        assert status == 200, login
        client.use(login["token"], login["workspace"]["id"])
        return client


async def open_installation(folder: Path, url: str, **settings: Any) -> AsyncIterator[Installation]:
    given = {
        "rate_limits_enabled": False,
        "port": 0,
        "pilot_role": "web",
        "telegram_api_url": "http://127.0.0.1:9",
        "pilot_admin_api_key": ADMINISTRATOR,
        **settings,
    }
    process = Process(
        load_settings(
            _env_file=None,
            pilot_data_dir=folder,
            database_url=url,
            telegram_bot_token=TOKEN,
            log_level="ERROR",
            **given,
        )
    )
    await process.start()
    try:
        async with asyncio.timeout(60):
            await process.ready.wait()
        assert process.failed is None
        async with aiohttp.ClientSession() as http:
            yield Installation(process, f"http://127.0.0.1:{process.port}", http)
        services = process.gate.services
        assert services is not None
        assert await services.store.read(partial(decided_otherwise, services.replay)) == []
    finally:
        await process.stop()


@pytest.fixture(params=["sqlite", "postgres"])
async def pilot(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Installation]:
    url = await asyncio.to_thread(fresh_url, request.param, tmp_path)
    async for installation in open_installation(tmp_path, url):
        yield installation


@pytest.fixture
async def lite(tmp_path: Path) -> AsyncIterator[Installation]:
    url = await asyncio.to_thread(fresh_url, "sqlite", tmp_path)
    async for installation in open_installation(tmp_path, url):
        yield installation


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Installation]:
    url = await asyncio.to_thread(fresh_url, "sqlite", tmp_path)
    async for installation in open_installation(tmp_path, url, rate_limits_enabled=True):
        yield installation


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """The application on SQLite."""
    async with open_house(fresh_url("sqlite", tmp_path), tmp_path) as opened:
        yield opened


@pytest.fixture
async def owner(harness: Harness) -> Person:
    """Ada, with a workspace of her own."""
    return await harness.person("ada@example.com")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database of each kind."""
    return fresh_url(request.param, tmp_path)


@pytest.fixture(autouse=True, scope="session")
def _only_errors_are_logged() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
