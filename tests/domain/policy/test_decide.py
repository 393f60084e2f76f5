"""The policy: each check, the laws that hold for all of them, and deciding again."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.cel import CelRules
from domain.governance import Decision, Verdict
from domain.policy.decide import decide
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.facts import CallFacts, GrantFacts
from domain.policy.replay import compare, replay
from domain.policy.rules import CustomRule, RuleError
from domain.settings_schema import load

CEL = CelRules()
BASE = effective(load({}, {}, {}))
FACTS = CallFacts(tool="note.create", effect=2, args={"title": "hello"}, mode="build", task_id="t")


def verdict(policy: EffectivePolicy, facts: CallFacts) -> Decision:
    return decide(policy, facts, CEL)


@pytest.mark.parametrize(
    ("policy", "facts", "expected", "rule"),
    [
        ({}, {}, Verdict.ALLOW, "default"),
        ({}, {"effect": 3}, Verdict.ESCALATE, "effect_level"),
        ({}, {"effect": 4}, Verdict.ESCALATE, "effect_level"),
        ({"kill_switch": True}, {}, Verdict.DENY, "kill_switch"),
        ({"blocklist": ("note.*",)}, {}, Verdict.DENY, "tool_blocklist"),
        ({"require_approval_for": ("note.create",)}, {}, Verdict.ESCALATE, "approval_list"),
        ({"tool_effects": {"note.create": 3}}, {}, Verdict.ESCALATE, "effect_level"),
        ({"tool_effects": {"note.create": 0}}, {"effect": 3}, Verdict.ESCALATE, "effect_level"),
        ({"per_task": 10}, {"task_spent": 11}, Verdict.DENY, "budget_task"),
        ({"per_operator": 10}, {"operator_spent": 11}, Verdict.DENY, "budget_operator"),
        ({"per_task": 5, "per_day": 10}, {"day_spent": 11}, Verdict.DENY, "budget_day"),
        ({"per_month": 10}, {"month_spent": 11}, Verdict.DENY, "budget_month"),
        ({"emergency": 10}, {"day_spent": 11}, Verdict.DENY, "budget_emergency"),
        ({"per_task": 10}, {"estimate": 11}, Verdict.DENY, "budget_task"),
        ({"per_task": 10**12}, {}, Verdict.DENY, "policy_valid"),
        ({"content_bans": ("SECRET",)}, {"args": {"a": [{"b": "my \uff53ecret plan"}]}}, Verdict.DENY, "content_ban"),
        ({}, {"tool_modes": ("launch",)}, Verdict.DENY, "mode"),
        ({}, {"operator_tools": ("http.get",)}, Verdict.DENY, "operator_tools"),
        ({}, {"connector": "mail", "connector_granted": False}, Verdict.DENY, "connector_grant"),
        (
            {"connector_allowlist": ("git",)},
            {"connector": "mail", "connector_granted": True},
            Verdict.DENY,
            "connector_allowlist",
        ),
        ({}, {"effect": 3, "approved": True}, Verdict.ALLOW, "approved"),
        ({"kill_switch": True}, {"effect": 3, "approved": True}, Verdict.DENY, "kill_switch"),
        ({"engine": "other"}, {}, Verdict.DENY, "policy_valid"),
    ],
)
def test_each_check(policy: dict[str, Any], facts: dict[str, Any], expected: Verdict, rule: str) -> None:
    decision = verdict(replace(BASE, **policy), replace(FACTS, **facts))
    assert (decision.verdict, decision.rule_id) == (expected, rule)
    assert decision.reason_code or expected is Verdict.ALLOW


def test_finishing_is_always_possible_but_for_the_kill_switch() -> None:
    broke = replace(FACTS, tool="finish", effect=0, task_spent=10**12, operator_tools=("x",))
    assert verdict(BASE, broke).verdict is Verdict.ALLOW
    assert verdict(replace(BASE, kill_switch=True), broke).verdict is Verdict.DENY


def rule(when: str, verdict_: str = "DENY") -> CustomRule:
    return CustomRule(id="r1", when=when, verdict=verdict_, reason="because")


def test_rules_in_cel_tighten_and_their_errors_deny() -> None:
    by_arg = replace(BASE, rules=(rule("input.args.title == 'hello'"),))
    assert verdict(by_arg, FACTS).rule_id == "rule:r1"
    assert verdict(by_arg, replace(FACTS, args={"title": "x"})).verdict is Verdict.ALLOW
    missing = verdict(replace(BASE, rules=(rule("input.args.nothing == 1"),)), FACTS)
    assert (missing.verdict, missing.reason_code) == (Verdict.DENY, "PRG_EVALUATION_ERROR")
    assert "r1" in missing.reason
    not_boolean = verdict(replace(BASE, rules=(rule("input.tool"),)), FACTS)
    assert not_boolean.verdict is Verdict.DENY


def test_a_broken_rule_says_where() -> None:
    with pytest.raises(RuleError) as broken:
        CEL.check("input.tool ==")
    assert (broken.value.line, broken.value.column) == (1, 14)
    with pytest.raises(RuleError):
        CEL.check("1 + 1")


GRANT = GrantFacts(id="g", tool="http.post", task_id="t", max_effect=3)
POST = replace(FACTS, tool="http.post", effect=3, grants=(GRANT,))


def test_grants_open_only_what_they_name() -> None:
    assert verdict(BASE, POST).rule_id == "grant:g"
    assert verdict(BASE, replace(POST, task_id="other")).verdict is Verdict.ESCALATE
    assert verdict(BASE, replace(POST, tool="email.send")).verdict is Verdict.ESCALATE
    assert verdict(replace(BASE, tool_effects={"http.post": 4}), POST).verdict is Verdict.ESCALATE
    assert verdict(replace(BASE, blocklist=("http.post",)), POST).verdict is Verdict.DENY
    ask = replace(BASE, rules=(rule("input.tool == 'http.post'", "ESCALATE"),))
    assert verdict(ask, POST).verdict is Verdict.ESCALATE


class Broken:
    def check(self, expression: str) -> None: ...

    def evaluate(self, expressions: Any, given: Any) -> Any:
        raise ZeroDivisionError


def test_any_exception_denies() -> None:
    decision = decide(replace(BASE, rules=(rule("true"),)), FACTS, Broken())
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "PDP_ERROR")


calls = st.builds(
    CallFacts,
    tool=st.sampled_from(["note.create", "http.post", "finish", "email.send"]),
    effect=st.integers(0, 4),
    args=st.dictionaries(st.sampled_from(["title", "url"]), st.text(max_size=12), max_size=2),
    mode=st.just("build"),
    task_id=st.sampled_from(["t", "u"]),
    task_spent=st.integers(0, 200_000_000),
    approved=st.booleans(),
    grants=st.sampled_from([(), (GRANT,)]),
)
policies = st.builds(
    lambda block, ask, kill, bans: replace(
        BASE, blocklist=tuple(block), require_approval_for=tuple(ask), kill_switch=kill, content_bans=tuple(bans)
    ),
    st.lists(st.sampled_from(["http.*", "note.create"]), max_size=2),
    st.lists(st.sampled_from(["note.create", "*"]), max_size=2),
    st.booleans(),
    st.lists(st.sampled_from(["a", "zz"]), max_size=2),
)


@settings(max_examples=200, deadline=None)
@given(
    policies, calls, st.sampled_from(["true", "input.effect > 2", "input.args.url == 'x'", "input.tool == 'finish'"])
)
def test_a_rule_never_weakens(policy: EffectivePolicy, facts: CallFacts, when: str) -> None:
    before = verdict(policy, facts).verdict.strictness
    for word in ("DENY", "ESCALATE"):
        assert verdict(replace(policy, rules=(rule(when, word),)), facts).verdict.strictness >= before


@settings(max_examples=200, deadline=None)
@given(policies, calls)
def test_replay_gives_the_same_decision(policy: EffectivePolicy, facts: CallFacts) -> None:
    decision = verdict(policy, facts)
    again = replay(policy.snapshot(), facts.as_json(), CEL)
    assert again == decision
    assert EffectivePolicy.from_snapshot(policy.snapshot()).policy_hash == policy.policy_hash


def test_a_change_of_policy_shows_what_would_differ() -> None:
    stricter = replace(BASE, blocklist=("note.create",))
    [different] = compare(BASE, stricter, [FACTS, replace(FACTS, tool="http.get", effect=1)], CEL)
    assert (different.before.verdict, different.after.verdict) == (Verdict.ALLOW, Verdict.DENY)
