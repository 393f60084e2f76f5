"""Names of actors in audit lines and receipts."""

import pytest

from domain.errors import Invalid
from domain.identity.actor import Actor, Channel, Role


def test_roles_are_ordered() -> None:
    assert [role.rank for role in (Role.MEMBER, Role.PARTNER, Role.OWNER)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("channel", "key", "expected"),
    [
        (Channel.EMAIL, None, "user:u"),
        (Channel.TELEGRAM, None, "user:u"),
        (Channel.API_KEY, "k", "api_key:k"),
        (Channel.SYSTEM, None, "system"),
    ],
)
def test_one_name_for_one_actor(channel: Channel, key: str | None, expected: str) -> None:
    assert Actor(user_id="u", name="n", channel=channel, api_key_id=key).principal == expected


def test_the_workspace_must_have_been_chosen() -> None:
    nobody = Actor(user_id="u", name="n", channel=Channel.EMAIL)
    with pytest.raises(Invalid) as refused:
        _ = nobody.in_workspace
    assert refused.value.code == "workspace_required"
    assert Actor(user_id="u", name="n", channel=Channel.EMAIL, workspace_id="w").in_workspace == "w"
