"""Audit lines held against the log: what the receipt of each says, and which receipts have none."""

from collections.abc import Sequence
from dataclasses import replace

from domain.evidence.lines import line_differs
from domain.ledger.audit import AuditEntry
from domain.ledger.rows import ReceiptRow
from services.ledger.records import Records
from storage.ledger import receipt_rows

# of an audit line: a line before it is gone
MISSING_BEFORE = "before"
PAGE = 50


def checked_lines(records: Records, entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    """Audit lines, each with what differs of it."""
    names = [entry.receipt_id for entry in entries if entry.receipt_id is not None]
    said = {one.id: one for one in records.bare(receipt_rows.by_ids(records.tx, records.workspace_id, names))}
    erased = len(names) < len(entries) and records.log.erased_after(-1)
    return [
        records.note(
            "audit line",
            replace(entry, differs=line_differs(entry, said.get(entry.receipt_id or ""), erased=erased)),
        )
        for entry in entries
    ]


def complete_lines(records: Records, entries: Sequence[AuditEntry], *, newest: bool, oldest: bool) -> list[AuditEntry]:
    """Lines of all kinds, newest first; one that follows upon a line that is gone differs in `before`.

    Every receipt has a line of the same moment. `newest` and `oldest` say that nothing newer or older is left out.
    """
    gone = _without_line(records, entries, newest=newest, oldest=oldest)
    if gone:
        said = tuple(f"no line of receipt {row.idx}" for row in gone[:5])
        records.ledger.note(records.workspace_id, "audit log", said)
    after = {
        max((at for at, entry in enumerate(entries) if entry.created_at > row.created_at), default=0) for row in gone
    }
    return [
        replace(entry, differs=(*entry.differs, MISSING_BEFORE)) if at in after else entry
        for at, entry in enumerate(entries)
    ]


def _without_line(records: Records, entries: Sequence[AuditEntry], *, newest: bool, oldest: bool) -> list[ReceiptRow]:
    """Receipts, no newer and no older than these lines, that none of the lines names."""
    named = {entry.receipt_id for entry in entries if entry.receipt_id is not None}
    places = [row.idx for row in receipt_rows.by_ids(records.tx, records.workspace_id, list(named))]
    end = records.log.head.size if newest else max(places, default=-1) + 1
    start = 0 if oldest else min(places, default=end)
    # more are gone than lines are shown: the newest of them say enough
    start = max(start, end - 2 * len(entries) - PAGE)
    rows = receipt_rows.rows_between(records.tx, records.workspace_id, start=start, end=end)
    moments = [entry.created_at for entry in entries]
    return [
        row
        for row in rows
        if row.id not in named
        # lines that were erased name no receipt any more
        and not records.log.erased_after(row.idx - 1)
        and (newest or row.created_at < max(moments, default=row.created_at))
        and (oldest or row.created_at > min(moments, default=row.created_at))
    ]
