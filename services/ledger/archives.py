"""Archives: the whole log or a part of it in one file that anybody can verify."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, BinaryIO, cast

from domain.clock import Now, iso
from domain.errors import NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.integrity import Altered
from domain.journal.workspace import LedgerExported
from domain.ledger.rows import CheckpointRow
from domain.receipts import merkle
from domain.receipts.archive import WHOLE, write_archive
from domain.receipts.errors import LedgerError, NotCanonical
from services.ledger.append import Ledger
from services.ledger.receipts import rows_of_task
from services.ledger.recorder import Recorder
from storage.database import Store
from storage.ledger import receipt_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRange:
    """A part of a log: one task's receipts, or a range of places and times (ends exclusive, None = open)."""

    task_id: str | None = None
    start: int = 0
    end: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def scope(self) -> str:
        """What the archive calls it."""
        return "range" if self.task_id is None else "task"

    def as_json(self) -> dict[str, Any]:
        """As the audit log keeps it."""
        if self.task_id is not None:
            return {"scope": self.scope}
        return {
            "scope": self.scope,
            "start": self.start,
            "end": self.end,
            "since": iso(self.since),
            "until": iso(self.until),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveService:
    """Use cases about exporting a log."""

    store: Store
    ledger: Ledger
    recorder: Recorder
    now: Now

    async def export(self, actor: Actor, part: LogRange | None = None) -> BinaryIO:
        """An archive of the whole log, or of a part of it, as an open temporary file.

        NotFound when there is no receipt in it, Altered when what is stored is not what was signed.
        """
        require(actor, Action.RECEIPT_EXPORT)
        workspace_id = actor.in_workspace

        def note(tx: Tx) -> CheckpointRow:
            self.recorder.record(
                tx,
                LedgerExported(
                    workspace_id=workspace_id,
                    actor=actor.principal,
                    task_id=None if part is None else part.task_id,
                    details={} if part is None else part.as_json(),
                ),
            )
            return self.ledger.checkpoint(tx, workspace_id)

        try:
            checkpoint = await self.store.write(note)
            return await self.store.read(lambda tx: self._archive(tx, workspace_id, checkpoint, part), long=True)
        except (LedgerError, NotCanonical) as damage:
            # what is not what was signed is not handed out as if it were
            raise Altered(f"the log does not hold, and is not exported: {damage}", differs=("log",)) from damage

    def _archive(self, tx: Tx, workspace_id: str, checkpoint: CheckpointRow, part: LogRange | None) -> BinaryIO:
        wanted = None if part is None else self._places(tx, workspace_id, part, size=checkpoint.size)
        # neighbours share most of their proofs
        nodes = cache(self.ledger.nodes(tx, workspace_id))
        file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
        write_archive(
            file,
            self._leaves(tx, workspace_id, checkpoint.size, wanted),
            checkpoint=checkpoint.note,
            keys=self.ledger.ring(tx),
            signer=self.ledger.signer,
            workspace_id=workspace_id,
            pack_id=new_id(),
            created_at=self.now(),
            scope=WHOLE if part is None else part.scope,
            subject=_subject(part, wanted),
            proof=None if wanted is None else lambda index: merkle.inclusion_proof(index, checkpoint.size, nodes),
        )
        file.seek(0)
        return file

    @staticmethod
    def _places(tx: Tx, workspace_id: str, part: LogRange, *, size: int) -> Sequence[int]:
        """The places in the log of what belongs to a part of it, in their order."""
        if part.task_id is not None:
            return [row.idx for row in rows_of_task(tx, workspace_id, part.task_id) if row.idx < size]
        found = receipt_rows.places(
            tx,
            workspace_id,
            size=size,
            start=part.start,
            end=part.end,
            since=part.since,
            until=part.until,
        )
        if not found:
            raise NotFound("the log has no receipt in that range")
        return found

    @staticmethod
    def _leaves(tx: Tx, workspace_id: str, size: int, wanted: Sequence[int] | None) -> Iterator[tuple[int, bytes]]:
        places: Sequence[int] = range(size) if wanted is None else wanted
        for at in range(0, len(places), 1000):
            some = places[at : at + 1000]
            if some[-1] - some[0] == len(some) - 1:
                yield from receipt_rows.leaves(tx, workspace_id, start=some[0], end=some[-1] + 1)
            else:
                yield from ((index, receipt_rows.at(tx, workspace_id, index).leaf) for index in some)


def _subject(part: LogRange | None, wanted: Sequence[int] | None) -> str:
    """Which part of the log it is, as the archive says it."""
    if part is None or not wanted:
        return "" if part is None else part.task_id or ""
    return part.task_id or f"{wanted[0]}-{wanted[-1]}"
