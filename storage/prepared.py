"""Statements that are compiled once and run on the bare cursor: what the hot paths of storage are made of.

Building and caching a Core statement costs several times what SQLite needs to run it. The price is a look into
SQLAlchemy's inside: three of its private names stand in `_Compiled.of`, and were checked up to `CHECKED_SQLALCHEMY`.
`tests/storage/test_prepared.py` fails when a newer one is installed, and holds what comes out against Core itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

# The newest version of which `_bind_processors` and `_result_columns` of a compiled statement and
# `_cached_result_processor` of a type are known to be what `_Compiled.of` takes them for.
CHECKED_SQLALCHEMY = (2, 1, 9)


class Runs(Protocol):
    """What a prepared statement is run in: a `storage.transaction.Tx`."""

    @property
    def connection(self) -> Connection: ...

    @property
    def cursor(self) -> Any: ...

    def wrap(self, error: Exception) -> Exception: ...


class Prepared:
    """A statement compiled once per dialect. Parameters are given by bind name."""

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, tx: Runs, **params: Any) -> list[Any]:
        """The rows of a select, each value as its column type has it."""
        found = self(tx, **params).fetchall()
        results = self._compiled[tx.connection.dialect.name].results
        if not results:
            return list(found)
        rows: list[Any] = []
        for raw in found:
            row = list(raw)
            for index, process in results:
                row[index] = process(row[index])
            rows.append(row)
        return rows

    def __call__(self, tx: Runs, **params: Any) -> Any:
        dialect = tx.connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled.of(self._statement, dialect)
        values: Any = {**compiled.defaults, **params} if compiled.defaults else params
        for name, process in compiled.processors:
            values[name] = process(values[name])
        if compiled.positional is not None:
            values = [values[name] for name in compiled.positional]
        cursor = tx.cursor
        try:
            cursor.execute(compiled.sql, values)
        except Exception as error:
            raise tx.wrap(error) from error
        return cursor


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement of one dialect. `positional` is None where parameters are passed by name."""

    sql: str
    positional: Sequence[str] | None
    defaults: dict[str, Any]
    processors: Sequence[tuple[str, Callable[[Any], Any]]]
    results: Sequence[tuple[int, Callable[[Any], Any]]]

    @classmethod
    def of(cls, statement: Any, dialect: sa.Dialect) -> "_Compiled":
        compiled = statement.compile(dialect=dialect)
        return cls(
            sql=str(compiled),
            positional=tuple(compiled.positiontup) if compiled.positiontup else None,
            defaults={k: v for k, v in compiled.params.items() if v is not None},
            processors=[(k, v) for k, v in compiled._bind_processors.items() if v is not None],  # noqa: SLF001
            results=[
                (index, process)
                for index, column in enumerate(getattr(compiled, "_result_columns", ()))
                if (process := column.type._cached_result_processor(dialect, None)) is not None  # noqa: SLF001
            ],
        )


class PreparedUpdate:
    """Sets whichever columns are named, in the rows with the given values of `key`.

    Each set of columns is compiled once. Plain values only, no expressions.
    """

    __slots__ = ("_by_names", "_key", "_table")

    def __init__(self, table: sa.Table, *key: str) -> None:
        self._table = table
        self._key = key
        self._by_names: dict[tuple[str, ...], Prepared] = {}

    def __call__(self, tx: Runs, *key: Any, **values: Any) -> int:
        """How many rows were changed."""
        names = tuple(values)
        statement = self._by_names.get(names)
        if statement is None:
            c = self._table.c
            statement = self._by_names[names] = Prepared(
                sa.update(self._table)
                .where(*(c[name] == sa.bindparam(f"key_{name}", type_=c[name].type) for name in self._key))
                .values({name: sa.bindparam(name, type_=c[name].type) for name in names})
            )
        wanted = {f"key_{name}": value for name, value in zip(self._key, key, strict=True)}
        return int(statement(tx, **wanted, **values).rowcount)
