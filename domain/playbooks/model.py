"""A playbook once it is read: its steps, its parameters, and what later steps look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from domain.playbooks.conditions import Condition
from domain.playbooks.values import Ref, Value, references

OnFailure = Literal["stop", "continue"]
META = frozenset({"ok", "failed", "skipped", "error", "state"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookStep:
    """One step. `label` is its number as text; `guards` must all hold, or it is skipped."""

    label: str
    name: str
    tool: str
    args: Mapping[str, Value]
    line: int
    guards: tuple[Condition, ...] = ()
    on_failure: OnFailure = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """The steps in order, the parameters with their defaults, and the parameters that need a value."""

    steps: tuple[PlaybookStep, ...]
    params: Mapping[str, Any]
    required: tuple[str, ...] = ()

    def needed_later(self, label: str) -> bool:
        """Whether any step looks at the output of the step `label`."""
        return any(
            ref.path[0] == "steps" and self._label_of(ref) == label and not (len(ref.path) == 3 and ref.path[2] in META)
            for step in self.steps
            for ref in references((step.args, step.guards))
        )

    def _label_of(self, ref: Ref) -> str:
        wanted = str(ref.path[1]) if len(ref.path) > 1 else ""
        return next((step.label for step in self.steps if wanted in (step.label, step.name)), "")
