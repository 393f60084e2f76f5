"""Runs on the real store and engine: what is done once, what is asked, what is never repeated."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.approvals.approval import ApprovalStatus, Via
from domain.clock import utc_now
from domain.errors import Conflict, NotFound
from domain.outside import ExternalError
from domain.ports import PlanAnswer, PlanRequest, ToolCall, Usage
from domain.runs.run import UncertainChoice
from domain.tools.effect import Effect
from services.approvals.grants import GrantRequest
from services.approvals.service import ApprovalDecision
from services.runs.view import BACKOFF
from services.tools.registry import done
from storage import tables
from storage.ledger import event_rows as stored_events
from storage.transaction import Tx
from tests.kit import BlockingTool, RecordingTool, Script, breaks_after_sending, failed, open_kit

TRIES = BACKOFF.tries or 0
YES = ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
DEED = ToolCall(tool="deed", args={"what": "x"})
NOTE = ToolCall(tool="note.create", args={"title": "hello"})


async def test_a_run_waits_for_a_person_and_goes_on(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(NOTE, DEED)
        approval = await kit.pending(task)
        assert deed.done == []
        assert (await kit.tasks.get(kit.owner, task.id)).status == "awaiting_approval"
        await kit.approvals.resolve(kit.owner, approval.id, YES)
        run, steps = await kit.until(task, "completed")
        assert [(s.tool, s.state, s.verdict) for s in steps] == [
            ("note.create", "done", "ALLOW"),
            ("deed", "done", "ALLOW"),
        ]
        assert len(deed.done) == 1
        assert run.summary == "all done"
        assert (await kit.tasks.get(kit.owner, task.id)).status == "completed"
        assert all(s.decision_receipt_id and s.outcome_receipt_id for s in steps)


async def test_a_denied_step_is_heard_by_the_planner_and_written_down(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        await kit.set_policy(toolBlocklist=["deed"])
        task = await kit.begin(DEED, NOTE)
        _, steps = await kit.until(task, "completed")
        assert [(s.tool, s.state) for s in steps] == [("deed", "denied"), ("note.create", "done")]
        assert deed.done == []
        heard = kit.scripts[task.id].heard[1]
        assert heard[0]["ok"] is False
        assert "blocklist" in heard[0]["error"]


async def test_a_rejection_reaches_the_planner_with_its_reason(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await kit.approvals.resolve(
            kit.owner, approval.id, ApprovalDecision(status=ApprovalStatus.REJECTED, via=Via.CHAT, note="too early")
        )
        _, steps = await kit.until(task, "completed")
        assert steps[0].state == "rejected"
        assert "too early" in (steps[0].error or "")
        assert deed.done == []


async def test_malformed_calls_fail_with_the_schema_error(url: str) -> None:
    async with open_kit(url) as kit:
        task = await kit.begin(ToolCall(tool="nope", args={}), ToolCall(tool="note.create", args={"titel": "x"}))
        _, steps = await kit.until(task, "completed")
        assert [s.state for s in steps] == ["failed", "failed"]
        assert steps[0].error == "there is no tool called nope"
        assert "titel" in (steps[1].error or "") or "title" in (steps[1].error or "")
        assert {s.reason_code for s in steps} == {"SCHEMA_VIOLATION"}


async def test_a_break_after_sending_asks_and_is_never_repeated_silently(url: str) -> None:
    deed = RecordingTool()

    async def once(times: int) -> None:
        if times == 1:
            raise breaks_after_sending()

    deed.behave = once
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        await kit.approvals.resolve(kit.owner, (await kit.pending(task)).id, YES)
        run, steps = await kit.until(task, "uncertain")
        assert steps[0].state == "uncertain"
        assert len(deed.done) == 1
        await asyncio.sleep(0.3)
        assert len(deed.done) == 1
        await kit.runs.settle_uncertain(kit.owner, run.id, steps[0].id, UncertainChoice.RETRY, via="chat")
        _, steps = await kit.until(task, "completed")
        assert steps[0].state == "done"
        # the same key both times, so that a careful receiver can tell
        assert len(deed.done) == 2
        assert len(set(deed.done)) == 1


@pytest.mark.parametrize(("choice", "state"), [(UncertainChoice.SKIP, "skipped"), (UncertainChoice.MARK_DONE, "done")])
async def test_a_person_may_skip_or_vouch_for_an_uncertain_call(url: str, choice: UncertainChoice, state: str) -> None:
    deed = RecordingTool()

    async def always(_times: int) -> None:
        raise breaks_after_sending()

    deed.behave = always
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        await kit.approvals.resolve(kit.owner, (await kit.pending(task)).id, YES)
        run, steps = await kit.until(task, "uncertain")
        await kit.runs.settle_uncertain(kit.owner, run.id, steps[0].id, choice, via="api")
        with pytest.raises(Conflict):
            await kit.runs.settle_uncertain(kit.owner, run.id, steps[0].id, UncertainChoice.RETRY, via="api")
        _, steps = await kit.until(task, "completed")
        assert steps[0].state == state
        assert len(deed.done) == 1


async def test_what_surely_was_not_sent_is_a_plain_failure(url: str) -> None:
    deed = RecordingTool()

    async def unreachable(_times: int) -> None:
        raise ExternalError("no connection", code="connect_failed", sent=False)

    deed.behave = unreachable
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        await kit.approvals.resolve(kit.owner, (await kit.pending(task)).id, YES)
        _, steps = await kit.until(task, "completed")
        assert steps[0].state == "failed"


@pytest.mark.parametrize(("flags", "found", "times"), [({"idempotent": True}, None, 2), ({"lookup": True}, None, 2)])
async def test_after_a_crash_the_tool_says_what_is_safe(
    url: str, flags: dict[str, bool], found: None, times: int
) -> None:
    """A first process commits the intent and dies inside the call; a second one takes the run up."""
    deed = RecordingTool(**flags)
    started = asyncio.Event()

    async def hang(count: int) -> None:
        if count == 1:
            started.set()
            await asyncio.sleep(60)

    deed.behave = hang
    deed.found = found
    async with open_kit(url, deeds=[deed]) as kit:
        await kit.set_policy(requireApprovalFor=[])
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await kit.approvals.resolve(kit.owner, approval.id, YES)
        async with asyncio.timeout(60):
            await started.wait()
        run, _ = await kit.latest(task)
        # what the engine does for a segment that was given up for dead: it calls again
        await kit.runs.advance(run.id, run.segment)
        run, steps = await kit.until(task, "completed", "running")
        assert steps[0].state == "done"
        assert len(deed.done) == times
        assert deed.looked_up == (1 if flags.get("lookup") else 0)


async def test_a_lookup_that_finds_the_deed_does_not_repeat_it(url: str) -> None:
    from services.tools.registry import done

    deed = RecordingTool(lookup=True)
    started = asyncio.Event()

    async def hang(_count: int) -> None:
        started.set()
        await asyncio.sleep(60)

    deed.behave = hang
    deed.found = done({"found": True})
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        await kit.approvals.resolve(kit.owner, (await kit.pending(task)).id, YES)
        async with asyncio.timeout(60):
            await started.wait()
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        _, steps = await kit.latest(task)
        assert steps[0].output == {"found": True}
        assert len(deed.done) == 1


async def test_a_segment_called_again_finds_its_work_done(url: str) -> None:
    async with open_kit(url) as kit:
        task = await kit.begin(NOTE)
        run, _ = await kit.until(task, "completed")
        await asyncio.gather(*(kit.runs.advance(run.id, n) for n in (1, 1, 2)))
        _, steps = await kit.latest(task)
        assert len(steps) == 1


async def test_cancel_takes_effect_before_the_next_step(url: str) -> None:
    deed = BlockingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED, DEED, DEED)
        async with asyncio.timeout(60):
            await deed.started.wait()
        await kit.runs.cancel(kit.owner, task.id)
        deed.go_on.set()
        _, steps = await kit.until(task, "cancelled")
        assert len(steps) == 1
        assert (await kit.tasks.get(kit.owner, task.id)).status == "cancelled"


async def test_arguments_a_tool_declares_secret_are_shown_to_nobody(url: str) -> None:
    """The API and the inline result of a run gave them away."""
    deed = RecordingTool(effect=Effect.E1)
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(ToolCall(tool="deed", args={"what": "x", "secret": "s3"}))  # pragma: allowlist secret
        run, steps = await kit.until(task, "completed")
        assert steps[0].args == {"what": "x", "secret": "[hidden]"}
        _, of_run = await kit.runs.get(kit.owner, run.id)
        assert of_run[0].args == {"what": "x", "secret": "[hidden]"}
        assert steps[0].output == {"did": "x", "times": 1}


class Thinking:
    """A planner that wants one deed done, and is asked to wait before it says so."""

    def __init__(self, expected: int = 0) -> None:
        self.expected = expected
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def next(self, request: PlanRequest) -> PlanAnswer:
        del request
        self.asked.set()
        await self.answer.wait()
        return PlanAnswer(call=DEED, usage=Usage(model="m", tokens_in=7, tokens_out=3, cost_micros=40), history=1)

    def estimate(self, request: PlanRequest) -> Usage:
        del request
        return Usage(cost_micros=self.expected, calls=1)


@pytest.mark.parametrize("effect", [Effect.E1, Effect.E3])
async def test_cancel_while_the_next_step_is_thought_of(url: str, effect: Effect) -> None:
    """A run cancelled then made its call all the same, or waited for an approval for ever."""
    deed = RecordingTool(effect=effect)
    async with open_kit(url, deeds=[deed]) as kit:
        thinking = Thinking()
        task = await kit.begin_later(thinking)
        await kit.runs.start(kit.owner, task.id)
        async with asyncio.timeout(60):
            await thinking.asked.wait()
        await kit.runs.cancel(kit.owner, task.id)
        thinking.answer.set()
        run, steps = await kit.until(task, "cancelled")
        assert (deed.done, list(steps)) == ([], [])
        # what the model cost is paid all the same
        assert (run.cost_micros, run.tokens_in, run.error) == (40, 7, "cancelled by a person")


class Writing(Script):
    """Writes when it is told to."""

    def __init__(self) -> None:
        super().__init__([DEED], expected=100)
        self.requests: asyncio.Queue[PlanRequest] = asyncio.Queue()
        self.go_on = asyncio.Event()

    async def next(self, request: PlanRequest) -> PlanAnswer:
        self.requests.put_nowait(request)
        await self.go_on.wait()
        return await super().next(request)


async def test_what_a_model_writes_is_shown_while_it_writes(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        task = await kit.begin_later(writing := Writing())
        await kit.runs.start(kit.owner, task.id)
        async with asyncio.timeout(10):
            heard = (await writing.requests.get()).heard
            assert heard is not None
            heard("I look at the site")
            while (await kit.latest(task))[0].partial_text is None:
                await asyncio.sleep(0.01)
        run, _ = await kit.latest(task)
        assert (run.partial_text, run.thinking) == ("I look at the site", True)
        writing.go_on.set()
        run, _ = await kit.until(task, "awaiting_approval")
        # it has become a call
        assert run.partial_text is None
        events = await kit.store.read(lambda tx: stored_events.after(tx, task.workspace_id, 0))
        said = [e.payload.get("partialText") for e in events if e.kind == "run.thinking"]
        assert said == [None, "I look at the site"]


async def test_what_a_model_of_a_run_that_is_over_writes_is_not_shown(url: str) -> None:
    """Nothing may be written into a run that another one owns by now."""
    async with open_kit(url) as kit:
        task = await kit.begin_later(writing := Writing())
        await kit.runs.start(kit.owner, task.id)
        async with asyncio.timeout(10):
            heard = (await writing.requests.get()).heard
        run, _ = await kit.latest(task)

        def taken(tx: Tx) -> None:
            tx.execute(sa.update(tables.runs).where(tables.runs.c.id == run.id).values(epoch=run.epoch + 1))

        await kit.store.write(taken)
        assert heard is not None
        heard("I look at the site")
        writing.go_on.set()
        await asyncio.sleep(0.3)
        assert (await kit.latest(task))[0].partial_text is None


async def test_cancel_while_a_step_is_done_that_leads_to_waiting(url: str) -> None:
    deed = BlockingTool(then=replace(done({}), park_until="2999-01-01T00:00:00+00:00"))
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        async with asyncio.timeout(60):
            await deed.started.wait()
        await kit.runs.cancel(kit.owner, task.id)
        deed.go_on.set()
        _, steps = await kit.until(task, "cancelled")
        assert [s.state for s in steps] == ["done"]


async def test_cancelling_a_parked_run_withdraws_its_question(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await kit.runs.cancel(kit.owner, task.id)
        assert (await kit.approvals.get(kit.owner, approval.id)).status == "cancelled"
        with pytest.raises(Conflict) as refused:
            await kit.approvals.resolve(kit.owner, approval.id, YES)
        assert refused.value.details["status"] == "cancelled"


async def test_a_planner_in_trouble_is_asked_again_and_ends_as_failed_when_it_lasts(url: str) -> None:
    async with open_kit(url) as kit:
        task = await kit.begin(ExternalError("overloaded", code="model_busy", retryable=False))
        run, _ = await kit.until(task, "failed")
        assert run.error_code == "dead_letter"
        again = await kit.begin(ExternalError("busy", code="model_busy", retryable=True, retry_after=0.1))
        run, _ = await kit.until(again, "waiting")
        assert run.attempts == 1
        assert run.wake_at is not None


async def test_one_run_of_a_task_at_a_time(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        task = await kit.begin(DEED)
        await kit.pending(task)
        with pytest.raises(Conflict) as refused:
            await kit.runs.start(kit.owner, task.id)
        assert refused.value.code == "run_active"


async def test_the_iteration_budget_ends_a_run(url: str) -> None:
    async with open_kit(url) as kit:
        task = await kit.begin(NOTE, NOTE, NOTE, iteration_budget=2)
        run, steps = await kit.until(task, "budget_exhausted")
        assert len(steps) == 2
        assert "2 steps" in (run.error or "")


async def test_costs_are_counted_per_run_and_stop_it_at_the_budget(url: str) -> None:
    """The reference's counters ran over all tasks of all tenants since boot (contract.md 12.3, 31)."""
    costly = PlanAnswer(call=NOTE, usage=Usage(model="m", tokens_in=10, tokens_out=5, cost_micros=60_000_000))
    async with open_kit(url) as kit:
        task = await kit.begin(costly, costly, costly)
        run, steps = await kit.until(task, "budget_exhausted")
        assert run.cost_micros == 120_000_000
        assert len(steps) == 2
        assert steps[1].state == "denied"
        assert steps[1].rule_id == "budget_task"
        fresh = await kit.begin(NOTE)
        run, _ = await kit.until(fresh, "completed")
        assert run.cost_micros == 0


