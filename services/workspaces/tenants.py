"""The installation's own view of its workspaces: made, closed, opened again and removed by whoever runs it."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.clock import Now
from domain.errors import NotFound
from domain.workspaces.workspace import Workspace
from services.identity.admission import Admission
from services.identity.cache import IdentityCache
from services.identity.sign_up import ADMINISTRATOR
from services.workspaces.erasure import ErasureService
from services.workspaces.service import WorkspaceService
from storage.database import Store
from storage.identity import user_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantService:
    """Every change is in the audit trail and the log of the workspace, by `platform-admin`.

    Who may is decided before: at the command line by access to the machine, over HTTP by the administrator's key.
    """

    store: Store
    cache: IdentityCache
    admission: Admission
    workspaces: WorkspaceService
    erasure: ErasureService
    now: Now

    async def list(self, *, limit: int, after: str | None = None, closed: bool = False) -> Sequence[Workspace]:
        """Workspaces by id, `limit` of them after the id `after`; the closed ones, or those that are open."""
        return await self.store.read(lambda tx: workspace_rows.page(tx, limit=limit, after=after, closed=closed))

    async def create(self, *, name: str, owner_id: str) -> tuple[Workspace, str | None]:
        """A workspace for a person who is known here, and its first receipt; NotFound for anybody else."""

        def work(tx: Tx) -> tuple[Workspace, str | None]:
            owner = user_rows.get(tx, owner_id)
            if owner is None:
                raise NotFound("User not found")
            made = self.admission.create_workspace(tx, owner, name, now=self.now(), by=ADMINISTRATOR)
            self.cache.forget_after(tx)
            return made

        return await self.store.write(work)

    async def delete(self, workspace_id: str, *, grace_days: int, reason: str | None) -> tuple[Workspace, str | None]:
        """Close a workspace; NotFound when there is none that is open."""
        return await self.store.write(
            lambda tx: self.workspaces.close(tx, workspace_id, by=ADMINISTRATOR, grace_days=grace_days, reason=reason)
        )

    async def restore(self, workspace_id: str) -> tuple[Workspace, str | None]:
        """Open a closed workspace again; NotFound when there is none."""
        return await self.store.write(lambda tx: self.workspaces.reopen(tx, workspace_id, by=ADMINISTRATOR))

    async def clean_up(self, *, limit: int) -> int:
        """Remove workspaces whose grace is over, now and not within the hour; how many."""
        return await self.erasure.purge_due(limit=limit)
