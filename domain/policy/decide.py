"""The decision about one call: checks in a fixed order, the strictest verdict wins, any exception denies."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from domain.governance import Decision, Verdict
from domain.policy.effective import ENGINE, EffectivePolicy
from domain.policy.facts import CallFacts
from domain.policy.rules import RuleEngine, RuleError

FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has to say: a verdict stricter than ALLOW, why, and by which rule."""

    verdict: Verdict
    reason_code: str
    rule_id: str
    reason: str


Check = Callable[[EffectivePolicy, CallFacts], Finding | None]


def _deny(code: str, rule: str, reason: str) -> Finding:
    return Finding(Verdict.DENY, code, rule, reason)


def kill_switch(policy: EffectivePolicy, _facts: CallFacts) -> Finding | None:
    """Nothing runs while the kill switch is on."""
    return _deny("SYSTEM_FROZEN", "kill_switch", "the kill switch is on") if policy.kill_switch else None


def valid_policy(policy: EffectivePolicy, _facts: CallFacts) -> Finding | None:
    """A policy that contradicts itself allows nothing."""
    if policy.engine != ENGINE:
        return _deny("POLICY_NOT_READY", "policy_valid", f"the policy was made for {policy.engine}")
    if policy.fail_closed and not 0 < policy.per_task <= policy.per_day:
        return _deny("POLICY_NOT_READY", "policy_valid", "the budget of a task must lie within the day's")
    return None


