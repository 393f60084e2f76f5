"""Violations: calls that the policy refused or that broke a rule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.integrity import differs_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One call that the policy refused. `severity` is info, warning or critical."""

    id: str
    workspace_id: str
    policy_rule: str
    violation: str
    severity: str
    action: str
    blocked: bool
    metadata: dict[str, Any]
    created_at: datetime
    differs: tuple[str, ...] = differs_field()
