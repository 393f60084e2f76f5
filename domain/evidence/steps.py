"""Steps: what the receipt of a decision signs of one, and what the log lets its row say."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from domain.approvals.approval import ApprovalStatus, digest_of_call
from domain.evidence.approvals import RESOLUTIONS
from domain.evidence.statement import SLACK, UNPROVEN, Statement, moment_text, near, same, unequal
from domain.ledger.audit import AuditAction
from domain.policy.governance import NO_CALL_RULE
from domain.runs.delegation import DELEGATE
from domain.runs.run import STEP_ENDED, Step, StepState, UncertainChoice

TEXT_CAP = 20_000
# what a decision signs of the step, by its columns
_STEP_COLUMNS = {
    "seq": "seq",
    "callId": "call_id",
    "reason": "reason",
    "model": "model",
    "tokensIn": "tokens_in",
    "tokensOut": "tokens_out",
    "costMicros": "cost_micros",
    "createdAt": "created_at",
}


def step_facts(step: Step, *, reason: str) -> dict[str, Any]:
    """What the receipt of a decision binds of the step beside the call; a part of its hashed arguments."""
    return {
        "seq": step.seq,
        "callId": step.call_id,
        "reason": reason,
        "model": step.model,
        "tokensIn": step.tokens_in,
        "tokensOut": step.tokens_out,
        "costMicros": step.cost_micros,
        "createdAt": moment_text(step.created_at),
    }


_RESOLVED_AS = {
    ApprovalStatus.APPROVED.value: StepState.APPROVED,
    ApprovalStatus.REJECTED.value: StepState.REJECTED,
    ApprovalStatus.EXPIRED.value: StepState.REJECTED,
    ApprovalStatus.CHANGES_REQUESTED.value: StepState.CHANGES_REQUESTED,
    ApprovalStatus.CANCELLED.value: StepState.CANCELLED,
}
_SETTLED_AS = {
    UncertainChoice.RETRY.value: frozenset({StepState.APPROVED}),
    UncertainChoice.SKIP.value: frozenset({StepState.SKIPPED}),
    UncertainChoice.MARK_DONE.value: frozenset({StepState.DONE}),
}


def states_of(said: Iterable[Statement], *, step_id: str) -> frozenset[StepState]:
    """The states a step can be in after what was said of it, in the order of the log; empty = nothing was decided.

    Almost always one. Older receipts do not say how an interrupted call was settled.
    """
    now: frozenset[StepState] = frozenset()
    for one in said:
        if one.action == AuditAction.RUN_FINISHED:
            still_open = now - STEP_ENDED
            now = (now & STEP_ENDED) | ({StepState.CANCELLED} if still_open else frozenset())
        elif one.step_id != step_id:
            continue
        elif one.action == AuditAction.TOOL_DECIDED:
            now = frozenset({_decided_as(one)})
        elif one.action in RESOLUTIONS:
            undone = one.action == AuditAction.APPROVAL_UNDONE and StepState.APPROVED in now
            if StepState.AWAITING_APPROVAL in now or undone:
                now = frozenset({_RESOLVED_AS.get(one.status, StepState.CANCELLED)})
        elif one.action == AuditAction.TOOL_EXECUTED:
            now = frozenset({StepState.DONE if one.status == "done" else StepState.FAILED})
        elif one.action == AuditAction.RUN_INTERRUPTED:
            now = frozenset({StepState.UNCERTAIN})
        elif one.action == AuditAction.EFFECT_RESOLVED:
            choice = str(one.metadata.get("choice", ""))
            now = _SETTLED_AS.get(choice, frozenset().union(*_SETTLED_AS.values()))
    return now


def _decided_as(one: Statement) -> StepState:
    if one.verdict == "ALLOW":
        return StepState.INTENT
    if one.verdict == "ESCALATE":
        return StepState.AWAITING_APPROVAL
    # what was no call at all failed before the policy was asked
    return StepState.FAILED if one.metadata.get("rule_id") == NO_CALL_RULE else StepState.DENIED


def step_differs(step: Step, said: Sequence[Statement]) -> tuple[str, ...]:
    """`said` is what the log says of the step and of the end of its run, in order."""
    mine = [one for one in said if one.step_id == step.id]
    decisions = [one for one in mine if one.action == AuditAction.TOOL_DECIDED and one.decision_id == step.id]
    if not decisions:
        return ("decision_receipt_id",)
    last = decisions[-1]
    found = [UNPROVEN] if any(one.differs for one in mine) else []
    asked = [one for one in mine if one.action == AuditAction.APPROVAL_REQUESTED]
    outcomes = [one for one in mine if one.action == AuditAction.TOOL_EXECUTED]
    found += unequal(
        step,
        {
            "task_id": last.task_id,
            "run_id": last.run_id,
            "tool": last.metadata.get("tool"),
            "effect": last.effect,
            "args_hash": digest_in_force(mine),
            "version": _version(mine),
            "verdict": last.verdict,
            "reason_code": last.reason_code,
            "rule_id": last.metadata.get("rule_id"),
            "policy_hash": last.policy_hash,
            "decision_receipt_id": last.id,
            "outcome_receipt_id": outcomes[-1].id if outcomes else None,
            "approval_id": asked[-1].approval_id if asked else None,
            "output_hash": None,
        },
    )
    if step.state not in states_of(said, step_id=step.id):
        found.append("state")
    if not args_hold(step, mine):
        found.append("args")
    bound = last.given("step")
    if bound:
        wanted = step_facts(step, reason=step.reason or "")
        found += [column for key, column in _STEP_COLUMNS.items() if not same(bound.get(key), wanted[key])]
    found += _result_differs(step, mine, outcomes)
    found += _times_differ(step, said, decisions)
    return tuple(dict.fromkeys(found))


def digest_in_force(said: Sequence[Statement]) -> str:
    """The digest of the call as it was decided on or edited last."""
    digests = [one.call_digest for one in said if one.action in (AuditAction.TOOL_DECIDED, AuditAction.APPROVAL_EDITED)]
    return digests[-1] if digests else ""


def args_hold(step: Step, said: Sequence[Statement]) -> bool:
    """Whether the arguments are those that were decided on, or those of the newest edit."""
    changes = [one for one in said if one.action in (AuditAction.TOOL_DECIDED, AuditAction.APPROVAL_EDITED)]
    if not changes:
        return False
    newest = changes[-1]
    if newest.action == AuditAction.TOOL_DECIDED and isinstance(newest.args, dict):
        return same(newest.args.get("input"), step.args)
    # a name that was too long for a tool is kept shortened
    return len(step.tool) >= 120 or digest_of_call(step.tool, step.args or {}) == newest.call_digest


def _version(said: Sequence[Statement]) -> int:
    version = 1
    edits = 0
    for one in said:
        if one.action == AuditAction.APPROVAL_REQUESTED:
            edits = 0
        elif one.action == AuditAction.APPROVAL_EDITED:
            edits += 1
            version = 1 + edits
    return version


def _result_differs(step: Step, said: Sequence[Statement], outcomes: Sequence[Statement]) -> list[str]:
    found: list[str] = []
    if outcomes:
        output = outcomes[-1].output
        if isinstance(output, dict):
            if not same(step.output, output.get("output")):
                found.append("output")
            if (step.error or "") != (str(output.get("error") or ""))[:TEXT_CAP]:
                found.append("error")
        return found
    settled = [one for one in said if one.action == AuditAction.EFFECT_RESOLVED]
    marked = {"markedDone": True} if step.state == StepState.DONE and settled else None
    begun = step.tool == DELEGATE and isinstance(step.output, dict) and step.output.keys() == {"taskId", "runId"}
    if not (same(step.output, marked) or begun):
        found.append("output")
    if not _error_fits(step, said):
        found.append("error")
    return found


def _error_fits(step: Step, said: Sequence[Statement]) -> bool:
    state = StepState(step.state) if step.state in list(StepState) else None
    if state in (StepState.DENIED, StepState.FAILED):
        return step.error == step.reason
    interrupted = [one for one in said if one.action == AuditAction.RUN_INTERRUPTED]
    resolved = [one for one in said if one.action in RESOLUTIONS]
    if state in (StepState.REJECTED, StepState.CHANGES_REQUESTED):
        note = resolved[-1].args.get("note") if resolved and isinstance(resolved[-1].args, dict) else None
        return bool(step.error) and (note is None or str(note) in str(step.error))
    if state is StepState.SKIPPED:
        return bool(step.error)
    if not interrupted:
        return not step.error
    why = interrupted[-1].args.get("why") if isinstance(interrupted[-1].args, dict) else None
    return why is None or not step.error or str(why) in step.error


def _times_differ(step: Step, said: Sequence[Statement], decisions: Sequence[Statement]) -> list[str]:
    found: list[str] = []
    if not decisions[0].at - timedelta(hours=1) <= step.created_at <= decisions[0].at + SLACK:
        found.append("created_at")
    allowed = [one.at for one in decisions if one.verdict == "ALLOW"]
    begun = step.started_at
    if bool(allowed) != (begun is not None) or (begun is not None and not any(near(begun, at) for at in allowed)):
        found.append("started_at")
    ended = step.state in STEP_ENDED
    done = step.completed_at
    if ended != (done is not None) or (done is not None and not any(near(done, one.at) for one in said)):
        found.append("completed_at")
    return found
