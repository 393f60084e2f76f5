"""What rows about steps, runs, approvals, permissions and audit lines must say, given the receipts. No I/O here.

Each `*_differs` names the columns that say something else than what was signed. Older receipts bind less: what they do
not speak of is not compared (docs/explanation/integrity.md lists it).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.approvals.approval import Approval, ApprovalStatus, digest_of_call
from domain.ledger.audit import AuditAction, AuditEntry, line_hash
from domain.policy.governance import severity_of
from domain.receipts.canonical import canonical_payload
from domain.receipts.errors import NotCanonical
from domain.receipts.signing import rfc3339
from domain.runs.delegation import DELEGATE
from domain.runs.run import RUN_ENDED, STEP_ENDED, Run, RunState, Step, StepState, UncertainChoice

# a row and its receipt are written in one transaction, by one clock read twice
SLACK = timedelta(seconds=60)
TEXT_CAP = 20_000
# the payloads of a receipt that is not itself what was signed
UNPROVEN = "receipt"
# the rule of violations that no decision made: something was found altered
INTEGRITY_RULE = "integrity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one receipt says. `args` and `output` are what it hashes, None where that is not kept or does not fit.

    `differs` names what of the receipt itself does not hold.
    """

    idx: int
    id: str
    kind: str
    action: str
    verdict: str
    reason_code: str
    status: str
    decision_id: str
    principal: str
    resource: str
    effect: int
    policy_hash: str
    at: datetime
    task_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    approval_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    args: Any = None
    output: Any = None
    # False where there were arguments and they are not kept any more, or are not those that were hashed
    knows_args: bool = True
    differs: tuple[str, ...] = ()

    @property
    def call_digest(self) -> str:
        """The call it is about, as `digest_of_call` names it; "" where it names none."""
        return str(self.metadata.get("call_digest", ""))

    def given(self, name: str) -> Mapping[str, Any]:
        """A part of what it hashes as arguments; empty where there is none."""
        found = self.args.get(name) if isinstance(self.args, dict) else None
        return found if isinstance(found, dict) else {}


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one: the order of members and the spelling of numbers do not count."""
    try:
        return canonical_payload(one) == canonical_payload(other)
    except NotCanonical:
        return bool(one == other)


def _near(moment: datetime | None, at: datetime | None) -> bool:
    if moment is None or at is None:
        return moment is at
    return abs(moment - at) <= SLACK


def _text(moment: datetime | None) -> str | None:
    """To the microsecond, as the store keeps it."""
    return None if moment is None else rfc3339(moment)


def _unequal(value: Any, expected: Mapping[str, Any]) -> list[str]:
    return [name for name, wanted in expected.items() if not same(getattr(value, name), wanted)]


# --- steps ----------------------------------------------------------------------------------------


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
        "createdAt": _text(step.created_at),
    }


_RESOLVED_AS = {
    ApprovalStatus.APPROVED.value: StepState.APPROVED,
    ApprovalStatus.REJECTED.value: StepState.REJECTED,
    ApprovalStatus.EXPIRED.value: StepState.REJECTED,
    ApprovalStatus.CHANGES_REQUESTED.value: StepState.CHANGES_REQUESTED,
    ApprovalStatus.CANCELLED.value: StepState.CANCELLED,
}
_RESOLUTIONS = (
    AuditAction.APPROVAL_RESOLVED,
    AuditAction.APPROVAL_EXPIRED,
    AuditAction.APPROVAL_WITHDRAWN,
    AuditAction.APPROVAL_UNDONE,
)
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
        elif one.action in _RESOLUTIONS:
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
    return StepState.FAILED if one.metadata.get("rule_id") == "tool_schema" else StepState.DENIED


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
    found += _unequal(
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
        names = {
            "seq": "seq",
            "callId": "call_id",
            "reason": "reason",
            "model": "model",
            "tokensIn": "tokens_in",
            "tokensOut": "tokens_out",
            "costMicros": "cost_micros",
            "createdAt": "created_at",
        }
        found += [column for key, column in names.items() if not same(bound.get(key), wanted[key])]
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
    resolved = [one for one in said if one.action in _RESOLUTIONS]
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
    if bool(allowed) != (begun is not None) or (begun is not None and not any(_near(begun, at) for at in allowed)):
        found.append("started_at")
    ended = step.state in STEP_ENDED
    done = step.completed_at
    if ended != (done is not None) or (done is not None and not any(_near(done, one.at) for one in said)):
        found.append("completed_at")
    return found


# --- runs -----------------------------------------------------------------------------------------


_RUN_COLUMNS = {
    "context": "context",
    "number": "number",
    "startedBy": "started_by",
    "origin": "origin",
    "iterationBudget": "iteration_budget",
}
_END_COLUMNS = {
    "state": "state",
    "summary": "summary",
    "error": "error",
    "errorCode": "error_code",
    "model": "model",
    "tokensIn": "tokens_in",
    "tokensOut": "tokens_out",
}


def run_facts(run: Run) -> dict[str, Any]:
    """What the receipt of a run's beginning binds of it: its hashed arguments."""
    return {name: getattr(run, column) for name, column in _RUN_COLUMNS.items()}


