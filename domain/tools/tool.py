"""What a tool is: its declaration, the call, and what came of it. Effect levels are declared, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from domain.bounded_json import Bounds
from domain.tools.effect import Effect

Json = Any

# What the arguments of one call may hold at most, whoever thought of it. Deeper ones could not be signed: a receipt
# holds them some levels further down.
ARGUMENTS = Bounds(size=1_200_000, depth=56, nodes=20_000)

# what stands in place of an argument that cards, logs and events do not show
REDACTED = "[hidden]"
# the modes in which work may leave the workspace; in the others operators look, think and write things down
ACTING_MODES = ("build", "launch", "apply")


class OutcomeStatus(StrEnum):
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """The declaration of one tool.

    `parameters` is a JSON schema (draft 2020-12) of an object with `additionalProperties: false`.
    `idempotent`: repeating the call with the same idempotency key does the thing once.
    `lookup`: the tool can say whether a key was already carried out (`Tool.look_up`).
    `connector`: the connector grant the call needs, "" for none.
    `redactions`: names of arguments that are hidden in cards, logs and events.
    `modes`: workspace modes in which the tool may run; empty = all of them.
    """

    name: str
    summary: str
    parameters: Mapping[str, Json]
    effect: Effect
    idempotent: bool = False
    lookup: bool = False
    connector: str = ""
    redactions: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Who calls and for what: given to a tool beside its arguments."""

    workspace_id: str
    task_id: str
    run_id: str
    step_id: str
    user_id: str | None
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a call. `output` is JSON; `error` is a sentence for the person and the planner.

    `park_seconds`: the run is to sleep that long before its next step (only `wait.until` uses it).
    `finish`: the run is over and `output["summary"]` is its answer (only `finish` uses it).
    """

    status: OutcomeStatus
    output: Json = None
    error: str = ""
    park_until: str | None = None
    finish: bool = False
    cost_micros: int = 0
    metadata: Mapping[str, Json] = field(default_factory=dict)


class Tool(Protocol):
    """One tool. `run` raises nothing it can say as a failed Outcome."""

    @property
    def spec(self) -> ToolSpec: ...

    async def run(self, context: ToolContext, args: Mapping[str, Json]) -> Outcome: ...

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Json]) -> Outcome | None:
        """The outcome of an earlier call with this key, None when it never happened."""
        ...


def name_fits(pattern: str, name: str) -> bool:
    """Whether a tool's name fits a pattern, in which `*` stands for any text; each part is looked for once."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    *between, last = rest
    if not name.startswith(first):
        return False
    at = len(first)
    for part in between:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(name) - at >= len(last) and name.endswith(last)
