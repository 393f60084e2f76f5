"""Playbooks that were written for the first version in use come to what they came to then, for ever.

`tests/vectors/playbooks_991c235.jsonl` was made by the code of that commit: texts, and what each came to.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.playbooks.errors import PlaybookError
from domain.playbooks.parsing import parse
from domain.playbooks.running import Call, StepResult, Stop, next_step
from tests.domain.test_playbooks import TOOLS

KEPT = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "vectors" / "playbooks_991c235.jsonl").read_text().splitlines()
]
OUTPUT = {
    "status": 200,
    "text": "up and running",
    "list": [1, 2],
    "one": [1],
    "json": {"items": [1, {"a b": {"c": "deep"}}], "n": None, "tags": ["a"], "token": "t"},
    "id": "n1",
}
# what became of every step, on three ways through
RESULTS = {
    "done": StepResult(ok=True, state="done", output=OUTPUT),
    "failed": StepResult(ok=False, state="failed", error="no answer"),
    "skipped": StepResult(ok=False, state="skipped"),
}


def came_to(text: str) -> Any:
    """What becomes of a text: "prose", why it is wrong, or each call on each of the ways, and how that way ended."""
    try:
        found = parse(text, TOOLS)
    except PlaybookError as error:
        return _error(error)
    if found is None:
        return "prose"
    ways: dict[str, Any] = {}
    for name, result in RESULTS.items():
        results: dict[str, StepResult] = {}
        way = ways[name] = []
        try:
            while isinstance(step := next_step(found, results, params={"name": "Ada"}), Call):
                way.append([step.step.label, step.step.line, step.step.tool, step.args])
                results[step.step.label] = result
        except PlaybookError as error:
            way.append(_error(error))
        else:
            way.append({"stopped": step.step.label} if isinstance(step, Stop) else {"skipped": list(step.skipped)})
    return ways


def _error(error: PlaybookError) -> dict[str, Any]:
    return {"line": error.line, "column": error.column, "reason": error.reason}


@pytest.mark.parametrize("kept", KEPT, ids=[f"{number}" for number in range(1, len(KEPT) + 1)])
def test_a_kept_playbook_comes_to_what_it_came_to(kept: dict[str, Any]) -> None:
    # as JSON: 1 is not 1.0 there, and true is not 1
    assert json.dumps(came_to(kept["text"])) == json.dumps(kept["came_to"])


def test_most_of_what_can_be_said_is_among_the_kept() -> None:
    reasons = {kept["came_to"]["reason"] for kept in KEPT if "reason" in kept["came_to"]}
    runs = [kept for kept in KEPT if "done" in kept["came_to"]]
    assert len(reasons) > 60
    assert len(runs) > 150
