"""Asks the policy about one call, with the facts of the moment, inside the caller's transaction."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from domain.approvals import Approval, ApprovalStatus
from domain.clock import Now, iso
from domain.delegation import narrowed
from domain.errors import Forbidden
from domain.governance import Decision, Opinion, Verdict, severity_of
from domain.ids import new_id
from domain.policy.decide import FINISH, Finding, decide, effect_in_force, explain
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.facts import CallFacts, GrantFacts, OpinionFacts
from domain.policy.rules import RuleEngine
from domain.ports import OVER_BUDGET, OVER_INSTALLATION_BUDGET, Usage
from domain.runs import Run, Step
from domain.settings_schema import WorkspaceSettings, load
from domain.tasks import Task
from domain.tools import ToolSpec
from services.integrity.records import live_grants
from services.integrity.records import stored_settings as signed_settings
from services.ledger import Ledger
from storage import approvals, installation_spend, operators, receipts, runs
from storage.database import Tx
from storage.violations import Violation
from storage.violations import add as add_violation

log = logging.getLogger(__name__)

HARD_ITERATION_LIMIT = 1000
NOTHING = Usage()
UNHEARD = Opinion(source="", verdict=Verdict.ALLOW)


class SecondOpinion(Protocol):
    """A decision point outside this process that must also allow (a HELM sidecar). It fails closed."""

    async def evaluate(
        self, *, workspace_id: str, session_id: str, spec: ToolSpec, args: Mapping[str, Any]
    ) -> Opinion: ...


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """How a workspace wants to be asked."""

    ttl_minutes: int
    quorum: int
    deciders: Sequence[str]
    role: str
    undo_seconds: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the next answer of a model may cost at most, in micros; held back from everybody else meanwhile.

    `of_installation` is the part that the installation's keys may have to pay; with `at_own_cost` they pay nothing.
    """

    micros: int
    of_installation: int = 0
    at_own_cost: bool = False


@dataclass(frozen=True, slots=True)
class OverBudget:
    """Why no model may be asked any more: the budget without room, a reason for people, and a stable code."""

    budget: str
    reason: str
    code: str = OVER_BUDGET


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationBudget:
    """What all workspaces together may spend with the installation's keys, in micros; None where there is no limit."""

    day: int | None = None
    month: int | None = None

    @property
    def limits(self) -> Sequence[tuple[str, int]]:
        """Each limit there is, by the name of its budget."""
        found = (("day budget", self.day), ("month budget", self.month))
        return [(name, limit) for name, limit in found if limit is not None]


