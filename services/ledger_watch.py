"""Reads every log again from its bytes, in pieces beside the work, and closes those that do not hold together."""

import logging
from dataclasses import dataclass, field
from functools import partial

from domain.receipts import merkle
from domain.receipts.errors import LedgerError
from domain.receipts.receipt import parse
from services.ledger import DamagedLog, Ledger
from storage import receipts
from storage.database import Store, Tx
from storage.receipts import ReceiptRow

PIECE = 500

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LedgerWatch:
    """What was read once is not read again by this process: a look costs as much as the logs have grown."""

    store: Store
    ledger: Ledger
    _seen: dict[str, merkle.Frontier] = field(default_factory=dict)

    async def look(self) -> None:
        """Read what is new in every log. A damaged one takes no more receipts, and health and the owner hear of it."""
        for workspace_id in await self.store.read(receipts.logs):
            if workspace_id in self.ledger.damaged:
                continue
            try:
                while not await self.store.read(partial(self._piece, workspace_id), long=True):
                    pass
            except LedgerError as damage:
                self.ledger.close(workspace_id, str(damage))
                log.error("ledger_damaged", extra={"workspace": workspace_id, "why": str(damage)})  # noqa: TRY400

    def _piece(self, workspace_id: str, tx: Tx) -> bool:
        """One piece of a log; whether that was all there is."""
        frontier = self._seen.get(workspace_id, merkle.Frontier())
        head = receipts.head(tx, workspace_id)
        if head.size < frontier.size:
            raise DamagedLog(f"the log had {frontier.size} receipts and has {head.size}")
        end = min(frontier.size + PIECE, head.size)
        stored = receipts.nodes_between(tx, workspace_id, start=frontier.size, end=end)
        rows = receipts.rows_between(tx, workspace_id, start=frontier.size, end=end)
        for index, row in zip(range(frontier.size, end), rows, strict=False):
            if row.idx != index:
                raise DamagedLog(f"receipt {index} is missing")
            _check(row)
            frontier, nodes = frontier.append(row.leaf_hash)
            for level, place, digest in nodes[1:]:
                if stored.get((level, place)) != digest:
                    raise DamagedLog(f"node {place} of level {level} is not that of its receipts")
        if frontier.size != end:
            raise DamagedLog(f"receipt {frontier.size} is missing")
        if end < head.size:
            self._seen[workspace_id] = frontier
            return False
        if frontier != merkle.Frontier.from_bytes(head.size, head.frontier):
            raise DamagedLog("the head of the log is not that of its receipts")
        self._seen[workspace_id] = frontier
        return True


def _check(row: ReceiptRow) -> None:
    """The bytes are those that were hashed, and what lists show of a receipt is what it says."""
    if merkle.leaf_hash(row.leaf) != row.leaf_hash:
        raise DamagedLog(f"receipt {row.idx} was changed")
    body = parse(row.leaf).body
    said = {
        "receipt_id": row.id,
        "decision_id": row.decision_id,
        "verdict": row.verdict,
        "executor_id": row.principal,
    }
    for name, shown in said.items():
        if body[name] != shown:
            raise DamagedLog(f"receipt {row.idx} is listed with another {name} than it says")
