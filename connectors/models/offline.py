"""The planner without a model: runs playbooks, and says plainly when a task is none."""

import asyncio
from collections.abc import Mapping
from typing import Any

from domain.playbooks.errors import PlaybookError
from domain.playbooks.lines import hint
from domain.playbooks.model import Playbook
from domain.playbooks.parsing import parse
from domain.playbooks.running import Call, End, StepResult, next_step
from domain.ports import PlanAnswer, Planner, PlanRequest, ToolCall, Usage

KIND = "playbook"
NO_MODEL = (
    "No AI model is set up, and the task is not a playbook, so it cannot be planned. Set up a model in the settings, "
    "or write the task as steps, for example: 1. http.get url=https://example.com"
)
STARTED_WITH_MODEL = "This run was started with an AI model, and none is set up now."


class OfflinePlanner:
    """Executes the steps of a playbook one by one. It never guesses: what is not a step is not done."""

    async def next(self, request: PlanRequest) -> PlanAnswer:
        """The next step, the end, or why there is none.

        Codes: `no_model` (a line after the first is a hint about the text), `model_removed`, `playbook_invalid`,
        `playbook_stopped`.
        """
        memory = request.history if isinstance(request.history, Mapping) else {}
        if memory and memory.get("kind") != KIND:
            return _blocked(STARTED_WITH_MODEL, "model_removed", request.history)
        try:
            # its values are checked against schemas of tools that strangers wrote
            found = await asyncio.to_thread(parse, request.task_description, request.tools)
            if found is None:
                advice = hint(request.task_description, request.tools)
                return _blocked("\n".join(filter(None, (NO_MODEL, advice))), "no_model", request.history)
            return self._next(found, request, memory)
        except PlaybookError as error:
            return _blocked(f"The playbook cannot be run: {error}", "playbook_invalid", request.history)

    def estimate(self, request: PlanRequest) -> Usage:
        """A playbook costs no tokens."""
        del request
        return Usage()

    def _next(self, found: Playbook, request: PlanRequest, memory: Mapping[str, Any]) -> PlanAnswer:
        kept: dict[str, Any] = dict(memory.get("results", {}))
        asked = memory.get("asked")
        if asked is not None and request.results:
            kept[asked] = _kept(found, asked, request.results[-1])
        results = {label: StepResult(**result) for label, result in kept.items()}
        step = next_step(found, results)
        if isinstance(step, Call):
            # The id makes a step of the playbook recognisable in the journal.
            call = ToolCall(tool=step.step.tool, args=step.args, call_id=f"step-{step.step.label}")
            return PlanAnswer(call=call, history={"kind": KIND, "asked": step.step.label, "results": kept})
        history = {"kind": KIND, "asked": None, "results": kept}
        if isinstance(step, End):
            return PlanAnswer(finished=_summary(found, results, step), history=history)
        reason = f"Step {step.step.label} ({step.step.tool}, line {step.step.line}) did not succeed: {step.reason}"
        return _blocked(reason, "playbook_stopped", history)


class PlaybooksFirst:
    """A playbook is run as it is written, also where there is a model; everything else goes to the model."""

    def __init__(self, model: Planner) -> None:
        self._offline = OfflinePlanner()
        self._model = model

    async def next(self, request: PlanRequest) -> PlanAnswer:
        """The answer of whichever planner this run belongs to."""
        planner = await asyncio.to_thread(self._planner_of, request)
        return await planner.next(request)

    def estimate(self, request: PlanRequest) -> Usage:
        """What the next answer may cost at most."""
        return self._planner_of(request).estimate(request)

    def _planner_of(self, request: PlanRequest) -> Planner:
        if isinstance(request.history, Mapping):
            return self._offline if request.history.get("kind") == KIND else self._model
        try:
            found = parse(request.task_description, request.tools)
        except PlaybookError:
            return self._offline
        return self._model if found is None else self._offline


def _blocked(reason: str, code: str, history: Any) -> PlanAnswer:
    return PlanAnswer(blocked=reason, blocked_code=code, history=history)


def _kept(found: Playbook, label: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """What the memory keeps of a result: the output only if a later step looks at it."""
    return {
        "ok": bool(result.get("ok")),
        "state": str(result.get("state") or ""),
        "output": result.get("output") if found.needed_later(label) else None,
        "error": str(result.get("error") or "")[:2000],
    }


def _summary(found: Playbook, results: Mapping[str, StepResult], end: End) -> str:
    """What became of each step, in signs: people read it in any language. – = not needed, ↷ = skipped."""
    lines = []
    for step in found.steps:
        result = results.get(step.label)
        if step.label in end.skipped or result is None:
            said = "–"
        elif result.ok:
            said = "✓"
        elif result.state == "skipped":
            said = "↷"
        else:
            said = f"✗ {result.error[:200]}".rstrip()
        lines.append(f"{step.label}. {step.tool} {said}")
    went_well = sum(result.ok for result in results.values())
    return "\n".join([f"{went_well}/{len(found.steps)} ✓", *lines])
