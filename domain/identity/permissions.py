"""The one table of permissions: which role may do what, and which scope an API key needs for it.

API, bot and Mini App ask here and nowhere else. `as_markdown` prints it for the documentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import Forbidden
from domain.identity.actor import Actor, Role


class Action(StrEnum):
    """Everything that is permitted or not: `subject:verb`."""

    WORKSPACE_READ = "workspace:read"
    WORKSPACE_RENAME = "workspace:rename"
    WORKSPACE_DELETE = "workspace:delete"
    WORKSPACE_TRANSFER = "workspace:transfer"
    WORKSPACE_LEAVE = "workspace:leave"
    SETTINGS_READ = "settings:read"
    SETTINGS_WRITE = "settings:write"
    MODE_WRITE = "mode:write"
    POLICY_WRITE = "policy:write"
    KILL_SWITCH_WRITE = "killswitch:write"
    MEMBER_LIST = "member:list"
    MEMBER_ROLE = "member:role"
    MEMBER_REMOVE = "member:remove"
    MEMBER_INVITE = "member:invite"
    INVITE_LIST = "invite:list"
    INVITE_REVOKE = "invite:revoke"
    APIKEY_CREATE = "apikey:create"
    APIKEY_LIST = "apikey:list"
    APIKEY_REVOKE = "apikey:revoke"
    SECRET_READ = "secret:read"  # noqa: S105 - the name of an action
    SECRET_WRITE = "secret:write"  # noqa: S105
    TASK_READ = "task:read"
    TASK_CREATE = "task:create"
    TASK_UPDATE = "task:update"
    TASK_RUN = "task:run"
    TASK_CANCEL = "task:cancel"
    TASK_DELETE = "task:delete"
    RUN_SETTLE = "run:settle"
    OPERATOR_READ = "operator:read"
    OPERATOR_WRITE = "operator:write"
    KNOWLEDGE_READ = "knowledge:read"
    KNOWLEDGE_WRITE = "knowledge:write"
    APPROVAL_READ = "approval:read"
    APPROVAL_RESOLVE = "approval:resolve"
    APPROVAL_REQUEST = "approval:request"
    GRANT_CREATE = "grant:create"
    GRANT_LIST = "grant:list"
    GRANT_REVOKE = "grant:revoke"
    AUDIT_READ = "audit:read"
    AUDIT_EXPORT = "audit:export"
    VIOLATION_READ = "violation:read"
    RECEIPT_READ = "receipt:read"
    RECEIPT_EXPORT = "receipt:export"
    GOVERNANCE_EVALUATE = "governance:evaluate"
    EVENTS_READ = "events:read"
    USAGE_READ = "usage:read"
    MCP_WRITE = "mcp:write"


@dataclass(frozen=True, slots=True)
class Rule:
    """The weakest role that may, in the words of a refusal, and the scope an API key must carry.

    `explicit` actions are never in the reach of a key without that scope, even an unrestricted one. `note` says what
    else is asked, where the table is not the last word.
    """

    role: Role
    phrase: str
    scope: str
    explicit: bool = False
    note: str = ""


_M, _P, _O = Role.MEMBER, Role.PARTNER, Role.OWNER

TABLE: dict[Action, Rule] = {
    Action.WORKSPACE_READ: Rule(_M, "view workspace", "workspace:read"),
    Action.WORKSPACE_RENAME: Rule(_O, "rename workspace", "workspace:admin", explicit=True),
    Action.WORKSPACE_DELETE: Rule(_O, "delete workspace", "workspace:admin", explicit=True),
    Action.WORKSPACE_TRANSFER: Rule(_O, "transfer workspace", "workspace:admin", explicit=True),
    Action.WORKSPACE_LEAVE: Rule(_M, "leave workspace", "workspace:admin", explicit=True),
    Action.SETTINGS_READ: Rule(_M, "view workspace settings", "settings:read"),
    Action.SETTINGS_WRITE: Rule(_O, "update workspace settings", "settings:write", explicit=True),
    Action.MODE_WRITE: Rule(_O, "switch workspace mode", "settings:write", explicit=True),
    Action.POLICY_WRITE: Rule(_O, "change workspace policy", "settings:write", explicit=True),
    Action.KILL_SWITCH_WRITE: Rule(_O, "use the kill switch", "settings:write", explicit=True),
    Action.MEMBER_LIST: Rule(_M, "view workspace members", "workspace:read"),
    Action.MEMBER_ROLE: Rule(_O, "change workspace roles", "members:admin", explicit=True),
    Action.MEMBER_REMOVE: Rule(_O, "remove workspace members", "members:admin", explicit=True),
    Action.MEMBER_INVITE: Rule(_O, "invite workspace members", "members:admin", explicit=True),
    Action.INVITE_LIST: Rule(_O, "view workspace invites", "members:admin", explicit=True),
    Action.INVITE_REVOKE: Rule(_O, "revoke workspace invites", "members:admin", explicit=True),
    Action.APIKEY_CREATE: Rule(_O, "create API keys", "apikeys:admin", explicit=True),
    Action.APIKEY_LIST: Rule(_O, "view API keys", "apikeys:admin", explicit=True),
    Action.APIKEY_REVOKE: Rule(_O, "revoke API keys", "apikeys:admin", explicit=True),
    Action.SECRET_READ: Rule(_O, "view workspace secrets", "secrets:admin", explicit=True),
    Action.SECRET_WRITE: Rule(_O, "change workspace secrets", "secrets:admin", explicit=True),
    Action.TASK_READ: Rule(_M, "view workspace tasks", "tasks:read"),
    Action.TASK_CREATE: Rule(_P, "create workspace tasks", "tasks:write"),
    Action.TASK_UPDATE: Rule(_P, "update workspace tasks", "tasks:write"),
    Action.TASK_RUN: Rule(_P, "run workspace tasks", "tasks:write"),
    Action.TASK_CANCEL: Rule(_P, "cancel workspace tasks", "tasks:write"),
    Action.TASK_DELETE: Rule(_P, "delete workspace tasks", "tasks:write"),
    Action.RUN_SETTLE: Rule(_O, "settle interrupted calls", "approvals:resolve", explicit=True),
    Action.OPERATOR_READ: Rule(_M, "view operators", "operators:read"),
    Action.OPERATOR_WRITE: Rule(_O, "change operators", "operators:write", explicit=True),
    Action.KNOWLEDGE_READ: Rule(_M, "search knowledge", "knowledge:read"),
    Action.KNOWLEDGE_WRITE: Rule(_P, "write knowledge", "knowledge:write"),
    # the last word has `domain.approvals.approval.Circle`
    Action.APPROVAL_READ: Rule(_M, "view approvals", "approvals:read", note="members: those that name them"),
    Action.APPROVAL_RESOLVE: Rule(
        _M, "resolve approvals", "approvals:resolve", explicit=True, note="who the policy lets decide"
    ),
    Action.APPROVAL_REQUEST: Rule(_P, "request approvals", "approvals:request"),
    Action.GRANT_CREATE: Rule(_O, "give temporary permissions", "approvals:resolve", explicit=True),
    Action.GRANT_LIST: Rule(_P, "view grants", "approvals:read"),
    Action.GRANT_REVOKE: Rule(_O, "revoke grants", "approvals:resolve", explicit=True),
    Action.AUDIT_READ: Rule(_P, "view audit ledger", "audit:read"),
    Action.AUDIT_EXPORT: Rule(_P, "export audit ledger", "audit:read"),
    Action.VIOLATION_READ: Rule(_P, "view policy violations", "audit:read"),
    Action.RECEIPT_READ: Rule(_P, "view governance receipts", "receipts:read"),
    Action.RECEIPT_EXPORT: Rule(_P, "export governance receipts", "receipts:read"),
    Action.GOVERNANCE_EVALUATE: Rule(_P, "evaluate the policy", "governance:evaluate"),
    Action.EVENTS_READ: Rule(_M, "watch workspace events", "tasks:read"),
    Action.USAGE_READ: Rule(_P, "view what models cost", "usage:read"),
    Action.MCP_WRITE: Rule(_O, "change tool servers", "settings:write", explicit=True),
}

SCOPES: tuple[str, ...] = tuple(sorted({rule.scope for rule in TABLE.values()}))


def allows(actor: Actor, action: Action) -> bool:
    """Whether the table lets this actor."""
    rule = TABLE[action]
    return actor.role is not None and actor.role.rank >= rule.role.rank and _in_scope(actor, rule)


def require(actor: Actor, action: Action) -> None:
    """Forbidden, saying which role or scope it takes, unless the table lets this actor."""
    rule = TABLE[action]
    actor.in_workspace  # noqa: B018 - raises when no workspace was chosen
    if actor.role is None or actor.role.rank < rule.role.rank:
        raise Forbidden(
            "insufficient workspace role",
            code="insufficient_role",
            details={
                "action": rule.phrase,
                "requiredRole": rule.role.value,
                "currentRole": None if actor.role is None else actor.role.value,
            },
        )
    if not _in_scope(actor, rule):
        raise Forbidden(
            "insufficient API key scope",
            code="insufficient_scope",
            details={"action": rule.phrase, "requiredScope": rule.scope},
        )


def roles_for(action: Action) -> Sequence[Role]:
    """The roles that may, weakest first."""
    return [role for role in Role if role.rank >= TABLE[action].role.rank]


def _in_scope(actor: Actor, rule: Rule) -> bool:
    if actor.api_key_id is None:
        return True
    if actor.scopes is None:
        return not rule.explicit
    return rule.scope in actor.scopes


def as_markdown() -> str:
    """The table as a page: one line an action."""
    lines = [
        "| action | what it is | member | partner | owner | API key scope |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for action, rule in TABLE.items():
        may = [("yes" if role.rank >= rule.role.rank else "-") for role in Role]
        scope = f"`{rule.scope}`" + (" (must be named)" if rule.explicit else "")
        what = f"{rule.phrase} ({rule.note})" if rule.note else rule.phrase
        lines.append(f"| `{action.value}` | {what} | {' | '.join(may)} | {scope} |")
    return "\n".join(lines) + "\n"
