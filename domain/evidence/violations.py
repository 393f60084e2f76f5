"""Violations: what the decisions about a call let the row of a violation say."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.evidence.statement import UNPROVEN, Statement, near, unequal
from domain.policy.governance import severity_of

# the rule of violations that no decision made: something was found altered
INTEGRITY_RULE = "integrity"


def violation_differs(violation: Any, decisions: Sequence[Statement]) -> tuple[str, ...]:
    """`decisions` is what the log decided about the call that the violation names."""
    metadata: Mapping[str, Any] = violation.metadata
    denials = [one for one in decisions if one.verdict == "DENY"]
    made = next((one for one in denials if near(violation.created_at, one.at)), denials[-1] if denials else None)
    if made is None:
        return ("id",)
    found = [UNPROVEN] if made.differs else []
    found += unequal(
        violation,
        {
            "policy_rule": made.metadata.get("rule_id"),
            "action": made.metadata.get("tool"),
            "severity": severity_of(made.reason_code),
            "blocked": True,
        },
    )
    reason = made.given("step").get("reason")
    if reason is not None and violation.violation != reason:
        found.append("violation")
    named = {
        "reasonCode": made.reason_code,
        "policyHash": made.policy_hash,
        "taskId": made.task_id,
        "runId": made.run_id,
        "stepId": made.step_id,
        "decisionId": made.decision_id,
    }
    if "agent_session" in made.metadata:
        named |= {"session": made.metadata["agent_session"], "principal": made.metadata.get("agent_principal")}
    complete = {"reasonCode", "policyHash"} <= metadata.keys() <= named.keys()
    if not complete or any(value != named[name] for name, value in metadata.items()):
        found.append("metadata")
    if not near(violation.created_at, made.at):
        found.append("created_at")
    return tuple(found)
