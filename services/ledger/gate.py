"""What has to be found in the signed log before anything is done by what the store says.

The store may say that somebody approved. Only a receipt that this installation signed, that its log holds, and that is
about exactly this call, lets the call be made.
"""

from collections.abc import Sequence

from domain.approvals.approval import Approval, ApprovalStatus, Approver
from domain.evidence.approvals import allows_step, approval_differs, resolution_of
from domain.evidence.statement import Statement
from domain.evidence.steps import args_hold, digest_in_force, states_of
from domain.identity.actor import Actor
from domain.integrity import Altered
from domain.ledger.audit import AuditAction
from domain.runs.run import Step, StepState
from services.ledger.append import Ledger
from services.ledger.records import Records
from storage.approvals import approval_rows
from storage.ledger import receipt_rows
from storage.outbox import recipient_rows
from storage.transaction import Tx

# what of a question is shown to whoever decides it, and who may; its times only ever make it expire
_ASKED = frozenset(
    {
        "id",
        "receipt",
        "task_id",
        "run_id",
        "step_id",
        "action",
        "action_input",
        "action_hash",
        "effect",
        "reason",
        "approval_context",
        "version",
        "quorum",
        "deciders",
        "requested_by",
        "callback_url",
    }
)


def refusal_of_step(ledger: Ledger, tx: Tx, step: Step) -> str:
    """Why the log does not let this step's call be made, though the store has it approved or begun; "" when it does.

    Approved: a person's signed answer to the question about exactly this call, later than everything else that was
    said of it. Begun (`intent`): a signed decision that allows exactly this call.
    """
    said = _said_of(ledger, tx, step)
    unproven = next((one for one in said if one.differs), None)
    if unproven is not None:
        return f"receipt {unproven.idx} is not what was signed ({', '.join(unproven.differs)})"
    mine = [one for one in said if one.step_id == step.id]
    states = states_of(said, step_id=step.id)
    if step.state not in states:
        return f"no receipt says that this step is {step.state}"
    if step.args_hash != digest_in_force(mine) or not args_hold(step, mine):
        return "what would run is not what was decided on"
    last = [one for one in mine if one.action == AuditAction.TOOL_DECIDED][-1]
    if (last.metadata.get("tool"), last.run_id, last.task_id) != (step.tool, step.run_id, step.task_id):
        return "the decision is about another call"
    if step.state != StepState.APPROVED or _was_retried(mine):
        return ""
    if step.approval_id is None:
        return "no receipt says that this step was approved"
    approval = approval_rows.get(tx, step.workspace_id, step.approval_id)
    if approval.status != ApprovalStatus.APPROVED:
        return f"the approval is {approval.status}"
    return allows_step(mine, approval_id=step.approval_id, step=step)


def _said_of(ledger: Ledger, tx: Tx, step: Step) -> Sequence[Statement]:
    """What the log says of a step and of the end of its run, in order."""
    rows = [
        row
        for row in receipt_rows.of_run(tx, step.workspace_id, step.task_id, step.run_id)
        if row.step_id == step.id or row.action == AuditAction.RUN_FINISHED
    ]
    return Records(ledger, tx, step.workspace_id).statements(rows, signatures=True)


def _was_retried(said: Sequence[Statement]) -> bool:
    """Whether a person said to make an interrupted call again, and nothing was said since."""
    return bool(said) and said[-1].action == AuditAction.EFFECT_RESOLVED


def check_question(ledger: Ledger, tx: Tx, approval: Approval) -> None:
    """Altered when an open question is not the one that was asked: nobody says yes to what was put in its place."""
    said = Records(ledger, tx, approval.workspace_id).about([approval.id], signatures=True)[approval.id]
    wrong = tuple(name for name in approval_differs(approval, said) if name in _ASKED)
    answered = resolution_of(said)
    if answered is not None:
        wrong = (*wrong, "status")
    if wrong:
        ledger.note(approval.workspace_id, f"approval {approval.id}", wrong)
        raise Altered(f"this approval is not the one that was asked for ({', '.join(wrong)})", differs=wrong)


def counted_votes(
    ledger: Ledger, tx: Tx, approval: Approval, voters: Sequence[Approver], *, now: Actor | None = None
) -> Sequence[Approver]:
    """Those of the voters whose vote on this version a receipt tells of, and whoever votes now."""
    said = Records(ledger, tx, approval.workspace_id).about([approval.id], signatures=True)[approval.id]
    edited = max((one.idx for one in said if one.action == AuditAction.APPROVAL_EDITED), default=-1)
    voted = {
        recipient_rows.person_behind(tx, one.principal)
        for one in said
        if one.idx > edited and not one.differs and _is_yes(one)
    }
    return [who for who in voters if who.user_id in voted or (now is not None and who.user_id == now.user_id)]


def _is_yes(said: Statement) -> bool:
    return said.action == AuditAction.APPROVAL_VOTED or (
        said.action == AuditAction.APPROVAL_RESOLVED and said.status == ApprovalStatus.APPROVED
    )


def answer_of(ledger: Ledger, tx: Tx, approval: Approval) -> Statement | None:
    """The signed answer to an approval that somebody outside acts by, None while there is none.

    Altered when the store has another answer, or the question is not the one that was asked.
    """
    said = Records(ledger, tx, approval.workspace_id).about([approval.id], signatures=True)[approval.id]
    answer = resolution_of(said)
    wrong = [name for name in approval_differs(approval, said) if name in _ASKED]
    signed = ApprovalStatus.PENDING.value if answer is None else answer.status
    if approval.status != signed:
        wrong.append("status")
    if wrong:
        differs = tuple(wrong)
        ledger.note(approval.workspace_id, f"approval {approval.id}", differs)
        raise Altered(f"this approval is not what was signed ({', '.join(differs)})", differs=differs)
    return answer
