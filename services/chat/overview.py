"""A workspace at a glance: what /status, /usage and /operators say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.clock import Now
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.tools.operator import Operator
from storage.approvals import approval_rows
from storage.chat import person_rows
from storage.database import Store
from storage.ledger import log_rows
from storage.policy import settings_rows
from storage.runs import task_rows, usage_rows
from storage.tools import operator_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A workspace at a glance."""

    workspace: str
    mode: str
    killed: bool
    tasks: Mapping[str, int]
    pending_approvals: int
    receipts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewService:
    """Reads for commands."""

    store: Store
    now: Now

    async def of_workspace(self, actor: Actor) -> Overview:
        """Counts for /status."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Overview:
            stored = settings_rows.get(tx, workspace_id)
            return Overview(
                workspace=person_rows.workspace_name(tx, workspace_id),
                mode=stored.mode,
                killed=stored.policy.get("killSwitch") is True,
                tasks=task_rows.counts(tx, workspace_id),
                pending_approvals=approval_rows.count_pending(tx, workspace_id),
                receipts=log_rows.head(tx, workspace_id).size,
            )

        return await self.store.read(work)

    async def usage(self, actor: Actor) -> Sequence[tuple[str, dict[str, int]]]:
        """What models took today, in seven days and this month (UTC), for /usage."""
        require(actor, Action.USAGE_READ)
        today = self.now().date()
        spans = {"today": today, "week": today - timedelta(days=6), "month": today.replace(day=1)}

        def work(tx: Tx) -> Sequence[tuple[str, dict[str, int]]]:
            until = today.isoformat()
            return [
                (name, usage_rows.total(tx, actor.in_workspace, since=since.isoformat(), until=until))
                for name, since in spans.items()
            ]

        return await self.store.read(work)

    async def workspace_name(self, workspace_id: str) -> str:
        """The name of a workspace."""
        return await self.store.read(lambda tx: person_rows.workspace_name(tx, workspace_id))

    async def operators(self, actor: Actor) -> Sequence[Operator]:
        """The operators of the workspace."""
        require(actor, Action.OPERATOR_READ)
        return await self.store.read(lambda tx: operator_rows.find(tx, actor.in_workspace))
