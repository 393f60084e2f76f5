"""From rows to frozen values: a value's fields are its table's columns."""

from dataclasses import fields
from typing import Any, TypeVar

import sqlalchemy as sa

V = TypeVar("V")


def columns_of(table: sa.Table, value: type[Any]) -> list[sa.Column[Any]]:
    """The columns that make up `value`, in the order of its fields."""
    return [table.c[f.name] for f in fields(value)]


def to_value(value: type[V], row: Any) -> V:
    """The value a row of `columns_of` holds."""
    return value(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
