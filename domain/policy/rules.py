"""What the policy needs of an engine for custom rules."""

from collections.abc import Mapping
from typing import Any, Protocol


class RuleError(Exception):
    """A rule cannot be compiled or evaluated. `line` and `column` count from 1, 0 when unknown."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class RuleEngine(Protocol):
    """Evaluates boolean expressions over `input`. Anything that is not plainly true or false is a RuleError."""

    def check(self, expression: str) -> None:
        """RuleError when the expression does not compile to a boolean."""
        ...

    def evaluate(self, expression: str, given: Mapping[str, Any]) -> bool:
        """The value of the expression over `given` (bound to `input`)."""
        ...
