"""The parts of the Mini App by name: each takes services, actor, the rest of the path and the query."""

from webapp.parts.common import Builder
from webapp.parts.governance import approval, approvals, audit, receipt, receipts
from webapp.parts.settings import settings
from webapp.parts.tasks import home, task, tasks

PARTS: dict[str, Builder] = {
    "home": home,
    "tasks": tasks,
    "task": task,
    "approvals": approvals,
    "approval": approval,
    "receipts": receipts,
    "receipt": receipt,
    "audit": audit,
    "settings": settings,
}
