import pytest

from domain.actor import Actor, Channel, Role
from domain.errors import Forbidden, Invalid
from domain.permissions import TABLE, Action, allows, as_markdown, require


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


def test_no_workspace_no_permission() -> None:
    nobody = Actor(user_id="u", name="n", channel=Channel.EMAIL)
    with pytest.raises(Invalid):
        require(nobody, Action.TASK_READ)


def test_the_page_names_every_action() -> None:
    page = as_markdown()
    assert all(f"`{action.value}`" in page for action in Action)
