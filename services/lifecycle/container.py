"""The lifecycles of one installation, built once."""

from dataclasses import dataclass

from domain.clock import Now
from services.governor import Governor
from services.lifecycle.approvals import ApprovalLifecycle
from services.lifecycle.requests import ApprovalRequests
from services.lifecycle.runs import RunLifecycle
from services.lifecycle.steps import StepLifecycle
from services.lifecycle.tasks import TaskLifecycle
from services.notices import Notices
from services.recorder import Recorder
from storage.engine import JobEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Everything that may write a state."""

    tasks: TaskLifecycle
    requests: ApprovalRequests
    runs: RunLifecycle
    steps: StepLifecycle
    approvals: ApprovalLifecycle


def make_lifecycle(
    *, engine: JobEngine, governor: Governor, recorder: Recorder, notices: Notices, now: Now
) -> Lifecycle:
    """Each on top of the ones it moves along with itself."""
    tasks = TaskLifecycle(recorder, now)
    requests = ApprovalRequests(governor, recorder, notices, now)
    runs = RunLifecycle(engine, governor, tasks, requests, recorder, notices, now)
    return Lifecycle(
        tasks=tasks,
        requests=requests,
        runs=runs,
        steps=StepLifecycle(runs, requests, recorder, notices, now),
        approvals=ApprovalLifecycle(runs, recorder, notices, now),
    )
