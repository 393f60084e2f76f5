"""The keys an installation signs with, and signed with."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.ledger.rows import KeyRow
from storage.tables import signing_keys
from storage.transaction import Tx
from storage.values import columns_of, to_value


def all_keys(tx: Tx) -> Sequence[KeyRow]:
    """Every key the installation ever signed with, oldest first."""
    query = sa.select(*columns_of(signing_keys, KeyRow)).order_by(signing_keys.c.not_before)
    return [to_value(KeyRow, row) for row in tx.all(query)]


def add(tx: Tx, row: KeyRow) -> bool:
    """Make a key known; False when it was."""
    values = {c.name: getattr(row, c.name) for c in columns_of(signing_keys, KeyRow)}
    return tx.insert_if_absent(signing_keys, values, key=("key_id",))


def retire(tx: Tx, key_id: str, *, at_time: datetime) -> None:
    """Signatures of this key count only up to now."""
    tx.execute(
        sa.update(signing_keys)
        .where(signing_keys.c.key_id == key_id, signing_keys.c.retired_at.is_(None))
        .values(retired_at=at_time)
    )


def is_known(tx: Tx, key_id: str) -> bool:
    """Whether this key is one of the installation's; False in a store that has no tables yet."""
    if not sa.inspect(tx.connection).has_table(signing_keys.name):
        return False
    return tx.scalar(sa.select(signing_keys.c.key_id).where(signing_keys.c.key_id == key_id)) is not None


def is_retired(tx: Tx, key_id: str) -> bool:
    """Whether nothing may be signed with this key any more."""
    query = sa.select(signing_keys.c.retired_at).where(signing_keys.c.key_id == key_id)
    return tx.scalar(query) is not None
