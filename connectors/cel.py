"""Custom rules in CEL, by Google's own engine. It returns errors as values, so every result's type is looked at."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from domain.policy.rules import RULE_INPUT, RuleError

_FAILURES = (RuntimeError, TypeError, ValueError, OverflowError)
_POSITION = re.compile(r"<input>:(\d+):(\d+): ?(.*)")


class CelRules:
    """A RuleEngine. Compiled expressions are kept; they are immutable and safe to share between threads.

    Almost always no rule applies, so all of them are first asked at once ("is any of you true?"), then, when
    the answer is not a plain "no", for the list of their answers. An error in any of them spoils both, and each
    is asked for itself. The engine's own limits (10,000 iterations and 32 nested expressions an evaluation,
    linear-time regular expressions) end what takes too long.
    """

    def __init__(self) -> None:
        self._compile = lru_cache(maxsize=2048)(self._compile_once)
        self._together = lru_cache(maxsize=512)(self._together_once)
        self._environment: Any = None

    def check(self, expression: str) -> None:
        """RuleError with line and column unless the expression compiles to a boolean over `input`."""
        self._compile(expression)

    def evaluate(self, expressions: Sequence[str], given: Mapping[str, Any]) -> Sequence[bool | RuleError]:
        """True, false, or a RuleError (a missing key, another type, over the limits) for each expression."""
        if not expressions:
            return ()
        data = {f"input.{name}": value for name, value in given.items()}
        together = self._together(tuple(expressions)) if len(expressions) > 1 else None
        if together is not None:
            any_of, all_of = together
            if _value(any_of, data) is False:
                return (False,) * len(expressions)
            answers = _value(all_of, data)
            if isinstance(answers, list) and all(isinstance(answer, bool) for answer in answers):
                return answers
        return [self._one(expression, data) for expression in expressions]

    def _one(self, expression: str, data: Mapping[str, Any]) -> bool | RuleError:
        from cel_expr_python import cel  # noqa: PLC0415 - a 14 MB engine, loaded when there is a rule

        try:
            result = self._compile(expression).eval(data=data)
            value = result.value()
        except RuleError as error:
            return error
        except _FAILURES as error:
            return RuleError(_first_line(error))
        if result.type() != cel.Type.BOOL or not isinstance(value, bool):
            return RuleError(_first_line(value) if result.type() == cel.Type.ERROR else "is neither true nor false")
        return value

    def _together_once(self, expressions: tuple[str, ...]) -> tuple[Any, Any] | None:
        """The rules as one condition and as one list, None when they do not compile so (each is asked then)."""
        try:
            for expression in expressions:
                # what is no expression for itself may not lend its brackets to the others
                self._compile(expression)
            # the line break ends a comment a rule may end with
            parts = [f"({expression}\n)" for expression in expressions]
            return self._compiled(" || ".join(parts)), self._compiled(f"[{', '.join(parts)}]")
        except RuleError:
            return None

    def _compile_once(self, expression: str) -> Any:
        from cel_expr_python import cel  # noqa: PLC0415

        compiled = self._compiled(expression)
        if compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            raise RuleError("must be true or false")
        return compiled

    def _compiled(self, expression: str) -> Any:
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
            return self._environment.compile(expression)
        except (RuntimeError, ValueError) as error:
            match = _POSITION.search(str(error))
            if match is None:
                raise RuleError(_first_line(error)) from None
            raise RuleError(match[3][:200], line=int(match[1]), column=int(match[2])) from None


def _value(compiled: Any, data: Mapping[str, Any]) -> Any:
    """What the expression comes to, as plain values, None when the engine gives up."""
    try:
        return compiled.eval(data=data).plain_value()
    except _FAILURES:
        return None


def _first_line(what: object) -> str:
    return (str(what).splitlines() or [type(what).__name__])[0][:200]
