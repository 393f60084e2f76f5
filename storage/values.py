"""From rows to frozen values: a value's fields are its table's columns."""

from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_type_hints

import sqlalchemy as sa

V = TypeVar("V")


def columns_of(table: sa.Table, value: type[Any]) -> list[sa.Column[Any]]:
    """The columns that make up `value`, in the order of its fields."""
    return [table.c[f.name] for f in fields(value)]


@cache
def _plan(value: Any) -> tuple[tuple[str, ...], tuple[tuple[int, type[Enum]], ...]]:
    """The names of the fields, and which of them, by place, are states: a column holds their text."""
    kinds = get_type_hints(value)
    names = tuple(f.name for f in fields(value))
    states = [(at, kinds[name]) for at, name in enumerate(names)]
    return names, tuple((at, kind) for at, kind in states if isinstance(kind, type) and issubclass(kind, Enum))


def to_value(value: type[V], row: Any) -> V:
    """The value a row of `columns_of` holds: columns and fields are in the same order."""
    wanted: Any = value
    names, states = _plan(wanted)
    if states:
        row = list(row)
        for at, kind in states:
            row[at] = kind(row[at])
    return value(**dict(zip(names, row, strict=True)))


def without(values: dict[str, Any], state: str) -> dict[str, Any]:
    """The columns to set, which do not hold the one of the state: a state is moved, not set."""
    if state in values:
        raise ValueError(f"{state} is moved, not set")
    return values