@dataclass(frozen=True, slots=True)
class Governor:
    """The policy with what it needs to know. It decides; recording is the caller's."""

    rules: RuleEngine
    ledger: Ledger
    now: Now
    second_opinion: SecondOpinion | None = None
    installation: InstallationBudget = InstallationBudget()

    # --- what is in force -------------------------------------------------------------------------

    def settings(self, tx: Tx, workspace_id: str) -> tuple[WorkspaceSettings, str]:
        """The settings of a workspace as they were signed, and its mode; read once a transaction.

        Altered when the store holds others: nothing is decided by what nobody signed.
        """
        key = f"settings:{workspace_id}"
        if key not in tx.cache:
            stored = signed_settings(self.ledger, tx, workspace_id)
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
        role = operators.facts(tx, workspace_id, operator_id)["role"] if policy.packs else ""
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
            limits.append(operators.get(tx, task.workspace_id, task.operator_id).max_iterations)
        return max(1, min(*limits, HARD_ITERATION_LIMIT))

    # --- deciding ---------------------------------------------------------------------------------

    async def consult(
        self, *, workspace_id: str, session_id: str, spec: ToolSpec, args: Mapping[str, Any]
    ) -> Opinion | None:
        """The second opinion, asked before the transaction; None where there is none. Whatever breaks is a DENY."""
        if self.second_opinion is None or spec.name == FINISH:
            return None
        try:
            return await self.second_opinion.evaluate(
                workspace_id=workspace_id, session_id=session_id, spec=spec, args=args
            )
        except Exception:
            log.exception("second_opinion_failed")
            return Opinion(
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
        consulted: Opinion | None,
        approved_by: Approval | None = None,
        estimate: int = 0,
    ) -> Decision:
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
        consulted: Opinion | None,
        asked_before: Opinion | None,
    ) -> Decision:
        """The decision about a call that an agent which is not ours wants to make.

        `asked_before` is what people said about this very call. Grants are given to our own operators: none counts.
        """
        now = self.now()
        bare = self._facts(tx, workspace_id=workspace_id, operator_id=None, task_mode="", spec=spec, args=args, now=now)
        facts = replace(
            _with_spent(_without_grants(bare), self._spent_today(tx, workspace_id, None, now)),
            approved=asked_before is not None and asked_before.verdict is Verdict.ALLOW,
        )
        return self._decide(tx, workspace_id, facts, consulted, asked_before)

    def _decide(self, tx: Tx, workspace_id: str, facts: CallFacts, *heard: Opinion | None) -> Decision:
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
        tx.cache["facts"], tx.cache["opinion"] = facts.as_json(), heard[0]
        own = decide(policy, facts, self.rules, policy_hash=name)
        if own.verdict is Verdict.ALLOW and own.rule_id.startswith("grant:"):
            used = approvals.use_grant(tx, own.rule_id.removeprefix("grant:"), now=self.now())
            if used is not None:
                return replace(own, grant_use=used)
            # somebody else used it up: what is kept for replay must not hold it either
            facts = _without_grants(facts)
            tx.cache["facts"] = facts.as_json()
            own = decide(policy, facts, self.rules, policy_hash=name)
        return own

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
        by_operator, today, month = runs.spent_lately(
            tx,
            workspace_id,
            operator_id=operator_id or "",
            day=day.isoformat(),
            month=day.replace(day=1).isoformat(),
        )
        return {"operator_spent": by_operator, "day_spent": today, "month_spent": month}

    @staticmethod
    def last_facts(tx: Tx) -> Any:
        """The facts of the last decision in this transaction, for its receipt; None when the call was malformed."""
        return tx.cache.get("facts")

    @staticmethod
    def last_opinion(tx: Tx) -> Opinion:
        """The second opinion on the last decision in this transaction; one that says nothing where there was none."""
        return tx.cache.get("opinion") or UNHEARD

    def before_model_call(self, tx: Tx, task: Task, run: Run, *, expected: Usage = NOTHING) -> Allowance | OverBudget:
        """What the next answer of a model may cost, or why none may be asked any more.

        `expected` is what one request may cost at most. Every budget must have room for it beside what was
        spent and what other runs hold back for calls under way: to be kept true, the caller holds the workspace's
        lock and writes the allowance into the run in the same transaction.
        """
        estimate = expected.cost_micros
        budgets = self._budgets(tx, task, run)
        for name, limit, used in budgets:
            if used >= limit:
                return OverBudget(f"{name} budget", f"the {name} budget of {limit / 1e6:.2f} USD is used up")
            if used + estimate > limit:
                return OverBudget(
                    f"{name} budget",
                    f"the next call of the model may cost up to {estimate / 1e6:.4f} USD, "
                    f"and of the {name} budget of {limit / 1e6:.2f} USD only {(limit - used) / 1e6:.4f} USD is left",
                )
        # an answer that has to be corrected takes a second request
        allowance = Allowance(min(2 * estimate, *(limit - used for _, limit, used in budgets)))
        return self._of_installation(tx, run, expected, allowance) if expected.calls else allowance

    def _of_installation(self, tx: Tx, run: Run, expected: Usage, allowance: Allowance) -> Allowance | OverBudget:
        """The allowance, as far as the installation's budget has room for it; no workspace hears how large that is.

        Without room a workspace goes on with the models it pays for itself, where it has any.
        """
        share = expected.installation_micros
        if share == 0 and expected.replaceable:
            return allowance
        left = [allowance.micros]
        if self.installation.limits:
            installation_spend.lock(tx)
            day = self.now().date()
            today, month, held = installation_spend.used(
                tx, day=day.isoformat(), month=day.replace(day=1).isoformat(), but=run.id
            )
            spent = {"day budget": today + held, "month budget": month + held}
            for name, limit in self.installation.limits:
                if spent[name] >= limit or spent[name] + share > limit:
                    if expected.replaceable:
                        return replace(allowance, at_own_cost=True)
                    reason = f"the {name} of this installation has no room for a call of a model"
                    return OverBudget(name, reason, OVER_INSTALLATION_BUDGET)
                left.append(limit - spent[name])
        return replace(allowance, micros=min(left), of_installation=min(left))

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
        """Write down a refusal by policy of one step."""
        named = {"taskId": task.id, "runId": step.run_id, "stepId": step.id}
        self.refused(tx, task.workspace_id, tool=step.tool, decision=decision, metadata=named)

    def refused(self, tx: Tx, workspace_id: str, *, tool: str, decision: Decision, metadata: Mapping[str, str]) -> None:
        """Write down a refusal by policy; `metadata` says what it belongs to."""
        add_violation(
            tx,
            Violation(
                id=new_id(),
                workspace_id=workspace_id,
                policy_rule=decision.rule_id,
                violation=decision.reason,
                severity=severity_of(decision.reason_code),
                action=tool,
                blocked=True,
                metadata={
                    **metadata,
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
