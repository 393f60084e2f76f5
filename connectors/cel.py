"""Custom rules in CEL, by Google's own engine. It returns errors as values, so every result's type is looked at."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from connectors.cel_cost import SHORT_TEXT, Reckoning, Size, even, read, size_of
from domain.policy.rules import RULE_INPUT, RuleError

# What all the rules of one decision may cost together, in the nanoseconds of `connectors.cel_cost`.
LIMIT = 30e6
# above this each rule is evaluated once for itself: asking for all at once may evaluate one three times
_TOGETHER = 2e6
# asked about at once, and compiled as one expression
_MAX_TOGETHER = 8000
# the size of a small call: a rule that is too costly over this is refused when it is saved
_SMALL = even(5, 16, 48)
# sizes are told apart in steps of four, so that a price is reckoned once for many calls
_STEPS = tuple((64 * 4**step, 128 * 4**step, 4096 * 4**step) for step in range(6))
_DEPTH = 8
TOO_COSTLY = "it would take too long over arguments of this size"
ALWAYS_TOO_COSTLY = "would take too long even over small arguments: loops within loops, copies of copies, or a pattern \
that repeats what repeats"

_FAILURES = (RuntimeError, TypeError, ValueError, OverflowError)
_POSITION = re.compile(r"<input>:(\d+):(\d+): ?(.*)")


class CelRules:
    """A RuleEngine. Compiled expressions are kept; they are immutable and safe to share between threads.

    Almost always no rule applies, so all of them are first asked at once ("is any of you true?"), then, when
    the answer is not a plain "no", for the list of their answers. An error in any of them spoils both, and each
    is asked for itself. The engine's own limits (10,000 iterations and 32 nested expressions an evaluation,
    linear-time regular expressions) do not bound what one iteration costs: `limit` does, reckoned beforehand.
    """

    def __init__(self, *, limit: float = LIMIT) -> None:
        self._limit = limit
        self._parts = lru_cache(maxsize=2048)(self._parts_once)
        self._price = lru_cache(maxsize=4096)(self._price_once)
        self._compile = lru_cache(maxsize=2048)(self._compile_once)
        self._together = lru_cache(maxsize=512)(self._together_once)
        self._environment: Any = None

    def check(self, expression: str) -> None:
        """RuleError, with line and column, unless the expression compiles to a boolean over `input` and can be paid."""
        self._compile(expression)
        if self._cost(expression, _SMALL) > self._limit:
            raise RuleError(ALWAYS_TOO_COSTLY)

    def evaluate(self, expressions: Sequence[str], given: Mapping[str, Any]) -> Sequence[bool | RuleError]:
        """True, false, or a RuleError (a missing key, another type, over the limits) for each expression."""
        if not expressions:
            return ()
        data = {f"input.{name}": value for name, value in given.items()}
        payable, total = self._payable(expressions, given.get("args", {}))
        if not all(payable):
            return [
                self._one(expression, data) if good else RuleError(TOO_COSTLY)
                for expression, good in zip(expressions, payable, strict=True)
            ]
        partition = self._together(tuple(expressions)) if len(expressions) > 1 and total <= _TOGETHER else None
        if partition is not None:
            any_of, all_of = partition
            if _value(any_of, data) is False:
                return (False,) * len(expressions)
            answers = _value(all_of, data)
            if isinstance(answers, list) and all(isinstance(answer, bool) for answer in answers):
                return answers
        return [self._one(expression, data) for expression in expressions]

    # --- what they cost ---------------------------------------------------------------------------

    def _payable(self, expressions: Sequence[str], args: Any) -> tuple[Sequence[bool], float]:
        """Which of the rules can be evaluated, in their order until the limit is used up, and what they cost."""
        size = size_of(args)
        step = _step_of(size)
        if step is not None:
            total = sum(self._price(expression, step) for expression in expressions)
            if total <= self._limit:
                return (True,) * len(expressions), total
        left = self._limit
        payable: list[bool] = []
        for expression in expressions:
            cost = self._cost(expression, size)
            payable.append(cost <= left)
            left -= cost if payable[-1] else 0
        return payable, self._limit - left

    def _price_once(self, expression: str, step: int) -> float:
        length, nodes, chars = _STEPS[step]
        return self._cost(expression, even(length, nodes, chars, depth=_DEPTH))

    def _cost(self, expression: str, args: Size) -> float:
        """What the rule costs over arguments of this size; infinity beyond the limit, nothing for what is no rule."""
        try:
            parts = self._parts(expression)
        except RuleError:
            return 0
        given = {f"input.{name}": SHORT_TEXT for name, kind in RULE_INPUT.items() if kind == "string"}
        return Reckoning({**given, "input.args": args}, self._limit).of(parts)

    def _parts_once(self, expression: str) -> Any:
        return read(self._compile(expression).serialize())

    # --- evaluating -------------------------------------------------------------------------------

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
        if sum(map(len, expressions)) > _MAX_TOGETHER:
            return None
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


def _step_of(size: Size) -> int | None:
    """The smallest step that covers the size; None where none does."""
    if len(size) > _DEPTH:
        return None
    most = (max(level.length for level in size), size[0].nodes, size[0].chars)
    fitting = (n for n, step in enumerate(_STEPS) if all(one <= of for one, of in zip(most, step, strict=True)))
    return next(fitting, None)


def _value(compiled: Any, data: Mapping[str, Any]) -> Any:
    """What the expression comes to, as plain values, None when the engine gives up."""
    try:
        return compiled.eval(data=data).plain_value()
    except _FAILURES:
        return None


def _first_line(what: object) -> str:
    return (str(what).splitlines() or [type(what).__name__])[0][:200]
