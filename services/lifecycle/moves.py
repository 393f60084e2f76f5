"""The one way a state is written: the table is asked, and the row must still be as it was read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, overload

from domain.approvals.approval import APPROVALS, Approval, ApprovalStatus
from domain.errors import Conflict
from domain.runs.run import EFFECTS, RUNS, STEPS, CallEffect, EffectState, Run, RunState, Step, StepState
from domain.runs.states import StateTable
from domain.runs.task import TASKS, Task, TaskStatus
from storage.approvals import approval_rows
from storage.runs import run_rows, task_rows
from storage.transaction import Tx

Thing = TypeVar("Thing", Run, Step, CallEffect, Approval, Task)


class Superseded(Conflict):
    """Somebody else has moved it: what was read of it holds no more."""

    code = "run_moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    table: StateTable[Any]
    column: str
    add: Callable[..., None]
    write: Callable[..., bool]


_KINDS: Mapping[type[Any], _Kind] = {
    Run: _Kind(table=RUNS, column="state", add=run_rows.add, write=run_rows.move),
    Step: _Kind(table=STEPS, column="state", add=run_rows.add_step, write=run_rows.move_step),
    CallEffect: _Kind(table=EFFECTS, column="state", add=run_rows.add_effect, write=run_rows.move_effect),
    Approval: _Kind(table=APPROVALS, column="status", add=approval_rows.add, write=approval_rows.move),
    Task: _Kind(table=TASKS, column="status", add=task_rows.add, write=task_rows.move),
}


def enter(tx: Tx, thing: Thing) -> Thing:
    """Insert a new thing in the state it has; IllegalMove when nothing begins like that."""
    kind = _KINDS[type(thing)]
    kind.table.check(None, getattr(thing, kind.column))
    kind.add(tx, thing)
    return thing


@overload
def move(tx: Tx, thing: Run, to: RunState, **columns: Any) -> Run: ...
@overload
def move(tx: Tx, thing: Step, to: StepState, **columns: Any) -> Step: ...
@overload
def move(tx: Tx, thing: CallEffect, to: EffectState, **columns: Any) -> CallEffect: ...
@overload
def move(tx: Tx, thing: Approval, to: ApprovalStatus, **columns: Any) -> Approval: ...
@overload
def move(tx: Tx, thing: Task, to: TaskStatus, **columns: Any) -> Task: ...
def move(tx: Tx, thing: Any, to: Any, **columns: Any) -> Any:
    """The thing in its new state, with other columns set along with it.

    IllegalMove when the table does not have the move, Superseded when it is not in the state any more that was read.
    """
    kind = _KINDS[type(thing)]
    kind.table.check(getattr(thing, kind.column), to)
    if not kind.write(tx, thing, to, **columns):
        raise Superseded(f"{kind.table.of} has moved on")
    return replace(thing, **{kind.column: to}, **columns)
