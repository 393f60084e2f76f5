"""Receipts as they are read: each held against its signed bytes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from domain.errors import NotFound
from domain.ledger.rows import ReceiptRow
from domain.receipts.merkle import leaf_hash
from domain.receipts.stored import UNREADABLE, columns_said
from storage.tables import IS_RARE, receipts
from storage.transaction import Tx
from storage.values import columns_of

COLUMNS = columns_of(receipts, ReceiptRow)
_NAMES = tuple(c.name for c in COLUMNS)
_KEYS = ("workspace_id", "idx", "id")


def _as_bytes(value: object) -> bytes:
    """Return a stored value as bytes. SQLite keeps what it is given: somebody else may have put text there."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]


def _receipt(row: Any) -> ReceiptRow:
    """The receipt a row of COLUMNS holds: the one place where columns are held against the signed bytes."""
    stored = dict(zip(_NAMES, row, strict=True))
    leaf = _as_bytes(stored["leaf"])
    said = columns_said(leaf)
    if said is None:
        return ReceiptRow(**{**stored, "leaf": leaf, "leaf_hash": leaf_hash(leaf)}, differs=(UNREADABLE,))
    said |= {"leaf": leaf, "leaf_hash": leaf_hash(leaf)}
    differs = tuple(name for name in _NAMES if stored[name] != said[name])
    return ReceiptRow(**said | {name: stored[name] for name in _KEYS}, differs=differs)


def get(tx: Tx, workspace_id: str, receipt_id: str) -> ReceiptRow:
    """One receipt by its id."""
    row = tx.one(sa.select(*COLUMNS).where(receipts.c.workspace_id == workspace_id, receipts.c.id == receipt_id))
    if row is None:
        raise NotFound("Receipt not found")
    return _receipt(row)


def at(tx: Tx, workspace_id: str, idx: int) -> ReceiptRow:
    """One receipt by its place in the log."""
    row = tx.one(sa.select(*COLUMNS).where(receipts.c.workspace_id == workspace_id, receipts.c.idx == idx))
    if row is None:
        raise NotFound("Receipt not found")
    return _receipt(row)


def by_decision(tx: Tx, workspace_id: str, decision_id: str) -> Sequence[ReceiptRow]:
    """Receipts about one decision, in the order of the log."""
    query = (
        sa.select(*COLUMNS)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.decision_id == decision_id)
        .order_by(receipts.c.idx)
    )
    return [_receipt(row) for row in tx.all(query)]


def by_decisions(tx: Tx, workspace_id: str, decision_ids: Sequence[str]) -> Sequence[ReceiptRow]:
    """Receipts about any of these decisions, in the order of the log."""
    return _in(tx, workspace_id, receipts.c.decision_id, decision_ids)


def by_ids(tx: Tx, workspace_id: str, receipt_ids: Sequence[str]) -> Sequence[ReceiptRow]:
    """Those of these receipts that there are, in the order of the log."""
    return _in(tx, workspace_id, receipts.c.id, receipt_ids)


def _in(tx: Tx, workspace_id: str, column: sa.Column[str], values: Sequence[str]) -> Sequence[ReceiptRow]:
    found: list[ReceiptRow] = []
    for at in range(0, len(values), 500):
        query = sa.select(*COLUMNS).where(receipts.c.workspace_id == workspace_id, column.in_(values[at : at + 500]))
        found += [_receipt(row) for row in tx.all(query)]
    return sorted(found, key=lambda row: row.idx)


def decisions_about(tx: Tx, workspace_id: str, *, resource: str, after: int, limit: int = 200) -> Iterator[ReceiptRow]:
    """Decisions about a tool, later than this place, newest first, read piece by piece."""
    c = receipts.c
    before: int | None = None
    while True:
        query = sa.select(*COLUMNS).where(
            c.workspace_id == workspace_id, c.idx > after, c.kind == "decision", c.resource == resource[:200]
        )
        if before is not None:
            query = query.where(c.idx < before)
        page = [_receipt(row) for row in tx.all(query.order_by(c.idx.desc()).limit(limit))]
        yield from (row for row in page if UNREADABLE not in row.differs)
        if len(page) < limit:
            return
        before = page[-1].idx


