"""Who may decide, as a table: roles, named people, quorum, E4, and whoever asked."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain.approvals.approval import Approver, ApproverRule
from domain.identity.actor import Role

OWNER, PARTNER, OTHER = Approver("o", Role.OWNER), Approver("p", Role.PARTNER), Approver("q", Role.PARTNER)
MEMBER = Approver("m", Role.MEMBER)
EVERYBODY = (OWNER, PARTNER, OTHER, MEMBER)


def approver_rule(
    *, quorum: int = 1, named: Sequence[str] = (), role: Role = Role.OWNER, effect: int = 3
) -> ApproverRule:
    return ApproverRule(quorum=quorum, named=named, role=role, effect=effect)


def code(of: ApproverRule, who: Approver, asked_by: str | None = None) -> str | None:
    refused = of.refusal(who, asked_by=asked_by)
    return None if refused is None else refused.code


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, {"p": "insufficient_role", "q": "insufficient_role", "m": "insufficient_role"}),
        ({"role": Role.PARTNER}, {"m": "insufficient_role"}),
        # one person for E4 is an owner; of several one has to be
        ({"role": Role.PARTNER, "effect": 4}, dict.fromkeys("pqm", "insufficient_role")),
        ({"role": Role.PARTNER, "effect": 4, "quorum": 2}, {"m": "insufficient_role"}),
        # named people and nobody else, whatever their role and whatever the reach
        ({"named": ["m"]}, dict.fromkeys("opq", "not_a_decider")),
        ({"named": ["m", "p"], "role": Role.PARTNER, "effect": 4}, dict.fromkeys("oq", "not_a_decider")),
    ],
)
def test_who_may_decide(given: dict[str, Any], refused: dict[str, str]) -> None:
    of = approver_rule(**given)
    assert {w.user_id: c for w in EVERYBODY if (c := code(of, w)) is not None} == refused


def test_who_asked_is_excluded_only_where_it_takes_several() -> None:
    assert code(approver_rule(), OWNER, asked_by="o") is None
    two = approver_rule(quorum=2, role=Role.PARTNER)
    assert code(two, OWNER, asked_by="o") == "requester_excluded"
    assert code(two, PARTNER, asked_by="o") is None
    # the role is the first thing that is said
    assert code(two, MEMBER, asked_by="m") == "insufficient_role"
    assert code(approver_rule(quorum=2, named=["m", "p"]), MEMBER, asked_by="m") == "requester_excluded"


@pytest.mark.parametrize(
    ("given", "people", "asked_by", "enough"),
    [
        ({}, [OWNER], "o", True),
        ({}, [PARTNER, MEMBER], None, False),
        ({"quorum": 2, "role": Role.PARTNER}, [PARTNER], None, False),
        ({"quorum": 2, "role": Role.PARTNER}, [PARTNER, OTHER], None, True),
        ({"quorum": 2, "role": Role.PARTNER}, [PARTNER, OTHER], "p", False),
        ({"quorum": 2, "role": Role.PARTNER, "effect": 4}, [PARTNER, OTHER], None, False),
        ({"quorum": 2, "role": Role.PARTNER, "effect": 4}, [PARTNER, OWNER], None, True),
        ({"quorum": 2, "named": ["p", "m"], "effect": 4}, [PARTNER, MEMBER], None, True),
        ({"quorum": 2, "named": ["p", "m"]}, [PARTNER, OWNER], None, False),
        ({"named": ["gone"]}, EVERYBODY, None, False),
    ],
)
def test_whose_yes_is_enough(given: dict[str, Any], people: Any, asked_by: str | None, enough: bool) -> None:
    assert approver_rule(**given).is_met_by(people, asked_by=asked_by) is enough


@pytest.mark.parametrize(
    ("given", "fewest_eligible"),
    [
        ({}, 1),
        ({"quorum": 2}, 0),
        ({"quorum": 2, "role": Role.PARTNER}, 2),
        # a member cannot begin work, so nobody of them has to be left out
        ({"quorum": 1, "named": ["m"]}, 1),
        ({"quorum": 2, "named": ["m", "p"]}, 1),
        ({"quorum": 2, "named": ["m", "n"]}, 1),
    ],
)
def test_how_many_there_are_when_one_of_them_asks(given: dict[str, Any], fewest_eligible: int) -> None:
    assert approver_rule(**given).fewest_eligible(EVERYBODY) == fewest_eligible
