"""Routes about tool servers (MCP). Secrets go in and never come out."""

from api.http import Endpoints, RequestContext
from api.schemas.base import Serialized
from api.schemas.tools import McpServerOut, McpServersOut, NewServerBody, ServerChange, ToolWord
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.identity.permissions import Action
from domain.tools.effect import Effect
from domain.tools.mcp import ToolOverride
from domain.workspaces.secret import CannotOpen
from services.tools.mcp_servers import NewServer

mcp = Endpoints("tool servers")
route = mcp.route


@route("GET", "/api/mcp-servers", action=Action.SETTINGS_READ)
async def list_mcp_servers(call: RequestContext) -> Serialized[McpServersOut]:
    """The tool servers of the workspace with their tools, and the programs it may use as ones."""
    found = await call.services.mcp.list(call.actor)
    return McpServersOut.answer(
        servers=[McpServerOut.of(s) for s in found], programs=list(call.services.mcp.client.programs)
    )


@route(
    "POST",
    "/api/mcp-servers",
    action=Action.MCP_WRITE,
    status=201,
    rate="task",
    errors=(Invalid, Forbidden, Conflict),
)
async def add_mcp_server(call: RequestContext, body: NewServerBody) -> Serialized[McpServerOut]:
    """Add a tool server by its address, or by the name of a program the administrator allows, and ask for its tools."""
    new = NewServer(
        name=body.name,
        url=body.url or "",
        header=body.header or "",
        program=body.program or "",
        variable=body.variable or "",
        secret="" if body.secret is None else body.secret.get_secret_value(),
    )
    return McpServerOut.of(await call.services.mcp.add(call.actor, new))


@route(
    "GET",
    "/api/mcp-servers/{server_id}",
    action=Action.SETTINGS_READ,
    errors=(NotFound,),
)
async def get_mcp_server(call: RequestContext, server_id: str) -> Serialized[McpServerOut]:
    """One tool server with its tools."""
    return McpServerOut.of(await call.services.mcp.get(call.actor, server_id))


@route(
    "PUT",
    "/api/mcp-servers/{server_id}",
    action=Action.MCP_WRITE,
    errors=(Invalid, Forbidden, NotFound),
)
async def change_mcp_server(call: RequestContext, server_id: str, body: ServerChange) -> Serialized[McpServerOut]:
    """Turn a tool server on or off, or keep another secret for it (null forgets it)."""
    given = body.model_fields_set
    if not given:
        raise Invalid.field("enabled", "say what is to change: enabled or secret")
    server = None
    if "secret" in given:
        secret = None if body.secret is None else body.secret.get_secret_value()
        server = await call.services.mcp.set_secret(call.actor, server_id, secret)
    if "enabled" in given:
        if body.enabled is None:
            raise Invalid.field("enabled", "must not be null")
        server = await call.services.mcp.set_enabled(call.actor, server_id, body.enabled)
    assert server is not None
    return McpServerOut.of(server)


@route(
    "DELETE",
    "/api/mcp-servers/{server_id}",
    action=Action.MCP_WRITE,
    status=204,
    errors=(Forbidden, NotFound),
)
async def remove_mcp_server(call: RequestContext, server_id: str) -> None:
    """Forget a tool server with its secret; its tools are gone for operators."""
    await call.services.mcp.remove(call.actor, server_id)


@route(
    "POST",
    "/api/mcp-servers/{server_id}/refresh",
    action=Action.MCP_WRITE,
    rate="task",
    errors=(Forbidden, NotFound, CannotOpen),
)
async def refresh_mcp_server(call: RequestContext, server_id: str) -> Serialized[McpServerOut]:
    """Ask a tool server again what it offers. A tool that changed since its level was set is off until looked at."""
    return McpServerOut.of(await call.services.mcp.refresh(call.actor, server_id))


@route(
    "PUT",
    "/api/mcp-servers/{server_id}/tools/{tool}",
    action=Action.MCP_WRITE,
    errors=(Invalid, Forbidden, NotFound, Conflict),
)
async def set_mcp_tool(call: RequestContext, server_id: str, tool: str, body: ToolWord) -> Serialized[McpServerOut]:
    """Set a tool's effect level, and whether a call may be repeated, for the description with this digest."""
    word = ToolOverride(
        effect=Effect(int(body.effect_level[1])), idempotent=body.idempotent, enabled=body.enabled, digest=body.digest
    )
    return McpServerOut.of(await call.services.mcp.set_tool(call.actor, server_id, tool, word))