def end_facts(run: Run) -> dict[str, Any]:
    """What the receipt of a run's end binds of it: its hashed result."""
    return {name: getattr(run, column) for name, column in _END_COLUMNS.items()} | {"state": str(run.state)}


def _named(now: Mapping[str, Any], signed: Mapping[str, Any], columns: Mapping[str, str]) -> list[str]:
    """The columns that say something else than what was signed of them; older receipts bind fewer."""
    return [column for name, column in columns.items() if name in signed and not same(now[name], signed[name])]


def run_differs(run: Run, said: Sequence[Statement]) -> tuple[str, ...]:
    """`said` is what the log says of the run. How it stands while it goes on no receipt tells, only how it began."""
    mine = [one for one in said if one.run_id == run.id]
    found = [UNPROVEN] if any(one.differs for one in mine) else []
    begun = next((one for one in mine if one.action == AuditAction.TASK_RUN_DISPATCHED), None)
    if begun is None:
        return (*found, "id")
    lineage = {"parent_run_id": begun.metadata.get("parent_run")}
    if run.parent_run_id is not None or lineage["parent_run_id"] is not None:
        lineage["root_run_id"] = begun.metadata.get("root_run")
    found += _unequal(run, {"task_id": begun.task_id, **lineage})
    if isinstance(begun.args, dict):
        found += _named(run_facts(run), begun.args, _RUN_COLUMNS)
    if not _near(run.created_at, begun.at):
        found.append("created_at")
    ended = next((one for one in mine if one.action == AuditAction.RUN_FINISHED), None)
    if (run.state in RUN_ENDED) != (ended is not None) or (ended is not None and run.state != ended.status):
        found.append("state")
    if ended is not None:
        delegated = any(one.metadata.get("tool") == DELEGATE for one in mine)
        found += _end_differs(run, ended, delegated=delegated)
    return tuple(dict.fromkeys(found))


def _end_differs(run: Run, ended: Statement, *, delegated: bool) -> list[str]:
    found: list[str] = []
    if isinstance(ended.output, dict):
        found += _named(end_facts(run), ended.output, _END_COLUMNS)
    for column, name in (("iterations_used", "iterations"), ("cost_micros", "cost_micros")):
        used, signed = getattr(run, column), int(ended.metadata.get(name, 0))
        # a sub-run that is cancelled with its parent is added to it after the parent's end was signed
        if used < signed or (used > signed and not delegated):
            found.append(column)
    if not _near(run.completed_at, ended.at):
        found.append("completed_at")
    return found


# --- approvals ------------------------------------------------------------------------------------


