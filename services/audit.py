"""Reading the audit log and the violations, and exporting them as a stream."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.actor import Actor
from domain.audit import AuditEntry
from domain.clock import Now
from domain.journal.people import RequestRefused
from domain.journal.workspace import LedgerExported
from domain.permissions import Action, require
from services.recorder import Recorder
from storage import audit, violations
from storage.database import Store
from storage.violations import Violation


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

    async def list(
        self, actor: Actor, which: AuditFilter, *, limit: int, before: tuple[datetime, str] | None
    ) -> Sequence[AuditEntry]:
        """Lines of the workspace, newest first."""
        require(actor, Action.AUDIT_READ)
        query = audit.select_entries(actor.in_workspace, **which.as_arguments(), before=before)
        return await self.store.read(lambda tx: audit.find(tx, query, limit=limit))

    async def export(self, actor: Actor, which: AuditFilter) -> AsyncIterator[AuditEntry]:
        """Every line that fits, newest first, a few at a time."""
        require(actor, Action.AUDIT_EXPORT)
        exported = LedgerExported(workspace_id=actor.in_workspace, actor=actor.principal)
        await self.store.write(lambda tx: self.recorder.record(tx, exported))
        query = audit.select_entries(actor.in_workspace, **which.as_arguments())
        async for row in self.store.stream(query):
            yield audit.entry_of(row)

    async def violations(
        self, actor: Actor, *, limit: int, severity: str | None = None, before: tuple[datetime, str] | None = None
    ) -> Sequence[Violation]:
        """What the policy refused, newest first."""
        require(actor, Action.VIOLATION_READ)
        return await self.store.read(
            lambda tx: violations.find(tx, actor.in_workspace, limit=limit, severity=severity, before=before)
        )

    async def refused(self, *, workspace_id: str | None, actor: str, route: str, code: str) -> None:
        """A request was refused at the door."""
        entry = RequestRefused(workspace_id=workspace_id, actor=actor, route=route, code=code)
        await self.store.write(lambda tx: self.recorder.record(tx, entry))
