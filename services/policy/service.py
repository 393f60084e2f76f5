"""Asks the policy about one call, with the facts of the moment, inside the caller's transaction."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from domain.approvals.approval import Approval, ApprovalStatus
from domain.clock import Now, iso
from domain.errors import Forbidden
from domain.policy.decide import FINISH, Finding, decide, effect_in_force, explain
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.facts import CallFacts, GrantFacts, OpinionFacts
from domain.policy.governance import Decision, ExternalDecision, Verdict
from domain.policy.rules import RuleEngine
from domain.policy.settings_schema import WorkspaceSettings, load
from domain.runs.delegation import narrowed
from domain.runs.run import Run
from domain.runs.task import Task
from domain.tools.tool import ToolSpec
from services.ledger.append import Ledger
from services.ledger.records import live_grants
from services.ledger.signed_settings import stored_settings as signed_settings
from services.policy.budgets import UNLIMITED, Budgets, InstallationBudget
from storage.approvals import approval_rows
from storage.policy import snapshot_rows
from storage.tools import operator_rows
from storage.transaction import Tx

log = logging.getLogger(__name__)

HARD_ITERATION_LIMIT = 1000
UNHEARD = ExternalDecision(source="", verdict=Verdict.ALLOW)


class ExternalPdp(Protocol):
    """A decision point outside this process that must also allow (a HELM sidecar). It fails closed."""

    async def evaluate(
        self, *, workspace_id: str, session_id: str, spec: ToolSpec, args: Mapping[str, Any]
    ) -> ExternalDecision: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision with what its receipt has to keep.

    `input` are the facts it was made from, for replay; None where the call was refused without asking the policy.
    `external` is the word of the decision point outside this process, which says nothing where there is none.
    """

    decision: Decision
    input: Mapping[str, Any] | None = None
    external: ExternalDecision = UNHEARD


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """How a workspace wants to be asked."""

    ttl_minutes: int
    quorum: int
    deciders: Sequence[str]
    role: str
    undo_seconds: int


