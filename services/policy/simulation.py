"""Trying a policy before it counts: what it would say of one call, and what a change of it would have changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.clock import Now
from domain.errors import Invalid, NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.policy.decide import Finding
from domain.policy.effective import effective
from domain.policy.facts import CallFacts
from domain.policy.governance import Decision
from domain.policy.replay import Difference, compare
from domain.policy.rules import RuleEngine
from domain.policy.settings_schema import load
from domain.runs.task import Mode
from services.ledger.append import Ledger
from services.ledger.records import Records
from services.policy.changes import merged
from services.policy.service import PolicyService
from services.tools.registry import ToolRegistry
from storage.database import Store
from storage.ledger import receipt_rows
from storage.policy import settings_rows
from storage.tools import operator_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The decision there would be, and everything that speaks against the call in the order of the checks."""

    decision: Decision
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A decision of the past that the changed policy would make otherwise."""

    receipt_id: str
    decided_at: datetime
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiff:
    """`tested` decisions were made again; `policy_hash` is what the changed policy would be called."""

    tested: int
    policy_hash: str
    changed: Sequence[Changed]


@dataclass(frozen=True, slots=True)
class SimulationService:
    """Nothing here writes: no receipt, no violation, no budget or grant is used."""

    store: Store
    policy_service: PolicyService
    tool_registry: ToolRegistry
    rules: RuleEngine
    now: Now

    async def call(
        self, actor: Actor, *, tool: str, args: Mapping[str, Any], operator_id: str | None, mode: Mode | None
    ) -> Rehearsed:
        """What would be decided about this call now; Invalid for a tool or arguments that there are not."""
        require(actor, Action.SETTINGS_READ)
        tools = await self.tool_registry.of(self.store, actor.in_workspace)
        found = tools.get(tool)
        if found is None:
            raise Invalid.field("tool", "is not known here")
        problem = await tools.problem_of(tool, args)
        if problem is not None:
            raise Invalid.field("args", problem)

        def work(tx: Tx) -> Rehearsed:
            workspace_id = actor.in_workspace
            if operator_id is not None and not operator_rows.exists(tx, workspace_id, operator_id):
                raise NotFound("Operator not found")
            decision, findings = self.policy_service.rehearse(
                tx,
                workspace_id=workspace_id,
                operator_id=operator_id,
                task_mode="" if mode is None else mode.value,
                spec=found.spec,
                args=args,
            )
            return Rehearsed(decision=decision, findings=findings)

        # rules and bans look at every text of the call: that is not for the event loop
        return await self.store.read(work, long=True)

    async def policy(self, actor: Actor, patch: Any, *, limit: int) -> PolicyDiff:
        """Make the newest `limit` decisions again, as they would be were `patch` merged into the settings.

        Invalid names the field of the change that is wrong, as saving it would.
        """
        require(actor, Action.POLICY_WRITE)
        return await self.store.read(lambda tx: self.policy_in(tx, actor.in_workspace, patch, limit=limit), long=True)

    def policy_in(self, tx: Tx, workspace_id: str, patch: Any, *, limit: int) -> PolicyDiff:
        """As `policy`, in the caller's transaction."""
        stored = settings_rows.get(tx, workspace_id)
        before = load(stored.policy, stored.budget, stored.model)
        old, new = effective(before), effective(merged(before, patch, rules=self.rules))
        tested = 0
        changed: list[Changed] = []
        for receipt_id, at, facts in _decided(self.policy_service.ledger, tx, workspace_id, limit=limit):
            tested += 1
            changed.extend(
                Changed(receipt_id=receipt_id, decided_at=at, difference=difference)
                for difference in compare(old, new, [facts], self.rules)
            )
        return PolicyDiff(tested=tested, policy_hash=new.policy_hash, changed=changed)


def _decided(ledger: Ledger, tx: Tx, workspace_id: str, *, limit: int) -> Iterator[tuple[str, datetime, CallFacts]]:
    """The newest decisions whose facts are kept as they were signed; erased and altered ones are left out."""
    rows = receipt_rows.find(tx, workspace_id, limit=limit, kinds=("decision",))
    for said in reversed(Records(ledger, tx, workspace_id).statements(rows)):
        facts = said.args.get("facts") if isinstance(said.args, dict) else None
        if facts is not None and not said.differs:
            yield said.id, said.at, CallFacts.from_json(facts)
