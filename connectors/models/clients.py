"""The connections to model providers: opened on first use, shared by all planners, closed once."""

import asyncio
import importlib
from typing import Any, Protocol, cast

from connectors.guard import Guard
from connectors.models.choice import Asked, Hearing, ModelChoice, Reply


class _Wire(Protocol):
    def open_client(self) -> Any: ...

    def open_guarded_client(self, guard: Guard) -> Any: ...

    async def ask(self, choice: ModelChoice, asked: Asked, http: Any, heard: Hearing | None) -> Reply: ...


class Clients:
    """Two pools: one for the installation's own providers, one for addresses that workspaces name."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._wire: _Wire | None = None
        self._anthropic = False
        self._open: Any = None
        self._guarded: Any = None

    async def warm(self, *providers: str) -> None:
        """Import the provider layer in a thread (two seconds of CPU), so that the loop goes on meanwhile."""
        if self._wire is None:
            self._wire = cast("_Wire", await asyncio.to_thread(importlib.import_module, "connectors.models.wire"))
        if "anthropic" in providers and not self._anthropic:
            await asyncio.to_thread(importlib.import_module, "pydantic_ai.models.anthropic")
            self._anthropic = True

    async def ask(self, choice: ModelChoice, asked: Asked, heard: Hearing | None = None) -> Reply:
        """One request to one model; with `heard` as a stream."""
        await self.warm(choice.provider)
        assert self._wire is not None
        if choice.guarded:
            self._guarded = self._guarded or self._wire.open_guarded_client(self._guard)
            return await self._wire.ask(choice, asked, self._guarded, heard)
        self._open = self._open or self._wire.open_client()
        return await self._wire.ask(choice, asked, self._open, heard)

    async def aclose(self) -> None:
        """Close both pools."""
        for client in (self._open, self._guarded):
            if client is not None:
                await client.aclose()
        self._open = self._guarded = None
