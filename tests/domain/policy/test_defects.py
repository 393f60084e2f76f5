"""Defects of the public reference that touch the policy, by their number in its list: here they do not happen."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policy_builders import BASE, FACTS, verdict

from domain.policy.effective import EffectivePolicy, effective
from domain.policy.governance import Verdict
from domain.policy.settings_schema import load, merge

EMPTY = load({}, {}, {})


def policy_of(patch: Mapping[str, Any]) -> EffectivePolicy:
    return effective(merge(EMPTY, patch))


def test_7_the_documented_settings_do_not_disable_the_operators() -> None:
    policy = policy_of({"budgetConfig": {"monthlyLlmBudget": 100, "currency": "USD"}})
    assert (policy.per_month, policy.per_day) == (100_000_000, 500_000_000)
    assert verdict(policy, FACTS).verdict is Verdict.ALLOW
    spent = verdict(policy, replace(FACTS, month_spent=100_000_001))
    assert (spent.verdict, spent.rule_id) == (Verdict.DENY, "budget_month")


def test_16_one_workspace_never_decides_under_the_policy_of_another() -> None:
    policies = [policy_of({"policyConfig": {"killSwitch": True}}), policy_of({})]
    seen: list[tuple[int, Verdict]] = []

    def work(number: int) -> None:
        seen.extend((number, verdict(policies[number], FACTS).verdict) for _ in range(500))

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {(0, Verdict.DENY), (1, Verdict.ALLOW)}


def test_28_a_tool_outside_the_mode_does_not_run() -> None:
    decision = verdict(BASE, replace(FACTS, tool_modes=("build",), mode="discover"))
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, "INSUFFICIENT_PRIVILEGE")


def test_29_bans_see_objects_and_connectors_are_checked() -> None:
    banned = policy_of({"policyConfig": {"contentBans": ["secret"]}})
    assert verdict(banned, replace(FACTS, args={"input": {"text": "my SECRET"}})).verdict is Verdict.DENY
    listed = policy_of({"policyConfig": {"connectorAllowlist": ["github"]}})
    for connector, granted, expected in (
        ("slack", True, Verdict.DENY),
        ("github", False, Verdict.DENY),
        ("github", None, Verdict.DENY),
        ("github", True, Verdict.ALLOW),
    ):
        call = replace(FACTS, connector=connector, connector_granted=granted)
        assert verdict(listed, call).verdict is expected


def test_29_writing_outside_asks_with_nothing_configured() -> None:
    decision = verdict(policy_of({}), replace(FACTS, tool="mcp.github.create_repo", effect=3))
    assert (decision.verdict, decision.reason_code) == (Verdict.ESCALATE, "APPROVAL_REQUIRED")


def test_31_every_budget_is_enforced_and_in_dollars() -> None:
    policy = policy_of({"budgetConfig": {"perTaskMax": 1, "perOperatorMax": 2, "dailyTotalMax": 3, "emergencyKill": 4}})
    for fact, limit in (("task", 1), ("operator", 2), ("day", 3)):
        at = replace(FACTS, **{f"{fact}_spent": limit * 1_000_000})
        assert verdict(policy, at).verdict is Verdict.ALLOW
        over = verdict(policy, replace(at, estimate=1))
        assert (over.verdict, over.rule_id) == (Verdict.DENY, f"budget_{fact}")
    frozen = verdict(replace(policy, per_day=10**9), replace(FACTS, day_spent=4_000_001))
    assert frozen.rule_id == "budget_emergency"
    assert verdict(policy, replace(FACTS, estimate=-1)).reason_code == "BUDGET_ERROR"


def test_42_the_kill_switch_alone_wipes_nothing() -> None:
    first = merge(EMPTY, {"policyConfig": {"toolBlocklist": ["http.post"], "requireApprovalFor": ["note.*"]}})
    policy = effective(
        merge(merge(first, {"policyConfig": {"killSwitch": True}}), {"policyConfig": {"killSwitch": False}})
    )
    assert verdict(policy, replace(FACTS, tool="http.post")).verdict is Verdict.DENY
    assert verdict(policy, FACTS).verdict is Verdict.ESCALATE