async def test_the_same_call_twice_runs_twice(url: str) -> None:
    """The reference answered 500 and left the task running (contract.md 12.3, 32)."""
    async with open_kit(url) as kit:
        task = await kit.begin(NOTE, NOTE)
        _, steps = await kit.until(task, "completed")
        assert [s.state for s in steps] == ["done", "done"]
        assert steps[0].output["id"] != steps[1].output["id"]


async def test_the_kill_switch_stops_running_work_before_its_next_step(url: str) -> None:
    deed = BlockingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED, DEED)
        async with asyncio.timeout(60):
            await deed.started.wait()
        await kit.set_policy(killSwitch=True)
        deed.go_on.set()
        _, steps = await kit.until(task, "completed")
        assert [s.state for s in steps] == ["done", "denied"]
        assert steps[1].reason_code == "SYSTEM_FROZEN"


async def test_the_kill_switch_stops_paid_thinking(url: str) -> None:
    deed = BlockingTool()
    paid = PlanAnswer(call=DEED, usage=Usage(model="m", cost_micros=500, calls=1))
    async with open_kit(url, deeds=[deed]) as kit:
        script = Script([paid, paid, paid], expected=500)
        task = await kit.begin_later(script)
        await kit.runs.start(kit.owner, task.id)
        async with asyncio.timeout(10):
            await deed.started.wait()
        await kit.set_policy(killSwitch=True)
        deed.go_on.set()
        run, steps = await kit.until(task, "blocked", "completed")
        assert (run.state, run.error_code, run.error) == ("blocked", "kill_switch", "the kill switch is on")
        assert (len(script.heard), run.cost_micros, [s.state for s in steps]) == (1, 500, ["done"])
        # and it can be run again when the switch is off
        await kit.set_policy(killSwitch=False)
        kit.scripts[task.id] = Script([paid], expected=500)
        await kit.runs.start(kit.owner, task.id)
        await kit.until(task, "completed")


