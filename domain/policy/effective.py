"""The effective policy of one workspace at one moment: a value with a hash, never shared state."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.governance import Effect
from domain.receipts.canonical import canonical
from domain.settings_schema import BudgetConfig, PolicyConfig, WorkspaceSettings, micros

# Goes up with every change of meaning of a check, so that a replay knows what it replays.
ENGINE = "pilot-policy-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRule:
    """A CEL rule: when `when` is true over `input`, the verdict is at least `verdict`."""

    id: str
    when: str
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """What is in force. Amounts in micros of a US dollar. `policy_hash` (64 hex) names exactly this."""

    kill_switch: bool
    fail_closed: bool
    blocklist: tuple[str, ...]
    content_bans: tuple[str, ...]
    connector_allowlist: tuple[str, ...]
    require_approval_for: tuple[str, ...]
    tool_effects: Mapping[str, int]
    rules: tuple[CustomRule, ...]
    per_task: int
    per_operator: int
    per_day: int
    per_month: int | None
    emergency: int
    approval_from: int = int(Effect.E3)
    engine: str = ENGINE

    def snapshot(self) -> dict[str, Any]:
        """The policy as canonical-JSON-able value; `from_snapshot` reads it back."""
        return {
            "engine": self.engine,
            "kill_switch": self.kill_switch,
            "fail_closed": self.fail_closed,
            "blocklist": list(self.blocklist),
            "content_bans": list(self.content_bans),
            "connector_allowlist": list(self.connector_allowlist),
            "require_approval_for": list(self.require_approval_for),
            "tool_effects": dict(self.tool_effects),
            "rules": [{"id": r.id, "when": r.when, "verdict": r.verdict, "reason": r.reason} for r in self.rules],
            "per_task": self.per_task,
            "per_operator": self.per_operator,
            "per_day": self.per_day,
            "per_month": self.per_month,
            "emergency": self.emergency,
            "approval_from": self.approval_from,
        }

    @classmethod
    def from_snapshot(cls, data: Mapping[str, Any]) -> "EffectivePolicy":
        """The policy a snapshot describes."""
        return cls(
            **{
                **data,
                "blocklist": tuple(data["blocklist"]),
                "content_bans": tuple(data["content_bans"]),
                "connector_allowlist": tuple(data["connector_allowlist"]),
                "require_approval_for": tuple(data["require_approval_for"]),
                "rules": tuple(CustomRule(**rule) for rule in data["rules"]),
            }
        )

    def canonical(self) -> bytes:
        """The bytes that are hashed and kept."""
        return canonical(self.snapshot())

    @property
    def policy_hash(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()


def effective(settings: WorkspaceSettings) -> EffectivePolicy:
    """The policy that follows from a workspace's settings."""
    policy: PolicyConfig = settings.policy
    budget: BudgetConfig = settings.budget
    return EffectivePolicy(
        kill_switch=policy.killSwitch,
        fail_closed=policy.failClosed,
        blocklist=tuple(policy.toolBlocklist),
        content_bans=tuple(policy.contentBans),
        connector_allowlist=tuple(policy.connectorAllowlist),
        require_approval_for=tuple(policy.requireApprovalFor),
        tool_effects={tool: int(level[1]) for tool, level in sorted(policy.toolEffects.items())},
        rules=tuple(CustomRule(id=r.id, when=r.when, verdict=r.verdict, reason=r.reason) for r in policy.rules),
        per_task=micros(budget.perTaskMax),
        per_operator=micros(budget.perOperatorMax),
        per_day=micros(budget.dailyTotalMax),
        per_month=None if budget.monthlyLlmBudget is None else micros(budget.monthlyLlmBudget),
        emergency=micros(budget.emergencyKill),
    )
