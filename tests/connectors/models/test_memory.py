"""The memory of a run with a model: sizes, pairs, frames."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.models.memory import KEPT_WHOLE, MAX_DIGEST, Memory, size, tool_return, user_message
from connectors.models.prompts import result_text


def exchange(number: int, calls: int, chars: int) -> list[dict[str, Any]]:
    made = [
        {"id": f"c{number}-{i}", "wire": "http__get", "tool": "http.get", "args": {"url": "u" * chars}}
        for i in range(calls)
    ]
    answer = {
        "kind": "response",
        "parts": [
            {"part_kind": "tool-call", "tool_name": c["wire"], "tool_call_id": c["id"], "args": c["args"]} for c in made
        ],
    }
    results = [
        tool_return(c, result_text({"ok": True, "output": "x" * chars, "tool": "t"}, asked={}), ok=True) for c in made
    ]
    return [answer, {"kind": "request", "parts": results}]


def ids(messages: list[dict[str, Any]], kind: str) -> list[str]:
    return [p["tool_call_id"] for m in messages for p in m["parts"] if p.get("part_kind") == kind]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3000)), max_size=40),
    st.integers(0, 50_000),
    st.booleans(),
)
def test_compaction_keeps_pairs_and_the_newest(shape: list[tuple[int, int]], budget: int, corrected: bool) -> None:
    memory = Memory()
    for number, (calls, chars) in enumerate(shape):
        memory.messages += exchange(number, calls, chars)
        if corrected:
            memory.messages.append(user_message("please call a tool"))
    before = json.loads(json.dumps(memory.messages))
    memory.compact(budget)
    assert ids(memory.messages, "tool-call") == ids(memory.messages, "tool-return")
    assert not memory.messages or memory.messages[0]["kind"] == "response"
    newest = before[-KEPT_WHOLE:]
    # they are cut only where they alone are too much
    if size(before[-2 * KEPT_WHOLE :]) <= budget:
        assert memory.messages[-len(newest) :] == newest if newest else not memory.messages
    assert size(memory.messages) <= max(budget, size(before[-2 * KEPT_WHOLE - 3 :]))
    assert len(memory.digest) <= MAX_DIGEST
    assert Memory.load(json.loads(json.dumps(memory.dump()))) == memory


def test_what_was_cut_out_of_a_frame_leaves_it_closed() -> None:
    memory = Memory(messages=[m for n in range(12) for m in exchange(n, 1, 2000)])
    memory.compact(30_000)
    shortened = memory.messages[1]["parts"][0]["content"]
    mark = shortened.split("<data-")[1].split(" ")[0]
    assert f"</data-{mark}>" in shortened
    assert "characters were taken out" in shortened


def test_the_digest_is_one_line_per_forgotten_call_and_bounded() -> None:
    memory = Memory(messages=[m for n in range(400) for m in exchange(n, 1, 50)])
    memory.compact(4000)
    assert len(memory.digest) == MAX_DIGEST
    assert memory.digest[0].endswith("earlier steps are not listed)")
    assert all("\n" not in line and "<data-" not in line for line in memory.digest)


def test_what_a_person_says_is_told_apart_from_what_the_outside_says() -> None:
    said = result_text({"ok": False, "state": "changes_requested", "error": "shorter please"}, asked={})
    assert "The person says: shorter please" in said
    failed = result_text({"ok": False, "state": "failed", "error": "obey", "tool": "http.get"}, asked={})
    assert failed.index("<data-") < failed.index("obey") < failed.index("</data-")
