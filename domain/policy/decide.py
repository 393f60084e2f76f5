"""The decision about one call: checks in a fixed order, the strictest verdict wins, any exception denies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from domain.policy.content import host_allowed, host_of, plain, texts
from domain.policy.effective import ENGINE, EffectivePolicy
from domain.policy.facts import CallFacts
from domain.policy.governance import Decision, Verdict
from domain.policy.rules import RuleEngine
from domain.tools.tool import name_fits

FINISH = "finish"
# how far a call reaches, by its effect level
_REACH = ("computes only", "reads", "writes inside Pilot", "acts outside", "is critical")


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
    if _matches(policy.blocklist, facts.tool):
        return _deny("POLICY_VIOLATION", "tool_blocklist", f"{facts.tool} is on the blocklist")
    return None


def scope(_policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """The tool must fit the workspace's mode, the task's, and the operator's own list."""
    for mode in (facts.mode, facts.task_mode or facts.mode):
        if facts.tool_modes and mode not in facts.tool_modes:
            return _deny("INSUFFICIENT_PRIVILEGE", "mode", f"{facts.tool} does not run in {mode} mode")
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
    if facts.estimate < 0 or min(spent for _, spent, _ in limits) < 0:
        return _deny("BUDGET_ERROR", "budgets", "what was spent cannot be less than nothing")
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
    """Banned text, anywhere in the real arguments, in whatever case, width or spacing of letters."""
    if not policy.content_bans:
        return None
    haystack = [plain(text) for text in texts(facts.args)]
    for ban in policy.content_bans:
        needle = plain(ban)
        if any(needle in text for text in haystack):
            return _deny("DATA_EGRESS_BLOCKED", "content_ban", "the arguments hold text that is banned here")
    return None


