"""What receipts only hash: kept beside the log, and erased without breaking it."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.ledger.rows import Payload
from domain.receipts.stored import KeptPayload
from storage.tables import payloads
from storage.transaction import Tx
from storage.values import columns_of, to_value


def of_receipt(tx: Tx, workspace_id: str, receipt_id: str) -> Sequence[Payload]:
    """What a receipt hashes, as far as it was not erased."""
    query = sa.select(*columns_of(payloads, Payload)).where(
        payloads.c.workspace_id == workspace_id, payloads.c.receipt_id == receipt_id
    )
    return [to_value(Payload, row) for row in tx.all(query)]


def kept(tx: Tx, workspace_id: str, receipt_ids: Sequence[str]) -> dict[str, list[KeptPayload]]:
    """What each of these receipts hashes, as far as the store has it, by the receipt's id."""
    found: dict[str, list[KeptPayload]] = {receipt_id: [] for receipt_id in receipt_ids}
    c = payloads.c
    for at in range(0, len(receipt_ids), 500):
        some = list(receipt_ids[at : at + 500])
        query = sa.select(c.receipt_id, c.kind, c.salt, c.body, c.erased_at).where(
            c.workspace_id == workspace_id, c.receipt_id.in_(some)
        )
        for row in tx.all(query):
            found[row[0]].append(KeptPayload(kind=row[1], salt=row[2], body=row[3], erased_at=row[4]))
    return found


def erase(tx: Tx, workspace_id: str, *, now: datetime, receipt_ids: Sequence[str] | None = None) -> int:
    """Blank payloads (all of the workspace, or of some receipts); the log stays whole. How many."""
    query = sa.update(payloads).where(payloads.c.workspace_id == workspace_id, payloads.c.erased_at.is_(None))
    if receipt_ids is not None:
        query = query.where(payloads.c.receipt_id.in_(list(receipt_ids)))
    return tx.execute(query.values(body=None, salt="", erased_at=now)).rowcount
