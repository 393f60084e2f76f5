"""A workspace with everything that runs need, on a real store: real engine, ledger and policy, a scripted planner."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from connectors.cel import CelRules
from domain.clock import utc_now
from domain.identity.actor import Actor, Channel, Role
from domain.ids import new_id
from domain.journal.workspace import SettingsChanged
from domain.outside import ExternalError
from domain.ports import PlanAnswer, Planner, PlanRequest, ToolCall, Usage
from domain.receipts.signing import Signer
from domain.runs.run import Run, Step
from domain.runs.task import Task
from domain.tools.effect import Effect
from domain.tools.tool import Outcome, ToolContext, ToolSpec
from services.approvals.grants import GrantService
from services.approvals.service import ApprovalService
from services.ledger.append import Ledger
from services.ledger.recorder import Recorder
from services.ledger.replay import ReplayService
from services.lifecycle.container import Lifecycle, make_lifecycle
from services.outbox.notifications import Notifications
from services.platform.bus import Bus
from services.policy.budgets import InstallationBudget
from services.policy.service import PolicyService
from services.runs.delegation import Delegate
from services.runs.planners import Planners
from services.runs.segment import Stopping
from services.runs.service import RunService
from services.runs.tasks import NewTask, TaskService
from services.runs.wiring import make_runs
from services.tools.registry import (
    Finish,
    KnowledgeSearch,
    MessageSend,
    NoteCreate,
    ToolRegistry,
    WaitUntil,
    done,
    failed,
    object_schema,
)
from storage import tables
from storage.database import Store
from storage.ledger import log_rows
from storage.policy import settings_rows
from storage.runs.engine import JobEngine
from storage.transaction import Tx


@dataclass
class Script:
    """A planner that makes these calls one after the other, then finishes. It hears results like any planner.

    `expected` is its estimate of every call, in micros.
    """

    calls: Sequence[ToolCall | PlanAnswer | Exception]
    heard: list[Any] = field(default_factory=list)
    expected: int = 0

    async def next(self, request: PlanRequest) -> PlanAnswer:
        self.heard.append(list(request.results))
        at = request.history or 0
        if at >= len(self.calls):
            return PlanAnswer(finished="all done", history=at + 1)
        item = self.calls[at]
        if isinstance(item, Exception):
            raise item
        if isinstance(item, PlanAnswer):
            return PlanAnswer(
                call=item.call, finished=item.finished, blocked=item.blocked, usage=item.usage, history=at + 1
            )
        return PlanAnswer(call=item, history=at + 1)

    def estimate(self, request: PlanRequest) -> Usage:
        del request
        return Usage(cost_micros=self.expected, calls=1 if self.expected else 0)


class RecordingTool:
    """An outside tool that counts what it did. `behave` may raise, wait, or fail."""

    def __init__(self, name: str = "deed", *, effect: Effect = Effect.E3, **flags: Any) -> None:
        self.spec = ToolSpec(
            name=name,
            summary="Does something outside.",
            parameters=object_schema((), what={"type": "string"}, secret={"type": "string"}),
            effect=effect,
            redactions=("secret",),
            **flags,
        )
        self.done: list[str] = []
        self.looked_up = 0
        self.found: Outcome | None = None
        self.behave: Callable[[int], Awaitable[Outcome | None]] | None = None

    async def run(self, context: ToolContext, args: Any) -> Outcome:
        self.done.append(context.idempotency_key)
        if self.behave is not None:
            outcome = await self.behave(len(self.done))
            if outcome is not None:
                return outcome
        return done({"did": args.get("what", ""), "times": len(self.done)})

    async def find_outcome(self, context: ToolContext, args: Any) -> Outcome | None:
        del context, args
        self.looked_up += 1
        return self.found


class BlockingTool(RecordingTool):
    """A harmless deed that is under way from `started` until `go_on`, and then comes to `then`."""

    def __init__(self, *, then: Outcome | None = None) -> None:
        super().__init__(effect=Effect.E1)
        self.started, self.go_on = asyncio.Event(), asyncio.Event()
        self._then = then
        self.behave = self._hold

    async def _hold(self, _count: int) -> Outcome | None:
        self.started.set()
        await self.go_on.wait()
        return self._then


def breaks_after_sending() -> ExternalError:
    return ExternalError("the connection broke off", code="protocol_error", sent=True)


@dataclass
class Kit:
    """Services on a store, with one owner in one workspace."""

    store: Store
    engine: JobEngine
    lifecycle: Lifecycle
    runs: RunService
    tasks: TaskService
    approvals: ApprovalService
    tool_registry: ToolRegistry
    ledger: Ledger
    recorder: Recorder
    policy_service: PolicyService
    bus: Bus
    scripts: dict[str, Planner]
    owner: Actor

    async def person(self, role: Role, *, workspace_id: str | None = None, telegram_id: int | None = None) -> Actor:
        """Another member."""
        user_id = new_id()
        place = workspace_id or self.owner.in_workspace

        def work(tx: Any) -> None:
            now = utc_now()
            tx.execute(
                sa.insert(tables.users).values(
                    id=user_id,
                    name=f"P {role.value}",
                    telegram_id=telegram_id,
                    chat_open=telegram_id is not None,
                    preferences={},
                    created_at=now,
                    updated_at=now,
                )
            )
            tx.execute(
                sa.insert(tables.workspace_members).values(
                    id=new_id(), workspace_id=place, user_id=user_id, role=role.value, joined_at=now
                )
            )

        await self.store.write(work)
        return Actor(
            user_id=user_id,
            name=f"P {role.value}",
            channel=Channel.EMAIL,
            workspace_id=place,
            role=role,
            fresh_at=utc_now(),
        )

    async def set_policy(self, **policy: Any) -> None:
        """Change policy settings, however they are spelt, with the receipt of it."""
        await self.store.write(lambda tx: put_settings(self.recorder, tx, self.owner.in_workspace, policy=policy))

    async def begin(self, *calls: ToolCall | PlanAnswer | Exception, **new: Any) -> Task:
        """A task that makes these calls, running."""
        task = await self.tasks.create(self.owner, NewTask(title=new.pop("title", "T"), **new))
        self.scripts[task.id] = Script(calls)
        await self.runs.start(self.owner, task.id)
        return task

    async def begin_later(self, script: Planner) -> Task:
        """A task with a script, not running yet."""
        task = await self.tasks.create(self.owner, NewTask(title="T"))
        self.scripts[task.id] = script
        return task

    def toolbox_deed(self, name: str = "deed") -> Any:
        """The deed of this kit."""
        return self.tool_registry.get(name)

    async def latest(self, task: Task) -> tuple[Run, Sequence[Step]]:
        """The newest run of a task with its steps."""
        return (await self.runs.steps_of_task(self.owner, task.id))[0]

    async def until(self, task: Task, *states: str, seconds: float = 60) -> tuple[Run, Sequence[Step]]:
        """The newest run once it is in one of the states."""
        ends = time.monotonic() + seconds
        while True:
            run, steps = await self.latest(task)
            if run.state in states:
                return run, steps
            if time.monotonic() > ends:
                raise AssertionError(
                    f"run is {run.state} ({run.error}), not {states}: {[(s.tool, s.state) for s in steps]}"
                )
            await self.runs.sweep_due()
            await asyncio.sleep(0.03)

    async def pending(self, task: Task) -> Any:
        """The approval the task waits for."""
        await self.until(task, "awaiting_approval")
        [approval] = await self.approvals.list(self.owner, status="pending", task_id=task.id)
        return approval


def put_settings(recorder: Recorder, tx: Tx, workspace_id: str, *, policy: Any = None, budget: Any = None) -> None:
    """Merge into the settings what no schema has looked at, with the receipt that such a change leaves."""
    stored = settings_rows.get(tx, workspace_id)
    after = {
        "policyConfig": {**stored.policy, **(policy or {})},
        "budgetConfig": {**stored.budget, **(budget or {})},
        "modelConfig": stored.model,
    }
    settings_rows.put(
        tx,
        workspace_id=workspace_id,
        policy=after["policyConfig"],
        budget=after["budgetConfig"],
        model=after["modelConfig"],
        version=stored.version + 1,
        now=utc_now(),
    )
    before = {"policyConfig": stored.policy, "budgetConfig": stored.budget, "modelConfig": stored.model}
    entry = SettingsChanged(
        workspace_id=workspace_id, actor="system", before=before, after=after, old_policy_hash="", new_policy_hash=""
    )
    recorder.record(tx, entry)


class _PlannerOfTask:
    """Asks the script of the task at hand: planners are chosen by workspace, scripts by task."""

    def __init__(self, scripts: dict[str, Planner]) -> None:
        self._scripts = scripts

    async def next(self, request: PlanRequest) -> PlanAnswer:
        return await self._scripts[request.task_description].next(request)

    def estimate(self, request: PlanRequest) -> Usage:
        return self._scripts[request.task_description].estimate(request)


def decided_otherwise(service: ReplayService, tx: Tx) -> list[Any]:
    """Decisions of every workspace that would not be made again from their receipts: there must be none."""
    found = [one for place in log_rows.logs(tx) for one in service.decisions_in(tx, place, None, limit=10_000)]
    return [one for one in found if not one.same]


@asynccontextmanager
async def open_kit(
    url: str,
    *,
    deeds: Sequence[Any] = (),
    work: bool = True,
    executor: str = "test-1",
    per_workspace: int = 4,
    after: Kit | None = None,
    installation: InstallationBudget | None = None,
) -> AsyncIterator[Kit]:
    """A kit on a migrated database; `work=False` leaves the engine without a worker.

    `after`: the process of that kit has died, and this one goes on with its people, scripts and keys.
    """
    store = Store(url)
    bus = Bus()
    ledger = Ledger(Signer(os.urandom(32)), host="localhost", now=utc_now) if after is None else after.ledger
    recorder = Recorder(ledger, bus, utc_now)
    notifications = Notifications(bus, utc_now)
    policy_service = PolicyService(CelRules(), ledger, utc_now, installation=installation or InstallationBudget())
    tool_registry = ToolRegistry(
        [
            NoteCreate(store, utc_now),
            KnowledgeSearch(store, utc_now),
            MessageSend(store, utc_now, notifications),
            WaitUntil(utc_now),
            Finish(),
            *deeds,
        ]
    )
    scripts: dict[str, Planner] = {} if after is None else after.scripts

    async def model_settings(_workspace_id: str) -> Any:
        return {}, None

    planner = _PlannerOfTask(scripts)
    engine = JobEngine(store, executor_id=executor, poll_seconds=0.05, per_workspace=per_workspace)
    lifecycle = make_lifecycle(
        engine=engine, policy_service=policy_service, recorder=recorder, notifications=notifications, now=utc_now
    )
    stopping = Stopping()
    runs = make_runs(
        store=store,
        engine=engine,
        lifecycle=lifecycle,
        planners=Planners(lambda *_: planner, model_settings),
        tool_registry=tool_registry,
        policy_service=policy_service,
        recorder=recorder,
        now=utc_now,
        stopping=stopping,
    )
    tasks = _TasksByScript(store, lifecycle, tool_registry, policy_service, recorder, utc_now)
    tool_registry.add(Delegate(tasks, lifecycle, tool_registry, policy_service))
    grants = GrantService(store, recorder, utc_now)
    approvals = ApprovalService(
        store, lifecycle, grants, policy_service, tool_registry, recorder, notifications, utc_now
    )
    user_id, workspace_id = new_id(), new_id()

    def seed(tx: Any) -> None:
        now = utc_now()
        tx.execute(
            sa.insert(tables.users).values(
                id=user_id, name="Ada", telegram_id=7, chat_open=True, preferences={}, created_at=now, updated_at=now
            )
        )
        tx.execute(
            sa.insert(tables.workspaces).values(
                id=workspace_id,
                name="W",
                owner_id=user_id,
                current_mode="build",
                compliance_frameworks=[],
                created_at=now,
                updated_at=now,
            )
        )
        tx.execute(
            sa.insert(tables.workspace_members).values(
                id=new_id(), workspace_id=workspace_id, user_id=user_id, role="owner", joined_at=now
            )
        )
        ledger.register_key(tx)

    try:
        if after is None:
            await store.write(seed)
        await engine.start(runs.advance if work else None, notifications_seconds=0.05)
        yield Kit(
            store=store,
            engine=engine,
            lifecycle=lifecycle,
            runs=runs,
            tasks=tasks,
            approvals=approvals,
            tool_registry=tool_registry,
            ledger=ledger,
            recorder=recorder,
            policy_service=policy_service,
            bus=bus,
            scripts=scripts,
            owner=after.owner
            if after is not None
            else Actor(
                user_id=user_id,
                name="Ada",
                channel=Channel.EMAIL,
                workspace_id=workspace_id,
                role=Role.OWNER,
                fresh_at=utc_now(),
            ),
        )
        ledger_of = ReplayService(store=store, ledger=ledger, rules=CelRules())
        assert await store.read(lambda tx: decided_otherwise(ledger_of, tx)) == []
    finally:
        stopping.event.set()
        await engine.stop(grace_seconds=3)
        await store.close()


class _TasksByScript(TaskService):
    """Tasks whose description is their own id, so that the planner finds the task's script."""

    async def create(self, actor: Actor, new: NewTask) -> Task:
        task = await super().create(actor, new)
        await self.update(actor, task.id, {"description": task.id})
        return await self.get(actor, task.id)


__all__ = ["Kit", "RecordingTool", "Script", "breaks_after_sending", "failed", "open_kit"]
