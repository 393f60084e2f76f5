"""API keys of workspaces. Keys are kept as hashes only."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.identity.credentials import ApiKey
from storage.tables import api_keys, users
from storage.transaction import Tx
from storage.values import columns_of, to_columns, to_value, to_value_and_last

COLUMNS = columns_of(api_keys, ApiKey)


def add(tx: Tx, key: ApiKey) -> None:
    """Insert a new key."""
    tx.execute(sa.insert(api_keys).values(to_columns(COLUMNS, key)))


def by_hash(tx: Tx, key_hash: str) -> tuple[ApiKey, str] | None:
    """The key with this hash and its person's name."""
    row = tx.one(
        sa.select(*COLUMNS, users.c.name)
        .join(users, users.c.id == api_keys.c.user_id)
        .where(api_keys.c.key_hash == key_hash, users.c.erased_at.is_(None))
    )
    return None if row is None else to_value_and_last(ApiKey, row)


def of_workspace(tx: Tx, workspace_id: str) -> Sequence[ApiKey]:
    """Keys of a workspace, newest first."""
    query = sa.select(*COLUMNS).where(api_keys.c.workspace_id == workspace_id).order_by(api_keys.c.created_at.desc())
    return [to_value(ApiKey, row) for row in tx.all(query)]


def revoke(tx: Tx, workspace_id: str, key_id: str, *, now: datetime) -> bool:
    """End a key; False when there is no live one."""
    result = tx.execute(
        sa.update(api_keys)
        .where(api_keys.c.workspace_id == workspace_id, api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return result.rowcount == 1


def revoke_of_member(tx: Tx, workspace_id: str, user_id: str, *, now: datetime) -> None:
    """End the keys a person made for a workspace."""
    tx.execute(
        sa.update(api_keys)
        .where(api_keys.c.workspace_id == workspace_id, api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def used(tx: Tx, key_id: str, *, now: datetime) -> None:
    """Note the last use of a key."""
    tx.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))
