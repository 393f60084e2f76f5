"""What a model call may cost is checked before it is made, held back while it is under way, and entered after it."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.outside import ExternalError
from domain.ports import OVER_BUDGET, BilledFailure, PlanAnswer, PlanRequest, ToolCall, Usage
from services.runs.tasks import NewTask
from storage import tables
from storage.runs import run_rows
from tests.kit import Kit, Script, open_kit, put_settings

NOTE = ToolCall(tool="note.create", args={"title": "hello"})


def costing(micros: int, **more: Any) -> PlanAnswer:
    usage = Usage(model="m", tokens_in=10, tokens_out=5, cost_micros=micros, calls=1, **more)
    return PlanAnswer(call=NOTE, usage=usage)


async def set_budget(kit: Kit, **budget: float) -> None:
    """Change budgets (dollars); those not given are out of reach."""
    far = {"dailyTotalMax": 900_000, "perTaskMax": 900_000, "perOperatorMax": 900_000, "emergencyKill": 900_000}
    place = kit.owner.in_workspace
    await kit.store.write(lambda tx: put_settings(kit.recorder, tx, place, budget={**far, **budget}))


async def held_back(kit: Kit) -> int:
    def work(tx: Any) -> int:
        return sum(micros for _, _, micros in run_rows.held_back(tx, kit.owner.in_workspace, but=""))

    return await kit.store.read(work)


@pytest.mark.parametrize(
    ("budget", "words", "left"),
    [
        ({"perTaskMax": 0.03}, "task budget of 0.03 USD", 0.012),
        ({"perTaskMax": 0.05, "perOperatorMax": 0.05}, "operator budget of 0.05 USD", 0.012),
        ({"perTaskMax": 0.05, "dailyTotalMax": 0.05}, "day budget of 0.05 USD", 0.012),
        ({"monthlyLlmBudget": 0.05}, "month budget of 0.05 USD", 0.012),
        ({"perTaskMax": 0.05, "emergencyKill": 0.05}, "emergency budget of 0.05 USD", 0.012),
    ],
)
async def test_a_call_that_could_exceed_any_budget_is_not_made(
    url: str, budget: dict[str, float], words: str, left: float
) -> None:
    async with open_kit(url) as kit:
        await set_budget(kit, **budget)
        # another task took 2 cents today; of this one the first call fits and the second does not
        await kit.until(await kit.begin(costing(20_000)), "completed")
        task = await kit.tasks.create(kit.owner, NewTask(title="T"))
        script = kit.scripts[task.id] = Script([costing(18_000), costing(18_000)], expected=18_000)
        await kit.runs.start(kit.owner, task.id)
        run, steps = await kit.until(task, "budget_exhausted")
        assert len(script.heard) == 1
        assert [s.state for s in steps] == ["done"]
        assert (run.cost_micros, run.reserved_micros, run.error_code) == (18_000, 0, OVER_BUDGET)
        assert run.error is not None
        assert words in run.error
        assert "may cost up to 0.0180 USD" in run.error
        assert f"only {left:.4f} USD is left" in run.error


class Slow(Script):
    """Answers when it is told to."""

    def __init__(self, calls: list[Any], expected: int) -> None:
        super().__init__(calls, expected=expected)
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.allowances: list[int | None] = []

    async def next(self, request: PlanRequest) -> PlanAnswer:
        self.allowances.append(request.allowance)
        self.asked.set()
        await self.go_on.wait()
        return await super().next(request)


async def test_two_runs_do_not_both_pass_the_same_last_cent(url: str) -> None:
    async with open_kit(url) as kit:
        await set_budget(kit, dailyTotalMax=0.05, perTaskMax=0.05)
        slow = Slow([costing(30_000)], 30_000)
        first = await kit.begin_later(slow)
        await kit.runs.start(kit.owner, first.id)
        async with asyncio.timeout(60):
            await slow.asked.wait()
        # room for a second request of one answer is held back too, as far as there is any
        assert slow.allowances == [50_000]
        assert await held_back(kit) == 50_000
        second = await kit.begin_later(script := Script([costing(30_000)], expected=30_000))
        await kit.runs.start(kit.owner, second.id)
        run, _ = await kit.until(second, "budget_exhausted")
        assert script.heard == []
        assert run.cost_micros == 0
        slow.go_on.set()
        run, _ = await kit.until(first, "budget_exhausted")
        assert run.cost_micros == 30_000
        assert await held_back(kit) == 0


async def test_many_at_once_stay_within_the_day(url: str) -> None:
    """Six runs ask at the same moment for 3 cents each, of 10 cents: no more is let through, whoever they are."""
    async with open_kit(url, per_workspace=10) as kit:
        await set_budget(kit, dailyTotalMax=0.1, perTaskMax=0.1)
        scripts = [Slow([costing(30_000)], 30_000) for _ in range(6)]
        tasks = [await kit.begin_later(script) for script in scripts]
        for task in tasks:
            await kit.runs.start(kit.owner, task.id)

        async def decided() -> int:
            latest = [(await kit.latest(task))[0].state for task in tasks]
            return sum(s.asked.is_set() for s in scripts) + latest.count("budget_exhausted")

        async with asyncio.timeout(60):
            while await decided() < len(tasks):
                await asyncio.sleep(0.05)
        asked = [s for s in scripts if s.asked.is_set()]
        # one holds 6 cents back for two requests, the next what is left
        assert 1 <= len(asked) <= 3
        assert sum(s.allowances[0] or 0 for s in asked) <= 100_000
        for script in asked:
            script.go_on.set()
        for task in tasks:
            await kit.until(task, "budget_exhausted", "completed")
        day = utc_now().date().isoformat()
        _, spent, _ = await kit.store.read(
            lambda tx: run_rows.spent_lately(tx, kit.owner.in_workspace, operator_id="", day=day, month=day)
        )
        assert spent == 30_000 * len(asked)


async def test_whoever_watches_is_told_once_that_the_model_thinks(url: str) -> None:
    async with open_kit(url) as kit:
        slow = Slow([costing(30_000)], 30_000)
        task = await kit.begin_later(slow)
        await kit.runs.start(kit.owner, task.id)
        async with asyncio.timeout(60):
            await slow.asked.wait()
        run, _ = await kit.latest(task)
        assert run.thinking
        slow.go_on.set()
        run, _ = await kit.until(task, "completed")
        assert not run.thinking
        query = sa.select(tables.events.c.kind).where(tables.events.c.ref == run.id).order_by(tables.events.c.seq)
        kinds = [row[0] for row in await kit.store.read(lambda tx: tx.all(query))]
        # one for the call, one for the end: a model that says nothing for long makes no more of them
        assert kinds.count("run.thinking") == 2
        assert kinds.index("run.started") < kinds.index("run.thinking") < kinds.index("step.intent")


async def test_what_is_held_back_is_given_back_when_nobody_answers(url: str) -> None:
    async with open_kit(url) as kit:
        task = await kit.tasks.create(kit.owner, NewTask(title="T"))
        busy = ExternalError("busy", code="model_busy", retryable=True, retry_after=60)
        kit.scripts[task.id] = Script([busy], expected=30_000)
        await kit.runs.start(kit.owner, task.id)
        run, _ = await kit.until(task, "waiting")
        assert (run.reserved_micros, run.cost_micros) == (0, 0)


async def test_what_a_dead_process_held_back_is_given_back(url: str) -> None:
    async with open_kit(url) as kit:
        slow = Slow([costing(30_000)], 30_000)
        task = await kit.begin_later(slow)
        await kit.runs.start(kit.owner, task.id)
        async with asyncio.timeout(60):
            await slow.asked.wait()
        run, _ = await kit.latest(task)
        assert run.reserved_micros == 60_000
        slow.go_on.set()
        # another process takes the segment up, as after a kill
        await kit.runs.advance(run.id, run.segment)
        run, _ = await kit.until(task, "completed")
        assert run.reserved_micros == 0


async def test_an_answer_of_no_use_is_paid_for_all_the_same(url: str) -> None:
    async with open_kit(url) as kit:
        gone = ExternalError("gone", code="model_unreachable", retryable=False)
        spent = Usage(model="m", tokens_in=10, tokens_out=5, cost_micros=777, guessed_micros=7, calls=1)
        task = await kit.begin(BilledFailure(gone, spent))
        run, _ = await kit.until(task, "failed")
        assert (run.cost_micros, run.tokens_in, run.error) == (777, 10, "gone")
        for table in (tables.spend, tables.task_spend):
            rows = await kit.store.read(lambda tx, table=table: tx.all(sa.select(table)))
            assert [(r.cost_micros, r.guessed_micros, r.calls) for r in rows] == [(777, 7, 1)]


async def test_the_real_price_counts_after_the_call(url: str) -> None:
    """The estimate was too low: what was planned for too much money is not done."""
    async with open_kit(url) as kit:
        await set_budget(kit, perTaskMax=0.05)
        task = await kit.begin(costing(60_000), costing(10))
        run, steps = await kit.until(task, "budget_exhausted")
        assert [(s.state, s.rule_id) for s in steps] == [("denied", "budget_task")]
        assert run.cost_micros == 60_000


async def test_a_task_taken_away_while_the_model_thinks_is_paid_and_ends(url: str) -> None:
    async with open_kit(url) as kit:
        slow = Slow([costing(30_000)], 30_000)
        task = await kit.begin_later(slow)
        started = await kit.runs.start(kit.owner, task.id)
        async with asyncio.timeout(60):
            await slow.asked.wait()
        await kit.tasks.delete(kit.owner, task.id)
        slow.go_on.set()
        async with asyncio.timeout(60):
            while True:
                run, steps = await kit.runs.get(kit.owner, started.id)
                if run.ended:
                    break
                await asyncio.sleep(0.03)
        assert (run.state, run.cost_micros, list(steps)) == ("cancelled", 30_000, [])
