"""Checkpoints of a log and the proofs under them: that a receipt is in it, that it only grew, and its tiles."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.integrity import Altered
from domain.ledger.rows import CheckpointRow, Payload, ReceiptRow
from domain.receipts import merkle
from domain.receipts.checkpoint import TILE_WIDTH, entries_bytes, parse_tile_path, tile_bytes, tile_width
from domain.receipts.errors import BadProof, LedgerError
from domain.receipts.signing import KeyRing
from services.ledger.alarm import Alarm
from services.ledger.append import DamagedLog, Ledger
from services.ledger.log_check import LogCheck
from services.ledger.receipts import shown_body
from storage.database import Store
from storage.ledger import checkpoint_rows, log_rows, payload_rows, receipt_rows
from storage.transaction import Tx

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """One receipt with the proof that it is in the log a checkpoint was signed for."""

    receipt: ReceiptRow
    body: dict[str, Any]
    payloads: Sequence[Payload]
    path: Sequence[bytes]
    checkpoint: CheckpointRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofService:
    """Use cases about proving what is in a log to somebody who trusts only its keys."""

    store: Store
    ledger: Ledger
    alarm: Alarm | None = None

    async def ring(self) -> KeyRing:
        """Every public key the installation ever signed with."""
        return await self.store.read(self.ledger.ring)

    async def checkpoint(self, actor: Actor) -> CheckpointRow:
        """The signed checkpoint of the log as it stands."""
        require(actor, Action.RECEIPT_READ)
        return await self.store.write(lambda tx: self.ledger.checkpoint(tx, actor.in_workspace))

    async def sign_grown_logs(self, *, limit: int = 50) -> int:
        """Sign checkpoints of logs that have grown; how many."""

        def work(tx: Tx) -> int:
            grown = [one for one in checkpoint_rows.unsigned_logs(tx, limit=limit) if one not in self.ledger.damaged]
            for workspace_id in grown:
                try:
                    self.ledger.checkpoint(tx, workspace_id)
                except DamagedLog as damage:
                    # it is closed now; the others are not held up
                    log.error("ledger_damaged", extra={"workspace": workspace_id, "why": str(damage)})  # noqa: TRY400
            return len(grown)

        return await self.store.write(work)

    async def inclusion(self, actor: Actor, receipt_id: str) -> Inclusion:
        """A receipt with its audit path to the current checkpoint.

        One that does not hold is shown too: `receipt.differs` says what differs, the path may be empty, and the
        checkpoint is the last one there is. Altered when there is none.
        """
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Inclusion:
            row = receipt_rows.get(tx, workspace_id, receipt_id)
            # before anything new is signed
            row = LogCheck.of(self.ledger, tx, workspace_id).check_whole(row)
            checkpoint = self._checkpoint(tx, workspace_id)
            try:
                path: Sequence[bytes] = self.ledger.prove(
                    tx, workspace_id, lambda nodes: merkle.inclusion_proof(row.idx, checkpoint.size, nodes)
                )
            except (LedgerError, NotFound):
                path = ()
            return Inclusion(
                receipt=row,
                body=shown_body(row),
                payloads=payload_rows.of_receipt(tx, workspace_id, row.id),
                path=path,
                checkpoint=checkpoint,
            )

        found = await self.store.write(work)
        if self.alarm is not None:
            await self.alarm.tell()
        return found

    def _checkpoint(self, tx: Tx, workspace_id: str) -> CheckpointRow:
        """The checkpoint of the log as it stands, or the last one of a log that takes none any more."""
        try:
            return self.ledger.checkpoint(tx, workspace_id)
        except LedgerError as damage:
            last = checkpoint_rows.newest(tx, workspace_id)
            if last is None:
                raise Altered(f"the log does not hold: {damage}", differs=("log",)) from damage
            return last

    async def proof_at(self, actor: Actor, index: int, size: int | None) -> tuple[ReceiptRow, Sequence[bytes], int]:
        """The audit path of the receipt at `index` in the tree of `size` receipts (the whole log when None)."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[ReceiptRow, Sequence[bytes], int]:
            whole = log_rows.head(tx, workspace_id).size
            wanted = whole if size is None else size
            if not 0 <= index < wanted <= whole:
                raise NotFound("the log has no such receipt at that size")
            row = receipt_rows.at(tx, workspace_id, index)
            path = self.ledger.prove(tx, workspace_id, lambda nodes: merkle.inclusion_proof(index, wanted, nodes))
            return row, path, wanted

        return await self.store.read(work)

    async def consistency(self, actor: Actor, old: int, new: int | None) -> tuple[Sequence[bytes], bytes, bytes, int]:
        """The proof that the log of `new` receipts extends the one of `old`; path, both roots, new size."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[Sequence[bytes], bytes, bytes, int]:
            whole = log_rows.head(tx, workspace_id).size
            size = whole if new is None else new
            if not 0 < old <= size <= whole:
                raise NotFound("the log has no such sizes")
            path, before, after = self.ledger.prove(
                tx,
                workspace_id,
                lambda nodes: (
                    merkle.consistency_proof(old, size, nodes),
                    merkle.root(old, nodes),
                    merkle.root(size, nodes),
                ),
            )
            return path, before, after, size

        return await self.store.read(work)

    async def tile(self, actor: Actor, path: str) -> bytes:
        """The tile or entry bundle at a C2SP path (`tile/0/001`, `tile/entries/000.p/3`).

        NotFound unless the path is one and the log holds all that it names. A partial tile stays
        readable after the log outgrew it: what was in it is in the full one.
        """
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace
        try:
            level, index, width = parse_tile_path(path)
        except BadProof:
            raise NotFound("the log has no such tile") from None

        def work(tx: Tx) -> bytes:
            size = log_rows.head(tx, workspace_id).size
            if width > tile_width(level or 0, index, size=size):
                raise NotFound("the log has no such tile")
            if level is None:
                start = index * TILE_WIDTH
                rows = receipt_rows.leaves(tx, workspace_id, start=start, end=start + width)
                return entries_bytes(leaf for _, leaf in rows)
            return tile_bytes(level, index, width=width, get_node=self.ledger.nodes(tx, workspace_id))

        return await self.store.read(work)
