"""All SQL about runs, their steps, and the effects that left the process."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.runs.run import RUN_ENDED, STEP_ENDED, CallEffect, EffectState, Run, RunState, Step, StepState
from storage.prepared import Prepared, PreparedUpdate
from storage.tables import effects, runs, spend, steps, task_spend, tasks
from storage.transaction import Tx
from storage.values import columns_of, to_value, without

RUN_COLUMNS = columns_of(runs, Run)
STEP_COLUMNS = columns_of(steps, Step)

_insert_run = Prepared(sa.insert(runs).values({c.name: sa.bindparam(c.name) for c in RUN_COLUMNS}))
_select_by_id = sa.select(*RUN_COLUMNS).where(runs.c.id == sa.bindparam("run_id"))
_by_id = Prepared(_select_by_id)
_by_id_locked = Prepared(_select_by_id.with_for_update())
_OPEN_STATES: list[sa.ColumnElement[str]] = [
    sa.literal_column(f"'{state.value}'") for state in RunState if state not in RUN_ENDED
]
_active_of_task = Prepared(
    sa.select(*RUN_COLUMNS).where(
        runs.c.workspace_id == sa.bindparam("ws"),
        runs.c.task_id == sa.bindparam("task_id"),
        runs.c.state.in_(_OPEN_STATES),
    )
)
_last_number = Prepared(
    sa.select(sa.func.coalesce(sa.func.max(runs.c.number), 0)).where(runs.c.task_id == sa.bindparam("task_id"))
)
_since_day = sa.case((spend.c.day >= sa.bindparam("day"), spend.c.cost_micros), else_=0)
_spent_lately = Prepared(
    sa.select(
        *(
            sa.func.coalesce(sa.func.sum(micros), 0)
            for micros in (
                sa.case((spend.c.operator_id == sa.bindparam("operator_id"), _since_day), else_=0),
                _since_day,
                spend.c.cost_micros,
            )
        )
    ).where(spend.c.workspace_id == sa.bindparam("ws"), spend.c.day >= sa.bindparam("month"))
)
_task_spent = Prepared(
    sa.select(sa.func.coalesce(sa.func.sum(runs.c.cost_micros), 0)).where(
        runs.c.workspace_id == sa.bindparam("ws"), runs.c.task_id == sa.bindparam("task_id")
    )
)
_change_run = PreparedUpdate(runs, "id", "workspace_id", "epoch")
_move_run = PreparedUpdate(runs, "id", "workspace_id", "epoch", "state")
_change_step = PreparedUpdate(steps, "workspace_id", "id", "state")
_change_effect = PreparedUpdate(effects, "workspace_id", "id", "state")
_steps_after = Prepared(
    sa.select(*STEP_COLUMNS)
    .where(
        steps.c.workspace_id == sa.bindparam("ws"),
        steps.c.run_id == sa.bindparam("run_id"),
        steps.c.seq > sa.bindparam("after"),
    )
    .order_by(steps.c.seq)
)
_open_steps = Prepared(
    sa.select(*STEP_COLUMNS)
    .where(
        steps.c.workspace_id == sa.bindparam("ws"),
        steps.c.run_id == sa.bindparam("run_id"),
        steps.c.state.in_([sa.literal_column(f"'{state.value}'") for state in StepState if state not in STEP_ENDED]),
    )
    .order_by(steps.c.seq)
)
_insert_step = Prepared(sa.insert(steps).values({c.name: sa.bindparam(c.name) for c in STEP_COLUMNS}))


EFFECT_COLUMNS = columns_of(effects, CallEffect)
_insert_effect = Prepared(sa.insert(effects).values({c.name: sa.bindparam(c.name) for c in EFFECT_COLUMNS}))


# --- runs -----------------------------------------------------------------------------------------


def add(tx: Tx, run: Run) -> None:
    """Insert a new run."""
    _insert_run(tx, **{c.name: getattr(run, c.name) for c in RUN_COLUMNS})


def get(tx: Tx, workspace_id: str, run_id: str, *, lock: bool = False) -> Run:
    """The run; NotFound when it is not in this workspace."""
    query = sa.select(*RUN_COLUMNS).where(runs.c.workspace_id == workspace_id, runs.c.id == run_id)
    row = tx.one(tx.lock(query) if lock else query)
    if row is None:
        raise NotFound("Run not found")
    return to_value(Run, row)


def by_id(tx: Tx, run_id: str, *, lock: bool = False) -> Run | None:
    """The run, whatever its workspace: only for the engine, which knows nothing else of it."""
    statement = _by_id_locked if lock and tx.postgres else _by_id
    found = statement.rows(tx, run_id=run_id)
    return to_value(Run, found[0]) if found else None


def of_task(tx: Tx, workspace_id: str, task_id: str, *, limit: int = 100) -> Sequence[Run]:
    """Runs of one task, newest first."""
    query = (
        sa.select(*RUN_COLUMNS)
        .where(runs.c.workspace_id == workspace_id, runs.c.task_id == task_id)
        .order_by(runs.c.number.desc())
        .limit(limit)
    )
    return [to_value(Run, row) for row in tx.all(query)]


def active_of_task(tx: Tx, workspace_id: str, task_id: str) -> Run | None:
    """The run of the task that has not ended, if any."""
    found = _active_of_task.rows(tx, ws=workspace_id, task_id=task_id)
    return to_value(Run, found[0]) if found else None


def active_in(tx: Tx, workspace_id: str) -> Sequence[Run]:
    """Runs of a workspace that have not ended, newest first."""
    query = (
        sa.select(*RUN_COLUMNS)
        .where(runs.c.workspace_id == workspace_id, runs.c.state.not_in([s.value for s in RUN_ENDED]))
        .order_by(runs.c.created_at.desc())
    )
    return [to_value(Run, row) for row in tx.all(query)]


def ids_among(tx: Tx, workspace_id: str, run_ids: Sequence[str]) -> set[str]:
    """Those of these runs that there are."""
    found: set[str] = set()
    for at in range(0, len(run_ids), 500):
        some = list(run_ids[at : at + 500])
        query = sa.select(runs.c.id).where(runs.c.workspace_id == workspace_id, runs.c.id.in_(some))
        found |= {row[0] for row in tx.all(query)}
    return found


def next_number(tx: Tx, task_id: str) -> int:
    """The number of the task's next run, counting from 1."""
    return int(_last_number.rows(tx, task_id=task_id)[0][0]) + 1


