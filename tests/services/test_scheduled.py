"""Tasks whose time came while nobody was there, and runs that failed for good."""

import asyncio
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from domain.clock import utc_now
from domain.outside import OutsideError
from domain.schedules import Schedule
from services.tasks import NewTask
from storage import tables
from tests.kit import Script, open_kit


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
        task = await kit.begin(OutsideError("refused", code="model_refused", retryable=False))
        run, _ = await kit.until(task, "failed")
        assert run.error_code == "dead_letter"
        kit.scripts[task.id] = Script([])
        await kit.runs.start(kit.owner, task.id)
        run, _ = await kit.until(task, "completed")
        assert run.number == 2
