"""Work handed on to another operator: the parent waits as a row, bounds only get narrower, nothing twice."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.approvals.approval import ApprovalStatus, Via
from domain.ports import PlanAnswer, ToolCall, Usage
from domain.runs.run import Run, Step
from domain.runs.task import Task
from domain.tools.effect import Effect
from services.approvals.service import ApprovalDecision
from services.tools.operators import OperatorService
from storage import tables
from storage.runs import run_rows, task_rows
from tests.databases import fresh_url
from tests.kit import Kit, RecordingTool, Script, open_kit

NOTE = ToolCall(tool="note.create", args={"title": "from below"})
DEED = ToolCall(tool="deed", args={"what": "x"})
GOAL = "find out"


@pytest.fixture
def lite(tmp_path: Path) -> str:
    """For what is decided before the store is asked."""
    return fresh_url("sqlite", tmp_path)


def hand_on(goal: str = GOAL, **more: Any) -> ToolCall:
    return ToolCall(tool="operator.delegate", args={"operator": "Grace", "goal": goal, **more})


def paid(call: ToolCall | None, micros: int, finished: str | None = None) -> PlanAnswer:
    return PlanAnswer(call=call, finished=finished, usage=Usage(model="m", tokens_in=1, cost_micros=micros))


async def grace(kit: Kit, *tools: str, name: str = "Grace") -> str:
    """An operator of the workspace; its id."""
    service = OperatorService(kit.store, kit.tool_registry, kit.recorder, kit.runs.now)
    made = await service.create(kit.owner, name=name, role="ops", goal="", constraints=[], tools=tools)
    return made.id


async def child_of(kit: Kit, run: Run, steps: Sequence[Step]) -> Run:
    [child] = await kit.runs.children(kit.owner, run, steps)
    return child


async def task_of(kit: Kit, run: Run) -> Task:
    return await kit.tasks.get(kit.owner, run.task_id)


async def begun(kit: Kit, task: Task) -> tuple[Run, Run]:
    """Parent and child, once the parent waits."""
    run, steps = await kit.until(task, "waiting")
    return run, await child_of(kit, run, steps)


async def at_work_again(kit: Kit, run: Run) -> None:
    """As if the transaction that parked it had not happened."""
    query = sa.update(tables.runs).where(tables.runs.c.id == run.id).values(state="running")
    await kit.store.write(lambda tx: tx.execute(query))


async def receipts_of(kit: Kit, run: Run) -> list[dict[str, Any]]:
    told = ("run:dispatched", "tool:decided", "tool:executed", "run:finished")
    query = sa.select(tables.receipts.c.leaf).where(
        tables.receipts.c.run_id == run.id, tables.receipts.c.action.in_(told)
    )
    rows = await kit.store.read(lambda tx: tx.all(query))
    return [json.loads(bytes(row[0]))["metadata"] for row in rows]


async def test_the_parent_waits_as_a_row_and_goes_on_with_the_result(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([NOTE, DEED])
        task = await kit.begin(hand_on(title="Below", budget_usd=0.5, iterations=7), NOTE)
        parent, child = await begun(kit, task)
        assert (parent.wait_reason, child.parent_run_id, child.root_run_id) == ("sub_task", parent.id, parent.id)
        assert (child.budget_micros, child.iteration_budget) == (500_000, 7)
        below = await task_of(kit, child)
        assert (below.title, below.parent_task_id, below.mode) == ("Below", task.id, "build")
        # what the sub-run may do outside is a person's to decide, as everywhere
        approval = await kit.pending(below)
        assert (await kit.latest(task))[0].state == "waiting"
        await kit.approvals.resolve(
            kit.owner, approval.id, ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
        )
        run, steps = await kit.until(task, "completed")
        assert [(s.tool, s.state) for s in steps] == [("operator.delegate", "done"), ("note.create", "done")]
        assert steps[0].output["summary"] == "all done"
        assert steps[0].output["runId"] == child.id
        assert kit.scripts[task.id].heard[1][0]["output"]["state"] == "completed"
        assert len(deed.done) == 1
        # two steps here, two there
        assert run.iterations_used == 4
        said = await receipts_of(kit, child)
        assert len(said) == 7
        assert all((one["parent_run"], one["root_run"]) == (parent.id, parent.id) for one in said)
        assert all("parent_run" not in one for one in await receipts_of(kit, run))


async def test_a_sub_task_that_fails_is_a_failed_step(lite: str) -> None:
    async with open_kit(lite) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([PlanAnswer(blocked="no way", blocked_code="x")])
        task = await kit.begin(hand_on(), NOTE)
        _, steps = await kit.until(task, "completed")
        assert [s.state for s in steps] == ["failed", "done"]
        assert steps[0].error == "the sub-task ended as blocked: no way"


async def test_the_slice_is_enforced_and_what_it_costs_is_the_parents(url: str) -> None:
    async with open_kit(url) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([paid(NOTE, 15_000), paid(NOTE, 15_000), paid(NOTE, 15_000)])
        task = await kit.begin(paid(hand_on(budget_usd=0.02), 1000), NOTE)
        run, steps = await kit.until(task, "completed")
        child = await child_of(kit, run, steps)
        [_, below] = [s for _, found in await kit.runs.steps_of_task(kit.owner, child.task_id) for s in found]
        # the second answer was paid for, and what it asked for was no longer within the slice
        assert (child.state, child.cost_micros, below.state) == ("budget_exhausted", 30_000, "denied")
        assert below.reason_code == "BUDGET_EXCEEDED"
        assert run.cost_micros == 31_000
        spent = await kit.store.read(lambda tx: run_rows.task_spent(tx, kit.owner.in_workspace, task.id))
        assert spent == 31_000


async def test_what_is_left_bounds_the_slice_and_there_is_a_floor(lite: str) -> None:
    async with open_kit(lite) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([hand_on("deeper"), hand_on("deeper", budget_usd=9)])
        kit.scripts["deeper"] = Script([])
        task = await kit.begin(hand_on(budget_usd=0.015), hand_on("deeper", iterations=1000), iteration_budget=10)
        run, steps = await kit.until(task, "completed")
        first, second = await kit.runs.children(kit.owner, run, steps)
        [(_, below)] = await kit.runs.steps_of_task(kit.owner, first.task_id)
        # half of 1.5 cents is below the floor; all of it is not
        assert [s.state for s in below] == ["failed", "done"]
        assert "too small to hand on" in (below[0].error or "")
        [deeper] = await kit.runs.children(kit.owner, first, below)
        assert (deeper.budget_micros, deeper.root_run_id) == (15_000, run.id)
        # of ten steps two were used here and two below
        assert second.iteration_budget == 6


async def test_a_sub_run_may_use_no_more_than_its_parent(lite: str) -> None:
    deed = RecordingTool(effect=Effect.E1)
    async with open_kit(lite, deeds=[deed]) as kit:
        await grace(kit)
        ada = await grace(kit, "operator.delegate", "note.create", name="Ada")
        kit.scripts[GOAL] = Script([DEED, NOTE, hand_on("deeper")])
        kit.scripts["deeper"] = Script([NOTE])
        task = await kit.begin(hand_on(tools=["operator.delegate", "deed"]), hand_on(tools=["nope"]), operator_id=ada)
        run, steps = await kit.until(task, "completed")
        assert steps[1].error == "tools: there is no tool called nope"
        child = await child_of(kit, run, steps)
        assert child.origin["tools"] == ["operator.delegate"]
        [(_, below)] = await kit.runs.steps_of_task(kit.owner, child.task_id)
        assert [(s.tool, s.state, s.rule_id) for s in below] == [
            ("deed", "denied", "operator_tools"),
            ("note.create", "denied", "operator_tools"),
            ("operator.delegate", "done", "default"),
        ]
        [deeper] = await kit.runs.children(kit.owner, child, below)
        [(_, deepest)] = await kit.runs.steps_of_task(kit.owner, deeper.task_id)
        assert [s.state for s in deepest] == ["denied"]
        assert deed.done == []


async def test_depth_and_number_are_limited_and_operators_are_known(lite: str) -> None:
    async with open_kit(lite) as kit:
        await grace(kit)
        for depth in range(4):
            kit.scripts[f"d{depth}"] = Script([hand_on(f"d{depth + 1}")])
        task = await kit.begin(
            hand_on("d1"), ToolCall(tool="operator.delegate", args={"operator": "Nobody", "goal": "x"})
        )
        run, steps = await kit.until(task, "completed")
        assert steps[1].error == "operator: there is no active operator of that name here"
        chain = [run]
        while found := await kit.runs.children(kit.owner, chain[-1], (await kit.runs.get(kit.owner, chain[-1].id))[1]):
            chain += found
        assert len(chain) == 4
        _, [last] = await kit.runs.get(kit.owner, chain[-1].id)
        assert last.error == "sub-tasks are nested at most 3 deep"
        kit.scripts["wide"] = Script([])
        wide = await kit.begin(*[hand_on("wide", iterations=1)] * 9)
        _, many = await kit.until(wide, "completed")
        assert [s.state for s in many] == ["done"] * 8 + ["failed"]
        assert many[-1].error == "a run begins at most 8 sub-tasks"


async def test_cancelling_the_parent_cancels_what_it_waits_for(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([hand_on("deeper")])
        kit.scripts["deeper"] = Script([DEED])
        task = await kit.begin(hand_on())
        _, child = await begun(kit, task)
        _, deeper = await begun(kit, await task_of(kit, child))
        await kit.pending(await task_of(kit, deeper))
        await kit.runs.cancel(kit.owner, task.id)
        for run in (child, deeper):
            ended, _ = await kit.until(await task_of(kit, run), "cancelled")
            assert ended.error == "the run it works for has ended"
        assert (await kit.latest(task))[0].state == "cancelled"
        assert await kit.approvals.list(kit.owner, status="pending") == []


async def test_cancelling_the_child_lets_the_parent_go_on(lite: str) -> None:
    async with open_kit(lite, deeds=[RecordingTool()]) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([DEED])
        task = await kit.begin(hand_on(), NOTE)
        _, child = await begun(kit, task)
        await kit.pending(await task_of(kit, child))
        await kit.runs.cancel(kit.owner, child.task_id)
        _, steps = await kit.until(task, "completed")
        assert [s.state for s in steps] == ["failed", "done"]
        assert "cancelled" in (steps[0].error or "")


async def test_the_kill_switch_stops_parent_and_child(lite: str) -> None:
    async with open_kit(lite, deeds=[RecordingTool()]) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([DEED, NOTE])
        task = await kit.begin(hand_on(), NOTE)
        _, child = await begun(kit, task)
        approval = await kit.pending(await task_of(kit, child))
        await kit.set_policy(killSwitch=True)
        await kit.approvals.resolve(
            kit.owner, approval.id, ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
        )
        run, steps = await kit.until(task, "completed")
        [(_, below)] = await kit.runs.steps_of_task(kit.owner, child.task_id)
        assert [s.rule_id for s in below] == ["kill_switch", "kill_switch"]
        assert [s.state for s in below] == ["denied", "denied"]
        assert [s.state for s in steps] == ["done", "denied"]
        assert kit.toolbox_deed().done == []
        assert run.state == "completed"


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_crash_between_childs_end_and_parents_next_step_loses_and_repeats_nothing(url: str, dies: str) -> None:
    """`before`: the process dies with the child begun; `after`: with the child ended and the parent queued."""
    async with open_kit(url, work=False, executor="dead") as first:
        await grace(first)
        first.scripts[GOAL] = Script([NOTE])
        task = await first.begin(hand_on(), NOTE)
        run, _ = await first.latest(task)
        await first.runs.advance(run.id, run.segment)
        parent, child = await begun(first, task)
        if dies == "after":
            await first.runs.advance(child.id, child.segment)
            parent, _ = await first.latest(task)
            assert (parent.state, parent.segment) == ("queued", run.segment + 1)
    async with open_kit(url, executor="dead", after=first) as second:
        run, steps = await second.until(task, "completed")
        assert [(s.tool, s.state) for s in steps] == [("operator.delegate", "done"), ("note.create", "done")]
        found = await second.store.read(lambda tx: tx.all(sa.select(tables.tasks.c.id, tables.tasks.c.parent_task_id)))
        assert [row[1] for row in found if row[1] is not None] == [task.id]
        notes = await second.store.read(lambda tx: tx.all(sa.select(tables.notes.c.id)))
        assert len(notes) == 2
        assert run.iterations_used == 3
        outcome = [one for one in await receipts_of(second, run) if one.get("tool") == "operator.delegate"]
        assert len(outcome) == 2


async def test_a_park_that_died_half_way_is_taken_up_with_the_same_child(url: str) -> None:
    async with open_kit(url, work=False) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([])
        task = await kit.begin(hand_on())
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        parent, child = await begun(kit, task)
        # the same segment is called again, as after a crash of the engine: nothing is begun twice
        await at_work_again(kit, parent)
        await kit.runs.advance(run.id, run.segment)
        again, same = await begun(kit, task)
        assert (again.state, same.id) == ("waiting", child.id)
        found = await kit.store.read(lambda tx: task_rows.find(tx, kit.owner.in_workspace, limit=10))
        assert len(found) == 2


async def test_a_child_that_ends_while_its_parent_is_under_way_is_not_missed(url: str) -> None:
    async with open_kit(url, work=False) as kit:
        await grace(kit)
        kit.scripts[GOAL] = Script([])
        task = await kit.begin(hand_on())
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        parent, child = await begun(kit, task)
        await at_work_again(kit, parent)
        await asyncio.gather(kit.runs.advance(child.id, child.segment), kit.runs.advance(run.id, run.segment))
        for _ in range(3):
            current, _ = await kit.latest(task)
            await kit.runs.advance(run.id, current.segment)
        run, steps = await kit.latest(task)
        assert (run.state, [s.state for s in steps]) == ("completed", ["done"])
