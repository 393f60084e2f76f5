"""Routes about tool servers (MCP). Secrets go in and never come out."""

from typing import Annotated, Any

from pydantic import Field, SecretStr, StringConstraints

from api import wire
from api.http import Body, Call, Endpoints
from api.models import McpServerOut, McpServersOut
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.governance import Effect
from domain.mcp import OwnersWord
from domain.permissions import Action
from services.mcp_servers import NewServer
from storage.vault import CannotOpen

mcp = Endpoints("tool servers")
route = mcp.route
Secret = Annotated[SecretStr, Field(min_length=1, max_length=4000)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class NewServerBody(Body):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    url: Annotated[str, StringConstraints(max_length=4000, pattern=r"^https?://")] | None = None
    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = None
    program: Annotated[str, StringConstraints(max_length=40)] | None = None
    variable: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] | None = None
    secret: Secret | None = None


class ServerChange(Body):
    enabled: Annotated[bool, Field(strict=True)] | None = None
    secret: Secret | None = None


class ToolWord(Body):
    effectLevel: Annotated[str, StringConstraints(pattern=r"^E[1-4]$")]  # noqa: N815 - a name of the wire
    idempotent: Annotated[bool, Field(strict=True)] = False
    enabled: Annotated[bool, Field(strict=True)] = True
    digest: Digest


@route("GET", "/api/mcp-servers", action=Action.SETTINGS_READ, response=McpServersOut)
async def list_mcp_servers(call: Call) -> Any:
    """The tool servers of the workspace with their tools, and the programs it may use as ones."""
    found = await call.services.mcp.list(call.actor)
    return {"servers": [wire.mcp_server(s) for s in found], "programs": list(call.services.mcp.client.programs)}


@route(
    "POST",
    "/api/mcp-servers",
    action=Action.MCP_WRITE,
    status=201,
    rate="task",
    errors=(Invalid, Forbidden, Conflict),
    response=McpServerOut,
)
async def add_mcp_server(call: Call, body: NewServerBody) -> Any:
    """Add a tool server by its address, or by the name of a program the administrator allows, and ask for its tools."""
    new = NewServer(
        name=body.name,
        url=body.url or "",
        header=body.header or "",
        program=body.program or "",
        variable=body.variable or "",
        secret="" if body.secret is None else body.secret.get_secret_value(),
    )
    return wire.mcp_server(await call.services.mcp.add(call.actor, new))


@route(
    "GET",
    "/api/mcp-servers/{server_id}",
    action=Action.SETTINGS_READ,
    errors=(NotFound,),
    response=McpServerOut,
)
async def get_mcp_server(call: Call, server_id: str) -> Any:
    """One tool server with its tools."""
    return wire.mcp_server(await call.services.mcp.get(call.actor, server_id))


@route(
    "PUT",
    "/api/mcp-servers/{server_id}",
    action=Action.MCP_WRITE,
    errors=(Invalid, Forbidden, NotFound),
    response=McpServerOut,
)
async def change_mcp_server(call: Call, server_id: str, body: ServerChange) -> Any:
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
    return wire.mcp_server(server)


@route(
    "DELETE",
    "/api/mcp-servers/{server_id}",
    action=Action.MCP_WRITE,
    status=204,
    errors=(Forbidden, NotFound),
)
async def remove_mcp_server(call: Call, server_id: str) -> None:
    """Forget a tool server with its secret; its tools are gone for operators."""
    await call.services.mcp.remove(call.actor, server_id)


@route(
    "POST",
    "/api/mcp-servers/{server_id}/refresh",
    action=Action.MCP_WRITE,
    rate="task",
    errors=(Forbidden, NotFound, CannotOpen),
    response=McpServerOut,
)
async def refresh_mcp_server(call: Call, server_id: str) -> Any:
    """Ask a tool server again what it offers. A tool that changed since its level was set is off until looked at."""
    return wire.mcp_server(await call.services.mcp.refresh(call.actor, server_id))


@route(
    "PUT",
    "/api/mcp-servers/{server_id}/tools/{tool}",
    action=Action.MCP_WRITE,
    errors=(Invalid, Forbidden, NotFound, Conflict),
    response=McpServerOut,
)
async def set_mcp_tool(call: Call, server_id: str, tool: str, body: ToolWord) -> Any:
    """Set a tool's effect level, and whether a call may be repeated, for the description with this digest."""
    word = OwnersWord(
        effect=Effect(int(body.effectLevel[1])), idempotent=body.idempotent, enabled=body.enabled, digest=body.digest
    )
    return wire.mcp_server(await call.services.mcp.set_tool(call.actor, server_id, tool, word))
