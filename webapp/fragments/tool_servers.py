"""Tool servers: what a workspace added, and what the owner says of each tool."""

from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from domain.tools.effect import Effect
from services.container import Services
from webapp.fragments.common import Fragment, Query, item_id


async def tool_servers(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The servers, and the forms for a new one."""
    return "tool_servers.html", {
        "servers": await services.mcp.list(actor),
        "programs": services.mcp.client.programs,
        "may_write": allows(actor, Action.MCP_WRITE),
    }


async def tool_server(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One server with its tools and their levels."""
    server = await services.mcp.get(actor, item_id(item))
    return "tool_server.html", {
        "server": server,
        "tools": [(tool, server.settings_of(tool)) for tool in server.tools],
        "levels": [int(level) for level in Effect if level > Effect.E0],
        "may_write": allows(actor, Action.MCP_WRITE),
    }
