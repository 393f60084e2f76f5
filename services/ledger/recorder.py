"""One door for what is remembered: an audit line, a signed receipt and a live event, in the caller's transaction."""

import secrets
from dataclasses import dataclass, replace

from domain.clock import Now
from domain.ids import new_id
from domain.journal.entry import Entry
from domain.ledger.audit import line_hash
from domain.ledger.events import Event
from services.ledger.append import Ledger
from services.platform.bus import Bus
from storage.ledger import audit_rows, event_rows, log_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records what was done. Everything it writes commits or rolls back with the change itself."""

    ledger: Ledger
    bus: Bus
    now: Now

    def record(self, tx: Tx, entry: Entry) -> str | None:
        """Write an entry of the journal: its audit line, and in a workspace its receipt and its event.

        The receipt's id (`evidenceItemId`); None for what has none.
        """
        now, workspace_id = self.now(), entry.workspace_id
        written = entry.written()
        receipt_id = new_id() if workspace_id is not None and entry.kind is not None else None
        details = dict(written.details)
        if receipt_id is not None:
            details["evidenceItemId"] = receipt_id
        line_id = new_id()
        salt = secrets.token_bytes(16) if receipt_id is not None else None
        audit_rows.append(
            tx,
            entry_id=line_id,
            workspace_id=workspace_id,
            action=entry.action.value,
            actor=entry.actor,
            target=written.target,
            verdict=written.verdict,
            reason=written.reason,
            metadata=details,
            salt=None if salt is None else salt.hex(),
            now=now,
        )
        if workspace_id is None:
            return None
        tx.on_commit(lambda: self.bus.touched(workspace_id))
        if receipt_id is not None and entry.kind is not None and salt is not None:
            bound = line_hash(
                salt=salt,
                line_id=line_id,
                action=entry.action.value,
                actor=entry.actor,
                target=written.target,
                verdict=written.verdict,
                reason=written.reason,
                metadata=details,
                created_at=now,
            )
            said = written.receipt
            self.ledger.append(
                tx,
                workspace_id=workspace_id,
                receipt_id=receipt_id,
                kind=entry.kind,
                principal=entry.actor,
                action=entry.action,
                resource=written.target or "",
                fields=replace(said, metadata={**said.metadata, "line_hash": bound}),
                now=now,
            )
        if written.event is not None:
            self.event(tx, workspace_id=workspace_id, event=written.event)
        return receipt_id

    def lock_log(self, tx: Tx, workspace_id: str) -> None:
        """Take the workspace's log before anything else of it, in a unit that was not begun by `Store.workspace`."""
        log_rows.lock(tx, workspace_id)

    def event(self, tx: Tx, *, workspace_id: str, event: Event) -> None:
        """Tell whoever watches the workspace, once this transaction is committed."""
        self.lock_log(tx, workspace_id)
        event_rows.append(
            tx,
            workspace_id=workspace_id,
            kind=event.kind.value,
            ref=event.ref,
            payload=dict(event.payload),
            now=self.now(),
        )
        tx.on_commit(lambda: self._woke(workspace_id))

    def _woke(self, workspace_id: str) -> None:
        self.bus.touched(workspace_id)
        self.bus.woke(workspace_id)
