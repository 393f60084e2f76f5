"""The effective policy of one workspace at one moment: a value with a hash, never shared state."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain.policy.overlay import Pack
from domain.policy.packs import pack
from domain.policy.rules import CustomRule
from domain.policy.settings_schema import BudgetConfig, PolicyConfig, WorkspaceSettings, micros
from domain.receipts.canonical import canonical
from domain.tools.effect import Effect

# Goes up with every change of meaning of a check, so that a replay knows what it replays.
ENGINE = "pilot-policy-1"


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
    allowed_hosts: tuple[str, ...] = ()
    packs: tuple[Pack, ...] = ()
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
            "rules": [rule.as_json() for rule in self.rules],
            "per_task": self.per_task,
            "per_operator": self.per_operator,
            "per_day": self.per_day,
            "per_month": self.per_month,
            "emergency": self.emergency,
            "approval_from": self.approval_from,
            **({"allowed_hosts": list(self.allowed_hosts)} if self.allowed_hosts else {}),
            **({"packs": [given.as_json() for given in self.packs]} if self.packs else {}),
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
                "rules": tuple(CustomRule.from_json(rule) for rule in data["rules"]),
                "allowed_hosts": tuple(data.get("allowed_hosts", ())),
                "packs": tuple(Pack.from_json(given) for given in data.get("packs", ())),
            }
        )

    def for_role(self, role: str) -> "EffectivePolicy":
        """The policy with the packs for a role folded in; with all of them when the role is not known ("")."""
        given = [p for p in self.packs if not role or p.role in ("", role)]
        if not given:
            return self
        effects = dict(self.tool_effects)
        for p in given:
            for tool, level in p.tool_effects.items():
                effects[tool] = max(level, effects.get(tool, 0))
        return replace(
            self,
            blocklist=(*self.blocklist, *(name for p in given for name in p.blocklist)),
            content_bans=(*self.content_bans, *(text for p in given for text in p.content_bans)),
            require_approval_for=(
                *self.require_approval_for,
                *(name for p in given for name in p.require_approval_for),
            ),
            tool_effects=effects,
            rules=(*self.rules, *(rule for p in given for rule in p.rules)),
            per_task=min([self.per_task, *(p.per_task for p in given if p.per_task is not None)]),
            per_operator=min([self.per_operator, *(p.per_operator for p in given if p.per_operator is not None)]),
            packs=(),
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
        kill_switch=policy.kill_switch,
        fail_closed=policy.fail_closed,
        blocklist=tuple(policy.tool_blocklist),
        content_bans=tuple(policy.content_bans),
        connector_allowlist=tuple(policy.connector_allowlist),
        require_approval_for=tuple(policy.require_approval_for),
        tool_effects={tool: int(level[1]) for tool, level in sorted(policy.tool_effects.items())},
        rules=tuple(
            CustomRule(id=r.id, when=r.when, verdict=r.verdict, reason=r.reason, tools=tuple(r.tools))
            for r in policy.rules
        ),
        per_task=micros(budget.per_task_max),
        per_operator=micros(budget.per_operator_max),
        per_day=micros(budget.daily_total_max),
        per_month=None if budget.monthly_llm_budget is None else micros(budget.monthly_llm_budget),
        emergency=micros(budget.emergency_kill),
        approval_from=int(policy.approval_from[1]),
        allowed_hosts=tuple(policy.allowed_hosts),
        packs=tuple(pack(name) for name in policy.packs),
    )
