"""The packs that come with Pilot, one for each role an operator can have: JSON beside this file.

Keys: `id`, `version`, `role`, `summary`, and any of `toolBlocklist`, `contentBans`, `requireApprovalFor`,
`toolEffects`, `rules` (as in the settings), `perTaskMax`, `perOperatorMax` (US dollars).
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from domain.policy.overlay import Pack
from domain.policy.rules import CustomRule
from domain.policy.settings_schema import PACKS, micros


@lru_cache(maxsize=len(PACKS))
def pack(name: str) -> Pack:
    """The pack of this name; KeyError when there is none."""
    if name not in PACKS:
        raise KeyError(name)
    return read(json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")))


def read(data: Mapping[str, Any]) -> Pack:
    """A pack from its JSON. Ids of its rules are prefixed, so that they never meet a workspace's own."""
    return Pack(
        id=data["id"],
        version=data["version"],
        role=data["role"],
        summary=data["summary"],
        blocklist=tuple(sorted(data.get("toolBlocklist", ()))),
        content_bans=tuple(sorted(data.get("contentBans", ()))),
        require_approval_for=tuple(sorted(data.get("requireApprovalFor", ()))),
        tool_effects={tool: int(level[1]) for tool, level in sorted(data.get("toolEffects", {}).items())},
        rules=tuple(
            CustomRule(
                id=f"{data['id']}:{rule['id']}",
                when=rule["when"],
                verdict=rule["verdict"],
                reason=rule["reason"],
                tools=tuple(sorted(rule.get("tools", ()))),
            )
            for rule in data.get("rules", ())
        ),
        per_task=_micros(data.get("perTaskMax")),
        per_operator=_micros(data.get("perOperatorMax")),
    )


def _micros(dollars: float | None) -> int | None:
    return None if dollars is None else micros(dollars)
