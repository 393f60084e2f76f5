"""Prepared statements: they give what Core gives, on the SQLAlchemy whose inside they were checked on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from storage import tables
from storage.database import Store
from storage.prepared import CHECKED_SQLALCHEMY, Prepared, PreparedUpdate
from storage.transaction import Tx
from storage.types import Json, UtcDateTime

NOW = datetime(2026, 3, 29, 1, 59, 59, 123456, tzinfo=UTC)
# every kind of column that a table of Pilot has, each with a value and without one
VALUES: dict[str, Any] = {
    "String": "Ada \u2014 \U0001f600",
    "Text": "two\nlines",
    "BigInteger": 2**62,
    "Integer": -1,
    "Boolean": False,
    "LargeBinary": b"\x00\xff",
    "Json": {"a": [1, None, "\u00e9"]},
    "UtcDateTime": NOW,
}


def kind(column: sa.Column[Any]) -> str:
    return type(column.type).__name__


def rows_of(table: sa.Table) -> list[dict[str, Any]]:
    """A row with a value in each column, and one with as few as there may be; they differ in their keys."""
    full = {c.name: VALUES[kind(c)] for c in table.c}
    least = {c.name: VALUES[kind(c)] if not c.nullable else None for c in table.c}
    unique = [one for one in table.constraints if isinstance(one, sa.UniqueConstraint)]
    for number, row in enumerate((full, least)):
        for c in table.c:
            if c.primary_key or c.unique or any(c.name in one.columns for one in unique):
                row[c.name] = {"BigInteger": number, "Integer": number}.get(kind(c), f"{number}{new_id()[-7:]}")
    return [full, least]


# tables without a reference to others: a row of theirs can stand alone
ALONE = [table for table in tables.metadata.sorted_tables if not table.foreign_keys]


def test_sqlalchemy_is_one_whose_inside_was_looked_at() -> None:
    installed = tuple(int(part) for part in sa.__version__.split(".")[:3])
    assert installed <= CHECKED_SQLALCHEMY, (
        f"SQLAlchemy {sa.__version__} is newer than what storage/prepared.py was checked on. Look whether "
        "SQLCompiler._bind_processors, SQLCompiler._result_columns and TypeEngine._cached_result_processor still are what "
        "_Compiled.of takes them for, run this file and `make bench`, and raise CHECKED_SQLALCHEMY."
    )


def test_the_private_names_are_there() -> None:
    """Without `_result_columns` the values of a select would come out as the driver has them, and nothing would say so."""
    compiled: Any = sa.select(tables.ticks.c.created_at).compile(dialect=sa.create_engine("sqlite://").dialect)
    assert [column.type for column in compiled._result_columns] == [tables.ticks.c.created_at.type]
    assert compiled._bind_processors == {}
    assert callable(UtcDateTime()._cached_result_processor(compiled.dialect, None))


def test_every_kind_of_column_is_tried() -> None:
    assert {kind(c) for table in ALONE for c in table.c} == set(VALUES)
    assert {"Json", "UtcDateTime"} == {one.__name__ for one in (Json, UtcDateTime)}


@pytest.mark.parametrize("table", ALONE, ids=lambda table: table.name)
async def test_what_goes_in_and_comes_out_is_what_core_says(store: Store, table: sa.Table) -> None:
    insert = Prepared(sa.insert(table).values({c.name: sa.bindparam(c.name) for c in table.c}))
    select = sa.select(*table.c).order_by(*table.primary_key.columns)
    written = rows_of(table)

    def put(tx: Tx) -> None:
        for row in written:
            insert(tx, **row)

    await store.write(put)
    core = await store.read(lambda tx: [dict(row._mapping) for row in tx.execute(select)])
    assert sorted(core, key=str) == sorted(written, key=str)
    names = [c.name for c in table.c]
    prepared = await store.read(lambda tx: Prepared(select).rows(tx))
    assert [dict(zip(names, row, strict=True)) for row in prepared] == core


async def test_an_update_sets_what_is_named_and_nothing_else(store: Store) -> None:
    change = PreparedUpdate(tables.outbox, "id", "state")
    row = rows_of(tables.outbox)[0] | {"state": "due"}
    await store.write(lambda tx: tx.execute(sa.insert(tables.outbox).values(row)))
    later = NOW + timedelta(days=1)

    def work(tx: Tx) -> list[int]:
        return [
            change(tx, row["id"], "due", not_before=later, payload={"b": 1}),
            change(tx, row["id"], "due", error=None),
            change(tx, row["id"], "sent", error="x"),
        ]

    assert await store.write(work) == [1, 1, 0]
    found = await store.read(lambda tx: [dict(one._mapping) for one in tx.execute(sa.select(tables.outbox))])
    assert found == [row | {"not_before": later, "payload": {"b": 1}, "error": None}]


async def test_a_refused_statement_is_an_error_of_sqlalchemy(store: Store) -> None:
    insert = Prepared(sa.insert(tables.ticks).values(id=sa.bindparam("id"), created_at=sa.bindparam("created_at")))
    await store.write(lambda tx: insert(tx, id="a", created_at=NOW))
    with pytest.raises(sa.exc.IntegrityError):
        await store.write(lambda tx: insert(tx, id="a", created_at=NOW))
    with pytest.raises(ValueError, match="naive"):
        await store.write(lambda tx: insert(tx, id="b", created_at=NOW.replace(tzinfo=None)))
