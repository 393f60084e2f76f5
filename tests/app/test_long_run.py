"""Two hundred steps with a model over real HTTP: three approvals, one kill -9 and one deploy on the way."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors.models.prices import price
from tests.app.test_story_http import Person, approve, pending, serve
from tests.connectors.openai_server import ScriptedModel, Turn, scripted_model
from tests.databases import fresh_url
from tests.processes import ready, until

pytestmark = pytest.mark.timeout(1200)
STEPS = 200
POSTS = (50, 100, 150)
KILLED_AT = 100
DEPLOYED_AFTER = 125
MODEL = "gpt-4o-mini"
PAGE = "what the page says, at some length. " * 60


class World:
    """The model and the rest of the outside, on a loop in a thread of its own, so that it outlives every process."""

    def __init__(self) -> None:
        self.arrived: Counter[int] = Counter()
        self.answered: list[tuple[int, tuple[int, int]]] = []
        self.held = threading.Event()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        up = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(up),), daemon=True)
        self._thread.start()
        assert up.wait(20)

    async def _run(self, up: threading.Event) -> None:
        app = web.Application()
        app.router.add_get("/page/{n}", self._page)
        app.router.add_post("/hook", self._hook)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        async with scripted_model(self._next) as self.model:
            up.set()
            await self._over.wait()
        await runner.cleanup()

    model: ScriptedModel

    async def _page(self, request: web.Request) -> web.Response:
        number = int(request.match_info["n"])
        self.arrived[number] += 1
        return web.Response(text=f"Page {number}. {PAGE}")

    async def _hook(self, request: web.Request) -> web.Response:
        number = (await request.json())["n"]
        self.arrived[number] += 1
        if number == KILLED_AT:
            # whoever called is killed while it waits
            self.held.set()
            await self._over.wait()
        return web.json_response({"posted": number})

    def _next(self, body: dict[str, Any]) -> Turn:
        """The call after the last one of the conversation; its number is in its arguments."""
        calls = [call for message in body["messages"] for call in message.get("tool_calls", ())]
        number = 1 + (_number(calls[-1]["function"]["arguments"]) if calls else 0)
        usage = (900 + number, 20 + number % 5)
        self.answered.append((number, usage))
        base = f"http://127.0.0.1:{self.port}"
        if number == STEPS:
            return Turn(calls=[("finish", {"summary": "read it all"})], usage=usage)
        if number in POSTS:
            return Turn(calls=[("http__post", {"url": f"{base}/hook", "json": {"n": number}})], usage=usage)
        return Turn(calls=[("http__get", {"url": f"{base}/page/{number}"})], usage=usage)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()


def _number(arguments: str) -> int:
    args = json.loads(arguments)
    found = args["json"]["n"] if "json" in args else args["url"].rpartition("/")[2]
    return int(found)


@pytest.fixture
def world() -> Iterator[World]:
    outside = World()
    yield outside
    outside.close()


def with_a_model(person: Person, world: World) -> None:
    """The workspace brings a model of its own, at its own address and with its own key; long runs are allowed."""
    config = {"provider": "openai", "model": MODEL, "temperature": 0.3, "baseUrl": world.model.base_url}
    wish = {"modelConfig": config, "policyConfig": {"maxIterationBudget": STEPS}}
    assert person.send("PUT", f"/api/workspace/{person.workspace}/settings", wish)[0] == 201
    assert person.send("PUT", "/api/workspace/secrets/openai", {"value": "key-of-ada"})[0] == 200


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_hundred_steps_three_approvals_a_crash_and_a_deploy(tmp_path: Path, world: World, kind: str) -> None:
    program, base = serve(tmp_path, fresh_url(kind, tmp_path, migrated=False), allow="127.0.0.1", executor="long-1")
    approved: set[str] = set()
    try:
        person = Person(base, "ada@example.com")
        with_a_model(person, world)
        wish = {"title": "Read", "description": "Read every page.", "iterationBudget": STEPS, "autoRun": True}
        status, task = person.send("POST", "/api/tasks", wish)
        assert status == 201, task

        def run() -> dict[str, Any]:
            """The run as it is, after whatever waits for a person was approved."""
            for approval in pending(person):
                if approval["id"] not in approved and approve(person, approval)[0] == 200:
                    approved.add(approval["id"])
            [found] = person.get(f"/api/tasks/{task['id']}/runs")
            return dict(found)

        until(lambda: run() and world.held.is_set(), seconds=300, what="the call in which it is killed")
        program.kill()
        program.start()
        ready(base)
        uncertain = until(lambda: found if (found := run())["status"] == "uncertain" else None, what="the question")
        [step] = [s for s in person.get(f"/api/runs/{uncertain['id']}")["steps"] if s["status"] == "uncertain"]
        settled = person.send("POST", f"/api/runs/{uncertain['id']}/steps/{step['id']}/settle", {"choice": "mark_done"})
        assert settled[0] == 200

        until(lambda: world.answered[-1][0] > DEPLOYED_AFTER, seconds=300, what="the moment of the deploy")
        assert program.stop() == 0
        assert len(approved) == 2
        program.start()
        ready(base)
        ended = until(lambda: found if (found := run())["completedAt"] else None, seconds=300, what="the end")

        assert (ended["status"], ended["summary"]) == ("completed", "read it all")
        steps = person.get(f"/api/runs/{ended['id']}")["steps"]
        assert [s["seq"] for s in steps] == list(range(1, STEPS + 1))
        assert {s["status"] for s in steps} == {"done"}
        assert len(approved) == len(POSTS)
        # every outside call once, and the model was asked once for each step
        assert world.arrived == dict.fromkeys(range(1, STEPS), 1)
        assert [number for number, _ in world.answered] == list(range(1, STEPS + 1))
        check_costs(person, world, task["id"], ended, steps)
        check_conversation(world.model)
        assert person.get("/api/governance/replay")["different"] == []
        assert program.stop() == 0
    finally:
        program.kill()


def check_costs(person: Person, world: World, task_id: str, ended: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    """What the model said it used, at the price of the list, is what every book says."""
    used = [usage for _, usage in world.answered]
    micros = [price("openai", MODEL, tokens_in=one, tokens_out=other).micros for one, other in used]
    tokens_in, tokens_out = sum(one for one, _ in used), sum(other for _, other in used)
    assert sum(micros) > 0
    assert (ended["tokensIn"], ended["tokensOut"], ended["costUsd"]) == (
        tokens_in,
        tokens_out,
        f"{sum(micros) / 1e6:.6f}",
    )
    for group in ("day", "model", "operator", "task"):
        total = person.get(f"/api/usage?groupBy={group}")["total"]
        assert (total["tokensIn"], total["tokensOut"], total["calls"]) == (tokens_in, tokens_out, STEPS)
        assert (total["costMicros"], total["guessedUsd"]) == (sum(micros), "0.000000")
    assert person.get(f"/api/usage?taskId={task_id}")["total"]["costMicros"] == sum(micros)
    assert [s["costUsd"] for s in steps] == [f"{cost / 1e6:.6f}" for cost in micros]


def check_conversation(model: ScriptedModel) -> None:
    """It stayed within its size, kept its task and its newest results, and used the workspace's key and settings."""
    assert {h["authorization"] for h in model.headers} == {"Bearer key-of-ada"}
    assert {(r["model"], r["temperature"]) for r in model.requests} == {(MODEL, 0.3)}
    sizes = [len(json.dumps(r["messages"])) for r in model.requests]
    assert STEPS * len(PAGE) > 2 * max(sizes)
    last = model.requests[-1]["messages"]
    assert "Read every page." in last[1]["content"]
    assert f"Page {STEPS - 1}. {PAGE}" in last[-1]["content"]
    for request in model.requests:
        asked = [call["id"] for m in request["messages"] for call in m.get("tool_calls", ())]
        assert asked == [m["tool_call_id"] for m in request["messages"] if m["role"] == "tool"]
