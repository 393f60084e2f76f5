"""The planner without a model."""

import json
from typing import Any

import pytest

from connectors.models.offline import OfflinePlanner, PlaybooksFirst
from domain.ports import PlanAnswer, PlanRequest, Usage
from tests.connectors.models.some_tools import TOOLS

STORY = """Before launch:
1. http.get url=https://example.com
2. note.create title="Status {{steps.1.status}}"
   on failure: continue
3. if steps.2.failed: finish summary="No note: {{steps.2.error}}"
4. http.post url=https://example.com/hook json={{steps.1.json}}
"""


def request(text: str, history: Any = None, *results: dict[str, Any]) -> PlanRequest:
    return PlanRequest(
        task_title="Launch", task_description=text, operator={}, tools=TOOLS, history=history, results=results
    )


def done(output: Any = None) -> dict[str, Any]:
    return {"ok": True, "state": "done", "output": output, "error": None}


def failed(error: str, state: str = "failed") -> dict[str, Any]:
    return {"ok": False, "state": state, "output": None, "error": error}


async def step(text: str, history: Any, *results: dict[str, Any]) -> PlanAnswer:
    """One answer of a planner made anew, with a history that went through JSON: as after a restart."""
    return await OfflinePlanner().next(request(text, json.loads(json.dumps(history)), *results))


async def test_a_playbook_runs_to_its_end() -> None:
    first = await step(STORY, None)
    assert first.call is not None
    assert (first.call.tool, first.call.args, first.call.call_id) == (
        "http.get",
        {"url": "https://example.com"},
        "step-1",
    )
    second = await step(STORY, first.history, done({"status": 200, "json": {"a": 1}}))
    assert second.call is not None
    assert second.call.args == {"title": "Status 200"}
    third = await step(STORY, second.history, done({"id": "n"}))
    assert third.call is not None
    assert third.call.args == {"url": "https://example.com/hook", "json": {"a": 1}}
    last = await step(STORY, third.history, done({"status": 201}))
    assert last.call is None
    assert last.finished == ("3/4 ✓\n1. http.get ✓\n2. note.create ✓\n3. finish –\n4. http.post ✓")


async def test_asked_again_it_answers_the_same() -> None:
    first = await step(STORY, None)
    again = await step(STORY, None)
    assert first == again
    second = await step(STORY, first.history, done({"status": 200}))
    assert second == await step(STORY, first.history, done({"status": 200}))
    assert (await step(STORY, second.history)).call == second.call


async def test_a_failure_that_may_happen() -> None:
    first = await step(STORY, None)
    second = await step(STORY, first.history, done({"status": 200, "json": {}}))
    third = await step(STORY, second.history, failed("no space"))
    assert third.call is not None
    assert (third.call.tool, third.call.args) == ("finish", {"summary": "No note: no space"})


@pytest.mark.parametrize("state", ["failed", "denied", "rejected", "changes_requested"])
async def test_a_failure_that_may_not(state: str) -> None:
    first = await step(STORY, None)
    stopped = await step(STORY, first.history, failed("not today", state))
    assert stopped.blocked == "Step 1 (http.get, line 2) did not succeed: not today"
    assert stopped.blocked_code == "playbook_stopped"
    assert stopped.finished is None


async def test_only_outputs_that_are_needed_are_kept() -> None:
    text = "1. http.get url=x\n2. http.get url=y\n3. note.create title={{steps.2.text}}"
    first = await step(text, None)
    second = await step(text, first.history, done({"text": "big" * 1000}))
    third = await step(text, second.history, done({"text": "kept"}))
    assert "big" not in json.dumps(third.history)
    assert third.call is not None
    assert third.call.args == {"title": "kept"}


async def test_a_free_task_is_blocked_and_not_done() -> None:
    answer = await step("Find me ten customers", None)
    assert (answer.blocked_code, answer.call, answer.finished) == ("no_model", None, None)
    assert "No AI model is set up" in str(answer.blocked)
    answer = await step("1. http.get https://example.com", None)
    assert "Line 1 names the tool http.get" in str(answer.blocked)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1. http.get url=x\n2. http.gte url=y", "line 2: there is no tool called http.gte"),
        ("params: who\n1. note.create title={{who}}", "the parameter who has no value"),
    ],
)
async def test_a_broken_playbook_is_blocked_with_its_line(text: str, reason: str) -> None:
    answer = await step(text, None)
    assert answer.blocked_code == "playbook_invalid"
    assert reason in str(answer.blocked)


async def test_a_missing_value_at_run_time() -> None:
    first = await step("1. http.get url=x\n2. note.create title={{steps.1.nope}}", None)
    answer = await step("1. http.get url=x\n2. note.create title={{steps.1.nope}}", first.history, done({}))
    assert answer.blocked == "The playbook cannot be run: line 2: steps.1.nope has no value"


async def test_a_run_of_a_model_cannot_go_on_without_one() -> None:
    assert (await step(STORY, {"kind": "model"})).blocked_code == "model_removed"


class Free:
    """Stands where a model stands: says that it was asked."""

    async def next(self, request: PlanRequest) -> PlanAnswer:
        return PlanAnswer(finished=f"model asked with {request.history}")

    def estimate(self, request: PlanRequest) -> Usage:
        return Usage(cost_micros=1)


async def test_playbooks_come_first_also_with_a_model() -> None:
    both = PlaybooksFirst(Free())
    first = await both.next(request(STORY))
    assert first.call is not None
    assert (await both.next(request(STORY, first.history, done({"status": 1})))).call is not None
    assert (await both.next(request("1. http.gte url=x"))).blocked_code == "playbook_invalid"
    assert (await both.next(request("Find customers"))).finished == "model asked with None"
    assert (await both.next(request(STORY, {"kind": "model"}))).finished == "model asked with {'kind': 'model'}"