def blocklist(policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """Tools the owner has shut off; `*` stands for any text."""
    for pattern in policy.blocklist:
        if fnmatchcase(facts.tool, pattern):
            return _deny("POLICY_VIOLATION", "tool_blocklist", f"{facts.tool} is on the blocklist")
    return None


def scope(_policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """The tool must fit the workspace's mode and the operator's own list."""
    if facts.tool_modes and facts.mode not in facts.tool_modes:
        return _deny("INSUFFICIENT_PRIVILEGE", "mode", f"{facts.tool} does not run in {facts.mode} mode")
    if facts.operator_tools and facts.tool not in facts.operator_tools:
        return _deny("INSUFFICIENT_PRIVILEGE", "operator_tools", f"the operator may not use {facts.tool}")
    return None


def budgets(policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """All budgets hold, in one currency."""
    limits = (
        ("emergency", facts.day_spent, policy.emergency),
        ("task", facts.task_spent, policy.per_task),
        ("operator", facts.operator_spent, policy.per_operator),
        ("day", facts.day_spent, policy.per_day),
        ("month", facts.month_spent, policy.per_month),
    )
    for name, spent, limit in limits:
        if limit is not None and spent + facts.estimate > limit:
            return _deny(
                "BUDGET_EXCEEDED",
                f"budget_{name}",
                f"the {name} budget of {limit / 1e6:.2f} USD is used up ({(spent + facts.estimate) / 1e6:.2f})",
            )
    return None


def connector(policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """A tool of a connector needs its grant, and a connector that is allowed here."""
    if not facts.connector:
        return None
    if policy.connector_allowlist and facts.connector not in policy.connector_allowlist:
        return _deny("DELEGATION_SCOPE_VIOLATION", "connector_allowlist", f"{facts.connector} is not allowed here")
    if not facts.connector_granted:
        return _deny("DELEGATION_SCOPE_VIOLATION", "connector_grant", f"{facts.connector} is not connected")
    return None


def content_bans(policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """Banned text, anywhere in the real arguments, in whatever case or width of letters."""
    if not policy.content_bans:
        return None
    haystack = [_plain(text) for text in _texts(facts.args)]
    for ban in policy.content_bans:
        needle = _plain(ban)
        if any(needle in text for text in haystack):
            return _deny("DATA_EGRESS_BLOCKED", "content_ban", "the arguments hold text that is banned here")
    return None


def needs_approval(policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """Listed tools, and everything from the effect level of acting outside, are a person's to decide."""
    for pattern in policy.require_approval_for:
        if fnmatchcase(facts.tool, pattern):
            return Finding(
                Verdict.ESCALATE, "APPROVAL_REQUIRED", "approval_list", f"{facts.tool} needs approval in this workspace"
            )
    if facts.effect >= policy.approval_from:
        return Finding(
            Verdict.ESCALATE, "APPROVAL_REQUIRED", "effect_level", f"{facts.tool} acts outside (E{facts.effect})"
        )
    return None


HARD_CHECKS: tuple[Check, ...] = (kill_switch, valid_policy, blocklist, scope, budgets, connector, content_bans)


def decide(policy: EffectivePolicy, facts: CallFacts, engine: RuleEngine, *, policy_hash: str = "") -> Decision:
    """The decision about one call. Total: whatever goes wrong inside is a DENY.

    `policy_hash` may be given where it is known, to save computing it.
    """
    name = policy_hash or policy.policy_hash
    try:
        finding = _strictest(findings(policy, facts, engine))
    except Exception as error:  # noqa: BLE001 - fail closed: a check that breaks must not let anything through
        finding = _deny("PDP_ERROR", "engine", f"the policy could not be evaluated ({type(error).__name__})")
    if finding is None:
        rule = _allowed_by(policy, facts)
        return Decision(verdict=Verdict.ALLOW, reason_code="", rule_id=rule, reason="", policy_hash=name)
    return Decision(
        verdict=finding.verdict,
        reason_code=finding.reason_code,
        rule_id=finding.rule_id,
        reason=finding.reason,
        policy_hash=name,
    )


def findings(policy: EffectivePolicy, facts: CallFacts, engine: RuleEngine) -> Iterator[Finding]:
    """Everything the checks have to say about the call, in their order (for dry runs, all of it)."""
    facts = _with_owner_effect(policy, facts)
    for check in HARD_CHECKS:
        if (facts.tool, check) in _FINISH_EXEMPT:
            continue
        found = check(policy, facts)
        if found is not None:
            yield found
    given = facts.rule_input() if policy.rules else {}
    for rule in policy.rules:
        found = _custom(rule.id, rule.when, Verdict(rule.verdict), rule.reason, engine=engine, given=given)
        if found is not None and not (facts.approved and found.verdict is Verdict.ESCALATE):
            yield found
    if not facts.approved and _grant_for(facts) is None:
        found = needs_approval(policy, facts)
        if found is not None:
            yield found


# Ending a run must always be possible, even out of budget.
_FINISH_EXEMPT = {(FINISH, budgets), (FINISH, scope)}


def _custom(
    rule_id: str, when: str, verdict: Verdict, reason: str, *, engine: RuleEngine, given: Mapping[str, Any]
) -> Finding | None:
    try:
        hit = engine.evaluate(when, given)
    except RuleError as error:
        return _deny("PRG_EVALUATION_ERROR", f"rule:{rule_id}", f"rule {rule_id} could not be evaluated: {error}")
    if not hit:
        return None
    code = "PDP_DENY" if verdict is Verdict.DENY else "APPROVAL_REQUIRED"
    return Finding(verdict, code, f"rule:{rule_id}", reason or f"rule {rule_id} applies")


def _with_owner_effect(policy: EffectivePolicy, facts: CallFacts) -> CallFacts:
    """The owner may raise a tool's effect level; never lower it."""
    level = policy.tool_effects.get(facts.tool)
    if level is None or level <= facts.effect:
        return facts
    return replace(facts, effect=level)


def _strictest(found: Iterator[Finding]) -> Finding | None:
    best: Finding | None = None
    for finding in found:
        if finding.verdict is Verdict.DENY:
            return finding
        best = best or finding
    return best


def _grant_for(facts: CallFacts) -> str | None:
    for grant in facts.grants:
        if grant.tool == facts.tool and grant.task_id in (None, facts.task_id) and facts.effect <= grant.max_effect:
            return grant.id
    return None


def _allowed_by(policy: EffectivePolicy, facts: CallFacts) -> str:
    if facts.approved:
        return "approved"
    facts = _with_owner_effect(policy, facts)
    if needs_approval(policy, facts) is None:
        return "default"
    return f"grant:{_grant_for(facts)}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
