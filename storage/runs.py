"""All SQL about runs, their steps, and the effects that left the process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.runs import RUN_ENDED, Run, RunState, Step
from storage.database import Prepared, Tx
from storage.tables import effects, runs, spend, steps, task_spend, tasks
from storage.values import columns_of, to_value

RUN_COLUMNS = columns_of(runs, Run)
STEP_COLUMNS = columns_of(steps, Step)

_insert_run = Prepared(sa.insert(runs).values({c.name: sa.bindparam(c.name) for c in RUN_COLUMNS}))
_insert_step = Prepared(sa.insert(steps).values({c.name: sa.bindparam(c.name) for c in STEP_COLUMNS}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A call that left the process. `state` is intent, done, failed, uncertain or settled."""

    id: str
    workspace_id: str
    run_id: str
    step_id: str
    idempotency_key: str
    tool: str
    state: str
    attempts: int
    created_at: datetime
    finished_at: datetime | None


EFFECT_COLUMNS = columns_of(effects, Effect)


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
    query = sa.select(*RUN_COLUMNS).where(runs.c.id == run_id)
    row = tx.one(tx.lock(query) if lock else query)
    return None if row is None else to_value(Run, row)


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
    query = sa.select(*RUN_COLUMNS).where(
        runs.c.workspace_id == workspace_id,
        runs.c.task_id == task_id,
        runs.c.state.not_in([s.value for s in RUN_ENDED]),
    )
    row = tx.one(query)
    return None if row is None else to_value(Run, row)


def active_in(tx: Tx, workspace_id: str) -> Sequence[Run]:
    """Runs of a workspace that have not ended, newest first."""
    query = (
        sa.select(*RUN_COLUMNS)
        .where(runs.c.workspace_id == workspace_id, runs.c.state.not_in([s.value for s in RUN_ENDED]))
        .order_by(runs.c.created_at.desc())
    )
    return [to_value(Run, row) for row in tx.all(query)]


def next_number(tx: Tx, task_id: str) -> int:
    """The number of the task's next run, counting from 1."""
    return (
        int(tx.scalar(sa.select(sa.func.coalesce(sa.func.max(runs.c.number), 0)).where(runs.c.task_id == task_id))) + 1
    )


def change(tx: Tx, run: Run, **values: Any) -> bool:
    """Set columns of the run if nobody else has taken it over since `run` was read; whether that was so."""
    result = tx.execute(
        sa.update(runs)
        .where(runs.c.id == run.id, runs.c.workspace_id == run.workspace_id, runs.c.epoch == run.epoch)
        .values(**values)
    )
    return result.rowcount == 1


def due(tx: Tx, *, now: datetime, limit: int) -> Sequence[Run]:
    """Waiting runs of all workspaces whose time has come (for the sweep)."""
    query = (
        sa.select(*RUN_COLUMNS)
        .where(runs.c.wake_at.is_not(None), runs.c.wake_at <= now, runs.c.state == RunState.WAITING.value)
        .order_by(runs.c.wake_at)
        .limit(limit)
    )
    return [to_value(Run, row) for row in tx.all(tx.lock_due(query))]


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
    return [to_value(Run, row) for row in tx.all(tx.lock_due(query))]


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
    query = (
        sa.select(*STEP_COLUMNS)
        .where(steps.c.workspace_id == workspace_id, steps.c.run_id == run_id, steps.c.seq > after)
        .order_by(steps.c.seq)
    )
    return [to_value(Step, row) for row in tx.all(query)]


def change_step(tx: Tx, workspace_id: str, step_id: str, *, expected: str | None = None, **values: Any) -> bool:
    """Set columns of a step if it is still in state `expected` (any, when None); whether that was so."""
    query = sa.update(steps).where(steps.c.workspace_id == workspace_id, steps.c.id == step_id)
    if expected is not None:
        query = query.where(steps.c.state == expected)
    return tx.execute(query.values(**values)).rowcount == 1


# --- effects --------------------------------------------------------------------------------------


def add_effect(tx: Tx, effect: Effect) -> None:
    """Commit to a call before making it; the key is unique for ever."""
    tx.execute(sa.insert(effects).values({c.name: getattr(effect, c.name) for c in EFFECT_COLUMNS}))


def effect_of_step(tx: Tx, workspace_id: str, step_id: str) -> Effect | None:
    """The newest effect of a step."""
    row = tx.one(
        sa.select(*EFFECT_COLUMNS)
        .where(effects.c.workspace_id == workspace_id, effects.c.step_id == step_id)
        .order_by(effects.c.created_at.desc(), effects.c.id.desc())
    )
    return None if row is None else to_value(Effect, row)


def change_effect(tx: Tx, effect_id: str, **values: Any) -> None:
    """Set columns of an effect."""
    tx.execute(sa.update(effects).where(effects.c.id == effect_id).values(**values))


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


def spent(tx: Tx, workspace_id: str, *, since_day: str, operator_id: str | None = None) -> int:
    """Micros spent since a day (inclusive), by one operator or by all."""
    query = sa.select(sa.func.coalesce(sa.func.sum(spend.c.cost_micros), 0)).where(
        spend.c.workspace_id == workspace_id, spend.c.day >= since_day
    )
    if operator_id is not None:
        query = query.where(spend.c.operator_id == operator_id)
    return int(tx.scalar(query))


def task_spent(tx: Tx, workspace_id: str, task_id: str) -> int:
    """Micros all runs of a task have cost."""
    return int(
        tx.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(runs.c.cost_micros), 0)).where(
                runs.c.workspace_id == workspace_id, runs.c.task_id == task_id
            )
        )
    )


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
