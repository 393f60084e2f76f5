"""All SQL about what the installation's own model keys paid for all workspaces together, and what is held back."""

import sqlalchemy as sa

from domain.runs.run import RunState
from storage.installation.locks import take_in
from storage.tables import installation_spend, runs
from storage.transaction import Tx


def lock(tx: Tx) -> None:
    """Let no other transaction enter or hold back anything until this one ends. Taken after a workspace's own lock."""
    take_in(tx, "installation-spend")


def enter(tx: Tx, *, day: str, micros: int) -> None:
    """Add to what was paid on a day (`YYYY-MM-DD`, UTC). It stays when the workspace is gone."""
    lock(tx)
    tx.insert_if_absent(installation_spend, {"day": day, "cost_micros": 0}, key=("day",))
    c = installation_spend.c
    tx.execute(sa.update(installation_spend).where(c.day == day).values(cost_micros=c.cost_micros + micros))


def used(tx: Tx, *, day: str, month: str, but: str = "") -> tuple[int, int, int]:
    """Micros paid since `day`, paid since `month` (no later than `day`), and held back by runs other than `but`."""
    # one statement sees one moment: what a run gives back and what it paid change together
    c = installation_spend.c
    paid = sa.func.coalesce(sa.func.sum(c.cost_micros), 0)
    held = sa.select(sa.func.coalesce(sa.func.sum(runs.c.reserved_installation_micros), 0)).where(
        # written out, so that the index that holds only these is taken
        sa.text("runs.reserved_installation_micros > 0"),
        runs.c.state == RunState.RUNNING.value,
        runs.c.id != but,
    )
    row = tx.one(
        sa.select(
            sa.select(paid).where(c.day >= day).scalar_subquery(),
            sa.select(paid).where(c.day >= month).scalar_subquery(),
            held.scalar_subquery(),
        )
    )
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])
