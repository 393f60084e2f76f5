"""Standing permissions: given from a card together with a yes, listed, and ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.approvals.approval import Approval
from domain.approvals.grant import Grant
from domain.clock import Now
from domain.errors import Invalid
from domain.evidence.grants import grant_facts
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.journal.approvals import GrantGiven, GrantRevoked
from services.ledger.recorder import Recorder
from services.ledger.records import Records
from storage.approvals import approval_rows
from storage.database import Store
from storage.transaction import Tx

MAX_GRANT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRequest:
    """What "and from now on" means: how long, how often, and whether for this task only."""

    minutes: int
    max_uses: int | None = None
    this_task_only: bool = True


@dataclass(frozen=True, slots=True)
class GrantService:
    """Use cases about grants."""

    store: Store
    recorder: Recorder
    now: Now

    async def list(self, actor: Actor, *, live: bool = True) -> Sequence[Grant]:
        """Standing permissions of the workspace."""
        require(actor, Action.GRANT_LIST)
        return await self.store.read(
            lambda tx: Records(self.recorder.ledger, tx, actor.in_workspace).grants(
                approval_rows.grants_of(tx, actor.in_workspace, live_at=self.now() if live else None)
            )
        )

    async def revoke(self, actor: Actor, grant_id: str) -> Grant:
        """End a standing permission now."""
        require(actor, Action.GRANT_REVOKE)

        def work(tx: Tx) -> Grant:
            grant = approval_rows.revoke_grant(tx, actor.in_workspace, grant_id, by=actor.user_id, now=self.now())
            self.recorder.record(
                tx,
                GrantRevoked(
                    workspace_id=grant.workspace_id, actor=actor.principal, grant_id=grant.id, tool=grant.tool
                ),
            )
            return grant

        return await self.store.write(work)

    def give(self, tx: Tx, actor: Actor, approval: Approval, wish: GrantRequest) -> str:
        """Let the call of an approval be made without asking from now on; the grant's id."""
        require(actor, Action.GRANT_CREATE)
        if not 1 <= wish.minutes <= MAX_GRANT.total_seconds() / 60:
            raise Invalid.field("grant.minutes", "must be between 1 and 43200")
        if wish.max_uses is not None and not 1 <= wish.max_uses <= 10_000:
            raise Invalid.field("grant.maxUses", "must be between 1 and 10000")
        now = self.now()
        grant = Grant(
            id=new_id(),
            workspace_id=approval.workspace_id,
            tool=approval.action,
            scope={"taskOnly": wish.this_task_only},
            task_id=approval.task_id if wish.this_task_only else None,
            max_uses=wish.max_uses,
            uses=0,
            max_effect=approval.effect,
            created_by=actor.user_id,
            approval_id=approval.id,
            created_at=now,
            expires_at=now + timedelta(minutes=wish.minutes),
            revoked_at=None,
            revoked_by=None,
        )
        approval_rows.add_grant(tx, grant)
        self.recorder.record(
            tx,
            GrantGiven(
                workspace_id=grant.workspace_id,
                actor=actor.principal,
                grant_id=grant.id,
                approval_id=approval.id,
                task_id=grant.task_id,
                tool=grant.tool,
                expires_at=grant.expires_at,
                max_uses=grant.max_uses,
                bound=grant_facts(grant),
            ),
        )
        return grant.id
