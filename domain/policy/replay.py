"""Deciding again: a receipt replayed, a change of policy tried on past decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.policy.decide import decide
from domain.policy.effective import EffectivePolicy
from domain.policy.facts import CallFacts
from domain.policy.governance import Decision
from domain.policy.rules import RuleEngine


@dataclass(frozen=True, slots=True)
class Difference:
    """One past call that another policy would have decided otherwise."""

    facts: CallFacts
    before: Decision
    after: Decision


def replay(snapshot: Mapping[str, Any], facts: Mapping[str, Any], engine: RuleEngine) -> Decision:
    """The decision that the kept policy gives about the kept facts."""
    return decide(EffectivePolicy.from_snapshot(snapshot), CallFacts.from_json(facts), engine)


def compare(
    old: EffectivePolicy, new: EffectivePolicy, calls: Iterable[CallFacts], engine: RuleEngine
) -> list[Difference]:
    """The calls on which the two policies differ, in the order given."""
    different: list[Difference] = []
    old_hash, new_hash = old.policy_hash, new.policy_hash
    for facts in calls:
        before = decide(old, facts, engine, policy_hash=old_hash)
        after = decide(new, facts, engine, policy_hash=new_hash)
        if before.verdict is not after.verdict:
            different.append(Difference(facts, before, after))
    return different
