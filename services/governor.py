"""Asks the policy about one call, with the facts of the moment, inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from domain.approvals import Approval, ApprovalStatus
from domain.clock import Now, iso
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
class Allowance:
    """What the next answer of a model may cost at most, in micros; held back from everybody else meanwhile."""

    micros: int


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
    ) -> CallFacts:
        """What holds for a call whatever was spent and done before it."""
        operator = operators.facts(tx, workspace_id, operator_id)
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
            operator_tools=(*operator["tools"], "finish") if operator["tools"] else (),
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

    @staticmethod
    def _spent(tx: Tx, task: Task, run: Run, now: datetime) -> dict[str, int]:
        own = 0 if run.budget_micros is None else max(0, run.cost_micros - run.budget_micros)
        return {
            # a sub-operator's slice counts as the task's whole budget once it is used up
            "task_spent": runs.task_spent(tx, task.workspace_id, task.id) + own,
            **Governor._spent_today(tx, task.workspace_id, task.operator_id, now),
        }

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

    def before_model_call(self, tx: Tx, task: Task, run: Run, *, estimate: int = 0) -> Allowance | str:
        """What the next answer of a model may cost, or why none may be asked any more.

        `estimate` (micros) is what one request may cost at most. Every budget must have room for it beside what was
        spent and what other runs hold back for calls under way: to be kept true, the caller holds the workspace's
        lock and writes the allowance into the run in the same transaction.
        """
        budgets = self._budgets(tx, task, run)
        for name, limit, used in budgets:
            if used >= limit:
                return f"the {name} budget of {limit / 1e6:.2f} USD is used up"
            if used + estimate > limit:
                return (
                    f"the next call of the model may cost up to {estimate / 1e6:.4f} USD, "
                    f"and of the {name} budget of {limit / 1e6:.2f} USD only {(limit - used) / 1e6:.4f} USD is left"
                )
        # an answer that has to be corrected takes a second request
        return Allowance(min(2 * estimate, *(limit - used for _, limit, used in budgets)))

    def _budgets(self, tx: Tx, task: Task, run: Run) -> Sequence[tuple[str, int, int]]:
        """Each budget by name: its limit, and what of it was spent or is held back, in micros."""
        workspace_id, operator_id = task.workspace_id, task.operator_id or ""
        policy, _ = self.policy(tx, workspace_id)
        if policy.packs:
            policy = policy.for_role(operators.facts(tx, workspace_id, task.operator_id)["role"])
        spent = self._spent(tx, task, run, self.now())
        held = runs.held_back(tx, workspace_id, but=run.id)
        of_task = sum(micros for one, _, micros in held if one == task.id)
        of_operator = sum(micros for _, one, micros in held if one == operator_id)
        of_all = sum(micros for _, _, micros in held)
        found = [
            ("task", policy.per_task, spent["task_spent"] + of_task),
            ("operator", policy.per_operator, spent["operator_spent"] + of_operator),
            ("emergency", policy.emergency, spent["day_spent"] + of_all),
            ("day", policy.per_day, spent["day_spent"] + of_all),
        ]
        if policy.per_month is not None:
            found.append(("month", policy.per_month, spent["month_spent"] + of_all))
        if run.budget_micros is not None:
            found.append(("run", run.budget_micros, run.cost_micros))
        return found

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
