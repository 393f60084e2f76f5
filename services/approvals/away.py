"""A person says how long they are away, and who of those who may decide stands in for them."""

from datetime import datetime

from domain.actor import Actor, Role
from domain.approvals import Decider, circle_of
from domain.away import Away
from domain.clock import Now
from domain.errors import Conflict, NotFound
from services.governor import Governor
from storage import chat_people, workspaces
from storage.database import Tx
from storage.workspaces import Member


def go_away(
    tx: Tx, governor: Governor, actor: Actor, *, until: datetime, deputy: str | None, now: Now
) -> Member | None:
    """Note it; the deputy as a member, None where nobody is named.

    NotFound (`deputy_unknown`) when nobody here is called so, Conflict when it is the person (`deputy_self`) or
    somebody who may not decide themselves (`deputy_cannot`): a deputy answers in their own right.
    """
    found = None if deputy is None else _deputy(tx, governor, actor, deputy)
    away = Away(until, None if found is None else found.user_id)
    chat_people.set_preference(tx, actor.user_id, "away", away.as_json(), now=now())
    return found


def come_back(tx: Tx, actor: Actor, *, now: Now) -> None:
    """The person is here again."""
    chat_people.set_preference(tx, actor.user_id, "away", None, now=now())


def _deputy(tx: Tx, governor: Governor, actor: Actor, name: str) -> Member:
    wanted = name.removeprefix("@").casefold()
    people = workspaces.members(tx, actor.in_workspace)
    # a user name is one person's; names may be shared, and then they say nothing
    found = [m for m in people if name.startswith("@") and (m.username or "").casefold() == wanted]
    found = found or [m for m in people if not name.startswith("@") and m.name.casefold() == wanted]
    if len(found) != 1:
        raise NotFound("nobody in this workspace is called so", code="deputy_unknown")
    [member] = found
    if member.user_id == actor.user_id:
        raise Conflict("nobody stands in for themselves", code="deputy_self")
    policy = governor.settings(tx, actor.in_workspace)[0].policy
    if circle_of(policy).refusal(Decider(member.user_id, Role(member.role))) is not None:
        raise Conflict("a deputy must be somebody who may decide", code="deputy_cannot")
    return member