async def test_a_failing_tool_is_heard(url: str) -> None:
    deed = RecordingTool(effect=Effect.E1)

    async def fail(_count: int) -> object:
        return failed("no such page")

    deed.behave = fail
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        await kit.until(task, "completed")
        assert kit.scripts[task.id].heard[1][0]["error"] == "no such page"


async def test_another_workspace_sees_nothing(url: str) -> None:
    from dataclasses import replace

    from domain.ids import new_id

    async with open_kit(url) as kit:
        task = await kit.begin(NOTE)
        run, _ = await kit.until(task, "completed")
        stranger = replace(kit.owner, workspace_id=new_id())
        for call in (
            kit.runs.get(stranger, run.id),
            kit.runs.of_task(stranger, task.id),
            kit.tasks.get(stranger, task.id),
            kit.runs.cancel(stranger, task.id),
        ):
            with pytest.raises(NotFound):
                await call


async def test_a_segment_that_cannot_even_begin_is_tried_again_and_ends_as_failed(url: str) -> None:
    """What keeps a segment from being claimed must not leave its run queued for ever."""
    async with open_kit(url, work=False) as kit:
        task = await kit.begin()
        past = sa.update(tables.runs).values(wake_at=utc_now() - timedelta(minutes=1))
        run, _ = await kit.latest(task)
        # settings that cannot be read: nothing can be decided under them
        await kit.set_policy(undoSeconds="soon")
        for tried in range(1, TRIES + 1):
            await kit.runs.advance(run.id, tried)
            seen, _ = await kit.runs.get(kit.owner, run.id)
            assert seen.error
            if tried < TRIES:
                assert (seen.state, seen.attempts, seen.epoch) == ("waiting", tried, 0)
                await kit.store.write(lambda tx: tx.execute(past))
                assert await kit.runs.sweep_due() == 1
        assert (seen.state, seen.error_code) == ("failed", "dead_letter")


