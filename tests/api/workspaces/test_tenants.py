"""Two tenants and random calls: no byte of one ever reaches the other, over API, live events, Mini App or chat."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.config import HttpConfig
from api.http import Access, Endpoint
from api.server import groups
from simulator.simulated import SimulatedTelegram
from tests.api.conftest import TOKEN, Client, Installation, open_installation
from tests.databases import fresh_url
from webapp.fragments import FRAGMENTS

pytestmark = pytest.mark.timeout(300)
ENDPOINTS = [
    e
    for group in groups(HttpConfig(version="0", app_url="http://x"))
    for e in group.table
    if e.needs is not Access.PUBLIC and not e.path.startswith("/api/events")
]
# what ends the tenant itself would leave nothing to leak
FATAL = {"DELETE /api/users/me", "DELETE /api/auth/sessions", "DELETE /api/workspace/{workspace_id}"}
CALLS = 250


async def furnished(client: Client, mark: str) -> dict[str, list[str]]:
    """A workspace full of things that carry the mark; the ids of everything in it."""
    playbook = f'note.create title="{mark} note" body="{mark}"\nhttp.post url=http://127.0.0.1:9/{mark} json={{"m":1}}'
    ids: dict[str, list[str]] = {"workspace_id": [client.workspace]}
    tasks = []
    for n in range(3):
        status, task = await client.send("POST", "/api/tasks", {"title": f"{mark} {n}", "description": playbook})
        assert status == 201, task
        tasks.append(task["id"])
    ids["task_id"] = tasks
    await client.send("POST", f"/api/tasks/{tasks[0]}/run", {})
    _, operator = await client.send("POST", "/api/operators", {"name": mark, "role": "ops", "goal": f"{mark} goal"})
    ids["operator_id"] = [operator["id"]]
    _, key = await client.send("POST", "/api/auth/apikey", {"name": mark})
    ids["key_id"] = [key["id"]]
    _, invite = await client.send("POST", f"/api/workspace/{client.workspace}/invite", {"email": f"{mark}@example.com"})
    ids["token"] = [invite["inviteToken"]]
    await client.send("PUT", f"/api/workspace/{client.workspace}/settings", {"policyConfig": {"contentBans": [mark]}})
    receipts = (await client.get("/api/governance/receipts?limit=50"))["receipts"]
    ids["name"] = [r["id"] for r in receipts]
    ids["run_id"] = [r["id"] for r in await client.get(f"/api/tasks/{tasks[0]}/runs")]
    ids["user_id"] = [(await client.get("/api/me"))["user"]["id"]]
    new = {"name": mark, "url": f"https://{mark}.invalid/mcp"}
    _, server = await client.send("POST", "/api/mcp-servers", new)
    ids["server_id"] = [server["id"]]
    ids["invite_id"] = [i["id"] for i in await client.get(f"/api/workspace/{client.workspace}/invites")]
    return ids


@asynccontextmanager
async def listening(pilot: Installation, client: Client) -> AsyncIterator[list[str]]:
    """Every line of the client's live events while the block runs."""
    lines: list[str] = []
    opened = asyncio.Event()

    async def listen() -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        async with pilot.http.get(f"{pilot.base}/api/events", headers=client.headers, timeout=timeout) as stream:
            assert stream.status == 200
            opened.set()
            while line := await stream.content.readline():
                lines.append(line.decode())

    task = asyncio.ensure_future(listen())
    try:
        async with asyncio.timeout(60):
            await opened.wait()
        yield lines
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def every(ids: dict[str, list[str]]) -> list[str]:
    """All ids in one list."""
    return [one for kind in ids.values() for one in kind]


def aimed(endpoint: Endpoint, chance: random.Random, mine: Any, theirs: Any) -> str:
    """A path with ids of both tenants."""
    path = endpoint.path
    for name in endpoint.path_names:
        pool = (theirs if chance.random() < 0.7 else mine).get(name) or every(theirs)
        path = path.replace("{" + name + "}", chance.choice(pool))
    return path


