"""The parts of the Mini App by name: each takes services, actor, the rest of the path and the query."""

from webapp.fragments import approvals, identity, installation, ledger, policy, runs, tools, workspaces
from webapp.fragments.common import Builder

FRAGMENTS: dict[str, Builder] = {
    "home": runs.home,
    "tasks": runs.tasks,
    "new-task": runs.new_task,
    "task": runs.task,
    "approvals": approvals.approvals,
    "approval": approvals.approval,
    "receipts": ledger.receipts,
    "receipt": ledger.receipt,
    "receipt-check": ledger.receipt_check,
    "audit": ledger.audit,
    "violations": ledger.violations,
    "knowledge": tools.knowledge,
    "note": tools.note,
    "new-note": tools.new_note,
    "more": workspaces.more,
    "policy": policy.policy,
    "budgets": policy.budgets,
    "model": policy.model,
    "members": workspaces.members,
    "keys": identity.keys,
    "sessions": identity.sessions,
    "grants": approvals.grants,
    "workspace": workspaces.workspace,
    "person": identity.person,
    "language": identity.language,
    "usage": installation.usage,
    "operators": tools.operators,
    "operator": tools.operator,
    "tool-servers": tools.tool_servers,
    "tool-server": tools.tool_server,
}
