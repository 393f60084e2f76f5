"""Checking the log for somebody who asks: one receipt with all that belongs to it, or the whole log."""

from dataclasses import dataclass

from domain.errors import NotFound, PilotError
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ledger.rows import ReceiptRow
from domain.receipts import merkle
from services.ledger.append import Ledger
from services.ledger.log_check import LogCheck
from storage.database import Store
from storage.ledger import log_rows, receipt_rows
from storage.transaction import Tx

# receipts whose hash a few digits are compared with
LOOK_BACK = 2000
CHECKED_BY_VERIFY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking receipts found. `problem` is "" when all is well."""

    size: int
    checked: int
    root: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReceipt:
    """One receipt and whether its signature and its place in the log hold."""

    row: ReceiptRow
    executor: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationService:
    """Use cases about whether the log holds."""

    store: Store
    ledger: Ledger

    async def receipt(self, actor: Actor, text: str) -> CheckedReceipt:
        """A receipt by its id or the first 8 or more hex digits of its hash, checked; NotFound."""
        require(actor, Action.RECEIPT_READ)
        wanted = text.strip().lower()

        def work(tx: Tx) -> CheckedReceipt:
            row = _find_receipt(tx, actor.in_workspace, wanted)
            problem = self._problem(tx, row)
            return CheckedReceipt(row=row, executor=row.principal, problem=problem)

        return await self.store.read(work)

    def _problem(self, tx: Tx, row: ReceiptRow) -> str:
        """What does not hold of a receipt with its payloads, as one line; "" = everything does."""
        return "; ".join(LogCheck.of(self.ledger, tx, row.workspace_id).check_whole(row).differs)

    async def whole_log(self, actor: Actor) -> Checked:
        """Recompute the log's tree, compare it with its head and newest checkpoint, check the newest receipts."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Checked:
            head = log_rows.head(tx, workspace_id)
            newest = receipt_rows.find(tx, workspace_id, limit=CHECKED_BY_VERIFY)
            problem = ""
            try:
                root = merkle.Frontier.from_bytes(head.size, head.frontier).root()
                self.ledger.check_log(tx, workspace_id)
                log_check = LogCheck.of(self.ledger, tx, workspace_id)
                problem = log_check.signed[1]
                if missing := log_check.missing(newest, before=None, limit=CHECKED_BY_VERIFY):
                    problem = f"receipt {missing[-1]} is missing"
                problem = problem or next((p for row in newest if (p := self._problem(tx, row))), "")
            except PilotError as error:
                root, problem = b"", str(error)
            return Checked(size=head.size, checked=len(newest), root=root.hex(), problem=problem)

        return await self.store.read(work)


def _find_receipt(tx: Tx, workspace_id: str, wanted: str) -> ReceiptRow:
    if len(wanted) == 36:
        return receipt_rows.get(tx, workspace_id, wanted)
    if len(wanted) < 8 or set(wanted) - set("0123456789abcdef"):
        raise NotFound("Receipt not found")
    found = receipt_rows.newest_with_hash(tx, workspace_id, wanted, among=LOOK_BACK)
    if found is None:
        raise NotFound("Receipt not found")
    return found
