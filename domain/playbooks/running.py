"""Runs a playbook: what comes next after the results so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.playbooks.conditions import holds
from domain.playbooks.errors import PlaybookError
from domain.playbooks.model import META, Playbook, PlaybookStep
from domain.playbooks.values import Ref, fill


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What came of a step: as the planner hears it. `state` "skipped" is no failure."""

    ok: bool
    state: str = ""
    output: Any = None
    error: str = ""

    @property
    def failed(self) -> bool:
        return not self.ok and self.state != "skipped"


@dataclass(frozen=True, slots=True)
class Call:
    """Do this step next, with these arguments."""

    step: PlaybookStep
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """A step failed and nothing says to go on."""

    step: PlaybookStep
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """Every step is behind us. `skipped` are the labels whose conditions did not hold."""

    skipped: tuple[str, ...]


SKIPPED = StepResult(ok=False, state="skipped")


def next_step(
    playbook: Playbook, results: Mapping[str, StepResult], *, params: Mapping[str, Any] | None = None
) -> Call | Stop | End:
    """What comes after these results (by label): a pure function, so a resumed run goes on where it was.

    PlaybookError when a reference has no value or a condition compares what cannot be compared.
    """
    values = {**playbook.params, **(params or {})}
    for name in playbook.required:
        if name not in values:
            raise PlaybookError(f"the parameter {name} has no value", line=1)
    seen: dict[str, StepResult] = {}
    skipped: list[str] = []
    for step in playbook.steps:
        result = results.get(step.label)
        if result is None and not all(holds(g, lambda r: _looked_up(r, values, seen, need=False)) for g in step.guards):
            skipped.append(step.label)
            result = SKIPPED
        if result is None:
            return Call(step, fill(dict(step.args), lambda r: _looked_up(r, values, seen, need=True)))
        if result.failed and step.on_failure == "stop":
            return Stop(step, result.error or f"it was {result.state or 'not done'}")
        seen[step.label] = result
        if step.name:
            seen[step.name] = result
    return End(tuple(skipped))


def _looked_up(ref: Ref, values: Mapping[str, Any], seen: Mapping[str, StepResult], *, need: bool) -> Any:
    if ref.path[0] == "steps":
        result = seen[str(ref.path[1])]
        found, there = _of_result(result, ref.path[2:])
        why = " (the step was skipped)" if result.state == "skipped" else " (the step failed)" if result.failed else ""
    else:
        path = ref.path[1:] if ref.path[0] == "params" else ref.path
        found, there = _walk(values, path)
        why = ""
    if need and (not there or found is None):
        raise PlaybookError(f"{ref.text} has no value{why}", line=ref.line, column=ref.column)
    return found


def _of_result(result: StepResult, path: tuple[str | int, ...]) -> tuple[Any, bool]:
    if len(path) == 1 and path[0] in META:
        meta: dict[str | int, Any] = {
            "ok": result.ok,
            "failed": result.failed,
            "skipped": result.state == "skipped",
            "error": result.error,
            "state": result.state,
        }
        return meta[path[0]], True
    if path and path[0] == "output" and not (isinstance(result.output, dict) and "output" in result.output):
        path = path[1:]
    return _walk(result.output, path)


def _walk(value: Any, path: tuple[str | int, ...]) -> tuple[Any, bool]:
    for part in path:
        if isinstance(value, Mapping) and str(part) in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        else:
            return None, False
    return value, True
