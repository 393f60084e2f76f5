"""How the HELM sidecar was, look by look."""

from datetime import datetime

import sqlalchemy as sa

from domain.policy.sidecar import SidecarSnapshot
from storage.tables import helm_snapshots
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(helm_snapshots, SidecarSnapshot)


def add(tx: Tx, snapshot: SidecarSnapshot) -> None:
    """Keep a look."""
    tx.execute(sa.insert(helm_snapshots).values({c.name: getattr(snapshot, c.name) for c in COLUMNS}))


def newest(tx: Tx) -> SidecarSnapshot | None:
    """The last one that was kept."""
    row = tx.one(sa.select(*COLUMNS).order_by(helm_snapshots.c.checked_at.desc(), helm_snapshots.c.id.desc()).limit(1))
    return None if row is None else to_value(SidecarSnapshot, row)


def purge(tx: Tx, *, before: datetime) -> int:
    """Forget older ones; how many."""
    return tx.execute(sa.delete(helm_snapshots).where(helm_snapshots.c.checked_at < before)).rowcount
