"""The parts of the Mini App by name: each takes services, actor, the rest of the path and the query."""

from webapp.parts import governance, operators, settings, tasks
from webapp.parts.common import Builder

PARTS: dict[str, Builder] = {
    "home": tasks.home,
    "tasks": tasks.tasks,
    "new-task": tasks.new_task,
    "task": tasks.task,
    "approvals": governance.approvals,
    "approval": governance.approval,
    "receipts": governance.receipts,
    "receipt": governance.receipt,
    "receipt-check": governance.receipt_check,
    "audit": governance.audit,
    "violations": governance.violations,
    "more": settings.more,
    "policy": settings.policy,
    "budgets": settings.budgets,
    "model": settings.model,
    "members": settings.members,
    "keys": settings.keys,
    "sessions": settings.sessions,
    "grants": settings.grants,
    "workspace": settings.workspace,
    "language": settings.language,
    "operators": operators.operators,
    "operator": operators.operator,
}
