"""The parts of the Mini App by name: each takes services, actor, the rest of the path and the query."""

from webapp.fragments import governance, knowledge, operators, settings, tasks, tool_servers, usage
from webapp.fragments.common import Builder

FRAGMENTS: dict[str, Builder] = {
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
    "knowledge": knowledge.knowledge,
    "note": knowledge.note,
    "new-note": knowledge.new_note,
    "more": settings.more,
    "policy": settings.policy,
    "budgets": settings.budgets,
    "model": settings.model,
    "members": settings.members,
    "keys": settings.keys,
    "sessions": settings.sessions,
    "grants": settings.grants,
    "workspace": settings.workspace,
    "person": settings.person,
    "language": settings.language,
    "usage": usage.usage,
    "operators": operators.operators,
    "operator": operators.operator,
    "tool-servers": tool_servers.tool_servers,
    "tool-server": tool_servers.tool_server,
}
