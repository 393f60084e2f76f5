"""Workspaces: read, made, renamed, closed with a grace, and opened again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.clock import Now
from domain.errors import Forbidden, NotFound
from domain.identity.actor import Actor, Channel
from domain.identity.permissions import Action, require
from domain.identity.user import User
from domain.journal.people import WorkspaceDeleted, WorkspaceRenamed, WorkspaceRestored
from domain.workspaces.workspace import Member, Workspace
from services.identity.admission import Admission
from services.identity.cache import IdentityCache
from services.identity.sign_up import ADMINISTRATOR, Newcomer
from services.ledger.recorder import Recorder
from services.lifecycle.container import Lifecycle
from storage.database import Store
from storage.identity import sign_up_rows, user_rows
from storage.runs import run_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows

GRACE_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceService:
    """Use cases about workspaces as such."""

    store: Store
    cache: IdentityCache
    admission: Admission
    lifecycle: Lifecycle
    recorder: Recorder
    now: Now

    async def get(self, actor: Actor) -> tuple[Workspace, Sequence[Member]]:
        """The workspace with its members."""
        require(actor, Action.WORKSPACE_READ)
        return await self.store.read(
            lambda tx: (workspace_rows.get(tx, actor.in_workspace), workspace_rows.members(tx, actor.in_workspace))
        )

    async def mine(self, actor: Actor) -> Sequence[tuple[Workspace, str]]:
        """Every workspace the person is in, with their role."""
        return await self.store.read(lambda tx: workspace_rows.of_user(tx, actor.user_id))

    async def closed(self, actor: Actor) -> Sequence[Workspace]:
        """Workspaces of the person that are closed and that they can still restore, newest first."""

        def work(tx: Tx) -> Sequence[Workspace]:
            found = workspace_rows.closed_of(tx, actor.user_id, now=self.now())
            return [one for one in found if sign_up_rows.closed_by(tx, one.id) != ADMINISTRATOR]

        return await self.store.read(work)

    async def me(self, actor: Actor) -> tuple[User, Sequence[tuple[Workspace, str]]]:
        """The person and their workspaces."""

        def work(tx: Tx) -> tuple[User, Sequence[tuple[Workspace, str]]]:
            user = user_rows.get(tx, actor.user_id)
            if user is None:
                raise NotFound("User not found")
            return user, workspace_rows.of_user(tx, actor.user_id)

        return await self.store.read(work)

    async def create(self, actor: Actor, name: str) -> Workspace:
        """One more workspace, owned by the person.

        Forbidden for who was only invited into somebody's workspace, Conflict for who owns as many as one may.
        """
        if actor.channel is Channel.API_KEY:
            raise Forbidden("an API key belongs to one workspace", code="insufficient_scope")

        def work(tx: Tx) -> Workspace:
            user = user_rows.get(tx, actor.user_id)
            if user is None:
                raise NotFound("User not found")
            self.admission.sign_up.check_owner(tx, user)
            return self.admission.create_workspace(tx, user, name, now=self.now())[0]

        return await self.store.write(work)

    async def may_create(self, actor: Actor) -> bool:
        """Whether the person may make one more workspace."""

        def work(tx: Tx) -> bool:
            user = user_rows.get(tx, actor.user_id)
            return user is not None and self.admission.sign_up.may_own(tx, Newcomer.of(user))

        return actor.channel is not Channel.API_KEY and await self.store.read(work)

    async def rename(self, actor: Actor, name: str) -> Workspace:
        """Another name for the workspace."""
        require(actor, Action.WORKSPACE_RENAME)

        def work(tx: Tx) -> Workspace:
            workspace = workspace_rows.get(tx, actor.in_workspace, lock=True)
            workspace_rows.change(tx, workspace.id, now=self.now(), name=name)
            self.recorder.record(
                tx,
                WorkspaceRenamed(
                    workspace_id=actor.in_workspace, actor=actor.principal, before=workspace.name, name=name
                ),
            )
            return replace(workspace, name=name)

        return await self.store.write(work)

    async def delete(self, actor: Actor, *, grace_days: int = GRACE_DAYS) -> Workspace:
        """Close the workspace: nobody gets in, work stops, and after the grace it is removed."""
        require(actor, Action.WORKSPACE_DELETE)

        def work(tx: Tx) -> Workspace:
            return self.close(tx, actor.in_workspace, by=actor.principal, grace_days=grace_days)[0]

        return await self.store.write(work)

    def close(
        self, tx: Tx, workspace_id: str, *, by: str, grace_days: int, reason: str | None = None
    ) -> tuple[Workspace, str | None]:
        """Close a workspace in the name of the principal `by`; with the receipt of it. NotFound when it is not open."""
        workspace = workspace_rows.get(tx, workspace_id, lock=True)
        now = self.now()
        gone = replace(workspace, deleted_at=now, purge_at=now + timedelta(days=grace_days))
        workspace_rows.change(tx, workspace.id, now=now, deleted_at=gone.deleted_at, purge_at=gone.purge_at)
        evidence = self.recorder.record(
            tx, WorkspaceDeleted(workspace_id=workspace.id, actor=by, grace_days=grace_days, reason=reason)
        )
        for run in run_rows.active_in(tx, workspace.id):
            self.lifecycle.runs.cancel(tx, run, principal=by, reason="the workspace was closed")
        self.cache.forget_after(tx)
        return gone, evidence

    async def restore(self, actor: Actor, workspace_id: str) -> Workspace:
        """Open a closed workspace again within its grace; only its owner can, and not what the administrator closed."""

        def work(tx: Tx) -> Workspace:
            mine = workspace_rows.get(tx, workspace_id, deleted=True).owner_id == actor.user_id
            if not mine or sign_up_rows.closed_by(tx, workspace_id) == ADMINISTRATOR:
                raise NotFound("Workspace not found")
            return self.reopen(tx, workspace_id, by=actor.principal)[0]

        return await self.store.write(work)

    def reopen(self, tx: Tx, workspace_id: str, *, by: str) -> tuple[Workspace, str | None]:
        """Open a closed workspace in the name of the principal `by`, with its receipt. NotFound when it is open."""
        workspace = workspace_rows.get(tx, workspace_id, deleted=True, lock=True)
        if workspace.deleted_at is None:
            raise NotFound("Workspace not found")
        workspace_rows.change(tx, workspace.id, now=self.now(), deleted_at=None, purge_at=None)
        evidence = self.recorder.record(tx, WorkspaceRestored(workspace_id=workspace.id, actor=by))
        self.cache.forget_after(tx)
        return replace(workspace, deleted_at=None, purge_at=None), evidence
