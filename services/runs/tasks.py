"""Tasks: creating, listing, changing, ending."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from domain.clock import Now, iso
from domain.errors import Forbidden, Invalid, NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.journal.work import OperatorOutOfScope, TaskCreated, TaskDeleted, TaskStatusSet, TaskUpdated
from domain.ledger.events import Event, EventKind
from domain.playbooks.parsing import parse
from domain.runs.schedules import Schedule, next_time
from domain.runs.task import Mode, Task, TaskStatus
from services.ledger.recorder import Recorder
from services.lifecycle.container import Lifecycle
from services.policy.service import PolicyService
from services.tools.registry import ToolRegistry
from storage.database import Store
from storage.runs import run_rows, task_rows
from storage.tools import operator_rows
from storage.transaction import Tx

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What a task is created from. Times are aware UTC; `schedule` as in domain.schedules; `mode` None for the
    workspace's.
    """

    title: str
    description: str = ""
    mode: Mode | None = None
    operator_id: str | None = None
    parent_task_id: str | None = None
    iteration_budget: int = 50
    priority: int = 0
    metadata: dict[str, Any] | None = None
    schedule: Schedule | None = None
    deadline_at: datetime | None = None
    auto_run: bool = False
    origin: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TaskService:
    """Use cases about tasks."""

    store: Store
    lifecycle: Lifecycle
    tool_registry: ToolRegistry
    policy_service: PolicyService
    recorder: Recorder
    now: Now

    async def create(self, actor: Actor, new: NewTask) -> Task:
        """A new task, queued to run at once when `auto_run` is set."""
        require(actor, Action.TASK_CREATE)
        if new.auto_run:
            require(actor, Action.TASK_RUN)
        # a playbook that cannot run is refused here, with line and reason, not when it is due
        tools = await self.tool_registry.of(self.store, actor.in_workspace)
        await asyncio.to_thread(parse, new.description, tools.specs)
        made = await self.store.workspace(actor.in_workspace).write(
            lambda tx: self.create_in(
                tx,
                actor.in_workspace,
                new,
                principal=actor.principal,
                user_id=actor.user_id,
                channel=actor.channel.value,
            )
        )
        if isinstance(made, str):
            raise Forbidden(
                "operatorId does not belong to authenticated workspace",
                code="operator_scope",
                details={"evidenceItemId": made},
            )
        return made

    def create_in(
        self, tx: Tx, workspace_id: str, new: NewTask, *, principal: str, user_id: str | None, channel: str
    ) -> Task | str:
        """Create in the caller's transaction; the evidence id when the operator is another workspace's."""
        if new.operator_id is not None and not operator_rows.exists(tx, workspace_id, new.operator_id):
            evidence = self.recorder.record(
                tx, OperatorOutOfScope(workspace_id=workspace_id, actor=principal, operator_id=new.operator_id)
            )
            return evidence or ""
        if new.parent_task_id is not None and not task_rows.exists(tx, workspace_id, new.parent_task_id):
            raise Invalid.field("parentTaskId", "is no task of this workspace")
        now = self.now()
        task = Task(
            id=new_id(),
            workspace_id=workspace_id,
            operator_id=new.operator_id,
            parent_task_id=new.parent_task_id,
            title=new.title,
            description=new.description,
            mode=(new.mode or Mode(self.policy_service.settings(tx, workspace_id)[1])).value,
            status=TaskStatus.PENDING,
            priority=new.priority,
            metadata=new.metadata or {},
            created_by=user_id,
            origin=channel,
            iteration_budget=new.iteration_budget,
            schedule=None if new.schedule is None else new.schedule.as_json(),
            next_run_at=None if new.schedule is None else next_time(new.schedule, after=now),
            paused=False,
            deadline_at=new.deadline_at,
            created_at=now,
            updated_at=now,
            completed_at=None,
            deleted_at=None,
        )
        self.lifecycle.tasks.make(tx, task)
        self.recorder.record(tx, TaskCreated(task=task, actor=principal))
        if new.auto_run:
            self.lifecycle.runs.begin(
                tx,
                task,
                started_by=user_id,
                principal=principal,
                origin=new.origin or {"channel": channel},
            )
            return replace(task, status=TaskStatus.QUEUED)
        return task

    async def list(
        self,
        actor: Actor,
        *,
        limit: int = 100,
        status: Sequence[str] = (),
        operator_id: str | None = None,
        search: str | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[Task]:
        """Tasks of the workspace, newest first."""
        require(actor, Action.TASK_READ)
        return await self.store.read(
            lambda tx: task_rows.find(
                tx,
                actor.in_workspace,
                limit=limit,
                status=status,
                operator_id=operator_id,
                search=search,
                before=before,
            ),
            # looking for words reads every task there is
            long=bool(search),
        )

    async def get(self, actor: Actor, task_id: str) -> Task:
        """One task."""
        require(actor, Action.TASK_READ)
        return await self.store.read(lambda tx: task_rows.get(tx, actor.in_workspace, task_id))

    async def counts(self, actor: Actor) -> dict[str, int]:
        """How many tasks stand in each status."""
        require(actor, Action.TASK_READ)
        return await self.store.read(lambda tx: task_rows.counts(tx, actor.in_workspace))

    async def set_status(self, actor: Actor, task_id: str, status: TaskStatus) -> Task:
        """Set the status by hand. `queued` starts a run; `cancelled` ends the one under way."""
        require(actor, Action.TASK_UPDATE)

        def work(tx: Tx) -> Task:
            task = task_rows.get(tx, actor.in_workspace, task_id, lock=True)
            task.check_manual_move(status)
            if status == task.status:
                return task
            active = run_rows.active_of_task(tx, task.workspace_id, task.id)
            self.recorder.record(tx, TaskStatusSet(task=task, actor=actor.principal, to=status))
            if active is not None:
                # the table lets only cancelling and un-queueing through while a run is under way
                self.lifecycle.runs.cancel(tx, active, principal=actor.principal)
                if status is TaskStatus.CANCELLED:
                    return task_rows.get(tx, task.workspace_id, task.id)
            if status is TaskStatus.QUEUED:
                require(actor, Action.TASK_RUN)
                self.lifecycle.runs.begin(
                    tx,
                    task,
                    started_by=actor.user_id,
                    principal=actor.principal,
                    origin={"channel": actor.channel.value},
                )
                return task_rows.get(tx, task.workspace_id, task.id)
            # its run may just have ended
            current = task_rows.get(tx, task.workspace_id, task.id)
            return self.lifecycle.tasks.set_by_hand(tx, current, status)

        return await self.store.workspace(actor.in_workspace).write(work)

    async def update(self, actor: Actor, task_id: str, changes: dict[str, Any]) -> Task:
        """Change title, description, priority, metadata, schedule, paused or deadline of a task.

        A deadline holds for the run under way, too.
        """
        require(actor, Action.TASK_UPDATE)
        if "description" in changes:
            tools = await self.tool_registry.of(self.store, actor.in_workspace)
            await asyncio.to_thread(parse, changes["description"], tools.specs)

        def work(tx: Tx) -> Task:
            task = task_rows.get(tx, actor.in_workspace, task_id, lock=True)
            now = self.now()
            values = dict(changes)
            if "schedule" in values or values.get("paused") is False:
                schedule = values.get("schedule", Schedule.from_json(task.schedule))
                values["schedule"] = None if schedule is None else schedule.as_json()
                values["next_run_at"] = None if schedule is None else next_time(schedule, after=now)
            if values.get("operator_id") is not None and not operator_rows.exists(
                tx, task.workspace_id, values["operator_id"]
            ):
                raise NotFound("Operator not found")
            task_rows.change(tx, task.workspace_id, task.id, **values, updated_at=now)
            active = run_rows.active_of_task(tx, task.workspace_id, task.id) if "deadline_at" in values else None
            if active is not None:
                run_rows.change(tx, active, deadline_at=values["deadline_at"])
            self.recorder.record(tx, TaskUpdated(task=task, actor=actor.principal, changed=list(changes)))
            return task_rows.get(tx, task.workspace_id, task.id)

        return await self.store.workspace(actor.in_workspace).write(work)

    async def delete(self, actor: Actor, task_id: str) -> None:
        """Take a task away; a run under way is cancelled. Its receipts stay."""
        require(actor, Action.TASK_DELETE)

        def work(tx: Tx) -> None:
            task = task_rows.get(tx, actor.in_workspace, task_id, lock=True)
            active = run_rows.active_of_task(tx, task.workspace_id, task.id)
            if active is not None:
                self.lifecycle.runs.cancel(tx, active, principal=actor.principal, reason="the task was deleted")
            task_rows.change(tx, task.workspace_id, task.id, deleted_at=self.now(), next_run_at=None)
            self.recorder.record(tx, TaskDeleted(task=task, actor=actor.principal))

        await self.store.workspace(actor.in_workspace).write(work)

    async def sweep_scheduled(self, *, limit: int = 100) -> int:
        """Start runs of tasks whose time has come; missed times run once. How many were started.

        Each in a transaction of its own: what cannot be started does not hold up the others.
        """
        started = 0
        for task in await self.store.read(lambda tx: task_rows.due(tx, now=self.now(), limit=limit)):
            try:
                started += await self.store.workspace(task.workspace_id).write(partial(self._start_due, seen=task))
            except Exception:
                log.exception("task_not_started", extra={"task": task.id})
        return started

    def _start_due(self, tx: Tx, *, seen: Task) -> bool:
        """Whether a run was begun: not when another process did, or there is something in the way of it."""
        task = task_rows.get(tx, seen.workspace_id, seen.id, lock=True, deleted=True)
        now = self.now()
        if task.deleted_at is not None or task.paused or task.next_run_at is None or task.next_run_at > now:
            return False
        schedule = Schedule.from_json(task.schedule)
        following = None if schedule is None else next_time(schedule, after=now)
        task_rows.change(tx, task.workspace_id, task.id, next_run_at=following)
        event = Event(kind=EventKind.TASK_SCHEDULED, ref=task.id, payload={"status": task.status.value})
        self.recorder.event(tx, workspace_id=task.workspace_id, event=event)
        if run_rows.active_of_task(tx, task.workspace_id, task.id) is not None:
            return False
        if not operator_rows.works(tx, task.workspace_id, task.operator_id):
            return False
        late = (now - task.next_run_at).total_seconds()
        self.lifecycle.runs.begin(
            tx,
            task,
            started_by=task.created_by,
            principal="system",
            origin={
                "channel": "schedule",
                "scheduledFor": iso(task.next_run_at),
                **({"missedBySeconds": int(late)} if late > 60 else {}),
            },
        )
        return True
