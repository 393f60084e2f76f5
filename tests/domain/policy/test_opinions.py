"""What others say of a call is a fact of its decision: the strictest verdict wins, and a replay hears it again."""

from dataclasses import replace
from typing import Any

import pytest
from policy_builders import BASE, CEL, FACTS, rule

from domain.policy.decide import decide, explain
from domain.policy.facts import CallFacts, OpinionFacts
from domain.policy.governance import Verdict
from domain.policy.replay import replay

QUIET = replace(FACTS, effect=1)


def heard(*verdicts: str) -> tuple[OpinionFacts, ...]:
    return tuple(
        OpinionFacts(source=f"source{n}", verdict=verdict, reason_code=f"CODE_{n}", reason=f"because {n}")
        for n, verdict in enumerate(verdicts)
    )


@pytest.mark.parametrize(
    ("opinions", "effect", "approved", "expected", "by"),
    [
        ((), 1, False, "ALLOW", "default"),
        (("ALLOW",), 1, False, "ALLOW", "default"),
        (("ESCALATE",), 1, False, "ESCALATE", "source0"),
        (("DENY",), 1, False, "DENY", "source0"),
        (("ESCALATE", "DENY"), 1, False, "DENY", "source1"),
        # an opinion takes no question of ours away
        (("ALLOW",), 3, False, "ESCALATE", "effect_level"),
        (("ESCALATE",), 3, False, "ESCALATE", "effect_level"),
        # one yes of a person answers both questions, and no denial
        (("ESCALATE",), 3, True, "ALLOW", "approved"),
        (("DENY",), 3, True, "DENY", "source0"),
    ],
)
def test_the_strictest_wins(opinions: tuple[str, ...], effect: int, approved: bool, expected: str, by: str) -> None:
    facts = replace(FACTS, effect=effect, approved=approved, opinions=heard(*opinions))
    decision = decide(BASE, facts, CEL)
    assert (decision.verdict, decision.rule_id) == (expected, by)
    again = replay(BASE.snapshot(), CallFacts.from_json(facts.as_json()).as_json(), CEL)
    assert again == decision


def test_our_own_denial_comes_first() -> None:
    policy = replace(BASE, rules=(rule("true"),))
    facts = replace(QUIET, opinions=heard("DENY"))
    assert decide(policy, facts, CEL).rule_id.startswith("rule:")
    assert [f.rule_id for f in explain(policy, facts, CEL)][-1] == "source0"


def test_a_verdict_that_is_none_denies() -> None:
    decision = decide(BASE, replace(QUIET, opinions=heard("MAYBE")), CEL)
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "PDP_ERROR")


def test_decisions_from_before_there_were_opinions_are_read() -> None:
    old: dict[str, Any] = QUIET.as_json()
    del old["opinions"]
    assert CallFacts.from_json(old) == QUIET
