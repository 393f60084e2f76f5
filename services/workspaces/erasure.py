"""Erasure: of a person who asks for it, and of workspaces whose grace is over. Every log stays whole."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.clock import Now
from domain.errors import Conflict, Forbidden
from domain.identity.actor import Actor, Channel
from domain.journal.people import MemberLeft, UserErased, WorkspacePurged
from services.identity.cache import IdentityCache
from services.ledger.recorder import Recorder
from storage.chat import conversation_rows, inbox_rows
from storage.database import Store
from storage.identity import invite_rows, session_rows, user_rows
from storage.ledger import audit_rows, payload_rows
from storage.outbox import outbox_rows
from storage.runs import run_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureService:
    """Use cases that take away for good what people wrote."""

    store: Store
    cache: IdentityCache
    recorder: Recorder
    now: Now

    async def erase_person(self, actor: Actor) -> dict[str, Any]:
        """Erase a person: their own workspaces are closed for good, their data is blanked, every log stays whole."""
        if actor.channel is Channel.API_KEY:
            raise Forbidden("an API key cannot erase a person", code="insufficient_scope")

        def work(tx: Tx) -> dict[str, Any]:
            now = self.now()
            owned: list[str] = []
            reference: str | None = None
            for workspace, _ in workspace_rows.of_user(tx, actor.user_id):
                if workspace.owner_id == actor.user_id:
                    others = [m for m in workspace_rows.members(tx, workspace.id) if m.user_id != actor.user_id]
                    if others:
                        raise Conflict(
                            f"{workspace.name} has other members: transfer it first",
                            code="owner_stays",
                            details={"workspaceId": workspace.id},
                        )
                    owned.append(workspace.id)
                else:
                    workspace_rows.leave(tx, workspace.id, actor.user_id)
                    invite_rows.revoke_of_member(tx, workspace.id, actor.user_id, now=now)
                    self.recorder.record(
                        tx,
                        MemberLeft(
                            workspace_id=workspace.id, actor=actor.principal, user_id=actor.user_id, erased=True
                        ),
                    )
            for workspace_id in owned:
                reference = self.recorder.record(
                    tx, UserErased(workspace_id=workspace_id, actor=actor.principal, user_id=actor.user_id)
                )
                for run in run_rows.active_in(tx, workspace_id):
                    run_rows.change(tx, run, cancel_requested=True)
                forget_words(tx, workspace_id, now=now)
                workspace_rows.change(tx, workspace_id, now=now, deleted_at=now, purge_at=now, name="erased")
            session_rows.revoke(tx, user_id=actor.user_id, now=now)
            user = user_rows.get(tx, actor.user_id)
            if user is not None:
                outbox_rows.forget_recipients(tx, [str(a) for a in (user.email, user.telegram_id) if a is not None])
                if user.telegram_id is not None:
                    inbox_rows.blank(tx, user.telegram_id)
                    conversation_rows.forget_person(tx, user.telegram_id)
            user_rows.erase(tx, actor.user_id, now=now)
            self.cache.forget_after(tx)
            return {"deleted": True, "deletedWorkspaces": owned, "erasureReceiptRef": reference}

        return await self.store.write(work)

    async def purge_due(self, *, limit: int = 20) -> int:
        """Remove workspaces whose grace is over; their logs stay, with the payloads erased."""

        def work(tx: Tx) -> int:
            gone = workspace_rows.due_for_purge(tx, now=self.now(), limit=limit)
            for workspace in gone:
                forget_words(tx, workspace.id, now=self.now())
                self.recorder.record(tx, WorkspacePurged(workspace_id=workspace.id))
                workspace_rows.purge(tx, workspace.id)
            return len(gone)

        return await self.store.write(work)


def forget_words(tx: Tx, workspace_id: str, *, now: datetime) -> None:
    """Take what people wrote out of what outlives a workspace; receipts hold only hashes, so the log stays whole."""
    payload_rows.erase(tx, workspace_id, now=now)
    audit_rows.blank(tx, workspace_id)
    outbox_rows.forget_workspace(tx, workspace_id)