def approval_facts(approval: Approval) -> dict[str, Any]:
    """What the receipt of a question binds of it: its hashed arguments."""
    return {
        "action": approval.action,
        "input": approval.action_input,
        "reason": approval.reason,
        "context": approval.approval_context,
        "quorum": approval.quorum,
        "deciders": approval.deciders,
        "expiresAt": _text(approval.expires_at),
        "requestedAt": _text(approval.requested_at),
        "callbackUrl": approval.callback_url,
    }


def approval_differs(approval: Approval, said: Sequence[Statement]) -> tuple[str, ...]:
    """`said` is what the log says of the approval, in order."""
    mine = [one for one in said if approval.id in (one.approval_id, one.decision_id)]
    asked = next((one for one in mine if one.action == AuditAction.APPROVAL_REQUESTED), None)
    if asked is None:
        return ("id",)
    found = [UNPROVEN] if any(one.differs for one in mine) else []
    edits = [one for one in mine if one.action == AuditAction.APPROVAL_EDITED]
    found += _unequal(
        approval,
        {
            "task_id": asked.task_id,
            "run_id": asked.run_id,
            "step_id": asked.step_id,
            "effect": asked.effect,
            "policy_version": asked.policy_hash,
            "requested_by": asked.principal,
            "action_hash": (edits or [asked])[-1].call_digest,
            "version": 1 + len(edits),
        },
    )
    found += _question_differs(approval, asked, edits)
    found += _answer_differs(approval, mine)
    return tuple(dict.fromkeys(found))


def _question_differs(approval: Approval, asked: Statement, edits: Sequence[Statement]) -> list[str]:
    found = [] if _near(approval.requested_at, asked.at) else ["requested_at"]
    if isinstance(asked.args, dict) and "requestedAt" in asked.args:
        columns = {
            "action": "action",
            "input": "action_input",
            "reason": "reason",
            "context": "approval_context",
            "quorum": "quorum",
            "deciders": "deciders",
            "expiresAt": "expires_at",
            "requestedAt": "requested_at",
            "callbackUrl": "callback_url",
        }
        if edits:
            del columns["input"]
        now = approval_facts(approval)
        found += [column for key, column in columns.items() if not same(now[key], asked.args.get(key))]
    elif (
        # an older receipt: the digest names action and input of a question from outside
        approval.step_id is None
        and not edits
        and digest_of_call(approval.action, approval.action_input) != approval.action_hash
    ):
        found.append("action_input")
    if edits and isinstance(edits[-1].args, dict) and not same(approval.action_input, edits[-1].args.get("input")):
        found.append("action_input")
    return found


def resolution_of(said: Sequence[Statement]) -> Statement | None:
    """How an approval was answered last, None while it is open."""
    found = [one for one in said if one.action in _RESOLUTIONS]
    return found[-1] if found else None


def _answer_differs(approval: Approval, said: Sequence[Statement]) -> list[str]:
    answer = resolution_of(said)
    if answer is None:
        wanted: dict[str, Any] = dict.fromkeys(
            ("resolved_by", "resolved_via", "resolution_note", "grant_id", "resolved_at", "execute_after")
        )
        return _unequal(approval, {"status": ApprovalStatus.PENDING.value, **wanted})
    undone = answer.action == AuditAction.APPROVAL_UNDONE
    withdrawn = answer.action == AuditAction.APPROVAL_WITHDRAWN
    expected: dict[str, Any] = {"status": answer.status, "resolved_by": answer.principal}
    via = "system" if withdrawn else answer.metadata.get("via")
    if via is not None:
        expected["resolved_via"] = via
    note = answer.args.get("note") if isinstance(answer.args, dict) else None
    if answer.knows_args:
        expected["resolution_note"] = "undone" if undone else note
    grants = [one.resource for one in said if one.action == AuditAction.GRANT_CREATED]
    expected["grant_id"] = answer.metadata.get("grant_id", grants[-1] if grants else None) or None
    found = _unequal(approval, expected)
    if not _near(approval.resolved_at, answer.at):
        found.append("resolved_at")
    undo = int(approval.approval_context.get("undoSeconds") or 0)
    waits = undo and answer.status == ApprovalStatus.APPROVED and approval.resolved_at is not None
    until = approval.resolved_at + timedelta(seconds=undo) if waits and approval.resolved_at else None
    if approval.execute_after != until:
        found.append("execute_after")
    return found


