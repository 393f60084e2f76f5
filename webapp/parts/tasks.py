"""Home, the list of tasks, and one task with its runs."""

from domain.actor import Actor
from domain.permissions import Action, allows
from domain.tasks import Mode
from services.container import Services
from webapp.parts.common import Part, Query
from webapp.svg import proof_graph_svg

PAGE = 30


async def home(services: Services, actor: Actor, _item: str, _query: Query) -> Part:
    """Counts, what waits for a decision, what is under way."""
    counts = await services.tasks.counts(actor)
    pending = []
    if allows(actor, Action.APPROVAL_READ):
        pending = list(await services.approvals.list(actor, status="pending", limit=10))
    active = await services.tasks.list(actor, limit=5, status=("running", "queued", "awaiting_approval"))
    settings = await services.workspaces.settings(actor)
    workspace, _ = await services.workspaces.get(actor)
    return "home.html", {
        "counts": counts,
        "pending": pending,
        "active": active,
        "workspace": workspace,
        "modes": list(Mode),
        "frozen": settings.settings.policy.killSwitch,
        "may_decide": allows(actor, Action.APPROVAL_RESOLVE),
        "may_create": allows(actor, Action.TASK_CREATE),
        "may_settings": allows(actor, Action.SETTINGS_WRITE),
    }


async def tasks(services: Services, actor: Actor, _item: str, query: Query) -> Part:
    """Tasks, newest first."""
    status = query.get("status", "")
    found = await services.tasks.list(
        actor, limit=PAGE, status=(status,) if status else (), search=query.get("q") or None
    )
    return "tasks.html", {
        "tasks": found,
        "status": status,
        "q": query.get("q", ""),
        "may_create": allows(actor, Action.TASK_CREATE),
    }


async def task(services: Services, actor: Actor, item: str, _query: Query) -> Part:
    """One task: what it says, its runs with every step, and the graph of its proofs."""
    found = await services.tasks.get(actor, item)
    runs = await services.runs.steps_of_task(actor, item)
    graph = ""
    if allows(actor, Action.RECEIPT_READ):
        graph = proof_graph_svg(await services.receipts.proof_graph(actor, item))
    return "task.html", {
        "task": found,
        "runs": runs,
        "graph": graph,
        "busy": found.status in ("running", "queued", "awaiting_approval"),
        "may_run": allows(actor, Action.TASK_RUN),
        "may_settle": allows(actor, Action.APPROVAL_RESOLVE),
        "may_receipts": allows(actor, Action.RECEIPT_READ),
    }
