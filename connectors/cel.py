"""Custom rules in CEL, by Google's own engine. It returns errors as values, so every result's type is looked at."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from domain.policy.rules import RuleError

_POSITION = re.compile(r"<input>:(\d+):(\d+): ?(.*)")


class CelRules:
    """A RuleEngine. Compiled expressions are kept; they are immutable and safe to share between threads."""

    def __init__(self) -> None:
        self._compile = lru_cache(maxsize=2048)(self._compile_once)
        self._environment: Any = None

    def check(self, expression: str) -> None:
        """RuleError with line and column unless the expression compiles to a boolean over `input`."""
        self._compile(expression)

    def evaluate(self, expression: str, given: Mapping[str, Any]) -> bool:
        """True or false; RuleError for an error value (a missing key, say) or any other type."""
        from cel_expr_python import cel  # noqa: PLC0415 - a 50 MB engine, loaded when there is a rule

        result = self._compile(expression).eval(data={"input": dict(given)})
        if result.type() != cel.Type.BOOL:
            raise RuleError(str(result.value())[:200])
        return bool(result.value())

    def _compile_once(self, expression: str) -> Any:
        from cel_expr_python import cel  # noqa: PLC0415

        if self._environment is None:
            self._environment = cel.NewEnv(variables={"input": cel.Type.DYN})
        try:
            compiled = self._environment.compile(expression)
        except RuntimeError as error:
            match = _POSITION.search(str(error))
            if match is None:
                raise RuleError(str(error)[:200]) from None
            raise RuleError(match[3][:200], line=int(match[1]), column=int(match[2])) from None
        if compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            raise RuleError("must be true or false")
        return compiled
