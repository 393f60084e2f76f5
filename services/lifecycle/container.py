"""The lifecycles of one installation, built once."""

from dataclasses import dataclass

from domain.clock import Now
from services.ledger.recorder import Recorder
from services.lifecycle.approvals import ApprovalLifecycle
from services.lifecycle.requests import ApprovalRequests
from services.lifecycle.runs import RunLifecycle
from services.lifecycle.steps import StepLifecycle
from services.lifecycle.tasks import TaskLifecycle
from services.outbox.notifications import Notifications
from services.policy.service import PolicyService
from storage.runs.engine import JobEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Everything that may write a state."""

    tasks: TaskLifecycle
    requests: ApprovalRequests
    runs: RunLifecycle
    steps: StepLifecycle
    approvals: ApprovalLifecycle


def make_lifecycle(
    *, engine: JobEngine, policy_service: PolicyService, recorder: Recorder, notifications: Notifications, now: Now
) -> Lifecycle:
    """Each on top of the ones it moves along with itself."""
    tasks = TaskLifecycle(recorder, now)
    requests = ApprovalRequests(policy_service, recorder, notifications, now)
    runs = RunLifecycle(engine, policy_service, tasks, requests, recorder, notifications, now)
    return Lifecycle(
        tasks=tasks,
        requests=requests,
        runs=runs,
        steps=StepLifecycle(runs, requests, recorder, notifications, now),
        approvals=ApprovalLifecycle(runs, recorder, notifications, now),
    )