@dataclass(frozen=True, slots=True)
class PolicyService:
    """The policy with what it needs to know. It decides; recording is the caller's."""

    rules: RuleEngine
    ledger: Ledger
    now: Now
    second_opinion: ExternalPdp | None = None
    installation: InstallationBudget = UNLIMITED

    @property
    def budgets(self) -> Budgets:
        """What work may still cost under this policy."""
        return Budgets(lambda tx, workspace_id: self.policy(tx, workspace_id)[0], self.now, self.installation)

    # --- what is in force -------------------------------------------------------------------------

    def settings(self, tx: Tx, workspace_id: str) -> tuple[WorkspaceSettings, str]:
        """The settings of a workspace as they were signed, and its mode; read once a transaction.

        Altered when the store holds others: nothing is decided by what nobody signed.
        """
        key = f"settings:{workspace_id}"
        if key not in tx.memo:
            stored = signed_settings(self.ledger, tx, workspace_id)
            tx.memo[key] = (load(stored.policy, stored.budget, stored.model), stored.mode)
        found: tuple[WorkspaceSettings, str] = tx.memo[key]
        return found

    def policy(self, tx: Tx, workspace_id: str) -> tuple[EffectivePolicy, str]:
        """The effective policy and its hash; kept by its hash from the first decision under it on."""
        key = f"policy:{workspace_id}"
        if key not in tx.memo:
            policy = effective(self.settings(tx, workspace_id)[0])
            tx.memo[key] = (policy, policy.policy_hash)
        found: tuple[EffectivePolicy, str] = tx.memo[key]
        return found

    def policy_hash(self, tx: Tx, workspace_id: str) -> str:
        """The hash of the effective policy."""
        policy, name = self.policy(tx, workspace_id)
        snapshot_rows.keep(
            tx,
            workspace_id=workspace_id,
            policy_hash=name,
            snapshot=policy.canonical().decode(),
            now=self.now(),
        )
        return name

    def approval_rules(self, tx: Tx, workspace_id: str) -> ApprovalRules:
        """How approvals are asked for."""
        policy = self.settings(tx, workspace_id)[0].policy
        return ApprovalRules(
            ttl_minutes=policy.approval_ttl_minutes,
            quorum=policy.approval_quorum,
            deciders=policy.approvers,
            role=policy.approver_role,
            undo_seconds=policy.undo_seconds,
        )

    def effect_of(self, tx: Tx, task: Task, spec: ToolSpec) -> int:
        """The effect level of a tool in a task, as the policy of now has it."""
        return self._effect(tx, task.workspace_id, task.operator_id, tool=spec.name, effect=int(spec.effect))

    def effect_outside(self, tx: Tx, workspace_id: str, *, tool: str, effect: int) -> int:
        """The effect level of what an agent of others asks about: its own word, or what the policy raises it to."""
        return self._effect(tx, workspace_id, None, tool=tool, effect=effect)

    def _effect(self, tx: Tx, workspace_id: str, operator_id: str | None, *, tool: str, effect: int) -> int:
        policy, _ = self.policy(tx, workspace_id)
        role = operator_rows.facts(tx, workspace_id, operator_id)["role"] if policy.packs else ""
        return effect_in_force(policy, tool=tool, effect=effect, role=role)

    def check_not_frozen(self, tx: Tx, workspace_id: str) -> None:
        """Forbidden while the kill switch is on: for what is not decided on, questions of others and to models."""
        if self.settings(tx, workspace_id)[0].policy.kill_switch:
            raise Forbidden("the kill switch is on", code="kill_switch")

    def iteration_limit(self, tx: Tx, task: Task, *, requested: int | None) -> int:
        """The smallest of what was asked for, what the task has, the operator's and the workspace's limit."""
        limits = [task.iteration_budget, self.settings(tx, task.workspace_id)[0].policy.max_iteration_budget]
        if requested is not None:
            limits.append(requested)
        if task.operator_id is not None:
            limits.append(operator_rows.get(tx, task.workspace_id, task.operator_id).max_iterations)
        return max(1, min(*limits, HARD_ITERATION_LIMIT))

    # --- deciding ---------------------------------------------------------------------------------

    async def consult(
        self, *, workspace_id: str, session_id: str, spec: ToolSpec, args: Mapping[str, Any]
    ) -> ExternalDecision | None:
        """The second opinion, asked before the transaction; None where there is none. Whatever breaks is a DENY."""
        if self.second_opinion is None or spec.name == FINISH:
            return None
        try:
            return await self.second_opinion.evaluate(
                workspace_id=workspace_id, session_id=session_id, spec=spec, args=args
            )
        except Exception:
            log.exception("second_opinion_failed")
            return ExternalDecision(
                source="second_opinion",
                verdict=Verdict.DENY,
                reason_code="PDP_ERROR",
                reason="the second opinion could not be heard",
            )

    def decide(
        self,
        tx: Tx,
        *,
        task: Task,
        run: Run,
        spec: ToolSpec,
        args: Mapping[str, Any],
        consulted: ExternalDecision | None,
        approved_by: Approval | None = None,
        estimate: int = 0,
    ) -> Decided:
        """The strictest of our own decision and the second opinion.

        `estimate` (micros) is what was spent on this very step and is not in the books yet.
        """
        facts = self.facts(tx, task=task, run=run, spec=spec, args=args, approved_by=approved_by, estimate=estimate)
        return self._decide(tx, task.workspace_id, facts, consulted)

    def against_repeating(
        self, tx: Tx, *, task: Task, run: Run, spec: ToolSpec, args: Mapping[str, Any]
    ) -> Decision | None:
        """Why the policy of now forbids to repeat a call that was allowed and interrupted; None where it does not.

        Leave for the call was given: none is asked for again, nothing is written, and no grant is used up.
        """
        facts = replace(self.facts(tx, task=task, run=run, spec=spec, args=args), approved=True)
        policy, name = self.policy(tx, task.workspace_id)
        decision = decide(policy, facts, self.rules, policy_hash=name)
        return decision if decision.verdict is Verdict.DENY else None

    def decide_outside(
        self,
        tx: Tx,
        *,
        workspace_id: str,
        spec: ToolSpec,
        args: Mapping[str, Any],
        consulted: ExternalDecision | None,
        asked_before: ExternalDecision | None,
    ) -> Decided:
        """The decision about a call that an agent which is not ours wants to make.

        `asked_before` is what people said about this very call. Grants are given to our own operators: none counts.
        """
        now = self.now()
        bare = self._facts(tx, workspace_id=workspace_id, operator_id=None, task_mode="", spec=spec, args=args, now=now)
        facts = replace(
            _with_spent(_without_grants(bare), self.budgets.spent_today(tx, workspace_id, None, now=now)),
            approved=asked_before is not None and asked_before.verdict is Verdict.ALLOW,
        )
        return self._decide(tx, workspace_id, facts, consulted, asked_before)

    def _decide(self, tx: Tx, workspace_id: str, facts: CallFacts, *heard: ExternalDecision | None) -> Decided:
        policy, _ = self.policy(tx, workspace_id)
        name = self.policy_hash(tx, workspace_id)
        facts = replace(
            facts,
            opinions=tuple(
                OpinionFacts(
                    source=one.source, verdict=one.verdict.value, reason_code=one.reason_code, reason=one.reason
                )
                for one in heard
                if one is not None
            ),
        )
        own = decide(policy, facts, self.rules, policy_hash=name)
        grant, by_grant = own.rule_id.removeprefix("grant:"), own.rule_id.startswith("grant:")
        if own.verdict is Verdict.ALLOW and by_grant:
            used = approval_rows.use_grant(tx, grant, now=self.now())
            if used is not None:
                return Decided(
                    decision=replace(own, grant_use=used), input=facts.as_json(), external=heard[0] or UNHEARD
                )
            # somebody else used it up: what is kept for replay must not hold it either
            facts = _without_grants(facts)
            own = decide(policy, facts, self.rules, policy_hash=name)
        return Decided(decision=own, input=facts.as_json(), external=heard[0] or UNHEARD)

    def facts(
        self,
        tx: Tx,
        *,
        task: Task,
        run: Run,
        spec: ToolSpec,
        args: Mapping[str, Any],
        approved_by: Approval | None = None,
        estimate: int = 0,
    ) -> CallFacts:
        """The facts of the moment about one call."""
        now = self.now()
        bare = self._facts(
            tx,
            workspace_id=task.workspace_id,
            operator_id=task.operator_id,
            task_mode=task.mode,
            spec=spec,
            args=args,
            now=now,
            bounds=run.bounds,
        )
        return replace(
            _with_spent(bare, self.budgets.spent(tx, task, run, now=now)),
            task_id=task.id,
            estimate=estimate,
            iteration=run.iterations_used,
            approved=approved_by is not None and approved_by.status is ApprovalStatus.APPROVED,
        )

    def rehearse(
        self,
        tx: Tx,
        *,
        workspace_id: str,
        operator_id: str | None,
        task_mode: str,
        spec: ToolSpec,
        args: Mapping[str, Any],
    ) -> tuple[Decision, Sequence[Finding]]:
        """What the policy would say of the first call of a new task, and everything that speaks against it.

        Nothing is written, and no grant is used up.
        """
        policy, name = self.policy(tx, workspace_id)
        now = self.now()
        facts = self._facts(
            tx,
            workspace_id=workspace_id,
            operator_id=operator_id,
            task_mode=task_mode,
            spec=spec,
            args=args,
            now=now,
        )
        facts = _with_spent(facts, self.budgets.spent_today(tx, workspace_id, operator_id, now=now))
        return decide(policy, facts, self.rules, policy_hash=name), explain(policy, facts, self.rules)

    def _facts(
        self,
        tx: Tx,
        *,
        workspace_id: str,
        operator_id: str | None,
        task_mode: str,
        spec: ToolSpec,
        args: Mapping[str, Any],
        now: datetime,
        bounds: Sequence[str] | None = None,
    ) -> CallFacts:
        """What holds for a call whatever was spent and done before it."""
        operator = operator_rows.facts(tx, workspace_id, operator_id)
        tools = narrowed(operator["tools"], bounds)
        live = live_grants(self.ledger, tx, workspace_id, tool=spec.name, now=now)
        return CallFacts(
            tool=spec.name,
            effect=int(spec.effect),
            args=args,
            mode=self.settings(tx, workspace_id)[1],
            task_mode=task_mode,
            tool_modes=spec.modes,
            connector=spec.connector,
            connector_granted=None,
            operator_id=operator_id or "",
            operator_tools=(*tools, "finish") if tools else (),
            operator_role=operator["role"],
            at=iso(now),
            grants=tuple(
                GrantFacts(
                    id=g.id,
                    tool=g.tool,
                    task_id=g.task_id,
                    max_effect=g.max_effect,
                    expires_at=iso(g.expires_at),
                )
                for g in live
            ),
        )


def _with_spent(facts: CallFacts, spent: Mapping[str, int]) -> CallFacts:
    return replace(
        facts,
        task_spent=spent.get("task_spent", 0),
        operator_spent=spent["operator_spent"],
        day_spent=spent["day_spent"],
        month_spent=spent["month_spent"],
    )


def _without_grants(facts: CallFacts) -> CallFacts:
    return replace(facts, grants=())