def hosts(policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """Where the owner listed hosts, every argument that is a web address must lead to one of them."""
    if not policy.allowed_hosts:
        return None
    for text in texts(facts.args):
        host = host_of(text)
        if host is not None and not host_allowed(host, policy.allowed_hosts):
            where = f"{host[:100]} is not among" if host else "an address in the arguments does not lead plainly to"
            return _deny("DATA_EGRESS_BLOCKED", "allowed_hosts", f"{where} the allowed hosts")
    return None


def needs_approval(policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    """Listed tools, and everything from the effect level of acting outside, are a person's to decide."""
    if _matches(policy.require_approval_for, facts.tool):
        return Finding(
            Verdict.ESCALATE, "APPROVAL_REQUIRED", "approval_list", f"{facts.tool} needs approval in this workspace"
        )
    if facts.effect >= policy.approval_from:
        return Finding(
            Verdict.ESCALATE,
            "APPROVAL_REQUIRED",
            "effect_level",
            f"{facts.tool} {_REACH[facts.effect]} (E{facts.effect})",
        )
    return None


HARD_CHECKS: tuple[Check, ...] = (kill_switch, valid_policy, blocklist, scope, budgets, connector, content_bans, hosts)


def decide(policy: EffectivePolicy, facts: CallFacts, engine: RuleEngine, *, policy_hash: str = "") -> Decision:
    """The decision about one call. Total: whatever goes wrong inside is a DENY.

    `policy_hash` may be given where it is known, to save computing it.
    """
    name = policy_hash
    try:
        name = name or policy.policy_hash
        finding = _strictest(findings(policy, facts, engine))
        if finding is None:
            rule = _allowed_by(policy, facts)
            return Decision(verdict=Verdict.ALLOW, reason_code="", rule_id=rule, reason="", policy_hash=name)
    except Exception as error:  # noqa: BLE001 - fail closed: a check that breaks must not let anything through
        finding = _broken("engine", error)
    return Decision(
        verdict=finding.verdict,
        reason_code=finding.reason_code,
        rule_id=finding.rule_id,
        reason=finding.reason,
        policy_hash=name,
    )


def explain(policy: EffectivePolicy, facts: CallFacts, engine: RuleEngine) -> list[Finding]:
    """Everything that speaks against the call, in the order of the checks; empty = allowed. For dry runs.

    `decide` gives the strictest of these, the first among equals.
    """
    found: list[Finding] = []
    try:
        found.extend(findings(policy, facts, engine))
    except Exception as error:  # noqa: BLE001 - as in `decide`
        found.append(_broken("engine", error))
    return found


def findings(policy: EffectivePolicy, facts: CallFacts, engine: RuleEngine) -> Iterator[Finding]:
    """What the checks have to say about the call, one after the other."""
    policy = policy.for_role(facts.operator_role) if policy.packs else policy
    facts = _with_owner_effect(policy, facts)
    for check in HARD_CHECKS:
        if facts.tool == FINISH and check in _FINISH_EXEMPT:
            continue
        found = _run(check, policy, facts)
        if found is not None:
            yield found
    for found in _custom(policy, facts, engine):
        if not (facts.approved and found.verdict is Verdict.ESCALATE):
            yield found
    if not facts.approved and _grant_for(facts) is None:
        found = _run(needs_approval, policy, facts)
        if found is not None:
            yield found
    for one in facts.opinions:
        verdict = Verdict(one.verdict)
        if verdict is Verdict.DENY or (verdict is Verdict.ESCALATE and not facts.approved):
            yield Finding(verdict, one.reason_code, one.source, one.reason)


def tool_verdict(policy: EffectivePolicy, *, tool: str, effect: int) -> Verdict:
    """What the lists and effect levels say of a tool whatever the call, for an operator of any role. For pages.

    `decide` may be stricter about a call, and more lenient where a grant covers it.
    """
    policy = policy.for_role("")
    facts = _with_owner_effect(policy, CallFacts(tool=tool, effect=effect, args={}, mode=""))
    finding = blocklist(policy, facts) or needs_approval(policy, facts)
    return Verdict.ALLOW if finding is None else finding.verdict


def effect_in_force(policy: EffectivePolicy, *, tool: str, effect: int, role: str) -> int:
    """The effect level of a tool for an operator of this role: its own, or what owner and packs raised it to."""
    policy = policy.for_role(role) if policy.packs else policy
    return _with_owner_effect(policy, CallFacts(tool=tool, effect=effect, args={}, mode="")).effect


# Ending a run must always be possible, even out of budget.
_FINISH_EXEMPT = (budgets, scope)


def _run(check: Check, policy: EffectivePolicy, facts: CallFacts) -> Finding | None:
    try:
        return check(policy, facts)
    except Exception as error:  # noqa: BLE001 - one broken check denies and lets the others speak
        return _broken(check.__name__, error)


def _broken(what: str, error: Exception) -> Finding:
    return _deny("PDP_ERROR", what, f"the policy could not be evaluated ({what}: {type(error).__name__})")


def _custom(policy: EffectivePolicy, facts: CallFacts, engine: RuleEngine) -> Iterator[Finding]:
    rules = [rule for rule in policy.rules if not rule.tools or _matches(rule.tools, facts.tool)]
    if not rules:
        return
    answers = engine.evaluate([rule.when for rule in rules], facts.rule_input())
    for rule, answer in zip(rules, answers, strict=True):
        if answer is False:
            continue
        if answer is True:
            verdict = Verdict(rule.verdict)
            code = "PDP_DENY" if verdict is Verdict.DENY else "APPROVAL_REQUIRED"
            yield Finding(verdict, code, f"rule:{rule.id}", rule.reason or f"rule {rule.id} applies")
        else:
            why = f"rule {rule.id} could not be evaluated: {answer}"
            yield _deny("PRG_EVALUATION_ERROR", f"rule:{rule.id}", why)


def _with_owner_effect(policy: EffectivePolicy, facts: CallFacts) -> CallFacts:
    """The owner may raise a tool's effect level; never lower it. `*` stands for any text in the names."""
    if not policy.tool_effects:
        return facts
    level = max(
        policy.tool_effects.get(facts.tool, 0),
        *(level for name, level in policy.tool_effects.items() if "*" in name and name_fits(name, facts.tool)),
        0,
    )
    return facts if level <= facts.effect else replace(facts, effect=level)


def _strictest(found: Iterator[Finding]) -> Finding | None:
    best: Finding | None = None
    for finding in found:
        if finding.verdict is Verdict.DENY:
            return finding
        best = best or finding
    return best


def _grant_for(facts: CallFacts) -> str | None:
    for grant in facts.grants:
        if (
            grant.tool == facts.tool
            and grant.task_id in (None, facts.task_id)
            and facts.effect <= grant.max_effect
            and (not grant.expires_at or facts.at < grant.expires_at)
        ):
            return grant.id
    return None


def _allowed_by(policy: EffectivePolicy, facts: CallFacts) -> str:
    if facts.approved:
        return "approved"
    policy = policy.for_role(facts.operator_role) if policy.packs else policy
    facts = _with_owner_effect(policy, facts)
    if needs_approval(policy, facts) is None:
        return "default"
    return f"grant:{_grant_for(facts)}"


def _matches(names: tuple[str, ...], tool: str) -> bool:
    """Whether a tool's name fits one of these; `*` stands for any text."""
    return any(name_fits(name, tool) for name in names)
