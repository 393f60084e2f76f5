"""Settings of a workspace: merged, checked, named when refused, and whole when accepted."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.policy.effective import effective
from domain.policy.settings_schema import QuietHours, WorkspaceSettings, load, merge, micros

EMPTY = load({}, {}, {})
QUIET_ZONE = timezone(timedelta(hours=5, minutes=30))


def test_the_documented_example_works() -> None:
    """The reference's own example made its policy invalid and every action denied (contract.md 12.1, 7)."""
    merged = merge(
        EMPTY,
        {
            "policyConfig": {"maxIterationBudget": 50, "blockedTools": []},
            "budgetConfig": {"monthlyLlmBudget": 100, "currency": "USD"},
            "modelConfig": {
                "provider": "openrouter",
                "model": "anthropic/claude-sonnet-4-20250514",
                "temperature": 0.7,
            },
        },
    )
    assert merged.budget.monthly_llm_budget == 100
    assert merged.budget.daily_total_max == 500


def test_keys_not_given_stay() -> None:
    """The reference replaced whole sections (contract.md 12.3, 42)."""
    first = merge(EMPTY, {"policyConfig": {"blockedTools": ["http.post"], "contentBans": ["x"]}})
    second = merge(first, {"policyConfig": {"killSwitch": True}})
    assert second.policy.tool_blocklist == ["http.post"]
    assert second.policy.content_bans == ["x"]


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"policyConfig": {"maxIterationBudget": -3}}, "policyConfig.maxIterationBudget"),
        ({"policyConfig": {"nonsense": 1}}, "policyConfig.nonsense"),
        ({"budgetConfig": {"perTaskMax": -1}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"perTaskMax": float("nan")}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"perTaskMax": 600}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"currency": "EUR"}}, "budgetConfig.currency"),
        ({"modelConfig": {"temperature": 99}}, "modelConfig.temperature"),
        ({"policyConfig": {"killSwitch": "yes"}}, "policyConfig.killSwitch"),
        ({"policyConfig": []}, "policyConfig"),
        ({"other": {}}, "other"),
        ({"policyConfig": {"blockedTools": [], "toolBlocklist": []}}, "policyConfig"),
        ({"policyConfig": {"maxIterationBudget": 1001}}, "policyConfig.maxIterationBudget"),
        ({"policyConfig": {"maxIterationBudget": True}}, "policyConfig.maxIterationBudget"),
        ({"policyConfig": {"toolBlocklist": "http.post"}}, "policyConfig.toolBlocklist"),
        ({"policyConfig": {"toolBlocklist": ["rm -rf /"]}}, "policyConfig.toolBlocklist"),
        ({"policyConfig": {"toolBlocklist": [5]}}, "policyConfig.toolBlocklist.0"),
        ({"policyConfig": {"toolBlocklist": ["t"] * 201}}, "policyConfig.toolBlocklist"),
        ({"policyConfig": {"contentBans": [" "]}}, "policyConfig.contentBans"),
        ({"policyConfig": {"contentBans": ["\u200b\ufe0f"]}}, "policyConfig.contentBans"),
        ({"policyConfig": {"contentBans": ["x" * 201]}}, "policyConfig.contentBans"),
        ({"policyConfig": {"contentBans": ["a\ud800"]}}, "policyConfig"),
        ({"modelConfig": {"model": "a\ud800"}}, "modelConfig"),
        ({"policyConfig": {"toolEffects": {"\udfff": "E3"}}}, "policyConfig"),
        ({"policyConfig": {"toolEffects": {"mcp.x": "E9"}}}, "policyConfig.toolEffects.mcp.x"),
        ({"policyConfig": {"toolEffects": {"a b": "E3"}}}, "policyConfig.toolEffects"),
        ({"policyConfig": {"approvalFrom": "E4"}}, "policyConfig.approvalFrom"),
        ({"policyConfig": {"allowedHosts": ["https://example.com"]}}, "policyConfig.allowedHosts"),
        ({"policyConfig": {"allowedHosts": ["*"]}}, "policyConfig.allowedHosts"),
        ({"policyConfig": {"allowedHosts": ["a.*.com"]}}, "policyConfig.allowedHosts"),
        ({"policyConfig": {"packs": ["finance"]}}, "policyConfig.packs"),
        ({"policyConfig": {"approvers": ["u" * 201]}}, "policyConfig.approvers.0"),
        ({"policyConfig": {"quietHours": {"start": "25:00", "end": "07:00"}}}, "policyConfig.quietHours.start"),
        (
            {"policyConfig": {"quietHours": {"start": "22:00", "end": "07:00", "timezone": "Mars/Phobos"}}},
            "policyConfig.quietHours.timezone",
        ),
        (
            {"policyConfig": {"quietHours": {"start": "22:00", "end": "07:00", "timezone": "../etc/passwd"}}},
            "policyConfig.quietHours.timezone",
        ),
        (
            {"policyConfig": {"rules": [{"id": "a", "when": "true", "verdict": "ALLOW"}]}},
            "policyConfig.rules.0.verdict",
        ),
        (
            {"policyConfig": {"rules": [{"id": "a", "when": "true", "verdict": "DENY"}] * 2}},
            "policyConfig.rules",
        ),
        (
            {"policyConfig": {"rules": [{"id": "a", "when": "true", "verdict": "DENY", "tools": ["a b"]}]}},
            "policyConfig.rules.0.tools",
        ),
        ({"budgetConfig": {"perTaskMax": "100"}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"perTaskMax": True}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"perTaskMax": 0}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"perTaskMax": 10**400}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"perTaskMax": float("inf")}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"perTaskMax": None}}, "budgetConfig.perTaskMax"),
        ({"budgetConfig": {"dailyTotalMax": 150}}, "budgetConfig.dailyTotalMax"),
        ({"budgetConfig": {"perOperatorMax": 501}}, "budgetConfig.perOperatorMax"),
        ({"budgetConfig": {"monthlyLlmBudget": 1, "monthlyMax": 2}}, "budgetConfig"),
        ({"budgetConfig": {"currency": None}}, "budgetConfig.currency"),
        ({"modelConfig": {"temperature": -0.1}}, "modelConfig.temperature"),
        ({"modelConfig": {"temperature": "0.5"}}, "modelConfig.temperature"),
        ({"modelConfig": {"model": ""}}, "modelConfig.model"),
        ({"modelConfig": {"baseUrl": "file:///etc"}}, "modelConfig.baseUrl"),
        ({"modelConfig": {"fallbacks": ["m"] * 6}}, "modelConfig.fallbacks"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(patch: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        merge(EMPTY, patch)
    assert field in refused.value.details["fieldErrors"]


def test_another_currency_is_refused_in_words() -> None:
    with pytest.raises(Invalid) as refused:
        merge(EMPTY, {"budgetConfig": {"currency": "EUR"}})
    [problem] = refused.value.details["fieldErrors"]["budgetConfig.currency"]
    assert "USD" in problem
    assert EMPTY.budget.currency == "USD"


def test_a_month_is_a_month_under_both_names() -> None:
    merged = merge(EMPTY, {"budgetConfig": {"monthlyMax": 40}})
    assert (merged.budget.monthly_llm_budget, merged.budget.daily_total_max) == (40, 500)
    assert merge(merged, {"budgetConfig": {"monthlyLlmBudget": None}}).budget.monthly_llm_budget is None


def test_lists_are_sets_in_one_order() -> None:
    patch = {"toolBlocklist": ["b", "a", "b"], "allowedHosts": ["B.example", "*.a.example"], "packs": ["ops", "ops"]}
    policy = merge(EMPTY, {"policyConfig": patch}).policy
    assert (policy.tool_blocklist, policy.allowed_hosts) == (["a", "b"], ["*.a.example", "b.example"])
    assert policy.packs == ["ops"]


@pytest.mark.parametrize("patch", [None, [], "x", 5, True])
def test_only_an_object_is_a_change(patch: Any) -> None:
    with pytest.raises(Invalid):
        merge(EMPTY, patch)


def test_nothing_given_changes_nothing() -> None:
    assert merge(EMPTY, {}) == EMPTY
    assert merge(EMPTY, {"policyConfig": None, "workspaceId": "w"}) == EMPTY


@pytest.mark.parametrize(
    ("start", "end", "clock", "quiet"),
    [
        ("22:00", "07:00", "21:59", False),
        ("22:00", "07:00", "22:00", True),
        ("22:00", "07:00", "03:00", True),
        ("22:00", "07:00", "07:00", False),
        ("12:00", "13:00", "12:30", True),
        ("12:00", "13:00", "13:30", False),
        ("12:00", "12:00", "12:00", False),
    ],
)
def test_quiet_hours(start: str, end: str, clock: str, quiet: bool) -> None:
    hour, minute = map(int, clock.split(":"))
    # Kolkata is 5 h 30 min ahead of UTC all year
    there = datetime(2026, 3, 2, hour, minute, tzinfo=QUIET_ZONE).astimezone(UTC)
    assert QuietHours(start=start, end=end, timezone="Asia/Kolkata").cover(there) is quiet


def test_money_is_exact() -> None:
    assert [micros(0.1), micros(19.99), micros(1_000_000)] == [100_000, 19_990_000, 10**12]


names = st.sampled_from(
    ["killSwitch", "toolBlocklist", "rules", "packs", "perTaskMax", "dailyTotalMax", "currency", "model", "nonsense"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["USD", "ops"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def outcome(patch: Any) -> WorkspaceSettings | Invalid:
    try:
        return merge(EMPTY, patch)
    except Invalid as refused:
        return refused


def test_a_bottomless_change_is_only_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert isinstance(outcome({"policyConfig": {"toolBlocklist": deep}}), Invalid)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["policyConfig", "budgetConfig", "modelConfig", "other"]),
        values | st.dictionaries(names, values, max_size=3),
        max_size=3,
    )
)
def test_any_change_is_refused_by_field_or_makes_whole_settings(patch: Any) -> None:
    merged = outcome(patch)
    if isinstance(merged, Invalid):
        assert merged.details["fieldErrors"]
        return
    sections = merged.as_json()
    stored = json.loads(json.dumps(sections, allow_nan=False))
    again = load(stored["policyConfig"], stored["budgetConfig"], stored["modelConfig"])
    assert again == merged
    assert merge(merged, patch) == merged
    assert merge(EMPTY, sections) == merged


# what was stored and hashed before the attributes had names of their own
EVERYTHING = {
    "policyConfig": {
        "killSwitch": True,
        "maxIterationBudget": 7,
        "blockedTools": ["http.post", "a.b"],
        "contentBans": ["z", "a"],
        "connectorAllowlist": ["mail"],
        "requireApprovalFor": ["x.*"],
        "failClosed": False,
        "rules": [{"id": "r", "when": "input.args.to == 'x'", "verdict": "DENY"}],
        "toolEffects": {"z.b": "E3", "a.a": "E4"},
        "approvalTtlMinutes": 5,
        "approvalQuorum": 2,
        "approvers": ["u2", "u1"],
        "approverRole": "partner",
        "approvalFrom": "E2",
        "allowedHosts": ["B.example", "a.example"],
        "packs": ["ops", "design"],
        "undoSeconds": 9,
        "quietHours": {"start": "22:00", "end": "07:00", "timezone": "Europe/Berlin"},
    },
    "budgetConfig": {
        "dailyTotalMax": 400,
        "perTaskMax": 50.5,
        "perOperatorMax": 60,
        "emergencyKill": 900,
        "monthlyMax": 77.25,
        "currency": "USD",
    },
    "modelConfig": {
        "provider": "openai",
        "model": "m",
        "temperature": 0,
        "fallbacks": ["n"],
        "baseUrl": "https://x.example/v1",
    },
}


@pytest.mark.parametrize(
    ("patch", "stored", "policy"),
    [
        (
            {},
            "755765fa38082d47b6771712d33f310c16fd7cf83af017904b14d3c840c58176",  # pragma: allowlist secret
            "b0c06c06c7e863382b044ef8ec4be2be50a286871f86768d037cf560b2d7396f",  # pragma: allowlist secret
        ),
        (
            EVERYTHING,
            "f81c81fdcd792d29ed22db569b13ae6207343ea54a3b63450f9df5c0722079c4",  # pragma: allowlist secret
            "5dbd050639ab4bc7d46352fced91c6b925c4b05ef41606ae6b67af9e1c3166f3",  # pragma: allowlist secret
        ),
    ],
)
def test_what_is_stored_and_hashed_stays(patch: dict[str, Any], stored: str, policy: str) -> None:
    found = merge(EMPTY, patch)
    written = json.dumps(found.as_json())
    assert hashlib.sha256(written.encode()).hexdigest() == stored
    assert effective(found).policy_hash == policy
    sections = json.loads(written)
    assert load(sections["policyConfig"], sections["budgetConfig"], sections["modelConfig"]) == found


@pytest.mark.parametrize("section", ["policyConfig", "budgetConfig", "modelConfig"])
def test_only_the_names_of_the_wire_are_taken(section: str) -> None:
    camel = EMPTY.as_json()[section]
    for name, value in camel.items():
        assert "_" not in name
        ours = re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name)
        if ours != name:
            with pytest.raises(Invalid):
                merge(EMPTY, {section: {ours: value}})
