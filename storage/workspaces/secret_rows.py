"""All SQL about the secrets of workspaces; what is kept is sealed, never the value."""

from collections.abc import Sequence

import sqlalchemy as sa

from domain.workspaces.secret import Secret
from storage.tables import secrets
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(secrets, Secret)


def put(tx: Tx, secret: Secret) -> None:
    """Keep this as the one secret of its kind in its workspace."""
    tx.upsert(secrets, {c.name: getattr(secret, c.name) for c in COLUMNS}, key=("workspace_id", "kind"))


def find(tx: Tx, workspace_id: str) -> Sequence[Secret]:
    """The secrets of a workspace by kind."""
    query = sa.select(*COLUMNS).where(secrets.c.workspace_id == workspace_id).order_by(secrets.c.kind)
    return [to_value(Secret, row) for row in tx.all(query)]


def get(tx: Tx, workspace_id: str, kind: str) -> Secret | None:
    """The secret of a kind, None when the workspace has none."""
    row = tx.one(sa.select(*COLUMNS).where(secrets.c.workspace_id == workspace_id, secrets.c.kind == kind))
    return None if row is None else to_value(Secret, row)


def remove(tx: Tx, workspace_id: str, kind: str) -> bool:
    """Forget the secret of a kind; whether there was one."""
    gone = tx.execute(sa.delete(secrets).where(secrets.c.workspace_id == workspace_id, secrets.c.kind == kind))
    return bool(gone.rowcount)
