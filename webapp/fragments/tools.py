"""Tool servers, operators and knowledge."""

from domain.errors import Invalid
from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from domain.tools.effect import Effect
from services.container import Services
from services.tools.operators import ROLES
from webapp.fragments.common import Fragment, Query, item_id, names

PAGE = 30
DEEPEST = 10_000


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


async def operators(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Operators of the workspace, and the form for a new one."""
    return "operators.html", {
        "operators": await services.operators.list(actor),
        "roles": tuple(ROLES),
        "specs": (await services.tool_registry.of(services.store, actor.in_workspace)).specs,
        "may_write": allows(actor, Action.OPERATOR_WRITE),
    }


async def operator(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One operator: goal, limits, tools."""
    return "operator.html", {
        "operator": await services.operators.get(actor, item_id(item)),
        "specs": (await services.tool_registry.of(services.store, actor.in_workspace)).specs,
        "may_write": allows(actor, Action.OPERATOR_WRITE),
    }


async def knowledge(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """Notes, the last changed first; `cursor` is how many were shown before."""
    search = query.get("q", "").strip()[:300]
    cursor = query.get("cursor", "0")
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 5 and int(cursor) <= DEEPEST):
        raise Invalid.field("cursor", "is not a cursor of this list")
    found = await services.knowledge.search(actor, query=search, limit=PAGE + 1, offset=int(cursor))
    return "knowledge.html", {
        "notes": found[:PAGE],
        "q": search,
        "cursor": str(int(cursor) + PAGE) if len(found) > PAGE else "",
        "rows_only": "cursor" in query,
        "may_write": allows(actor, Action.KNOWLEDGE_WRITE),
    }


async def note(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One note, to read or to change."""
    return "note.html", {
        "note": await services.knowledge.get(actor, item_id(item)),
        "names": await names(services, actor),
        "may_write": allows(actor, Action.KNOWLEDGE_WRITE),
    }


async def new_note(_services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """The form for a new note."""
    return "new_note.html", {"may_write": allows(actor, Action.KNOWLEDGE_WRITE)}
