"""What a run does next: the planner proposes a call within the budgets, and the policy decides about it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain.approvals.approval import digest_of_call
from domain.clock import Now
from domain.errors import Forbidden
from domain.evidence.violations import INTEGRITY_RULE
from domain.ids import new_id
from domain.ledger.events import EventKind
from domain.policy.governance import NO_CALL_RULE, Decision, ExternalDecision, Verdict
from domain.ports import OVER_BUDGET, OVER_INSTALLATION_BUDGET, PlanAnswer, Planner, PlanRequest, ToolCall, Usage
from domain.runs.run import THINKING, Run, RunState, Step, StepState
from domain.tools.effect import Effect
from domain.tools.tool import Tool
from services.ledger.gate import refusal_of_step
from services.lifecycle.container import Lifecycle
from services.lifecycle.moves import Superseded
from services.lifecycle.spending import spend
from services.policy.budgets import Allowance, OverBudget
from services.policy.service import Decided, PolicyService
from services.runs.acting import Acting
from services.runs.budget_notice import tell_administrator
from services.runs.partial_answers import PartialAnswers
from services.runs.planners import Planners
from services.runs.view import View, Views
from services.tools.registry import ToolRegistry, failed
from storage.runs import run_rows
from storage.transaction import Tx, is_conflict


class ToolChanged(Exception):
    """A tool of the workspace was changed or taken away after this step was thought of."""


class CancelRequested(Exception):
    """A person cancelled the run after this step was thought of; nothing more may begin."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """Plans and decides, and has `acting` carry out what is allowed. Each answer says whether the segment goes on."""

    views: Views
    lifecycle: Lifecycle
    planners: Planners
    tool_registry: ToolRegistry
    policy_service: PolicyService
    acting: Acting
    now: Now

    # --- planning ---------------------------------------------------------------------------------

    async def plan(self, view: View) -> bool:
        """Have the planner say what is next; the run ends where there is nothing, or nothing left to pay it with."""
        run = view.run
        if run.iterations_used >= run.iteration_budget:
            why = f"the run used its {run.iteration_budget} steps"
            return await self.end(view, RunState.BUDGET_EXHAUSTED, error=why, code="iteration_budget")
        planner = await self.planners.of(run.workspace_id)
        request = self._request(view)
        try:
            # a long conversation is gone through from end to end: not on the event loop
            estimate = await asyncio.to_thread(planner.estimate, request)
            allowance = await self._allowance(view, estimate)
        except Forbidden as frozen:
            return await self.end(view, RunState.BLOCKED, error=str(frozen), code=frozen.code)
        if isinstance(allowance, OverBudget):
            return await self.end(view, RunState.BUDGET_EXHAUSTED, error=allowance.reason, code=allowance.code)
        wanted = replace(request, allowance=allowance.micros, at_own_cost=allowance.at_own_cost)
        answer = await self._ask(view, planner, wanted)
        if answer.call is not None:
            return await self._propose(view, answer, answer.call)
        if answer.blocked is None:
            return await self.end(view, RunState.COMPLETED, summary=answer.finished or "", answer=answer)
        code = answer.blocked_code or "blocked"
        state = RunState.BUDGET_EXHAUSTED if code == OVER_BUDGET else RunState.BLOCKED
        return await self.end(view, state, error=answer.blocked, code=code, answer=answer)

    def _request(self, view: View) -> PlanRequest:
        return PlanRequest(
            task_title=view.task.title,
            task_description=view.run.context,
            operator=view.operator,
            tools=self.planners.tools_for(view.operator, view.tools),
            history=view.run.history,
            results=[_result(s) for s in view.steps],
        )

    async def _allowance(self, view: View, estimate: Usage) -> Allowance | OverBudget:
        """What the next answer may cost, held back in the books, or why no model may be asked any more.

        Where a model will be asked, whoever watches the run is told that it thinks: once a request, however long it
        takes. Forbidden while the kill switch is on: each call that a model thought of would be denied, and paid for.
        """
        if not estimate.calls and view.unpriced is not None:
            return view.unpriced

        def work(tx: Tx) -> Allowance | OverBudget:
            run = self.lifecycle.runs.mine(tx, view.run)
            self.policy_service.check_not_frozen(tx, run.workspace_id)
            found = self.policy_service.budgets.before_model_call(tx, view.task, run, expected=estimate)
            if isinstance(found, OverBudget):
                if found.code == OVER_INSTALLATION_BUDGET:
                    tell_administrator(tx, self.lifecycle.runs.notifications, found, now=self.now())
            else:
                thinking: dict[str, Any] = {
                    "reserved_micros": found.micros,
                    "reserved_installation_micros": found.of_installation,
                    "wait_reason": THINKING,
                    "updated_at": self.now(),
                }
                run_rows.change(tx, run, **thinking)
                self.lifecycle.runs.tell(tx, replace(run, **thinking), EventKind.RUN_THINKING)
            return found

        return await self.views.write(view, work)

    async def _ask(self, view: View, planner: Planner, request: PlanRequest) -> PlanAnswer:
        async with PartialAnswers(lambda text: self._tell_partial(view, text)) as partial:
            return await planner.next(replace(request, heard=partial.heard))

    async def _tell_partial(self, view: View, text: str) -> None:
        def work(tx: Tx) -> None:
            current = self.lifecycle.runs.mine(tx, view.run)
            if current.thinking:
                run_rows.change(tx, current, partial_text=text)
                self.lifecycle.runs.tell(tx, replace(current, partial_text=text), EventKind.RUN_THINKING)

        try:
            await self.views.write(view, work)
        except Superseded:
            # the one who plans finds out by itself
            return

    # --- deciding ---------------------------------------------------------------------------------

    async def _propose(self, view: View, answer: PlanAnswer, call: ToolCall) -> bool:
        """A new call: refused where it is none that can be made, else as the policy says."""
        tool = view.tools.get(call.tool)
        # its digest is over all the arguments, written out
        step = await asyncio.to_thread(self._new_step, view, answer, call, tool)
        if tool is None:
            return await self._refuse(view, step, answer, f"there is no tool called {call.tool[:100]}")
        problem = await view.tools.problem_of(call.tool, call.args)
        if problem is not None:
            return await self._refuse(view, step, answer, problem)
        consulted = await self._consult(view, tool, call.args)

        def work(tx: Tx) -> Step:
            run = self._wanted(tx, view.run)
            self._check_tool(tx, run, tool)
            decided = self.policy_service.decide(
                tx,
                task=view.task,
                run=run,
                spec=tool.spec,
                args=call.args,
                consulted=consulted,
                estimate=answer.usage.cost_micros,
            )
            return self.lifecycle.steps.apply(
                tx, run=run, task=view.task, step=step, spec=tool.spec, decided=decided, answer=answer
            )

        try:
            decided = await self._write(view, work)
        except CancelRequested:
            return await self.end(view, RunState.CANCELLED, code="cancelled", answer=answer)
        except ToolChanged:
            why = f"{tool.spec.name} was changed while it was being chosen"
            return await self._refuse(view, step, answer, why)
        return await self._carry_on(view, decided, tool)

    async def carry_out_approved(self, view: View, step: Step) -> bool:
        """A person said yes to exactly this call; the policy of now may still say no."""
        tool = view.tools.get(step.tool)
        if tool is None:
            return await self.acting.settle(view, step, failed(f"the tool {step.tool} is gone"))
        args = step.args or {}
        consulted = await self._consult(view, tool, args)

        def work(tx: Tx) -> Step:
            run = self._wanted(tx, view.run)
            self._check_tool(tx, run, tool)
            approval = self.lifecycle.requests.of_step(tx, step)
            if approval is not None and approval.action_hash != digest_of_call(step.tool, args):
                decided = self._denied(
                    tx,
                    run,
                    reason_code="TAINTED_APPROVAL",
                    rule_id="approval_digest",
                    reason="what would run is not what was approved",
                )
            elif refused := refusal_of_step(self.lifecycle.runs.recorder.ledger, tx, step):
                decided = self._altered(tx, run, refused)
            else:
                decided = self.policy_service.decide(
                    tx,
                    task=view.task,
                    run=run,
                    spec=tool.spec,
                    args=args,
                    consulted=consulted,
                    approved_by=approval,
                )
            return self.lifecycle.steps.apply(tx, run=run, task=view.task, step=step, spec=tool.spec, decided=decided)

        return await self._carry_on(view, await self._write(view, work), tool)

    async def go_on(self, view: View, step: Step) -> bool:
        """An intent without an outcome: what became of it is found out, where a receipt says that it may be made."""
        ledger = self.lifecycle.runs.recorder.ledger
        refused = await self.views.store.read(lambda tx: refusal_of_step(ledger, tx, step))
        if not refused:
            return await self.acting.recover(view, step)

        def work(tx: Tx) -> Step:
            run = self.lifecycle.runs.mine(tx, view.run)
            decided = self._altered(tx, run, refused)
            return self.lifecycle.steps.apply(tx, run=run, task=view.task, step=step, spec=None, decided=decided)

        return await self._stop_altered(view, await self._write(view, work))

    async def _carry_on(self, view: View, decided: Step, tool: Tool) -> bool:
        if decided.state is StepState.INTENT:
            return await self.acting.act(view, decided, tool)
        if decided.rule_id == INTEGRITY_RULE:
            return await self._stop_altered(view, decided)
        return decided.state is StepState.DENIED

    def _altered(self, tx: Tx, run: Run, why: str) -> Decided:
        """The store lets a call be made, and the log does not."""
        return self._denied(tx, run, reason_code="TAINTED_APPROVAL", rule_id=INTEGRITY_RULE, reason=why)

    async def _stop_altered(self, view: View, step: Step) -> bool:
        """A run whose rows were altered is not gone on with."""
        return await self.end(view, RunState.FAILED, error=f"{step.tool}: {step.error}", code=INTEGRITY_RULE)

    async def _refuse(self, view: View, step: Step, answer: PlanAnswer, problem: str) -> bool:
        """What the planner wants is no call that can be made: it hears why, and plans again."""

        def work(tx: Tx) -> None:
            run = self.lifecycle.runs.mine(tx, view.run)
            decided = self._denied(tx, run, reason_code="SCHEMA_VIOLATION", rule_id=NO_CALL_RULE, reason=problem)
            self.lifecycle.steps.apply(
                tx, run=run, task=view.task, step=step, spec=None, decided=decided, answer=answer
            )

        await self.views.write(view, work)
        return True

    def _denied(self, tx: Tx, run: Run, *, reason_code: str, rule_id: str, reason: str) -> Decided:
        """A refusal that is clear before the policy is asked."""
        return Decided(
            decision=Decision(
                verdict=Verdict.DENY,
                reason_code=reason_code,
                rule_id=rule_id,
                reason=reason,
                policy_hash=self.policy_service.policy_hash(tx, run.workspace_id),
            )
        )

    async def _consult(self, view: View, tool: Tool, args: Mapping[str, Any]) -> ExternalDecision | None:
        return await self.policy_service.consult(
            workspace_id=view.run.workspace_id, session_id=view.run.id, spec=tool.spec, args=args
        )

    def _wanted(self, tx: Tx, run: Run) -> Run:
        """The run as it is now; CancelRequested when somebody has cancelled it: asked before anything new begins."""
        current = self.lifecycle.runs.mine(tx, run)
        if current.cancel_requested:
            raise CancelRequested
        return current

    def _check_tool(self, tx: Tx, run: Run, tool: Tool) -> None:
        """ToolChanged when the workspace's tool is not the one that was chosen: it is then thought of anew."""
        if not self.tool_registry.is_unchanged(tx, run.workspace_id, tool):
            raise ToolChanged

    async def _write(self, view: View, work: Callable[[Tx], Step]) -> Step:
        try:
            return await self.views.write(view, work)
        except Exception as error:
            if is_conflict(error):
                raise Superseded("the run has moved on") from error
            raise

    def _new_step(self, view: View, answer: PlanAnswer, call: ToolCall, tool: Tool | None) -> Step:
        args = dict(call.args)
        return Step(
            id=new_id(),
            workspace_id=view.run.workspace_id,
            run_id=view.run.id,
            task_id=view.task.id,
            seq=view.run.history_steps + len(view.steps) + 1,
            tool=call.tool[:120],
            effect=int(tool.spec.effect) if tool is not None else int(Effect.E3),
            call_id=call.call_id[:120],
            args=args,
            args_hash=digest_of_call(call.tool, args),
            version=1,
            # what it is until somebody has decided otherwise
            state=StepState.DENIED,
            verdict=None,
            reason_code=None,
            rule_id=None,
            reason=None,
            policy_hash=None,
            decision_receipt_id=None,
            outcome_receipt_id=None,
            approval_id=None,
            output=None,
            output_hash=None,
            error=None,
            model=answer.usage.model,
            tokens_in=answer.usage.tokens_in,
            tokens_out=answer.usage.tokens_out,
            cost_micros=answer.usage.cost_micros,
            created_at=self.now(),
            started_at=None,
            completed_at=None,
        )

    # --- the end ----------------------------------------------------------------------------------

    async def end(
        self,
        view: View,
        state: RunState,
        *,
        summary: str | None = None,
        error: str | None = None,
        code: str = "",
        answer: PlanAnswer | None = None,
    ) -> bool:
        """End the run, with what its planner's last answer cost; False: the segment is over."""

        def work(tx: Tx) -> None:
            run = self.lifecycle.runs.mine(tx, view.run)
            learned: dict[str, Any] = {}
            if answer is not None:
                learned = {"history": answer.history, **spend(tx, run, answer.usage, now=self.now)}
            # whoever cancelled left the reason on the run
            why = run.error if state is RunState.CANCELLED else error
            self.lifecycle.runs.finish(tx, run, state, summary=summary, error=why, error_code=code, learned=learned)

        await self.views.write(view, work)
        return False


def _result(step: Step) -> dict[str, Any]:
    """What a planner hears of a call it made: `ok`, the output, and why not when not."""
    return {
        "seq": step.seq,
        "callId": step.call_id,
        "tool": step.tool,
        "args": step.args,
        "state": step.state.value,
        "ok": step.state is StepState.DONE,
        "output": step.output,
        "error": step.error,
    }
