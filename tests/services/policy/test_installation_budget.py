"""What all workspaces together spend with the installation's keys is capped, whoever of them asks, and wherever."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.identity.actor import Actor, Role
from domain.ids import new_id
from domain.journal.people import WorkspacePurged
from domain.ports import OVER_BUDGET, OVER_INSTALLATION_BUDGET, PlanAnswer, PlanRequest, ToolCall, Usage
from domain.runs.run import Run, RunState
from domain.runs.task import Task
from services.policy.budgets import Allowance, InstallationBudget, OverBudget
from services.runs.tasks import NewTask
from services.workspaces.erasure import forget_words
from storage import tables
from storage.database import Store
from storage.installation import spend_rows
from storage.runs import run_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows
from tests.kit import Kit, Script, open_kit
from tests.services.policy.test_budgets import Slow, set_budget

NOTE = ToolCall(tool="note.create", args={"title": "hello"})
DAY = InstallationBudget(day=50_000)


def costing(micros: int, **more: Any) -> PlanAnswer:
    return PlanAnswer(
        call=NOTE, usage=Usage(model="m", tokens_in=10, tokens_out=5, cost_micros=micros, calls=1, **more)
    )


class Expecting(Script):
    """A script with an estimate of its own kind. Remembers what it was allowed."""

    def __init__(self, calls: list[Any], expected: Usage) -> None:
        super().__init__(calls)
        self.estimated = expected
        self.asked: list[PlanRequest] = []

    async def next(self, request: PlanRequest) -> PlanAnswer:
        self.asked.append(request)
        return await super().next(request)

    def estimate(self, request: PlanRequest) -> Usage:
        del request
        return self.estimated


async def another(kit: Kit) -> Actor:
    """The owner of another workspace."""
    owner = await kit.person(Role.OWNER)
    place, now = new_id(), utc_now()

    def work(tx: Tx) -> None:
        tx.execute(
            sa.insert(tables.workspaces).values(
                id=place,
                name="X",
                owner_id=owner.user_id,
                current_mode="build",
                compliance_frameworks=[],
                created_at=now,
                updated_at=now,
            )
        )
        workspace_rows.leave(tx, kit.owner.in_workspace, owner.user_id)
        workspace_rows.join(tx, member_id=new_id(), workspace_id=place, user_id=owner.user_id, role="owner", now=now)

    await kit.store.write(work)
    return replace(owner, workspace_id=place)


async def begin(kit: Kit, actor: Actor, script: Any) -> Task:
    task = await kit.tasks.create(actor, NewTask(title="T"))
    kit.scripts[task.id] = script
    await kit.runs.start(actor, task.id)
    return task


async def ended(kit: Kit, actor: Actor, task: Task) -> Run:
    async with asyncio.timeout(60):
        while True:
            run, _ = (await kit.runs.steps_of_task(actor, task.id))[0]
            if run.ended:
                return run
            await asyncio.sleep(0.03)


async def used(store: Store) -> tuple[int, int, int]:
    day = utc_now().date()
    return await store.read(lambda tx: spend_rows.used(tx, day=day.isoformat(), month=day.replace(day=1).isoformat()))


async def test_what_one_workspace_spends_another_has_no_more(url: str) -> None:
    async with open_kit(url, installation=DAY) as kit:
        await set_budget(kit)
        bob = await another(kit)
        first = await begin(kit, kit.owner, Script([costing(40_000)], expected=20_000))
        # the second call of the first run finds no room either
        assert (await ended(kit, kit.owner, first)).error_code == OVER_INSTALLATION_BUDGET
        second = await begin(kit, bob, script := Script([costing(40_000)], expected=20_000))
        run = await ended(kit, bob, second)
        assert (run.state, run.error_code, run.cost_micros) == ("budget_exhausted", OVER_INSTALLATION_BUDGET, 0)
        assert script.heard == []
        # how large it is is nobody's business but the administrator's
        assert run.error == "the day budget of this installation has no room for a call of a model"
        assert await used(kit.store) == (40_000, 40_000, 0)
        # the owner of the first workspace is told once, not at every run
        query = sa.select(tables.outbox.c.recipient).where(tables.outbox.c.dedupe_key.like("installation:%"))
        assert [row[0] for row in await kit.store.read(lambda tx: tx.all(query))] == ["7"]


async def test_what_was_spent_stays_when_the_workspace_is_gone(url: str) -> None:
    async with open_kit(url, installation=DAY) as kit:
        bob = await another(kit)
        await ended(kit, bob, await begin(kit, bob, Script([costing(45_000)])))

        def purge(tx: Tx) -> None:
            kit.runs.recorder.record(tx, WorkspacePurged(workspace_id=bob.in_workspace))
            forget_words(tx, bob.in_workspace, now=utc_now())
            workspace_rows.purge(tx, bob.in_workspace)

        await kit.store.write(purge)
        run = await ended(kit, kit.owner, await begin(kit, kit.owner, Script([costing(1)], expected=20_000)))
        assert run.error_code == OVER_INSTALLATION_BUDGET


@pytest.mark.parametrize("budget", [InstallationBudget(day=50_000), InstallationBudget(month=50_000)])
async def test_a_call_under_way_in_one_workspace_is_counted_in_the_other(url: str, budget: InstallationBudget) -> None:
    async with open_kit(url, installation=budget) as kit:
        bob = await another(kit)
        slow = Slow([costing(30_000)], 30_000)
        first = await begin(kit, kit.owner, slow)
        async with asyncio.timeout(60):
            await slow.asked.wait()
        assert slow.allowances == [50_000]
        assert await used(kit.store) == (0, 0, 50_000)
        second = await begin(kit, bob, script := Script([costing(30_000)], expected=30_000))
        assert (await ended(kit, bob, second)).error_code == OVER_INSTALLATION_BUDGET
        assert script.heard == []
        slow.go_on.set()
        await ended(kit, kit.owner, first)
        assert await used(kit.store) == (30_000, 30_000, 0)


async def test_a_budget_of_nothing_lets_nothing_through(url: str) -> None:
    async with open_kit(url, installation=InstallationBudget(day=0)) as kit:
        # a price of nothing is no way around it: what it really costs shows afterwards
        free = Expecting([costing(1)], Usage(calls=1))
        run = await ended(kit, kit.owner, await begin(kit, kit.owner, free))
        assert (run.error_code, free.asked) == (OVER_INSTALLATION_BUDGET, [])


async def test_whoever_pays_for_the_model_themselves_is_not_counted(url: str) -> None:
    async with open_kit(url, installation=InstallationBudget(day=10)) as kit:
        own = Usage(cost_micros=30_000, own_micros=30_000, calls=1, replaceable=True)
        script = Expecting([costing(25_000, own_micros=25_000)], own)
        run = await ended(kit, kit.owner, await begin(kit, kit.owner, script))
        assert (run.state, run.cost_micros) == ("completed", 25_000)
        assert [one.at_own_cost for one in script.asked] == [False, False]
        assert await used(kit.store) == (0, 0, 0)


async def test_with_a_model_of_its_own_a_workspace_goes_on_without_the_installations(url: str) -> None:
    """The workspace's key is asked first, the installation's would be the fallback: then that one is left out."""
    async with open_kit(url, installation=InstallationBudget(day=40_000)) as kit:
        mixed = Usage(cost_micros=30_000, own_micros=0, calls=1, replaceable=True)
        answers = [costing(25_000), costing(9_000, own_micros=9_000), costing(9_000, own_micros=9_000)]
        script = Expecting(answers, mixed)
        run = await ended(kit, kit.owner, await begin(kit, kit.owner, script))
        assert (run.state, run.cost_micros) == ("completed", 43_000)
        assert [one.at_own_cost for one in script.asked] == [False, True, True, True]
        assert await used(kit.store) == (25_000, 25_000, 0)


async def test_a_workspace_cannot_raise_it_and_its_own_budgets_still_hold(url: str) -> None:
    async with open_kit(url, installation=DAY) as kit:
        await set_budget(kit, dailyTotalMax=800_000)
        run = await ended(kit, kit.owner, await begin(kit, kit.owner, Script([costing(1)], expected=60_000)))
        assert run.error_code == OVER_INSTALLATION_BUDGET
        await set_budget(kit, dailyTotalMax=0.02)
        run = await ended(kit, kit.owner, await begin(kit, kit.owner, Script([costing(1)], expected=30_000)))
        assert run.error_code == OVER_BUDGET


async def test_what_a_playbook_costs_is_nothing(url: str) -> None:
    async with open_kit(url, installation=InstallationBudget(day=0, month=0)) as kit:
        run = await ended(kit, kit.owner, await begin(kit, kit.owner, Script([NOTE])))
        assert run.state == "completed"


async def test_two_processes_do_not_both_take_the_same_last_cent(url: str) -> None:
    """Twelve calls of four workspaces ask at the same moment through two connections: no more is let through at once."""
    limit, price, rounds = 100_000, 15_000, 3
    async with open_kit(url, work=False, installation=InstallationBudget(day=limit)) as kit:
        second = Store(url)
        try:
            actors = [kit.owner, *[await another(kit) for _ in range(3)]]
            begun: list[tuple[Run, Task]] = []
            for _ in range(rounds):
                for actor in actors:
                    task = await kit.tasks.create(actor, NewTask(title="T"))
                    begun.append((await kit.runs.start(actor, task.id), task))

            def ask(run: Run, task: Task) -> Any:
                def work(tx: Tx) -> Allowance | OverBudget:
                    expected = Usage(cost_micros=price, calls=1)
                    found = kit.policy_service.budgets.before_model_call(tx, task, run, expected=expected)
                    if isinstance(found, Allowance):
                        held = {"reserved_installation_micros": found.of_installation}
                        run_rows.move(tx, run, RunState.RUNNING, **held)
                    return found

                return work

            answers = await asyncio.gather(
                *(
                    (kit.store, second)[n % 2].workspace(run.workspace_id).write(ask(run, task))
                    for n, (run, task) in enumerate(begun)
                )
            )
            let = [one for one in answers if isinstance(one, Allowance)]
            refused = [one for one in answers if isinstance(one, OverBudget)]
            assert {one.code for one in refused} == {OVER_INSTALLATION_BUDGET}
            assert len(let) + len(refused) == len(begun)
            # each holds back what two requests may cost, and the last one what is left
            assert sum(one.of_installation for one in let) <= limit
            assert limit - price < sum(one.of_installation for one in let)
            assert (await used(second))[2] == sum(one.of_installation for one in let)
        finally:
            await second.close()


async def test_two_processes_enter_what_was_spent_without_losing_any(url: str) -> None:
    async with open_kit(url, work=False) as kit:
        second = Store(url)
        try:
            day = utc_now().date().isoformat()
            await asyncio.gather(
                *(
                    (kit.store, second)[n % 2].write(lambda tx: spend_rows.enter(tx, day=day, micros=7))
                    for n in range(40)
                )
            )
            assert await used(second) == (280, 280, 0)
        finally:
            await second.close()