def allows_step(said: Sequence[Statement], *, approval_id: str, step: Step) -> str:
    """Why the answer to a question does not allow exactly this call; "" when it does.

    `said` is what the log says of approval and step, in order, each of it proved.
    """
    mine = [one for one in said if one.approval_id == approval_id]
    asked = next((one for one in mine if one.action == AuditAction.APPROVAL_REQUESTED), None)
    if asked is None:
        return "no receipt asked for this approval"
    if (asked.step_id, asked.run_id) != (step.id, step.run_id):
        return "the approval is about another call"
    answer = resolution_of(mine)
    if answer is None or answer.status != ApprovalStatus.APPROVED or answer.verdict != "ALLOW":
        return "no receipt says that it was approved"
    changes = [one for one in mine if one.action in (AuditAction.APPROVAL_REQUESTED, AuditAction.APPROVAL_EDITED)]
    if changes[-1].idx > answer.idx or answer.call_digest not in ("", changes[-1].call_digest):
        return "what was approved was changed"
    return ""


# --- permissions ----------------------------------------------------------------------------------


def grant_facts(grant: Any) -> dict[str, Any]:
    """What the receipt of a permission binds of it: its hashed arguments."""
    return {
        "tool": grant.tool,
        "scope": grant.scope,
        "taskId": grant.task_id,
        "maxUses": grant.max_uses,
        "maxEffect": grant.max_effect,
        "createdBy": grant.created_by,
        "approvalId": grant.approval_id,
        "createdAt": _text(grant.created_at),
        "expiresAt": _text(grant.expires_at),
    }


def _person(said: Statement, shown: str | None) -> str | None:
    """The person who did it; an API key is not its maker's name, so what is shown stands."""
    return said.principal.removeprefix("user:") if said.principal.startswith("user:") else shown


def grant_differs(grant: Any, said: Sequence[Statement], *, uses: int | None) -> tuple[str, ...]:
    """`said` is what the log says of a permission; `uses` how often it was used, None where that is not told.

    A permission without its receipt is none.
    """
    made = next((one for one in said if one.action == AuditAction.GRANT_CREATED), None)
    if made is None:
        return ("id",)
    ended = next((one for one in said if one.action == AuditAction.GRANT_REVOKED), None)
    found = [UNPROVEN] if made.differs or (ended is not None and ended.differs) else []
    found += _unequal(
        grant,
        {
            "task_id": made.task_id,
            "approval_id": made.approval_id,
            "created_by": _person(made, grant.created_by),
            "revoked_by": None if ended is None else _person(ended, grant.revoked_by),
        },
    )
    if isinstance(made.args, dict):
        columns = {
            "tool": "tool",
            "scope": "scope",
            "taskId": "task_id",
            "maxUses": "max_uses",
            "maxEffect": "max_effect",
            "createdBy": "created_by",
            "approvalId": "approval_id",
            "createdAt": "created_at",
            "expiresAt": "expires_at",
        }
        now = grant_facts(grant)
        found += [column for key, column in columns.items() if not same(now[key], made.args.get(key))]
    if not _near(grant.created_at, made.at):
        found.append("created_at")
    if not _near(grant.revoked_at, None if ended is None else ended.at):
        found.append("revoked_at")
    if uses is not None and (grant.uses != uses if isinstance(made.args, dict) else grant.uses < uses):
        found.append("uses")
    return tuple(dict.fromkeys(found))


# --- violations -----------------------------------------------------------------------------------


