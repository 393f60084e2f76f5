"""Tasks given in chat: made and run once for an update however often it is delivered, and found by the end of an id."""

from dataclasses import dataclass
from typing import Any

from domain.clock import Now
from domain.errors import Conflict, Forbidden, NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.runs.task import Task
from services.lifecycle.container import Lifecycle
from services.outbox.notifications import Notifications
from services.runs.tasks import NewTask, TaskService
from storage.chat import inbox_rows
from storage.database import Store
from storage.runs import run_rows, task_rows
from storage.transaction import Tx

LOOK_BACK = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTasks:
    """Work that a redelivered update must not repeat."""

    store: Store
    tasks: TaskService
    lifecycle: Lifecycle
    notifications: Notifications
    now: Now

    async def create(self, actor: Actor, new: NewTask, *, update_id: int) -> tuple[Task, bool]:
        """Create a task for this update, or find the one it created before; whether it is new."""
        require(actor, Action.TASK_CREATE)
        require(actor, Action.TASK_RUN)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[Task, bool]:
            before = inbox_rows.effect_of(tx, update_id)
            if before is not None:
                return task_rows.get(tx, workspace_id, before), False
            made = self.tasks.create_in(
                tx,
                workspace_id,
                new,
                principal=actor.principal,
                user_id=actor.user_id,
                channel=actor.channel.value,
            )
            if isinstance(made, str):
                raise Forbidden("the operator is not in this workspace", code="operator_scope")
            inbox_rows.remember_effect(tx, update_id, made.id, now=self.now())
            self._progress(tx, made)
            return made, True

        return await self.store.write(work)

    async def run(self, actor: Actor, task_id: str, *, update_id: int, origin: dict[str, Any]) -> tuple[Task, bool]:
        """Start a run of a task for this update once; Conflict when another run is under way."""
        require(actor, Action.TASK_RUN)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[Task, bool]:
            task = task_rows.get(tx, workspace_id, task_id, lock=True)
            if inbox_rows.effect_of(tx, update_id) is not None:
                return task, False
            run = self.lifecycle.runs.begin(
                tx, task, started_by=actor.user_id, principal=actor.principal, origin=origin
            )
            inbox_rows.remember_effect(tx, update_id, run.id, now=self.now())
            self._progress(tx, task)
            return task, True

        return await self.store.write(work)

    def _progress(self, tx: Tx, task: Task) -> None:
        run = run_rows.active_of_task(tx, task.workspace_id, task.id)
        if run is not None:
            self.notifications.run_progressed(tx, run)

    async def find(self, actor: Actor, text: str) -> Task:
        """A task by its id or the end of it (4 characters or more, as lists show it); NotFound or Conflict."""
        require(actor, Action.TASK_READ)
        wanted = text.strip().lower().replace("-", "")
        if len(wanted) < 4:
            raise NotFound("Task not found")

        def work(tx: Tx) -> Task:
            found = [
                t
                for t in task_rows.find(tx, actor.in_workspace, limit=LOOK_BACK)
                if t.id.replace("-", "").endswith(wanted) or t.id.replace("-", "") == wanted
            ]
            if not found:
                raise NotFound("Task not found")
            if len(found) > 1:
                raise Conflict("several tasks end like this", code="ambiguous_id")
            return found[0]

        return await self.store.read(work)
