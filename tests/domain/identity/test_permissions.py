"""The one table: every action by every role, and what a key may never do unnamed."""

import pytest

from domain.errors import Forbidden, Invalid
from domain.identity.actor import Actor, Channel, Role
from domain.identity.permissions import TABLE, Action, allows, as_markdown, require


def actor(role: Role | None, *, key: bool = False, scopes: frozenset[str] | None = None) -> Actor:
    return Actor(
        user_id="u",
        name="n",
        channel=Channel.EMAIL,
        workspace_id="w",
        role=role,
        api_key_id="k" if key else None,
        scopes=scopes,
    )


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("role", list(Role))
def test_every_action_by_every_role(action: Action, role: Role) -> None:
    rule = TABLE[action]
    assert allows(actor(role), action) is (role.rank >= rule.role.rank)
    if role.rank < rule.role.rank:
        with pytest.raises(Forbidden) as refused:
            require(actor(role), action)
        assert refused.value.details["requiredRole"] == rule.role.value
    assert allows(actor(Role.OWNER, key=True, scopes=frozenset({rule.scope})), action)
    assert not allows(actor(Role.OWNER, key=True, scopes=frozenset({"nothing"})), action)


def test_a_key_without_the_scope_never_decides() -> None:
    assert not allows(actor(Role.OWNER, key=True), Action.APPROVAL_RESOLVE)
    assert allows(actor(Role.OWNER, key=True), Action.TASK_CREATE)


ADMINISTERING = (
    "workspace:admin",
    "settings:write",
    "members:admin",
    "apikeys:admin",
    "secrets:admin",
    "operators:write",
)


@pytest.mark.parametrize("action", [a for a in Action if TABLE[a].scope in (*ADMINISTERING, "approvals:resolve")])
def test_a_key_never_administers_unnamed(action: Action) -> None:
    with pytest.raises(Forbidden) as refused:
        require(actor(Role.OWNER, key=True), action)
    assert refused.value.code == "insufficient_scope"
    assert refused.value.details["requiredScope"] == TABLE[action].scope


def test_a_scope_never_lifts_a_role() -> None:
    with pytest.raises(Forbidden) as refused:
        require(actor(Role.MEMBER, key=True, scopes=frozenset({"approvals:resolve"})), Action.RUN_SETTLE)
    assert refused.value.code == "insufficient_role"


@pytest.mark.parametrize(
    ("action", "phrase", "needed"),
    [
        (Action.TASK_CREATE, "create workspace tasks", "partner"),
        (Action.AUDIT_READ, "view audit ledger", "partner"),
        (Action.RECEIPT_READ, "view governance receipts", "partner"),
    ],
)
def test_refusals_are_worded_as_the_contract_has_them(action: Action, phrase: str, needed: str) -> None:
    with pytest.raises(Forbidden) as refused:
        require(actor(Role.MEMBER), action)
    assert str(refused.value) == "insufficient workspace role"
    assert refused.value.details == {"action": phrase, "requiredRole": needed, "currentRole": "member"}


def test_no_workspace_no_permission() -> None:
    nobody = Actor(user_id="u", name="n", channel=Channel.EMAIL)
    with pytest.raises(Invalid):
        require(nobody, Action.TASK_READ)


def test_the_page_names_every_action() -> None:
    page = as_markdown()
    assert all(f"`{action.value}`" in page for action in Action)
