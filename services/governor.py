"""Asks the policy about one call, with the facts of the moment, inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from domain.approvals import Approval, ApprovalStatus
from domain.clock import Now, iso
from domain.delegation import narrowed
from domain.governance import Decision, Verdict
from domain.ids import new_id
from domain.policy.decide import Finding, decide, explain
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.facts import CallFacts, GrantFacts
from domain.policy.rules import RuleEngine
from domain.runs import Run, Step
from domain.settings_schema import WorkspaceSettings, load
from domain.tasks import Task
from domain.tools import ToolSpec
from storage import approvals, operators, receipts, runs, settings
from storage.database import Tx
from storage.violations import Violation
from storage.violations import add as add_violation

HARD_ITERATION_LIMIT = 1000


class SecondOpinion(Protocol):
    """A decision point outside this process that must also allow (a HELM sidecar). It fails closed."""

    async def evaluate(
        self, *, workspace_id: str, run_id: str, spec: ToolSpec, args: Mapping[str, Any]
    ) -> Decision: ...


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """How a workspace wants to be asked."""

    ttl_minutes: int
    quorum: int
    deciders: Sequence[str]
    undo_seconds: int


@dataclass(frozen=True, slots=True)
class Governor:
    """The policy with what it needs to know. It decides; recording is the caller's."""

    rules: RuleEngine
    now: Now
    second_opinion: SecondOpinion | None = None

    # --- what is in force -------------------------------------------------------------------------

    def settings(self, tx: Tx, workspace_id: str) -> tuple[WorkspaceSettings, str]:
        """The settings of a workspace, and its mode; read once a transaction."""
        key = f"settings:{workspace_id}"
        if key not in tx.cache:
            stored = settings.get(tx, workspace_id)
            tx.cache[key] = (load(stored.policy, stored.budget, stored.model), stored.mode)
        found: tuple[WorkspaceSettings, str] = tx.cache[key]
        return found

    def policy(self, tx: Tx, workspace_id: str) -> tuple[EffectivePolicy, str]:
        """The effective policy and its hash; kept by its hash from the first decision under it on."""
        key = f"policy:{workspace_id}"
        if key not in tx.cache:
            policy = effective(self.settings(tx, workspace_id)[0])
            tx.cache[key] = (policy, policy.policy_hash)
        found: tuple[EffectivePolicy, str] = tx.cache[key]
        return found

    def policy_hash(self, tx: Tx, workspace_id: str) -> str:
        """The hash of the effective policy."""
        policy, name = self.policy(tx, workspace_id)
        receipts.keep_policy(
            tx,
            workspace_id=workspace_id,
            policy_hash=name,
            snapshot=policy.canonical().decode(),
            now=self.now(),
        )
        return name

    def approval_rules(self, tx: Tx, workspace_id: str, *, tool: str) -> ApprovalRules:
        """How approvals about a tool are asked for."""
        del tool
        policy = self.settings(tx, workspace_id)[0].policy
        return ApprovalRules(
            ttl_minutes=policy.approvalTtlMinutes,
            quorum=policy.approvalQuorum,
            deciders=policy.approvers,
            undo_seconds=policy.undoSeconds,
        )

    def iteration_limit(self, tx: Tx, task: Task, *, requested: int | None) -> int:
        """The smallest of what was asked for, what the task has, the operator's and the workspace's limit."""
        limits = [task.iteration_budget, self.settings(tx, task.workspace_id)[0].policy.maxIterationBudget]
        if requested is not None:
            limits.append(requested)
        if task.operator_id is not None:
            limits.append(operators.get(tx, task.workspace_id, task.operator_id).max_iterations)
        return max(1, min(*limits, HARD_ITERATION_LIMIT))

    # --- deciding ---------------------------------------------------------------------------------

    async def consult(self, run: Run, task: Task, spec: ToolSpec, args: Mapping[str, Any]) -> Decision | None:
        """The second opinion, asked before the transaction; None where there is none."""
        if self.second_opinion is None or spec.name == "finish":
            return None
        return await self.second_opinion.evaluate(workspace_id=task.workspace_id, run_id=run.id, spec=spec, args=args)

    def decide(
        self,
        tx: Tx,
        *,
        task: Task,
        run: Run,
        spec: ToolSpec,
        args: Mapping[str, Any],
        consulted: Decision | None,
        approved_by: Approval | None = None,
        estimate: int = 0,
    ) -> Decision:
        """The strictest of our own decision and the second opinion.

        `estimate` (micros) is what was spent on this very step and is not in the books yet.
        """
        policy, _ = self.policy(tx, task.workspace_id)
        name = self.policy_hash(tx, task.workspace_id)
        facts = self.facts(tx, task=task, run=run, spec=spec, args=args, approved_by=approved_by, estimate=estimate)
        tx.cache["facts"] = facts.as_json()
        own = decide(policy, facts, self.rules, policy_hash=name)
        if own.verdict is Verdict.ALLOW and own.rule_id.startswith("grant:") and not self._use_grant(tx, own):
            own = decide(policy, _without_grants(facts), self.rules, policy_hash=name)
        if consulted is None or (facts.approved and consulted.verdict is Verdict.ESCALATE):
            return own
        return own.stricter_of(consulted)

    def _use_grant(self, tx: Tx, decision: Decision) -> bool:
        return approvals.use_grant(tx, decision.rule_id.removeprefix("grant:"), now=self.now())

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
            _with_spent(bare, self._spent(tx, task, run, now)),
            task_id=task.id,
            estimate=estimate,
            iteration=run.iterations_used,
            approved=approved_by is not None and approved_by.status == ApprovalStatus.APPROVED,
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
        facts = _with_spent(facts, self._spent_today(tx, workspace_id, operator_id, now))
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
        operator = operators.facts(tx, workspace_id, operator_id)
        tools = narrowed(operator["tools"], bounds)
        live = approvals.grants_of(tx, workspace_id, live_at=now, tool=spec.name)
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

    def _spent(self, tx: Tx, task: Task, run: Run, now: datetime) -> dict[str, int]:
        return {
            # a sub-run has no more left than its slice, whatever the task's budget is
            "task_spent": self._per_task(tx, task) - self.left(tx, task, run),
            **self._spent_today(tx, task.workspace_id, task.operator_id, now),
        }

    def left(self, tx: Tx, task: Task, run: Run) -> int:
        """What the run may still spend (micros): of the task's budget, and of its slice where it is a sub-run."""
        of_task = self._per_task(tx, task) - runs.task_spent(tx, task.workspace_id, task.id)
        return of_task if run.budget_micros is None else min(of_task, run.budget_micros - run.cost_micros)

    def _per_task(self, tx: Tx, task: Task) -> int:
        """The task's budget in force for whoever works on it."""
        policy = self.policy(tx, task.workspace_id)[0]
        if not policy.packs:
            return policy.per_task
        return policy.for_role(operators.facts(tx, task.workspace_id, task.operator_id)["role"]).per_task

    @staticmethod
    def _spent_today(tx: Tx, workspace_id: str, operator_id: str | None, now: datetime) -> dict[str, int]:
        day = now.date()
        return {
            "operator_spent": runs.spent(tx, workspace_id, since_day=day.isoformat(), operator_id=operator_id or ""),
            "day_spent": runs.spent(tx, workspace_id, since_day=day.isoformat()),
            "month_spent": runs.spent(tx, workspace_id, since_day=day.replace(day=1).isoformat()),
        }

    @staticmethod
    def last_facts(tx: Tx) -> Any:
        """The facts of the last decision in this transaction, for its receipt; None when the call was malformed."""
        return tx.cache.get("facts")

    def before_model_call(self, tx: Tx, task: Task, run: Run) -> str | None:
        """Why no model may be asked any more, None when one may."""
        policy, _ = self.policy(tx, task.workspace_id)
        spent = self._spent(tx, task, run, self.now())
        if run.budget_micros is not None and run.cost_micros >= run.budget_micros:
            return "the budget of this run is used up"
        for name, limit in (
            ("task", policy.per_task),
            ("operator", policy.per_operator),
            ("day", min(policy.per_day, policy.emergency)),
            ("month", policy.per_month),
        ):
            if limit is not None and spent[f"{name}_spent"] >= limit:
                return f"the {name} budget of {limit / 1e6:.2f} USD is used up"
        return None

    def violation(self, tx: Tx, task: Task, step: Step, decision: Decision) -> None:
        """Write down a refusal by policy."""
        severe = decision.reason_code in ("SYSTEM_FROZEN", "DATA_EGRESS_BLOCKED", "TAINTED_APPROVAL", "PDP_ERROR")
        add_violation(
            tx,
            Violation(
                id=new_id(),
                workspace_id=task.workspace_id,
                policy_rule=decision.rule_id,
                violation=decision.reason,
                severity="critical" if severe else "warning",
                action=step.tool,
                blocked=True,
                metadata={
                    "taskId": task.id,
                    "runId": step.run_id,
                    "stepId": step.id,
                    "reasonCode": decision.reason_code,
                    "policyHash": decision.policy_hash,
                },
                created_at=self.now(),
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
