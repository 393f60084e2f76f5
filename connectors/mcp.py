"""Tool servers: the Model Context Protocol over streamable HTTP, and over the pipes of a program of this machine.

A session is opened for each use and closed after it: nothing is kept open, and nothing of one workspace's session can
reach another's. The protocol library is imported on first use, in a thread.
"""

import asyncio
import importlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from connectors.guard import Guard
from domain.outside import ExternalError
from domain.ports import McpAnswer, McpEndpoint
from domain.tools.mcp import SERVER_NAME

LIST_SECONDS = 30.0
CALL_SECONDS = 90.0


class _Wire(Protocol):
    async def tools(
        self, endpoint: McpEndpoint, command: Sequence[str], guard: Guard, *, seconds: float
    ) -> Sequence[Mapping[str, Any]]: ...

    async def call(
        self,
        endpoint: McpEndpoint,
        command: Sequence[str],
        guard: Guard,
        *,
        tool: str,
        args: Mapping[str, Any],
        key: str,
        seconds: float,
    ) -> McpAnswer: ...


def parse_programs(entries: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`name=command line` entries as commands by name; ValueError says which entry is none.

    The whole command line is the administrator's: a workspace chooses a name, never what is run.
    """
    programs: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        name, _, line = entry.partition("=")
        command = tuple(shlex.split(line))
        if not SERVER_NAME.fullmatch(name) or not command or not Path(command[0]).is_absolute():
            raise ValueError(f"{entry[:100]!r} is not name=/absolute/path with arguments")
        programs[name] = command
    return programs


class McpConnector:
    """`domain.ports.McpClient`. Times are in seconds for a whole use: connecting, asking and the answer."""

    def __init__(
        self,
        guard: Guard,
        *,
        programs: Mapping[str, Sequence[str]] | None = None,
        list_seconds: float = LIST_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._guard = guard
        self._programs = dict(programs or {})
        self._list_seconds = list_seconds
        self._call_seconds = call_seconds
        self._wire: _Wire | None = None

    @property
    def programs(self) -> Sequence[str]:
        """The names of the programs that may be started as tool servers."""
        return sorted(self._programs)

    async def tools(self, endpoint: McpEndpoint) -> Sequence[Mapping[str, Any]]:
        """The tools the server offers."""
        wire, command = await self._ready(endpoint)
        return await wire.tools(endpoint, command, self._guard, seconds=self._list_seconds)

    async def call(self, endpoint: McpEndpoint, tool: str, args: Mapping[str, Any], *, key: str) -> McpAnswer:
        """Call a tool once."""
        wire, command = await self._ready(endpoint)
        return await wire.call(
            endpoint, command, self._guard, tool=tool, args=args, key=key, seconds=self._call_seconds
        )

    async def _ready(self, endpoint: McpEndpoint) -> tuple[_Wire, Sequence[str]]:
        command = self._programs.get(endpoint.program, ())
        if endpoint.program and not command:
            raise ExternalError(
                f"this installation does not start a program called {endpoint.program}", code="no_program", sent=False
            )
        if self._wire is None:
            self._wire = cast("_Wire", await asyncio.to_thread(importlib.import_module, "connectors.mcp_wire"))
        return self._wire, command
