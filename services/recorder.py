"""One door for what is remembered: an audit line, a signed receipt and a live event, in the caller's transaction."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from domain.audit import AuditAction, line_hash
from domain.clock import Now
from domain.ids import new_id
from services.bus import Bus
from services.ledger import Facts, Ledger
from storage import audit, events, receipts
from storage.database import Tx

CHANGE = Facts()


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records what was done. Everything it writes commits or rolls back with the change itself."""

    ledger: Ledger
    bus: Bus
    now: Now

    def record(
        self,
        tx: Tx,
        *,
        workspace_id: str | None,
        actor: str,
        action: AuditAction,
        target: str | None = None,
        verdict: str = "allow",
        reason: str | None = None,
        metadata: dict[str, Any] | None = None,
        facts: Facts | None = CHANGE,
    ) -> str | None:
        """Write the audit line and, in a workspace, the receipt; the receipt's id (`evidenceItemId`).

        `actor` is a principal (`user:<id>`, `api_key:<id>`, `email_hash:<sha256>`, `system`).
        `facts=None` writes no receipt (events before a workspace exists do so by having none).
        """
        now = self.now()
        receipt_id = new_id() if workspace_id is not None and facts is not None else None
        details = dict(metadata or {})
        if receipt_id is not None:
            details["evidenceItemId"] = receipt_id
        line_id = new_id()
        salt = secrets.token_bytes(16) if receipt_id is not None else None
        audit.append(
            tx,
            entry_id=line_id,
            workspace_id=workspace_id,
            action=action.value,
            actor=actor,
            target=target,
            verdict=verdict,
            reason=reason,
            metadata=details,
            salt=None if salt is None else salt.hex(),
            now=now,
        )
        if workspace_id is not None:
            tx.on_commit(lambda: self.bus.touched(workspace_id))
        if receipt_id is not None and workspace_id is not None and facts is not None and salt is not None:
            bound = line_hash(
                salt=salt,
                line_id=line_id,
                action=action.value,
                actor=actor,
                target=target,
                verdict=verdict,
                reason=reason,
                metadata=details,
                created_at=now,
            )
            self.ledger.append(
                tx,
                workspace_id=workspace_id,
                receipt_id=receipt_id,
                principal=actor,
                action=action.value,
                resource=target or "",
                facts=replace(facts, metadata={**facts.metadata, "line_hash": bound}),
                now=now,
            )
        return receipt_id

    def serialize(self, tx: Tx, workspace_id: str) -> None:
        """Take the workspace's place in the ledger before anything else of it.

        Everything that is recorded locks the head of the log and the number of the last event. Taken
        always in this order, and before rows that several units of one workspace write, two units
        wait for each other instead of deadlocking. SQLite's writers are alone anyway.
        """
        if tx.postgres:
            receipts.head(tx, workspace_id, lock=True)

    def event(self, tx: Tx, *, workspace_id: str, kind: str, ref: str, payload: dict[str, Any] | None = None) -> None:
        """Tell whoever watches the workspace, once this transaction is committed."""
        self.serialize(tx, workspace_id)
        events.append(tx, workspace_id=workspace_id, kind=kind, ref=ref, payload=payload or {}, now=self.now())
        tx.on_commit(lambda: self._woke(workspace_id))

    def _woke(self, workspace_id: str) -> None:
        self.bus.touched(workspace_id)
        self.bus.woke(workspace_id)