@pytest.fixture
async def telegram() -> AsyncIterator[SimulatedTelegram]:
    """A Telegram with both of them in it."""
    async with SimulatedTelegram().serve() as sim:
        await sim.add_user(41, "Ada")
        await sim.add_user(42, "Bob")
        await sim.add_bot(TOKEN, username="pilot_bot")
        yield sim


@pytest.fixture(params=["sqlite", "postgres"])
async def pilot(
    request: pytest.FixtureRequest, tmp_path: Path, telegram: SimulatedTelegram
) -> AsyncIterator[Installation]:
    """An installation that also carries out runs and talks to that Telegram."""
    url = await asyncio.to_thread(fresh_url, request.param, tmp_path)
    async for installation in open_installation(tmp_path, url, pilot_role="all", telegram_api_url=telegram.url):
        yield installation


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_byte_of_one_reaches_the_other(pilot: Installation, telegram: SimulatedTelegram, seed: int) -> None:
    chance = random.Random(seed)
    for person in (41, 42):
        await telegram.send_text(person, "/start")
        await telegram.message(person, "", seconds=30)
    ada, bob = await pilot.by_telegram(41, "Ada"), await pilot.by_telegram(42, "Bob")
    mine, theirs = await furnished(ada, "zqadaqz"), await furnished(bob, "zqbobqz")
    # Ada knows one id of each kind, which may come back to her; of the others, and of any content, not a byte
    known = {kind: ids[:1] for kind, ids in theirs.items()}
    private = {"zqbobqz", *every(theirs)} - set(every(known))
    assert len(private) > 10
    async with listening(pilot, ada) as heard:
        # something of her own to hear, whatever chance has her do; it may even end her session
        assert (await ada.send("POST", "/api/tasks", {"title": "zqadaqz heard"}))[0] == 201
        async with asyncio.timeout(60):
            while not any(line.startswith("data:") for line in heard):
                await asyncio.sleep(0.05)
        for n in range(CALLS):
            if n % 10 == 0:
                # the other tenant keeps working: events, cards and receipts arise while Ada looks around
                await bob.send("POST", "/api/tasks", {"title": f"zqbobqz {n}", "workspaceId": bob.workspace})
            if chance.random() < 0.25:
                part = chance.choice(sorted(FRAGMENTS))
                item = chance.choice(["", f"/{chance.choice(every(known))}"])
                method, path, body = "GET", f"/app/parts/{part}{item}", None
            else:
                endpoint = chance.choice(ENDPOINTS)
                if f"{endpoint.method} {endpoint.path}" in FATAL:
                    continue
                method = endpoint.method
                path = aimed(endpoint, chance, mine, known)
                given = {
                    "title": "x",
                    "status": "approved",
                    "operatorId": known["operator_id"][0],
                    "parentTaskId": known["task_id"][0],
                    "userId": known["user_id"][0],
                    "approvalIds": known["name"],
                }
                chosen = {k: v for k, v in given.items() if chance.random() < 0.5}
                body = chosen if endpoint.body is not None else None
                if chance.random() < 0.3:
                    path += f"?workspaceId={known['workspace_id'][0]}"
            status, answer = await ada.send(method, path, body)
            assert status < 500, (method, path, answer)
            text = answer.decode(errors="replace") if isinstance(answer, bytes) else json.dumps(answer)
            text += json.dumps(dict(ada.last.headers))
            leaked = {one for one in private if one in text}
            assert leaked == set(), (method, path, status)
    assert not any(m in line for line in heard for m in private)

    # each got the card of their own run, and nothing of the other's
    await telegram.message(41, "zqadaqz")
    await telegram.message(42, "zqbobqz")
    for person, foreign in ((41, "zqbobqz"), (42, "zqadaqz")):
        assert foreign not in json.dumps(await telegram.messages(person), default=str)
    # and what Ada did to Bob: nothing
    bobs = await bob.get("/api/tasks?limit=100")
    assert all("zqbobqz" in task["title"] for task in bobs)
