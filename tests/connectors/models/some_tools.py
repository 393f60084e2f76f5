"""Declarations of tools for planners to choose from."""

from typing import Any

from domain.tools.effect import Effect
from domain.tools.tool import ToolSpec

TEXT = {"type": "string", "minLength": 1}


def tool(name: str, required: tuple[str, ...] = (), **properties: Any) -> ToolSpec:
    """A tool of this name whose arguments are these."""
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, summary=f"The tool {name}", parameters=schema, effect=Effect.E1)


TOOLS = [
    tool("note.create", ("title",), title=TEXT, body={"type": "string"}),
    tool("http.get", ("url",), url=TEXT),
    tool("http.post", ("url",), url=TEXT, json={}),
    tool("finish", ("summary",), summary=TEXT),
]
