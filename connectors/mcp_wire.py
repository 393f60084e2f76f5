"""One session with a tool server, over the official library. Imported late: it takes a second of CPU.

The session and its types are the library's; the two ways to a server are ours. The library has no hook that would let
us pin the address, cap what is read and own the process: issue 3457 of modelcontextprotocol/python-sdk asks for it, and
360, 555 and 1078 there are the history of programs that were not ended. Here a program is alone in its process group,
and the whole group is ended. Look again at each release.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import anyio
import httpx2
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from connectors.guard import Guard
from connectors.http import USER_AGENT
from connectors.pinned import CONNECT_SECONDS, NOT_CONNECTED, PinnedTransport, Progress
from domain.bounded_json import BadJson, Bounds, Meter
from domain.outside import ExternalError
from domain.ports import McpAnswer, McpEndpoint
from domain.tools.mcp import MAX_TOOLS
from domain.untrusted import clean_and_cap, clean_json

MAX_BYTES = 2_000_000
OUTPUT_CHARS = 20_000
ERROR_CHARS = 500
MAX_PAGES = 20
KILL_SECONDS = 1.0
# of each message: what the library makes of it costs far more than its bytes
MESSAGE = Bounds(size=MAX_BYTES, depth=100, nodes=30_000, digits=400)
MAX_PARTS = 200


def _few_parts(value: Any) -> Any:
    """ValueError for a result of more parts than anybody reads: each is tried as five kinds of content."""
    content = value.get("content") if isinstance(value, Mapping) else None
    if isinstance(content, list) and len(content) > MAX_PARTS:
        raise ValueError(f"more than {MAX_PARTS} parts")
    return value


_CALL_RESULT: TypeAdapter[types.CallToolResult] = TypeAdapter(
    Annotated[types.CallToolResult, BeforeValidator(_few_parts)]
)
# Said by the library itself when an answer did not come or could not be read: what was asked for may have happened.
_NO_ANSWER = frozenset({types.CONNECTION_CLOSED, types.REQUEST_TIMEOUT, types.PARSE_ERROR, types.INVALID_REQUEST})
# the library logs whole messages, arguments among them
for _noisy in ("mcp", "client", "httpx2", "httpcore2"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


@dataclass(slots=True)
class _Use(Progress):
    """What is known of a use so far. `sent`: the call may have left; `status`: the last HTTP status worth telling."""

    failure: ExternalError | None = None
    status: int = 0


async def tools(
    endpoint: McpEndpoint, command: Sequence[str], guard: Guard, *, seconds: float
) -> Sequence[Mapping[str, Any]]:
    """The tools a server offers; at most `MAX_TOOLS` and what follows on the page that passes it."""
    progress = _Use()
    found: list[Mapping[str, Any]] = []
    with _as_outside(progress, seconds):
        async with asyncio.timeout(seconds), _open(endpoint, command, guard, progress) as client:
            cursor: str | None = None
            for _ in range(MAX_PAGES):
                page = await client.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
                # one more than are kept, so that it can be told that there were more
                some = page.tools[: MAX_TOOLS + 1 - len(found)]
                found += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in some]
                cursor = page.next_cursor
                if cursor is None or len(found) > MAX_TOOLS:
                    break
    return found


async def call(
    endpoint: McpEndpoint,
    command: Sequence[str],
    guard: Guard,
    *,
    tool: str,
    args: Mapping[str, Any],
    key: str,
    seconds: float,
) -> McpAnswer:
    """Call a tool once. An answer that came stands, whatever happens while the session is closed."""
    progress = _Use()
    answer: McpAnswer | None = None
    with _as_outside(progress, seconds, unless=lambda: answer is not None):
        async with asyncio.timeout(seconds), _open(endpoint, command, guard, progress) as client:
            request = types.CallToolRequest(
                params=types.CallToolRequestParams(
                    name=tool,
                    arguments=dict(args),
                    _meta={"idempotencyKey": key},
                )
            )
            # over HTTP the transport sees the very request leave; a pipe takes it at once
            progress.sent = bool(endpoint.program)
            try:
                result = await client.session.send_request(request, _CALL_RESULT)
            except MCPError as error:
                answer = _refused(error, progress)
            else:
                answer = await asyncio.to_thread(_answer, result)
    assert answer is not None
    return answer


def _refused(error: MCPError, progress: _Use) -> McpAnswer:
    """The failure a server told of; ExternalError where it is only known that no answer came."""
    if progress.failure is not None:
        raise progress.failure
    # a gateway's 5xx says nothing of what the server behind it has done
    if error.error.code in _NO_ANSWER or progress.status >= 500:
        raise ExternalError(
            "the tool server gave no answer that can be read", code="protocol_error", sent=progress.sent
        ) from error
    said = f"it answered {progress.status}" if progress.status >= 400 else error.error.message
    return McpAnswer(output={"error": clean_and_cap(said, ERROR_CHARS)[0]}, is_error=True)


def _answer(result: types.CallToolResult) -> McpAnswer:
    """The text and structured parts of a result; pictures and sounds are named, not kept."""
    texts: list[str] = []
    others: list[str] = []
    for part in result.content:
        if isinstance(part, types.TextContent):
            texts.append(part.text)
        elif isinstance(part, types.EmbeddedResource) and isinstance(part.resource, types.TextResourceContents):
            texts.append(part.resource.text)
        else:
            others.append(part.type)
    text, cut = clean_and_cap("\n".join(texts), OUTPUT_CHARS)
    output: dict[str, Any] = {"text": text, "truncated": cut}
    if result.structured_content is not None:
        output["json"] = clean_json(result.structured_content, max_chars=OUTPUT_CHARS)
    if others:
        output["leftOut"] = others[:20]
    return McpAnswer(output=output, is_error=bool(result.is_error))


@contextlib.contextmanager
def _as_outside(progress: _Use, seconds: float, *, unless: Any = lambda: False) -> Iterator[None]:
    """Everything that goes wrong in a session as one ExternalError; nothing where `unless` says that it is over."""
    try:
        yield
    except TimeoutError as error:
        if not unless():
            raise ExternalError(
                f"the tool server did not answer within {seconds:g} seconds",
                code="timeout",
                sent=progress.sent,
                retryable=True,
            ) from error
    except Exception as error:
        if unless():
            return
        raise progress.failure or _outside(error, progress) from error


def _outside(error: BaseException, progress: _Use) -> ExternalError:
    one = _first(error)
    if isinstance(one, ExternalError):
        return one
    if isinstance(one, MCPError):
        said = f"it answered {progress.status}" if progress.status >= 400 else one.error.message
        return ExternalError(
            f"the tool server refused: {clean_and_cap(said, ERROR_CHARS)[0]}", code="refused", sent=progress.sent
        )
    if isinstance(one, ValidationError | RuntimeError | ValueError):
        return ExternalError("what the tool server said is not the protocol", code="protocol_error", sent=progress.sent)
    return ExternalError("the tool server broke off", code="protocol_error", sent=progress.sent, retryable=True)


def _first(error: BaseException) -> BaseException:
    """The failure inside the groups the library's tasks end in; ours before any other."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    found = [_first(one) for one in error.exceptions]
    return next((one for one in found if isinstance(one, ExternalError)), found[0])


