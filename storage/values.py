"""From rows to frozen values: a value's fields are its table's columns."""

from dataclasses import Field, fields
from typing import Any, TypeVar

import sqlalchemy as sa

V = TypeVar("V")


def _stored(value: type[Any]) -> list[Field[Any]]:
    """The fields that columns hold; one made with `domain.integrity.DERIVED` is found out when a row is read."""
    return [f for f in fields(value) if f.metadata.get("stored", True)]


def columns_of(table: sa.Table, value: type[Any]) -> list[sa.Column[Any]]:
    """The columns that make up `value`, in the order of its fields."""
    return [table.c[f.name] for f in _stored(value)]


_NAMES: dict[type[Any], tuple[str, ...]] = {}


def _names(value: type[Any]) -> tuple[str, ...]:
    found = _NAMES.get(value)
    if found is None:
        found = _NAMES[value] = tuple(f.name for f in _stored(value))
    return found


def to_value(value: type[V], row: Any) -> V:
    """The value a row of `columns_of` holds: columns and fields are in the same order."""
    return value(**dict(zip(_names(value), row, strict=True)))