@pytest.mark.parametrize(
    "policy", [{"killSwitch": True}, {"toolBlocklist": ["deed"]}], ids=lambda policy: next(iter(policy))
)
async def test_what_is_forbidden_meanwhile_is_not_repeated(url: str, policy: dict[str, Any]) -> None:
    deed = RecordingTool(effect=Effect.E2, idempotent=True)

    async def busy(times: int) -> None:
        if times == 1:
            raise ExternalError("busy", code="http_503", retryable=True, retry_after=0.1)

    deed.behave = busy
    async with open_kit(url, deeds=[deed], work=False) as kit:
        task = await kit.begin(DEED)
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        assert (await kit.latest(task))[0].state == "waiting"
        await kit.set_policy(**policy)
        await asyncio.sleep(0.15)
        assert await kit.runs.sweep_due() == 1
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        run, steps = await kit.latest(task)
        assert (run.state, steps[0].state, len(deed.done)) == ("uncertain", "uncertain", 1)
        # whoever says "retry" does not get around the policy either
        await kit.runs.settle_uncertain(kit.owner, run.id, steps[0].id, UncertainChoice.RETRY, via="chat")
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        _, steps = await kit.latest(task)
        assert (steps[0].state, len(deed.done)) == ("denied", 1)


@pytest.mark.parametrize(("retryable", "times"), [(True, TRIES), (False, 1)])
async def test_a_call_that_may_have_been_made_is_asked_about_when_repeating_did_not_help(
    url: str, retryable: bool, times: int
) -> None:
    deed = RecordingTool(effect=Effect.E2, idempotent=True)

    async def down(_times: int) -> None:
        raise ExternalError("down", code="http_503", retryable=retryable, retry_after=0.01)

    deed.behave = down
    async with open_kit(url, deeds=[deed], work=False) as kit:
        task = await kit.begin(DEED)
        for _ in range(TRIES):
            run, steps = await kit.latest(task)
            await kit.runs.advance(run.id, run.segment)
            await asyncio.sleep(0.03)
            await kit.runs.sweep_due()
        run, steps = await kit.latest(task)
        assert (run.state, steps[0].state, len(deed.done)) == ("uncertain", "uncertain", times)
        assert "down" in (steps[0].error or "")


async def test_a_retried_call_whose_grant_is_used_up_is_asked_about(url: str) -> None:
    deed = RecordingTool()

    async def second_breaks(times: int) -> None:
        if times == 2:
            raise breaks_after_sending()

    deed.behave = second_breaks
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED, DEED)
        once_more = replace(YES, grant=GrantRequest(minutes=10, max_uses=1))
        await kit.approvals.resolve(kit.owner, (await kit.pending(task)).id, once_more)
        run, steps = await kit.until(task, "uncertain")
        await kit.runs.settle_uncertain(kit.owner, run.id, steps[1].id, UncertainChoice.RETRY, via="chat")
        asked = await kit.pending(task)
        assert (asked.step_id, len(deed.done)) == (steps[1].id, 2)
        await kit.approvals.resolve(kit.owner, asked.id, YES)
        _, steps = await kit.until(task, "completed")
        assert ([s.state for s in steps], len(deed.done)) == (["done", "done"], 3)
