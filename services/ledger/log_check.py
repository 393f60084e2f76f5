"""Receipts held against the signed log: their bytes, their place in the tree of the newest checkpoint, signatures."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from domain.errors import NotFound, PilotError
from domain.ledger.rows import LogHead, ReceiptRow
from domain.receipts import merkle
from domain.receipts.checkpoint import Checkpoint
from domain.receipts.errors import BadProof, LedgerError
from domain.receipts.receipt import Receipt, parse
from domain.receipts.signing import KeyRing
from domain.receipts.stored import UNREADABLE, KeptPayload, payload_problems
from services.ledger.append import Ledger
from storage.ledger import log_rows, payload_rows, receipt_rows
from storage.policy import snapshot_rows
from storage.transaction import Tx

NOT_IN_LOG = "log"
SIGNATURE = "signature"
CHAIN = "prev_hash"
MISSING = "policy: is missing"


@dataclass
class LogCheck:
    """One log as one transaction sees it. What does not hold is named in `differs` of the rows it gives back."""

    ledger: Ledger
    tx: Tx
    workspace_id: str

    @classmethod
    def of(cls, ledger: Ledger, tx: Tx, workspace_id: str) -> "LogCheck":
        """The check of this log in this transaction; made once, unless the log grew."""
        key = f"log check:{workspace_id}"
        found: LogCheck | None = tx.memo.get(key)
        if found is None or found.head != log_rows.head(tx, workspace_id):
            found = tx.memo[key] = cls(ledger, tx, workspace_id)
        return found

    @cached_property
    def head(self) -> LogHead:
        """Where the log ends."""
        return log_rows.head(self.tx, self.workspace_id)

    @cached_property
    def ring(self) -> KeyRing:
        """The known keys."""
        return self.ledger.ring(self.tx)

    @cached_property
    def signed(self) -> tuple[Checkpoint | None, str]:
        """The newest checkpoint as it was signed, and what is wrong with it or with the log under it ("" = nothing)."""
        try:
            self.ledger.check_length(self.workspace_id, self.head.size)
            found = self.ledger.open_newest(self.tx, self.workspace_id)
        except LedgerError as damage:
            return None, str(damage)
        if found is not None and found.size > self.head.size:
            return None, f"the log has {self.head.size} receipts, a checkpoint of {found.size} was signed"
        return found, ""

    def check(self, rows: Sequence[ReceiptRow], *, signatures: bool = False) -> list[ReceiptRow]:
        """The rows, each with all that does not hold of it.

        What the newest checkpoint covers is proved to be in its tree; what is newer must be signed, chained, and in
        the tree of the log's head. With `signatures` those of all rows are checked.
        """
        checkpoint = self.signed[0]
        covered = 0 if checkpoint is None else checkpoint.size
        inside = {row.idx: row.leaf_hash for row in rows if 0 <= row.idx < covered}
        beyond = {row.idx: row.leaf_hash for row in rows if covered <= row.idx < self.head.size}
        outside = {row.idx for row in rows} - inside.keys() - beyond.keys()
        if checkpoint is not None:
            outside |= self._not_in_tree(inside, size=checkpoint.size, root=checkpoint.root)
        if beyond:
            outside |= self._not_in_tree(beyond, size=self.head.size, root=self._root_of_head())
        return [
            self._noted(
                self._with(
                    row,
                    NOT_IN_LOG if row.idx in outside else "",
                    *(self._signature(row, chained=row.idx in beyond) if signatures or row.idx in beyond else ()),
                )
            )
            for row in rows
        ]

    def _noted(self, row: ReceiptRow) -> ReceiptRow:
        self._note(f"receipt {row.idx}", row.differs)
        return row

    def _note(self, subject: str, differs: tuple[str, ...]) -> None:
        if differs or self.workspace_id in self.ledger.altered:
            self.ledger.note(self.workspace_id, subject, differs)

    def missing(self, rows: Sequence[ReceiptRow], *, before: int | None, limit: int) -> list[int]:
        """Places that hold no receipt: of a page of all receipts before this place, newest first."""
        top = self.head.size if before is None else min(before, self.head.size)
        bottom = rows[-1].idx if len(rows) == limit else 0
        # what is missing altogether is said once: a page is not made longer by it
        bottom = max(bottom, top - 2 * limit)
        there = {row.idx for row in rows}
        found = [place for place in range(top - 1, bottom - 1, -1) if place not in there]
        if found or (before is None and self.workspace_id in self.ledger.altered):
            self._note("receipts", tuple(f"{place} is missing" for place in found[:5]))
        return found

    def check_whole(self, row: ReceiptRow) -> ReceiptRow:
        """One receipt with everything that belongs to it: signature, place, and the payloads its hashes stand for."""
        [checked] = self.check([row], signatures=True)
        kept = payload_rows.kept(self.tx, self.workspace_id, [row.id])[row.id]
        return self._with(checked, *self.payload_problems(row, kept), self.policy_problem(row))

    def policy_problem(self, row: ReceiptRow) -> str:
        """What is wrong with the kept policy that a decision names; "" = nothing."""
        if row.kind != "decision" or not row.policy_hash:
            return ""
        problem = self.policy(row.policy_hash)[1]
        if problem != MISSING:
            return problem
        # what is kept of a workspace goes with it
        lawful = self.erased_after(row.idx)
        self._note(f"policy {row.policy_hash}", () if lawful else (MISSING,))
        return "" if lawful else MISSING

    def policy(self, policy_hash: str) -> tuple[str | None, str]:
        """The snapshot of an effective policy, None when it is not the one with this hash, and what is wrong."""
        snapshot = snapshot_rows.get(self.tx, self.workspace_id, policy_hash)
        if snapshot is None:
            return None, MISSING
        problem = "" if hashlib.sha256(snapshot.encode()).hexdigest() == policy_hash else "policy: was changed"
        self._note(f"policy {policy_hash}", (problem,) if problem else ())
        return (None, problem) if problem else (snapshot, "")

    def payload_problems(self, row: ReceiptRow, kept: Sequence[KeptPayload]) -> tuple[str, ...]:
        """What of the kept payloads of a receipt does not agree with the hashes in its bytes."""
        if UNREADABLE in row.differs:
            return ()
        gone = any(payload.body is None for payload in kept)
        found = payload_problems(receipt_rows.body_of(row), kept, erased_lawfully=gone and self.erased_after(row.idx))
        self._note(f"payloads of receipt {row.idx}", found)
        return found

    def erased_after(self, index: int) -> bool:
        """Whether a signed receipt from this place on tells that payloads were erased."""
        return self._last_erasure > index

    @cached_property
    def _last_erasure(self) -> int:
        newest = receipt_rows.newest_about(
            self.tx, self.workspace_id, actions=("user:erased", "workspace:purged"), limit=5
        )
        sound = [row.idx for row in self.check(newest, signatures=True) if not row.differs]
        return max(sound, default=-1)

    # --- one row ----------------------------------------------------------------------------------

    @staticmethod
    def _with(row: ReceiptRow, *more: str) -> ReceiptRow:
        new = [one for one in more if one and one not in row.differs]
        return replace(row, differs=(*row.differs, *new)) if new else row

    def _signature(self, row: ReceiptRow, *, chained: bool) -> Sequence[str]:
        if self.ledger.was_checked(row.leaf_hash) and not chained:
            return ()
        try:
            receipt = parse(row.leaf)
            self.ledger.check_signature(receipt, ring=self.ring)
        except PilotError:
            return (SIGNATURE,)
        if chained and not self._chained(row, receipt):
            return (CHAIN,)
        return ()

    def _chained(self, row: ReceiptRow, receipt: Receipt) -> bool:
        """Whether the neighbours of a receipt that no checkpoint covers yet name each other.

        The signature leaves out who, when and what for; the next receipt's signed `prev_hash` covers them.
        """
        if receipt.lamport_clock != row.idx + 1:
            return False
        around = dict(receipt_rows.leaves(self.tx, self.workspace_id, start=max(0, row.idx - 1), end=row.idx + 2))
        try:
            before = parse(around[row.idx - 1]).chain_hash if row.idx else ""
            after = parse(around[row.idx + 1]) if row.idx + 1 < self.head.size else None
            if after is not None:
                self.ledger.check_signature(after, ring=self.ring)
        except (PilotError, KeyError):
            return False
        follows = self.head.chain_hash if after is None else after.prev_hash
        return receipt.prev_hash == before and follows == receipt.chain_hash

    # --- the tree ---------------------------------------------------------------------------------

    def _root_of_head(self) -> bytes:
        try:
            return merkle.Frontier.from_bytes(self.head.size, self.head.frontier).root()
        except BadProof:
            return b""

    def _not_in_tree(self, leaves: Mapping[int, bytes], *, size: int, root: bytes) -> set[int]:
        """The indices of those leaves that do not lead to the root."""
        if not leaves or self._leads(leaves, size=size, root=root):
            return set()
        return {index for index, leaf in leaves.items() if not self._leads({index: leaf}, size=size, root=root)}

    def _leads(self, leaves: Mapping[int, bytes], *, size: int, root: bytes) -> bool:
        try:
            found = self.ledger.prove(self.tx, self.workspace_id, lambda nodes: merkle.root_over(size, leaves, nodes))
        except (BadProof, NotFound):
            return False
        return found == root
