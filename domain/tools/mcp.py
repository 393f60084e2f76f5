"""Tool servers that speak the Model Context Protocol: what is kept of them, and which of their tools may be used.

What a server says of itself is text from outside. A tool is taken up with the name, words and schema it had when its
owner looked; its effect level is the owner's word about exactly that, never the server's.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.tools.effect import Effect
from domain.tools.json_schema import BadSchema, check_schema
from domain.tools.tool import ACTING_MODES, ToolSpec
from domain.untrusted import clean_and_cap

PREFIX = "mcp."
MAX_SERVERS = 20
MAX_TOOLS = 100
MAX_SUMMARY = 1000
MAX_SCHEMA = 20_000
# a tool nobody has looked at acts outside, and is not known to bear a repeat
UNKNOWN = Effect.E3

SERVER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# as a playbook can write it behind the server's name
_TOOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9][A-Za-z0-9_-]*)*")
_MAX_TOOL_NAME = 64
_NAMED = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
# taken out: the server checks them itself, and a pattern from outside can keep our checker busy for ever
_DROPPED = frozenset({"pattern", "patternProperties", "$schema", "$id", "$anchor", "$comment", "examples"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How a server is reached: a `url` (streamable HTTP), or a `program` by the name its administrator gave it.

    The secret is sent in the header `header`, or given to the program as the variable `variable`; `sealed` opens only
    with the vault, "" where there is none.
    """

    url: str = ""
    header: str = ""
    program: str = ""
    variable: str = ""
    sealed: str = field(default="", repr=False)

    @property
    def kind(self) -> str:
        """`http` or `stdio`."""
        return "stdio" if self.program else "http"

    @property
    def shown_url(self) -> str:
        """The address without what may be a credential of its own."""
        return re.split(r"[?#]", self.url, maxsplit=1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool as its server described it at the last look. `digest` is of everything a reader or a model sees."""

    name: str
    summary: str
    schema: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOverride:
    """What the owner said of a tool, and of which description of it."""

    effect: Effect
    idempotent: bool
    enabled: bool
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A tool server of one workspace. `words` hold what the owner said, by tool; `error` why the last look failed."""

    id: str
    workspace_id: str
    name: str
    transport: Transport
    tools: Sequence[OfferedTool]
    words: Mapping[str, ToolOverride]
    enabled: bool
    error: str | None
    created_at: datetime
    updated_at: datetime

    def full_name(self, tool: str) -> str:
        """What operators call the tool."""
        return f"{PREFIX}{self.name}.{tool}"

    def find(self, tool: str) -> OfferedTool | None:
        """The tool of that name."""
        return next((one for one in self.tools if one.name == tool), None)

    def settings_of(self, tool: OfferedTool) -> "ToolSettings":
        """What holds for a tool: the owner's word if it was about this description, else that of the unknown."""
        word = self.words.get(tool.name)
        if word is None:
            return ToolSettings(state="unknown", effect=UNKNOWN, idempotent=False, enabled=True)
        if word.digest != tool.digest:
            return ToolSettings(state="changed", effect=UNKNOWN, idempotent=False, enabled=False)
        return ToolSettings(state="set", effect=word.effect, idempotent=word.idempotent, enabled=word.enabled)

    def specs(self) -> Mapping[str, ToolSpec]:
        """The declarations of the tools operators may use now, by the server's own name for each."""
        found: dict[str, ToolSpec] = {}
        for tool in self.tools if self.enabled else ():
            stands = self.settings_of(tool)
            if stands.enabled:
                found[tool.name] = ToolSpec(
                    name=self.full_name(tool.name),
                    summary=tool.summary or f"The tool {tool.name} of the server {self.name}.",
                    parameters=tool.schema,
                    effect=stands.effect,
                    idempotent=stands.idempotent,
                    modes=ACTING_MODES if stands.effect >= Effect.E2 else (),
                )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings:
    """What holds for a tool now. `state`: unknown (nobody looked), set, or changed (since the owner looked)."""

    state: str
    effect: Effect
    idempotent: bool
    enabled: bool


def offered(raw: Mapping[str, Any]) -> OfferedTool | str:
    """The tool behind one entry of a server's list, or why it cannot be used."""
    name = raw.get("name")
    if not isinstance(name, str) or len(name) > _MAX_TOOL_NAME or not _TOOL_NAME.fullmatch(name):
        shown = clean_and_cap(str(name), 60)[0]
        return f"{shown}: the name cannot be used here"
    schema = raw.get("inputSchema")
    summary = clean_and_cap(str(raw.get("description") or raw.get("title") or ""), MAX_SUMMARY)[0]
    problem = _schema_problem(schema)
    if problem or not isinstance(schema, dict):
        return f"{name}: {problem}"
    kept = _without(schema)
    return OfferedTool(name=name, summary=summary, schema=kept, digest=_digest(name, summary, kept))


def _digest(name: str, summary: str, schema: Mapping[str, Any]) -> str:
    whole = json.dumps([name, summary, schema], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


def _schema_problem(schema: Any) -> str:
    """Why this is no schema we can check arguments with, "" when it is one."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "its parameters are not described as an object"
    try:
        if len(json.dumps(schema)) > MAX_SCHEMA:
            return "the description of its parameters is too long"
        check_schema(schema)
    except BadSchema as error:
        if not error.where:
            return "the description of its parameters cannot be followed"
        return f"the description of its parameters is not a JSON schema ({clean_and_cap(error.where, 60)[0]})"
    except (ValueError, RecursionError):
        return "the description of its parameters cannot be followed"
    return ""


def _without(schema: Any, *, names: bool = False) -> Any:
    """The schema without what is not ours to check. `names`: the keys here are names of properties, all are kept."""
    if isinstance(schema, list):
        return [_without(value) for value in schema]
    if isinstance(schema, str):
        return clean_and_cap(schema, MAX_SUMMARY)[0]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without(value, names=not names and key in _NAMED)
        for key, value in schema.items()
        if names or key not in _DROPPED
    }
