"""A long run's conversation: within its size, whole in its pairs, the task and the newest steps kept, on every wire."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.guard import Guard
from connectors.models.choice import ModelChoice
from connectors.models.clients import Clients
from connectors.models.memory import KEPT_WHOLE, SHORT, Memory, size
from connectors.models.provider import ModelOptions, ModelPlanner
from domain.ports import PlanRequest
from tests.connectors.models.some_tools import TOOLS

OPERATOR = {"name": "Ada", "role": "growth", "goal": "Find customers", "constraints": ["Never write in capitals"]}
STEPS = 200
MOST = 100_000
HISTORY = 12_000


def ids_of(message: dict[str, Any], kind: str) -> list[str]:
    return [part["tool_call_id"] for part in message["parts"] if part["part_kind"] == kind]


def paired(messages: list[dict[str, Any]]) -> bool:
    """Answers and results take turns, and each result belongs to a call of the answer before it."""
    if [m["kind"] for m in messages] != ["response", "request"] * (len(messages) // 2):
        return False
    pairs = zip(messages[::2], messages[1::2], strict=True)
    return all(ids_of(answer, "tool-call") == ids_of(given, "tool-return") for answer, given in pairs)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30_000), min_size=1, max_size=4), min_size=1, max_size=25),
    st.integers(20_000, 100_000),
)
def test_a_memory_of_any_steps_stays_within_its_size(exchanges: list[list[int]], budget: int) -> None:
    memory = Memory()
    for number, lengths in enumerate(exchanges):
        calls = [
            {"id": f"c{number}.{n}", "wire": "http__get", "tool": "http.get", "args": {}} for n in range(len(lengths))
        ]
        parts = [
            {"part_kind": "tool-call", "tool_name": "http__get", "args": {}, "tool_call_id": c["id"]} for c in calls
        ]
        memory.messages.append({"kind": "response", "parts": parts})
        memory.pending = list(calls)
        for length in lengths:
            memory.take_next()
            memory.give_back(f"<data-a7 source='x'>\n{'a' * length}\n</data-a7>", ok=True)
        memory.close_exchange()
        memory.compact(budget)
        assert paired(memory.messages)
        # a frame that was cut is closed; nothing but what is inside one came from outside
        for message in memory.messages[1::2]:
            assert all(part["content"].count("</data-a7>") == 1 for part in message["parts"])
    # what nothing can be taken from any more: the parts of the newest exchanges, each cut to its least
    least = sum(len(m["parts"]) for m in memory.messages) * (SHORT + 350)
    assert size(memory.messages) <= max(budget, least)
    assert ids_of(memory.messages[-2], "tool-call") == [f"c{len(exchanges) - 1}.{n}" for n in range(len(exchanges[-1]))]
    assert len(memory.messages) >= 2 * min(KEPT_WHOLE, len(exchanges))
    forgotten = sum(map(len, exchanges)) - sum(len(m["parts"]) for m in memory.messages[::2])
    assert len(memory.digest) == forgotten
    before = json.dumps(memory.dump())
    memory.compact(budget)
    assert json.dumps(memory.dump()) == before


def test_the_number_of_characters_taken_out_stays_true() -> None:
    memory = Memory()
    for number in range(12):
        call = {"id": f"c{number}", "wire": "http__get", "tool": "http.get", "args": {}}
        part = {"part_kind": "tool-call", "tool_name": "http__get", "args": {}, "tool_call_id": call["id"]}
        memory.messages.append({"kind": "response", "parts": [part]})
        memory.pending = [call]
        memory.take_next()
        memory.give_back("b" * 5_000, ok=True)
        memory.close_exchange()
        memory.compact(26_000)
    first = memory.messages[1]["parts"][0]["content"]
    assert first.endswith(f"[{5_000 - SHORT} characters were taken out]")


# --- over the wire ----------------------------------------------------------------------------------


def openai(body: dict[str, Any], number: int) -> dict[str, Any]:
    function = {"name": "http__get", "arguments": json.dumps({"url": f"https://example.com/{number}"})}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
    }
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
    }  # fmt: skip


def anthropic(body: dict[str, Any], number: int) -> dict[str, Any]:
    block = {
        "type": "tool_use",
        "id": f"c{number}",
        "name": "http__get",
        "input": {"url": f"https://example.com/{number}"},
    }
    return {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [block],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }  # fmt: skip


def openai_pairs(messages: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    asked = [call["id"] for m in messages for call in m.get("tool_calls", ())]
    return asked, [m["tool_call_id"] for m in messages if m["role"] == "tool"]


def anthropic_pairs(messages: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    blocks = [block for m in messages if isinstance(m["content"], list) for block in m["content"]]
    asked = [b["id"] for b in blocks if b["type"] == "tool_use"]
    return asked, [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]


@pytest.mark.parametrize(
    ("provider", "path", "answer", "pairs"),
    [
        ("openai", "/v1/chat/completions", openai, openai_pairs),
        ("anthropic", "/v1/messages", anthropic, anthropic_pairs),
    ],
)
async def test_two_hundred_steps_over_the_wire(
    provider: str,
    path: str,
    answer: Callable[[dict[str, Any], int], dict[str, Any]],
    pairs: Callable[[list[dict[str, Any]]], tuple[list[str], list[str]]],
) -> None:
    number = 0
    largest = 0
    last: dict[str, Any] = {}

    async def handle(incoming: web.Request) -> web.Response:
        nonlocal number, largest, last
        number += 1
        last = await incoming.json()
        largest = max(largest, len(json.dumps(last)))
        asked, answered = pairs(last["messages"])
        # each call has its result right behind it, and the newest steps are all there
        assert asked == answered
        newest = [f"c{n}" for n in range(1, number)][-KEPT_WHOLE:]
        assert asked[len(asked) - len(newest) :] == newest
        return web.json_response(answer(last, number))

    app = web.Application(client_max_size=10_000_000)
    app.router.add_post(path, handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}" + ("/v1" if provider == "openai" else "")
    clients = Clients(Guard())
    model = ModelChoice(provider=provider, model="m", base_url=base, api_key="k")
    planner = ModelPlanner([model], clients=clients, options=ModelOptions(history_chars=HISTORY))
    history: Any = None
    results: list[dict[str, Any]] = []
    try:
        for step in range(1, STEPS + 1):
            request = PlanRequest(
                task_title="Launch",
                task_description="Launch the site",
                operator=OPERATOR,
                tools=TOOLS,
                history=history,
                results=results,
            )
            planned = await planner.next(request)
            assert planned.call is not None
            history = planned.history
            output = {"text": f"result {step}: " + "long output " * 100}
            results = [{"ok": True, "state": "done", "output": output, "error": None, "tool": "http.get"}]
    finally:
        await clients.aclose()
        await runner.cleanup()
    # the conversation, what is left of forgotten steps, and the rest of the request; never what all steps gave
    assert largest < MOST < STEPS * 1_200 / 2
    said = json.dumps(last)
    for kept in ("Launch the site", "Find customers", "Never write in capitals", "Steps you took earlier"):
        assert kept in said
    assert f"result {STEPS - 1}: " in said
    assert "https://example.com/1'" in said
