"""What `pilot admin` does: the workspaces of the installation, without a server running."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.container import open_services
from app.settings import Settings
from domain.clock import iso
from domain.workspaces.workspace import Workspace
from services.workspaces.tenants import TenantService


def with_tenants(settings: Settings, work: Callable[[TenantService], Awaitable[Any]]) -> Any:
    """Open the services, do `work` and close them again; PilotError where the work is refused."""

    async def run() -> Any:
        async with open_services(settings) as parts:
            return await work(parts.services.tenants)

    return asyncio.run(run())


def shown(workspace: Workspace) -> dict[str, Any]:
    """A workspace as the command prints it."""
    return {
        "id": workspace.id,
        "name": workspace.name,
        "ownerId": workspace.owner_id,
        "createdAt": iso(workspace.created_at),
        "deletedAt": iso(workspace.deleted_at),
        "purgeAt": iso(workspace.purge_at),
    }
