"""The status of a task: it follows its run, and a person sets it where no run is under way."""

from dataclasses import dataclass

from domain.clock import Now
from domain.ledger.events import Event, EventKind
from domain.runs.run import TASK_STATUS_OF, Run
from domain.runs.task import Task, TaskStatus
from services.ledger.recorder import Recorder
from services.lifecycle.moves import enter, move
from storage.runs import task_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True)
class TaskLifecycle:
    """Writes the status of tasks, always in the caller's transaction."""

    recorder: Recorder
    now: Now

    def make(self, tx: Tx, task: Task) -> None:
        """A new task."""
        enter(tx, task)

    def begin(self, tx: Tx, task: Task) -> None:
        """A run of the task has begun; whoever watches hears of the run."""
        self._to(tx, task, TaskStatus.QUEUED)

    def follow(self, tx: Tx, run: Run) -> None:
        """The task has the status that its run gives it."""
        task = task_rows.get(tx, run.workspace_id, run.task_id, deleted=True)
        self._told(tx, self._to(tx, task, TASK_STATUS_OF[run.state]))

    def set_by_hand(self, tx: Tx, task: Task, status: TaskStatus) -> Task:
        """The status a person gave it; what a person may set is asked before."""
        moved = self._to(tx, task, status)
        self._told(tx, moved)
        return moved

    def _to(self, tx: Tx, task: Task, status: TaskStatus) -> Task:
        now = self.now()
        columns = {"updated_at": now, "completed_at": now if status is TaskStatus.COMPLETED else None}
        if status is not task.status:
            return move(tx, task, status, **columns)
        task_rows.change(tx, task.workspace_id, task.id, **columns)
        return task

    def _told(self, tx: Tx, task: Task) -> None:
        event = Event(kind=EventKind.TASK_UPDATED, ref=task.id, payload={"status": task.status.value})
        self.recorder.event(tx, workspace_id=task.workspace_id, event=event)
