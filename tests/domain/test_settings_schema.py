from typing import Any

import pytest

from domain.errors import Invalid
from domain.settings_schema import load, merge

EMPTY = load({}, {}, {})


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
    assert merged.budget.monthlyLlmBudget == 100
    assert merged.budget.dailyTotalMax == 500


def test_keys_not_given_stay() -> None:
    """The reference replaced whole sections (contract.md 12.3, 42)."""
    first = merge(EMPTY, {"policyConfig": {"blockedTools": ["http.post"], "contentBans": ["x"]}})
    second = merge(first, {"policyConfig": {"killSwitch": True}})
    assert second.policy.toolBlocklist == ["http.post"]
    assert second.policy.contentBans == ["x"]


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
    ],
)
def test_what_does_not_fit_is_refused_by_name(patch: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        merge(EMPTY, patch)
    assert field in refused.value.details["fieldErrors"]
