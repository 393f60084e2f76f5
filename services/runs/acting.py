"""Making a call that was allowed, and finding out what became of one that was interrupted."""

import asyncio
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from domain.errors import PilotError
from domain.outside import ExternalError
from domain.runs.delegation import WAITS
from domain.runs.run import Run, RunState, Step
from domain.runs.task import Task
from domain.tools.effect import Effect
from domain.tools.tool import Outcome, Tool
from services.lifecycle.container import Lifecycle
from services.lifecycle.moves import Superseded
from services.policy.service import PolicyService
from services.runs.view import BACKOFF, View, Views
from services.tools.registry import failed
from storage.runs import run_rows
from storage.transaction import Tx

TOOL_SECONDS = 120.0


@runtime_checkable
class SubRunTool(Protocol):
    """A tool that has another run do the work: it is called inside the transaction that parks this one."""

    def begin(self, tx: Tx, run: Run, task: Task, step: Step) -> Outcome | None:
        """Begin once. What came of it when it is over, None while the run has to wait."""
        ...


@dataclass(frozen=True, slots=True)
class Acting:
    """Makes calls. Each answer says whether the segment goes on."""

    views: Views
    lifecycle: Lifecycle
    policy_service: PolicyService

    async def act(self, view: View, step: Step, tool: Tool) -> bool:
        """Make the call. An outside failure that may have happened after all is never taken for a plain failure."""
        if isinstance(tool, SubRunTool):
            return await self._act_by_run(view, step, tool)
        try:
            async with asyncio.timeout(TOOL_SECONDS):
                outcome = await tool.run(view.context(step), step.args or {})
        except (ExternalError, TimeoutError) as error:
            harmless = tool.spec.effect < Effect.E2
            if isinstance(error, ExternalError) and not error.sent:
                outcome = failed(f"{step.tool}: {error}")
            elif harmless:
                outcome = failed(f"{step.tool}: {error or 'timed out'}")
            elif tool.spec.idempotent and _may_help(error) and not BACKOFF.is_last(view.run.attempts + 1):
                raise
            else:
                return await self._doubt(view, step, why=str(error) or "timed out")
        except PilotError as error:
            outcome = failed(str(error))
        return await self.settle(view, step, outcome)

    async def _act_by_run(self, view: View, step: Step, tool: SubRunTool) -> bool:
        """Begin the other run and park, in one transaction; called again when that run has ended."""

        def work(tx: Tx) -> Outcome | None:
            run = self.lifecycle.runs.mine(tx, view.run)
            outcome = tool.begin(tx, run, view.task, run_rows.get_step(tx, step.workspace_id, step.id))
            if outcome is None:
                self.lifecycle.runs.park(tx, run, RunState.WAITING, why=WAITS)
            return outcome

        try:
            outcome = await self.views.store.write(work)
        except Superseded:
            raise
        except PilotError as error:
            outcome = failed(str(error))
        return False if outcome is None else await self.settle(view, step, outcome)

    async def recover(self, view: View, step: Step) -> bool:
        """An intent without an outcome: the process died, or was replaced, while the call may have been under way."""
        tool = view.tools.get(step.tool)
        if tool is None:
            # nobody can say any more what repeating it would do
            return await self._not_repeated(view, step, f"the tool {step.tool} is gone")
        spec = tool.spec
        # a run that waited for another one only hears what came of it
        if not isinstance(tool, SubRunTool):
            against = await self.views.store.read(
                lambda tx: self.policy_service.against_repeating(
                    tx, task=view.task, run=view.run, spec=spec, args=step.args or {}
                )
            )
            if against is not None:
                return await self._not_repeated(view, step, against.reason)
        if spec.effect < Effect.E2 or spec.idempotent:
            return await self.act(view, step, tool)
        if spec.lookup:
            found = await tool.find_outcome(view.context(step), step.args or {})
            if found is None:
                return await self.act(view, step, tool)
            return await self.settle(view, step, found)
        return await self._doubt(view, step)

    async def _not_repeated(self, view: View, step: Step, why: str) -> bool:
        """An interrupted call that must not be made again: a failure where it is harmless, else a question."""
        if step.effect < Effect.E2:
            return await self.settle(view, step, failed(why))
        return await self._doubt(view, step, why=why)

    async def settle(self, view: View, step: Step, outcome: Outcome) -> bool:
        """Record what came of the call; False when the run parks or ends with it."""

        def work(tx: Tx) -> bool:
            run = self.lifecycle.runs.mine(tx, view.run)
            return self.lifecycle.steps.settle(tx, run=run, task=view.task, step=step, outcome=outcome)

        return await self.views.write(view, work)

    async def _doubt(self, view: View, step: Step, *, why: str = "the process was interrupted") -> bool:
        def work(tx: Tx) -> None:
            self.lifecycle.steps.doubt(tx, run=self.lifecycle.runs.mine(tx, view.run), step=step, why=why)

        await self.views.write(view, work)
        return False


def _may_help(error: ExternalError | TimeoutError) -> bool:
    """Whether repeating could help: a call that took too long may be quicker next time."""
    return isinstance(error, TimeoutError) or error.retryable