def of_task(tx: Tx, workspace_id: str, task_id: str) -> Sequence[ReceiptRow]:
    """Receipts about one task, in the order of the log."""
    query = (
        sa.select(*COLUMNS)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.task_id == task_id)
        .order_by(receipts.c.idx)
    )
    return [_receipt(row) for row in tx.all(query)]


def newest_with_hash(tx: Tx, workspace_id: str, prefix: str, *, among: int) -> ReceiptRow | None:
    """The newest of the last `among` receipts whose leaf's hash begins with these hex digits."""
    c = receipts.c
    query = sa.select(c.idx, c.leaf_hash).where(c.workspace_id == workspace_id).order_by(c.idx.desc()).limit(among)
    index = next((row[0] for row in tx.all(query) if bytes(row[1]).hex().startswith(prefix)), None)
    return None if index is None else at(tx, workspace_id, index)


def of_run(tx: Tx, workspace_id: str, task_id: str, run_id: str) -> Sequence[ReceiptRow]:
    """Receipts about one run of a task, in the order of the log."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id, c.task_id == task_id, c.run_id == run_id)
    return [_receipt(row) for row in tx.all(query.order_by(c.idx))]


def find(
    tx: Tx,
    workspace_id: str,
    *,
    limit: int,
    kinds: Sequence[str] = (),
    verdict: str | None = None,
    before_idx: int | None = None,
    before: datetime | None = None,
) -> Sequence[ReceiptRow]:
    """Receipts of the workspace, newest first."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id)
    if kinds:
        query = query.where(c.kind.in_(list(kinds)))
    if verdict is not None:
        query = query.where(c.verdict == verdict)
    if before_idx is not None:
        query = query.where(c.idx < before_idx)
    if before is not None:
        query = query.where(c.created_at < before)
    return [_receipt(row) for row in tx.all(query.order_by(c.idx.desc()).limit(limit))]


def body_of(row: ReceiptRow) -> dict[str, Any]:
    """What the signed bytes of a receipt say. Check `differs` first: nothing is checked here."""
    body: dict[str, Any] = orjson.loads(row.leaf)
    return body


def newest_about(
    tx: Tx,
    workspace_id: str,
    *,
    actions: Sequence[str],
    resource: str | None = None,
    limit: int,
    before_idx: int | None = None,
) -> Sequence[ReceiptRow]:
    """The newest receipts of rare actions (`storage.tables.RARE`), newest first; with `resource` only about that."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id, sa.text(IS_RARE), c.action.in_(list(actions)))
    if resource is not None:
        query = query.where(c.resource == resource)
    if before_idx is not None:
        query = query.where(c.idx < before_idx)
    return [_receipt(row) for row in tx.all(query.order_by(c.idx.desc()).limit(limit))]


def leaves(tx: Tx, workspace_id: str, *, start: int, end: int) -> Sequence[tuple[int, bytes]]:
    """Index and exact bytes of the receipts from `start` (inclusive) to `end` (exclusive)."""
    query = (
        sa.select(receipts.c.idx, receipts.c.leaf)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.idx >= start, receipts.c.idx < end)
        .order_by(receipts.c.idx)
    )
    return [(int(row[0]), _as_bytes(row[1])) for row in tx.all(query)]


def places(
    tx: Tx,
    workspace_id: str,
    *,
    size: int,
    start: int = 0,
    end: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[int]:
    """The indices, below `size`, of receipts within these places and times; `end` and `until` are exclusive."""
    c = receipts.c
    last = size if end is None else min(end, size)
    query = sa.select(c.idx).where(c.workspace_id == workspace_id, c.idx >= start, c.idx < last)
    if since is not None:
        query = query.where(c.created_at >= since)
    if until is not None:
        query = query.where(c.created_at < until)
    return [int(row[0]) for row in tx.all(query.order_by(c.idx))]


def rows_between(tx: Tx, workspace_id: str, *, start: int, end: int) -> Sequence[ReceiptRow]:
    """The receipts from `start` (inclusive) to `end` (exclusive), in their order."""
    c = receipts.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id, c.idx >= start, c.idx < end).order_by(c.idx)
    return [_receipt(row) for row in tx.all(query)]
