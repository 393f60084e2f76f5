"""What the command line does with an installation that need not be running."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from app.container import Runtime, open_services
from app.settings import Settings
from connectors.cel import CelRules
from domain.policy.sidecar import sidecar_files
from storage import private

T = TypeVar("T")


def with_parts(settings: Settings, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do `work` with everything the installation has, open for that long; the engine is not started."""

    async def go() -> T:
        async with open_services(settings) as parts:
            return await work(parts)

    return asyncio.run(go())


def replay_receipts(settings: Settings, workspace_id: str, receipt_id: str | None) -> list[dict[str, Any]]:
    """Decide again what the receipts of a workspace say was decided."""

    async def work(parts: Runtime) -> list[dict[str, Any]]:
        # here nobody waits: what an earlier version took its time over is decided again in full
        service = replace(parts.services.replay, rules=CelRules(limit=inf))
        found = await parts.services.store.read(
            lambda tx: service.decisions_in(tx, workspace_id, receipt_id, limit=1_000_000)
        )
        return [
            {
                "receiptId": r.receipt_id,
                "tool": r.tool,
                "recorded": r.recorded,
                "replayed": r.replayed,
                "problem": r.problem,
                "same": r.same,
            }
            for r in found
        ]

    return with_parts(settings, work)


def export_sidecar_policy(settings: Settings, workspace_id: str, folder: Path) -> list[Path]:
    """Write a workspace's policy as a HELM sidecar reads it; the files."""

    async def work(parts: Runtime) -> dict[str, str]:
        services = parts.services
        policy, _ = await services.store.read(lambda tx: services.policy_service.policy(tx, workspace_id))
        return sidecar_files(policy, services.tool_registry.specs)

    files = with_parts(settings, work)
    for name, text in files.items():
        private.keep(folder / name, text)
    return [folder / name for name in files]
