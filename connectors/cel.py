"""Custom rules in CEL, by Google's own engine. It returns errors as values, so every result's type is looked at."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from domain.policy.rules import RULE_INPUT, RuleError

_POSITION = re.compile(r"<input>:(\d+):(\d+): ?(.*)")


class CelRules:
    """A RuleEngine. Compiled expressions are kept; they are immutable and safe to share between threads.

    Almost always no rule applies, so all of them are first asked at once ("is any of you true?"). Only
    when the answer is not a plain "no" is each one asked for itself. The engine's own limits (10,000
    iterations and 32 nested expressions an evaluation, linear-time regular expressions) end what takes too long.
    """

    def __init__(self) -> None:
        self._compile = lru_cache(maxsize=2048)(self._compile_once)
        self._any_of = lru_cache(maxsize=512)(self._any_of_once)
        self._environment: Any = None

    def check(self, expression: str) -> None:
        """RuleError with line and column unless the expression compiles to a boolean over `input`."""
        self._compile(expression)

    def evaluate(self, expressions: Sequence[str], given: Mapping[str, Any]) -> Sequence[bool | RuleError]:
        """True, false, or a RuleError (a missing key, another type, over the limits) for each expression."""
        if not expressions:
            return ()
        data = {f"input.{name}": value for name, value in given.items()}
        any_of = self._any_of(tuple(expressions)) if len(expressions) > 1 else None
        if any_of is not None and self._is_no(any_of, data):
            return (False,) * len(expressions)
        return [self._one(expression, data) for expression in expressions]

    @staticmethod
    def _is_no(compiled: Any, data: Mapping[str, Any]) -> bool:
        """A plain "no": with `||` it takes every operand being false, an error in any of them is an error."""
        try:
            return compiled.eval(data=data).value() is False
        except (RuntimeError, TypeError, ValueError, OverflowError):
            return False

    def _one(self, expression: str, data: Mapping[str, Any]) -> bool | RuleError:
        from cel_expr_python import cel  # noqa: PLC0415 - a 14 MB engine, loaded when there is a rule

        try:
            result = self._compile(expression).eval(data=data)
            value = result.value()
        except RuleError as error:
            return error
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            return RuleError(_first_line(error))
        if result.type() != cel.Type.BOOL or not isinstance(value, bool):
            return RuleError(_first_line(value) if result.type() == cel.Type.ERROR else "is neither true nor false")
        return value

    def _any_of_once(self, expressions: tuple[str, ...]) -> Any:
        """The rules as one expression, None when they do not compile as one (each is asked for itself then)."""
        try:
            for expression in expressions:
                # what is no expression for itself may not lend its brackets to the others
                self._compile(expression)
            # the line break ends a comment a rule may end with
            return self._compile_once(" || ".join(f"({expression}\n)" for expression in expressions))
        except RuleError:
            return None

    def _compile_once(self, expression: str) -> Any:
        from cel_expr_python import cel  # noqa: PLC0415

        if self._environment is None:
            types = {
                "string": cel.Type.STRING,
                "int": cel.Type.INT,
                "map": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
                "timestamp": cel.Type.TIMESTAMP,
            }
            # one variable a name, which gives the names and their types to the checker
            self._environment = cel.NewEnv(
                variables={f"input.{name}": types[kind] for name, kind in RULE_INPUT.items()}
            )
        try:
            compiled = self._environment.compile(expression)
        except (RuntimeError, ValueError) as error:
            match = _POSITION.search(str(error))
            if match is None:
                raise RuleError(_first_line(error)) from None
            raise RuleError(match[3][:200], line=int(match[1]), column=int(match[2])) from None
        if compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            raise RuleError("must be true or false")
        return compiled


def _first_line(what: object) -> str:
    return (str(what).splitlines() or [type(what).__name__])[0][:200]
