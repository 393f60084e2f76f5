"""Changing a policy: a patch is merged into the settings, and every rule of the result must compile."""

from collections.abc import Iterator
from typing import Any

from domain.errors import Invalid
from domain.policy.rules import RuleEngine, RuleError
from domain.policy.settings_schema import WorkspaceSettings, merge


def merged(before: WorkspaceSettings, patch: Any, *, rules: RuleEngine) -> WorkspaceSettings:
    """`before` with a change that is sound; Invalid names the field, and the line and column of a broken rule."""
    after = merge(before, patch)
    for field, said, error in broken_rules(after, rules):
        raise Invalid(
            f"{field}: {said}",
            code="invalid_rule",
            details={
                "formErrors": [],
                "fieldErrors": {field: [said]},
                "line": error.line,
                "column": error.column,
            },
        )
    return after


def broken_rules(settings: WorkspaceSettings, rules: RuleEngine) -> Iterator[tuple[str, str, RuleError]]:
    """Every rule that does not compile: its field, what is wrong with the place of it, and the error."""
    for rule in settings.policy.rules:
        try:
            rules.check(rule.when)
        except RuleError as error:
            place = f"line {error.line}, column {error.column}: " if error.line else ""
            yield f"policyConfig.rules.{rule.id}", f"{place}{error}", error