@contextlib.asynccontextmanager
async def _open(endpoint: McpEndpoint, command: Sequence[str], guard: Guard, progress: _Use) -> AsyncIterator[Client]:
    async with contextlib.AsyncExitStack() as stack:
        if endpoint.program:
            transport: Any = _program(command, endpoint.variables)
        else:
            url = str(guard.parse(endpoint.url))
            line = _Watched(PinnedTransport(guard, tls=await asyncio.to_thread(_tls), keep=True), progress)
            http = await stack.enter_async_context(
                httpx2.AsyncClient(
                    transport=line,
                    headers={"user-agent": USER_AGENT, **endpoint.headers},
                    trust_env=False,
                    follow_redirects=False,
                    timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
                )
            )
            transport = streamable_http_client(url, http_client=http, max_sse_event_size=MAX_BYTES)
        yield await stack.enter_async_context(
            Client(transport, cache=None, client_info=types.Implementation(name="Pilot", version="1"))
        )


# --- over HTTP ------------------------------------------------------------------------------------


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Watched(httpx2.AsyncBaseTransport):
    """The guarded way out, with what becomes of each request noted and its answer capped."""

    def __init__(self, way: PinnedTransport, progress: _Use) -> None:
        self._way = way
        self._progress = progress

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer; an ExternalError is kept in the progress, because the library swallows what is raised here."""
        acts = _is_call(request)
        # without the stream a server may offer beside its answers, everything still works
        matters = request.method == "POST"
        if acts:
            request.extensions = {**request.extensions, "trace": self._progress.trace}
        try:
            response = await self._way.handle_async_request(request)
        except ExternalError as error:
            self._progress.failure = error
            raise
        except httpx2.TransportError as error:
            if matters:
                refused = isinstance(error, NOT_CONNECTED)
                self._progress.failure = ExternalError(
                    "no connection to the tool server" if refused else "the connection to the tool server broke off",
                    code="connect_failed" if refused else "protocol_error",
                    sent=self._progress.sent,
                    retryable=True,
                )
            raise
        if matters:
            self._progress.status = response.status_code
            events = "event-stream" in response.headers.get("content-type", "")
            response.stream = _Capped(response.stream, self._progress, events=events)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._way.aclose()


def _is_call(request: httpx2.Request) -> bool:
    if request.method != "POST":
        return False
    try:
        message = json.loads(request.content)
    except (ValueError, httpx2.RequestNotRead):
        return True
    return not isinstance(message, dict) or message.get("method") == "tools/call"


class _Capped(httpx2.AsyncByteStream):
    """An answer of at most `MAX_BYTES`, each message in it within `MESSAGE`; one that goes on is broken off."""

    def __init__(self, stream: Any, progress: _Use, *, events: bool) -> None:
        self._stream = stream
        self._progress = progress
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BYTES
        meter = Meter(MESSAGE)
        feed = meter.feed_lines if self._events else meter.feed
        async for piece in self._stream:
            left -= len(piece)
            try:
                feed(piece)
            except BadJson:
                left = -1
            if left < 0:
                self._progress.failure = ExternalError(
                    "the answer of the tool server is too large", code="too_large", sent=self._progress.sent
                )
                raise self._progress.failure
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


# --- over pipes -----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _program(command: Sequence[str], variables: Mapping[str, str]) -> AsyncIterator[Streams]:
    """A program as a tool server: alone in its process group, with next to no environment, ended afterwards."""
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/", **variables}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
            limit=MAX_BYTES,
        )
    except OSError as error:
        raise ExternalError("the program could not be started", code="no_program", sent=False) from error
    into, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, out = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with into, read, write, out, anyio.create_task_group() as group:
            group.start_soon(_listen, process, into)
            group.start_soon(_speak, process, out, into)
            try:
                yield read, write
            finally:
                group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _listen(
    process: asyncio.subprocess.Process, into: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    assert process.stdout is not None
    left = MAX_BYTES
    # what waits for an answer hears of the end by the stream being closed
    async with into:
        with contextlib.suppress(ValueError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while line := await process.stdout.readline():
                left -= len(line)
                if left < 0:
                    return
                try:
                    Meter(MESSAGE).feed(line)
                    message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                except (BadJson, ValidationError):
                    # programs print all sorts of things; what is no message is none
                    continue
                await into.send(SessionMessage(message))


async def _speak(
    process: asyncio.subprocess.Process,
    out: MemoryObjectReceiveStream[SessionMessage],
    into: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    assert process.stdin is not None
    try:
        async for message in out:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(text.encode() + b"\n")
            await process.stdin.drain()
    except OSError:
        await into.aclose()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, give it a moment, then end the whole group: whatever it started ends with it."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_SECONDS):
                await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
