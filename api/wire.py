"""From values to the JSON of the wire contract: camelCase names, times as ISO milliseconds with Z."""

from collections.abc import Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from domain.approvals import Approval
from domain.audit import AuditEntry
from domain.clock import iso, utc_now
from domain.governance import Decision
from domain.integrity import ALTERED
from domain.mcp import McpServer, OfferedTool
from domain.policy.decide import Finding
from domain.runs import Run, Step
from domain.schedules import Schedule, next_times
from domain.tasks import Task
from services.identity import Login
from services.receipts import Inclusion
from services.rehearsal import PolicyTrial
from storage.accounts import ApiKey, Invite, Session, User
from storage.approvals import Grant
from storage.notes import Note
from storage.operators import Operator
from storage.receipts import CheckpointRow, ReceiptRow
from storage.secrets import Secret
from storage.sidecar import SidecarSnapshot
from storage.violations import Violation
from storage.workspaces import Member, Workspace


def integrity(differs: Sequence[str]) -> dict[str, Any]:
    """Whether a row is what was signed, and if not, which members of it (or parts of its receipt) are not."""
    if not differs:
        return _HOLDS
    return {"ok": False, "code": ALTERED, "differs": [to_camel(one) if one.isidentifier() else one for one in differs]}


_HOLDS: dict[str, Any] = {"ok": True, "code": None, "differs": []}


def task(t: Task) -> dict[str, Any]:
    return {
        "id": t.id,
        "workspaceId": t.workspace_id,
        "operatorId": t.operator_id,
        "parentTaskId": t.parent_task_id,
        "title": t.title,
        "description": t.description,
        "mode": t.mode,
        "status": t.status,
        "priority": t.priority,
        "metadata": t.metadata,
        "schedule": t.schedule,
        "nextRunAt": iso(t.next_run_at),
        "paused": t.paused,
        "deadlineAt": iso(t.deadline_at),
        "createdAt": iso(t.created_at),
        "updatedAt": iso(t.updated_at),
        "completedAt": iso(t.completed_at),
    }


def task_in_full(t: Task) -> dict[str, Any]:
    schedule = Schedule.from_json(t.schedule)
    upcoming = [] if schedule is None or t.paused else next_times(schedule, after=utc_now())
    return {**task(t), "origin": t.origin, "createdBy": t.created_by, "nextTimes": [iso(m) for m in upcoming]}


def run(r: Run) -> dict[str, Any]:
    """A run. `costUsd` is text with six digits, as the reference writes amounts."""
    return {
        "id": r.id,
        "taskId": r.task_id,
        "workspaceId": r.workspace_id,
        "runSequence": r.number,
        "status": r.state,
        "iterationsUsed": r.iterations_used,
        "iterationBudget": r.iteration_budget,
        "modelUsed": r.model or None,
        "tokensIn": r.tokens_in,
        "tokensOut": r.tokens_out,
        "costUsd": f"{r.cost_micros / 1e6:.6f}",
        "summary": r.summary,
        "error": r.error,
        "errorCode": r.error_code,
        "segment": r.segment,
        "parentRunId": r.parent_run_id,
        "rootRunId": r.root_run_id,
        "origin": r.origin,
        "wakeAt": iso(r.wake_at),
        "waitReason": r.wait_reason,
        "partialText": r.partial_text,
        "createdAt": iso(r.created_at),
        "startedAt": iso(r.started_at),
        "completedAt": iso(r.completed_at),
        "integrity": integrity(r.differs),
    }


def mcp_server(s: McpServer) -> dict[str, Any]:
    """A tool server without its secret, nor what its address may carry of one behind the question mark."""
    return {
        "id": s.id,
        "workspaceId": s.workspace_id,
        "name": s.name,
        "transport": s.transport.kind,
        "url": s.transport.shown_url or None,
        "header": s.transport.header or None,
        "program": s.transport.program or None,
        "variable": s.transport.variable or None,
        "hasSecret": bool(s.transport.sealed),
        "enabled": s.enabled,
        "error": s.error,
        "tools": [_mcp_tool(s, tool) for tool in s.tools],
        "createdAt": iso(s.created_at),
        "updatedAt": iso(s.updated_at),
    }


def _mcp_tool(server: McpServer, tool: OfferedTool) -> dict[str, Any]:
    stands = server.standing(tool)
    return {
        "name": tool.name,
        "fullName": server.full_name(tool.name),
        "summary": tool.summary,
        "parameters": tool.schema,
        "digest": tool.digest,
        "state": stands.state,
        "effectLevel": f"E{int(stands.effect)}",
        "idempotent": stands.idempotent,
        "enabled": stands.enabled,
    }


