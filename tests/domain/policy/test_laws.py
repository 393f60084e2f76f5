"""The laws of the policy: what holds for every policy and every call."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_builders import BASE, CEL, FACTS, calls, policies, rule, rules, verdict

from domain.policy.decide import decide, explain, tool_verdict
from domain.policy.effective import EffectivePolicy, effective
from domain.policy.facts import CallFacts
from domain.policy.governance import Verdict
from domain.policy.packs import pack
from domain.policy.replay import replay
from domain.policy.rules import CustomRule
from domain.policy.settings_schema import PACKS, load

many = settings(max_examples=250, deadline=None)


@many
@given(policies, calls, rules)
def test_one_more_rule_never_weakens(policy: EffectivePolicy, facts: CallFacts, more: CustomRule) -> None:
    before = verdict(policy, facts).verdict.strictness
    assert verdict(replace(policy, rules=(*policy.rules, more)), facts).verdict.strictness >= before


@many
@given(policies, calls, st.sampled_from(PACKS))
def test_one_more_pack_never_weakens(policy: EffectivePolicy, facts: CallFacts, name: str) -> None:
    before = verdict(policy, facts).verdict.strictness
    assert verdict(replace(policy, packs=(*policy.packs, pack(name))), facts).verdict.strictness >= before


@many
@given(policies, calls)
def test_an_unknown_role_is_never_treated_better(policy: EffectivePolicy, facts: CallFacts) -> None:
    unknown = verdict(policy, replace(facts, operator_role="")).verdict.strictness
    assert unknown >= verdict(policy, facts).verdict.strictness


@many
@given(policies, calls)
def test_no_call_is_treated_better_than_what_is_said_of_its_tool(policy: EffectivePolicy, facts: CallFacts) -> None:
    bare = replace(facts, grants=(), approved=False, operator_role="")
    said = tool_verdict(policy, tool=facts.tool, effect=facts.effect)
    assert verdict(policy, bare).verdict.strictness >= said.strictness


def test_what_is_said_of_a_tool() -> None:
    raised = replace(BASE, tool_effects={"crm.*": 3}, blocklist=("shell.*",))
    said = {tool: tool_verdict(raised, tool=tool, effect=1) for tool in ("crm.write", "shell.run", "note.create")}
    assert said == {"crm.write": Verdict.ESCALATE, "shell.run": Verdict.DENY, "note.create": Verdict.ALLOW}


@many
@given(policies, calls)
def test_neither_a_grant_nor_an_approval_beats_a_denial(policy: EffectivePolicy, facts: CallFacts) -> None:
    bare = verdict(policy, replace(facts, grants=(), approved=False)).verdict
    if bare is Verdict.DENY:
        assert verdict(policy, facts).verdict is Verdict.DENY


@many
@given(policies, calls)
def test_a_grant_never_lifts_what_a_rule_escalates(policy: EffectivePolicy, facts: CallFacts) -> None:
    facts = replace(facts, approved=False)
    asked = replace(policy, rules=(*policy.rules, rule("true", "ESCALATE", name="ask")))
    assert verdict(asked, facts).verdict is not Verdict.ALLOW


@many
@given(policies, calls, st.randoms())
def test_the_order_of_lists_does_not_change_the_verdict(policy: EffectivePolicy, facts: CallFacts, random: Any) -> None:
    def shuffled(items: Any) -> Any:
        return tuple(random.sample(items, len(items)))

    other = replace(
        policy,
        blocklist=shuffled(policy.blocklist),
        content_bans=shuffled(policy.content_bans),
        require_approval_for=shuffled(policy.require_approval_for),
        rules=shuffled(policy.rules),
        packs=shuffled(policy.packs),
        tool_effects=dict(shuffled(list(policy.tool_effects.items()))),
    )
    mixed = replace(facts, grants=shuffled(facts.grants))
    assert verdict(other, mixed).verdict is verdict(policy, facts).verdict


@many
@given(policies, calls)
def test_deciding_again_from_what_was_kept_gives_the_same(policy: EffectivePolicy, facts: CallFacts) -> None:
    decision = verdict(policy, facts)
    assert replay(policy.snapshot(), facts.as_json(), CEL) == decision
    assert EffectivePolicy.from_snapshot(policy.snapshot()) == policy
    assert decision.policy_hash == policy.policy_hash


@many
@given(policies, calls)
def test_the_explanation_and_the_decision_agree(policy: EffectivePolicy, facts: CallFacts) -> None:
    found = explain(policy, facts, CEL)
    decision = verdict(policy, facts)
    if not found:
        assert decision.verdict is Verdict.ALLOW
        return
    strictest = max(found, key=lambda f: f.verdict.strictness)
    assert (decision.verdict, decision.rule_id) == (strictest.verdict, strictest.rule_id)
    assert decision.reason_code
    assert decision.reason


# --- whatever breaks, denies --------------------------------------------------------------------------


class Breaking(Mapping[str, Any]):
    """Arguments that cannot be read."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Any:
        raise OSError("gone")

    def __len__(self) -> int:
        return 1


