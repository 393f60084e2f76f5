"""Who may decide an approval, and who is left out of a quorum."""

from collections.abc import Sequence

from domain.actor import Actor
from domain.approvals import Approval, Decider
from storage import recipients, runs
from storage.database import Tx


def left_out(tx: Tx, approval: Approval) -> str | None:
    """Whom a quorum leaves out: who started the run, or asked, or made the key that asked; None where one decides."""
    if approval.quorum == 1:
        return None
    if approval.run_id is None:
        return recipients.person_behind(tx, approval.requested_by)
    run = runs.by_id(tx, approval.run_id)
    return None if run is None else run.started_by


def decider(actor: Actor) -> Decider:
    """An actor, as far as deciding goes."""
    assert actor.role is not None
    return Decider(actor.user_id, actor.role)


def ids(people: Sequence[Decider]) -> Sequence[str]:
    """Their user ids, in order."""
    return [who.user_id for who in people]
