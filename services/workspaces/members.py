"""Members of a workspace: their roles, who owns it, and leaving it."""

from dataclasses import dataclass

from domain.approvals.approval import ApprovalStatus
from domain.clock import Now
from domain.errors import Conflict, NotFound
from domain.identity.actor import Actor, Role
from domain.identity.permissions import Action, require
from domain.journal.people import MemberLeft, MemberRemoved, MemberRoleChanged, WorkspaceTransferred
from services.identity.cache import IdentityCache
from services.ledger.recorder import Recorder
from services.outbox.notifications import Notifications
from storage.approvals import approval_rows
from storage.database import Store
from storage.identity import api_key_rows, invite_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows

MAX_REDRAWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberService:
    """Use cases about who belongs to a workspace."""

    store: Store
    cache: IdentityCache
    recorder: Recorder
    now: Now

    async def set_role(self, actor: Actor, user_id: str, role: Role) -> None:
        """Change a member's role; the owner's is changed by transferring ownership."""
        require(actor, Action.MEMBER_ROLE)

        def work(tx: Tx) -> None:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            if user_id == workspace.owner_id or role is Role.OWNER:
                raise Conflict("there is one owner: transfer the ownership instead", code="owner_role")
            if not workspace_rows.set_role(tx, workspace.id, user_id, role.value):
                raise NotFound("Member not found")
            self.recorder.record(
                tx,
                MemberRoleChanged(workspace_id=actor.in_workspace, actor=actor.principal, user_id=user_id, role=role),
            )
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    async def transfer(self, actor: Actor, user_id: str) -> None:
        """Make another member the owner; the former owner becomes a partner."""
        require(actor, Action.WORKSPACE_TRANSFER)

        def work(tx: Tx) -> None:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            if not workspace_rows.set_role(tx, workspace.id, user_id, Role.OWNER.value):
                raise NotFound("Member not found")
            if user_id != workspace.owner_id:
                workspace_rows.set_role(tx, workspace.id, workspace.owner_id, Role.PARTNER.value)
            workspace_rows.change(tx, workspace.id, now=self.now(), owner_id=user_id)
            self.recorder.record(
                tx,
                WorkspaceTransferred(
                    workspace_id=actor.in_workspace, actor=actor.principal, user_id=user_id, before=workspace.owner_id
                ),
            )
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    async def remove(self, actor: Actor, user_id: str) -> None:
        """Take a member out, with the keys they made here."""
        require(actor, Action.MEMBER_REMOVE)
        await self._leave(
            actor, user_id, MemberRemoved(workspace_id=actor.in_workspace, actor=actor.principal, user_id=user_id)
        )

    async def leave(self, actor: Actor) -> None:
        """Leave; the owner has to hand the workspace over first."""
        require(actor, Action.WORKSPACE_LEAVE)
        await self._leave(
            actor,
            actor.user_id,
            MemberLeft(workspace_id=actor.in_workspace, actor=actor.principal, user_id=actor.user_id),
        )

    async def _leave(self, actor: Actor, user_id: str, entry: MemberRemoved | MemberLeft) -> None:
        def work(tx: Tx) -> None:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            if user_id == workspace.owner_id:
                raise Conflict("the owner has to transfer the workspace first", code="owner_stays")
            if not workspace_rows.leave(tx, workspace.id, user_id):
                raise NotFound("Member not found")
            api_key_rows.revoke_of_member(tx, workspace.id, user_id, now=self.now())
            # an invite they made and kept would let them in again
            invite_rows.revoke_of_member(tx, workspace.id, user_id, now=self.now())
            self.recorder.record(tx, entry)
            self._people_changed(tx, workspace.id)

        await self.store.write(work)

    def _people_changed(self, tx: Tx, workspace_id: str) -> None:
        """Who may do what is looked up anew, and open questions say whether enough people are left to approve them."""
        self.cache.forget_after(tx)
        notifications = Notifications(self.recorder.bus, self.now)
        for approval in approval_rows.find(tx, workspace_id, status=ApprovalStatus.PENDING.value, limit=MAX_REDRAWN):
            notifications.approval_changed(tx, approval)
