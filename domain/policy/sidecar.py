"""A workspace's policy in the two files a HELM sidecar's `serve` reads: a TOML head and a JSON pack."""

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase

from domain.policy.effective import EffectivePolicy
from domain.tools import ToolSpec


def sidecar_files(policy: EffectivePolicy, tools: Sequence[ToolSpec]) -> dict[str, str]:
    """File name to text. The sidecar denies what it does not list, so every allowed tool is an action.

    Escalation stays here: the sidecar says ALLOW or DENY only. Custom DENY rules travel as the
    negation of their condition, over the same `input.effect.params.args`.
    """
    denies = [rule.when for rule in policy.rules if rule.verdict == "DENY"]
    expression = " && ".join(f"!({when})" for when in denies) or "true"
    actions = [
        {
            "action": spec.name,
            "resource": f"E{max(int(spec.effect), policy.tool_effects.get(spec.name, 0))}",
            "enabled": True,
            "expression": expression.replace("input.args", "input.effect.params.args"),
            "description": spec.summary,
        }
        for spec in tools
        if not policy.kill_switch and not any(fnmatchcase(spec.name, pattern) for pattern in policy.blocklist)
    ]
    pack = {
        "pack_id": f"pilot-{policy.policy_hash[:12]}",
        "label": "Exported from Pilot",
        "version": "1",
        "runtime_actions": actions,
    }
    head = (
        'name = "pilot"\nprofile = "custom"\nreference_pack = "pilot-pack.json"\n\n'
        '[server]\nbind = "127.0.0.1"\nport = 7714\n\n[receipts]\nstore = "sqlite"\npath = "receipts.db"\n'
    )
    return {"pilot-policy.toml": head, "pilot-pack.json": json.dumps(pack, indent=1) + "\n"}
