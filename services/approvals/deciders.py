"""Who may decide an approval, and who is left out of a quorum."""

from collections.abc import Sequence

from domain.approvals.approval import Approval, Approver
from domain.identity.actor import Actor
from storage.outbox import recipient_rows
from storage.runs import run_rows
from storage.transaction import Tx


def excluded_requester(tx: Tx, approval: Approval) -> str | None:
    """Whom a quorum leaves out: who started the run, or asked, or made the key that asked; None where one decides."""
    if approval.quorum == 1:
        return None
    if approval.run_id is None:
        return recipient_rows.person_behind(tx, approval.requested_by)
    run = run_rows.by_id(tx, approval.run_id)
    return None if run is None else run.started_by


def decider(actor: Actor) -> Approver:
    """An actor, as far as deciding goes."""
    assert actor.role is not None
    return Approver(actor.user_id, actor.role)


def ids(people: Sequence[Approver]) -> Sequence[str]:
    """Their user ids, in order."""
    return [who.user_id for who in people]
