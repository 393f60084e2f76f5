"""Operators: who does the work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.clock import Now
from domain.errors import Invalid
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.journal.workspace import OperatorCreated, OperatorUpdated
from domain.tools.operator import Operator
from services.ledger.recorder import Recorder
from services.tools.registry import ToolRegistry
from storage.database import Store
from storage.tools import operator_rows
from storage.transaction import Tx

ROLES = {
    "engineering": "Builds and ships: plans technical work, writes code tasks, checks deployments.",
    "product": "Decides what to build: talks to users, writes specifications, keeps the plan.",
    "growth": "Brings people in: experiments, outreach, launches, numbers.",
    "design": "Makes it usable and clear: flows, texts, pictures.",
    "ops": "Keeps it running: checklists, providers, money, reminders.",
}


@dataclass(frozen=True, slots=True)
class OperatorService:
    """Use cases about operators."""

    store: Store
    tool_registry: ToolRegistry
    recorder: Recorder
    now: Now

    async def list(self, actor: Actor) -> Sequence[Operator]:
        """Operators of the workspace, oldest first."""
        require(actor, Action.OPERATOR_READ)
        return await self.store.read(lambda tx: operator_rows.find(tx, actor.in_workspace))

    async def get(self, actor: Actor, operator_id: str) -> Operator:
        """One operator."""
        require(actor, Action.OPERATOR_READ)
        return await self.store.read(lambda tx: operator_rows.get(tx, actor.in_workspace, operator_id))

    async def check_tools(self, actor: Actor, names: Sequence[str]) -> None:
        """Invalid when a tool does not exist in the workspace."""
        tools = await self.tool_registry.of(self.store, actor.in_workspace)
        for name in names:
            if tools.get(name) is None:
                raise Invalid.field("tools", f"there is no tool called {name[:100]}")

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        role: str,
        goal: str,
        constraints: Sequence[str],
        tools: Sequence[str],
        max_iterations: int = 50,
    ) -> Operator:
        """A new operator."""
        require(actor, Action.OPERATOR_WRITE)
        await self.check_tools(actor, tools)
        now = self.now()
        operator = Operator(
            id=new_id(),
            workspace_id=actor.in_workspace,
            name=name,
            role=role,
            goal=goal,
            constraints=list(constraints),
            tools=list(tools),
            is_active=True,
            max_iterations=max_iterations,
            budget_micros=None,
            created_at=now,
            updated_at=now,
        )

        def work(tx: Tx) -> Operator:
            operator_rows.add(tx, operator)
            self.recorder.record(
                tx,
                OperatorCreated(
                    workspace_id=operator.workspace_id,
                    actor=actor.principal,
                    operator_id=operator.id,
                    name=name,
                    role=role,
                    goal=goal,
                    tools=list(tools),
                ),
            )
            return operator

        return await self.store.write(work)

    async def update(self, actor: Actor, operator_id: str, changes: dict[str, Any]) -> Operator:
        """Change goal, constraints, tools, name or whether it is active."""
        require(actor, Action.OPERATOR_WRITE)
        await self.check_tools(actor, changes.get("tools") or ())

        def work(tx: Tx) -> Operator:
            operator_rows.get(tx, actor.in_workspace, operator_id)
            operator_rows.change(tx, actor.in_workspace, operator_id, **changes, updated_at=self.now())
            self.recorder.record(
                tx,
                OperatorUpdated(
                    workspace_id=actor.in_workspace,
                    actor=actor.principal,
                    operator_id=operator_id,
                    changed=list(changes),
                ),
            )
            return operator_rows.get(tx, actor.in_workspace, operator_id)

        return await self.store.write(work)
