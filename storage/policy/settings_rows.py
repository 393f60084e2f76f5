"""The stored settings of a workspace: three sections of JSON, and the mode it works in."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.policy.stored_settings import StoredSettings
from storage.prepared import Prepared
from storage.tables import workspace_settings, workspaces
from storage.transaction import Tx

_select = (
    sa.select(
        workspaces.c.current_mode,
        workspace_settings.c.policy_config,
        workspace_settings.c.budget_config,
        workspace_settings.c.model_config,
        workspace_settings.c.version,
    )
    .select_from(workspaces.outerjoin(workspace_settings, workspace_settings.c.workspace_id == workspaces.c.id))
    .where(workspaces.c.id == sa.bindparam("ws"))
)
_get = Prepared(_select)
_get_locked = Prepared(_select.with_for_update(of=workspaces))


def get(tx: Tx, workspace_id: str, *, lock: bool = False) -> StoredSettings:
    """The settings of a workspace; NotFound when there is no such workspace."""
    found = (_get_locked if lock and tx.postgres else _get).rows(tx, ws=workspace_id)
    if not found:
        raise NotFound("Workspace not found")
    row = found[0]
    return StoredSettings(
        workspace_id=workspace_id,
        mode=row[0],
        policy=row[1] or {},
        budget=row[2] or {},
        model=row[3] or {},
        version=row[4] or 0,
    )


def put(
    tx: Tx,
    *,
    workspace_id: str,
    policy: dict[str, Any],
    budget: dict[str, Any],
    model: dict[str, Any],
    version: int,
    now: datetime,
) -> None:
    """Write all three sections."""
    tx.upsert(
        workspace_settings,
        {
            "workspace_id": workspace_id,
            "policy_config": policy,
            "budget_config": budget,
            "model_config": model,
            "version": version,
            "updated_at": now,
        },
        key=("workspace_id",),
    )
