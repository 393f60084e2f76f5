"""From rows to frozen values: a value's fields are its table's columns."""

from collections.abc import Iterable
from dataclasses import Field, fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_type_hints

import sqlalchemy as sa

from domain.integrity import Altered

V = TypeVar("V")


def _stored(value: type[Any]) -> list[Field[Any]]:
    """The fields that columns hold; one made with `domain.integrity.DERIVED` is found out when a row is read."""
    return [f for f in fields(value) if f.metadata.get("stored", True)]


def columns_of(table: sa.Table, value: type[Any]) -> list[sa.Column[Any]]:
    """The columns that make up `value`, in the order of its fields."""
    return [table.c[f.name] for f in _stored(value)]


@cache
def _plan(value: Any) -> tuple[tuple[str, ...], tuple[tuple[int, type[Enum]], ...]]:
    """The names of the fields, and which of them, by place, are states: a column holds their text."""
    kinds = get_type_hints(value)
    names = tuple(f.name for f in _stored(value))
    states = [(at, kinds[name]) for at, name in enumerate(names)]
    return names, tuple((at, kind) for at, kind in states if isinstance(kind, type) and issubclass(kind, Enum))


def to_value(value: type[V], row: Any) -> V:
    """The value a row of `columns_of` holds: columns and fields are in the same order.

    Altered when a column of a state holds a word that is none: no code of ours ever wrote it.
    """
    wanted: Any = value
    names, states = _plan(wanted)
    if states:
        row = list(row)
        for at, kind in states:
            try:
                row[at] = kind(row[at])
            except ValueError:
                raise Altered(
                    f"{row[at]!r} is no {names[at]} of a {value.__name__.lower()}", differs=(names[at],)
                ) from None
    return value(**dict(zip(names, row, strict=True)))


def to_value_and_last(value: type[V], row: Any) -> tuple[V, Any]:
    """The value a row holds, and the one column selected after its own."""
    return to_value(value, row[:-1]), row[-1]


def to_columns(columns: Iterable[sa.Column[Any]], value: Any) -> dict[str, Any]:
    """What these columns hold of a value, by their names."""
    return {c.name: getattr(value, c.name) for c in columns}


def without(values: dict[str, Any], state: str) -> dict[str, Any]:
    """The columns to set, which do not hold the one of the state: a state is moved, not set."""
    if state in values:
        raise ValueError(f"{state} is moved, not set")
    return values
