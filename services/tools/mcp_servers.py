"""Tool servers of a workspace: what the owner adds, looks at and lets operators use."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from domain.clock import Now
from domain.errors import Conflict, Invalid, NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.journal.workspace import ToolServerChanged
from domain.outside import ExternalError
from domain.ports import McpClient, McpEndpoint
from domain.tools.mcp import (
    MAX_SERVERS,
    MAX_TOOLS,
    SERVER_NAME,
    McpServer,
    OfferedTool,
    ToolOverride,
    Transport,
    offered,
)
from domain.tools.tool import Outcome, Tool, ToolContext, ToolSpec
from services.ledger.recorder import Recorder
from services.tools.registry import Tools, done, failed
from storage.database import Store
from storage.tools import mcp_server_rows
from storage.transaction import Tx, is_conflict
from storage.workspaces.vault import Vault

MAX_ERROR = 2000
_KEPT_WORKSPACES = 1000
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_CONNECTIONS_OWN = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "accept"}
    | {"content-type", "accept-encoding", "proxy-authorization", "mcp-session-id", "mcp-protocol-version"}
)
# a variable of another name could change what the program is, not only whom it speaks for
_VARIABLE = re.compile(r"(?:[A-Z][A-Z0-9]*_)*(?:KEY|TOKEN|SECRET|PASSWORD)")
_SECRET = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,3998}[\x21-\x7e])?")
# what is wrong with the wish itself, not with the other side; by the field to say it of
_WISH = {"bad_url": "url", "blocked_address": "url", "no_program": "program", "bad_header": "header"}


# the server as it is to be, and what is recorded of the change
Change = Callable[[McpServer], tuple[McpServer, dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServer:
    """What a server is added from: a `url` or the name of a `program`, and a secret with the place it goes to."""

    name: str
    url: str = ""
    header: str = ""
    program: str = ""
    variable: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool of a server, as operators use it. What goes wrong on the way is the caller's to judge."""

    spec: ToolSpec
    server: McpServer
    name: str
    client: McpClient
    vault: Vault

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """The server's answer, which is data from outside; what it calls an error is a failure."""
        endpoint = _endpoint(self.server, self.vault)
        answer = await self.client.call(endpoint, self.name, args, key=context.idempotency_key)
        if not answer.is_error:
            return done(answer.output)
        said = str(answer.output.get("text") or answer.output.get("error") or "an error without words")
        return failed(f"the tool failed: {said[:500]}", answer.output)

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """The protocol has no way to ask."""
        del context, args
        return None


class McpTools:
    """`services.tools.registry.ToolSource`: the tools of a workspace's servers, read again when one of them changed."""

    def __init__(self, client: McpClient, vault: Vault) -> None:
        self._client = client
        self._vault = vault
        self._kept: dict[str, tuple[Sequence[tuple[str, str]], Tools]] = {}

    def tools(self, tx: Tx, workspace_id: str) -> Tools:
        """What the workspace's operators may use of its servers."""
        states = mcp_server_rows.states(tx, workspace_id)
        kept = self._kept.get(workspace_id)
        if kept is not None and kept[0] == states:
            return kept[1]
        found: dict[str, Tool] = {}
        for server in mcp_server_rows.find(tx, workspace_id) if states else ():
            for name, spec in server.specs().items():
                found[spec.name] = McpTool(spec, server, name, self._client, self._vault)
        if len(self._kept) >= _KEPT_WORKSPACES:
            self._kept.clear()
        tools = Tools(found)
        self._kept[workspace_id] = (states, tools)
        return tools


