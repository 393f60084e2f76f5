"""The policy: each check by itself, and comparing two policies."""

from dataclasses import replace
from typing import Any

import pytest
from policy_builders import BASE, CEL, FACTS, GRANT, rule, verdict

from domain.policy.governance import Verdict
from domain.policy.replay import compare


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


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (1, "note.create reads (E1)"),
        (2, "note.create writes inside Pilot (E2)"),
        (3, "note.create acts outside (E3)"),
        (4, "note.create is critical (E4)"),
    ],
)
def test_the_reason_says_how_far_the_call_reaches(effect: int, said: str) -> None:
    """Where people are asked from E1 or E2 on, everything was said to act outside."""
    assert verdict(replace(BASE, approval_from=1), replace(FACTS, effect=effect)).reason == said


def test_finishing_is_always_possible_but_for_the_kill_switch() -> None:
    broke = replace(FACTS, tool="finish", effect=0, task_spent=10**12, operator_tools=("x",))
    assert verdict(BASE, broke).verdict is Verdict.ALLOW
    assert verdict(replace(BASE, kill_switch=True), broke).verdict is Verdict.DENY


def test_rules_in_cel_tighten_and_their_errors_deny() -> None:
    by_arg = replace(BASE, rules=(rule("input.args.title == 'hello'"),))
    assert verdict(by_arg, FACTS).rule_id == "rule:r1"
    assert verdict(by_arg, replace(FACTS, args={"title": "x"})).verdict is Verdict.ALLOW
    missing = verdict(replace(BASE, rules=(rule("input.args.nothing == 1"),)), FACTS)
    assert (missing.verdict, missing.reason_code) == (Verdict.DENY, "PRG_EVALUATION_ERROR")
    assert "r1" in missing.reason
    not_boolean = verdict(replace(BASE, rules=(rule("input.tool"),)), FACTS)
    assert not_boolean.verdict is Verdict.DENY


POST = replace(FACTS, tool="http.post", effect=3, grants=(GRANT,))


def test_grants_open_only_what_they_name() -> None:
    assert verdict(BASE, POST).rule_id == "grant:g"
    assert verdict(BASE, replace(POST, task_id="other")).verdict is Verdict.ESCALATE
    assert verdict(BASE, replace(POST, tool="email.send")).verdict is Verdict.ESCALATE
    assert verdict(replace(BASE, tool_effects={"http.post": 4}), POST).verdict is Verdict.ESCALATE
    assert verdict(replace(BASE, blocklist=("http.post",)), POST).verdict is Verdict.DENY
    hour = replace(POST, grants=(replace(GRANT, expires_at="2026-01-01T13:00:00.000Z"),))
    assert verdict(BASE, replace(hour, at="2026-01-01T12:59:59.999Z")).rule_id == "grant:g"
    assert verdict(BASE, replace(hour, at="2026-01-01T13:00:00.000Z")).verdict is Verdict.ESCALATE
    ask = replace(BASE, rules=(rule("input.tool == 'http.post'", "ESCALATE"),))
    assert verdict(ask, POST).verdict is Verdict.ESCALATE


def test_a_change_of_policy_shows_what_would_differ() -> None:
    stricter = replace(BASE, blocklist=("note.create",))
    [different] = compare(BASE, stricter, [FACTS, replace(FACTS, tool="http.get", effect=1)], CEL)
    assert (different.before.verdict, different.after.verdict) == (Verdict.ALLOW, Verdict.DENY)
