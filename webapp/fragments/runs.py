"""Home, the list of tasks, and one task with its runs."""

from domain.approvals.approval import sees_own_only
from domain.clock import utc_now
from domain.cursors import cursor_of, read_cursor
from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from domain.runs.schedules import Schedule, next_times
from domain.runs.task import ACTIVE, Mode, TaskStatus
from services.container import Services
from webapp.fragments.common import Fragment, Query, choice, item_id
from webapp.svg import proof_graph_svg

PAGE = 30
COUNTED = ("running", "awaiting_approval", "completed", "failed")


async def home(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Counts, what waits for a decision, what is under way, a new task."""
    counts = await services.tasks.counts(actor)
    pending = []
    if allows(actor, Action.APPROVAL_READ):
        pending = list(await services.approvals.list(actor, status="pending", limit=11))
    active = await services.tasks.list(actor, limit=6, status=sorted(ACTIVE))
    settings = await services.settings.get(actor)
    workspace, _ = await services.workspaces.get(actor)
    running = counts.get("running", 0) + counts.get("queued", 0)
    return "home.html", {
        "counts": {name: counts.get(name, 0) for name in COUNTED} | {"running": running},
        "pending": pending[:10],
        "more_pending": len(pending) > 10,
        "active": active[:5],
        "any_task": sum(counts.values()) > 0,
        "workspace": workspace,
        "modes": list(Mode),
        "frozen": settings.settings.policy.kill_switch,
        "may_settle": allows(actor, Action.RUN_SETTLE),
        "standing": await services.approvals.rights(actor, pending) if pending else {},
        "may_create": allows(actor, Action.TASK_CREATE),
        "may_mode": allows(actor, Action.MODE_WRITE),
        "may_freeze": allows(actor, Action.KILL_SWITCH_WRITE),
    }


async def tasks(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """Tasks, newest first; `cursor` goes on after the last one shown."""
    status = choice(query, "status", list(TaskStatus))
    search = query.get("q", "").strip()[:200]
    found = await services.tasks.list(
        actor,
        limit=PAGE + 1,
        status=(status,) if status else (),
        search=search or None,
        before=read_cursor(query.get("cursor")),
    )
    shown = found[:PAGE]
    return "tasks.html", {
        "tasks": shown,
        "statuses": list(TaskStatus),
        "status": status,
        "q": search,
        "cursor": cursor_of(shown[-1].created_at, shown[-1].id) if len(found) > PAGE else "",
        "rows_only": "cursor" in query,
        "may_create": allows(actor, Action.TASK_CREATE),
    }


async def new_task(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The form for a new task."""
    settings = await services.settings.get(actor)
    return "new_task.html", {
        "operators": [o for o in await services.operators.list(actor) if o.is_active],
        "specs": (await services.tool_registry.of(services.store, actor.in_workspace)).specs,
        "frozen": settings.settings.policy.kill_switch,
        "may_create": allows(actor, Action.TASK_CREATE),
    }


async def task(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One task: what it says, its runs with every step, and the graph of its proofs."""
    task_id = item_id(item)
    found = await services.tasks.get(actor, task_id)
    runs = await services.runs.steps_of_task(actor, task_id)
    schedule = Schedule.from_json(found.schedule)
    graph = None
    if allows(actor, Action.RECEIPT_READ):
        graph = await services.receipts.proof_graph(actor, task_id)
    spent = await services.usage.of_task(actor, task_id) if allows(actor, Action.USAGE_READ) else None
    return "task.html", {
        "task": found,
        "runs": runs,
        "graph": graph,
        "spent": spent,
        "graph_svg": proof_graph_svg,
        "busy": found.status in ACTIVE,
        "times": [] if schedule is None or found.paused else next_times(schedule, after=utc_now()),
        "operators": [o for o in await services.operators.list(actor) if o.is_active or o.id == found.operator_id],
        "may_update": allows(actor, Action.TASK_UPDATE),
        "may_delete": allows(actor, Action.TASK_DELETE),
        "may_run": allows(actor, Action.TASK_RUN),
        "may_cancel": allows(actor, Action.TASK_CANCEL),
        "may_settle": allows(actor, Action.RUN_SETTLE),
        "may_approvals": allows(actor, Action.APPROVAL_READ) and not sees_own_only(actor),
        "may_receipts": allows(actor, Action.RECEIPT_READ),
        "may_export": allows(actor, Action.RECEIPT_EXPORT),
    }
