"""Evaluations of work that others do: operators that hand it on, and tool servers of somebody else."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.evals.checks import Checks
from app.evals.place import Ground, Outside, Person, open_place

WORD = "evaluation-word"


# --- delegation -----------------------------------------------------------------------------------


async def delegation(checks: Checks, ground: Ground) -> None:
    """Work handed on keeps within its parent's tools and money, waits for people, and comes back with its result."""
    outside = Outside()
    async with outside.open(), open_place(ground, pilot_http_allow=outside.allowed) as place:
        owner = await place.person("owner")
        for name, tools in (("Grace", ["note.create", "http.post"]), ("Ada", ["note.create", "operator.delegate"])):
            await owner.need("POST", "/api/operators", {"name": name, "role": "ops", "goal": "g", "tools": tools})
        await _comes_back(checks, owner, outside)
        await _stays_within(checks, owner)
        replayed = await owner.need("GET", "/api/governance/replay")
        checks.same("decisions that replay otherwise", replayed["different"], [])


async def _comes_back(checks: Checks, owner: Person, outside: Outside) -> None:
    task = await owner.run(
        "1. operator.delegate operator=Grace as part\n"
        "   goal: |\n"
        f'     http.post url={outside.url} json={{"n": "handed on"}}\n'
        '     finish summary="posted"\n'
        'finish summary="part: {{steps.part.summary}}"'
    )
    [run] = await owner.need("GET", f"/api/tasks/{task}/runs")
    child = await _child(owner, run["id"])
    approval = await owner.pending(child["taskId"])
    waiting = await owner.need("GET", f"/api/runs/{run['id']}")
    checks.same("the parent while its part waits for a person", waiting["status"], "waiting")
    checks.same("posts before a person said yes", outside.arrived["handed on"], 0)
    await owner.decide(approval)
    ended, _ = await owner.ended(task)
    checks.same("the parent", (ended["status"], ended["summary"]), ("completed", "part: posted"))
    checks.same("posts that arrived", outside.arrived["handed on"], 1)
    part = await owner.need("GET", f"/api/runs/{child['id']}")
    checks.same("its lineage", (part["parentRunId"], part["rootRunId"]), (run["id"], run["id"]))


async def _child(owner: Person, run_id: str) -> dict[str, Any]:
    for _ in range(200):
        children = (await owner.need("GET", f"/api/runs/{run_id}"))["children"]
        if children:
            return dict(children[0])
        await asyncio.sleep(0.05)
    raise TimeoutError("waited in vain for a sub-run")


async def _stays_within(checks: Checks, owner: Person) -> None:
    ada = next(o for o in await owner.need("GET", "/api/operators") if o["name"] == "Ada")
    # Ada may not post, so whom she asks may not either
    task = await owner.run(
        "1. operator.delegate operator=Grace\n   goal: |\n     http.post url=http://127.0.0.1:1/ json={}\n",
        operatorId=ada["id"],
    )
    ended, steps = await owner.ended(task)
    checks.that("a part does not do what its parent may not", ended["status"] != "completed", ended["status"])
    children = (await owner.need("GET", f"/api/runs/{ended['id']}"))["children"]
    made = await owner.need("GET", f"/api/runs/{children[0]['id']}")
    checks.that(
        "nothing of it was done", all(s["status"] in ("denied", "failed") for s in made["steps"]), made["steps"]
    )
    checks.that("and it says why", "http.post" in str(made["error"]), made["error"])
    checks.same("the step that waited for it", [s["status"] for s in steps], ["failed"])


# --- tool servers ---------------------------------------------------------------------------------


async def tool_servers(checks: Checks, ground: Ground) -> None:
    """A tool server's tools run under the policy of the one workspace that added it; a changed one is off."""
    server = _Server()
    async with server.open() as url, open_place(ground, pilot_http_allow=("127.0.0.1",)) as place:
        owner, other = await place.person("owner"), await place.person("other")
        added = await owner.need("POST", "/api/mcp-servers", {"name": "outside", "url": url, "secret": WORD})
        checks.same("its tools", [tool["name"] for tool in added["tools"]], ["post"])
        checks.same("the level of a tool nobody looked at", added["tools"][0]["effectLevel"], "E3")
        text = "1. mcp.outside.post text=hello\n"
        task = await owner.run(text)
        approval = await owner.pending(task)
        checks.same("calls before a person said yes", server.calls["hello"], 0)
        await owner.decide(approval)
        ended, _ = await owner.ended(task)
        checks.same("the run", ended["status"], "completed")
        checks.same("calls that arrived", server.calls["hello"], 1)
        status, said = await other.ask("POST", "/api/tasks", {"title": "Other", "description": text})
        checks.that("another workspace has no such tool", status == 400 and "mcp.outside.post" in str(said), said)
        word = {"effectLevel": "E3", "digest": added["tools"][0]["digest"]}
        await owner.need("PUT", f"/api/mcp-servers/{added['id']}/tools/post", word)
        server.description = "Posts a text somewhere else."
        await owner.need("POST", f"/api/mcp-servers/{added['id']}/refresh")
        status, said = await owner.ask("POST", "/api/tasks", {"title": "Changed", "description": text})
        off = status == 400 and "mcp.outside.post" in str(said)
        checks.that("a tool that changed is off until somebody looks", off, said)
        shown = str(await owner.need("GET", "/api/mcp-servers")) + str(await owner.need("GET", "/api/audit"))
        checks.that("the secret is nowhere to be read", WORD not in shown)
        checks.that("the secret reached the server", server.words == {f"Bearer {WORD}"}, server.words)


class _Server:
    """A real tool server with one tool, on loopback; it counts calls by their text."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.words: set[str] = set()
        self.description = "Posts a text."

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Its address, until the block ends. The protocol library is imported here: it is heavy."""
        import mcp_types as types
        import uvicorn
        from mcp.server.lowlevel import Server

        async def listed(_ctx: Any, _params: Any) -> types.ListToolsResult:
            schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
            return types.ListToolsResult(
                tools=[types.Tool(name="post", description=self.description, input_schema=schema)]
            )

        async def called(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
            self.calls[str((params.arguments or {}).get("text"))] += 1
            return types.CallToolResult(content=[types.TextContent(type="text", text="posted")])

        inner = Server("outside", on_list_tools=listed, on_call_tool=called).streamable_http_app(host="127.0.0.1")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.words |= {value.decode() for name, value in scope["headers"] if name == b"authorization"}
            await inner(scope, receive, send)

        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            running = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
            async with asyncio.TaskGroup() as group:
                group.create_task(running.serve(sockets=[listener]))
                try:
                    while not running.started:  # noqa: ASYNC110 - a state of the server
                        await asyncio.sleep(0.01)
                    yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
                finally:
                    running.should_exit = running.force_exit = True
