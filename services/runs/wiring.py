"""How the parts of a segment are put together, once an installation."""

from domain.clock import Now
from services.governor import Governor
from services.lifecycle.container import Lifecycle
from services.recorder import Recorder
from services.runs.acting import Acting
from services.runs.deciding import Deciding
from services.runs.planners import Planners
from services.runs.segment import Segments, Stopping
from services.runs.service import RunService
from services.runs.view import Views
from services.toolbox import Toolbox
from storage.database import Store
from storage.engine import JobEngine


def make_runs(
    *,
    store: Store,
    engine: JobEngine,
    lifecycle: Lifecycle,
    planners: Planners,
    toolbox: Toolbox,
    governor: Governor,
    recorder: Recorder,
    now: Now,
    stopping: Stopping,
) -> RunService:
    """The service, with the segments that the engine has it work on."""
    views = Views(store, toolbox, governor)
    acting = Acting(views, lifecycle, governor)
    deciding = Deciding(views, lifecycle, planners, toolbox, governor, acting, now)
    segments = Segments(store, views, lifecycle, deciding, acting, recorder, now, stopping)
    return RunService(store, engine, toolbox, lifecycle, segments, recorder, now)