def violation_differs(violation: Any, decisions: Sequence[Statement]) -> tuple[str, ...]:
    """`decisions` is what the log decided about the call that the violation names."""
    metadata: Mapping[str, Any] = violation.metadata
    denials = [one for one in decisions if one.verdict == "DENY"]
    made = next((one for one in denials if _near(violation.created_at, one.at)), denials[-1] if denials else None)
    if made is None:
        return ("id",)
    found = [UNPROVEN] if made.differs else []
    found += _unequal(
        violation,
        {
            "policy_rule": made.metadata.get("rule_id"),
            "action": made.metadata.get("tool"),
            "severity": severity_of(made.reason_code),
            "blocked": True,
        },
    )
    reason = made.given("step").get("reason")
    if reason is not None and violation.violation != reason:
        found.append("violation")
    named = {
        "reasonCode": made.reason_code,
        "policyHash": made.policy_hash,
        "taskId": made.task_id,
        "runId": made.run_id,
        "stepId": made.step_id,
        "decisionId": made.decision_id,
    }
    if "agent_session" in made.metadata:
        named |= {"session": made.metadata["agent_session"], "principal": made.metadata.get("agent_principal")}
    complete = {"reasonCode", "policyHash"} <= metadata.keys() <= named.keys()
    if not complete or any(value != named[name] for name, value in metadata.items()):
        found.append("metadata")
    if not _near(violation.created_at, made.at):
        found.append("created_at")
    return tuple(found)


# --- audit lines ----------------------------------------------------------------------------------

# lines of a workspace that are written without a receipt: refusals at the door, where nothing was done
WITHOUT_RECEIPT = frozenset({AuditAction.REQUEST_REFUSED})


def line_differs(entry: AuditEntry, said: Statement | None, *, erased: bool = False) -> tuple[str, ...]:
    """`said` is the receipt the line names. `erased`: a later receipt tells that the words of lines were erased."""
    if entry.receipt_id is None:
        return () if entry.action in WITHOUT_RECEIPT or (erased and not entry.metadata) else ("metadata",)
    if said is None:
        return ("metadata",)
    found = [UNPROVEN] if said.differs else []
    expected = {
        "action": said.action,
        "actor": said.principal,
        "verdict": verdict_said(said),
        "created_at": said.at,
    }
    found += [name for name, wanted in expected.items() if getattr(entry, name) != wanted]
    if (entry.target or "")[:200] != said.resource:
        found.append("target")
    bound = said.metadata.get("line_hash")
    if bound is None or any(name in found for name in ("action", "actor", "verdict", "created_at", "target")):
        return tuple(found)
    if not _line_fits(entry, str(bound)):
        # which of them, one hash over all does not tell
        found += ["reason", "metadata"]
    return tuple(found)


def _line_fits(entry: AuditEntry, bound: str) -> bool:
    try:
        salt = bytes.fromhex(entry.salt or "")
        found = line_hash(
            salt=salt,
            line_id=entry.id,
            action=entry.action,
            actor=entry.actor,
            target=entry.target,
            verdict=entry.verdict,
            reason=entry.reason,
            metadata=entry.metadata,
            created_at=entry.created_at,
        )
    except (ValueError, TypeError, NotCanonical):
        return False
    return bool(salt) and found == bound


def verdict_said(said: Statement) -> str:
    """The word of the audit log for what a receipt says."""
    if said.action == AuditAction.TOOL_EXECUTED:
        return "allow" if said.status == "done" else "error"
    if said.action == AuditAction.RUN_FINISHED:
        return "allow" if said.status == RunState.COMPLETED else "error"
    if said.action in (AuditAction.RUN_INTERRUPTED, AuditAction.APPROVAL_CALLBACK_FAILED):
        return "error"
    if said.action in (AuditAction.APPROVAL_EDITED, AuditAction.EFFECT_RESOLVED):
        return "allow"
    return said.verdict.lower()
