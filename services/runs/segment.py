"""A segment of a run: a loop of plan, decide, act, record that ends before it is long.

Everything a segment did is in the journal (runs, steps, effects) before it goes on, so a segment
that died anywhere is simply called again and continues. Three rules keep that safe:
- every transaction of a segment checks the run's epoch, which the newest claim of the run owns;
- a call is decided and its intent committed, with the receipt, before it is made;
- an intent without an outcome is repeated only if the tool said that repeating is harmless.
"""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta

from domain.clock import Now
from domain.errors import PilotError
from domain.evidence.violations import INTEGRITY_RULE
from domain.integrity import Altered
from domain.outside import ExternalError
from domain.ports import BilledFailure, Usage
from domain.runs.run import Run, RunState, Step, StepState
from services.ledger.recorder import Recorder
from services.lifecycle.container import Lifecycle
from services.lifecycle.moves import Superseded
from services.lifecycle.runs import waits_for_segment
from services.lifecycle.spending import spend
from services.runs.acting import Acting
from services.runs.deciding import CancelRequested, Deciding, ToolChanged
from services.runs.view import BACKOFF, View, Views
from storage.database import Store
from storage.runs import run_rows
from storage.transaction import Tx

log = logging.getLogger(__name__)

MAX_STEPS_PER_SEGMENT = 25
# seconds; whatever the other side asks for, a run is looked at again


@dataclass(slots=True)
class Stopping:
    """Set when the process is to stop: segments hand over after the step in hand."""

    event: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Segments:
    """Works on runs, a segment at a time."""

    store: Store
    views: Views
    lifecycle: Lifecycle
    deciding: Deciding
    acting: Acting
    recorder: Recorder
    now: Now
    stopping: Stopping

    async def advance(self, run_id: str, segment: int, workspace_id: str | None = None) -> None:
        """Work on a run until it ends, parks, or has done a segment's worth. Called by the engine.

        Calling it again for a segment that is done does nothing; it raises nothing.
        """
        try:
            if workspace_id is None:
                seen = await self.store.read(lambda tx: run_rows.by_id(tx, run_id))
                if seen is None:
                    return
                workspace_id = seen.workspace_id
            await self._advance(workspace_id, run_id, segment)
        except Superseded:
            log.info("segment_superseded", extra={"run": run_id, "segment": segment})
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("segment_failed", extra={"run": run_id, "segment": segment})
            await self._trouble(run_id, segment, error)

    async def _advance(self, workspace_id: str, run_id: str, segment: int) -> None:
        def claim(tx: Tx) -> View | None:
            # claimed and looked at in one transaction: most segments have few steps
            run = self.lifecycle.runs.claim(tx, workspace_id, run_id, segment)
            return None if run is None else self.views.of(tx, run)

        view = await self.store.workspace(workspace_id).write(claim)
        if view is not None:
            await self._work(view)

    async def _work(self, view: View) -> None:
        run = view.run
        for number in range(MAX_STEPS_PER_SEGMENT):
            if number:
                view = await self.store.read(lambda tx: self.views.again(tx, run))
            if view.run.cancel_requested:
                await self.deciding.end(view, RunState.CANCELLED, code="cancelled")
                return
            if self.stopping.event.is_set():
                break
            try:
                going_on = await self._turn(view)
            except (CancelRequested, ToolChanged):
                continue
            if not going_on:
                return
        await self.views.write(view, lambda tx: self.lifecycle.runs.hand_over(tx, run))

    async def _turn(self, view: View) -> bool:
        """One step of the run; False when the segment is over."""
        step = view.open_step
        if step is None:
            return await self.deciding.plan(view)
        if step.state is StepState.APPROVED:
            return await self.deciding.carry_out_approved(view, step)
        if step.state is StepState.INTENT:
            return await self.deciding.go_on(view, step)
        return await self._park_again(view, step)

    async def _park_again(self, view: View, step: Step) -> bool:
        """A parked step under a running run: the park was cut off half way."""

        def work(tx: Tx) -> None:
            run = self.lifecycle.runs.mine(tx, view.run)
            self.lifecycle.runs.park(tx, run, _PARKED_BY[step.state])

        await self.views.write(view, work)
        return False

    async def _trouble(self, run_id: str, segment: int, error: Exception) -> None:
        """A segment failed: try again later, and after the last try end as failed, visible and re-runnable."""
        delay = error.retry_after if isinstance(error, ExternalError) else None
        # what nobody signed is not acted on, and does not become signed by waiting
        lasting = isinstance(error, Altered) or (isinstance(error, ExternalError) and not error.retryable)
        code = INTEGRITY_RULE if isinstance(error, Altered) else "dead_letter"
        text = str(error)[:500] if isinstance(error, ExternalError | PilotError) else type(error).__name__

        def work(tx: Tx) -> None:
            seen = run_rows.by_id(tx, run_id)
            if seen is None:
                return
            self.recorder.lock_log(tx, seen.workspace_id)
            run = run_rows.by_id(tx, run_id, lock=True)
            # queued still, when it was the claim that failed and was undone
            if run is None or not waits_for_segment(run, segment):
                return
            run = self._paid(tx, run, error.usage if isinstance(error, BilledFailure) else Usage())
            failure = run.attempts + 1
            if lasting or BACKOFF.is_last(failure):
                self.lifecycle.runs.finish(tx, run, RunState.FAILED, error=text, error_code=code)
                return
            pause = BACKOFF.pause(failure, retry_after=delay)
            run_rows.change(tx, run, attempts=failure, error=text)
            self.lifecycle.runs.park(tx, run, RunState.WAITING, wake_at=self.now() + timedelta(seconds=pause))

        await self.store.write(work)

    def _paid(self, tx: Tx, run: Run, usage: Usage) -> Run:
        """The run with what a model cost entered."""
        values = spend(tx, run, usage, now=self.now)
        run_rows.change(tx, run, **values)
        return replace(run, **values)


_PARKED_BY = {
    StepState.AWAITING_APPROVAL: RunState.AWAITING_APPROVAL,
    StepState.UNCERTAIN: RunState.UNCERTAIN,
}
