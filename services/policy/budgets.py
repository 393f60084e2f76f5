"""What work may still cost: the budgets of a task, its operator and its workspace, and of the whole installation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.clock import Now
from domain.policy.effective import EffectivePolicy
from domain.ports import OVER_BUDGET, OVER_INSTALLATION_BUDGET, Usage
from domain.runs.run import Run
from domain.runs.task import Task
from storage.installation import spend_rows
from storage.runs import run_rows
from storage.tools import operator_rows
from storage.transaction import Tx

NOTHING = Usage()


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


UNLIMITED = InstallationBudget()


@dataclass(frozen=True, slots=True)
class Budgets:
    """The books held against the limits. `policy_of` gives the policy in force in a workspace."""

    policy_of: Callable[[Tx, str], EffectivePolicy]
    now: Now
    installation: InstallationBudget

    def spent(self, tx: Tx, task: Task, run: Run, *, now: datetime) -> dict[str, int]:
        """What was spent of each budget that the policy looks at, in micros."""
        return {
            # a sub-run has no more left than its slice, whatever the task's budget is
            "task_spent": self._per_task(tx, task) - self.left(tx, task, run),
            **self.spent_today(tx, task.workspace_id, task.operator_id, now=now),
        }

    def left(self, tx: Tx, task: Task, run: Run) -> int:
        """What the run may still spend (micros): of the task's budget, and of its slice where it is a sub-run."""
        of_task = self._per_task(tx, task) - run_rows.task_spent(tx, task.workspace_id, task.id)
        return of_task if run.budget_micros is None else min(of_task, run.budget_micros - run.cost_micros)

    def _per_task(self, tx: Tx, task: Task) -> int:
        """The task's budget in force for whoever works on it."""
        policy = self.policy_of(tx, task.workspace_id)
        if not policy.packs:
            return policy.per_task
        return policy.for_role(operator_rows.facts(tx, task.workspace_id, task.operator_id)["role"]).per_task

    @staticmethod
    def spent_today(tx: Tx, workspace_id: str, operator_id: str | None, *, now: datetime) -> dict[str, int]:
        """What was spent since midnight and this month, by one operator and by all."""
        day = now.date()
        by_operator, today, month = run_rows.spent_lately(
            tx,
            workspace_id,
            operator_id=operator_id or "",
            day=day.isoformat(),
            month=day.replace(day=1).isoformat(),
        )
        return {"operator_spent": by_operator, "day_spent": today, "month_spent": month}

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
            spend_rows.lock(tx)
            day = self.now().date()
            today, month, held = spend_rows.used(
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
        policy = self.policy_of(tx, workspace_id)
        if policy.packs:
            policy = policy.for_role(operator_rows.facts(tx, workspace_id, task.operator_id)["role"])
        spent = self.spent(tx, task, run, now=self.now())
        held = run_rows.held_back(tx, workspace_id, but=run.id)
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
