"""What an operator may hand on to another: its bounds, which only ever get narrower."""

from collections.abc import Sequence

from domain.tools.tool import ToolSpec

DELEGATE = "operator.delegate"
# the run a person started, and three below it
MAX_DEPTH = 3
MAX_CHILDREN = 8
# less than a cent pays for no answer of a model
FLOOR_MICROS = 10_000

WAITS = "sub_task"
_NOTHING_BUT = ("finish",)


def narrowed(tools: Sequence[str], bounds: Sequence[str] | None) -> tuple[str, ...]:
    """The names of `tools` that lie within the bounds. Empty `tools` and absent bounds both mean every tool.

    Where nothing is left, only `finish` is: an empty answer would mean every tool.
    """
    if bounds is None:
        return tuple(tools)
    return tuple(name for name in tools or bounds if name in bounds) or _NOTHING_BUT


def unknown(names: Sequence[str], specs: Sequence[ToolSpec]) -> str | None:
    """The first name that is no tool, None when all are."""
    known = {spec.name for spec in specs}
    return next((name for name in names if name not in known), None)


def share(wanted: int | None, left: int) -> int:
    """What of `left` is handed on: what was asked for, at most all of it; half where nothing was said."""
    return left // 2 if wanted is None else min(wanted, left)
