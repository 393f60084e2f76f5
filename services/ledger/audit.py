"""Reading the audit log and the violations, and exporting them as a stream."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from domain.clock import Now
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.journal.people import RequestRefused
from domain.journal.workspace import LedgerExported
from domain.ledger.audit import AuditEntry
from domain.ledger.violation import Violation
from services.ledger.alarm import Alarm
from services.ledger.audit_lines import checked_lines, complete_lines
from services.ledger.recorder import Recorder
from services.ledger.records import Records
from storage.database import Store
from storage.ledger import audit_rows, violation_rows
from storage.transaction import Tx

T = TypeVar("T")

PIECE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which lines; None = any."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    verdict: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def as_arguments(self) -> dict[str, Any]:
        return {
            "actor": self.actor,
            "action": self.action,
            "target": self.target,
            "verdict": self.verdict,
            "since": self.since,
            "until": self.until,
        }


@dataclass(frozen=True, slots=True)
class AuditService:
    """Use cases about the audit log."""

    store: Store
    recorder: Recorder
    now: Now
    alarm: Alarm | None = None

    async def list(
        self, actor: Actor, which: AuditFilter, *, limit: int, before: tuple[datetime, str] | None
    ) -> Sequence[AuditEntry]:
        """Lines of the workspace, newest first, each with what of it is not what its receipt says."""
        require(actor, Action.AUDIT_READ)
        workspace_id = actor.in_workspace
        query = audit_rows.select_entries(workspace_id, **which.as_arguments(), before=before)

        def work(tx: Tx) -> Sequence[AuditEntry]:
            records = Records(self.recorder.ledger, tx, workspace_id)
            found = checked_lines(records, audit_rows.find(tx, query, limit=limit))
            if which == AuditFilter():
                return complete_lines(records, found, newest=before is None, oldest=len(found) < limit)
            return found

        return await self._told(await self.store.read(work))

    async def _told(self, found: T) -> T:
        """What was read, once what was found altered is told."""
        if self.alarm is not None:
            await self.alarm.tell()
        return found

    async def export(self, actor: Actor, which: AuditFilter) -> AsyncIterator[AuditEntry]:
        """Every line that fits, newest first, a few at a time."""
        require(actor, Action.AUDIT_EXPORT)
        exported = LedgerExported(workspace_id=actor.in_workspace, actor=actor.principal)
        await self.store.write(lambda tx: self.recorder.record(tx, exported))
        workspace_id = actor.in_workspace
        query = audit_rows.select_entries(workspace_id, **which.as_arguments())
        async for entries in self._pieces(query):
            for entry in await self.store.read(partial(self._checked, workspace_id, entries), long=True):
                yield entry
        await self._told(None)

    def _checked(self, workspace_id: str, entries: Sequence[AuditEntry], tx: Tx) -> Sequence[AuditEntry]:
        return checked_lines(Records(self.recorder.ledger, tx, workspace_id), entries)

    async def _pieces(self, query: Any) -> AsyncIterator[Sequence[AuditEntry]]:
        piece: list[AuditEntry] = []
        async for row in self.store.stream(query):
            piece.append(audit_rows.entry_of(row))
            if len(piece) == PIECE:
                yield piece
                piece = []
        if piece:
            yield piece

    async def violations(
        self, actor: Actor, *, limit: int, severity: str | None = None, before: tuple[datetime, str] | None = None
    ) -> Sequence[Violation]:
        """What the policy refused and what was found altered, newest first."""
        require(actor, Action.VIOLATION_READ)
        await self._told(None)
        workspace_id = actor.in_workspace
        return await self.store.read(
            lambda tx: Records(self.recorder.ledger, tx, workspace_id).violations(
                violation_rows.find(tx, workspace_id, limit=limit, severity=severity, before=before)
            )
        )

    async def refused(self, *, workspace_id: str | None, actor: str, route: str, code: str) -> None:
        """A request was refused at the door."""
        entry = RequestRefused(workspace_id=workspace_id, actor=actor, route=route, code=code)
        await self.store.write(lambda tx: self.recorder.record(tx, entry))
