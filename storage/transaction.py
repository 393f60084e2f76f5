"""One unit of work: what a function that reads or writes the store is given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.prepared import Prepared


@dataclass(slots=True)
class Tx:
    """One unit of work.

    `after_commit` holds what is to be called on the event loop once it is committed. `memo` is the unit's own;
    `shared_memo` is shared with the units that are committed together, and forgotten whenever one of them is undone.
    """

    connection: Connection
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    memo: dict[str, Any] = field(default_factory=dict)
    shared_memo: dict[str, Any] = field(default_factory=dict)
    reading: bool = False
    _closing: list[Callable[[], None]] = field(default_factory=list)
    _cursor: Any = None

    @property
    def postgres(self) -> bool:
        return self.connection.dialect.name == "postgresql"

    @property
    def cursor(self) -> Any:
        if self._cursor is None:
            if not self.connection.in_transaction():
                self.connection.begin()
            self._cursor = self.connection.connection.cursor()
        return self._cursor

    def execute(self, statement: Any, params: Any = None) -> CursorResult[Any]:
        return self.connection.execute(statement, params)

    def one(self, statement: Any) -> Any | None:
        """The first row or None."""
        return self.connection.execute(statement).first()

    def all(self, statement: Any) -> list[Any]:
        return list(self.connection.execute(statement).all())

    def scalar(self, statement: Any) -> Any:
        return self.connection.execute(statement).scalar()

    def insert_if_absent(self, table: sa.Table, values: dict[str, Any], *, key: tuple[str, ...]) -> bool:
        """Insert unless a row with this key stands already; True when it was inserted."""
        # values bound by name, so that the statement is built once for each set of columns
        kept = (self.connection.dialect.name, table.name, tuple(values), key)
        prepared = _absent.get(kept)
        if prepared is None:
            names = {name: sa.bindparam(name, type_=table.c[name].type) for name in values}
            insert = _insert(self, table).values(names).on_conflict_do_nothing(index_elements=list(key))
            prepared = _absent[kept] = Prepared(insert)
        return int(prepared(self, **values).rowcount) == 1

    def upsert(self, table: sa.Table, values: dict[str, Any], *, key: tuple[str, ...]) -> None:
        insert = _insert(self, table).values(**values)
        changed = {k: insert.excluded[k] for k in values if k not in key}
        self.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changed))

    def lock(self, statement: Any) -> Any:
        """`statement` with FOR UPDATE on Postgres; on SQLite the writer is alone anyway, and a reader locks nothing."""
        return statement.with_for_update() if self.postgres and not self.reading else statement

    def lock_due(self, statement: Any) -> Any:
        """`statement` with FOR UPDATE SKIP LOCKED on Postgres, for sweeps shared by several processes."""
        return statement.with_for_update(skip_locked=True) if self.postgres else statement

    def before_commit(self, call: Callable[[], None]) -> None:
        """Have `call` done in this transaction, after everything else of the unit."""
        self._closing.append(call)

    def on_commit(self, call: Callable[[], None]) -> None:
        """Have `call` done on the event loop, once this transaction is committed."""
        self.after_commit.append(call)

    def close(self) -> None:
        """Do what was put off to the end of the unit: see `before_commit`."""
        for call in self._closing:
            call()

    def wrap(self, error: Exception) -> Exception:
        """A bare driver error as SQLAlchemy would have raised it, so that callers catch one kind."""
        dbapi = self.connection.dialect.dbapi
        if dbapi is None or not isinstance(error, dbapi.Error):
            return error
        return DBAPIError.instance(None, None, error, dbapi.Error, dialect=self.connection.dialect)


def _insert(tx: Tx, table: sa.Table) -> Any:
    if tx.postgres:
        from sqlalchemy.dialects.postgresql import insert as pg_insert  # noqa: PLC0415

        return pg_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415

    return sqlite_insert(table)


_absent: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], Prepared] = {}


def is_conflict(error: BaseException) -> bool:
    """Whether a unique or foreign key constraint refused the write."""
    return isinstance(error, IntegrityError)
