"""Reads every log and all that its receipts speak of again, in pieces beside the work.

A log that does not hold together is closed; a row that is not what was signed is noted, and its owners hear of it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from domain.ledger.rows import ReceiptRow
from domain.receipts import merkle
from domain.receipts.errors import LedgerError, NotCanonical
from domain.receipts.receipt import parse
from domain.receipts.signing import KeyRing
from domain.receipts.stored import UNREADABLE
from services.ledger.alarm import Alarm
from services.ledger.append import DamagedLog, Ledger
from services.ledger.audit_lines import checked_lines, complete_lines
from services.ledger.log_check import LogCheck
from services.ledger.records import Records
from services.ledger.signed_settings import settings_differ
from storage.approvals import approval_rows
from storage.chat import piece_rows
from storage.database import Store
from storage.ledger import log_rows, payload_rows, receipt_rows
from storage.policy import settings_rows
from storage.runs import run_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows

# receipts, and rows of other kinds, that one transaction reads
PIECE = 200
ROWS = 100
# rows of one kind that are looked at in one look; the next one goes on after them
MOST_ROWS = 20_000
# what receipts call the columns that are named otherwise
_SAID = {"id": "receipt_id", "principal": "executor_id"}

log = logging.getLogger(__name__)

Piece = Callable[[Tx], bool]


@dataclass(slots=True)
class _Place:
    """How far a look has come in one log: what it read of it, and where it is among the rows of other kinds.

    `sealed` is the log as far as this process has checked its signatures. They are not checked again as long as the
    bytes lead to the same tree.
    """

    frontier: merkle.Frontier = field(default_factory=merkle.Frontier)
    sealed: merkle.Frontier = field(default_factory=merkle.Frontier)
    chain_hash: str = ""
    after: dict[str, str] = field(default_factory=dict)
    before: tuple[datetime, str] | None = None


@dataclass(slots=True)
class LedgerWatch:
    """Each look reads everything. One that was broken off goes on where it was.

    `rest` is how long it rests after a piece, in times of what the piece took, so that others have the processor.
    """

    store: Store
    ledger: Ledger
    alarm: Alarm | None = None
    rest: float = 1.0
    _places: dict[str, _Place] = field(default_factory=dict)
    _looking: bool = False

    async def look(self) -> None:
        """Read every log and what its receipts speak of. A damaged log takes no more receipts."""
        if self._looking:
            return
        self._looking = True
        try:
            for workspace_id in await self.store.read(log_rows.logs):
                await self._look_at(workspace_id)
        finally:
            self._looking = False
        if self.alarm is not None:
            await self.alarm.tell()

    async def _look_at(self, workspace_id: str) -> None:
        if workspace_id not in self.ledger.damaged:
            try:
                await self._all(partial(self._piece, workspace_id))
            except LedgerError as damage:
                self.ledger.close(workspace_id, str(damage))
                log.error("ledger_damaged", extra={"workspace": workspace_id, "why": str(damage)})  # noqa: TRY400
        if not await self.store.read(partial(_is_there, workspace_id)):
            return
        for kind in (self._settings, self._policies, self._runs, self._approvals, self._violations, self._lines):
            await self._all(partial(kind, workspace_id), most=MOST_ROWS // ROWS)

    async def _all(self, piece: Piece, *, most: int | None = None) -> None:
        """Read piece after piece until one says that it was the last."""
        count = 0
        while most is None or count < most:
            count += 1
            began = time.monotonic()
            if await self.store.read(piece, long=True):
                return
            await asyncio.sleep((time.monotonic() - began) * self.rest)

    def _place(self, workspace_id: str) -> _Place:
        return self._places.setdefault(workspace_id, _Place())

    # --- the log ----------------------------------------------------------------------------------

    def _piece(self, workspace_id: str, tx: Tx) -> bool:
        """One piece of a log; whether that was all there is."""
        place = self._place(workspace_id)
        frontier = place.frontier
        head = log_rows.head(tx, workspace_id)
        self.ledger.check_length(workspace_id, head.size)
        if head.size < max(frontier.size, place.sealed.size):
            raise DamagedLog(f"the log had {max(frontier.size, place.sealed.size)} receipts and has {head.size}")
        if not frontier.size:
            self.ledger.open_newest(tx, workspace_id)
        end = min(frontier.size + PIECE, head.size)
        stored = log_rows.nodes_between(tx, workspace_id, start=frontier.size, end=end)
        rows = receipt_rows.rows_between(tx, workspace_id, start=frontier.size, end=end)
        kept = payload_rows.kept(tx, workspace_id, [row.id for row in rows])
        log_check = LogCheck.of(self.ledger, tx, workspace_id)
        ring = self.ledger.ring(tx)
        for index, row in zip(range(frontier.size, end), rows, strict=False):
            if row.idx != index:
                raise DamagedLog(f"receipt {index} is missing")
            _check(row)
            if index >= place.sealed.size:
                self._check_signed(row, place, ring)
            frontier, nodes = frontier.append(row.leaf_hash)
            for level, at, digest in nodes[1:]:
                if stored.get((level, at)) != digest:
                    raise DamagedLog(f"node {at} of level {level} is not that of its receipts")
            if frontier.size == place.sealed.size and frontier != place.sealed:
                raise DamagedLog(f"one of the first {frontier.size} receipts was changed")
            log_check.payload_problems(row, kept[row.id])
            log_check.policy_problem(row)
        if frontier.size != end:
            raise DamagedLog(f"receipt {frontier.size} is missing")
        if workspace_rows.exists(tx, workspace_id):
            Records(self.ledger, tx, workspace_id).note_gone(rows)
        place.frontier = frontier
        if end < head.size:
            return False
        if frontier != merkle.Frontier.from_bytes(head.size, head.frontier):
            raise DamagedLog("the head of the log is not that of its receipts")
        # the next look begins anew, and believes the signatures of this tree
        place.sealed, place.frontier = frontier, merkle.Frontier()
        return True

    def _check_signed(self, row: ReceiptRow, place: _Place, ring: KeyRing) -> None:
        try:
            receipt = parse(row.leaf)
        except NotCanonical as error:
            raise DamagedLog(f"receipt {row.idx} was changed: {error}") from error
        self.ledger.check_signature(receipt, ring=ring)
        if receipt.lamport_clock != row.idx + 1 or (row.idx and receipt.prev_hash != place.chain_hash):
            raise DamagedLog(f"receipt {row.idx} does not follow the one before it")
        place.chain_hash = receipt.chain_hash

    # --- what receipts speak of -------------------------------------------------------------------

    def _settings(self, workspace_id: str, tx: Tx) -> bool:
        records = Records(self.ledger, tx, workspace_id)
        settings_differ(records, settings_rows.get(tx, workspace_id))
        records.grants(approval_rows.grants_of(tx, workspace_id))
        return True

    def _policies(self, workspace_id: str, tx: Tx) -> bool:
        place = self._place(workspace_id)
        found = piece_rows.of_policies(tx, workspace_id, after=place.after.get("policies", ""), limit=ROWS)
        log_check = LogCheck.of(self.ledger, tx, workspace_id)
        for policy_hash in found:
            log_check.policy(policy_hash)
        return self._went(place, "policies", [*found])

    def _runs(self, workspace_id: str, tx: Tx) -> bool:
        place = self._place(workspace_id)
        found = piece_rows.of_runs(tx, workspace_id, after=place.after.get("runs", ""), limit=ROWS)
        records = Records(self.ledger, tx, workspace_id)
        for run in found:
            said = records.statements(receipt_rows.of_run(tx, workspace_id, run.task_id, run.id))
            steps = run_rows.steps_of(tx, workspace_id, run.id)
            records.runs([run], said, steps=steps)
            records.steps(steps, said)
        return self._went(place, "runs", [run.id for run in found])

    def _approvals(self, workspace_id: str, tx: Tx) -> bool:
        place = self._place(workspace_id)
        found = piece_rows.of_approvals(tx, workspace_id, after=place.after.get("approvals", ""), limit=ROWS)
        Records(self.ledger, tx, workspace_id).approvals(found)
        return self._went(place, "approvals", [one.id for one in found])

    def _violations(self, workspace_id: str, tx: Tx) -> bool:
        place = self._place(workspace_id)
        found = piece_rows.of_violations(tx, workspace_id, after=place.after.get("violations", ""), limit=ROWS)
        Records(self.ledger, tx, workspace_id).violations(found)
        return self._went(place, "violations", [one.id for one in found])

    @staticmethod
    def _went(place: _Place, kind: str, ids: list[str]) -> bool:
        """Remember how far it went; whether that was the end, and the next look begins anew."""
        ended = len(ids) < ROWS
        place.after[kind] = "" if ended else ids[-1]
        return ended

    def _lines(self, workspace_id: str, tx: Tx) -> bool:
        place = self._place(workspace_id)
        found = piece_rows.of_lines(tx, workspace_id, before=place.before, limit=ROWS)
        records = Records(self.ledger, tx, workspace_id)
        ended = len(found) < ROWS
        complete_lines(records, checked_lines(records, found), newest=place.before is None, oldest=ended)
        # the last line is looked at again: it bounds what must lie between it and the next
        place.before = None if ended else (found[-2].created_at, found[-2].id)
        return ended


def _is_there(workspace_id: str, tx: Tx) -> bool:
    return workspace_rows.exists(tx, workspace_id)


def _check(row: ReceiptRow) -> None:
    """The bytes are those that were hashed, and what lists show of a receipt is what it says."""
    if UNREADABLE in row.differs or "leaf_hash" in row.differs:
        raise DamagedLog(f"receipt {row.idx} was changed")
    if row.differs:
        name = row.differs[0]
        raise DamagedLog(f"receipt {row.idx} is listed with another {_SAID.get(name, name)} than it says")
