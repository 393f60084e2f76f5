"""Tasks whose time came while nobody was there, and runs that failed for good."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.ids import new_id
from domain.outside import ExternalError
from domain.ports import PlanAnswer, PlanRequest, ToolCall
from domain.runs.schedules import Schedule
from domain.runs.task import Task
from domain.tools.operator import Operator
from services.runs.tasks import NewTask
from services.runs.view import BACKOFF
from storage import tables
from storage.runs import task_rows
from storage.tools import operator_rows
from tests.kit import Kit, Script, open_kit, put_settings


async def test_missed_times_run_once_and_say_so(url: str) -> None:
    async with open_kit(url) as kit:
        schedule = Schedule.from_json({"cron": "0 9 * * *", "timezone": "Europe/Berlin"})
        task = await kit.tasks.create(kit.owner, NewTask(title="Every day", description="x", schedule=schedule))
        kit.scripts[task.id] = Script([])
        missed = utc_now() - timedelta(days=3)

        def was_down(tx: Any) -> None:
            tx.execute(sa.update(tables.tasks).where(tables.tasks.c.id == task.id).values(next_run_at=missed))

        await kit.store.write(was_down)
        # two processes come up at the same moment
        started = await asyncio.gather(kit.tasks.sweep_scheduled(), kit.tasks.sweep_scheduled())
        assert sorted(started) == [0, 1]
        run, _ = await kit.until(task, "completed")
        assert run.number == 1
        assert run.origin["channel"] == "schedule"
        assert run.origin["missedBySeconds"] >= 3 * 86_400
        assert await kit.tasks.sweep_scheduled() == 0
        again = await kit.tasks.get(kit.owner, task.id)
        assert again.next_run_at is not None
        assert again.next_run_at > utc_now()


async def test_a_run_that_failed_for_good_is_seen_and_can_be_run_again(url: str) -> None:
    async with open_kit(url) as kit:
        task = await kit.begin(ExternalError("refused", code="model_refused", retryable=False))
        run, _ = await kit.until(task, "failed")
        assert run.error_code == "dead_letter"
        kit.scripts[task.id] = Script([])
        await kit.runs.start(kit.owner, task.id)
        run, _ = await kit.until(task, "completed")
        assert run.number == 2


async def due(kit: Kit, task: Task, ago: timedelta) -> None:
    """Let the task's next time lie in the past."""

    def work(tx: Any) -> None:
        at = utc_now() - ago
        tx.execute(sa.update(tables.tasks).where(tables.tasks.c.id == task.id).values(next_run_at=at))

    await kit.store.write(work)


async def scheduled(kit: Kit, **schedule: str) -> Task:
    task = await kit.tasks.create(kit.owner, NewTask(title="Later", schedule=Schedule.from_json(schedule)))
    kit.scripts[task.id] = Script([])
    return task


async def test_a_date_comes_once_and_on_time_nothing_is_said(url: str) -> None:
    async with open_kit(url) as kit:
        soon = utc_now() + timedelta(hours=1)
        task = await scheduled(kit, at=soon.isoformat())
        assert task.next_run_at == soon
        assert await kit.tasks.sweep_scheduled() == 0
        await due(kit, task, timedelta(seconds=1))
        assert await kit.tasks.sweep_scheduled() == 1
        run, _ = await kit.until(task, "completed")
        assert "missedBySeconds" not in run.origin
        # a date that has passed never comes
        past = await scheduled(kit, at=(utc_now() - timedelta(days=1)).isoformat())
        assert past.next_run_at is None
        assert await kit.tasks.sweep_scheduled() == 0


async def test_a_paused_task_does_not_run_and_goes_on_with_the_next_time(url: str) -> None:
    async with open_kit(url) as kit:
        task = await scheduled(kit, cron="0 9 * * *", timezone="Asia/Tokyo")
        await kit.tasks.update(kit.owner, task.id, {"paused": True})
        await due(kit, task, timedelta(days=2))
        assert await kit.tasks.sweep_scheduled() == 0
        resumed = await kit.tasks.update(kit.owner, task.id, {"paused": False})
        assert resumed.next_run_at is not None
        # what came and went while it was paused is not made up for
        assert utc_now() < resumed.next_run_at <= utc_now() + timedelta(days=1)
        assert (resumed.next_run_at.hour, resumed.next_run_at.minute) == (0, 0)
        assert await kit.tasks.sweep_scheduled() == 0
        ended = await kit.tasks.update(kit.owner, task.id, {"schedule": None})
        assert (ended.schedule, ended.next_run_at) == (None, None)
        assert await kit.runs.of_task(kit.owner, task.id) == []


async def test_a_time_that_comes_while_a_run_is_under_way_starts_no_second_one(url: str) -> None:
    async with open_kit(url) as kit:
        task = await scheduled(kit, cron="*/5 * * * *")
        kit.scripts[task.id] = Script([ToolCall(tool="wait.until", args={"seconds": 600})])
        await kit.runs.start(kit.owner, task.id)
        await kit.until(task, "waiting")
        await due(kit, task, timedelta(seconds=1))
        assert await kit.tasks.sweep_scheduled() == 0
        again = await kit.tasks.get(kit.owner, task.id)
        assert again.next_run_at is not None
        assert again.next_run_at > utc_now()
        assert len(await kit.runs.of_task(kit.owner, task.id)) == 1


async def test_what_is_not_done_by_its_deadline_ends_before_its_next_step(url: str) -> None:
    async with open_kit(url) as kit:
        late = utc_now() + timedelta(milliseconds=500)
        wait = ToolCall(tool="wait.until", args={"seconds": 600})
        task = await kit.begin(wait, deadline_at=late)
        run, _ = await kit.until(task, "cancelled")
        assert (run.error, run.deadline_at) == ("the deadline has passed", late)
        # one without stays
        other = await kit.begin(wait)
        await kit.until(other, "waiting")
        assert await kit.runs.sweep_due() == 0


