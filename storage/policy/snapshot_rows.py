"""Snapshots of effective policies by their hash, so that decisions under them can be replayed."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.tables import policies
from storage.transaction import Tx


def keep(tx: Tx, *, workspace_id: str, policy_hash: str, snapshot: str, now: datetime) -> None:
    """Keep an effective policy by its hash, so that decisions under it can be replayed."""
    tx.insert_if_absent(
        policies,
        {"workspace_id": workspace_id, "policy_hash": policy_hash, "snapshot": snapshot, "created_at": now},
        key=("workspace_id", "policy_hash"),
    )


def get(tx: Tx, workspace_id: str, policy_hash: str) -> str | None:
    """The snapshot of an effective policy (canonical JSON), None when it was never in force here."""
    found: Any = tx.scalar(
        sa.select(policies.c.snapshot).where(
            policies.c.workspace_id == workspace_id, policies.c.policy_hash == policy_hash
        )
    )
    return None if found is None else str(found)
