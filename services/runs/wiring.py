"""How the parts of a segment are put together, once an installation."""

from domain.clock import Now
from services.ledger.recorder import Recorder
from services.lifecycle.container import Lifecycle
from services.policy.service import PolicyService
from services.runs.acting import Acting
from services.runs.deciding import Deciding
from services.runs.planners import Planners
from services.runs.segment import Segments, Stopping
from services.runs.service import RunService
from services.runs.view import Views
from services.tools.registry import ToolRegistry
from storage.database import Store
from storage.runs.engine import JobEngine


def make_runs(
    *,
    store: Store,
    engine: JobEngine,
    lifecycle: Lifecycle,
    planners: Planners,
    tool_registry: ToolRegistry,
    policy_service: PolicyService,
    recorder: Recorder,
    now: Now,
    stopping: Stopping,
) -> RunService:
    """The service, with the segments that the engine has it work on."""
    views = Views(store, tool_registry, policy_service)
    acting = Acting(views, lifecycle, policy_service)
    deciding = Deciding(views, lifecycle, planners, tool_registry, policy_service, acting, now)
    segments = Segments(store, views, lifecycle, deciding, acting, recorder, now, stopping)
    return RunService(store, engine, tool_registry, lifecycle, segments, recorder, now)