def change(tx: Tx, run: Run, **values: Any) -> bool:
    """Set columns of the run if nobody else has taken it over since `run` was read; whether that was so."""
    return _change_run(tx, run.id, run.workspace_id, run.epoch, **without(values, "state")) == 1


def move(tx: Tx, run: Run, to: RunState, **values: Any) -> bool:
    """Set the state, and columns with it, if nobody took the run over or moved it since it was read; whether so."""
    return _move_run(tx, run.id, run.workspace_id, run.epoch, run.state, **values, state=to) == 1


def due(tx: Tx, *, now: datetime, limit: int) -> Sequence[Run]:
    """Waiting runs of all workspaces whose time has come (for the sweep)."""
    query = (
        sa.select(*RUN_COLUMNS)
        .where(runs.c.wake_at.is_not(None), runs.c.wake_at <= now, runs.c.state == RunState.WAITING.value)
        .order_by(runs.c.wake_at)
        .limit(limit)
    )
    return [to_value(Run, row) for row in tx.all(query)]


def past_deadline(tx: Tx, *, now: datetime, limit: int) -> Sequence[Run]:
    """Runs that have not ended by their deadline (for the sweep)."""
    query = (
        sa.select(*RUN_COLUMNS)
        .where(
            runs.c.deadline_at.is_not(None),
            runs.c.deadline_at <= now,
            runs.c.state.not_in([s.value for s in RUN_ENDED]),
            runs.c.cancel_requested.is_(False),
        )
        .limit(limit)
    )
    return [to_value(Run, row) for row in tx.all(query)]


def queued_since(tx: Tx, *, before: datetime, limit: int) -> Sequence[Run]:
    """Runs that should be worked on and have not moved for long (for the reaper)."""
    query = (
        sa.select(*RUN_COLUMNS)
        .where(runs.c.state.in_([RunState.QUEUED.value, RunState.RUNNING.value]), runs.c.updated_at < before)
        .order_by(runs.c.updated_at)
        .limit(limit)
    )
    return [to_value(Run, row) for row in tx.all(query)]


def state_counts(tx: Tx) -> dict[str, int]:
    """How many runs of the installation have not ended, by state (metrics)."""
    query = (
        sa.select(runs.c.state, sa.func.count())
        .where(runs.c.state.not_in([s.value for s in RUN_ENDED]))
        .group_by(runs.c.state)
    )
    return {row[0]: int(row[1]) for row in tx.all(query)}


# --- steps ----------------------------------------------------------------------------------------


def add_step(tx: Tx, step: Step) -> None:
    """Insert a new step; the unique (run, seq) refuses a second author."""
    _insert_step(tx, **{c.name: getattr(step, c.name) for c in STEP_COLUMNS})


def get_step(tx: Tx, workspace_id: str, step_id: str) -> Step:
    """The step; NotFound when it is not in this workspace."""
    row = tx.one(sa.select(*STEP_COLUMNS).where(steps.c.workspace_id == workspace_id, steps.c.id == step_id))
    if row is None:
        raise NotFound("Step not found")
    return to_value(Step, row)