def step(s: Step) -> dict[str, Any]:
    return {
        "id": s.id,
        "runId": s.run_id,
        "seq": s.seq,
        "tool": s.tool,
        "effectLevel": f"E{s.effect}",
        "status": s.state,
        "input": s.args,
        "actionHash": s.args_hash,
        "output": s.output,
        "error": s.error,
        "verdict": s.verdict,
        "reasonCode": s.reason_code,
        "ruleId": s.rule_id,
        "reason": s.reason,
        "policyHash": s.policy_hash,
        "approvalId": s.approval_id,
        "decisionReceiptId": s.decision_receipt_id,
        "outcomeReceiptId": s.outcome_receipt_id,
        "modelUsed": s.model or None,
        "tokensIn": s.tokens_in,
        "tokensOut": s.tokens_out,
        "costUsd": f"{s.cost_micros / 1e6:.6f}",
        "createdAt": iso(s.created_at),
        "startedAt": iso(s.started_at),
        "completedAt": iso(s.completed_at),
        "integrity": integrity(s.differs),
    }


def run_result(r: Run, steps: Sequence[Step]) -> dict[str, Any]:
    """The inline result that clients of the reference read after `POST /api/tasks/:id/run`."""
    return {
        "id": r.id,
        "status": r.state,
        "iterationsUsed": r.iterations_used,
        "iterationBudget": r.iteration_budget,
        "actions": [
            {
                "tool": s.tool,
                "input": s.args,
                "output": s.output,
                "verdict": {"ALLOW": "allow", "DENY": "deny", "ESCALATE": "require_approval"}.get(s.verdict or "", ""),
                "iteration": s.seq,
                "taskRunId": s.id,
            }
            for s in steps
        ],
        "summary": r.summary,
        "error": r.error,
        "costUsd": r.cost_micros / 1e6,
        "tokensIn": r.tokens_in,
        "tokensOut": r.tokens_out,
    }


def approval(a: Approval, *, approved_by: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "id": a.id,
        "workspaceId": a.workspace_id,
        "taskId": a.task_id,
        "runId": a.run_id,
        "stepId": a.step_id,
        "action": a.action,
        "actionInput": a.action_input,
        "actionHash": a.action_hash,
        "effectLevel": f"E{a.effect}",
        "policyVersion": a.policy_version,
        "approvalContext": a.approval_context,
        "reason": a.reason,
        "status": a.status,
        "version": a.version,
        "quorum": a.quorum,
        "deciders": list(a.circle.named),
        "approvedBy": list(approved_by),
        "requestedBy": a.requested_by,
        "resolvedBy": a.resolved_by,
        "resolvedVia": a.resolved_via,
        "resolutionNote": a.resolution_note,
        "grantId": a.grant_id,
        "requestedAt": iso(a.requested_at),
        "resolvedAt": iso(a.resolved_at),
        "executeAfter": iso(a.execute_after),
        "expiresAt": iso(a.expires_at),
        "integrity": integrity(a.differs),
    }


def grant(g: Grant) -> dict[str, Any]:
    return {
        "id": g.id,
        "workspaceId": g.workspace_id,
        "tool": g.tool,
        "taskId": g.task_id,
        "maxUses": g.max_uses,
        "uses": g.uses,
        "createdBy": g.created_by,
        "approvalId": g.approval_id,
        "createdAt": iso(g.created_at),
        "expiresAt": iso(g.expires_at),
        "revokedAt": iso(g.revoked_at),
        "integrity": integrity(g.differs),
    }


def audit_entry(e: AuditEntry) -> dict[str, Any]:
    return {
        "id": e.id,
        "workspaceId": e.workspace_id,
        "action": e.action,
        "actor": e.actor,
        "target": e.target,
        "verdict": e.verdict,
        "reason": e.reason,
        "metadata": e.metadata,
        "createdAt": iso(e.created_at),
        "integrity": integrity(e.differs),
    }


def violation(v: Violation) -> dict[str, Any]:
    return {
        "id": v.id,
        "workspaceId": v.workspace_id,
        "policyRule": v.policy_rule,
        "violation": v.violation,
        "severity": v.severity,
        "action": v.action,
        "blocked": v.blocked,
        "metadata": v.metadata,
        "createdAt": iso(v.created_at),
        "integrity": integrity(v.differs),
    }


def sidecar_snapshot(s: SidecarSnapshot | None) -> dict[str, Any] | None:
    if s is None:
        return None
    return {
        "id": s.id,
        "checkedAt": iso(s.checked_at),
        "gatewayOk": s.gateway_ok,
        "version": s.version,
        "latencyMs": s.latency_ms,
        "error": s.error,
    }


def receipt(r: ReceiptRow) -> dict[str, Any]:
    return {
        "id": r.id,
        "decisionId": r.decision_id,
        "taskId": r.task_id,
        "taskRunId": r.step_id,
        "runId": r.run_id,
        "approvalId": r.approval_id,
        "kind": r.kind,
        "verdict": r.verdict,
        "reasonCode": r.reason_code or None,
        "policyVersion": r.policy_hash,
        "decisionHash": r.leaf_hash.hex(),
        "action": r.action,
        "resource": r.resource,
        "principal": r.principal,
        "logIndex": r.idx,
        "receivedAt": iso(r.created_at),
        "verifiedAt": None,
        "integrity": integrity(r.differs),
    }