def deep() -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for _ in range(20_000):
        whole = {"a": whole}
    return whole


@pytest.mark.parametrize(
    ("policy", "facts", "what"),
    [
        ({"content_bans": ("x",)}, {"args": Breaking()}, "content_bans"),
        ({"content_bans": ("x",)}, {"args": deep()}, "content_bans"),
        ({"allowed_hosts": ("x",)}, {"args": deep()}, "hosts"),
        ({}, {"estimate": None}, "budgets"),
        ({}, {"task_spent": "many"}, "budgets"),
        ({"per_task": None}, {}, "valid_policy"),
        ({}, {"effect": "E2"}, "needs_approval"),
        ({"blocklist": (7,)}, {}, "blocklist"),
        ({"tool_effects": {"note.*": "high"}}, {}, "engine"),
        ({"rules": (7,)}, {}, "engine"),
        ({"packs": (7,)}, {}, "engine"),
    ],
)
def test_any_broken_check_denies_and_is_named(policy: dict[str, Any], facts: dict[str, Any], what: str) -> None:
    broken = replace(BASE, **policy)
    decision = decide(broken, replace(FACTS, **facts), CEL, policy_hash="h")
    assert (decision.verdict, decision.reason_code, decision.rule_id) == (Verdict.DENY, "PDP_ERROR", what)
    found = explain(broken, replace(FACTS, **facts), CEL)
    assert what in [f.rule_id for f in found]


def test_a_policy_that_cannot_be_named_denies() -> None:
    decision = decide(replace(BASE, per_task=object()), FACTS, CEL)  # type: ignore[arg-type]
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "PDP_ERROR")


class Silent:
    def check(self, expression: str) -> None: ...

    def evaluate(self, expressions: Any, given: Any) -> Any:
        return []


class Vague:
    def check(self, expression: str) -> None: ...

    def evaluate(self, expressions: Any, given: Any) -> Any:
        return [None]


class Broken:
    def check(self, expression: str) -> None: ...

    def evaluate(self, expressions: Any, given: Any) -> Any:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("engine", "code"), [(Silent(), "PDP_ERROR"), (Broken(), "PDP_ERROR"), (Vague(), "PRG_EVALUATION_ERROR")]
)
def test_an_engine_that_fails_denies(engine: Any, code: str) -> None:
    decision = decide(replace(BASE, rules=(rule("false"),)), FACTS, engine)
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, code)


# --- names of policies --------------------------------------------------------------------------------


def test_the_name_of_the_policy_does_not_move() -> None:
    # Receipts name policies by this hash. It changes when the meaning of a policy does, and not otherwise.
    assert (
        BASE.policy_hash
        == "b0c06c06c7e863382b044ef8ec4be2be50a286871f86768d037cf560b2d7396f"  # pragma: allowlist secret
    )  # pragma: allowlist secret


def test_the_same_settings_in_another_order_are_the_same_policy() -> None:
    lists = {
        "toolBlocklist": ["b", "a"],
        "contentBans": ["y", "x"],
        "requireApprovalFor": ["d", "c"],
        "packs": ["ops", "design"],
        "allowedHosts": ["b.example", "a.example"],
        "toolEffects": {"b": "E3", "a": "E4"},
    }
    other = {k: dict(reversed(v.items())) if isinstance(v, dict) else v[::-1] for k, v in lists.items()}
    assert effective(load(lists, {}, {})).policy_hash == effective(load(other, {}, {})).policy_hash


def test_a_snapshot_from_before_packs_and_hosts_is_still_read() -> None:
    old = BASE.snapshot() | {"rules": [{"id": "r", "when": "true", "verdict": "DENY", "reason": ""}]}
    assert {"packs", "allowed_hosts"}.isdisjoint(old)
    read = EffectivePolicy.from_snapshot(old)
    assert read.snapshot() == old
    old_facts = {k: v for k, v in FACTS.as_json().items() if k not in ("at", "operator_role")}
    assert replay(old, old_facts, CEL).rule_id == "rule:r"


def test_a_policy_of_another_engine_is_not_replayed_as_if_it_were_ours() -> None:
    decision = replay(BASE.snapshot() | {"engine": "pilot-policy-0"}, FACTS.as_json(), CEL)
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "POLICY_NOT_READY")
