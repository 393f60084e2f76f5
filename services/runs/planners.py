"""Which planner a workspace has: its own model, the installation's, or the offline one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.ports import Planner
from domain.tools.tool import ToolSpec
from services.tools.registry import Tools

ModelConfig = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Planners:
    """`build` makes a planner from a workspace's model settings and its own key, if it has one."""

    build: Callable[[str, ModelConfig, str | None], Planner]
    settings_of: Callable[[str], Awaitable[tuple[ModelConfig, str | None]]]

    async def of(self, workspace_id: str) -> Planner:
        """The planner of a workspace."""
        config, key = await self.settings_of(workspace_id)
        return self.build(workspace_id, config, key)

    @staticmethod
    def tools_for(operator: Mapping[str, Any], tools: Tools) -> Sequence[ToolSpec]:
        """The tools an operator may be told of: all, or the ones its owner named (finish is always there)."""
        allowed = set(operator.get("tools") or ())
        return [spec for spec in tools.specs if not allowed or spec.name in allowed or spec.name == "finish"]
