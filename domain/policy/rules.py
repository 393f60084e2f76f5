"""Custom rules: what one is, what it may look at, and what the policy needs of an engine that evaluates them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

# Everything a rule may look at, as `input.<name>`, with its CEL type. An engine checks rules against this at save,
# so that a misspelt name is an error with a position and not a rule that denies everything at run time.
RULE_INPUT: Mapping[str, str] = MappingProxyType(
    {
        "tool": "string",
        "effect": "int",
        "args": "map",
        "mode": "string",
        "connector": "string",
        "operator": "string",
        "operator_role": "string",
        "task": "string",
        "task_spent": "int",
        "operator_spent": "int",
        "day_spent": "int",
        "month_spent": "int",
        "estimate": "int",
        "iteration": "int",
        "at": "timestamp",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRule:
    """A CEL rule: when `when` is true over `input`, the verdict is at least `verdict`.

    `tools` narrows it to tools whose names match one of these patterns; empty = all of them.
    """

    id: str
    when: str
    verdict: str
    reason: str
    tools: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As a snapshot keeps it; `tools` only where there are any."""
        plain: dict[str, Any] = {"id": self.id, "when": self.when, "verdict": self.verdict, "reason": self.reason}
        return plain | {"tools": list(self.tools)} if self.tools else plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CustomRule":
        """The reverse of `as_json`."""
        return cls(**{**data, "tools": tuple(data.get("tools", ()))})


class RuleError(Exception):
    """A rule cannot be compiled or evaluated. `line` and `column` count from 1, 0 when unknown."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class RuleEngine(Protocol):
    """Evaluates boolean expressions over `input`."""

    def check(self, expression: str) -> None:
        """RuleError, with line and column, when the expression does not compile to a boolean over RULE_INPUT."""
        ...

    def evaluate(self, expressions: Sequence[str], given: Mapping[str, Any]) -> Sequence[bool | RuleError]:
        """One answer an expression, in their order, over `given` (bound to `input`).

        What is not plainly true or false is a RuleError in its place: errors are answers here,
        because one broken rule must not hide what the others say.
        """
        ...