def checkpoint(c: CheckpointRow) -> dict[str, Any]:
    return {"size": c.size, "root": c.root.hex(), "note": c.note, "createdAt": iso(c.created_at)}


def inclusion(i: Inclusion) -> dict[str, Any]:
    return {
        "receipt": receipt(i.receipt),
        "signedBlob": i.body,
        "payloads": [
            {"kind": p.kind, "salt": p.salt, "body": p.body, "erasedAt": iso(p.erased_at)} for p in i.payloads
        ],
        "leafHash": i.receipt.leaf_hash.hex(),
        "logIndex": i.receipt.idx,
        "auditPath": [h.hex() for h in i.path],
        "checkpoint": checkpoint(i.checkpoint),
    }


def operator(o: Operator) -> dict[str, Any]:
    return {
        "id": o.id,
        "workspaceId": o.workspace_id,
        "name": o.name,
        "role": o.role,
        "goal": o.goal,
        "constraints": o.constraints,
        "tools": o.tools,
        "isActive": o.is_active,
        "createdAt": iso(o.created_at),
        "updatedAt": iso(o.updated_at),
    }


def note(n: Note) -> dict[str, Any]:
    return {
        "id": n.id,
        "workspaceId": n.workspace_id,
        "type": n.type,
        "title": n.title,
        "compiledTruth": n.body,
        "tags": n.tags,
        "createdBy": n.created_by,
        "createdAt": iso(n.created_at),
        "updatedAt": iso(n.updated_at),
    }


def member(m: Member) -> dict[str, Any]:
    return {
        "id": m.id,
        "workspaceId": m.workspace_id,
        "userId": m.user_id,
        "role": m.role,
        "joinedAt": iso(m.joined_at),
        "name": m.name,
    }


def workspace(w: Workspace) -> dict[str, Any]:
    return {
        "id": w.id,
        "name": w.name,
        "currentMode": w.current_mode,
        "ownerId": w.owner_id,
        "complianceFrameworks": w.compliance_frameworks,
        "createdAt": iso(w.created_at),
        "updatedAt": iso(w.updated_at),
    }


def user(u: User) -> dict[str, Any]:
    return {
        "id": u.id,
        "name": u.name,
        "email": u.email,
        "telegramId": None if u.telegram_id is None else str(u.telegram_id),
        "username": u.username,
        "language": u.language,
        "photoUrl": u.photo_url,
    }


def login(one: Login, *, telegram: bool) -> dict[str, Any]:
    who: dict[str, Any] = {"id": one.user.id, "name": one.user.name}
    if telegram:
        who["telegramId"] = str(one.user.telegram_id)
    else:
        who["email"] = one.user.email
    return {
        "token": one.token,
        "csrfToken": one.csrf,
        "user": who,
        "workspace": {"id": one.workspace.id, "name": one.workspace.name},
        "role": one.role,
        "expiresAt": iso(one.expires_at),
        "evidenceItemId": one.evidence_id,
    }


def session(s: Session, *, current: str | None) -> dict[str, Any]:
    return {
        "id": s.family_id,
        "channel": s.channel,
        "userAgent": s.user_agent,
        "current": s.family_id == current,
        "createdAt": iso(s.authenticated_at),
        "expiresAt": iso(s.expires_at),
    }


def api_key(k: ApiKey) -> dict[str, Any]:
    return {
        "id": k.id,
        "name": k.name,
        "prefix": k.prefix,
        "role": k.role,
        "scopes": k.scopes,
        "createdAt": iso(k.created_at),
        "expiresAt": iso(k.expires_at),
        "lastUsedAt": iso(k.last_used_at),
        "revokedAt": iso(k.revoked_at),
    }


def secret(s: Secret) -> dict[str, Any]:
    return {
        "kind": s.kind,
        "keyVersion": s.key_version,
        "expiresAt": iso(s.expires_at),
        "createdAt": iso(s.created_at),
        "updatedAt": iso(s.updated_at),
    }


def invite(i: Invite) -> dict[str, Any]:
    return {
        "id": i.id,
        "role": i.role,
        "email": i.email,
        "createdBy": i.created_by,
        "createdAt": iso(i.created_at),
        "expiresAt": iso(i.expires_at),
        "acceptedAt": iso(i.accepted_at),
        "revokedAt": iso(i.revoked_at),
    }


def said(one: Decision | Finding) -> dict[str, Any]:
    """What was decided, or would be, and why."""
    return {
        "verdict": one.verdict.value,
        "reasonCode": one.reason_code,
        "ruleId": one.rule_id,
        "reason": one.reason,
    }


def policy_trial(trial: PolicyTrial) -> dict[str, Any]:
    """A change of the policy tried on past decisions."""
    return {
        "tested": trial.tested,
        "policyHash": trial.policy_hash,
        "different": [
            {
                "receiptId": one.receipt_id,
                "decidedAt": iso(one.decided_at),
                "tool": one.difference.facts.tool,
                "before": said(one.difference.before),
                "after": said(one.difference.after),
            }
            for one in trial.changed
        ],
    }