async def test_a_model_that_is_busy_is_asked_less_and_less_often_and_then_given_up(url: str) -> None:
    async with open_kit(url, work=False) as kit:
        busy = ExternalError("busy", code="model_busy", retryable=True)
        task = await kit.begin(busy)
        pauses = []
        for attempt in range(1, BACKOFF.tries or 0):
            run, _ = await kit.latest(task)
            await kit.runs.advance(run.id, run.segment)
            run, _ = await kit.latest(task)
            assert (run.state, run.attempts) == ("waiting", attempt)
            assert run.wake_at is not None
            pauses.append((run.wake_at - run.updated_at).total_seconds())
            waiting = run
            await kit.store.write(lambda tx, waiting=waiting: kit.lifecycle.runs.resume(tx, waiting))
        assert pauses == pytest.approx([2, 4, 8, 16, 32], abs=0.5)
        run, _ = await kit.latest(task)
        await kit.runs.advance(run.id, run.segment)
        run, _ = await kit.latest(task)
        assert (run.state, run.error_code, run.error) == ("failed", "dead_letter", "busy")


async def test_what_matters_more_runs_first(url: str) -> None:
    """Of what waits in one workspace, the lowest number goes first, whenever it was queued; 0 stands for none."""
    async with open_kit(url, per_workspace=1) as kit:
        order: list[str] = []
        go_on = asyncio.Event()

        class Noting(Script):
            async def next(self, request: PlanRequest) -> PlanAnswer:
                order.append(request.task_title)
                await go_on.wait()
                return await super().next(request)

        tasks = []
        for title, priority in (("first", 1), ("low", 900), ("middle", 500), ("high", 2), ("usual", 0)):
            task = await kit.tasks.create(kit.owner, NewTask(title=title, priority=priority))
            kit.scripts[task.id] = Noting([])
            tasks.append(task)
            await kit.runs.start(kit.owner, task.id)
            async with asyncio.timeout(60):
                while not order:
                    await asyncio.sleep(0.02)
        go_on.set()
        for task in tasks:
            await kit.until(task, "completed")
        assert order == ["first", "usual", "high", "middle", "low"]


async def test_a_task_of_a_closed_workspace_waits_until_it_is_open_again(url: str) -> None:
    async with open_kit(url) as kit:
        schedule = Schedule.from_json({"cron": "0 9 * * *"})
        task = await kit.tasks.create(kit.owner, NewTask(title="Every day", description="x", schedule=schedule))
        kit.scripts[task.id] = Script([])
        await due(kit, task, timedelta(minutes=5))
        place = sa.update(tables.workspaces).where(tables.workspaces.c.id == kit.owner.in_workspace)
        await kit.store.write(lambda tx: tx.execute(place.values(deleted_at=utc_now())))
        assert await kit.tasks.sweep_scheduled() == 0
        await kit.store.write(lambda tx: tx.execute(place.values(deleted_at=None)))
        assert await kit.tasks.sweep_scheduled() == 1
        await kit.until(task, "completed")


async def test_a_time_that_comes_while_the_operator_is_paused_passes(url: str) -> None:
    async with open_kit(url) as kit:
        nora = Operator(
            id=new_id(),
            workspace_id=kit.owner.in_workspace,
            name="Nora",
            role="ops",
            goal="",
            constraints=[],
            tools=[],
            is_active=False,
            max_iterations=50,
            budget_micros=None,
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        await kit.store.write(lambda tx: operator_rows.add(tx, nora))
        mine, other = await scheduled(kit, cron="0 9 * * *"), await scheduled(kit, cron="0 9 * * *")
        await kit.tasks.update(kit.owner, mine.id, {"operator_id": nora.id})
        for task in (mine, other):
            await due(kit, task, timedelta(minutes=5))
        assert await kit.tasks.sweep_scheduled() == 1
        await kit.until(other, "completed")
        passed = await kit.tasks.get(kit.owner, mine.id)
        assert passed.status == "pending"
        assert passed.next_run_at is not None
        assert passed.next_run_at > utc_now()


async def test_a_task_that_cannot_be_started_does_not_hold_up_the_others(url: str) -> None:
    async with open_kit(url) as kit:
        mine = await scheduled(kit, cron="0 9 * * *")
        broken = await in_broken_workspace(kit)
        await due(kit, broken, timedelta(minutes=9))
        await due(kit, mine, timedelta(minutes=5))
        assert await kit.tasks.sweep_scheduled() == 1
        await kit.until(mine, "completed")
        # nothing of it is lost: it begins once it can
        left = await kit.store.read(lambda tx: task_rows.get(tx, broken.workspace_id, broken.id))
        assert left.next_run_at is not None
        assert left.next_run_at < utc_now()


async def in_broken_workspace(kit: Kit) -> Task:
    """A task of a workspace whose settings cannot be read."""
    place, now = new_id(), utc_now()

    def work(tx: Any) -> Task:
        tx.execute(
            sa.insert(tables.workspaces).values(
                id=place,
                name="B",
                owner_id=kit.owner.user_id,
                current_mode="build",
                compliance_frameworks=[],
                created_at=now,
                updated_at=now,
            )
        )
        new = NewTask(title="B", schedule=Schedule.from_json({"cron": "0 9 * * *"}))
        made = kit.tasks.create_in(tx, place, new, principal="system", user_id=None, channel="api")
        assert isinstance(made, Task)
        policy = {"maxIterationBudget": "of another version"}
        put_settings(kit.recorder, tx, place, policy=policy)
        return made

    return await kit.store.write(work)
