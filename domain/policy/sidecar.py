"""A workspace's policy in the two files a HELM sidecar's `serve` reads: a TOML head and a JSON pack."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.policy.effective import EffectivePolicy
from domain.policy.rules import CustomRule
from domain.tools.tool import ToolSpec, name_fits

TOML_NAME = "pilot-policy.toml"
PACK_NAME = "pilot-pack.json"

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
    | (?P<text>
        [bB]?[rR](?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*')
        | [bB]?(?:\"{3}(?:\\[\s\S]|[^\\])*?\"{3}|'{3}(?:\\[\s\S]|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      )
    | (?P<input>(?<![\w.])input\b(?:\s*\.\s*(?P<name>\w+))?)
    | \w+
    | [\s\S]
    """,
    re.VERBOSE,
)


def sidecar_files(policy: EffectivePolicy, tools: Sequence[ToolSpec]) -> dict[str, str]:
    """File name to text. The sidecar denies what it does not list, so every allowed tool is an action.

    The sidecar says ALLOW or DENY only and is asked after us, so it may be laxer and never stricter: escalation,
    budgets, bans, hosts, packs and rules over what it cannot see stay here, DENY rules over the call itself travel
    as the negation of their condition. The description of each action names the rules that stayed.
    """
    pack = {
        "pack_id": f"pilot-{policy.policy_hash[:12]}",
        "label": "Exported from Pilot",
        "version": "1",
        "runtime_actions": [
            _action(policy, spec)
            for spec in tools
            if not policy.kill_switch and not any(name_fits(name, spec.name) for name in policy.blocklist)
        ],
    }
    head = (
        f'name = "pilot"\nprofile = "custom"\nreference_pack = "{PACK_NAME}"\n\n'
        '[server]\nbind = "127.0.0.1"\nport = 7714\n\n[receipts]\nstore = "sqlite"\npath = "receipts.db"\n'
    )
    return {TOML_NAME: head, PACK_NAME: json.dumps(pack, indent=1) + "\n"}


def translate(rule: CustomRule, *, effect: int) -> str | None:
    """A rule's condition over the sidecar's own input, None when it looks at what the sidecar cannot see.

    There, the arguments are `input.effect.params.args`, the tool is `input.action`, and the effect level is
    known when the file is written, because each action is one tool.
    """
    pieces: list[str] = []
    for token in _TOKEN.finditer(rule.when):
        if token["comment"] is not None:
            pieces.append(" ")
        elif token["input"] is None:
            pieces.append(token[0])
        else:
            there = {"args": "input.effect.params.args", "tool": "input.action", "effect": str(effect)}.get(
                token["name"] or ""
            )
            if there is None:
                return None
            pieces.append(there)
    return "".join(pieces)


def _action(policy: EffectivePolicy, spec: ToolSpec) -> dict[str, object]:
    levels = [level for name, level in policy.tool_effects.items() if name_fits(name, spec.name)]
    effect = max([int(spec.effect), *levels])
    travel: list[str] = []
    stay: list[str] = []
    for rule in policy.rules:
        if rule.tools and not any(name_fits(name, spec.name) for name in rule.tools):
            continue
        condition = translate(rule, effect=effect) if rule.verdict == "DENY" else None
        if condition is None:
            stay.append(rule.id)
        else:
            travel.append(f"!({condition})")
    return {
        "action": spec.name,
        "resource": f"E{effect}",
        "enabled": True,
        "expression": " && ".join(travel) or "true",
        "description": spec.summary + (f" (rules that stay with Pilot: {', '.join(stay)})" if stay else ""),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarSnapshot:
    """One look that was kept."""

    id: str
    gateway_ok: bool
    version: str | None
    latency_ms: int
    error: str | None
    checked_at: datetime
