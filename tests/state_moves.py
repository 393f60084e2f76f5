"""Record every move of a state that this process writes, and hold it against the tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from domain.approvals.approval import APPROVALS
from domain.runs.run import EFFECTS, RUNS, STEPS
from domain.runs.states import StateTable
from domain.runs.task import TASKS
from storage import tables
from storage.prepared import Prepared
from storage.transaction import Tx

Move = tuple[str, str | None, str]

STATES: dict[str, tuple[sa.Column[Any], StateTable[Any]]] = {
    "runs": (tables.runs.c.state, RUNS),
    "steps": (tables.steps.c.state, STEPS),
    "effects": (tables.effects.c.state, EFFECTS),
    "approvals": (tables.approvals.c.status, APPROVALS),
    "tasks": (tables.tasks.c.status, TASKS),
}


@dataclass
class Moves:
    """Every write of a state by this process, as the database sees it: from what, to what."""

    made: set[Move] = field(default_factory=set)
    outside: list[Move] = field(default_factory=list)

    def note(self, table: str, before: str | None, to: str) -> None:
        known = STATES[table][1]
        move = (table, before, to)
        self.made.add(move)
        kind = type(next(iter(known.begins)))
        if not known.allows(None if before is None else kind(before), kind(to)):
            self.outside.append(move)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at each statement before and after it is run: what it finds there is what it moves."""
        run = Prepared.__call__

        def looking(prepared: Prepared, tx: Tx, **params: Any) -> Any:
            statement = prepared._statement
            name = getattr(getattr(statement, "table", None), "name", "")
            if name not in STATES or not isinstance(statement, sa.Insert | sa.Update):
                return run(prepared, tx, **params)
            column, _ = STATES[name]
            if isinstance(statement, sa.Insert):
                self.note(name, None, str(params[column.name]))
                return run(prepared, tx, **params)
            if column.name not in params:
                return run(prepared, tx, **params)
            keys = {k.removeprefix("key_"): v for k, v in params.items() if k.startswith("key_")}
            before = tx.scalar(sa.select(column).where(*(column.table.c[k] == v for k, v in keys.items())))
            cursor = run(prepared, tx, **params)
            if before is not None:
                self.note(name, before, str(params[column.name]))
            return cursor

        Prepared.__call__ = looking  # type: ignore[method-assign]
        try:
            yield
        finally:
            Prepared.__call__ = run  # type: ignore[method-assign]
