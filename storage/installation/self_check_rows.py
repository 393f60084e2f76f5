"""Recorded runs of evaluations: what was proved, when, with which version."""

from collections.abc import Mapping

import sqlalchemy as sa

from domain.installation.self_check import SelfCheckRun
from storage.tables import eval_runs
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(eval_runs, SelfCheckRun)


def add(tx: Tx, run: SelfCheckRun) -> None:
    """Keep a run."""
    tx.execute(
        sa.insert(eval_runs).values(
            id=run.id,
            name=run.name,
            passed=run.passed,
            details=run.details,
            version=run.version,
            created_at=run.created_at,
        )
    )


def newest(tx: Tx) -> Mapping[str, SelfCheckRun]:
    """The newest run of each evaluation, by name."""
    latest = sa.select(eval_runs.c.name, sa.func.max(eval_runs.c.id).label("id")).group_by(eval_runs.c.name).subquery()
    rows = tx.all(sa.select(*COLUMNS).join(latest, eval_runs.c.id == latest.c.id))
    runs = [to_value(SelfCheckRun, row) for row in rows]
    return {run.name: run for run in runs}
