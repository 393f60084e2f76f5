"""A person says how long they are away, and who of those who may decide stands in for them."""

from datetime import datetime

from domain.approvals.approval import Approver, approver_rule_of
from domain.approvals.away import Away
from domain.clock import Now
from domain.errors import Conflict, NotFound
from domain.identity.actor import Actor, Role
from domain.workspaces.workspace import Member
from services.policy.service import PolicyService
from storage.chat import person_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows


def go_away(
    tx: Tx, policy_service: PolicyService, actor: Actor, *, until: datetime, deputy: str | None, now: Now
) -> Member | None:
    """Note it; the deputy as a member, None where nobody is named.

    NotFound (`deputy_unknown`) when nobody here is called so, Conflict when it is the person (`deputy_self`) or
    somebody who may not decide themselves (`deputy_cannot`): a deputy answers in their own right.
    """
    found = None if deputy is None else _deputy(tx, policy_service, actor, deputy)
    away = Away(until, None if found is None else found.user_id)
    person_rows.set_preference(tx, actor.user_id, "away", away.as_json(), now=now())
    return found


def come_back(tx: Tx, actor: Actor, *, now: Now) -> None:
    """The person is here again."""
    person_rows.set_preference(tx, actor.user_id, "away", None, now=now())


def _deputy(tx: Tx, policy_service: PolicyService, actor: Actor, name: str) -> Member:
    wanted = name.removeprefix("@").casefold()
    people = workspace_rows.members(tx, actor.in_workspace)
    # a user name is one person's; names may be shared, and then they say nothing
    found = [m for m in people if name.startswith("@") and (m.username or "").casefold() == wanted]
    found = found or [m for m in people if not name.startswith("@") and m.name.casefold() == wanted]
    if len(found) != 1:
        raise NotFound("nobody in this workspace is called so", code="deputy_unknown")
    [member] = found
    if member.user_id == actor.user_id:
        raise Conflict("nobody stands in for themselves", code="deputy_self")
    policy = policy_service.settings(tx, actor.in_workspace)[0].policy
    if approver_rule_of(policy).refusal(Approver(member.user_id, Role(member.role))) is not None:
        raise Conflict("a deputy must be somebody who may decide", code="deputy_cannot")
    return member