@dataclass(frozen=True, slots=True)
class McpServerService:
    """Use cases about tool servers. No answer holds a secret."""

    store: Store
    recorder: Recorder
    vault: Vault
    client: McpClient
    now: Now

    async def list(self, actor: Actor) -> Sequence[McpServer]:
        """The servers of the workspace by name."""
        require(actor, Action.SETTINGS_READ)
        return await self.store.read(lambda tx: mcp_server_rows.find(tx, actor.in_workspace))

    async def get(self, actor: Actor, server_id: str) -> McpServer:
        """One server."""
        require(actor, Action.SETTINGS_READ)
        return await self.store.read(lambda tx: mcp_server_rows.get(tx, actor.in_workspace, server_id))

    async def add(self, actor: Actor, new: NewServer) -> McpServer:
        """A new server with the tools it offers; one that does not answer is kept with the reason."""
        require(actor, Action.MCP_WRITE)
        now, name, workspace_id = self.now(), new_id(), actor.in_workspace
        server = McpServer(
            id=name,
            workspace_id=workspace_id,
            name=new.name,
            transport=self._transport(workspace_id, name, new),
            tools=(),
            words={},
            enabled=True,
            error=None,
            created_at=now,
            updated_at=now,
        )
        await self.store.read(lambda tx: self._check_room(tx, server))
        try:
            server = await self._looked(server)
        except ExternalError as error:
            if error.code in _WISH:
                raise Invalid.field(_WISH[error.code], str(error)) from error
            server = replace(server, error=str(error)[:MAX_ERROR])

        def work(tx: Tx) -> McpServer:
            self._check_room(tx, server)
            mcp_server_rows.add(tx, server)
            self._record(tx, actor, server, "added", tools=[tool.name for tool in server.tools])
            return server

        try:
            return await self.store.workspace(actor.in_workspace).write(work)
        except Exception as error:
            if is_conflict(error):
                raise _taken(new.name) from error
            raise

    async def refresh(self, actor: Actor, server_id: str) -> McpServer:
        """Ask the server again what it offers. A tool that changed is off until the owner has looked at it."""
        require(actor, Action.MCP_WRITE)
        before = await self.store.read(lambda tx: mcp_server_rows.get(tx, actor.in_workspace, server_id))
        try:
            looked = await self._looked(before)
        except ExternalError as error:
            # what was known stays: a server that is away for a while has not changed
            looked = replace(before, error=str(error)[:MAX_ERROR])

        def change(current: McpServer) -> tuple[McpServer, dict[str, Any]]:
            found = replace(current, tools=looked.tools, error=looked.error)
            return found, _difference(current, found)

        return await self._change(actor, server_id, "refreshed", change)

    async def set_enabled(self, actor: Actor, server_id: str, enabled: bool) -> McpServer:
        """Let operators use the server, or not."""
        require(actor, Action.MCP_WRITE)
        word = "enabled" if enabled else "disabled"
        return await self._change(actor, server_id, word, lambda server: (replace(server, enabled=enabled), {}))

    async def set_secret(self, actor: Actor, server_id: str, secret: str | None) -> McpServer:
        """Keep another secret for the server, or none."""
        require(actor, Action.MCP_WRITE)

        def change(server: McpServer) -> tuple[McpServer, dict[str, Any]]:
            place = server.transport
            if secret is not None and not (place.header or place.variable):
                if place.program:
                    raise Invalid.field("secret", "this server was added without a variable to put it in")
                place = replace(place, header="authorization")
            sealed = "" if secret is None else self._sealed(server.workspace_id, server.id, secret)
            return replace(server, transport=replace(place, sealed=sealed)), {}

        return await self._change(actor, server_id, "secret removed" if secret is None else "secret stored", change)

    async def set_tool(self, actor: Actor, server_id: str, tool: str, word: ToolOverride) -> McpServer:
        """What the owner says of a tool, about the description they were shown; Conflict when it is another now."""
        require(actor, Action.MCP_WRITE)

        def change(server: McpServer) -> tuple[McpServer, dict[str, Any]]:
            found = server.find(tool)
            if found is None:
                raise NotFound("Tool not found")
            if found.digest != word.digest:
                raise Conflict("the tool was changed meanwhile: look at it again", code="tool_changed")
            details = {
                "tool": server.full_name(tool),
                "effect": f"E{int(word.effect)}",
                "idempotent": word.idempotent,
                "enabled": word.enabled,
                "digest": word.digest,
            }
            return replace(server, words={**server.words, tool: word}), details

        return await self._change(actor, server_id, "tool set", change)

    async def remove(self, actor: Actor, server_id: str) -> None:
        """Forget the server with its secret; its tools are gone for operators."""
        require(actor, Action.MCP_WRITE)

        def work(tx: Tx) -> None:
            server = mcp_server_rows.get(tx, actor.in_workspace, server_id, lock=True)
            mcp_server_rows.remove(tx, actor.in_workspace, server_id)
            self._record(tx, actor, server, "removed")

        await self.store.workspace(actor.in_workspace).write(work)

    # --- inside -----------------------------------------------------------------------------------

    async def _change(self, actor: Actor, server_id: str, word: str, change: Change) -> McpServer:
        def work(tx: Tx) -> McpServer:
            before = mcp_server_rows.get(tx, actor.in_workspace, server_id, lock=True)
            after, details = change(before)
            after = replace(after, updated_at=self.now())
            mcp_server_rows.put(tx, after)
            self._record(tx, actor, after, word, **details)
            return after

        return await self.store.workspace(actor.in_workspace).write(work)

    def _record(self, tx: Tx, actor: Actor, server: McpServer, word: str, **details: Any) -> None:
        self.recorder.record(
            tx,
            ToolServerChanged(
                workspace_id=server.workspace_id,
                actor=actor.principal,
                server_id=server.id,
                name=server.name,
                transport=server.transport.kind,
                what=word,
                error=server.error if word in ("added", "refreshed") else None,
                details=details,
            ),
        )

    def _check_room(self, tx: Tx, server: McpServer) -> None:
        there = mcp_server_rows.find(tx, server.workspace_id)
        if any(one.name == server.name for one in there):
            raise _taken(server.name)
        if len(there) >= MAX_SERVERS:
            raise Conflict(f"a workspace has at most {MAX_SERVERS} tool servers", code="too_many_servers")

    def _transport(self, workspace_id: str, server_id: str, new: NewServer) -> Transport:
        if not SERVER_NAME.fullmatch(new.name):
            raise Invalid.field("name", "must be 1 to 40 of a-z, 0-9 and -, and not begin with -")
        if bool(new.url) == bool(new.program):
            raise Invalid.field("url", "give the address of the server, or the name of a program")
        if new.program and new.program not in self.client.programs:
            raise Invalid.field("program", "is not one this installation's administrator has allowed")
        header = new.header.lower() or ("authorization" if new.url and new.secret else "")
        if header and (new.program or not _HEADER.fullmatch(header) or header in _CONNECTIONS_OWN):
            raise Invalid.field("header", "is not a header a secret can be sent in")
        if new.variable and (new.url or len(new.variable) > 64 or not _VARIABLE.fullmatch(new.variable)):
            raise Invalid.field("variable", "must be a name in capitals that ends in KEY, TOKEN, SECRET or PASSWORD")
        if new.secret and not (header or new.variable):
            raise Invalid.field("variable", "say in which variable the program expects the secret")
        sealed = self._sealed(workspace_id, server_id, new.secret) if new.secret else ""
        return Transport(url=new.url, header=header, program=new.program, variable=new.variable, sealed=sealed)

    def _sealed(self, workspace_id: str, server_id: str, secret: str) -> str:
        if not _SECRET.fullmatch(secret):
            raise Invalid.field("secret", "must be printable characters of one line, at most 4000")
        return self.vault.seal(secret, workspace_id=workspace_id, place=_place(server_id))

    async def _looked(self, server: McpServer) -> McpServer:
        """The server with what it offers now; `error` names what it offers and cannot be used."""
        found = await self.client.tools(_endpoint(server, self.vault))
        # each description is gone through from end to end
        tools, problems = await asyncio.to_thread(_offered, found)
        return replace(server, tools=tools, error="\n".join(problems)[:MAX_ERROR] or None)


