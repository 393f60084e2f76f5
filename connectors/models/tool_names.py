"""What tools are called towards a model, whose names for them are narrower than ours, and the tool that ends a run."""

import hashlib
import re
from collections.abc import Sequence

from connectors.models.choice import WireTool
from domain.tools.tool import ToolSpec

FINISH = "finish"
_WIRE_NAME = re.compile(r"[^A-Za-z0-9_-]")


def wire_tools(specs: Sequence[ToolSpec]) -> dict[str, WireTool]:
    """Tools by the name a model calls them: letters, digits, _ and -, at most 64."""
    found: dict[str, WireTool] = {}
    for spec in specs:
        wire = _wire_name(spec.name)
        if wire in found:
            wire = _hashed(spec.name, wire)
        found[wire] = WireTool(wire=wire, name=spec.name, summary=spec.summary, schema=spec.parameters)
    if not any(tool.name == FINISH for tool in found.values()):
        schema = {
            "type": "object",
            "properties": {"summary": {"type": "string"}},
            "required": ["summary"],
            "additionalProperties": False,
        }
        found[FINISH] = WireTool(
            wire=FINISH, name=FINISH, summary="End the run and say what was achieved.", schema=schema
        )
    return found


def _wire_name(name: str) -> str:
    wire = _WIRE_NAME.sub("_", name.replace(".", "__"))
    return wire if len(wire) <= 64 else _hashed(name, wire)


def _hashed(name: str, wire: str) -> str:
    return f"{wire[:55]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