def steps_of(tx: Tx, workspace_id: str, run_id: str, *, after: int = 0) -> Sequence[Step]:
    """The steps of a run in order, from number `after` + 1."""
    return [to_value(Step, row) for row in _steps_after.rows(tx, ws=workspace_id, run_id=run_id, after=after)]


def open_steps_of(tx: Tx, workspace_id: str, run_id: str) -> Sequence[Step]:
    """The steps of a run that have not ended, in order."""
    return [to_value(Step, row) for row in _open_steps.rows(tx, ws=workspace_id, run_id=run_id)]


def change_step(tx: Tx, step: Step, **values: Any) -> bool:
    """Set columns of a step if it is still in the state it was read in; whether that was so."""
    return _change_step(tx, step.workspace_id, step.id, step.state, **without(values, "state")) == 1


def move_step(tx: Tx, step: Step, to: StepState, **values: Any) -> bool:
    """Set the state, and columns with it, if the step is still in the state it was read in; whether that was so."""
    return _change_step(tx, step.workspace_id, step.id, step.state, **values, state=to) == 1


# --- effects --------------------------------------------------------------------------------------


def add_effect(tx: Tx, effect: CallEffect) -> None:
    """Commit to a call before making it; the key is unique for ever."""
    _insert_effect(tx, **{c.name: getattr(effect, c.name) for c in EFFECT_COLUMNS})


def effect_of_step(tx: Tx, workspace_id: str, step_id: str) -> CallEffect | None:
    """The newest effect of a step."""
    row = tx.one(
        sa.select(*EFFECT_COLUMNS)
        .where(effects.c.workspace_id == workspace_id, effects.c.step_id == step_id)
        .order_by(effects.c.created_at.desc(), effects.c.id.desc())
    )
    return None if row is None else to_value(CallEffect, row)


def move_effect(tx: Tx, effect: CallEffect, to: EffectState, **values: Any) -> bool:
    """Set the state, and columns with it, if the effect is still in the state it was read in; whether that was so."""
    return _change_effect(tx, effect.workspace_id, effect.id, effect.state, **values, state=to) == 1


# --- spend ----------------------------------------------------------------------------------------


MEASURES = ("tokens_in", "tokens_out", "cost_micros", "guessed_micros", "calls")


def add_spend(
    tx: Tx, *, workspace_id: str, day: str, operator_id: str | None, task_id: str, model: str, spent: Mapping[str, int]
) -> None:
    """Enter what was spent on a day (`YYYY-MM-DD`, UTC): by operator and model, and by task. `spent` has MEASURES."""
    own = {"workspace_id": workspace_id, "day": day, "model": model}
    for table, key in ((spend, {**own, "operator_id": operator_id or ""}), (task_spend, {**own, "task_id": task_id})):
        tx.insert_if_absent(table, {**key, **dict.fromkeys(MEASURES, 0)}, key=tuple(key))
        tx.execute(
            sa.update(table)
            .where(*(table.c[k] == v for k, v in key.items()))
            .values({name: table.c[name] + spent[name] for name in MEASURES})
        )


def spent_lately(tx: Tx, workspace_id: str, *, operator_id: str, day: str, month: str) -> tuple[int, int, int]:
    """Micros spent by one operator since `day`, by all since `day`, and by all since `month` (no later than `day`)."""
    operator_day, all_day, all_month = _spent_lately.rows(
        tx, ws=workspace_id, operator_id=operator_id, day=day, month=month
    )[0]
    return int(operator_day), int(all_day), int(all_month)


def task_spent(tx: Tx, workspace_id: str, task_id: str) -> int:
    """Micros all runs of a task have cost."""
    return int(_task_spent.rows(tx, ws=workspace_id, task_id=task_id)[0][0])


_held_back = Prepared(
    sa.select(runs.c.task_id, sa.func.coalesce(tasks.c.operator_id, ""), runs.c.reserved_micros)
    .join(tasks, tasks.c.id == runs.c.task_id)
    .where(
        runs.c.workspace_id == sa.bindparam("ws"),
        # written out, so that the index that holds only these is taken
        sa.text("runs.reserved_micros > 0"),
        runs.c.state == RunState.RUNNING.value,
        runs.c.id != sa.bindparam("but"),
    )
)


def held_back(tx: Tx, workspace_id: str, *, but: str) -> Sequence[tuple[str, str, int]]:
    """What runs other than `but` hold back for model calls under way: (task, operator or "", micros) of each."""
    return [(row[0], row[1], int(row[2])) for row in _held_back.rows(tx, ws=workspace_id, but=but)]
