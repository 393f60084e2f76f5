"""The client of tool servers against real ones: over HTTP on loopback, and over the pipes of a program."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.guard import Guard
from connectors.mcp import McpConnector, parse_programs
from domain.outside import ExternalError
from domain.ports import McpEndpoint
from domain.tools.mcp import MAX_TOOLS, offered
from tests.connectors.test_http import answer, serve
from tests.cost import HOLDS_NOBODY, cpu, loop_pauses
from tests.mcp_server import World, command, over_http, tool

HI = {"text": "hi"}


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def endpoint(world: World) -> AsyncIterator[McpEndpoint]:
    async with over_http(world) as url:
        yield McpEndpoint(url=url)


def client(**more: float) -> McpConnector:
    return McpConnector(Guard(["127.0.0.1"]), **more)  # type: ignore[arg-type]


async def failure(waiting: object) -> ExternalError:
    with pytest.raises(ExternalError) as caught:
        await waiting  # type: ignore[misc]
    return caught.value


async def test_tools_are_listed_and_called_once_with_their_key(world: World, endpoint: McpEndpoint) -> None:
    found = await client().tools(endpoint)
    assert [one["name"] for one in found] == [one.name for one in world.tools]
    assert found[0]["inputSchema"]["required"] == ["text"]
    said = await client().call(endpoint, "read", HI, key="k-1")
    assert (said.is_error, said.output) == (False, {"text": "read: hi", "truncated": False, "json": {"length": 8}})
    assert (world.calls, world.keys) == ([("read", HI)], ["k-1"])


async def test_a_server_with_handshake_and_session_is_spoken_to_in_its_way(world: World, endpoint: McpEndpoint) -> None:
    world.old = True
    assert len(await client().tools(endpoint)) == len(world.tools)
    said = await client().call(endpoint, "read", HI, key="k-1")
    assert (said.output["text"], world.keys) == ("read: hi", ["k-1"])
    assert any("mcp-session-id" in headers for headers in world.headers)
    error = await failure(client(call_seconds=6).call(endpoint, "slow", HI, key="k"))
    assert (error.code, error.sent) == ("timeout", True)


async def test_what_a_tool_calls_an_error_is_one_and_is_cleaned(endpoint: McpEndpoint) -> None:
    said = await client().call(endpoint, "fails", HI, key="k")
    assert (said.is_error, said.output["text"]) == (True, "it did not work")


async def test_a_slow_tool_is_given_up_as_perhaps_done(world: World, endpoint: McpEndpoint) -> None:
    error = await failure(client(call_seconds=6).call(endpoint, "slow", HI, key="k"))
    assert (error.code, error.sent) == ("timeout", True)
    assert world.calls == [("slow", HI)]


async def test_an_answer_that_goes_on_is_broken_off(endpoint: McpEndpoint) -> None:
    error = await failure(client().call(endpoint, "large", HI, key="k"))
    assert error.sent is True


def result(**given: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": given}).encode()


@pytest.mark.parametrize(
    "said",
    [
        result(content=[{"type": "text", "text": "a"}] * 20_000),
        result(content=[{"type": "no such"}] * 9000),
        result(content=[], structuredContent={"a": [[]] * 300_000}),
        result(content=[], structuredContent={str(n): n for n in range(60_000)}),
        b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 9000 + b"]" * 9000 + b"}",
        b"[" * 1_500_000,
    ],
    ids=["parts", "parts that are none", "lists", "names", "deep", "brackets"],
)
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_what_a_server_says_holds_nobody_up(said: bytes, kind: str) -> None:
    body = said if kind == "application/json" else b"event: message\ndata: " + said + b"\n\n"
    async with serve(answer(body=body, content_type=kind)) as (port, _):
        at = McpEndpoint(url=f"http://127.0.0.1:{port}/")
        with loop_pauses() as pauses:
            assert (await failure(client(list_seconds=6).tools(at))).code
            assert (await failure(client(call_seconds=6).call(at, "read", HI, key="k"))).code
    assert pauses.longest < HOLDS_NOBODY, pauses.where


async def test_a_hundred_large_tools_are_looked_at_without_holding_anybody(world: World, endpoint: McpEndpoint) -> None:
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string", "minLength": 1} for n in range(60)}}
    world.tools = [tool(f"t{n}", schema=schema) for n in range(120)]
    connector = client()
    await connector.tools(endpoint)
    with loop_pauses() as pauses:
        found = await connector.tools(endpoint)
    assert len(found) == MAX_TOOLS + 1
    assert pauses.longest < HOLDS_NOBODY, pauses.where
    assert cpu(lambda: [offered(one) for one in found[:20]]) < HOLDS_NOBODY


async def test_inner_addresses_are_refused_before_anything_is_sent() -> None:
    for url in ("http://127.0.0.1:9/mcp", "http://169.254.169.254/mcp", "http://[::1]/", "ftp://a.example/"):
        error = await failure(McpConnector(Guard()).call(McpEndpoint(url=url), "read", HI, key="k"))
        assert (error.code in ("blocked_address", "bad_url"), error.sent) == (True, False)


async def test_a_redirect_to_another_origin_is_not_followed(world: World, endpoint: McpEndpoint) -> None:
    async with serve(answer("307 Temporary Redirect", Location=endpoint.url)) as (port, seen):
        error = await failure(client().tools(McpEndpoint(url=f"http://127.0.0.1:{port}/", headers={"x-key": "s3"})))
    assert seen
    assert world.headers == []
    assert "s3" not in str(error)


async def test_nobody_there_is_certain_and_a_cut_line_is_not(world: World, endpoint: McpEndpoint) -> None:
    async with serve(answer()) as (port, _):
        pass
    error = await failure(client().call(McpEndpoint(url=f"http://127.0.0.1:{port}/"), "read", HI, key="k"))
    assert (error.code, error.sent, error.retryable) == ("connect_failed", False, True)
    world.cut = True
    error = await failure(client().call(endpoint, "read", HI, key="k"))
    assert (error.sent, len(world.calls)) == (True, 1)


async def test_a_refusal_is_certain_and_a_gateways_trouble_is_not(world: World, endpoint: McpEndpoint) -> None:
    world.answers = 403
    said = await client().call(endpoint, "read", HI, key="k")
    assert (said.is_error, said.output) == (True, {"error": "it answered 403"})
    world.answers = 502
    error = await failure(client().call(endpoint, "read", HI, key="k"))
    assert (error.code, error.sent) == ("protocol_error", True)


async def test_the_secret_is_sent_and_told_nowhere(
    world: World, endpoint: McpEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.secret = "open-sesame"
    headers = {"authorization": "Bearer wrong-word"}
    error = await failure(client().tools(McpEndpoint(url=endpoint.url, headers=headers)))
    assert "401" in str(error)
    right = McpEndpoint(url=endpoint.url, headers={"authorization": "Bearer open-sesame"})
    said = await client().call(right, "read", {"text": "private"}, key="k")
    assert not said.is_error
    told = caplog.text + str(error) + repr(right)
    assert not any(word in told for word in ("wrong-word", "open-sesame", "private"))


async def test_a_program_is_asked_over_its_pipes_with_a_bare_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY", "never to be seen")
    programs = McpConnector(Guard(), programs=parse_programs([f"world={command(tmp_path)}"]))
    assert programs.programs == ["world"]
    at = McpEndpoint(program="world", variables={"WORLD_TOKEN": "t"})
    assert "read" in [one["name"] for one in await programs.tools(at)]
    said = await programs.call(at, "variables", HI, key="k")
    assert set(said.output["text"].split(",")) - {"LC_CTYPE"} == {"HOME", "LANG", "PATH", "WORLD_TOKEN"}
    await _gone(tmp_path)
    error = await failure(programs.call(at, "dies", HI, key="k"))
    assert error.sent is True


async def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    programs = McpConnector(Guard(), programs=parse_programs([f"world={command(tmp_path)}"]))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(programs.call(McpEndpoint(program="world"), "slow", HI, key="k"))
        async with asyncio.timeout(60):
            while not (tmp_path / "called").exists():
                await asyncio.sleep(0.02)
        # as when the process is told to stop while a call is under way
        waiting.cancel()
    await _gone(tmp_path)


async def test_a_program_nobody_allowed_is_not_started() -> None:
    error = await failure(client().tools(McpEndpoint(program="world")))
    assert (error.code, error.sent) == ("no_program", False)
    for entry in ("world", "world=python x", "World=/bin/true", "=/bin/true", "world="):
        with pytest.raises(ValueError, match="absolute"):
            parse_programs([entry])


async def _gone(folder: Path) -> None:
    pid = int((folder / "pid").read_text())
    async with asyncio.timeout(60):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.02)
