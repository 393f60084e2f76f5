"""All SQL about tool servers; secrets are sealed before they come here."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.tools.effect import Effect
from domain.tools.mcp import McpServer, OfferedTool, ToolOverride, Transport
from storage.prepared import Prepared
from storage.tables import mcp_servers
from storage.transaction import Tx

_c = mcp_servers.c
_states = Prepared(
    sa.select(_c.id, _c.updated_at).where(_c.workspace_id == sa.bindparam("ws"), _c.enabled.is_(True)).order_by(_c.name)
)


def add(tx: Tx, server: McpServer) -> None:
    """Insert a new server; the unique (workspace, name) refuses a second of one name."""
    tx.execute(sa.insert(mcp_servers).values(_row(server)))


def put(tx: Tx, server: McpServer) -> None:
    """Write what is known of the server over what was."""
    values = _row(server)
    tx.execute(
        sa.update(mcp_servers)
        .where(_c.workspace_id == server.workspace_id, _c.id == server.id)
        .values({name: values[name] for name in ("transport", "tools", "effects", "enabled", "error", "updated_at")})
    )


def find(tx: Tx, workspace_id: str) -> Sequence[McpServer]:
    """The servers of a workspace by name."""
    query = sa.select(mcp_servers).where(_c.workspace_id == workspace_id).order_by(_c.name)
    return [_value(row) for row in tx.all(query)]


def get(tx: Tx, workspace_id: str, server_id: str, *, lock: bool = False) -> McpServer:
    """The server; NotFound when it is not in this workspace."""
    query = sa.select(mcp_servers).where(_c.workspace_id == workspace_id, _c.id == server_id)
    row = tx.one(tx.lock(query) if lock else query)
    if row is None:
        raise NotFound("Tool server not found")
    return _value(row)


def remove(tx: Tx, workspace_id: str, server_id: str) -> None:
    """Forget the server."""
    tx.execute(sa.delete(mcp_servers).where(_c.workspace_id == workspace_id, _c.id == server_id))


def states(tx: Tx, workspace_id: str) -> Sequence[tuple[str, str]]:
    """The ids of the servers in use with a mark that changes when they do; cheap, asked before each step."""
    return [(str(row[0]), str(row[1])) for row in _states.rows(tx, ws=workspace_id)]


def _row(server: McpServer) -> dict[str, Any]:
    return {
        "id": server.id,
        "workspace_id": server.workspace_id,
        "name": server.name,
        "transport": asdict(server.transport),
        "tools": [asdict(tool) for tool in server.tools],
        "effects": {name: asdict(word) | {"effect": int(word.effect)} for name, word in server.words.items()},
        "enabled": server.enabled,
        "error": server.error,
        "created_at": server.created_at,
        "updated_at": server.updated_at,
    }


def _value(row: Any) -> McpServer:
    return McpServer(
        id=row.id,
        workspace_id=row.workspace_id,
        name=row.name,
        transport=Transport(**row.transport),
        tools=tuple(OfferedTool(**tool) for tool in row.tools),
        words={name: ToolOverride(**{**word, "effect": Effect(word["effect"])}) for name, word in row.effects.items()},
        enabled=row.enabled,
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