def _offered(found: Sequence[Mapping[str, Any]]) -> tuple[Sequence[OfferedTool], Sequence[str]]:
    """The tools behind a server's list, and what is wrong with the others."""
    tools: dict[str, OfferedTool] = {}
    problems: list[str] = []
    for raw in found:
        tool = offered(raw)
        if isinstance(tool, str):
            problems.append(tool)
        elif tool.name in tools:
            problems.append(f"{tool.name}: there is another tool of that name")
        elif len(tools) >= MAX_TOOLS:
            problems.append(f"{tool.name}: more than {MAX_TOOLS} tools")
        else:
            tools[tool.name] = tool
    return tuple(tools.values()), problems


def _endpoint(server: McpServer, vault: Vault) -> McpEndpoint:
    """How to reach the server, with its secret in the clear: for the moment of the call only."""
    at = server.transport
    secret = "" if not at.sealed else vault.open(at.sealed, workspace_id=server.workspace_id, place=_place(server.id))
    if at.program:
        return McpEndpoint(program=at.program, variables={at.variable: secret} if secret else {})
    # a bearer token, unless its scheme is written before it
    value = f"Bearer {secret}" if at.header == "authorization" and " " not in secret else secret
    return McpEndpoint(url=at.url, headers={at.header: value} if secret else {})


def _difference(before: McpServer, after: McpServer) -> dict[str, Any]:
    old, new = ({tool.name: tool.digest for tool in server.tools} for server in (before, after))
    return {
        "new": sorted(new.keys() - old.keys()),
        "gone": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }


def _place(server_id: str) -> str:
    return f"mcp_servers/transport/{server_id}"


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a tool server called {name}", code="name_taken")
